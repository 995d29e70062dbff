package engine

import (
	"fmt"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// qgemm is a product of 8-bit rows with packed constant weights: QLinearMatMul and com.microsoft's QGemm, which gives
// float32 when it has no output scale. Input: x [...,K].
type qgemm struct {
	graph.Op
	qlinear
	float bool
}

func (q qgemm) source() graph.Op { return q.Op }

// Infer replaces the last dimension.
func (q qgemm) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	a := in[0]
	if a.Unranked {
		return []graph.Type{graph.AnyRank(q.dtype())}, nil
	}
	a.DType = tensor.Float32
	b := graph.Fact{Type: graph.Of(tensor.Float32, graph.Fixed(q.k), graph.Fixed(q.n))}
	t, err := ops.MatMul{}.Infer([]graph.Fact{a, b}, 1)
	if err == nil {
		t[0].DType = q.dtype()
	}
	return t, err
}

func (q qgemm) dtype() tensor.DType {
	if q.float {
		return tensor.Float32
	}
	return q.y.dtype()
}

// matrix8 names the operands of an integer product with constant weights.
type matrix8 struct {
	x, w, bias *graph.Value
	xs, xz     *graph.Value
	ws, wz     *graph.Value
	ys, yz     *graph.Value
	transB     bool
}

func lowerQMatMul(l *lowering, n *graph.Node) bool {
	in := n.In
	return lowerMatrix8(l, n, matrix8{
		x: in[0], xs: in[1], xz: in[2], w: in[3], ws: in[4], wz: in[5], ys: in[6], yz: in[7],
	})
}

func lowerQGemm(l *lowering, n *graph.Node) bool {
	m := matrix8{x: n.In[0], xs: n.In[1], xz: n.In[2], w: n.In[3], ws: n.In[4], wz: n.In[5]}
	for _, a := range graph.AttrsOf(n.Op) {
		switch {
		case a.Name == "transB":
			m.transB = a.Value.(int64) != 0
		case a.Name == "transA" && a.Value.(int64) != 0, a.Name == "alpha" && a.Value.(float32) != 1:
			return false
		}
	}
	for i, p := range []**graph.Value{&m.bias, &m.ys, &m.yz} {
		if len(n.In) > 6+i {
			*p = n.In[6+i]
		}
	}
	return lowerMatrix8(l, n, m)
}

func lowerMatrix8(l *lowering, n *graph.Node, m matrix8) bool {
	if is16(m.x) {
		return lowerMatrix16(l, n, m)
	}
	x, okx := paramsOf(m.xs, m.xz)
	if !okx || !m.w.IsConst() || len(m.w.Const.Shape) != 2 || m.x.Rank() < 2 {
		return false
	}
	op := qgemm{Op: n.Op, qlinear: qlinear{x: x, k: m.w.Const.Shape[0], n: m.w.Const.Shape[1]}, float: m.ys == nil}
	rs, cs, inner := op.n, 1, 1
	if m.transB {
		op.k, op.n, rs, cs, inner = op.n, op.k, 1, op.n, op.n
	}
	w, ok := l.weights8(m.w, m.wz, channels{op.n, inner})
	if !ok {
		return false
	}
	op.shift = w.shift
	op.y = params{scale: 1}
	if !op.float {
		var ok bool
		if op.y, ok = paramsOf(m.ys, m.yz); !ok {
			return false
		}
	}
	bias, ok := biasOf(m.bias, op.n)
	if !ok {
		return false
	}
	if !op.requant(m.ws, bias, w.sums) {
		return false
	}
	if !op.float {
		op.fixScales(n.Op, m.w, m.ws)
	}
	p := l.pack8(w.w, op.k, op.n, rs, cs)
	op.packed, op.fit = p.w, p.fits
	l.set(l.plain, n, l.emit(n, op, []*graph.Value{l.plainOf(m.x)}))
	return true
}

// biasOf gives a constant int32 bias of n elements, nil if there is none.
func biasOf(v *graph.Value, n int) ([]int32, bool) {
	if v == nil {
		return nil, true
	}
	if !v.IsConst() || v.DType != tensor.Int32 || v.Const.Len() != n {
		return nil, false
	}
	return tensor.View[int32](v.Const), true
}

