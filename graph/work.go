package graph

import (
	"fmt"

	"github.com/tfsopt/tfsopt/tensor"
)

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

// Parameters counts the elements of g's constants, initializers and Constant nodes, bodies too, each tensor once.
func Parameters(g *Graph) int64 {
	seen := map[*tensor.Tensor]bool{}
	total := int64(0)
	count := func(t *tensor.Tensor) {
		if t != nil && !seen[t] {
			seen[t] = true
			total += int64(t.Len())
		}
	}
	for _, v := range g.Unused {
		count(v.Const)
	}
	for _, v := range g.Outputs {
		count(v.Const)
	}
	for _, s := range g.States {
		count(s.Init)
	}
	g.Walk(func(n *Node) {
		if c, ok := n.Op.(interface{ Tensor() *tensor.Tensor }); ok {
			count(c.Tensor())
		}
		for _, v := range n.In {
			if v.IsConst() {
				count(v.Const)
			}
		}
	})
	return total
}
