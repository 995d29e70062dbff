package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// Epoch is one point of the learning curve. Accuracies are percent; NaN where there are no labels or no held-out data.
type Epoch struct {
	Epoch    int     `json:"epoch"` // from 1
	Steps    int     `json:"steps"` // done so far
	Rate     float64 `json:"rate"`  // of its last step
	Loss     float64 `json:"loss"`  // mean over the epoch
	Accuracy Number  `json:"accuracy"`
	Held     Number  `json:"held_accuracy"`
	Norm     float64 `json:"gradient_norm"` // of its last step, before clipping
	Seconds  float64 `json:"seconds"`
	Speed    float64 `json:"samples_per_second"`
}

// Result is a trained model.
type Result struct {
	Graph   *graph.Graph
	Model   *Model
	Curve   []Epoch
	Resumed bool
}

// Fit trains a copy of g on set: the same graph, data, options and seed give the same bytes for any number of threads, and
// whether or not the run was interrupted and resumed. When the loss or a gradient is not finite it stops with a
// DivergedError; when the context is cancelled it saves a checkpoint and returns the context's error.
func Fit(ctx context.Context, g *graph.Graph, set *data.Set, o Options) (*Result, error) {
	f, err := newFit(ctx, g, set, o)
	if err != nil {
		return nil, err
	}
	defer f.close()
	resumed, err := f.begin()
	if err != nil {
		return nil, err
	}
	defer f.log.close()
	for f.at.Epoch < f.o.Epochs {
		if err := f.epoch(ctx); err != nil {
			return nil, err
		}
	}
	return &Result{Graph: f.model.Graph(), Model: f.model, Curve: f.at.Curve, Resumed: resumed}, nil
}

// fit is a run.
type fit struct {
	o       Options
	model   *Model
	step    *step
	batches *batches
	score   *scorer
	slots   [][][]float32 // of each parameter, what the optimizer remembers
	at      position
	log     journal
	started time.Time // of this process's part of the epoch
	seen    int       // samples of that part
	saved   time.Time
	id      identity // of the run, if it keeps a checkpoint
}

// position is where a run stands between two steps.
type position struct {
	Epoch, Step int // Step within the epoch
	Loss        float64
	Right       int // of the epoch so far
	Norm        float64
	Seconds     float64 // spent in the epoch before this process
	LogBytes    int64
	Curve       []Epoch
}

func newFit(ctx context.Context, g *graph.Graph, set *data.Set, o Options) (*fit, error) {
	if err := errors.Join(o.check(), o.CheckCheckpoint()); err != nil {
		return nil, err
	}
	f := &fit{o: o}
	var err error
	if f.model, err = NewModel(g); err != nil {
		return nil, err
	}
	f.model.dims = o.Dims
	if err := f.model.condition(ctx, set, &f.o); err != nil {
		return nil, err
	}
	f.step, err = newStep(ctx, f.model, stepOptions{
		Objective: o.Objective, batch: min(o.Batch, max(set.Len(), 1)), threads: o.Threads, output: o.Output,
		frozen: o.Frozen, seed: o.Seed,
	})
	if err != nil {
		return nil, err
	}
	if f.batches, err = newBatches(set, &f.o, f.step.classes); err != nil {
		f.close()
		return nil, err
	}
	if o.Held != nil && o.Held.Labelled() {
		if f.score, err = newScorer(ctx, f.model, scorerOptions{set: o.Held, output: o.Output, threads: o.Threads}); err != nil {
			f.close()
			return nil, err
		}
	}
	for _, p := range f.model.Params {
		slots := make([][]float32, optimizers[o.Optimizer].slots)
		for i := range slots {
			slots[i] = make([]float32, p.Data.Len())
		}
		f.slots = append(f.slots, slots)
	}
	if o.Checkpoint != "" {
		if err := f.identify(ctx); err != nil {
			f.close()
			return nil, err
		}
	}
	return f, nil
}

func (f *fit) close() {
	f.step.close()
	if f.score != nil {
		f.score.close()
	}
}

// begin takes up the checkpoint, if wanted and there, and opens the log.
func (f *fit) begin() (resumed bool, err error) {
	if f.o.Resume {
		if resumed, err = f.load(); err != nil {
			return false, err
		}
	}
	if !resumed && f.o.Prepare != nil {
		if err := f.o.Prepare(f.model); err != nil {
			return false, err
		}
		for _, p := range f.model.Params {
			p.hold()
		}
	}
	f.saved = time.Now()
	return resumed, f.log.open(f.o.Log, f.at.LogBytes)
}

// epoch runs what is left of an epoch.
func (f *fit) epoch(ctx context.Context) error {
	f.started, f.seen = time.Now(), 0
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	for b := range f.batches.prefetched(inner, f.at.Epoch, f.at.Step) {
		if ctx.Err() != nil {
			break
		}
		if b.err != nil {
			return b.err
		}
		if err := f.one(ctx, b.Batch); err != nil {
			if ctx.Err() != nil { // the step did not finish: nothing has changed
				break
			}
			return err
		}
		if time.Since(f.saved) > f.o.Every {
			if err := f.save(); err != nil {
				return err
			}
		}
	}
	if err := ctx.Err(); err != nil {
		if saveErr := f.save(); saveErr != nil {
			return fmt.Errorf("%w; and no checkpoint could be written: %v", err, saveErr)
		}
		return err
	}
	return f.endEpoch(ctx)
}

