package prune

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
)

// Group is a set of channels of which each can be cut without the others: they run along the same axes of the same
// values. Cutting one takes its positions out of every slice.
type Group struct {
	Name     string   // of the first node that makes the channels, with #2 and so on for further groups of that node
	Channels int      // how many there are
	Slices   []Slice  // of constants
	Nodes    []string // that read or make the channels, in the graph's order
	Reason   string   // why none of them can be cut; "" if they can

	stays []string // why single channels must stay; nil: none must
	free  []bool   // channels that change nothing; nil: none is known
	spans []Slice  // of all values, constants or not
	nodes []*graph.Node
}

// Slice is an axis along which a group's channels run: Positions[c] are those of channel c.
type Slice struct {
	Value     *graph.Value
	Axis      int
	Positions [][]int
}

// Groups finds the groups of channels in a graph whose types are inferred: those that can be cut, and those output
// channels of weights that cannot, with the reason.
func Groups(g *graph.Graph) ([]*Group, error) {
	p, err := newPositions(g)
	if err != nil {
		return nil, err
	}
	if err := p.follow(); err != nil {
		return nil, err
	}
	return p.groups(), nil
}

// outputAxis is the axis of output channels of the weight of a convolution or product; ok only if that is a constant.
func outputAxis(n *graph.Node) (w *graph.Value, axis int, ok bool) {
	q, can := n.Op.(graph.Quantizable)
	if !can {
		return nil, 0, false
	}
	quant := q.Quant()
	if quant.Weight <= 0 || quant.Weight >= len(n.In) || !n.In[quant.Weight].IsConst() {
		return nil, 0, false
	}
	w, axis = n.In[quant.Weight], quant.Axis
	if r := w.Rank(); n.OpName() == "MatMul" && r > 2 {
		axis = r - 1
	}
	return w, axis, w.Const.IsFloat() && axis < w.Rank()
}

// class is one channel: its positions, ascending.
type class struct{ members []int32 }

// groups gathers the classes that may be cut and those of output channels, by the axes along which they run.
func (p *positions) groups() []*Group {
	shown := p.outputs()
	index := map[int32]int{}
	var classes []class
	for id := range p.parent {
		root := p.find(int32(id))
		if p.why[root] != 0 && !shown[root] {
			continue
		}
		i, ok := index[root]
		if !ok {
			i = len(classes)
			index[root] = i
			classes = append(classes, class{})
		}
		classes[i].members = append(classes[i].members, int32(id))
	}
	byKey := map[string]int{}
	var groups []*Group
	for _, c := range classes {
		places := p.placesOf(c)
		if !slices.ContainsFunc(places, func(i int) bool { return p.places[i].value.IsConst() }) {
			continue
		}
		reason := p.stays(c.members[0])
		key := keyOf(places) + reason
		i, ok := byKey[key]
		if !ok {
			i = len(groups)
			byKey[key] = i
			groups = append(groups, p.newGroup(places, reason))
		}
		p.add(groups[i], c)
	}
	names := map[string]int{}
	for _, g := range groups {
		if g.finish(p.g); g.Reason == "" && !g.made() {
			g.Reason = "no weight makes them"
		}
		if names[g.Name]++; names[g.Name] > 1 {
			g.Name = fmt.Sprintf("%s#%d", g.Name, names[g.Name])
		}
	}
	return groups
}

// outputs are the classes of the output channels of weights.
func (p *positions) outputs() map[int32]bool {
	out := map[int32]bool{}
	for _, n := range p.g.Nodes {
		if w, axis, ok := outputAxis(n); ok {
			if q := p.place(w, axis); q != nil {
				for i := range q.size {
					out[p.find(q.base+int32(i))] = true
				}
			}
		}
	}
	return out
}

// placesOf lists the places of a class's positions, each once.
func (p *positions) placesOf(c class) []int {
	var out []int
	for _, id := range c.members {
		if n := len(out); n == 0 || id >= p.places[out[n-1]].base+int32(p.places[out[n-1]].size) {
			out = append(out, p.owner(id))
		}
	}
	return out
}

func keyOf(places []int) string {
	b := make([]byte, 0, 4*len(places))
	for _, i := range places {
		b = binary.LittleEndian.AppendUint32(b, uint32(i))
	}
	return string(b)
}

func (p *positions) newGroup(places []int, reason string) *Group {
	g := &Group{Reason: reason}
	for _, i := range places {
		g.spans = append(g.spans, Slice{Value: p.places[i].value, Axis: p.places[i].axis})
	}
	return g
}

// add appends a channel.
func (p *positions) add(g *Group, c class) {
	g.Channels++
	for i := range g.spans {
		s := &g.spans[i]
		q := p.place(s.Value, s.Axis)
		var at []int
		for len(c.members) > 0 && c.members[0] < q.base+int32(q.size) {
			at = append(at, int(c.members[0]-q.base))
			c.members = c.members[1:]
		}
		s.Positions = append(s.Positions, at)
	}
}

// finish fills in what the spans tell.
func (g *Group) finish(of *graph.Graph) {
	mine := map[*graph.Value]bool{}
	for _, s := range g.spans {
		mine[s.Value] = true
		if s.Value.IsConst() {
			g.Slices = append(g.Slices, s)
		}
	}
	touches := func(v *graph.Value) bool { return mine[v] }
	for _, n := range of.Nodes {
		if !slices.ContainsFunc(n.In, touches) && !slices.ContainsFunc(n.Out, touches) {
			continue
		}
		g.nodes = append(g.nodes, n)
		g.Nodes = append(g.Nodes, n.Name)
		if w, axis, ok := outputAxis(n); ok && g.Name == "" && g.runs(w, axis) {
			g.Name = n.Name
		}
	}
	if g.Name == "" {
		g.Name = g.Slices[0].Value.Name
	}
}

// made reports whether a node makes the channels out of a weight. Those of a constant that inputs are compared with, as in
// a one-hot encoding, only choose among the features of the input.
func (g *Group) made() bool {
	mine := map[*graph.Value]bool{}
	for _, s := range g.spans {
		mine[s.Value] = true
	}
	return slices.ContainsFunc(g.nodes, func(n *graph.Node) bool {
		w, axis, ok := outputAxis(n)
		return ok && g.runs(w, axis) || slices.ContainsFunc(n.Out, func(v *graph.Value) bool { return mine[v] }) &&
			slices.ContainsFunc(n.In, func(v *graph.Value) bool { return mine[v] && v.IsConst() && !isVector(v.Const.Shape) })
	})
}

// runs reports whether the group's channels run along an axis of v.
func (g *Group) runs(v *graph.Value, axis int) bool {
	return slices.ContainsFunc(g.spans, func(s Slice) bool { return s.Value == v && s.Axis == axis })
}
