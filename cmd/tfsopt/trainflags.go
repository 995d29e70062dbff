package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/prune"
	"github.com/tfsopt/tfsopt/train"
)

// trainFlags are the flags of every verb that trains.
type trainFlags struct {
	train.Options
	held     string
	momentum float64
	data     dataFlags
	reports  []string
	weights  string         // of the classes
	flags    *pflag.FlagSet // what reports tell of
	kept     []string       // checkpoints that this command writes
}

// add registers the flags. epochs is the default of --epochs; 0 stands for a verb that trains only if asked to.
func (t *trainFlags) add(cmd *cobra.Command, epochs int) {
	t.data.add(cmd, 0)
	t.addTraining(cmd, epochs)
}

// addTraining is add for verbs that have flags for their data.
func (t *trainFlags) addTraining(cmd *cobra.Command, epochs int) {
	choiceVar(cmd, &t.Optimizer, "optimizer", words{"how weights follow gradients", []string{"sgd", "adamw"}})
	choiceVar(cmd, &t.Schedule, "schedule", words{"how the learning rate falls", []string{"cosine", "step", "constant"}})
	f := cmd.Flags()
	t.flags = f
	t.Dims = addDims(cmd)
	f.StringVar(&t.held, "held", "", "labelled data that is not trained on: scored after each epoch, and at the end against the model that came in")
	f.IntVar(&t.Epochs, "epochs", epochs, "how often to go through the data")
	f.Float64Var(&t.Rate, "lr", 0.01, "highest learning rate")
	f.IntVar(&t.Batch, "batch", 64, "samples in a step")
	_ = f.SetAnnotation("batch", groupOf, []string{"Training"}) // it fails only for a flag that does not exist
	t.Momentum = &t.momentum
	f.Float64Var(&t.momentum, "momentum", 0.9, "of sgd")
	f.BoolVar(&t.Nesterov, "nesterov", false, "Nesterov's form of momentum")
	f.Float64Var(&t.Decay, "weight-decay", 0, "of weights, not of biases and normalizations")
	f.Float64Var(&t.Warmup, "warmup", 0, "epochs in which the learning rate rises")
	f.Float64Var(&t.Clip, "clip-norm", 0, "bound of the gradients' joint norm (0: none)")
	f.Float64Var(&t.Smoothing, "label-smoothing", 0, "share of the target that is spread over all classes")
	f.StringVar(&t.weights, "class-weights", "", "of a sample's loss, by its class: W0,W1,… or balanced, by which each class counts the same")
	f.Float64Var(&t.Mixup, "mixup", 0, "blend pairs of samples by shares from Beta(A, A) (0: none)")
	f.BoolVar(&t.Augment.Flip, "flip", false, "mirror images every second time")
	f.IntVar(&t.Augment.Crop, "crop", 0, "pad images by so many pixels and crop the old size anywhere")
	f.IntVar(&t.Augment.Shift, "shift", 0, "move images by up to so many pixels, repeating the edge")
	f.BoolVar(&t.Frozen, "freeze-batchnorm", false, "normalizations keep their statistics")
	f.Uint64Var(&t.Seed, "seed", 1, "of order, augmentation, dropout")
	f.StringVar(&t.Log, "log", "", "file of JSON lines, one an epoch")
	f.StringArrayVar(&t.reports, "report", nil, "`FILE` to write with curve, layers and options: .html, .md or .json; may be repeated")
	f.BoolVar(&t.Resume, "resume", false, "go on from the checkpoint beside the output, if there is one")
	f.BoolVar(&t.Restart, "restart", false, "begin again, replacing the checkpoint beside the output")
	f.StringVar(&t.Checkpoint, "checkpoint", "", "where to keep the checkpoint (default: OUT.ckpt; none: do not)")
	f.DurationVar(&t.Every, "checkpoint-every", 30*time.Second, "longest time between two checkpoints")
}

// begin fills in what depends on the command: the checkpoint's place, threads, progress.
func (t *trainFlags) begin(a *app, out string) error {
	switch {
	case t.Resume && t.Restart:
		return usagef("--resume goes on from the checkpoint and --restart gives it up: give one of them")
	case t.Checkpoint == "none" && t.Resume:
		return usagef("--resume needs a checkpoint, but --checkpoint is none")
	case t.Checkpoint == "none":
		t.Checkpoint = ""
	case t.Checkpoint == "":
		t.Checkpoint = out + ".ckpt"
	}
	if t.Epochs < 0 || t.Batch < 1 || !(t.Rate > 0) {
		return usagef("--epochs %d, --batch %d, --lr %g: want positive numbers", t.Epochs, t.Batch, t.Rate)
	}
	if err := t.parseWeights(); err != nil {
		return err
	}
	if err := usage(t.Options.Check()); err != nil {
		return err
	}
	if err := checkReports(t.reports, trainReportKinds); err != nil {
		return err
	}
	t.Threads, t.Progress, t.kept = a.threads, a.trainProgress(), []string{t.Checkpoint}
	if t.Epochs == 0 {
		return nil
	}
	return t.CheckCheckpoint()
}

