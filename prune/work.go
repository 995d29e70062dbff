package prune

import (
	"fmt"
	"maps"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// work counts multiply-adds of a graph of which channels go, without cutting them. Its sizes are those of one sample.
type work struct {
	shape    map[*graph.Value][]int // nil where it is not known
	macs     map[*graph.Node]int64
	total    int64
	warnings []string
}

// newWork binds the symbols of a copy of g and keeps the shapes.
func newWork(g *graph.Graph, dims map[string]int) (*work, error) {
	c, values := g.CloneMap()
	one := maps.Clone(dims)
	if one == nil {
		one = map[string]int{}
	}
	for _, v := range c.Inputs {
		v.Shape = append([]graph.Dim{}, v.Shape...)
		for i, d := range v.Shape {
			if i == 0 && !d.Known() {
				v.Shape[0] = graph.Fixed(1)
			}
			for _, name := range d.Names() {
				if _, given := one[name]; !given && i == 0 {
					one[name] = 1
				}
			}
		}
	}
	if err := c.Bind(one); err != nil {
		return nil, err
	}
	w := &work{shape: map[*graph.Value][]int{}, macs: map[*graph.Node]int64{}}
	for v, bound := range values {
		if s, ok := bound.Fixed(); ok {
			w.shape[v] = s
		}
	}
	unknown := 0
	for _, n := range g.Nodes {
		m, known := w.node(n)
		if !known {
			unknown++
		}
		w.macs[n] = m
		w.total += m
	}
	if unknown > 0 {
		w.warnings = append(w.warnings, fmt.Sprintf("the multiply-adds leave out %d operators whose shapes are not known; sizes of dimensions make them so", unknown))
	}
	return w, nil
}

// node counts the multiply-adds of a node with the present shapes.
func (w *work) node(n *graph.Node) (macs int64, known bool) {
	op, ok := n.Op.(graph.Costed)
	if !ok {
		return 0, true
	}
	types := func(list []*graph.Value) []graph.Type {
		out := make([]graph.Type, len(list))
		for i, v := range list {
			if v == nil {
				continue
			}
			s, ok := w.shape[v]
			if !ok {
				known = false
			}
			out[i] = graph.Of(v.DType, graph.Dims(s...)...)
		}
		return out
	}
	known = true
	in, out := types(n.In), types(n.Out)
	if !known {
		return 0, false
	}
	return op.Cost(in, out).MACs, true
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
func (w *work) recount(g *Group, keep bool) (saved int64) {
	for _, n := range g.nodes {
		m, _ := w.node(n)
		saved += w.macs[n] - m
		if keep {
			w.macs[n] = m
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
