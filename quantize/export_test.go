package quantize

import (
	"context"
	"testing"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/graph"
)

// Simulate gives the graph that static training would start from, and what would be written of it without a step.
func Simulate(ctx context.Context, g *graph.Graph, set *data.Set, o Options) (simulated, quantized *graph.Graph, err error) {
	if o, err = o.forTraining(); err != nil {
		return nil, nil, err
	}
	f, err := prepare(ctx, g, o)
	if err != nil {
		return nil, nil, err
	}
	s := &session{ctx: ctx, set: set, o: o}
	p, layers, _, err := s.ranges(f)
	if err != nil {
		return nil, nil, err
	}
	sim := newSimulation(p)
	for _, l := range layers {
		sim.layer(l)
		l.nearestSingle()
	}
	sim.activations()
	if err := sim.g.Sort(); err != nil {
		return nil, nil, err
	}
	if quantized, _, err = rewrite(p, layers, nil); err != nil {
		return nil, nil, err
	}
	return sim.g, quantized, sim.g.Infer()
}

// Watched gives the graph that bias correction would run for the last layer, and the one that would be written.
func Watched(tb testing.TB, g *graph.Graph, set *data.Set) (watched, written *graph.Graph) {
	tb.Helper()
	o, err := Options{NoBiasCorrection: true}.defaults()
	if err != nil {
		tb.Fatal(err)
	}
	f, err := prepare(context.Background(), g, o)
	if err != nil {
		tb.Fatal(err)
	}
	s := &session{ctx: context.Background(), set: set, o: o}
	p, layers, _, err := s.ranges(f)
	if err != nil {
		tb.Fatal(err)
	}
	for _, l := range layers {
		l.load()
		l.nearest()
		l.settle()
	}
	if watched, _, err = rewrite(p, layers, map[*layer]bool{layers[len(layers)-1]: true}); err != nil {
		tb.Fatal(err)
	}
	if written, _, err = rewrite(p, layers, nil); err != nil {
		tb.Fatal(err)
	}
	return watched, written
}

// Correct quantizes as far as bias correction, which may keep at most budget bytes, and gives the names of the layers of each
// of its passes, how many of the passes ran without the graph's inputs, and what was added to the biases.
func Correct(tb testing.TB, g *graph.Graph, set *data.Set, budget int) (passes [][]string, bare int, added [][]float64) {
	tb.Helper()
	o, err := Options{}.defaults()
	if err != nil {
		tb.Fatal(err)
	}
	f, err := prepare(context.Background(), g, o)
	if err != nil {
		tb.Fatal(err)
	}
	s := &session{ctx: context.Background(), set: set, o: o}
	p, layers, c, err := s.ranges(f)
	if err != nil {
		tb.Fatal(err)
	}
	for i, l := range layers {
		l.load()
		l.choose(s, c.grams[i], c.spreads[i])
		l.settle()
	}
	r := &resume{budget: budget}
	for _, some := range together(p.g, layers) {
		seg, _, err := s.segment(p, correcting{layers, some, c, r})
		if err != nil {
			tb.Fatal(err)
		}
		if seg.bare {
			bare++
		}
		if err := s.correctSome(p, correcting{layers, some, c, r}); err != nil {
			tb.Fatal(err)
		}
		var names []string
		for _, i := range some {
			names = append(names, layers[i].node.Name)
		}
		passes = append(passes, names)
	}
	for _, l := range layers {
		added = append(added, l.correct)
	}
	return passes, bare, added
}
