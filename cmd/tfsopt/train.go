package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/optimize"
	"github.com/tfsopt/tfsopt/train"
)

type trainOptions struct {
	trainFlags
	out  string
	init string
}

func trainCmd(a *app) *cobra.Command {
	var o trainOptions
	cmd := &cobra.Command{
		Use:   "train MODEL -o OUT --data D",
		Short: "Train or fine-tune a model",
		Long: `Train a model's weights on labelled data, from what they are or, with --init, from new random ones. MODEL may be a
network in text form whose parameters carry init=he, glorot, zero or one.

The same data, flags and seed give the same file, for any number of threads. After Ctrl-C, or if the machine goes down,
the same command with --resume goes on from the checkpoint and ends in the same bytes.`,
		Example: `  tfsopt train lenet5.tfg -o lenet5.onnx \
      --data train-images.gz,train-labels.gz --preprocess unit --epochs 10
  tfsopt train model.onnx -o tuned.onnx --data photos \
      --held photos-held --lr 0.001 --flip --crop 4`,
		Args: oneModel,
	}
	addOutput(cmd, &o.out)
	o.add(cmd, 10)
	cmd.Flags().StringVar(&o.init, "init", "", "start from new random weights, drawn from this seed")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := refuseIdle(cmd, o.idle()); err != nil {
			return err
		}
		if o.out == "" {
			return errNoOutput
		}
		if o.data.path == "" {
			return usagef("training needs data: give --data")
		}
		if o.Epochs < 1 {
			return usagef("--epochs %d: want at least 1", o.Epochs)
		}
		if err := o.begin(a, o.out); err != nil {
			return err
		}
		return a.train(cmd.Context(), args[0], &o)
	}
	return cmd
}

func (a *app) train(ctx context.Context, path string, o *trainOptions) error {
	if err := canWrite(ctx, o.reports); err != nil {
		return err
	}
	r, err := a.rewrite(ctx, path, o.out, func(m *formats.File, r *change) (*graph.Graph, error) {
		return a.trained(ctx, m, r, o)
	})
	if err != nil {
		a.hintResume(ctx, o.Checkpoint, err)
		return err
	}
	o.done(a)
	return a.conclusion(ctx, r, &o.trainFlags, "Training")
}

// trained does the work on a loaded model. Only one that had weights is a reference for the result.
func (a *app) trained(ctx context.Context, m *formats.File, r *change, o *trainOptions) (*graph.Graph, error) {
	path := r.Input.Path
	j := judgement{path: path, reference: m.Graph}
	if o.init != "" || len(train.Unset(m.Graph)) > 0 {
		j.reference = nil
	}
	r.drawsWeights(m.Graph)
	g, err := o.start(ctx, m.Graph)
	if err != nil {
		return nil, at(path, err)
	}
	set, held, err := o.sets(g)
	if err != nil {
		return nil, err
	}
	defer closeSets(set, held)
	res, err := o.fit(ctx, a, g, dataPair{set, held})
	if err != nil {
		return nil, at(path, err)
	}
	r.Warnings = append(r.Warnings, set.Warnings()...)
	r.Curve = res.Curve
	j.made, j.held = res.Graph, held
	return res.Graph, r.judgeHeld(ctx, a, &o.trainFlags, j)
}

// drawsWeights takes back the warning, the only one that the text form gives, that weights have no values yet.
func (r *change) drawsWeights(g *graph.Graph) {
	if len(train.Unset(g)) > 0 {
		r.Warnings = []string{}
	}
}

// hasWeights refuses a model whose text form leaves weights to train.
func hasWeights(path string, g *graph.Graph) error {
	if names := train.Unset(g); len(names) > 0 {
		return fmt.Errorf("%s: %d of its parameters, such as %s, have no values: train it first", path, len(names), names[0])
	}
	return nil
}

// start gives the graph that training begins from.
func (o *trainOptions) start(ctx context.Context, g *graph.Graph) (*graph.Graph, error) {
	all, seed := o.init != "", o.Seed
	if all {
		var err error
		if seed, err = strconv.ParseUint(o.init, 10, 64); err != nil {
			return nil, usagef("--init %s: want a number", o.init)
		}
	}
	if all || len(train.Unset(g)) > 0 {
		var err error
		if g, err = train.Init(g, seed, all); err != nil {
			return nil, err
		}
	}
	_, err := optimize.ForTraining().Run(ctx, g, nil)
	return g, err
}
