package engine

import (
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// wide is what products with 16-bit activations and 8-bit weights add to qlinear. With x = 256·high + low, moved to be
// unsigned, sums of high and of low are 8-bit products, which are joined in int64.
type wide struct {
	scale        []float32
	fixed        []ops.FixedScale // if not nil, instead of scale
	bias         []int64          // less the zero point's share
	zero, lo, hi int64            // of the result
	out          tensor.DType
	pad          [2]byte // the low and the high byte of x's zero point
}

// maxWideK keeps sums of bytes times weights less their zero points within int32.
const maxWideK = math.MaxInt32 / (255 * 255)

func is16(v *graph.Value) bool {
	return v != nil && (v.DType == tensor.Int16 || v.DType == tensor.Uint16)
}

// params16 reads the constant parameters of an integer tensor of 8 or 16 bits.
func params16(scale, zero *graph.Value) (s float32, z int64, ok bool) {
	if !scale.IsConst() || scale.Const.Len() != 1 || !isFloat(scale) || zero == nil || !zero.IsConst() || zero.Const.Len() != 1 {
		return 0, 0, false
	}
	return tensor.Floats(scale.Const)[0], tensor.Ints(zero.Const)[0], is16(zero) || isByte(zero)
}

// newWide reads scales, zero points and the bias of a product; sums are those of the weights by output channel.
func newWide(op graph.Op, m matrix8, sums []int32) (wide, bool) {
	sx, zx, okx := params16(m.xs, m.xz)
	sy, zy, oky := params16(m.ys, m.yz)
	if !okx || !oky || m.xz.DType != m.x.DType || !m.ws.IsConst() || !isFloat(m.ws) {
		return wide{}, false
	}
	ws := tensor.Floats(m.ws.Const)
	if len(ws) != 1 && len(ws) != len(sums) {
		return wide{}, false
	}
	bits := m.yz.DType.Bits()
	w := wide{zero: zy, out: m.yz.DType, hi: 1<<bits - 1, scale: make([]float32, len(sums)), bias: make([]int64, len(sums))}
	if w.out.IsSigned() {
		w.lo, w.hi = -1<<(bits-1), 1<<(bits-1)-1
	}
	if m.bias != nil {
		if !m.bias.IsConst() || !m.bias.Const.IsInt() || m.bias.Const.Len() != len(sums) {
			return wide{}, false
		}
		copy(w.bias, tensor.Ints(m.bias.Const))
	}
	if m.x.DType == tensor.Int16 {
		zx += 1 << 15
	}
	w.pad = [2]byte{byte(zx), byte(zx >> 8)}
	for i, sum := range sums {
		w.bias[i] -= zx * int64(sum)
		w.scale[i] = sx * ws[i%len(ws)] / sy
		if ops.RequantOf(op) == ops.RequantFixed {
			w.fixed = append(w.fixed, ops.ProductScale(sx, ws[i%len(ws)], sy, m.w.DType))
		}
	}
	return w, true
}

// halves gives the low and the high bytes of x, moved to be unsigned.
func (w *wide) halves(x *exec, t *tensor.Tensor) [2][]byte {
	n, flip := t.Len(), byte(0)
	if t.DType == tensor.Int16 {
		flip = 0x80
	}
	h := [2][]byte{tensor.Aligned(n), tensor.Aligned(n)}
	blocks(x, n, func(a, b int) {
		src, low, high := t.Data[2*a:2*b], h[0][a:b], h[1][a:b]
		for i := range low {
			low[i], high[i] = src[2*i], src[2*i+1]^flip
		}
	})
	return h
}

// finish makes y of the sums of low and high bytes, rows of len(bias).
func (w *wide) finish(x *exec, y *tensor.Tensor, sums [2][]int32) {
	n := len(w.bias)
	x.p.pool.run(x.scratch, len(sums[0])/max(n, 1), func(_ *scratch, row int) {
		low, high := sums[0][row*n:][:n], sums[1][row*n:][:n]
		for i, b := range w.bias {
			q := w.requant(int64(high[i])<<8+int64(low[i])+b, i)
			at := row*n + i
			if w.out.Bits() == 8 {
				y.Data[at] = byte(q)
				continue
			}
			y.Data[2*at], y.Data[2*at+1] = byte(q), byte(q>>8)
		}
	})
}

// requant is the result for a sum of column i.
func (w *wide) requant(sum int64, i int) int64 {
	if w.fixed != nil {
		return min(max(w.fixed[i].ApplyWide(sum)+w.zero, w.lo), w.hi)
	}
	r := math.RoundToEven(float64(float32(float32(sum)*w.scale[i]))) + float64(w.zero)
	switch {
	case r >= float64(w.hi):
		return w.hi
	case r > float64(w.lo):
		return int64(r)
	}
	return w.lo
}

// qconv16 is QLinearConv with 16-bit activations, channels last. Input: x.
type qconv16 struct {
	qconv
	wide
}

// Infer gives the channels-last type.
func (c qconv16) Infer(in []graph.Fact, n int) ([]graph.Type, error) {
	t, err := c.qconv.Infer(in, n)
	if err == nil {
		t[0].DType = c.out
	}
	return t, err
}

func lowerQConv16(l *lowering, n *graph.Node) bool {
	c, in := n.Op.(ops.QLinearConv), append(append([]*graph.Value{}, n.In...), nil)
	w, ok := l.convWeights8(in[3], in[5])
	if !ok || !spatial(in[0]) || len(in[3].Shape) != in[0].Rank() || c.Conv.Group < 1 {
		return false
	}
	op := qconv16{qconv: qconv{QLinearConv: c, wshape: in[3].Const.Shape}}
	if op.wshape[0]%c.Conv.Group != 0 || tensor.Size(op.wshape[1:]) > maxWideK {
		return false
	}
	m := matrix8{x: in[0], w: in[3], xs: in[1], xz: in[2], ws: in[4], ys: in[6], yz: in[7], bias: in[8]}
	if op.wide, ok = newWide(n.Op, m, w.sums); !ok {
		return false
	}
	op.pack(l, w)
	l.set(l.last, n, l.emit(n, op, []*graph.Value{l.lastOf(in[0])}))
	return true
}

func (c qconv16) exec(x *exec, in, out []*tensor.Tensor) error {
	g, shape, err := geometry(in[0].Shape, func(first []int) (ops.Window, error) { return c.Window(first, c.wshape) })
	if err != nil {
		return err
	}
	y := x.Make(out[0], c.out, append(shape, c.wshape[0])...)
	var sums [2][]int32
	for i, half := range c.halves(x, in[0]) {
		part := c.qconv
		part.x = params{zero: int32(c.pad[i])}
		sums[i] = i32(tensor.Aligned(4 * y.Len()))
		part.sum(x, g, half, sums[i], nil)
	}
	c.finish(x, y, sums)
	return nil
}

// qgemm16 is QLinearMatMul with 16-bit rows. Input: x [...,K].
type qgemm16 struct {
	qgemm
	wide
}

// Infer replaces the last dimension.
func (q qgemm16) Infer(in []graph.Fact, n int) ([]graph.Type, error) {
	t, err := q.qgemm.Infer(in, n)
	if err == nil {
		t[0].DType = q.out
	}
	return t, err
}

func lowerMatrix16(l *lowering, n *graph.Node, m matrix8) bool {
	if !m.w.IsConst() || len(m.w.Const.Shape) != 2 || m.x.Rank() < 2 || m.ys == nil || m.transB {
		return false
	}
	op := qgemm16{qgemm: qgemm{Op: n.Op, qlinear: qlinear{k: m.w.Const.Shape[0], n: m.w.Const.Shape[1]}}}
	w, ok := l.weights8(m.w, m.wz, channels{op.n, 1})
	if !ok || op.k > maxWideK {
		return false
	}
	if op.wide, ok = newWide(n.Op, m, w.sums); !ok {
		return false
	}
	op.shift = w.shift
	p := l.pack8(w.w, op.k, op.n, op.n, 1)
	op.packed, op.fit = p.w, p.fits
	l.set(l.plain, n, l.emit(n, op, []*graph.Value{l.plainOf(m.x)}))
	return true
}

func (q qgemm16) exec(x *exec, in, out []*tensor.Tensor) error {
	s := in[0].Shape
	y := x.Make(out[0], q.out, append(append([]int{}, s[:len(s)-1]...), q.n)...)
	var sums [2][]int32
	for i, half := range q.halves(x, in[0]) {
		sums[i] = i32(tensor.Aligned(4 * y.Len()))
		job := q.sumJob(0, q.n)
		job.M, job.A, job.LDA, job.B, job.C32, job.LDC = tensor.Size(s[:len(s)-1]), half, q.k, q.packed, sums[i], q.n
		gemm8(x, job)
	}
	q.finish(x, y, sums)
	return nil
}
