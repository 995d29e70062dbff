package engine

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/kernels"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// params are the quantization parameters of one 8-bit activation.
type params struct {
	scale  float32
	zero   int32
	signed bool
}

func (p params) dtype() tensor.DType {
	if p.signed {
		return tensor.Int8
	}
	return tensor.Uint8
}

// limits is the range of the type.
func (p params) limits() (lo, hi int32) {
	if p.signed {
		return -128, 127
	}
	return 0, 255
}

// paramsOf reads constant per-tensor parameters; zero may be omitted.
func paramsOf(scale, zero *graph.Value) (params, bool) {
	if !scale.IsConst() || scale.Const.Len() != 1 || !isFloat(scale) {
		return params{}, false
	}
	p := params{scale: tensor.Floats(scale.Const)[0]}
	if zero == nil {
		return p, true
	}
	if !zero.IsConst() || zero.Const.Len() != 1 || !isByte(zero) {
		return params{}, false
	}
	p.zero, p.signed = int32(tensor.Ints(zero.Const)[0]), zero.DType == tensor.Int8
	return p, true
}

// qlinear is the integer product that qconv and qgemm share: packed weights and how sums become outputs.
type qlinear struct {
	k, n   int
	packed []int8
	fit    bool    // what PackS8 said of packed
	shift  []int32 // as weights8 says
	per    int     // of one group
	bias   []int32
	scale  []float32        // x·w/y, one a column
	fixed  []ops.FixedScale // if not nil, instead of scale
	x, y   params
}

// flip turns int8 activations into the uint8 ones that the kernels read: the top bit changes, which adds 128.
var flip = func() (t [256]byte) {
	for i := range t {
		t[i] = byte(i) ^ 0x80
	}
	return t
}()

// signed shows bytes as int8.
func signed(b []byte) []int8 { return tensor.View[int8](&tensor.Tensor{DType: tensor.Int8, Data: b}) }

// requant fills scale and bias: the zero point's share of each column's sum is known beforehand.
func (q *qlinear) requant(ws *graph.Value, bias []int32, sums []int32) bool {
	if !ws.IsConst() || !isFloat(ws) || ws.Const.Len() != 1 && ws.Const.Len() != len(sums) {
		return false
	}
	s := tensor.Floats(ws.Const)
	zero := q.x.zero
	if q.x.signed {
		zero += 128
	}
	q.scale, q.bias = make([]float32, len(sums)), make([]int32, len(sums))
	for i, sum := range sums {
		q.scale[i] = q.x.scale * s[i%len(s)] / q.y.scale
		q.bias[i] = -zero * sum
		if bias != nil {
			q.bias[i] += bias[i]
		}
	}
	return true
}

// qconv is QLinearConv with channels last. Input: x.
type qconv struct {
	ops.QLinearConv
	qlinear
	wshape []int
	depth  bool
	parts  int // weights of one tap of a depthwise convolution, which are added
}

func (c qconv) source() graph.Op { return c.QLinearConv }

// Infer gives the channels-last type.
func (c qconv) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	t, err := inferLast(c.Conv, in, c.wshape)
	if err == nil {
		t[0].DType = c.y.dtype()
	}
	return t, err
}

// lowerQConv packs a QLinearConv whose parameters are constant. Inputs: x, x_scale, x_zero, w, w_scale, w_zero,
// y_scale, y_zero, bias.
func lowerQConv(l *lowering, n *graph.Node) bool {
	if is16(n.In[0]) {
		return lowerQConv16(l, n)
	}
	c, in := n.Op.(ops.QLinearConv), n.In
	x, okx := paramsOf(in[1], in[2])
	y, oky := paramsOf(in[6], in[7])
	w, okw := l.convWeights8(in[3], in[5])
	if !okx || !oky || !okw || !spatial(in[0]) || len(in[3].Shape) != in[0].Rank() || c.Conv.Group < 1 {
		return false
	}
	var bias []int32
	if len(in) > 8 && in[8] != nil {
		if !in[8].IsConst() || in[8].DType != tensor.Int32 {
			return false
		}
		bias = tensor.View[int32](in[8].Const)
	}
	op := qconv{QLinearConv: c, qlinear: qlinear{x: x, y: y}, wshape: in[3].Const.Shape}
	if op.wshape[0]%c.Conv.Group != 0 || !op.requant(in[4], bias, w.sums) {
		return false
	}
	op.fixScales(c, in[3], in[4])
	op.depth = op.fixed == nil && c.Conv.Group > 1 && c.Conv.Group == op.wshape[0] && op.wshape[1] == 1
	op.pack(l, w)
	l.set(l.last, n, l.emit(n, op, []*graph.Value{l.lastOf(in[0])}))
	return true
}

