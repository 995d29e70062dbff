package quantize

import (
	"context"
	"errors"
	"fmt"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/optimize"
)

// Result is a quantized graph and what it cost.
type Result struct {
	Graph    *graph.Graph
	Layers   []Layer
	Outputs  []Output // measured, where there are samples
	Ends     []End    // the inputs and outputs that became integers
	Left     []Left   // what is still float and a notable part of the file
	Warnings []string
}

// Layer tells about one operator with quantized weights.
type Layer struct {
	Name, Op, Precision string
	SQNR                float64 // of its output against the float graph's on calibration samples, of its weights without any, in dB; 0: none
	MaxError, MeanError float64 // of its weights, |ŵ - w|
	HalfStep            float64 // the largest half step of its weights
	Clipped             float64 // share of its weights beyond the range
	Worst               int     // the output channel whose weights lost most
	WorstSQNR           float64 // of the weights of that channel, in dB; 0: nothing was lost
}

// ErrNoData says that a mode needs calibration samples.
var ErrNoData = errors.New("static quantization needs calibration data")

// Quantize makes a quantized graph out of a float one, which stays as it is; constants may be shared. set holds the
// calibration samples; the modes dynamic and weight-only need none. Errors name the node and the sample. A value that is
// not finite in the float graph is an error.
func Quantize(ctx context.Context, g *graph.Graph, set *data.Set, o Options) (*Result, error) {
	o, err := o.defaults()
	if err != nil {
		return nil, err
	}
	f, err := prepare(ctx, g, o)
	if err != nil {
		return nil, err
	}
	if err := o.known(f); err != nil {
		return nil, err
	}
	s := &session{ctx: ctx, set: set, o: o}
	if err := s.carry(f); err != nil {
		return nil, err
	}
	r, err := s.quantize(f)
	if err != nil {
		return nil, err
	}
	r.warn()
	return r, nil
}

func (s *session) quantize(f *graph.Graph) (*Result, error) {
	switch s.o.Mode {
	case modeDynamic:
		return s.uncalibrated(f, dynamic)
	case modeWeightOnly:
		return s.uncalibrated(f, weightOnly)
	}
	if s.set == nil || s.set.Len() == 0 {
		return nil, ErrNoData
	}
	return static(s, f)
}

// prepare gives the simplified copy of the graph that is quantized.
func prepare(ctx context.Context, g *graph.Graph, o Options) (*graph.Graph, error) {
	f := g.Clone()
	if err := f.Infer(); err != nil {
		return nil, err
	}
	if _, err := optimize.Default().Run(ctx, f, nil); err != nil || o.Mode == modeWeightOnly {
		return f, err
	}
	plain(f)
	return f, expose(f)
}

// known checks that the layers that options name exist.
func (o Options) known(g *graph.Graph) error {
	have, err := excludable(g, o.Exclude)
	errs := []error{err}
	for name := range o.LayerSteps {
		if !have[name] {
			errs = append(errs, &graph.NameError{Option: "step of", Name: name, Problem: "the graph has no such node"})
		}
	}
	return errors.Join(errs...)
}

// excludable gives the names of g's nodes and operators, and an error of those to exclude that are none of them.
func excludable(g *graph.Graph, names []string) (map[string]bool, error) {
	have := map[string]bool{}
	for _, n := range g.Nodes {
		have[n.Name], have[n.OpName()] = true, true
	}
	var errs []error
	for _, name := range names {
		if !have[name] {
			errs = append(errs, &graph.NameError{Option: "exclude", Name: name, Problem: "the graph has no such node or operator"})
		}
	}
	return have, errors.Join(errs...)
}

// ranges places, calibrates and chooses the scales of activations and weights.
func (s *session) ranges(f *graph.Graph) (*placement, []*layer, *calibration, error) {
	p := place(f, s.o)
	layers, err := layersOf(p)
	if err != nil {
		return nil, nil, nil, err
	}
	if p.nothing() {
		return nil, nil, nil, errNothing
	}
	c, err := s.calibrate(p, layers)
	if err != nil {
		return nil, nil, nil, err
	}
	if s.precise(p, c) {
		return s.ranges(f)
	}
	for _, g := range p.groups {
		g.params = p.quantizer(g.bounds).choose(g.hist, s.o)
		g.hist = nil
	}
	for _, l := range layers {
		l.load()
		l.scales(s.o)
		l.fitBias(s.o)
		l.drop()
	}
	return p, layers, c, nil
}

func static(s *session, f *graph.Graph) (*Result, error) {
	p, layers, c, err := s.ranges(f)
	if err != nil {
		return nil, err
	}
	for i, l := range layers {
		l.load()
		l.choose(s, c.grams[i], c.spreads[i])
		l.drop()
		l.settle()
	}
	c.grams, c.spreads = nil, nil
	if !s.o.NoBiasCorrection {
		if err := s.correct(p, layers, c); err != nil {
			return nil, err
		}
	}
	return s.finish(p, layers, c.measured)
}

// finish writes and measures a placement whose layers have their integers; m holds what the float graph gave, nil: it is yet
// to be run.
func (s *session) finish(p *placement, layers []*layer, m *measured) (*Result, error) {
	r := &Result{Warnings: append(s.set.Warnings(), s.notes...)}
	if err := s.measure(p, layers, m, r); err != nil {
		return nil, err
	}
	out, _, err := rewrite(p, layers, nil)
	if err != nil {
		return nil, err
	}
	r.Graph = out
	var notes []string
	r.Ends, notes = p.ends()
	r.Warnings = append(r.Warnings, notes...)
	for _, e := range r.Ends {
		if out.Meta == nil {
			out.Meta = map[string]string{}
		}
		out.Meta["tfsopt.quantized."+e.Name] = fmt.Sprintf("scale=%v zero_point=%d", e.Scale, e.Zero)
	}
	if s.o.Style == styleQOperator {
		if _, err := (graph.Pipeline{optimize.QLinear{}}).Run(s.ctx, out, nil); err != nil {
			return nil, err
		}
	}
	return r.leave(s.o), nil
}
