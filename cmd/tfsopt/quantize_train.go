package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/quantize"
)

// addTraining adds --qat and the flags of training, with a learning rate that suits a model which is trained already.
func (o *quantizeOptions) addTraining(cmd *cobra.Command) {
	o.learn.addTraining(cmd, 0)
	rate := cmd.Flags().Lookup("lr")
	rate.DefValue, o.learn.Rate = "0.001", 0.001
	cmd.Flags().BoolVar(&o.qat, "qat", false, "train the quantized model for --epochs on --data")
}

// checkTraining refuses flags of --qat that do not fit, and --epochs without it, and prepares training.
func (o *quantizeOptions) checkTraining(a *app, cmd *cobra.Command) error {
	if !o.qat {
		return checkReports(o.learn.reports, trainReportKinds)
	}
	switch {
	case o.data.path == "":
		return usagef("--qat needs labelled data to train on: give --data")
	case o.learn.Epochs < 1:
		return usagef("--qat needs --epochs of at least 1")
	case o.Mode == "dynamic":
		return usagef("--qat needs the mode static or weight-only: dynamic chooses ranges while it runs")
	case o.dryRun:
		return usagef("--dry-run does not foresee --qat")
	case !cmd.Flags().Changed("block-size"):
		o.BlockSize = quantize.PerChannel
	case o.BlockSize > 0 && o.Weights == "int4" && o.Mode == "weight-only":
		return usagef("--qat takes one scale an output channel: leave --block-size out")
	}
	if o.out == "" {
		return errNoOutput
	}
	return o.learn.begin(a, o.out)
}

// quantized is the quantized graph, trained if the options say so, with the learning curve; r says what held-out samples
// make of it.
func (a *app) quantized(ctx context.Context, g *graph.Graph, r *change, o *quantizeOptions) (*quantize.Trained, error) {
	if err := hasWeights(r.Input.Path, g); err != nil {
		return nil, err
	}
	set, err := o.openData(g)
	if err != nil {
		return nil, err
	}
	defer closeSets(set)
	o.learn.data = o.data
	o.learn.data.samples, o.learn.data.like = 0, set
	if !o.qat {
		o.learn.data.path = ""
	}
	all, held, err := o.learn.sets(g)
	if err != nil {
		return nil, err
	}
	defer closeSets(all, held)
	t := quantize.Training{Options: o.learn.Options, Set: all, Calibration: set}
	t.Held = held
	q, err := a.fitQuantized(ctx, g, o, t)
	if err != nil {
		return nil, at(r.Input.Path, err)
	}
	return q, r.judgeHeld(ctx, a, &o.learn, judgement{made: q.Graph, reference: g, path: r.Input.Path, held: held})
}

// fitQuantized quantizes g, with training if that is wanted.
func (a *app) fitQuantized(ctx context.Context, g *graph.Graph, o *quantizeOptions, t quantize.Training) (*quantize.Trained, error) {
	switch {
	case o.Mode == "codebook":
		q, err := o.shared(ctx, g)
		return &quantize.Trained{Result: q}, err
	case !o.qat:
		q, err := quantize.Quantize(ctx, g, t.Calibration, o.Options)
		return &quantize.Trained{Result: q}, err
	}
	q, err := quantize.Train(ctx, g, o.Options, t)
	a.clearProgress()
	a.hintResume(ctx, o.learn.Checkpoint, err)
	return q, err
}
