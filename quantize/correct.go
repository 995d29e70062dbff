package quantize

import (
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// correct adds to each bias what the mean of the layer's output lost (Nagel et al., Data-Free Quantization Through
// Weight Equalization and Bias Correction, arXiv 1906.04721, with the calibration samples instead of assumptions): the
// quantized graph runs rounds times, each time with the corrections found so far.
func (s *session) correct(p *placement, layers []*layer, c *calibration) error {
	const rounds = 3
	for range rounds {
		q, of, err := rewrite(p, layers, true)
		if err != nil {
			return err
		}
		index := map[*graph.Value]int{}
		var watch []*graph.Value
		means := make([]mean, len(layers))
		for i, l := range layers {
			if l.canBias {
				v := of[l.node.Out[0]]
				index[v] = i
				watch = append(watch, v)
			}
		}
		err = s.pass("correct biases", q, watch, 0, func(_ int, v *graph.Value, t *tensor.Tensor) error {
			i := index[v]
			means[i].add(t, layers[i].node.OpName() == "Conv")
			return nil
		})
		if err != nil {
			return err
		}
		for i, l := range layers {
			if !l.canBias {
				continue
			}
			for r := range l.rows {
				l.correct[r] += c.outMean[i].at(r) - means[i].at(r)
			}
		}
	}
	return nil
}
