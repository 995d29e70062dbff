package optimize

import (
	"context"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
)

// Gemm makes one Gemm of a MatMul of matrices and the constant that is added after it, and lets a Gemm transpose its
// sides itself.
type Gemm struct{}

// Name is "gemm".
func (Gemm) Name() string { return "gemm" }

// Apply counts the nodes that it joined.
func (Gemm) Apply(_ context.Context, g *graph.Graph) (int, error) {
	e := edit(g)
	for _, n := range g.Nodes {
		if n.OpName() == "MatMul" && single(n) {
			e.addBias(n)
		}
		if n.OpName() == "Gemm" {
			e.transposeSides(n)
		}
	}
	return e.finish()
}

func (e *editor) addBias(n *graph.Node) {
	if n.In[0].Rank() != 2 || n.In[1].Rank() != 2 || !n.In[0].DType.IsFloat() {
		return
	}
	add := e.reader(n.Out[0])
	if add == nil || add.OpName() != "Add" {
		return
	}
	bias := add.In[0]
	if bias == n.Out[0] {
		bias = add.In[1]
	}
	columns, ok := n.In[1].Shape[1].Value()
	if !ok || !rowOf(bias, columns) {
		return
	}
	n.Op = ops.Gemm{Alpha: 1, Beta: 1}
	e.absorb(n, add)
	e.setIn(n, n.In[0], n.In[1], bias)
}

// rowOf reports whether v is constant, or dequantized from a constant, and is one row of a matrix.
func rowOf(v *graph.Value, columns int) bool {
	dq := made(v, "DequantizeLinear")
	if !v.IsConst() && (dq == nil || !dq.In[0].IsConst()) {
		return false
	}
	shape, ok := v.Fixed()
	if !ok || len(shape) > 2 || len(shape) == 2 && shape[0] != 1 {
		return false
	}
	return len(shape) == 0 || shape[len(shape)-1] == 1 || shape[len(shape)-1] == columns
}

// transposeSides lets n read what stands before a Transpose.
func (e *editor) transposeSides(n *graph.Node) {
	for i := range 2 {
		t := made(n.In[i], "Transpose")
		if t == nil || t.In[0].Rank() != 2 {
			continue
		}
		if perm := t.Op.(ops.Transpose).Perm; perm != nil && !slices.Equal(perm, []int{1, 0}) {
			continue
		}
		op := n.Op.(ops.Gemm)
		if i == 0 {
			op.TransA = !op.TransA
		} else {
			op.TransB = !op.TransB
		}
		n.Op = op
		in := slices.Clone(n.In)
		in[i] = t.In[0]
		e.setIn(n, in...)
		e.changes++
	}
}
