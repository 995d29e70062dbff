package quantize

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
	"github.com/tfsopt/tfsopt/train"
)

// Training says what quantization-aware training learns from and how. Objective, Key, After and Prepare may be set too.
type Training struct {
	train.Options
	Set         *data.Set // labelled, unless the objective needs no labels
	Calibration *data.Set // what finds the ranges to begin with, as in Quantize
}

// Trained is a quantized graph that was trained as such.
type Trained struct {
	*Result
	Curve []train.Epoch
}

// Train quantizes as Quantize does and recovers what that loses: from the ranges that calibration found it trains
// the float weights, the biases and the scales with the effect of rounding simulated in each step (ops.FakeQuantize), then
// rounds. The exact zeros of a weight with many of them stay zero. The modes are static and weight-only, the latter with
// one scale an output channel. g stays as it is.
func Train(ctx context.Context, g *graph.Graph, o Options, t Training) (*Trained, error) {
	o, err := o.forTraining()
	if err != nil {
		return nil, err
	}
	if t.Set == nil || t.Set.Len() == 0 {
		return nil, errors.New("quantization-aware training needs data")
	}
	if !t.Set.Labelled() && !t.Objective.Unlabelled {
		return nil, errors.New("quantization-aware training needs labels, and the data has none")
	}
	f, err := prepare(ctx, g, o)
	if err != nil {
		return nil, err
	}
	if err := o.known(f); err != nil {
		return nil, err
	}
	s := &session{ctx: ctx, set: t.Calibration, o: o}
	if o.Mode == modeWeightOnly {
		return s.trainWeights(f, t)
	}
	if t.Calibration == nil || t.Calibration.Len() == 0 {
		return nil, ErrNoData
	}
	return s.trainStatic(f, t)
}

// forTraining sets the defaults of options for training.
func (o Options) forTraining() (Options, error) {
	blocks := o.BlockSize
	if o.BlockSize == 0 {
		o.BlockSize = PerChannel
	}
	o, err := o.defaults()
	switch {
	case err != nil:
	case o.Mode == modeDynamic:
		err = fmt.Errorf("quantization-aware training needs the mode %s or %s: %s chooses ranges while it runs", modeStatic, modeWeightOnly, modeDynamic)
	case blocks > 0 && o.Weights == "int4" && o.Mode == modeWeightOnly:
		err = fmt.Errorf("block size %d: quantization-aware training takes one scale an output channel", blocks)
	}
	return o, err
}

// trainStatic trains weights, biases and the scales of weights and activations.
func (s *session) trainStatic(f *graph.Graph, t Training) (*Trained, error) {
	p, layers, c, err := s.ranges(f)
	if err != nil {
		return nil, err
	}
	sim := newSimulation(p)
	for i, l := range layers {
		if l.order != nil {
			l.load()
			l.choose(s, c.grams[i], c.spreads[i]) // for its scales
			l.drop()
			l.ints = nil
		}
		sim.layer(l)
	}
	sim.activations()
	learnt, err := sim.train(s.ctx, t)
	if err != nil {
		return nil, err
	}
	p = place(learnt.onto(f), s.o)
	if layers, err = layersOf(p); err != nil {
		return nil, err
	}
	for i, g := range p.groups {
		g.params = params{learnt.scales(sim.groups[i])[0], sim.zeros[i]}
	}
	for i, l := range layers {
		l.scale = learnt.scales(sim.weights[i])
		l.nearestSingle()
	}
	r, err := s.finish(p, layers, nil)
	if err != nil {
		return nil, err
	}
	r.Warnings = append(sim.warnings, r.Warnings...)
	r.warn()
	return &Trained{Result: r, Curve: learnt.curve}, nil
}

// trainWeights trains with weights alone quantized.
func (s *session) trainWeights(f *graph.Graph, t Training) (*Trained, error) {
	all := storedOf(f, s.o, nil)
	if len(all) == 0 {
		return nil, errNothing
	}
	sim := newSimulation(&placement{g: f, o: s.o, uses: f.Uses()})
	for _, w := range all {
		if err := w.finite(); err != nil {
			return nil, graph.NodeError(w.uses[0].Node, err)
		}
		w.narrow(s.o)
		w.choose()
		sim.stored(w)
	}
	learnt, err := sim.train(s.ctx, t)
	if err != nil {
		return nil, err
	}
	f = learnt.onto(f)
	for i, w := range all {
		w.scale = nil
		if v := sim.weights[i]; v != nil {
			w.scale = learnt.scales(v)
		}
	}
	r, err := s.uncalibrated(f, func(f *graph.Graph, o Options) (*converted, error) { return keepIntegers(f, all, o) })
	if err != nil {
		return nil, err
	}
	r.Warnings = append(sim.warnings, r.Warnings...)
	return &Trained{Result: r, Curve: learnt.curve}, nil
}

