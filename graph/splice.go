package graph

import "fmt"

// Splice appends a copy of body's nodes to the graph that b builds and gives what body's outputs are there: args stand for
// its inputs, captured values last. Every value and node keeps its name if that is free, else it gets a fresh one;
// bodies inside go along. A body has neither signatures nor states: such a graph is an error, as is another number of
// arguments.
func (b *Builder) Splice(body *Graph, args ...*Value) ([]*Value, error) {
	if len(args) != len(body.Inputs) {
		return nil, fmt.Errorf("%d arguments for the %d inputs of %q", len(args), len(body.Inputs), body.Name)
	}
	if len(body.States) > 0 || len(body.Signatures) > 0 {
		return nil, fmt.Errorf("%q has states or signatures: it is a model, not a body", body.Name)
	}
	body = body.Clone()
	here := map[*Value]*Value{nil: nil}
	for i, v := range body.Inputs {
		here[v] = args[i]
	}
	own := func(v *Value) *Value {
		if w, ok := here[v]; ok {
			return w
		}
		v.Name = b.Fresh(v.Name)
		here[v] = v
		return v
	}
	for _, n := range body.Nodes {
		for i, v := range n.In {
			n.In[i] = own(v)
		}
		for i, v := range n.Out {
			n.Out[i] = own(v)
		}
		n.Name = b.Fresh(n.Name)
	}
	b.G.Nodes = append(b.G.Nodes, body.Nodes...)
	out := make([]*Value, len(body.Outputs))
	for i, v := range body.Outputs {
		out[i] = own(v)
	}
	return out, nil
}