// packed8 is packed 8-bit weights.
type packed8 struct {
	w    []int8
	fits bool // what PackS8 said of them
}

// pack8 gives the packed form of a matrix of 8-bit weights; rs and cs are the steps from row to row and column to column.
func (l *lowering) pack8(w []int8, k, n, rs, cs int) packed8 {
	return share(l, fmt.Sprint("matrix8 ", k, n, rs, cs), bytesOf(w), func() (packed8, int) {
		p := packed8{w: signed(tensor.Aligned(l.p.set.PackedS8(k, n)))}
		p.fits = l.p.set.PackS8(p.w, w, k, n, rs, cs)
		return p, len(p.w)
	})
}

func (c *qconv) pack(l *lowering, weights weights8) {
	taps := tensor.Size(c.wshape[2:])
	if c.depth {
		c.parts = weights.parts(taps)
	} else {
		c.shift = weights.shift
		c.k, c.n = c.wshape[1]*taps, c.wshape[0]/c.Conv.Group
		c.per = l.p.set.PackedS8(c.k, c.n)
	}
	kind := fmt.Sprint("filters8 ", c.wshape, c.Conv.Group, c.depth, c.parts)
	if c.depth {
		kind += fmt.Sprint(weights.shift)
	}
	p := share(l, kind, bytesOf(weights.w), func() (packed8, int) {
		c.packNew(l, weights)
		return packed8{c.packed, c.fit}, len(c.packed)
	})
	c.packed, c.fit = p.w, p.fits
}

// packNew packs weights that are not in the store.
func (c *qconv) packNew(l *lowering, weights weights8) {
	set, w := l.p.set, weights.w
	m, cg, taps := c.wshape[0], c.wshape[1], tensor.Size(c.wshape[2:])
	if c.depth {
		rows := l.temp8(m * taps * c.parts)
		for i := range m {
			for t := range taps {
				v := weights.value(i, i*taps+t)
				for p := range c.parts {
					part := max(-128, min(v, 127))
					rows[(p*taps+t)*m+i] = int8(part)
					v -= part
				}
			}
		}
		c.packed = make([]int8, set.PackedDepthwiseS8(taps*c.parts, m))
		set.PackDepthwiseS8(c.packed, rows, taps*c.parts, m)
		return
	}
	c.packed = signed(tensor.Aligned(c.per * c.Conv.Group))
	rows := l.temp8(c.k * c.n)
	c.fit = true
	for g := range c.Conv.Group {
		packed := c.packed[g*c.per : (g+1)*c.per]
		if taps == 1 {
			c.fit = set.PackS8(packed, w[g*c.n*c.k:], c.k, c.n, 1, c.k) && c.fit
			continue
		}
		for i := range c.n {
			for ch := range cg {
				for t := range taps {
					rows[(t*cg+ch)*c.n+i] = w[((g*c.n+i)*cg+ch)*taps+t]
				}
			}
		}
		c.fit = set.PackS8(packed, rows, c.k, c.n, c.n, 1) && c.fit
	}
}

