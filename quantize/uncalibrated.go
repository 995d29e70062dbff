package quantize

import (
	"math"

	"github.com/tfsopt/tfsopt/graph"
)

// converted is a graph for which nothing was calibrated, with what is needed to measure it.
type converted struct {
	*Result
	of    map[*graph.Value]*graph.Value // from the float graph's values
	nodes []*graph.Node                 // of the float graph, one for each of the Layers
}

// uncalibrated runs a mode that needs no data. If there are samples the layers' SQNR is that of their outputs, else
// that of their weights.
func (s *session) uncalibrated(f *graph.Graph, mode func(*graph.Graph, Options) (*converted, error)) (*Result, error) {
	c, err := mode(f, s.o)
	if err != nil {
		return nil, err
	}
	if s.set == nil || s.set.Len() == 0 {
		return c.Result, nil
	}
	c.Warnings = append(c.Warnings, s.set.Warnings()...)
	p := &probe{index: map[*graph.Value]int{}, kept: map[[2]int][]float32{}}
	p.signal, p.noise = make([]float64, len(c.nodes)), make([]float64, len(c.nodes))
	var plain, quantized []*graph.Value
	for i, n := range c.nodes {
		v := n.Out[0]
		p.index[v], p.index[c.of[v]] = i, i
		plain, quantized = append(plain, v), append(quantized, c.of[v])
	}
	if err := s.pass("measure", f, plain, measureSamples, p.keep); err != nil {
		return nil, err
	}
	if err := s.pass("measure", c.Graph, quantized, measureSamples, p.compare); err != nil {
		return nil, err
	}
	for i := range c.Layers {
		c.Layers[i].SQNR = decibels(p.signal[i], p.noise[i])
	}
	return c.Result, nil
}

// decibels is a signal-to-noise ratio, 0 if there is no signal or no noise to speak of.
func decibels(signal, noise float64) float64 {
	if signal > 0 && noise > 0 {
		return 10 * math.Log10(signal/noise)
	}
	return 0
}