func (q qgemm) exec(x *exec, in, out []*tensor.Tensor) error {
	s := in[0].Shape
	y := x.Make(out[0], q.dtype(), append(append([]int{}, s[:len(s)-1]...), q.n)...)
	job := q.job(0, q.n)
	job.M, job.A, job.LDA, job.B, job.LDC = tensor.Size(s[:len(s)-1]), q.unsigned(x, in[0]), q.k, q.packed, q.n
	if !q.float && q.fixed == nil {
		job.C = y.Data
		gemm8(x, job)
		return nil
	}
	sums := make([]int32, job.M*q.n)
	job.C32, job.Scale = sums, nil
	gemm8(x, job)
	if q.fixed != nil {
		q.fix(x, y.Data, sums)
		return nil
	}
	dst := tensor.View[float32](y)
	for i := range job.M {
		x.p.set.I32ToF32Scale(dst[i*q.n:(i+1)*q.n], sums[i*q.n:(i+1)*q.n], 1, q.scale, nil)
	}
	return nil
}

// integerMatMul is MatMulInteger with packed constant weights and one zero point for the activations. Inputs: x [...,K]
// and, optionally, its zero point.
type integerMatMul struct {
	graph.Op
	qlinear
	sums []int32 // of each column of the weights
}

func (m integerMatMul) source() graph.Op { return m.Op }

// Infer replaces the last dimension.
func (m integerMatMul) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	return qgemm{qlinear: m.qlinear, float: true}.inferInt32(in)
}

func (q qgemm) inferInt32(in []graph.Fact) ([]graph.Type, error) {
	t, err := q.Infer(in[:1], 1)
	if err == nil {
		t[0].DType = tensor.Int32
	}
	return t, err
}

func lowerMatMulInteger(l *lowering, n *graph.Node) bool {
	var xz, wz *graph.Value
	if len(n.In) > 2 {
		xz = n.In[2]
	}
	if len(n.In) > 3 {
		wz = n.In[3]
	}
	if !n.In[1].IsConst() || len(n.In[1].Const.Shape) != 2 || n.In[0].Rank() < 2 || xz != nil && !single(xz) && !eachRow(xz, n.In[0]) {
		return false
	}
	op := integerMatMul{Op: n.Op, qlinear: qlinear{k: n.In[1].Const.Shape[0], n: n.In[1].Const.Shape[1]}}
	w, ok := l.weights8(n.In[1], wz, channels{op.n, 1})
	if !ok {
		return false
	}
	op.x.signed = n.In[0].DType == tensor.Int8
	op.sums, op.shift = w.sums, w.shift
	p := l.pack8(w.w, op.k, op.n, op.n, 1)
	op.packed, op.fit = p.w, p.fits
	in := []*graph.Value{l.plainOf(n.In[0])}
	if xz != nil {
		in = append(in, l.plainOf(xz))
	}
	l.set(l.plain, n, l.emit(n, op, in))
	return true
}

// eachRow reports whether z has one element for each row of x.
func eachRow(z, x *graph.Value) bool {
	r := x.Rank()
	if z.Rank() != r {
		return false
	}
	return z.Shape[r-1].Is(1) && slices.Equal(z.Shape[:r-1], x.Shape[:r-1])
}

// single reports whether a value surely has one element.
func single(v *graph.Value) bool {
	return !v.Unranked && graph.SizeOf(v.Shape).Is(1)
}

func (m integerMatMul) exec(x *exec, in, out []*tensor.Tensor) error {
	s := in[0].Shape
	y := x.Make(out[0], tensor.Int32, append(append([]int{}, s[:len(s)-1]...), m.n)...)
	zero, each := int32(0), []int64(nil)
	if len(in) > 1 && in[1] != nil {
		if each = tensor.Ints(in[1]); len(each) == 1 {
			zero, each = int32(each[0]), nil
		}
	}
	if m.x.signed {
		zero += 128
	}
	bias := make([]int32, m.n)
	for i, sum := range m.sums {
		bias[i] = -zero * sum
	}
	job := m.sumJob(0, m.n)
	job.M, job.A, job.LDA, job.B, job.LDC = tensor.Size(s[:len(s)-1]), m.unsigned(x, in[0]), m.k, m.packed, m.n
	job.Bias, job.C32 = bias, tensor.View[int32](y)
	gemm8(x, job)
	if each == nil {
		return nil
	}
	if len(each) != job.M {
		return fmt.Errorf("%d zero points for %d rows", len(each), job.M)
	}
	rows(x, len(job.C32), m.n, func(a, b int) {
		zero := int32(each[a/m.n])
		for j, sum := range m.sums {
			job.C32[a+j] -= zero * sum
		}
	})
	return nil
}
