package prune

import (
	"fmt"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
)

// Compare tells what pruning, and training after it, left of each weight of before in after, a graph with the same
// constants. It fails if a weight is missing there or has another shape.
func Compare(before, after *graph.Graph) ([]Layer, error) {
	p, err := NewPlan(before, Options{})
	if err != nil {
		return nil, err
	}
	of := constants(after)
	for _, m := range p.all {
		if v := of[m.value.Name]; v == nil || !slices.Equal(v.Const.Shape, m.value.Const.Shape) {
			return nil, fmt.Errorf("layer %q: its weight %q is missing or has another shape", m.label(), m.value.Name)
		}
	}
	r := Result{Graph: after}
	r.report(p)
	return r.Layers, nil
}