// parseWeights reads --class-weights.
func (t *trainFlags) parseWeights() error {
	if t.Balanced = t.weights == "balanced"; t.Balanced || t.weights == "" {
		return nil
	}
	for _, s := range strings.Split(t.weights, ",") {
		w, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
		if err != nil {
			return usagef("--class-weights %s: want balanced or one number a class, as in 1,5", t.weights)
		}
		t.ClassWeights = append(t.ClassWeights, w)
	}
	return nil
}

// sets opens the data to train on and the data to score; each is nil if there is none.
func (t *trainFlags) sets(g *graph.Graph) (set, held *data.Set, err error) {
	inputs := freeInputs(g)
	if t.data.path != "" {
		if set, err = t.data.open(inputs); err != nil {
			return nil, nil, err
		}
	}
	if t.held == "" {
		return set, nil, nil
	}
	d := t.data
	d.path, d.samples = t.held, 0
	if set != nil {
		d.like = set
	}
	if held, err = d.open(inputs); err == nil && !held.Labelled() {
		err = fmt.Errorf("--held %s: the data has no labels to score by", t.held)
	}
	if err != nil {
		closeSets(set, held)
		return nil, nil, err
	}
	return set, held, nil
}

// freeInputs is dataInputs with any batch: a fixed one is no obstacle to training.
func freeInputs(g *graph.Graph) []data.Input {
	inputs := dataInputs(g)
	for i := range inputs {
		if len(inputs[i].Shape) > 0 {
			inputs[i].Shape[0] = -1
		}
	}
	return inputs
}

// closeSets closes those that there are.
func closeSets(sets ...*data.Set) {
	for _, s := range sets {
		if s != nil {
			s.Close()
		}
	}
}

// dataPair is the data to train on and the data to score by, nil if there is none.
type dataPair struct{ train, held *data.Set }

// fit trains g and removes nothing: the checkpoint goes once the result is saved, see done.
func (t *trainFlags) fit(ctx context.Context, a *app, g *graph.Graph, sets dataPair) (*train.Result, error) {
	t.Held = sets.held
	t.keepZeros(g)
	r, err := train.Fit(ctx, g, sets.train, t.Options)
	a.clearProgress()
	a.hintResume(ctx, t.Checkpoint, err)
	return r, err
}

// keepZeros holds the weights of g that are exactly zero, as pruned ones are, unless masks are set already.
func (t *trainFlags) keepZeros(g *graph.Graph) {
	if t.Prepare != nil {
		return
	}
	masks := prune.MasksOf(g)
	t.Prepare = func(m *train.Model) error {
		setMasks(m.Params, masks)
		return nil
	}
}

// hintResume tells, after a run that was stopped, that diverged or that could not write, what is left of it.
func (a *app) hintResume(ctx context.Context, checkpoint string, err error) {
	var diverged *train.DivergedError
	var file *fs.PathError // such as of a full disk
	if err == nil || checkpoint == "" || ctx.Err() == nil && !errors.As(err, &diverged) && !errors.As(err, &file) {
		return
	}
	if _, missing := os.Stat(checkpoint); missing != nil {
		return
	}
	if diverged != nil {
		a.warn(checkpoint + " holds the last good state")
		return
	}
	a.warn(checkpoint + " holds the last checkpoint; the same command with --resume goes on from it")
}

// done removes the checkpoints of a verb that trained, once its result is saved.
func (t *trainFlags) done(a *app) {
	for _, path := range t.kept {
		if path == "" {
			continue
		}
		if err := train.RemoveCheckpoint(path); err != nil {
			a.warn(err.Error())
		}
	}
}

// trainProgress draws a bar that tells loss, accuracy and speed; nil if nobody would see it.
func (a *app) trainProgress() func(train.Progress) {
	if !a.terminal || a.quiet {
		return nil
	}
	return func(p train.Progress) {
		if a.bar.bar == nil || a.bar.stage != "train" || a.bar.bar.GetMax() != p.Steps {
			a.clearProgress()
			a.bar = progress{a.newBar("", p.Steps), "train"}
		}
		accuracy := ""
		if !math.IsNaN(p.Accuracy) {
			accuracy = fmt.Sprintf(", %.1f %%", p.Accuracy)
		}
		a.bar.bar.Describe(fmt.Sprintf("epoch %d/%d: loss %.3f%s, %.0f/s, %s left", p.Epoch, p.Epochs, p.Loss, accuracy,
			p.Speed, p.Left.Round(time.Second)))
		_ = a.bar.bar.Set(p.Step) // a bar that cannot be drawn is no failure
	}
}

// curveTable prints the learning curve.
func (a *app) curveTable(curve []train.Epoch) error {
	if a.quiet || a.json || len(curve) == 0 {
		return nil
	}
	return a.table(curveRows(curve))
}

func curveRows(curve []train.Epoch) ([]column, [][]string) {
	var rows [][]string
	for _, e := range curve {
		rows = append(rows, []string{
			fmt.Sprint(e.Epoch), fmt.Sprintf("%.4f", e.Loss), percentText(float64(e.Accuracy)), percentText(float64(e.Held)),
			fmt.Sprintf("%.3g", e.Rate), fmt.Sprintf("%.0f", e.Speed),
		})
	}
	return []column{
		number("epoch"), number("loss"), number("train %"), number("held %"), number("rate"), number("samples/s"),
	}, rows
}

func percentText(x float64) string {
	if math.IsNaN(x) {
		return "-"
	}
	return fmt.Sprintf("%.2f", x)
}
