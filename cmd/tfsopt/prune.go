package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/optimize"
	"github.com/tfsopt/tfsopt/prune"
	"github.com/tfsopt/tfsopt/train"
)

type pruneOptions struct {
	trainFlags
	out                 string
	sparsity            float64
	criterion, pattern  string
	scope, ramp, rewind string
	minDensity          float64
	raw, reconstruct    bool
	solveSamples        int
	keepFirst, keepLast bool
	include, exclude    []string
	multiple            int
	flops, bytes        int64
	latency             time.Duration
}

func pruneCmd(a *app) *cobra.Command {
	var o pruneOptions
	cmd := &cobra.Command{
		Use:   "prune MODEL -o OUT --sparsity S",
		Short: "Make a model smaller by leaving out weights or whole channels",
		Long: `Set weights to zero (patterns unstructured, N:M such as 2:4, blocks such as 4x1) or cut whole channels (pattern
channel), the least important ones first.

For weights --sparsity is the share of zeros, for channels the share of multiply-adds that goes. --target-flops,
--target-bytes and --target-latency find it. With --data, --reconstruct solves for the weights that stay, without labels;
with --epochs they are trained on, for magnitude from what reconstruction gives unless --ramp says otherwise: cubic prunes
while training, none at once.
Criteria taylor and snip weigh gradients, so they need labelled data.`,
		Example: `  tfsopt prune model.onnx -o sparse.onnx --sparsity 0.8 --data photos \
      --epochs 8 --lr 0.005
  tfsopt prune model.onnx -o thin.onnx --pattern channel --sparsity 0.5 \
      --criterion taylor --data photos --epochs 8
  tfsopt prune model.onnx -o half.onnx --sparsity 0.5 --reconstruct \
      --data photos --samples 100`,
		Args: oneModel,
	}
	pruneFlags(cmd, &o)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.reconstruct = o.reconstruct || o.startsSolved(cmd)
		if err := refuseIdle(cmd, o.idle()); err != nil {
			return err
		}
		if err := o.checkPrune(); err != nil {
			return err
		}
		if err := o.begin(a, o.out); err != nil {
			return err
		}
		return a.prune(cmd.Context(), args[0], &o)
	}
	return cmd
}

func pruneFlags(cmd *cobra.Command, o *pruneOptions) {
	addOutput(cmd, &o.out)
	o.add(cmd, 0)
	choiceVar(cmd, &o.criterion, "criterion", words{"what counts as important", []string{"magnitude", "taylor", "gradient", "snip", "random"}})
	choiceVar(cmd, &o.scope, "scope", words{"whether layers compete or each loses the same share", []string{"global", "layer"}})
	choiceVar(cmd, &o.ramp, "ramp", words{"how sparsity rises while training", []string{"cubic", "none"}})
	f := cmd.Flags()
	f.Float64Var(&o.sparsity, "sparsity", 0, "share that goes: of weights, or of multiply-adds for --pattern channel")
	f.StringVar(&o.pattern, "pattern", "unstructured", "unstructured, N:M (2:4), Bx1 (4x1) or channel")
	f.Float64Var(&o.minDensity, "min-density", 0, "share of each layer that stays at least (0: a tenth of what stays on average)")
	f.BoolVar(&o.raw, "raw", false, "let layers compete by plain scores, without normalising by layer (risky)")
	f.BoolVar(&o.reconstruct, "reconstruct", false, "solve for the weights that stay so that outputs on --data change least")
	f.BoolVar(&o.keepFirst, "keep-first", false, "leave the first layer as it is")
	f.BoolVar(&o.keepLast, "keep-last", false, "leave the last layer as it is")
	f.StringArrayVar(&o.include, "include", nil, "`LAYER` that is pruned, the others are not; may be repeated")
	f.StringArrayVar(&o.exclude, "exclude", nil, "`LAYER` that is not pruned; may be repeated")
	f.IntVar(&o.multiple, "channel-multiple", 0, "round the channels that stay up to a multiple of this (0: 4, which other runtimes are fast with)")
	f.Int64Var(&o.flops, "target-flops", 0, "prune until one sample takes at most so many FLOPs")
	f.Int64Var(&o.bytes, "target-bytes", 0, "prune until the weights take at most so many bytes")
	f.DurationVar(&o.latency, "target-latency", 0, "prune until one sample takes at most so long here, with --threads")
	f.IntVar(&o.solveSamples, "reconstruct-samples", 512, "samples that --reconstruct solves on where training follows, spread over --data")
	f.StringVar(&o.rewind, "rewind", "", "lottery ticket: train from this model's weights where the masks of MODEL keep them")
}