// one learns from a batch.
func (f *fit) one(ctx context.Context, b *Batch) error {
	steps := f.o.Epochs * f.batches.steps()
	n := f.at.Epoch*f.batches.steps() + f.at.Step
	loss, err := f.step.run(ctx, b, n)
	if err != nil {
		return err
	}
	grads := f.step.grads()
	norm := clip(grads, f.o.Clip)
	if loss-loss != 0 || norm-norm != 0 {
		return &DivergedError{Step: n + 1, Epoch: f.at.Epoch, Loss: loss, Where: f.blame(ctx)}
	}
	f.update(grads, n, steps)
	f.step.takeStats()
	if f.o.After != nil {
		s := &State{Step: n + 1, Steps: steps, Epoch: f.at.Epoch, Params: f.model.Params, Grads: grads, Samples: len(b.Index)}
		if err := f.o.After(s); err != nil {
			return err
		}
	}
	for _, p := range f.model.Params {
		p.hold()
	}
	f.at.Step++
	f.at.Loss += loss
	f.at.Norm = norm
	f.at.Right += right(f.step.scores(), b.Labels, f.step.classes)
	f.seen += len(b.Index)
	f.tell(n+1, steps)
	return nil
}

func (f *fit) blame(ctx context.Context) string {
	if where := f.step.firstBad(ctx); where != "" {
		return where
	}
	for i, g := range f.step.grads() {
		if !finite(g) {
			return "the gradient of " + f.model.Params[i].Name
		}
	}
	return ""
}

// update moves every parameter.
func (f *fit) update(grads []*tensor.Tensor, n, steps int) {
	opt := optimizers[f.o.Optimizer]
	u := rates{
		rate: float32(f.o.rateAt(n, steps)), momentum: float32(*f.o.Momentum), nesterov: f.o.Nesterov, step: n + 1,
	}
	_ = parallel(f.o.Threads, len(grads), func(i int) error {
		p, r := f.model.Params[i], u
		if p.Weight {
			r.decay = float32(f.o.Decay)
		}
		opt.update(p.Values(), tensor.View[float32](grads[i]), f.slots[i], r)
		return nil
	})
}

// right counts the samples whose highest score is the label's.
func right(scores []float32, labels []int, classes int) int {
	count := 0
	for i, l := range labels {
		if l < 0 || classes == 0 {
			continue
		}
		row := scores[i*classes : (i+1)*classes]
		best := 0
		if classes == 1 {
			if row[0] > 0 {
				best = 1
			}
		}
		for c, x := range row {
			if x > row[best%classes] {
				best = c
			}
		}
		if best == l {
			count++
		}
	}
	return count
}

func (f *fit) tell(n, steps int) {
	if f.o.Progress == nil {
		return
	}
	spent := time.Since(f.started)
	speed := float64(f.seen) / max(spent.Seconds(), 1e-9)
	left := float64((steps-n)*f.batches.size()) / max(speed, 1e-9)
	f.o.Progress(Progress{
		Step: n, Steps: steps, Epoch: f.at.Epoch + 1, Epochs: f.o.Epochs,
		Loss: f.at.Loss / float64(f.at.Step), Accuracy: f.accuracy(), Speed: speed, Left: time.Duration(left * float64(time.Second)),
	})
}

func (f *fit) accuracy() float64 {
	if !f.batches.set.Labelled() || f.step.classes == 0 {
		return math.NaN()
	}
	return 100 * float64(f.at.Right) / float64(f.at.Step*f.batches.size())
}

// endEpoch scores the model, writes the log and saves.
func (f *fit) endEpoch(ctx context.Context) error {
	done := (f.at.Epoch + 1) * f.batches.steps()
	spent := f.at.Seconds + time.Since(f.started).Seconds()
	e := Epoch{
		Epoch: f.at.Epoch + 1, Steps: done, Rate: f.o.rateAt(done-1, f.o.Epochs*f.batches.steps()),
		Loss: f.at.Loss / float64(f.at.Step), Accuracy: Number(f.accuracy()), Held: Number(math.NaN()), Norm: f.at.Norm,
		Seconds: spent, Speed: float64(f.at.Step*f.batches.size()) / max(spent, 1e-9),
	}
	if f.score != nil {
		held, err := f.score.accuracy(ctx)
		if err != nil {
			return err
		}
		e.Held = Number(held)
	}
	bytes, err := f.log.write(e)
	if err != nil {
		return err
	}
	f.at = position{Epoch: f.at.Epoch + 1, LogBytes: bytes, Curve: append(slices.Clip(f.at.Curve), e)}
	f.started = time.Now()
	return f.save()
}
