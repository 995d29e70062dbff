package quantize

import (
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// correctPasses bounds the runs over the samples that bias correction takes.
const correctPasses = 64

// correct adds to each bias what the mean of the layer's output lost (Nagel et al., Data-Free Quantization Through
// Weight Equalization and Bias Correction, arXiv 1906.04721, with the calibration samples instead of assumptions). It
// goes from the first layer to the last, each against what stands before it already corrected; where that would take
// too many runs over the samples, neighbours are corrected together.
func (s *session) correct(p *placement, layers []*layer, c *calibration) error {
	var at []int
	for i, l := range layers {
		if l.canBias {
			at = append(at, i)
		}
	}
	size := max(1, (len(at)+correctPasses-1)/correctPasses)
	for from := 0; from < len(at); from += size {
		if err := s.correctSome(p, layers, at[from:min(from+size, len(at))], c); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) correctSome(p *placement, layers []*layer, at []int, c *calibration) error {
	float := map[*layer]bool{}
	for _, i := range at {
		float[layers[i]] = true
	}
	q, of, err := rewrite(p, layers, float)
	if err != nil {
		return err
	}
	index := map[*graph.Value]int{}
	var watch []*graph.Value
	for _, i := range at {
		v := of[layers[i].node.Out[0]]
		index[v] = i
		watch = append(watch, v)
	}
	prefix(q, watch)
	means := make([]mean, len(layers))
	err = s.pass("correct biases", q, watch, 0, func(_ int, v *graph.Value, t *tensor.Tensor) error {
		i := index[v]
		means[i].add(t, layers[i].node.OpName() == "Conv")
		return nil
	})
	if err != nil {
		return err
	}
	for _, i := range at {
		for r := range layers[i].rows {
			layers[i].correct[r] += c.outMean[i].at(r) - means[i].at(r)
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
