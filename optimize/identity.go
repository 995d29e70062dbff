package optimize

import (
	"context"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// Identity removes nodes that give back their input: Identity, Dropout outside of training, casts to the same type,
// reshapes, transposes, slices and pads that change nothing, arithmetic with a neutral constant (x + 0 makes a zero
// positive, which we do not count as a change). It joins two transposes, or two reshapes, into one,
// and makes a Sum of two an Add.
type Identity struct {
	// Training keeps what training gives a meaning: Dropout, and constants that are neutral only until they learn.
	Training bool
}

// Name is "identity".
func (Identity) Name() string { return "identity" }

// Apply counts the nodes that it removed or joined.
func (p Identity) Apply(_ context.Context, g *graph.Graph) (int, error) {
	e := edit(g)
	for _, n := range g.Nodes {
		if n.OpName() == "Sum" && len(n.In) == 2 {
			n.Op = ops.Add{}
			e.changes++
		}
		e.join(n)
		i, ok := -1, false
		if rule := identities[n.OpName()]; rule != nil && single(n) && !(p.Training && learns[n.OpName()]) {
			i, ok = rule(n)
		}
		if ok && n.In[i] != nil && n.In[i].DType == n.Out[0].DType {
			e.redirect(n.Out[0], n.In[i])
		}
	}
	return e.finish()
}

// identities tells of each operator when its output is one of its inputs, and which.
var identities = map[string]func(n *graph.Node) (int, bool){
	"Identity":  func(*graph.Node) (int, bool) { return 0, true },
	"Dropout":   inference,
	"Cast":      func(n *graph.Node) (int, bool) { return 0, n.In[0].DType == tensor.DType(n.Op.(ops.Cast).To) },
	"CastLike":  func(n *graph.Node) (int, bool) { return 0, known(n.In[0]) && n.In[0].DType == n.In[1].DType },
	"Reshape":   sameShape,
	"Flatten":   sameShape,
	"Squeeze":   sameShape,
	"Unsqueeze": sameShape,
	"Expand":    sameShape,
	"Tile":      sameShape,
	"Slice":     wholeSlice,
	"Pad":       noPads,
	"Transpose": func(n *graph.Node) (int, bool) { return 0, keepsOrder(n) },
	"Concat":    only,
	"Sum":       only,
	"Mean":      only,
	"Min":       only,
	"Max":       only,
	"Mul":       func(n *graph.Node) (int, bool) { return neutral(n, 1, 2) },
	"Div":       func(n *graph.Node) (int, bool) { return neutral(n, 1, 1) },
	"Add":       func(n *graph.Node) (int, bool) { return neutral(n, 0, 2) },
	"Sub":       func(n *graph.Node) (int, bool) { return neutral(n, 0, 1) },
	"Pow":       func(n *graph.Node) (int, bool) { return neutral(n, 1, 1) },
}

// learns are the identities that training may end.
var learns = map[string]bool{"Dropout": true, "Mul": true, "Div": true, "Add": true, "Sub": true, "Pow": true}

func known(v *graph.Value) bool { return v.DType != tensor.Undefined }

func inference(n *graph.Node) (int, bool) {
	mode := input(n, 2)
	return 0, mode == nil || mode.IsConst() && mode.Const.Len() == 1 && tensor.Ints(mode.Const)[0] == 0
}

func only(n *graph.Node) (int, bool) { return 0, len(n.In) == 1 }

func sameShape(n *graph.Node) (int, bool) { return 0, equalShapes(n.In[0], n.Out[0]) }

// wholeSlice holds for a slice of the full size that does not go backwards.
func wholeSlice(n *graph.Node) (int, bool) {
	steps := input(n, 4)
	if steps != nil {
		s, ok := steps.ConstInts()
		if !ok || slices.ContainsFunc(s, func(i int) bool { return i < 1 }) {
			return 0, false
		}
	}
	return sameShape(n)
}

func noPads(n *graph.Node) (int, bool) {
	pads, ok := n.In[1].ConstInts()
	return 0, ok && !slices.ContainsFunc(pads, func(p int) bool { return p != 0 })
}

func keepsOrder(n *graph.Node) bool {
	perm := n.Op.(ops.Transpose).Perm
	if perm == nil {
		return n.In[0].Rank() == 0 || n.In[0].Rank() == 1
	}
	for i, p := range perm {
		if i != p {
			return false
		}
	}
	return true
}

// neutral finds the constant whose elements are all `value` among the last inputs of two, and gives the other input
// if that has the output's shape.
func neutral(n *graph.Node, value float64, places int) (int, bool) {
	for i := 1; i > 1-places; i-- {
		c, x := n.In[i], n.In[1-i]
		if !c.IsConst() || c.Const.Len() == 0 || c.Const.Len() > 1<<16 || !equalShapes(x, n.Out[0]) {
			continue
		}
		v := tensor.Doubles(c.Const)
		if v != nil && !slices.ContainsFunc(v, func(e float64) bool { return e != value }) {
			return 1 - i, true
		}
	}
	return 0, false
}

// join lets a transpose or reshape read what stands before another one in front of it.
func (e *editor) join(n *graph.Node) {
	if len(n.In) == 0 || n.In[0] == nil || n.In[0].Def == nil {
		return
	}
	before := n.In[0].Def
	switch op := n.Op.(type) {
	case ops.Transpose:
		first, ok := before.Op.(ops.Transpose)
		if !ok || first.Perm == nil || len(op.Perm) != len(first.Perm) || slices.ContainsFunc(op.Perm, outside(len(op.Perm))) {
			return
		}
		perm := make([]int, len(op.Perm))
		for i, p := range op.Perm {
			perm[i] = first.Perm[p]
		}
		n.Op = ops.Transpose{Perm: perm}
	case ops.Reshape:
		shape, ok := n.In[1].ConstInts()
		if !ok || slices.Contains(shape, 0) || !reshapes[before.OpName()] {
			return
		}
	default:
		return
	}
	e.setIn(n, append([]*graph.Value{before.In[0]}, n.In[1:]...)...)
	e.changes++
}

func outside(r int) func(int) bool { return func(p int) bool { return p < 0 || p >= r } }

// reshapes keep the elements in their order.
var reshapes = map[string]bool{"Reshape": true, "Flatten": true, "Squeeze": true, "Unsqueeze": true}
