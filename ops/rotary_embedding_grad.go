package ops

import "github.com/tfsopt/tfsopt/graph"

// Grad rotates back: the gradient of X is the rotation by the negative angles. The caches are held to be constant.
func (o RotaryEmbedding) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil {
		return none(n)
	}
	f := gradient(b, n)
	return to(n, f.node(o, append([]*graph.Value{dOut[0], n.In[1], f.neg(n.In[2])}, n.In[3:]...)...))
}
