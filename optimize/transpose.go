package optimize

import (
	"context"
	"fmt"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// Transpose removes transposes by computing what stands between them in another order of axes, region by region: see
// Turn. Converters put one before and one after each convolution, with clamps, sums and quantization in between. A
// reshape does not need one that moves dimensions of size 1 alone.
type Transpose struct{}

// maxRounds bounds how often all orders are tried: each choice may bring new transposes together.
const maxRounds = 8

// Name is "transpose".
func (Transpose) Name() string { return "transpose" }

// Apply counts the nodes that it turned or removed.
func (Transpose) Apply(_ context.Context, g *graph.Graph) (int, error) {
	e := edit(g)
	again := true
	for round := 0; again && round < maxRounds; round++ {
		again = false
		e.joinTransposes()
		for _, order := range e.orders() {
			if turned, saved := Turn(g, order, Permutes(order)); saved {
				e.turn(turned, order)
				e.joinTransposes()
				removeDead(g)
				again = true
			}
			if e.b.Err != nil {
				return e.changes, e.b.Err
			}
		}
	}
	for _, n := range slices.Clone(g.Nodes) {
		if _, ok := n.Op.(ops.Reshape); ok {
			e.skipTranspose(n)
		}
	}
	return e.finish()
}

// orders lists the permutations of the graph's transposes and their inverses, in the order in which they appear.
func (e *editor) orders() [][]int {
	var out [][]int
	for _, n := range e.g.Nodes {
		p := perm(n)
		if !permutation(p) || graph.InPlace(p) {
			continue
		}
		for _, o := range [][]int{graph.Inverse(p), p} {
			if !slices.ContainsFunc(out, func(q []int) bool { return slices.Equal(o, q) }) {
				out = append(out, o)
			}
		}
	}
	return out
}

// joinTransposes makes one of two that follow each other, and drops those that do nothing.
func (e *editor) joinTransposes() {
	for _, n := range e.g.Nodes {
		if perm(n) == nil || !single(n) {
			continue
		}
		e.join(n)
		if (Identity{}).forwarded(n) != nil {
			e.redirect(n.Out[0], n.In[0])
		}
	}
}

// turn makes nodes compute on reordered data, with transposes before and after each; those that meet are left to
// joinTransposes.
func (e *editor) turn(turned map[*graph.Node]graph.Permuted, order []int) {
	made := map[string]*graph.Value{} // by value and order
	for _, n := range slices.Clone(e.g.Nodes) {
		p, ok := turned[n]
		if !ok {
			continue
		}
		if p.Op != nil {
			n.Op = p.Op
		}
		in := slices.Clone(n.In)
		for len(in) < len(p.In) && len(p.Const) > 0 {
			in = append(in, nil)
		}
		for i, v := range n.In {
			if i < len(p.In) && p.In[i] != nil && v != nil {
				in[i] = e.ordered(v, p.In[i], made)
			}
		}
		for i, t := range p.Const {
			in[i] = e.revise(in[i], fmt.Sprint(label(n), "_", i), t)
		}
		for len(in) > 0 && in[len(in)-1] == nil {
			in = in[:len(in)-1]
		}
		e.setIn(n, in...)
		e.reorderOutputs(n, p.Out, made)
		e.changes++
	}
	if err := e.g.Sort(); err != nil && e.b.Err == nil {
		e.b.Err = err
	}
}

// reorderOutputs gives n new outputs, from which transposes make the old.
func (e *editor) reorderOutputs(n *graph.Node, orders [][]int, made map[string]*graph.Value) {
	for i, v := range n.Out {
		if v == nil || orders[i] == nil || graph.InPlace(orders[i]) {
			continue
		}
		u := &graph.Value{Name: e.b.Fresh(v.Name), Def: n, Fact: graph.Fact{Type: graph.AnyRank(v.DType)}}
		n.Out[i] = u
		t := &graph.Node{Name: e.b.Fresh(label(n) + "_transpose"), Op: ops.Transpose{Perm: graph.Inverse(orders[i])}, Out: []*graph.Value{v}}
		v.Def = t
		e.setIn(t, u)
		e.g.Nodes = append(e.g.Nodes, t)
		made[fmt.Sprintf("%p %v", v, orders[i])] = u
	}
	if err := graph.InferNode(n); err != nil && e.b.Err == nil {
		e.b.Err = err
	}
}

// ordered gives a value with its axes reordered; one of lower rank gets leading dimensions of 1 first.
func (e *editor) ordered(v *graph.Value, order []int, made map[string]*graph.Value) *graph.Value {
	if v.IsConst() {
		return e.orderedConst(v, order)
	}
	key := fmt.Sprintf("%p %v", v, order)
	if u := made[key]; u != nil {
		return u
	}
	u := v
	if lead := len(order) - v.Rank(); lead > 0 {
		axes := make([]int64, lead)
		for i := range axes {
			axes[i] = int64(i)
		}
		u = e.add(v.Name+"_rank", ops.Unsqueeze{}, u, e.b.Const(v.Name+"_axes", tensor.From(axes, lead)))
	}
	made[key] = e.add(v.Name+"_transpose", ops.Transpose{Perm: order}, u)
	return made[key]
}

// add is a new node with one output.
func (e *editor) add(name string, op graph.Op, in ...*graph.Value) *graph.Value {
	v := e.b.Add(name, op, in...)
	n := v.Def
	n.In = nil
	e.setIn(n, in...)
	return v
}

// orderedConst is ordered for constants, of which those with one element are the same in any order.
func (e *editor) orderedConst(v *graph.Value, order []int) *graph.Value {
	c := v.Const
	if c.Len() == 1 {
		return v
	}
	shape := slices.Concat(slices.Repeat([]int{1}, len(order)-len(c.Shape)), c.Shape)
	out := &tensor.Tensor{}
	x := &graph.Exec{Ctx: context.Background()}
	err := graph.RunKernel(x, ops.Transpose{Perm: order}, []*tensor.Tensor{c.Reshape(shape...)}, []*tensor.Tensor{out})
	if err != nil && e.b.Err == nil {
		e.b.Err = err
	}
	return e.revise(v, v.Name, out)
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
	if !movesOnes(t.In[0].Shape, perm) {
		return
	}
	e.setIn(n, t.In[0], n.In[1])
	e.changes++
}
