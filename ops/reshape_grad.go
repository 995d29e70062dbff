package ops

import (
	"slices"

	"github.com/tfsopt/tfsopt/graph"
)

// reshaped is the gradient of an operator that changes the shape alone.
func reshaped(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil {
		return none(n)
	}
	return to(n, gradient(b, n).like(dOut[0], n.In[0]))
}

// Grad is dy in the input's shape.
func (Reshape) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return reshaped(b, n, dOut)
}

// Grad is dy in the input's shape.
func (Flatten) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return reshaped(b, n, dOut)
}

// Grad is dy in the input's shape.
func (Squeeze) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return reshaped(b, n, dOut)
}

// Grad is dy in the input's shape.
func (Unsqueeze) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return reshaped(b, n, dOut)
}

// Grad is dy with its dimensions put back.
func (o Transpose) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil {
		return none(n)
	}
	f := gradient(b, n)
	perm, err := o.perm(len(f.shape(n.In[0])))
	if err != nil {
		return fail(b, n, "%v", err)
	}
	return to(n, f.transpose(dOut[0], inverse(perm)))
}

// Grad is the sum of dy over what was repeated.
func (Expand) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil {
		return none(n)
	}
	f := gradient(b, n)
	return to(n, f.sumTo(dOut[0], f.shape(n.In[0])))
}

// Grad is the sum of dy over the copies.
func (Tile) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil {
		return none(n)
	}
	f := gradient(b, n)
	from, tiled := f.shape(n.In[0]), f.shape(dOut[0])
	var both, copies []int
	for i, d := range from {
		r := tiled[i] / max(d, 1)
		if r != 1 {
			copies = append(copies, len(both))
		}
		both = append(both, r, d)
	}
	return to(n, f.reshape(f.sum(f.reshape(dOut[0], both), false, copies...), from))
}

// Grad cuts dy into the parts that the inputs were.
func (o Concat) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	dy := dOut[0]
	if dy == nil {
		return none(n)
	}
	if len(n.In) == 1 {
		return to(n, dy)
	}
	f := gradient(b, n)
	a, err := axis(o.Axis, len(f.shape(dy)))
	if err != nil || b.Err != nil {
		return fail(b, n, "%v", err)
	}
	var sizes []int
	for _, v := range n.In {
		if s := f.shape(v); s != nil {
			sizes = append(sizes, s[a])
		}
	}
	return b.AddN(f.name, len(n.In), Split{Axis: a}, dy, f.ints(sizes...))
}

// Grad joins the gradients of the parts; those that have none are zeros.
func (o Split) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if !slices.ContainsFunc(dOut, func(v *graph.Value) bool { return v != nil }) {
		return none(n)
	}
	f := gradient(b, n)
	types, err := o.Infer(factsOf(n.In), len(n.Out))
	if err != nil {
		return fail(b, n, "%v", err)
	}
	all := slices.Clone(dOut)
	for i, dy := range dOut {
		if dy == nil { // also of a part that nobody reads
			all[i] = f.zeros(&graph.Value{Name: n.Name, Fact: graph.Fact{Type: types[i]}})
		}
	}
	return to(n, f.join(o.Axis, all...))
}

// join concatenates.
func (f formula) join(a int, parts ...*graph.Value) *graph.Value {
	if len(parts) == 1 {
		return parts[0]
	}
	return f.node(Concat{Axis: a}, parts...)
}

// factsOf gives what is known of values, of which some may be omitted.
func factsOf(v []*graph.Value) []graph.Fact {
	return mapSlice(v, func(v *graph.Value) graph.Fact {
		if v == nil {
			return graph.Fact{}
		}
		return v.Fact
	})
}

// Grad moves the positions back into channels.
func (o DepthToSpace) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil {
		return none(n)
	}
	return to(n, gradient(b, n).node(SpaceToDepth(o), dOut[0]))
}

// Grad moves the channels back into positions.
func (o SpaceToDepth) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil {
		return none(n)
	}
	return to(n, gradient(b, n).node(DepthToSpace(o), dOut[0]))
}

// Grad keeps the same part of dy.
func (o Trilu) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil {
		return none(n)
	}
	return to(n, gradient(b, n).node(o, append([]*graph.Value{dOut[0]}, n.In[1:]...)...))
}
