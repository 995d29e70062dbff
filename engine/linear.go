package engine

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/kernels"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// linear is a product of rows with a packed constant matrix: Gemm and MatMul. Inputs: x [...,K] and, if the epilogue
// says so, the residual.
type linear struct {
	graph.Op
	epilogue
	k, n   int
	packed []float32
	sparse *kernels.SparseF32 // instead of packed
}

func (l linear) source() graph.Op { return l.Op }

// Infer replaces the last dimension.
func (l linear) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	t := in[0].Type
	if t.Unranked {
		return []graph.Type{t}, nil
	}
	t.Shape = append(append([]graph.Dim{}, t.Shape[:len(t.Shape)-1]...), graph.Fixed(l.n))
	b := graph.Fact{Type: graph.Of(tensor.Float32, graph.Fixed(l.k), graph.Fixed(l.n))}
	if _, err := (ops.MatMul{}).Infer([]graph.Fact{in[0], b}, 1); err != nil {
		return nil, err
	}
	return []graph.Type{t}, nil
}

func (l linear) exec(x *exec, in, out []*tensor.Tensor) error {
	s := in[0].Shape
	y := x.Make(out[0], tensor.Float32, append(append([]int{}, s[:len(s)-1]...), l.n)...)
	if l.sparse != nil {
		l.runSparse(x, in, tensor.View[float32](y))
		return nil
	}
	job := kernels.GemmF32{
		M: tensor.Size(s[:len(s)-1]), N: l.n, K: l.k, A: tensor.View[float32](in[0]), LDA: l.k,
		B: l.packed, C: tensor.View[float32](y), LDC: l.n, Bias: l.bias, Lo: l.lo, Hi: l.hi,
	}
	if l.res {
		job.Res, job.LDR = tensor.View[float32](in[1]), l.n
	}
	gemm(x, job)
	return nil
}

// lowerLinear packs a Gemm or MatMul whose second operand is a constant matrix.
func lowerLinear(l *lowering, n *graph.Node) bool {
	h, ok := n.Op.(head)
	if !ok {
		return false
	}
	w := n.In[1].Const
	if w == nil || len(w.Shape) != 2 || n.In[0].Rank() < 2 {
		return false
	}
	op := linear{Op: h.Op, epilogue: epilogue{lo: h.lo, hi: h.hi, res: h.res}, k: w.Shape[0], n: w.Shape[1]}
	rs, cs, alpha, beta := w.Shape[1], 1, float32(1), float32(1)
	if g, ok := h.Op.(ops.Gemm); ok {
		if g.TransA {
			return false
		}
		alpha, beta = g.Alpha, g.Beta
		if g.TransB {
			op.k, op.n, rs, cs = w.Shape[1], w.Shape[0], 1, w.Shape[1]
		}
	}
	if !op.setBias(n.In[2], beta) {
		return false
	}
	data := scaled(l.floats(w), alpha)
	op.sparse = l.sparse(sparseProduct{
		w: data, shape: kernels.SparseShape{K: op.k, N: op.n, RS: rs, CS: cs}, rows: rowsOf(n.Out[0].Type, n.In[0].Rank()-1), in: sparseIn,
	})
	if op.sparse == nil {
		op.packed = share(l, fmt.Sprint("matrix ", op.k, op.n, rs, cs), bytesOf(data), func() ([]float32, int) {
			packed := f32(tensor.Aligned(4 * l.p.set.PackedF32(op.k, op.n)))
			l.p.set.PackF32(packed, data, op.k, op.n, rs, cs)
			return packed, 4 * len(packed)
		})
	}
	in := []*graph.Value{l.plainOf(n.In[0])}
	if h.res {
		in = append(in, l.plainOf(n.In[len(n.In)-1]))
	}
	l.set(l.plain, n, l.emit(n, op, in))
	return true
}

// setBias takes a constant bias that is one number or one a column.
func (l *linear) setBias(v *graph.Value, beta float32) bool {
	if v == nil {
		return true
	}
	if !v.IsConst() || !isFloat(v) {
		return false
	}
	last := 1
	if r := len(v.Const.Shape); r > 0 {
		last = v.Const.Shape[r-1]
	}
	b := scaled(tensor.Floats(v.Const), beta)
	if len(b) != last || last != l.n && last != 1 {
		return false
	}
	l.bias = make([]float32, l.n)
	for i := range l.bias {
		l.bias[i] = b[i%last]
	}
	return true
}

// scaled is a copy of v times f; a factor of one leaves v as it is.
func scaled(v []float32, f float32) []float32 {
	if f == 1 {
		return v
	}
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = x * f
	}
	return out
}

func lowerMatMul(l *lowering, n *graph.Node) bool { return lowerLinear(l, n) || lowerProduct(l, n) }
