package engine

import (
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/optimize"
)

// layout lets everything between convolutions and pools, which lower with their channels last, compute so too where that
// saves transposes. The graph then says so, and lowering drops the Transposes between the two forms.
func layout(g *graph.Graph) error {
	for _, rank := range []int{4, 3} {
		order := lastPerm(rank)
		permutes := optimize.Permutes(order)
		err := optimize.Layout(g, order, func(n *graph.Node) (graph.Permuted, optimize.Side) {
			if takesImages(n) {
				return images(n, order), optimize.Turned
			}
			if _, ok := n.Op.(ops.ReduceMax); ok { // fast along the last dimensions only
				return graph.Permuted{}, optimize.Fixed
			}
			return permutes(n)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// takesImages reports whether n's step works with channels last.
func takesImages(n *graph.Node) bool {
	return lowerers[original(n).OpName()].images && len(n.In) > 0 && spatial(n.In[0])
}

// images reorders every operand of an image's rank, but not the weights.
func images(n *graph.Node, order []int) graph.Permuted {
	weight := 0
	if q, ok := original(n).Op.(graph.Quantizable); ok {
		weight = q.Quant().Weight
	}
	p := graph.Permuted{In: make([][]int, len(n.In)), Out: make([][]int, len(n.Out))}
	for i, v := range n.In {
		if v != nil && v.Rank() == len(order) && (i == 0 || i != weight) {
			p.In[i] = order
		}
	}
	if _, ok := n.Op.(ops.ConvWeightGrad); ok {
		return p // the result is a weight
	}
	for i, v := range n.Out {
		if v != nil && v.Rank() == len(order) {
			p.Out[i] = order
		}
	}
	return p
}
