package main

import (
	"context"
	"fmt"
	"time"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/evaluate"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/optimize"
	"github.com/tfsopt/tfsopt/prune"
	"github.com/tfsopt/tfsopt/tensor"
	"github.com/tfsopt/tfsopt/train"
)

// rampShare is the part of the steps over which the cubic ramp rises, rampChanges how often masks change on it.
const (
	rampShare   = 0.5
	rampChanges = 50
)

// sensitivity accumulates the gradient scores that the criterion needs.
func (p *pruning) sensitivity(ctx context.Context, g *graph.Graph) error {
	if !p.gradient() {
		return nil
	}
	acc, err := prune.NewAccumulator(p.criterion)
	if err != nil {
		return err
	}
	err = p.EachGradient(ctx, g, p.pair.train, func(params []*train.Param, grads []*tensor.Tensor, n int) error {
		return accumulate(acc, params, grads, n)
	})
	p.clearProgress()
	if err != nil {
		return fmt.Errorf("criterion %s: %w", p.criterion, err)
	}
	p.scores = acc.Scores()
	return nil
}

func accumulate(acc *prune.Accumulator, params []*train.Param, grads []*tensor.Tensor, samples int) error {
	for i, q := range params {
		if err := acc.Add(q.Name, q.Values(), tensor.View[float32](grads[i]), samples); err != nil {
			return err
		}
	}
	return nil
}

// whileTraining prunes weights and trains those that stay.
func (p *pruning) whileTraining(ctx context.Context, g *graph.Graph) (*graph.Graph, error) {
	o := p.weightOptions()
	if o.Target != nil || p.ramp == "none" || p.nm() || p.rewind != "" || p.reconstruct {
		return p.thenTrain(ctx, g, o)
	}
	plan, err := prune.NewPlan(g, o)
	if err != nil {
		return nil, err
	}
	p.warnings = append(p.warnings, plan.Warnings...)
	r := ramp{plan: plan, sparsity: p.sparsity, criterion: p.criterion}
	p.After = r.step
	p.Key = fmt.Sprintf("prune %+v", []any{p.sparsity, p.criterion, p.pattern, p.scope, p.raw, p.minDensity, p.include, p.exclude, p.keepFirst, p.keepLast})
	res, err := p.fit(ctx, p.app, g, p.pair)
	if err != nil {
		return nil, err
	}
	p.curve = res.Curve
	return res.Graph, p.describe(g, res.Graph)
}

// ramp raises the sparsity during training.
type ramp struct {
	plan      *prune.Plan
	sparsity  float64
	criterion string
}

// step is train.Options.After. Gradient scores are those of the step itself, so that a resumed run, which lacks earlier ones,
// chooses the same masks.
func (r *ramp) step(s *train.State) error {
	end := max(int(rampShare*float64(s.Steps)), 1)
	c := prune.Cubic{Final: r.sparsity, End: end, Every: max(end/rampChanges, 1)}
	if s.Step > end || !c.Changes(s.Step) {
		return nil
	}
	values := prune.Values{}
	for _, q := range s.Params {
		values[q.Name] = q.Values()
	}
	var scores prune.Scores
	if acc, err := prune.NewAccumulator(r.criterion); err == nil {
		if err := accumulate(acc, s.Params, s.Grads, s.Samples); err != nil {
			return err
		}
		scores = acc.Scores()
	}
	masks, err := r.plan.Masks(values, scores, c.At(s.Step))
	if err != nil {
		return err
	}
	setMasks(s.Params, masks)
	return nil
}

// setMasks gives each parameter its mask.
func setMasks(params []*train.Param, masks prune.Masks) {
	for _, q := range params {
		m := masks[q.Name]
		if m == nil {
			continue
		}
		q.Mask = make([]bool, m.Len())
		for i := range q.Mask {
			q.Mask[i] = m.Keeps(i)
		}
	}
}

// thenTrain prunes at once and trains what stays; with --rewind from the weights of another model.
func (p *pruning) thenTrain(ctx context.Context, g *graph.Graph, o prune.Options) (*graph.Graph, error) {
	pruned, masks := g, prune.MasksOf(g)
	if p.sparsity > 0 || o.Target != nil || p.nm() {
		if o.Reconstruct {
			set, err := p.solveSet(g)
			if err != nil {
				return nil, err
			}
			defer set.Close()
			o.Data = set
		}
		res, err := prune.Weights(ctx, g, o)
		p.clearProgress()
		if err != nil {
			return nil, err
		}
		p.warnings = append(p.warnings, res.Warnings...)
		pruned, masks = res.Graph, res.Masks
	}
	if len(masks) == 0 {
		return nil, usagef("--rewind: no weight of the model is zero, so it has no masks: give --sparsity")
	}
	if p.rewind != "" {
		var err error
		if pruned, err = p.rewound(ctx, pruned, masks); err != nil {
			return nil, err
		}
	}
	p.Prepare = func(m *train.Model) error {
		setMasks(m.Params, masks)
		return nil
	}
	res, err := p.fit(ctx, p.app, pruned, p.pair)
	if err != nil {
		return nil, err
	}
	p.curve = res.Curve
	return res.Graph, p.describe(g, res.Graph)
}

