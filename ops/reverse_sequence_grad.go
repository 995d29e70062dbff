package ops

import "github.com/tfsopt/tfsopt/graph"

// Grad turns dy around as the input was.
func (o ReverseSequence) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil || !flowsTo(n, 0) {
		return none(n)
	}
	return to(n, gradient(b, n).node(o, dOut[0], n.In[1]))
}
