package prune

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// describe fills in layers and groups, before the graph is cut.
func (r *ChannelReport) describe(p *channelPlan, k kept) {
	reasons := map[axisOf]string{}
	for i, g := range p.groups {
		left := g.Channels
		for _, gone := range p.gone[i] {
			if gone {
				left--
			}
		}
		if 4*left < g.Channels {
			r.Warnings = append(r.Warnings, fmt.Sprintf("%q keeps %d of %d channels, so few that fine-tuning may not make up for it; a higher minimum share spreads the cut", g.Name, left, g.Channels))
		}
		r.Groups = append(r.Groups, ChannelGroup{g.Name, g.Nodes, [2]int{g.Channels, left}, g.Reason})
		for _, s := range g.spans {
			if g.Reason != "" {
				reasons[axisOf{s.Value, s.Axis}] = g.Reason
			}
		}
	}
	for _, n := range p.g.Nodes {
		w, axis, ok := outputAxis(n)
		if !ok {
			continue
		}
		before := w.Const.Shape[axis]
		after := before
		if left := k[axisOf{w, axis}]; left != nil {
			after = len(left)
		}
		r.nodes = append(r.nodes, n)
		r.Layers = append(r.Layers, ChannelLayer{
			Name: n.Name, Op: n.OpName(), Channels: [2]int{before, after},
			MACs: [2]int64{p.first[n], p.work.macs[n]}, Bytes: [2]int64{constantBytes(n)}, Reason: reasons[axisOf{w, axis}],
		})
	}
}

// measure fills in the bytes once the graph is cut.
func (r *ChannelReport) measure(g *graph.Graph) {
	for i, n := range r.nodes {
		r.Layers[i].Bytes[1] = constantBytes(n)
	}
	r.Bytes[1] = storedBytes(g)
}

// constantBytes is what a node's constants take.
func constantBytes(n *graph.Node) int64 {
	var total int64
	seen := map[*tensor.Tensor]bool{}
	for _, v := range n.In {
		if v.IsConst() && !seen[v.Const] {
			seen[v.Const] = true
			total += int64(v.Const.Bytes())
		}
	}
	return total
}