// startsSolved says whether training starts from reconstruction, which is best, although no flag chooses.
func (o *pruneOptions) startsSolved(cmd *cobra.Command) bool {
	f := cmd.Flags()
	return !f.Changed("ramp") && !f.Changed("reconstruct") && o.Epochs > 0 && o.rewind == "" &&
		(o.criterion == "magnitude" || o.channel()) && !(o.channel() && o.latency != 0)
}

// checkPrune finds flags that do not fit each other.
func (o *pruneOptions) checkPrune() error {
	targets := 0
	for _, given := range []bool{o.sparsity != 0, o.flops != 0, o.bytes != 0, o.latency != 0} {
		if given {
			targets++
		}
	}
	switch {
	case o.out == "":
		return errNoOutput
	case !(o.sparsity >= 0 && o.sparsity < 1):
		return usagef("--sparsity %g: want 0 to below 1", o.sparsity)
	case !(o.minDensity >= 0 && o.minDensity <= 1):
		return usagef("--min-density %g: want 0 to 1", o.minDensity)
	case o.flops < 0 || o.bytes < 0 || o.latency < 0:
		return usagef("--target-flops, --target-bytes and --target-latency: want positive numbers")
	case targets == 0 && !o.nm() && o.rewind == "":
		return usagef("how much? give --sparsity, --target-flops, --target-bytes or --target-latency")
	case targets > 1:
		return usagef("give one of --sparsity, --target-flops, --target-bytes and --target-latency")
	case o.data.path == "" && (o.gradient() || o.reconstruct || o.Epochs > 0 || o.rewind != ""):
		return usagef("gradients, --reconstruct, --rewind and --epochs need samples: give --data")
	case o.solveSamples < 1:
		return usagef("--reconstruct-samples %d: want at least 1", o.solveSamples)
	case o.rewind != "" && o.Epochs == 0:
		return usagef("--rewind starts training again: give --epochs")
	case o.channel() && o.reconstruct && o.latency != 0:
		return usagef("--reconstruct does not go with --target-latency for channels")
	case o.reconstruct && o.rewind != "":
		return usagef("--rewind forgets what --reconstruct solves for: give one of them")
	case o.nm() && targets == 1 && o.sparsity == 0:
		return usagef("--pattern %s: its sparsity is fixed, no target can change it", o.pattern)
	case o.channel():
		return nil
	}
	return usage(prune.Options{Sparsity: o.sparsity, Pattern: o.pattern, Scope: o.scope, Criterion: o.criterion}.Check())
}

// gradient says whether the criterion weighs gradients.
func (o *pruneOptions) gradient() bool {
	return o.criterion == "taylor" || o.criterion == "gradient" || o.criterion == "snip"
}

func (o *pruneOptions) channel() bool { return o.pattern == "channel" }

// nm reports whether the pattern implies the sparsity.
func (o *pruneOptions) nm() bool {
	var n, m int
	k, _ := fmt.Sscanf(o.pattern, "%d:%d", &n, &m)
	return k == 2
}

