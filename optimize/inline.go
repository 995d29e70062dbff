package optimize

import (
	"context"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// Inline puts the branch that an If always takes into its place.
type Inline struct{}

// Name is "inline".
func (Inline) Name() string { return "inline" }

// Apply counts the branches that it moved.
func (Inline) Apply(_ context.Context, g *graph.Graph) (int, error) {
	e := edit(g)
	for _, n := range slices.Clone(g.Nodes) {
		op, ok := n.Op.(ops.If)
		if !ok || !n.In[0].IsConst() || n.In[0].DType != tensor.Bool || n.In[0].Const.Len() != 1 {
			continue
		}
		branch := op.Else
		if tensor.Ints(n.In[0].Const)[0] != 0 {
			branch = op.Then
		}
		e.inline(n, branch.Clone())
	}
	return e.finish()
}

// inline moves body's nodes into the graph and lets the readers of n read its outputs. What it captures are n's last
// inputs.
func (e *editor) inline(n *graph.Node, body *graph.Graph) {
	outside := map[*graph.Value]*graph.Value{nil: nil}
	for i, v := range body.Inputs {
		outside[v] = n.In[len(n.In)-len(body.Inputs)+i]
	}
	own := func(v *graph.Value) *graph.Value {
		if w, ok := outside[v]; ok {
			return w
		}
		v.Name = e.b.Fresh(v.Name)
		outside[v] = v
		return v
	}
	for _, m := range body.Nodes {
		in := make([]*graph.Value, len(m.In))
		for i, v := range m.In {
			in[i] = own(v)
		}
		m.In = nil
		e.setIn(m, in...)
		for i, v := range m.Out {
			m.Out[i] = own(v)
		}
		m.Name = e.b.Fresh(m.Name)
	}
	e.g.Nodes = append(e.g.Nodes, body.Nodes...)
	for i, v := range n.Out {
		if v == nil {
			continue
		}
		result := own(body.Outputs[i])
		if e.redirect(v, result); !e.leaves[v] {
			continue
		}
		same := &graph.Node{Name: e.b.Fresh(v.Name), Op: ops.Identity{}, Out: []*graph.Value{v}}
		n.Out[i], v.Def = nil, same
		e.setIn(same, result)
		e.g.Nodes = append(e.g.Nodes, same)
		e.changes++
	}
}
