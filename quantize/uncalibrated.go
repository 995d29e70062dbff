package quantize

import (
	"math"

	"github.com/tfsopt/tfsopt/graph"
)

// converted is a graph for which nothing was calibrated, with what is needed to measure it.
type converted struct {
	*Result
	of    map[*graph.Value]*graph.Value // from the float graph's values
	nodes []*graph.Node                 // of the float graph, one for each of the Layers; nil: in a body
}

// uncalibrated runs a mode that needs no data. If there are samples the layers' SQNR is that of their outputs, else
// that of their weights.
func (s *session) uncalibrated(f *graph.Graph, mode func(*graph.Graph, Options) (*converted, error)) (*Result, error) {
	c, err := mode(f, s.o)
	if err != nil {
		return nil, err
	}
	c.leave(s.o)
	if s.set == nil || s.set.Len() == 0 {
		return c.Result, nil
	}
	c.Warnings = append(c.Warnings, s.set.Warnings()...)
	m := newMeasured()
	var pairs []pair
	for _, n := range c.nodes {
		if v := firstOut(n); v != nil {
			m.watch(v)
			pairs = append(pairs, pair{m.at[v], c.of[v]})
		}
	}
	m.outputs(f)
	if err := s.pass("measure", f, m.values(), measureSamples, m.keep); err != nil {
		return nil, err
	}
	if err := m.against(s, c.Graph, append(pairs, m.outputPairs(f, c.Graph)...)); err != nil {
		return nil, err
	}
	for i, n := range c.nodes {
		if v := firstOut(n); v != nil {
			c.Layers[i].SQNR = m.sqnr(v)
		}
	}
	c.Outputs = m.results(f)
	return c.Result, nil
}

// firstOut is the first output that somebody reads; nil if there is no node.
func firstOut(n *graph.Node) *graph.Value {
	if n == nil {
		return nil
	}
	for _, v := range n.Out {
		if v != nil {
			return v
		}
	}
	return nil
}

// decibels is a signal-to-noise ratio, 0 if there is no signal or no noise to speak of, and only then.
func decibels(signal, noise float64) float64 {
	switch {
	case !(signal > 0 && noise > 0):
		return 0
	case signal == noise:
		return math.SmallestNonzeroFloat64 // nothing but zeros came out
	}
	return 10 * math.Log10(signal/noise)
}
