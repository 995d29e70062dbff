package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// idle is a row of the tables of flags that do nothing: while holds, the flags (names with spaces between) have no effect,
// because "--flag does nothing" why.
type idle struct {
	while bool
	flags string
	why   string
}

// refuseIdle makes a usage error of the flags that were given in vain.
func refuseIdle(cmd *cobra.Command, rows []idle) error {
	var errs []error
	told := map[string]bool{}
	for _, r := range rows {
		if !r.while {
			continue
		}
		for _, name := range strings.Fields(r.flags) {
			if cmd.Flags().Changed(name) && !told[name] {
				told[name] = true
				errs = append(errs, usagef("--%s does nothing %s", name, r.why))
			}
		}
	}
	return usage(errors.Join(errs...))
}

// allBut are the names of a verb's own flags without some.
func allBut(cmd *cobra.Command, names ...string) string {
	var rest []string
	cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		if !slices.Contains(names, f.Name) {
			rest = append(rest, f.Name)
		}
	})
	return strings.Join(rest, " ")
}

// learning are the flags that only training reads, besides those that gradients read too.
const (
	learning = "lr optimizer schedule momentum nesterov weight-decay warmup clip-norm mixup flip crop shift " +
		"log resume restart checkpoint checkpoint-every"
	descending = "batch label-smoothing class-weights freeze-batchnorm"
)

// idle are the flags of training that others make useless.
func (t *trainFlags) idle() []idle {
	return []idle{
		{t.Optimizer == "adamw", "momentum nesterov", "with --optimizer adamw"},
		{t.Checkpoint == "none", "checkpoint-every", "with --checkpoint none"},
	}
}

// idle are the flags that have no data to speak of.
func (d *dataFlags) idle(held string) []idle {
	return []idle{
		{d.path == "", "samples", "without --data"},
		{d.path == "" && held == "", "preprocess features label label-offset", "without --data"},
	}
}

func (o *quantizeOptions) idle(cmd *cobra.Command) []idle {
	in := func(mode string) string { return "in --mode " + mode }
	book := o.Mode == "codebook"
	rows := []idle{
		{cmd.Flags().Changed("values"), allBut(cmd, "values", "step"), "with --values, which needs no model"},
		{!book, "bits sqnr", "without --mode codebook"},
		{book, "qat dry-run step weights saturation per-tensor no-bias-correction force", in(o.Mode) + ", which shares values of weights"},
		{o.Mode != "static", "activations calibration quantize-logits style target io", in(o.Mode)},
		{o.Mode == "weight-only" || o.Weights == "int4", "saturation", "without products of 8-bit weights"},
		{o.Mode != "static" || o.Calibration != "percentile", "percentile", "without --calibration percentile in --mode static"},
		{o.Mode != "weight-only" || o.Weights != "int4", "block-size", "without --mode weight-only --weights int4"},
		{o.Mode == "weight-only", "no-bias-correction", in(o.Mode)},
		{o.PerTensor, "block-size", "with --per-tensor, which takes one scale a tensor"},
		{o.Target == "gpu", "per-tensor activations saturation", "with --target gpu, which has int8 activations and one scale an output channel"},
		{o.data.path == "", "batch-axis carry", "without --data"},
		{!o.qat, learning + " " + descending + " epochs seed dim", "without --qat"},
	}
	return slices.Concat(rows, o.data.idle(o.learn.held), o.learn.idle())
}

func (o *pruneOptions) idle() []idle {
	gradient := o.gradient()
	rows := []idle{
		{o.channel(), "keep-first keep-last raw rewind", "with --pattern channel"},
		{!o.channel(), "channel-multiple", "without --pattern channel"},
		{o.nm(), "scope min-density raw", "with --pattern " + o.pattern + ", which leaves every layer the same share"},
		{o.scope == "layer", "raw", "with --scope layer, which lets no layers compete"},
		{o.criterion == "random", "raw", "with --criterion random"},
		{o.nm() || o.rewind != "", "ramp", "with an N:M pattern or --rewind, which prune at once"},
		{o.Epochs == 0, learning + " ramp", "without training: give --epochs"},
		{o.Epochs == 0 && !gradient, descending, "without --epochs or a criterion of gradients"},
		{o.Epochs == 0 && !gradient && o.criterion != "random", "seed", "without --epochs and with --criterion " + o.criterion},
		{!o.reconstruct || o.Epochs == 0 && !o.channel(), "reconstruct-samples", "unless --reconstruct is followed by training or cuts channels"},
	}
	return slices.Concat(rows, o.data.idle(o.held), o.trainFlags.idle())
}

func (o *distillOptions) idle() []idle {
	rows := []idle{
		{o.loss != "dkd", "beta", "without --loss dkd"},
		{!o.control, "seeds", "without --control"},
	}
	return slices.Concat(rows, o.trainFlags.idle())
}

func (o *evaluateOptions) idle() []idle {
	return []idle{
		{o.reference == "", "confidence max-drop layers", "without --reference"},
		{o.MaxDrop == nil, "sequential", "without --max-drop"},
	}
}
