package graph

import (
	"fmt"
	"slices"

	"github.com/tfsopt/tfsopt/tensor"
)

// Infer sorts the graph and computes the type of every node's outputs. What an operator does not know stays as the
// file declared it. A result that contradicts the operator's own rules is an OpError.
func (g *Graph) Infer() error {
	if err := g.Sort(); err != nil {
		return err
	}
	for _, n := range g.Nodes {
		if err := InferNode(n); err != nil {
			return err
		}
	}
	return nil
}

// InferNode computes the types of one node's outputs from its inputs. A panic in the operator, which hostile shapes
// could provoke, becomes an error.
func InferNode(n *Node) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = NodeError(n, fmt.Errorf("inputs do not fit the operator: %v", p))
		}
	}()
	in := make([]Fact, len(n.In))
	for i, v := range n.In {
		if v != nil {
			in[i] = v.Fact
		}
	}
	types, err := n.Op.Infer(in, len(n.Out))
	if err != nil {
		return NodeError(n, err)
	}
	if len(types) < len(n.Out) {
		return NodeError(n, fmt.Errorf("has %d outputs, the operator has %d", len(n.Out), len(types)))
	}
	var ints []Dim
	if s, ok := n.Op.(Shaper); ok {
		ints = s.Ints(in)
	}
	for i, v := range n.Out {
		if v == nil {
			continue
		}
		v.Fact = Fact{Type: merge(types[i], v.Type)}
		if i == 0 && ints != nil && len(ints) <= maxInts {
			v.Ints = ints
		}
	}
	return nil
}

// merge fills what is unknown in the inferred type from the declared one.
func merge(t, declared Type) Type {
	if t.DType == tensor.Undefined {
		t.DType = declared.DType
	}
	if t.Elem != nil || t.DType == tensor.Sequence || t.DType == tensor.Optional {
		if t.Elem == nil || t.Elem.DType == tensor.Undefined {
			t.Elem = declared.Elem
		}
		return t
	}
	if declared.DType != t.DType || declared.Unranked {
		return t
	}
	if t.Unranked {
		return declared
	}
	if len(t.Shape) != len(declared.Shape) {
		return t
	}
	shape := append([]Dim{}, t.Shape...)
	for i, d := range shape {
		if !d.Known() {
			shape[i] = declared.Shape[i]
		}
	}
	t.Shape = shape
	return t
}

// Bind replaces symbolic dimensions of the inputs by sizes and infers the graph anew. Names that the inputs do not
// have are an error.
func (g *Graph) Bind(sizes map[string]int) error {
	seen := map[string]bool{}
	for _, v := range g.Inputs {
		v.Shape = slices.Clone(v.Shape)
		for i, d := range v.Shape {
			for _, name := range d.Names() {
				seen[name] = true
			}
			v.Shape[i] = d.Bind(sizes)
		}
	}
	for name := range sizes {
		if !seen[name] {
			return fmt.Errorf("no input has a dimension named %q", name)
		}
	}
	return g.Infer()
}