func (a *app) prune(ctx context.Context, path string, o *pruneOptions) error {
	if err := canWrite(ctx, o.reports); err != nil {
		return err
	}
	p := pruning{app: a, pruneOptions: o}
	r, err := a.rewrite(ctx, path, o.out, func(m *formats.File, r *change) (*graph.Graph, error) {
		if err := hasWeights(path, m.Graph); err != nil {
			return nil, err
		}
		set, held, err := o.sets(m.Graph)
		if err != nil {
			return nil, err
		}
		defer closeSets(set, held)
		p.pair = dataPair{set, held}
		g, err := p.pruned(ctx, m.Graph)
		if err != nil {
			return nil, at(path, err)
		}
		r.Warnings, r.Curve, r.Layers = append(r.Warnings, p.warnings...), p.curve, p.layers
		return g, r.judgeHeld(ctx, a, &o.trainFlags, judgement{made: g, reference: m.Graph, path: path, held: held})
	})
	if err != nil {
		a.hintResume(ctx, o.Checkpoint, err)
		return err
	}
	if o.Epochs > 0 {
		o.done(a)
	}
	if err := a.conclusion(ctx, r, &o.trainFlags, "Pruning"); err != nil || a.json || a.quiet {
		return err
	}
	return p.print()
}

// pruned does the work on a loaded graph. Where training or gradients take part, normalizations stay as they are.
func (p *pruning) pruned(ctx context.Context, g *graph.Graph) (*graph.Graph, error) {
	passes := optimize.Default()
	if p.Epochs > 0 {
		passes = optimize.ForTraining()
	}
	if _, err := passes.Run(ctx, g, nil); err != nil {
		return nil, err
	}
	if err := p.sensitivity(ctx, g); err != nil {
		return nil, err
	}
	switch {
	case p.channel():
		return p.cutChannels(ctx, g)
	case p.Epochs > 0:
		return p.whileTraining(ctx, g)
	}
	return p.oneShot(ctx, g)
}

// pruning is one run of the verb.
type pruning struct {
	*app
	*pruneOptions
	pair   dataPair
	scores prune.Scores

	cut      *prune.ChannelReport // what became of channels
	layers   []layer
	warnings []string
	curve    []train.Epoch
}

// weightOptions are the options of prune.Weights that the flags name.
func (p *pruning) weightOptions() prune.Options {
	o := prune.Options{
		Sparsity: p.sparsity, Criterion: p.criterion, Pattern: p.pattern, Scope: p.scope, Raw: p.raw, MinDensity: p.minDensity,
		Include: p.include, Exclude: p.exclude, KeepFirst: p.keepFirst, KeepLast: p.keepLast, Scores: p.scores, Seed: p.Seed,
		Reconstruct: p.reconstruct, AsIs: true, Threads: p.threads, Progress: p.app.progress(),
	}
	switch {
	case p.flops > 0:
		o.Target = &prune.Target{Name: "FLOPs", Limit: float64(p.flops), Cost: prune.FLOPs(p.Dims)}
	case p.bytes > 0:
		o.Target = &prune.Target{Name: "bytes", Limit: float64(p.bytes), Cost: prune.Bytes}
	case p.latency > 0:
		o.Target = p.latencyTarget()
	}
	return o
}

// oneShot prunes weights without training.
func (p *pruning) oneShot(ctx context.Context, g *graph.Graph) (*graph.Graph, error) {
	o := p.weightOptions()
	if p.reconstruct {
		o.Data = p.pair.train
	}
	if p.flops > 0 {
		if _, _, chosen, _ := g.OneSample(p.Dims); chosen != "" { // an error is told by what counts
			p.warnings = append(p.warnings, fmt.Sprintf("the work is that for %s", chosen))
		}
	}
	res, err := prune.Weights(ctx, g, o)
	p.clearProgress()
	if err != nil {
		if errors.Is(err, prune.ErrNoData) {
			return nil, usageError{err}
		}
		return nil, err
	}
	p.take(res)
	return res.Graph, nil
}

// take keeps what the report tells.
func (p *pruning) take(res *prune.Result) {
	p.warnings = append(p.warnings, res.Warnings...)
	for _, l := range res.Layers {
		sqnr := missing
		if l.OutputDB != 0 {
			sqnr = finite(l.OutputDB)
		}
		p.layers = append(p.layers, layer{Name: l.Name, Op: l.Op, SQNR: sqnr, layerCut: &layerCut{
			Sparsity: finite(100 * l.Sparsity), Elements: l.Elements, NormLost: finite(100 * l.NormLost), Kept: l.Kept,
		}})
	}
}
