package quantize

import (
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// measureSamples bounds the samples that layers are measured on.
const measureSamples = 8

// Output says what quantization cost an output of the graph.
type Output struct {
	Name string
	SQNR float64 // against the float graph's on calibration samples, in dB; 0: nothing was lost
}

// measure gives the SQNR of each layer and output: both graphs run the same samples, one after the other. Layers compute in
// float with the numbers that their integers stand for.
func (s *session) measure(p *placement, layers []*layer, r *Result) error {
	float := map[*layer]bool{}
	for _, l := range layers {
		float[l] = true
	}
	q, of, err := rewrite(p, layers, float)
	if err != nil {
		return err
	}
	m := newMeasured()
	for _, l := range layers {
		m.watch(l.node.Out[0], of[l.node.Out[0]])
	}
	c := &converted{Result: &Result{}}
	c.add(p.g, p.kept)
	for _, n := range c.nodes {
		if v := firstOut(n); v != nil {
			m.watch(v, of[v])
		}
	}
	m.outputs(p.g, q)
	if err := m.run(s, p.g, q); err != nil {
		return err
	}
	for _, l := range layers {
		rep := l.report()
		rep.SQNR = m.sqnr(l.node.Out[0])
		r.Layers = append(r.Layers, rep)
	}
	for i, n := range c.nodes {
		if v := firstOut(n); v != nil {
			c.Layers[i].SQNR = m.sqnr(v)
		}
	}
	r.Layers = append(r.Layers, c.Layers...)
	r.Warnings = append(r.Warnings, c.Warnings...)
	r.Outputs = m.results(p.g)
	return nil
}

// measured compares values of two graphs.
type measured struct {
	at               map[*graph.Value]int // values of the float graph
	plain, quantized []*graph.Value
	probe            *probe
	outs             map[*graph.Value]int // outputs of the float graph
}

func newMeasured() *measured {
	return &measured{
		at: map[*graph.Value]int{}, outs: map[*graph.Value]int{},
		probe: &probe{kept: map[[2]int][]float32{}},
	}
}

// watch compares v of the float graph with w of the other one.
func (m *measured) watch(v, w *graph.Value) {
	if _, ok := m.at[v]; !ok {
		m.at[v] = m.pair(v, w)
	}
}

// pair gives the place of a comparison.
func (m *measured) pair(v, w *graph.Value) int {
	i := len(m.plain)
	m.plain, m.quantized = append(m.plain, v), append(m.quantized, w)
	return i
}

// outputs compares those outputs of f and q that are computed and real.
func (m *measured) outputs(f, q *graph.Graph) {
	for i, v := range f.Outputs {
		w := q.Outputs[i]
		if v.Def == nil || w.Def == nil || !v.DType.IsFloat() || !w.DType.IsFloat() && w.DType != tensor.Undefined {
			continue
		}
		if _, ok := m.outs[v]; !ok {
			m.outs[v] = m.pair(v, w)
		}
	}
}

func (m *measured) run(s *session, f, q *graph.Graph) error {
	n := len(m.plain)
	m.probe.signal, m.probe.noise = make([]float64, n), make([]float64, n)
	show := func(values []*graph.Value, to func(i, sample int, t *tensor.Tensor) error) ([]*graph.Value, observer) {
		places := map[*graph.Value][]int{}
		var watch []*graph.Value
		for i, v := range values {
			if places[v] == nil {
				watch = append(watch, v)
			}
			places[v] = append(places[v], i)
		}
		return watch, func(sample int, v *graph.Value, t *tensor.Tensor) error {
			for _, i := range places[v] {
				if err := to(i, sample, t); err != nil {
					return err
				}
			}
			return nil
		}
	}
	watch, see := show(m.plain, m.probe.keep)
	if err := s.pass("measure", f, watch, measureSamples, see); err != nil {
		return err
	}
	watch, see = show(m.quantized, m.probe.compare)
	return s.pass("measure", q, watch, measureSamples, see)
}

// sqnr is what was measured of a value of the float graph.
func (m *measured) sqnr(v *graph.Value) float64 {
	i, ok := m.at[v]
	if !ok {
		return 0
	}
	return decibels(m.probe.signal[i], m.probe.noise[i])
}

func (m *measured) results(f *graph.Graph) []Output {
	var out []Output
	for _, v := range f.Outputs {
		if i, ok := m.outs[v]; ok {
			out = append(out, Output{v.Name, decibels(m.probe.signal[i], m.probe.noise[i])})
		}
	}
	return out
}