// solveSet opens the samples that reconstruction solves on.
func (p *pruning) solveSet(g *graph.Graph) (*data.Set, error) {
	d := p.data
	if d.samples == 0 || d.samples > p.solveSamples {
		d.samples = p.solveSamples
	}
	return d.open(freeInputs(g))
}

// rewound gives the graph the weights of the model that --rewind names.
func (p *pruning) rewound(ctx context.Context, g *graph.Graph, masks prune.Masks) (*graph.Graph, error) {
	m, err := p.loadOther(p.rewind)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	if err := hasWeights(p.rewind, m.Graph); err != nil {
		return nil, err
	}
	if _, err := optimize.ForTraining().Run(ctx, m.Graph, nil); err != nil {
		return nil, at(p.rewind, err)
	}
	early, err := train.NewModel(m.Graph)
	if err != nil {
		return nil, at(p.rewind, err)
	}
	values := prune.Values{}
	for _, q := range early.Params {
		values[q.Name] = q.Values()
	}
	for name := range masks {
		if values[name] == nil {
			return nil, fmt.Errorf("%s has no weight %q to go back to", p.rewind, name)
		}
	}
	return masks.Rewind(g, values)
}

// describe tells for each layer what training and pruning left of its weights.
func (p *pruning) describe(before, after *graph.Graph) error {
	layers, err := prune.Compare(before, after)
	if err != nil {
		return err
	}
	p.take(&prune.Result{Layers: layers})
	return nil
}

// cutChannels cuts channels, then trains the smaller model.
func (p *pruning) cutChannels(ctx context.Context, g *graph.Graph) (*graph.Graph, error) {
	var target *prune.Target
	if p.latency > 0 {
		target = p.latencyTarget()
	}
	var solve *data.Set
	if p.reconstruct {
		var err error
		if solve, err = p.solveSet(g); err != nil {
			return nil, err
		}
		defer solve.Close()
	}
	cut, report, err := prune.Channels(ctx, g, prune.ChannelOptions{
		Target: target, Dims: p.Dims,
		Sparsity: p.sparsity, TargetFLOPs: p.flops, TargetBytes: p.bytes, Criterion: p.criterion, Scope: p.scope,
		MinShare: p.minDensity, Multiple: p.multiple, Include: p.include, Exclude: p.exclude, Scores: p.scores, Seed: p.Seed,
		AsIs: true, Reconstruct: p.reconstruct, Data: solve, Threads: p.threads, Progress: p.app.progress(),
	})
	p.clearProgress()
	if err != nil {
		return nil, err
	}
	p.warnings = append(p.warnings, report.Warnings...)
	p.cut = report
	for _, l := range report.Layers {
		p.layers = append(p.layers, layer{Name: l.Name, Op: l.Op, SQNR: missing, layerCut: &layerCut{
			Sparsity: finite(100 * (1 - float64(l.MACs[1])/float64(max(l.MACs[0], 1)))), Kept: l.Reason,
			Channels: &l.Channels, MACs: &l.MACs, Bytes: &l.Bytes,
		}})
	}
	if p.Epochs == 0 {
		return cut, nil
	}
	res, err := p.fit(ctx, p.app, cut, p.pair)
	if err != nil {
		return nil, err
	}
	p.curve = res.Curve
	return res.Graph, nil
}

func (p *pruning) latencyTarget() *prune.Target {
	return &prune.Target{Name: "ms", Limit: float64(p.latency) / 1e6, Cost: p.measure, Tolerance: 0.01}
}

// measure is the median time of one sample in milliseconds.
func (p *pruning) measure(ctx context.Context, g *graph.Graph) (float64, error) {
	b, err := evaluate.Bench(ctx, evaluate.BenchOptions{
		Model: evaluate.Model{Graph: g}, Batch: 1, Duration: 500 * time.Millisecond, Threads: p.threads, Dims: p.Dims,
	})
	if err != nil {
		return 0, err
	}
	return b.MedianMS, nil
}

// print prints what each layer lost, and all of them together.
func (p *pruning) print() error {
	if err := p.printLayers(p.layers); err != nil || p.cut == nil {
		return err
	}
	m := p.cut.MACs
	return p.printf("\nmultiply-adds: %d of %d (%.1f %% went)\n", m[1], m[0], 100*(1-float64(m[1])/float64(max(m[0], 1))))
}
