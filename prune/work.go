package prune

import (
	"errors"
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// work counts multiply-adds and other operations of a graph of which channels go, without cutting them. Its sizes are those
// of one sample.
type work struct {
	shape    map[*graph.Value][]int // nil where it is not known
	macs     map[*graph.Node]int64
	ops      map[*graph.Node]int64
	total    int64 // multiply-adds
	flops    int64 // with bodies
	warnings []string
}

// newWork binds the symbols of a copy of g and keeps the shapes.
func newWork(g *graph.Graph, dims map[string]int) (*work, error) {
	c, values, chosen, err := g.OneSample(dims)
	if err != nil {
		return nil, err
	}
	w := &work{shape: map[*graph.Value][]int{}, macs: map[*graph.Node]int64{}, ops: map[*graph.Node]int64{}}
	for v, bound := range values {
		if s, ok := bound.Fixed(); ok {
			w.shape[v] = s
		}
	}
	if chosen != "" {
		w.warnings = append(w.warnings, fmt.Sprintf("the work is that for %s", chosen))
	}
	unknown := 0
	c.Walk(func(n *graph.Node) {
		cost, known, nerr := graph.NodeCost(n)
		if !known {
			unknown++
		}
		w.flops += cost.FLOPs()
		err = errors.Join(err, nerr)
	})
	if err != nil {
		return nil, err
	}
	for _, n := range g.Nodes {
		cost := w.node(n)
		w.macs[n], w.ops[n] = cost.MACs, cost.Ops
		w.total += cost.MACs
	}
	if unknown > 0 {
		w.warnings = append(w.warnings, fmt.Sprintf("the multiply-adds leave out %d operators whose shapes are not known; sizes of dimensions make them so", unknown))
	}
	return w, nil
}

// node counts the work of a node with the present shapes, none where they are not known.
func (w *work) node(n *graph.Node) graph.Cost {
	op, ok := n.Op.(graph.Costed)
	if !ok {
		return graph.Cost{}
	}
	known := true
	types := func(list []*graph.Value) []graph.Type {
		out := make([]graph.Type, len(list))
		for i, v := range list {
			if v == nil {
				continue
			}
			s, ok := w.shape[v]
			known = known && ok
			out[i] = graph.Of(v.DType, graph.Dims(s...)...)
		}
		return out
	}
	in, out := types(n.In), types(n.Out)
	if !known {
		return graph.Cost{}
	}
	return op.Cost(in, out)
}

// shrink takes n channels' positions off the shapes of a group, without counting anew; a negative n puts them back.
func (w *work) shrink(g *Group, channels []int, sign int) {
	for _, s := range g.spans {
		shape := w.shape[s.Value]
		if shape == nil {
			continue
		}
		for _, c := range channels {
			shape[s.Axis] -= sign * len(s.Positions[c])
		}
	}
}

// recount counts a group's nodes anew and gives the difference to what was.
func (w *work) recount(g *Group, keep bool) (saved graph.Cost) {
	for _, n := range g.nodes {
		c := w.node(n)
		saved.MACs += w.macs[n] - c.MACs
		saved.Ops += w.ops[n] - c.Ops
		if keep {
			w.macs[n], w.ops[n] = c.MACs, c.Ops
		}
	}
	return saved
}

// bytes is what a group's constants take with the present shapes.
func (w *work) bytes(g *Group) int64 {
	var total int64
	seen := map[*graph.Value]bool{}
	for _, s := range g.Slices {
		if !seen[s.Value] {
			seen[s.Value] = true
			total += int64(s.Value.DType.Bytes(tensor.Size(w.shape[s.Value])))
		}
	}
	return total
}

// storedBytes is what a graph's constants take, each tensor once.
func storedBytes(g *graph.Graph) int64 {
	var total int64
	seen := map[*tensor.Tensor]bool{}
	for _, v := range g.Values() {
		if v.IsConst() && !seen[v.Const] {
			seen[v.Const] = true
			total += int64(v.Const.Bytes())
		}
	}
	return total
}
