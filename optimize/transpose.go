package optimize

import (
	"context"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// Transpose moves transposes behind elementwise operators, where they meet and cancel: converters put one before and one
// behind each convolution, with clamps and sums in between. A reshape does not need one that moves dimensions of size 1
// alone.
type Transpose struct{}

// Name is "transpose".
func (Transpose) Name() string { return "transpose" }

// Apply counts the nodes that it passed or removed.
func (Transpose) Apply(_ context.Context, g *graph.Graph) (int, error) {
	e := edit(g)
	for _, n := range slices.Clone(g.Nodes) {
		if !single(n) {
			continue
		}
		switch n.Op.(type) {
		case ops.Transpose:
			e.join(n)
			if keepsOrder(n) {
				e.redirect(n.Out[0], n.In[0])
			}
		case ops.Reshape:
			e.skipTranspose(n)
		default:
			if count := elementwise[n.OpName()]; count > 0 && len(n.In) >= count {
				e.sink(n, count)
			}
		}
	}
	return e.finish()
}

// elementwise operators give each element from those at its place in their first inputs, of which this is the number.
var elementwise = map[string]int{
	"Abs": 1, "Cast": 1, "Clip": 1, "Elu": 1, "Erf": 1, "Exp": 1, "HardSigmoid": 1, "HardSwish": 1, "LeakyRelu": 1, "Neg": 1,
	"Relu": 1, "Sigmoid": 1, "Softplus": 1, "Sqrt": 1, "Tanh": 1,
	"Add": 2, "Div": 2, "Max": 2, "Min": 2, "Mul": 2, "PRelu": 2, "Sub": 2,
}

// sink computes n on what stands before the transposes in front of it, and transposes the result. At least one of those
// must have no other reader, so that there are never more transposes than before.
func (e *editor) sink(n *graph.Node, count int) {
	if len(n.In) > count && n.OpName() != "Clip" {
		return
	}
	var perm []int
	gone := false
	for _, v := range n.In[:count] {
		if v.IsConst() {
			continue
		}
		t := made(v, "Transpose")
		if t == nil {
			return
		}
		p := t.Op.(ops.Transpose).Perm
		if p == nil || perm != nil && !slices.Equal(p, perm) || !permutation(p) {
			return
		}
		perm = p
		gone = gone || e.reader(v) != nil || count == 2 && n.In[0] == n.In[1] && len(e.uses[v]) == 2 && !e.leaves[v]
	}
	if !gone {
		return
	}
	in := slices.Clone(n.In)
	for i, v := range in[:count] {
		if t := made(v, "Transpose"); t != nil {
			in[i] = t.In[0]
		} else if in[i] = e.untransposed(v, perm); in[i] == nil {
			return
		}
	}
	e.setIn(n, in...)
	out := n.Out[0]
	u := &graph.Value{Name: e.b.Fresh(out.Name), Def: n, Fact: graph.Fact{Type: graph.AnyRank(out.DType)}}
	n.Out[0] = u
	if err := graph.InferNode(n); err != nil && e.b.Err == nil {
		e.b.Err = err
	}
	t := &graph.Node{Name: e.b.Fresh(label(n) + "_transpose"), Op: ops.Transpose{Perm: perm}, Out: []*graph.Value{out}}
	out.Def = t
	e.setIn(t, u)
	e.g.Nodes = append(e.g.Nodes, t)
	e.changes++
}

func permutation(p []int) bool {
	s := slices.Sorted(slices.Values(p))
	for i, v := range s {
		if i != v {
			return false
		}
	}
	return true
}

// untransposed gives the constant that, transposed by perm, broadcasts as v does; nil if v has too many dimensions.
func (e *editor) untransposed(v *graph.Value, perm []int) *graph.Value {
	c := v.Const
	if len(c.Shape) > len(perm) {
		return nil
	}
	if c.Len() == 1 {
		return v
	}
	shape := slices.Concat(slices.Repeat([]int{1}, len(perm)-len(c.Shape)), c.Shape)
	inverse := make([]int, len(perm))
	for i, p := range perm {
		inverse[p] = i
	}
	out := &tensor.Tensor{}
	err := graph.RunKernel(&graph.Exec{Ctx: context.Background()}, ops.Transpose{Perm: inverse}, []*tensor.Tensor{c.Reshape(shape...)}, []*tensor.Tensor{out})
	if err != nil {
		return nil
	}
	return e.revise(v, v.Name, out)
}

// skipTranspose lets a reshape read what stands before a transpose that leaves the elements in their order.
func (e *editor) skipTranspose(n *graph.Node) {
	t := made(n.In[0], "Transpose")
	if t == nil || t.In[0].Unranked {
		return
	}
	shape, ok := n.In[1].ConstInts()
	perm := t.Op.(ops.Transpose).Perm
	if !ok || slices.Contains(shape, 0) || !permutation(perm) || len(perm) != len(t.In[0].Shape) {
		return
	}
	last := -1
	for _, p := range perm {
		if t.In[0].Shape[p].Is(1) {
			continue
		}
		if p < last {
			return
		}
		last = p
	}
	e.setIn(n, t.In[0], n.In[1])
	e.changes++
}
