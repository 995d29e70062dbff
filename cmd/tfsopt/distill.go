package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tfsopt/tfsopt/distill"
	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/optimize"
	"github.com/tfsopt/tfsopt/prune"
	"github.com/tfsopt/tfsopt/train"
)

type distillOptions struct {
	trainFlags
	kd                    distill.Options // without its own train.Options
	out, teacher, student string
	width, depth, alpha   float64
	init                  string
	hints, attention      []string
	cache, loss           string
	control               bool
	seeds                 int
}

func distillCmd(a *app) *cobra.Command {
	var o distillOptions
	cmd := &cobra.Command{
		Use:   "distill --teacher T (--student S | --width F | --depth F) -o OUT --data D",
		Short: "Train a small model on the answers of a large one",
		Long: `Train a student on the answers of a teacher, and on the labels as far as there are any: --alpha is the teacher's share.
The student is a model of its own, or the teacher with a share of its channels (--width) or of its residual blocks
(--depth); --init starts it from new random weights.

With --control the same student is trained with the same budget and seeds without the teacher, and the gain is told
with an interval: paired by image of --held, pooled over --seeds. Without it nothing is claimed.`,
		Example: `  tfsopt distill --teacher big.onnx --student small.onnx -o out.onnx \
      --data photos --epochs 20
  tfsopt distill --teacher big.onnx --width 0.5 -o out.onnx --data photos \
      --held photos-held --control --seeds 3`,
		Args: noArgs,
	}
	distillFlags(cmd, &o)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := refuseIdle(cmd, o.idle()); err != nil {
			return err
		}
		if err := o.checkDistill(); err != nil {
			return err
		}
		if err := o.begin(a, o.out); err != nil {
			return err
		}
		return a.distill(cmd.Context(), &o)
	}
	return cmd
}

func distillFlags(cmd *cobra.Command, o *distillOptions) {
	addOutput(cmd, &o.out)
	o.add(cmd, 10)
	choiceVar(cmd, &o.loss, "loss", words{"kd: soft labels; dkd: decoupled into the label's class and the others", []string{"kd", "dkd"}})
	f := cmd.Flags()
	f.StringVar(&o.teacher, "teacher", "", "model to learn from")
	f.StringVar(&o.student, "student", "", "model to train")
	f.Float64Var(&o.width, "width", 0, "make the student of the teacher with this share of its channels")
	f.Float64Var(&o.depth, "depth", 0, "make the student of the teacher with this share of its residual blocks")
	f.StringVar(&o.init, "init", "", "start the student from new random weights, drawn from this seed")
	f.Float64Var(&o.kd.Temperature, "temperature", 4, "that softens both models' answers")
	o.kd.Alpha = &o.alpha
	f.Float64Var(&o.alpha, "alpha", 0.9, "share of the teacher in the loss; labels have the rest")
	f.Float64Var(&o.kd.Beta, "beta", 2, "weight of the classes that are not the label's, for --loss dkd")
	f.StringArrayVar(&o.hints, "hint", nil, "`TEACHER=STUDENT[:WEIGHT]`: values of which the student's imitates the teacher's; may be repeated")
	f.StringArrayVar(&o.attention, "attention", nil, "`TEACHER=STUDENT[:WEIGHT]`: the same for where the features are strong; may be repeated")
	f.StringVar(&o.cache, "teacher-cache", "", "file that keeps the teacher's answers (default: OUT.teacher; none: keep none)")
	f.BoolVar(&o.control, "control", false, "train the student without the teacher too, and say what the teacher was worth")
	f.IntVar(&o.seeds, "seeds", 1, "how many seeds to train with --control, from --seed on")
}

func (o *distillOptions) checkDistill() error {
	students := 0
	for _, given := range []bool{o.student != "", o.width != 0, o.depth != 0} {
		if given {
			students++
		}
	}
	switch {
	case o.out == "":
		return errNoOutput
	case o.teacher == "":
		return usagef("who teaches? give --teacher")
	case students != 1:
		return usagef("who learns? give one of --student, --width and --depth")
	case !(o.width >= 0 && o.width <= 1 && o.depth >= 0 && o.depth <= 1):
		return usagef("--width %g, --depth %g: want a share from 0 to 1", o.width, o.depth)
	case o.data.path == "":
		return usagef("distilling needs data, labelled or not: give --data")
	case o.Epochs < 1:
		return usagef("--epochs %d: want at least 1", o.Epochs)
	case o.control && o.held == "":
		return usagef("--control compares on images that nobody trained on: give --held")
	case o.seeds < 1 || o.seeds > 1 && !o.control:
		return usagef("--seeds %d: want at least 1, and more only with --control", o.seeds)
	case !(o.kd.Temperature > 0):
		return usagef("--temperature %g: want a positive number", o.kd.Temperature)
	case !(o.alpha >= 0 && o.alpha <= 1):
		return usagef("--alpha %g: want 0 to 1", o.alpha)
	case o.loss == "dkd" && o.weights != "":
		return usagef("--class-weights does not go with --loss dkd, which takes the label's class apart")
	case !(o.kd.Beta >= 0):
		return usagef("--beta %g: want 0 or more", o.kd.Beta)
	}
	o.kd.Decoupled = o.loss == "dkd"
	var err error
	if o.kd.Hints, err = parseHints("--hint", o.hints); err != nil {
		return err
	}
	if o.kd.Attention, err = parseHints("--attention", o.attention); err != nil {
		return err
	}
	switch o.cache {
	case "":
		o.kd.Cache = o.out + ".teacher"
	case "none":
	default:
		o.kd.Cache = o.cache
	}
	return nil
}