func (c qconv) exec(x *exec, in, out []*tensor.Tensor) error {
	g, shape, err := geometry(in[0].Shape, func(first []int) (ops.Window, error) { return c.Window(first, c.wshape) })
	if err != nil {
		return err
	}
	m := c.wshape[0]
	y := x.Make(out[0], c.y.dtype(), append(shape, m)...)
	src := c.unsigned(x, in[0])
	if c.fixed != nil {
		sums := make([]int32, len(y.Data))
		c.sum(x, g, src, sums, c.bias)
		c.fix(x, y.Data, sums)
		return nil
	}
	if c.depth {
		c.depthwise(x, g, src, y.Data)
		return nil
	}
	cg := c.wshape[1]
	for i := range c.Conv.Group {
		job := c.job(i*c.n, c.n)
		job.M, job.B, job.LDC = g.n*g.oh*g.ow, c.packed[i*c.per:(i+1)*c.per], m
		job.C = y.Data[min(i*c.n, len(y.Data)):]
		c.product(x, g, src[min(i*cg, len(src)):], job)
	}
	return nil
}

// unsigned gives the activations as the kernels read them.
func (q *qlinear) unsigned(x *exec, t *tensor.Tensor) []byte {
	if !q.x.signed {
		return t.Data
	}
	flipped := tensor.Aligned(len(t.Data))
	x.p.set.Lookup(flipped, t.Data, &flip)
	return flipped
}

// zeroByte is the zero point as it stands in unsigned data: the padding.
func (q *qlinear) zeroByte() byte {
	if q.x.signed {
		return byte(q.x.zero + 128)
	}
	return byte(q.x.zero)
}

// job is the product for n columns from column at.
func (q *qlinear) job(at, n int) product8 {
	p := q.sumJob(at, n)
	p.Bias, p.Scale, p.Zero = q.bias[at:at+n], q.scale[at:at+n], q.y.zero
	p.Lo, p.Hi = q.y.limits()
	return p
}

// sumJob is a product of n columns from column at that gives sums.
func (q *qlinear) sumJob(at, n int) product8 {
	p := product8{GemmU8S8: kernels.GemmU8S8{N: n, K: q.k, PairsFit: q.fit}}
	if q.shift != nil {
		p.shift = q.shift[at : at+n]
	}
	return p
}

// sum computes the sums of all groups, of src as the kernels read it; bias may be nil.
func (c qconv) sum(x *exec, g geom, src []byte, dst, bias []int32) {
	m, cg := c.wshape[0], c.wshape[1]
	for i := range c.Conv.Group {
		job := c.sumJob(i*c.n, c.n)
		job.M, job.B, job.C32, job.LDC = g.n*g.oh*g.ow, c.packed[i*c.per:(i+1)*c.per], dst[min(i*c.n, len(dst)):], m
		if bias != nil {
			job.Bias = bias[i*c.n : (i+1)*c.n]
		}
		c.product(x, g, src[min(i*cg, len(src)):], job)
	}
}

func (c qconv) product(x *exec, g geom, src []byte, job product8) {
	cg := c.wshape[1]
	if g.pointwise() {
		job.A, job.LDA = src, g.c
		gemm8(x, job)
		return
	}
	row := (job.K + 3) &^ 3
	spec := gatherSpec{g: g, run: cg, pixel: g.c, pad: c.zeroByte(), row: row}
	split(x, job.M, job.N, row, len(job.B), func(s *scratch, t tile) {
		rows := s.bytes((t.m1-t.m0)*row + 32)
		if spec.short() {
			gatherWords(rows, src, spec, t, s)
		} else {
			gather(rows, src, spec, t.m0, t.m1)
		}
		sub := slice8(job, t)
		sub.A, sub.LDA = rows, row
		sub.run(x.p.set, s)
	})
}

func (c qconv) depthwise(x *exec, g geom, src, dst []byte) {
	lo, hi := c.y.limits()
	strips(x, g, src, stripSpec{size: 1, pad: []byte{c.zeroByte()}, parts: c.parts}, func(st strip) {
		x.p.set.DepthwiseU8S8(&kernels.DepthwiseU8S8{
			N: g.ow, C: g.c, X: st.x, Step: g.sw * g.c, Taps: st.taps, W: c.packed, Bias: c.bias, Scale: c.scale,
			Zero: c.y.zero, Lo: lo, Hi: hi, Y: dst[st.y*g.c:], LDY: g.c,
		})
	})
}
