package optimize

import (
	"context"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
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
		if v := p.forwarded(n); v != nil {
			e.redirect(n.Out[0], v)
		}
	}
	return e.finish()
}

// forwarded is the input that n's only output surely equals, nil if there is none.
func (p Identity) forwarded(n *graph.Node) *graph.Value {
	op, ok := n.Op.(graph.Forwarder)
	if !ok || !single(n) || p.Training && graph.TraitsOf(op).Learns {
		return nil
	}
	i, ok := op.Forwards(factsOf(n.In), factsOf(n.Out))
	if !ok || n.In[i] == nil || n.In[i].DType != n.Out[0].DType {
		return nil
	}
	return n.In[i]
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
		if !ok || slices.Contains(shape, 0) || !graph.TraitsOf(before.Op).InOrder {
			return
		}
	default:
		return
	}
	e.setIn(n, append([]*graph.Value{before.In[0]}, n.In[1:]...)...)
	e.changes++
}

func outside(r int) func(int) bool { return func(p int) bool { return p < 0 || p >= r } }
