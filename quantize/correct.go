package quantize

import (
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// correctPasses bounds the runs over the samples that bias correction takes.
const correctPasses = 64

// correct adds to each bias what the mean of the layer's output lost (Nagel et al., Data-Free Quantization Through
// Weight Equalization and Bias Correction, arXiv 1906.04721, with the calibration samples instead of assumptions). It
// goes from the first layer to the last, each against what stands before it already corrected; neighbours of which none
// stands before another have one pass, and where there would be too many passes, other neighbours too.
func (s *session) correct(p *placement, layers []*layer, c *calibration) error {
	r := &resume{budget: resumeBudget}
	for _, some := range together(p.g, layers) {
		if err := s.correctSome(p, correcting{layers, some, c, r}); err != nil {
			return err
		}
	}
	return nil
}

// together groups the places of layers whose biases can be corrected, in their order.
func together(g *graph.Graph, layers []*layer) [][]int {
	n := 0
	for _, l := range layers {
		if l.canBias {
			n++
		}
	}
	size := max(1, (n+correctPasses-1)/correctPasses)
	var out [][]int
	behind := map[*graph.Value]bool{} // the last group
	next := 0                         // of g's nodes
	for i, l := range layers {
		for ; g.Nodes[next] != l.node; next++ {
			n := g.Nodes[next]
			if slices.ContainsFunc(n.In, func(v *graph.Value) bool { return behind[v] }) {
				for _, v := range n.Out {
					behind[v] = true
				}
			}
		}
		if !l.canBias {
			continue
		}
		last := len(out) - 1
		if last < 0 || len(out[last]) >= size && slices.ContainsFunc(l.node.In, func(v *graph.Value) bool { return behind[v] }) {
			out, last = append(out, nil), last+1
			clear(behind)
		}
		out[last] = append(out[last], i)
		behind[l.node.Out[0]] = true
		next++
	}
	return out
}

// correcting is one pass: the layers whose biases it corrects.
type correcting struct {
	all []*layer
	at  []int
	c   *calibration
	r   *resume
}

// segment is what a pass runs; the map leads from what it watches to the places of layers.
func (s *session) segment(p *placement, c correcting) (segment, map[*graph.Value]int, error) {
	float := map[*layer]bool{}
	for _, i := range c.at {
		float[c.all[i]] = true
	}
	q, of, err := rewrite(p, c.all, float)
	if err != nil {
		return segment{}, nil, err
	}
	index := map[*graph.Value]int{}
	var watch []*graph.Value
	for _, i := range c.at {
		v := of[c.all[i].node.Out[0]]
		index[v] = i
		watch = append(watch, v)
	}
	open := map[*graph.Value]bool{}
	for _, l := range c.all[c.at[0]:] {
		if l.canBias {
			open[of[l.node.Out[0]]] = true
		}
	}
	return c.r.cut(q, of, open, watch), index, nil
}

func (s *session) correctSome(p *placement, c correcting) error {
	seg, index, err := s.segment(p, c)
	if err != nil {
		return err
	}
	means := make([]mean, len(c.all))
	w := walk{stage: "correct biases", batch: s.batch(p.g)}
	w.see = func(_ int, v *graph.Value, t *tensor.Tensor) error {
		i := index[v]
		means[i].add(t, c.all[i].node.OpName() == "Conv")
		return nil
	}
	if err := c.r.run(s, seg, w); err != nil {
		return err
	}
	for _, i := range c.at {
		l := c.all[i]
		for r := range l.rows {
			l.correct[r] += c.c.outMean[i].at(r) - means[i].at(r)
		}
	}
	return nil
}

// prefix cuts a sorted graph down to what makes some of its values, which become its outputs.
func prefix(g *graph.Graph, want []*graph.Value) {
	need := map[*graph.Node]bool{}
	mark := func(v *graph.Value) {
		if v != nil && v.Def != nil {
			need[v.Def] = true
		}
	}
	for _, v := range want {
		mark(v)
	}
	for i := len(g.Nodes) - 1; i >= 0; i-- {
		if need[g.Nodes[i]] {
			for _, v := range g.Nodes[i].In {
				mark(v)
			}
		}
	}
	g.Remove(func(n *graph.Node) bool { return !need[n] })
	g.Outputs, g.Signatures = want, nil
}
