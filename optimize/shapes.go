package optimize

import (
	"context"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// Shapes replaces shape computations: small integer tensors that inference knows become constants, and the shape that a
// Reshape computes becomes one if -1 and 0 can say what is not a number in it.
type Shapes struct{}

// Name is "shapes".
func (Shapes) Name() string { return "shapes" }

// Apply counts the constants that it made.
func (Shapes) Apply(_ context.Context, g *graph.Graph) (int, error) {
	e := edit(g)
	for _, n := range g.Nodes {
		for _, v := range n.Out {
			if v == nil || e.index.Leaves[v] || !pure(n) {
				continue
			}
			if t := knownInts(v); t != nil {
				e.freeze(v, t)
			}
		}
	}
	for _, n := range g.Nodes {
		op, ok := n.Op.(ops.Reshape)
		if !ok || op.AllowZero || len(n.In) != 2 || n.In[1].IsConst() || n.In[1].Rank() != 1 || n.In[1].DType != tensor.Int64 {
			continue
		}
		if shape, ok := reshapeTo(n.In[0], n.In[1].Ints); ok {
			e.setIn(n, n.In[0], e.b.Const(label(n)+"_shape", tensor.From(shape, len(shape))))
			e.changes++
		}
	}
	return e.finish()
}

// knownInts is the tensor that inference knows, nil if it does not.
func knownInts(v *graph.Value) *tensor.Tensor {
	if v.Ints == nil || v.Unranked || len(v.Shape) > 1 || !v.DType.IsInt() {
		return nil
	}
	elems, ok := graph.FixedShape(v.Ints)
	if !ok || len(v.Shape) == 0 && len(elems) != 1 || len(v.Shape) == 1 && v.Shape[0].Known() && !v.Shape[0].Is(len(elems)) {
		return nil
	}
	shape := []int{len(elems)}
	if len(v.Shape) == 0 {
		shape = []int{}
	}
	t := tensor.New(v.DType, shape...)
	ints := make([]int64, len(elems))
	for i, n := range elems {
		ints[i] = int64(n)
	}
	if tensor.SetInts(t, ints) != nil || !slices.Equal(tensor.Ints(t), ints) {
		return nil
	}
	return t
}

// reshapeTo says a computed shape in numbers: 0 where x has the same dimension, -1 at one place for what is left.
func reshapeTo(x *graph.Value, dims []graph.Dim) ([]int64, bool) {
	open := 0
	shape := make([]int64, len(dims))
	for i, d := range dims {
		n, isNumber := d.Value()
		switch {
		case isNumber:
			shape[i] = int64(n) // 0 copies, here as there
		case d.Known() && !x.Unranked && i < len(x.Shape) && x.Shape[i] == d:
		default:
			shape[i] = -1
			open++
		}
	}
	return shape, len(dims) > 0 && open <= 1
}
