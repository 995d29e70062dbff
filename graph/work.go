package graph

import (
	"fmt"

	"github.com/tfsopt/tfsopt/tensor"
)

// FLOPs counts a multiply-add as two.
func (c Cost) FLOPs() int64 { return 2*c.MACs + c.Ops }

// NodeCost is the work of one node; known is false if the operator counts its work and a shape is not fixed. Operators
// that are not Costed cost nothing.
func NodeCost(n *Node) (c Cost, known bool, err error) {
	op, ok := n.Op.(Costed)
	if !ok {
		return Cost{}, true, nil
	}
	in, out := make([]Type, len(n.In)), make([]Type, len(n.Out))
	for i, v := range n.In {
		if v != nil {
			in[i] = v.Type
		}
	}
	for i, v := range n.Out {
		if v != nil {
			out[i] = v.Type
		}
	}
	for _, list := range [][]Type{in, out} {
		for _, t := range list {
			if _, ok := t.Fixed(); !ok {
				return Cost{}, false, nil
			}
		}
	}
	defer func() {
		if p := recover(); p != nil {
			err = NodeError(n, fmt.Errorf("inputs do not fit the operator: %v", p))
		}
	}()
	return op.Cost(in, out), true, nil
}

// Parameter is a constant tensor of a graph.
type Parameter struct {
	Name   string // of the value, or of the Constant node
	Tensor *tensor.Tensor
}

// Constants lists g's constants, initializers and Constant nodes, bodies too, each tensor once, in the order of their
// first use.
func Constants(g *Graph) []Parameter {
	seen := map[*tensor.Tensor]bool{}
	var out []Parameter
	add := func(name string, t *tensor.Tensor) {
		if t != nil && !seen[t] {
			seen[t] = true
			out = append(out, Parameter{name, t})
		}
	}
	for _, s := range g.States {
		add(s.Name, s.Init)
	}
	g.Walk(func(n *Node) {
		if c, ok := n.Op.(interface{ Tensor() *tensor.Tensor }); ok {
			add(n.Name, c.Tensor())
		}
		for _, v := range n.In {
			if v.IsConst() {
				add(v.Name, v.Const)
			}
		}
	})
	for _, list := range [][]*Value{g.Outputs, g.Unused} {
		for _, v := range list {
			add(v.Name, v.Const)
		}
	}
	return out
}

// Parameters counts the elements of g's constants: see Constants.
func Parameters(g *Graph) int64 {
	total := int64(0)
	for _, p := range Constants(g) {
		total += int64(p.Tensor.Len())
	}
	return total
}
