package quantize

import (
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// measureSamples bounds the samples that layers are measured on, hatBudget the bytes of layers' weights that are float while
// they are, unless hatTurns turns do not suffice.
const (
	measureSamples = 8
	hatBudget      = 64 << 20
	hatTurns       = 4
)

// Output says what quantization cost an output of the graph.
type Output struct {
	Name string
	SQNR float64 // against the float graph's on calibration samples, in dB; 0: nothing was lost
}

// measured compares values of a float graph with those that stand for them in other graphs.
type measured struct {
	at    map[*graph.Value]int // of the float graph
	order []*graph.Value
	probe *probe
	outs  map[*graph.Value]int // the same of its outputs, which count after their last rounding
}

// references are the values of the float graph that are worth comparing: what layers give, what operators with stored weights
// give, and the outputs.
func (p *placement) references(layers []*layer, o Options) *measured {
	m := newMeasured()
	for _, l := range layers {
		m.watch(l.node.Out[0])
	}
	for _, s := range storedOf(p.g, o, nil) {
		for _, e := range s.ends {
			if !e.inner {
				m.watch(firstOut(e.node))
			}
		}
	}
	m.outputs(p.g)
	return m
}

func newMeasured() *measured {
	return &measured{
		at: map[*graph.Value]int{}, outs: map[*graph.Value]int{},
		probe: &probe{kept: map[[2]int][]float32{}},
	}
}

func (m *measured) watch(v *graph.Value) { m.place(m.at, v) }

// place gives v a number of its own in one of the maps.
func (m *measured) place(in map[*graph.Value]int, v *graph.Value) {
	if _, ok := in[v]; v == nil || ok {
		return
	}
	in[v] = len(m.probe.signal)
	if !slices.Contains(m.order, v) {
		m.order = append(m.order, v)
	}
	m.probe.signal, m.probe.noise = append(m.probe.signal, 0), append(m.probe.noise, 0)
}

// outputs watches those outputs that are computed and real.
func (m *measured) outputs(f *graph.Graph) {
	for _, v := range f.Outputs {
		if v.Def != nil && v.DType.IsFloat() {
			m.place(m.outs, v)
		}
	}
}

// values are those that keep wants to see.
func (m *measured) values() []*graph.Value { return m.order }

// keep is an observer of the float graph.
func (m *measured) keep(sample int, v *graph.Value, t *tensor.Tensor) error {
	if sample >= measureSamples {
		return nil
	}
	for _, in := range []map[*graph.Value]int{m.at, m.outs} {
		if i, ok := in[v]; ok {
			m.probe.keep(i, sample, t)
		}
	}
	return nil
}

// against runs q and compares values of it with those of the float graph that they stand for.
func (m *measured) against(s *session, q *graph.Graph, pairs []pair) error {
	places := map[*graph.Value][]int{}
	var watch []*graph.Value
	for _, p := range pairs {
		if places[p.quantized] == nil {
			watch = append(watch, p.quantized)
		}
		places[p.quantized] = append(places[p.quantized], p.at)
	}
	return s.pass("measure", q, watch, measureSamples, func(sample int, v *graph.Value, t *tensor.Tensor) error {
		for _, i := range places[v] {
			if err := m.probe.compare(i, sample, t); err != nil {
				return err
			}
		}
		return nil
	})
}

// pair is the place of a value of the float graph and the value that stands for it.
type pair struct {
	at        int
	quantized *graph.Value
}

// outputPairs are the outputs of f with those of q, as far as both are real.
func (m *measured) outputPairs(f, q *graph.Graph) []pair {
	var out []pair
	seen := map[*graph.Value]bool{}
	for i, v := range f.Outputs {
		w := q.Outputs[i]
		at, ok := m.outs[v]
		if !ok || seen[v] || w.Def == nil || !w.DType.IsFloat() && w.DType != tensor.Undefined {
			continue
		}
		seen[v] = true
		out = append(out, pair{at, w})
	}
	return out
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
	seen := map[*graph.Value]bool{}
	for _, v := range f.Outputs {
		if i, ok := m.outs[v]; ok && !seen[v] {
			seen[v] = true
			out = append(out, Output{v.Name, decibels(m.probe.signal[i], m.probe.noise[i])})
		}
	}
	return out
}

// measure gives the SQNR of each layer and output. Layers compute in float with the numbers that their integers stand for,
// all of a model at once, or of a large one some after the other.
func (s *session) measure(p *placement, layers []*layer, m *measured, r *Result) error {
	if m == nil {
		m = p.references(layers, s.o)
		if err := s.pass("measure", p.g, m.values(), measureSamples, m.keep); err != nil {
			return err
		}
	}
	shares := turns(layers)
	for i, some := range shares {
		if err := s.measureSome(p, m, measuring{layers, some, i == len(shares)-1}); err != nil {
			return err
		}
	}
	m.probe.kept = nil
	for _, l := range layers {
		rep := l.report()
		rep.SQNR = m.sqnr(l.node.Out[0])
		r.Layers = append(r.Layers, rep)
	}
	c := &converted{Result: &Result{}}
	c.add(p.g, p.kept)
	for i, n := range c.nodes {
		if v := firstOut(n); v != nil {
			c.Layers[i].SQNR = m.sqnr(v)
		}
	}
	r.Layers, r.Warnings = append(r.Layers, c.Layers...), append(r.Warnings, c.Warnings...)
	r.Outputs = m.results(p.g)
	return nil
}

// turns cuts layers into groups whose weights are float at once; all else has its turn with the last one.
func turns(layers []*layer) [][]*layer {
	out := [][]*layer{nil}
	size, total := 0, 0
	for _, l := range layers {
		total += 4 * l.rows * l.k
	}
	budget := max(hatBudget, total/hatTurns)
	for _, l := range layers {
		n := 4 * l.rows * l.k
		if last := len(out) - 1; size+n > budget && len(out[last]) > 0 {
			out, size = append(out, nil), 0
		}
		size += n
		out[len(out)-1] = append(out[len(out)-1], l)
	}
	return out
}

// measuring is one turn: the layers to measure of all, and whether outputs and the other operators have theirs.
type measuring struct {
	all, layers []*layer
	rest        bool
}

func (s *session) measureSome(p *placement, m *measured, t measuring) error {
	float := map[*layer]bool{}
	for _, l := range t.layers {
		float[l] = true
	}
	q, of, err := rewrite(p, t.all, float)
	if err != nil {
		return err
	}
	var pairs []pair
	var watch []*graph.Value
	for _, l := range t.layers {
		v := l.node.Out[0]
		pairs, watch = append(pairs, pair{m.at[v], of[v]}), append(watch, of[v])
	}
	if !t.rest {
		prefix(q, watch)
		return m.against(s, q, pairs)
	}
	c := &converted{Result: &Result{}}
	c.add(p.g, p.kept)
	for _, n := range c.nodes {
		if v := firstOut(n); v != nil {
			pairs = append(pairs, pair{m.at[v], of[v]})
		}
	}
	return m.against(s, q, append(pairs, m.outputPairs(p.g, q)...))
}
