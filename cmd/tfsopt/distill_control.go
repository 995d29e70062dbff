package main

import (
	"context"
	"fmt"

	"github.com/tfsopt/tfsopt/distill"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/train"
)

// worth is what a teacher was worth: the mean difference of accuracy on held-out images between students with and
// without it, with a 95 % interval; see distill.Gain.
type worth struct {
	Seeds      int       `json:"seeds"`
	Images     int       `json:"images"`
	Distilled  []float64 `json:"distilled"` // accuracy of each seed, percent
	Control    []float64 `json:"control"`
	Gain       float64   `json:"gain"` // percentage points
	Lo         float64   `json:"lo"`
	Hi         float64   `json:"hi"`
	Confidence float64   `json:"confidence"`
	About      string    `json:"about"` // what the interval covers: students or method

	Curve []train.Epoch `json:"control_curve"` // of the first seed
}

// What an interval speaks of: the students that were trained, or any that would be trained in these two ways.
const (
	aboutStudents = "students"
	aboutMethod   = "method"
)

// String says it in a sentence.
func (w *worth) String() string {
	seeds := "1 seed"
	if w.Seeds > 1 {
		seeds = fmt.Sprintf("%d seeds", w.Seeds)
	}
	return fmt.Sprintf("with teacher %.2f %%, without %.2f %% (%s, %d held-out images): %+.2f points, 95 %% interval %+.2f to %+.2f: %s",
		distill.Mean(w.Distilled), distill.Mean(w.Control), seeds, w.Images, w.Gain, w.Lo, w.Hi, w.verdict())
}

// title names the difference.
func (w *worth) title() string {
	if w.About == aboutMethod {
		return "gained by the teacher"
	}
	return "between these students with and without the teacher"
}

// verdict says what the interval speaks of: too few seeds tell these students apart, not training with and without a teacher.
func (w *worth) verdict() string {
	who, more := "the teacher", ""
	if w.About != aboutMethod {
		who = "the student with the teacher"
		more = fmt.Sprintf("; that is about these students alone: whether the teacher helps takes --seeds %d or more", distill.MinSeeds)
	}
	switch {
	case w.About != aboutMethod && w.Lo > 0:
		return who + " is better" + more
	case w.About != aboutMethod && w.Hi < 0:
		return who + " is worse" + more
	case w.Lo > 0:
		return who + " helped"
	case w.Hi < 0:
		return who + " did harm"
	}
	return "the interval holds zero: no difference is shown" + more
}

// arm is one of the runs that are compared.
type arm struct {
	name string
	seed int // from 0
	fit  func(context.Context, *graph.Graph) (*train.Result, error)
}

// withControl trains with and without the teacher for each seed, and keeps the first seed's student.
func (d *distilling) withControl(ctx context.Context, g *graph.Graph) (*train.Result, error) {
	w := &worth{Seeds: d.seeds, Images: d.pair.held.Len(), Confidence: 0.95, About: aboutStudents}
	if d.seeds >= distill.MinSeeds {
		w.About = aboutMethod
	}
	var first *train.Result
	var gains []distill.Paired
	shared := d.Options
	if err := d.checkArms(); err != nil {
		return nil, err
	}
	for i := range d.seeds {
		start := g
		d.Seed = shared.Seed + uint64(i)
		if d.init != "" && i > 0 {
			var err error
			if start, err = train.Init(g, d.Seed, true); err != nil {
				return nil, err
			}
		}
		student, with, err := d.run1(ctx, start, &shared, arm{"distilled", i, d.fitOne})
		if err != nil {
			return nil, err
		}
		alone, without, err := d.run1(ctx, start, &shared, arm{"control", i, d.alone})
		if err != nil {
			return nil, err
		}
		if first == nil {
			first, w.Curve = student, alone.Curve
		}
		gains = append(gains, distill.Paired{With: with, Without: without})
		w.Distilled, w.Control = append(w.Distilled, share(with)), append(w.Control, share(without))
	}
	w.Gain, w.Lo, w.Hi = distill.Gain(gains)
	d.result.Worth = w
	return first, nil
}

// checkArms fails before the work if an arm's checkpoint is in the way.
func (d *distilling) checkArms() error {
	o := d.Options
	if o.Checkpoint == "" {
		return nil
	}
	for i := range d.seeds {
		for _, name := range []string{"distilled", "control"} {
			o.Checkpoint = d.Checkpoint + (arm{name: name, seed: i}).suffix()
			if err := o.CheckCheckpoint(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a arm) suffix() string { return fmt.Sprintf(".%s%d", a.name, a.seed) }

// run1 trains an arm, with a checkpoint and a log of its own beside those that all share, and scores its student. The kept
// student's log is the one that was asked for.
func (d *distilling) run1(ctx context.Context, g *graph.Graph, shared *train.Options, a arm) (*train.Result, []bool, error) {
	suffix := a.suffix()
	if d.Checkpoint = shared.Checkpoint; d.Checkpoint != "" {
		d.Checkpoint += suffix
		d.kept = append(d.kept, d.Checkpoint)
	}
	if d.Log = shared.Log; d.Log != "" && suffix != ".distilled0" {
		d.Log += suffix
	}
	r, err := a.fit(ctx, g)
	if err != nil {
		return nil, nil, err
	}
	right, err := train.Right(ctx, r.Graph, d.pair.held, d.Options)
	return r, right, err
}

// alone trains the student with the labels only.
func (d *distilling) alone(ctx context.Context, g *graph.Graph) (*train.Result, error) {
	r, err := d.fit(ctx, d.app, g, d.pair)
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	return r, nil
}

// share is the share of true values in percent.
func share(v []bool) float64 {
	n := 0
	for _, ok := range v {
		if ok {
			n++
		}
	}
	return 100 * float64(n) / float64(max(len(v), 1))
}