// learnt is what training made of the constants of a simulation, by name.
type learnt struct {
	values map[string]*tensor.Tensor
	curve  []train.Epoch
}

// scales gives the elements of one of them.
func (l learnt) scales(v *graph.Value) []float32 {
	return append([]float32{}, tensor.Floats(l.values[v.Name])...)
}

// onto gives a copy of the float graph with the constants that were trained.
func (l learnt) onto(f *graph.Graph) *graph.Graph {
	g := f.Clone()
	for _, n := range g.Nodes {
		for _, v := range n.In {
			if v == nil || !v.IsConst() {
				continue
			}
			if t := l.values[v.Name]; t != nil && t.DType == v.DType && t.Len() == v.Const.Len() {
				v.Fact = graph.FactOf(t)
			}
		}
	}
	return g
}

// train fits the simulation.
func (s *simulation) train(ctx context.Context, t Training) (learnt, error) {
	l := learnt{values: map[string]*tensor.Tensor{}}
	if err := s.g.Sort(); err != nil {
		return l, err
	}
	if err := s.g.Infer(); err != nil {
		return l, err
	}
	o := t.Options
	named := s.p.o
	named.Progress, named.Threads, named.CPU = nil, 0, ""
	o.Key = fmt.Sprintf("quantize %+v %s", named, t.Key)
	o.After, o.Prepare = s.after(t.After), s.prepare(t.Prepare)
	r, err := train.Fit(ctx, s.g, t.Set, o)
	if err != nil {
		return l, err
	}
	l.curve = r.Curve
	for _, n := range r.Graph.Nodes {
		for _, v := range n.In {
			if v != nil && v.IsConst() {
				l.values[v.Name] = v.Const
			}
		}
	}
	return l, nil
}

// after holds the scales within their bounds, after what the caller does.
func (s *simulation) after(first func(*train.State) error) func(*train.State) error {
	return func(st *train.State) error {
		if first != nil {
			if err := first(st); err != nil {
				return err
			}
		}
		for _, q := range st.Params {
			b, ok := s.bounds[q.Name]
			if !ok {
				continue
			}
			v, unit := q.Values(), q.Unit()
			for i := range v {
				v[i] = min(max(v[i], float32(b.lo[i]*unit)), float32(b.hi[i]*unit))
			}
		}
		s.keepPairs(st.Params)
		return nil
	}
}

// manyZeros is the share of exact zeros above which a weight counts as pruned.
const manyZeros = 0.2

// prepare masks the zeros of pruned weights, before what the caller does.
func (s *simulation) prepare(then func(*train.Model) error) func(*train.Model) error {
	return func(m *train.Model) error {
		for _, q := range m.Params {
			if !s.pruned[q.Name] {
				continue
			}
			v := q.Values()
			q.Mask = make([]bool, len(v))
			for i, x := range v {
				q.Mask[i] = x != 0
			}
		}
		if then != nil {
			return then(m)
		}
		return nil
	}
}

// nearestSingle rounds as FakeQuantize does, by quotients in float32.
func (l *layer) nearestSingle() {
	l.load()
	defer l.drop()
	l.ints = make([]int8, len(l.w))
	for i, x := range l.w {
		l.ints[i] = l.round(float64(x / l.scaleOfRow(i/l.k)))
	}
}

// widest is by which factor scales may move from where calibration put them.
const widest = 16

// bounds are the smallest and largest values of the elements of a parameter.
type bounds struct{ lo, hi []float32 }

// around gives the bounds of scales.
func around(scale []float32) bounds {
	var b bounds
	for _, s := range scale {
		b.lo, b.hi = append(b.lo, s/widest), append(b.hi, s*widest)
	}
	return b
}

// top is the largest scale with which no integer stands for a number beyond the clamp before the quantization.
func (q quantizer) top(zero int) float32 {
	first, last := q.ints()
	most := float32(math.MaxFloat32)
	for _, end := range []struct {
		steps int
		bound float64
	}{{last - zero, q.bounds.hi}, {first - zero, q.bounds.lo}} {
		if end.steps == 0 || math.IsInf(end.bound, 0) {
			continue
		}
		s := float32(end.bound / float64(end.steps))
		for range 64 {
			if math.Abs(float64(float32(end.steps)*s)) <= math.Abs(end.bound) {
				break
			}
			s = math.Nextafter32(s, 0)
		}
		most = min(most, s)
	}
	return most
}
