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
		if err := e.inline(n, branch); err != nil {
			return 0, graph.NodeError(n, err)
		}
	}
	return e.finish()
}

// inline puts body into the graph and lets the readers of n read its outputs. What it captures are n's last inputs.
func (e *editor) inline(n *graph.Node, body *graph.Graph) error {
	first := len(e.g.Nodes)
	results, err := e.b.Splice(body, n.In[len(n.In)-len(body.Inputs):]...)
	if err != nil {
		return err
	}
	for _, m := range e.g.Nodes[first:] {
		in := m.In
		m.In = nil
		e.setIn(m, in...)
	}
	for i, v := range n.Out {
		if v == nil {
			continue
		}
		if e.redirect(v, results[i]); !e.index.Leaves[v] {
			continue
		}
		same := &graph.Node{Name: e.b.Fresh(v.Name), Op: ops.Identity{}, Out: []*graph.Value{v}}
		n.Out[i], v.Def = nil, same
		e.setIn(same, results[i])
		e.g.Nodes = append(e.g.Nodes, same)
		e.changes++
	}
	return nil
}