func parseHints(flag string, list []string) ([]distill.Hint, error) {
	var out []distill.Hint
	for _, s := range list {
		teacher, rest, ok := strings.Cut(s, "=")
		student, weight, weighed := strings.Cut(rest, ":")
		h := distill.Hint{Teacher: teacher, Student: student, Weight: 1}
		if weighed {
			w, err := strconv.ParseFloat(weight, 64)
			ok = ok && err == nil && w > 0
			h.Weight = w
		}
		if !ok || teacher == "" || student == "" {
			return nil, usagef("%s %s: want TEACHER_VALUE=STUDENT_VALUE or TEACHER_VALUE=STUDENT_VALUE:WEIGHT", flag, s)
		}
		out = append(out, h)
	}
	return out, nil
}

func (a *app) distill(ctx context.Context, o *distillOptions) error {
	in := o.student
	if in == "" {
		in = o.teacher
	}
	if err := canWrite(ctx, o.reports); err != nil {
		return err
	}
	r, err := a.rewrite(ctx, in, o.out, func(m *formats.File, r *change) (*graph.Graph, error) {
		r.drawsWeights(m.Graph)
		d := distilling{app: a, distillOptions: o, result: r}
		return d.run(ctx, m.Graph)
	})
	if err != nil {
		a.hintResume(ctx, o.Checkpoint, err)
		return err
	}
	o.done(a)
	if err := a.conclusion(ctx, r, &o.trainFlags, "Distilling"); err != nil || a.json || a.quiet || r.Worth == nil {
		return err
	}
	return a.printf("%s\n", r.Worth)
}

// distilling is one run of the verb.
type distilling struct {
	*app
	*distillOptions
	result *change
	teach  *graph.Graph
	pair   dataPair
}

// run trains the student that begins as g, or as a part of it.
func (d *distilling) run(ctx context.Context, g *graph.Graph) (*graph.Graph, error) {
	m, err := d.loadOther(d.teacher)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	if err := hasWeights(d.teacher, m.Graph); err != nil {
		return nil, err
	}
	d.teach = m.Graph
	if _, err := optimize.Default().Run(ctx, d.teach, nil); err != nil {
		return nil, at(d.teacher, err)
	}
	if g, err = d.begins(ctx, g); err != nil {
		return nil, err
	}
	set, held, err := d.sets(g)
	if err != nil {
		return nil, err
	}
	defer closeSets(set, held)
	d.pair = dataPair{set, held}
	r, err := d.students(ctx, g)
	if err != nil {
		return nil, err
	}
	d.result.Curve = r.Curve
	d.result.Warnings = append(d.result.Warnings, set.Warnings()...)
	return r.Graph, d.result.judgeHeld(ctx, d.app, &d.trainFlags,
		judgement{made: r.Graph, reference: d.teach, path: d.teacher, held: held})
}

// students trains the one that is kept, and with --control those that it is compared with.
func (d *distilling) students(ctx context.Context, g *graph.Graph) (*train.Result, error) {
	if d.control {
		return d.withControl(ctx, g)
	}
	return d.fitOne(ctx, g)
}

// begins makes the student.
func (d *distilling) begins(ctx context.Context, g *graph.Graph) (*graph.Graph, error) {
	if _, err := optimize.ForTraining().Run(ctx, g, nil); err != nil {
		return nil, err
	}
	var err error
	switch {
	case d.width != 0:
		var report *prune.ChannelReport
		g, report, err = prune.Channels(ctx, g, prune.ChannelOptions{Width: d.width, AsIs: true})
		if report != nil {
			d.result.Warnings = append(d.result.Warnings, report.Warnings...)
		}
	case d.depth != 0:
		g, err = distill.Shallow(g, d.depth)
	}
	if err != nil {
		return nil, err
	}
	all, seed := d.init != "", d.Seed
	if all {
		if seed, err = strconv.ParseUint(d.init, 10, 64); err != nil {
			return nil, usagef("--init %s: want a number", d.init)
		}
	}
	if all || len(train.Unset(g)) > 0 {
		return train.Init(g, seed, all)
	}
	return g, nil
}

// fitOne trains the student once with the teacher.
func (d *distilling) fitOne(ctx context.Context, g *graph.Graph) (*train.Result, error) {
	o := d.kd
	d.Held = d.pair.held
	d.keepZeros(g)
	o.Options = d.Options
	r, err := distill.Fit(ctx, distill.Pair{Teacher: d.teach, Student: g}, d.pair.train, o)
	d.clearProgress()
	if err != nil {
		d.hintResume(ctx, d.Checkpoint, err)
		return nil, fmt.Errorf("distilling %s: %w", d.teacher, err)
	}
	d.log.Info("teacher", "computed", r.Computed, "kept", r.Kept)
	return r.Result, nil
}
