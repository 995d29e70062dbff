package quantize

import (
	"context"

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
