// Package evaluate measures what a model is worth and what a change cost: accuracy, agreement and numeric error against
// a reference, latency, a statistical verdict on the drop in accuracy, and reports of all that.
package evaluate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/graph"
)

// Model is a graph and the file that it came from. Load, needed only by Bench, reads that file again; what it returns
// is closed once the graph is compiled.
type Model struct {
	Path  string
	Bytes int64
	Graph *graph.Graph
	Load  func() (*graph.Graph, io.Closer, error)
}

// Options say what to evaluate. Model and Set are required.
type Options struct {
	Model     Model
	Reference *Model    // nil: accuracy and latency of the model alone
	Set       *data.Set // prepared for the model's inputs
	// ReferenceSet holds the same samples prepared for the reference's inputs; nil: Set serves both.
	ReferenceSet *data.Set
	DataPath     string   // how the data was named, for the report
	MaxDrop      *float64 // percentage points; needs a reference and labels
	Confidence   float64  // of the interval and the verdict, between 0.5 and 1; 0: 0.95
	Sequential   bool     // interval and verdict are those of Pairs.Sequence
	Layers       bool     // compare values inside the graphs too, on up to 32 samples
	Output       string   // the output that is judged; "": the first, or with labels the first that names a class
	// LabelOffset is the offset that Set was opened with. It is not added again: it tells which class has which name.
	LabelOffset int
	Carry       map[string]string // outputs that are inputs of the next sample's call; then samples go one at a time
	Threads     int               // 0: all cores
	CPU         string
	Batch       int           // samples in one call, if the model leaves that open; 0: 8
	LatencyTime time.Duration // how long to time the models; 0: two seconds, negative: not at all
	Progress    func(done, total int)

	watch []*graph.Value // what a call is to show
}

const (
	defaultBatch      = 8
	defaultConfidence = 0.95
)

// Evaluate runs the model, and the reference if there is one, over the whole set. Memory does not grow with the number
// of samples (apart from a counter for each distinct change of answer, and a score a sample of two classes). Errors name the sample and the output.
func Evaluate(ctx context.Context, o Options) (*Result, error) {
	if o.Confidence == 0 {
		o.Confidence = defaultConfidence
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	batch := o.Batch
	switch {
	case len(o.Carry) > 0:
		batch = 1
	case batch <= 0:
		batch = defaultBatch
	}
	e, err := evaluateBatched(ctx, o, batch)
	if errors.Is(err, errBatch) && batch > 1 && o.Batch <= 0 {
		first := err
		if e, err = evaluateBatched(ctx, o, 1); err == nil {
			e.warn("the model takes one sample at a time, and was given one: with %d, %v", batch, first)
		}
	}
	if err != nil {
		return nil, err
	}
	if o.Layers && o.Reference != nil {
		if err := e.layers(ctx); err != nil {
			return nil, err
		}
	}
	if o.LatencyTime >= 0 {
		if err := e.latency(ctx); err != nil {
			return nil, err
		}
	}
	return e.res, nil
}

func (o Options) check() error {
	switch {
	case o.Set == nil || o.Set.Len() == 0:
		return errors.New("there are no samples to evaluate on")
	case o.Model.Graph == nil || o.Reference != nil && o.Reference.Graph == nil:
		return errors.New("there is no model to evaluate")
	case !(o.Confidence > 0.5 && o.Confidence < 1):
		return fmt.Errorf("confidence %g: want a number between 0.5 and 1, such as 0.95", o.Confidence)
	case o.MaxDrop != nil && o.Reference == nil:
		return errors.New("a limit on the drop needs a reference model to compare with")
	case o.Sequential && o.MaxDrop == nil:
		return errors.New("a sequential test needs a limit on the drop")
	case o.MaxDrop != nil && !o.Set.Labelled():
		return errors.New("a limit on the drop needs labels, and the data has none")
	case o.MaxDrop != nil && !(*o.MaxDrop >= -100 && *o.MaxDrop <= 100):
		return fmt.Errorf("a drop of at most %g points: want -100 to 100", *o.MaxDrop)
	case o.ReferenceSet != nil && o.ReferenceSet.Len() != o.Set.Len():
		return fmt.Errorf("%d samples for the model and %d for the reference", o.Set.Len(), o.ReferenceSet.Len())
	}
	return nil
}

// evaluation is one pass over the samples.
type evaluation struct {
	o       Options
	res     *Result
	classes *classes
	model   *side
	ref     *side // nil without a reference
	pairs   []pair
	judged  int // the pair, or without a reference the output, that is judged
	same    int // equal answers
}

// side is one model with its figures.
type side struct {
	*runner
	Model
	tally   tally
	classes int
}

// pair is an output of the model and the reference's output that it is compared with.
type pair struct {
	model, ref int
	comparison
	skip  string // why the two are not compared
	shape []int  // of one sample
}

func evaluateBatched(ctx context.Context, o Options, batch int) (_ *evaluation, err error) {
	e := &evaluation{o: o, classes: newClasses(o.Set.Classes(), o.LabelOffset)}
	e.res = &Result{Samples: o.Set.Len(), Data: o.DataPath, Confidence: o.Confidence}
	if e.model, err = newSide(ctx, "model", o.Model, o); err != nil {
		return nil, err
	}
	defer e.model.release()
	if o.Reference != nil {
		if e.ref, err = newSide(ctx, "reference", *o.Reference, o); err != nil {
			return nil, err
		}
		defer e.ref.release()
	}
	if err := e.match(); err != nil {
		return nil, err
	}
	if err := e.stream(ctx, max(batch, e.fixed())); err != nil {
		return nil, err
	}
	e.finish()
	return e, nil
}

func newSide(ctx context.Context, what string, m Model, o Options) (*side, error) {
	r, err := newRunner(ctx, what, m, o)
	if err != nil {
		return nil, err
	}
	return &side{runner: r, Model: m}, nil
}

// release lets go of the program, so that its weights are not held beside those of the next one.
func (s *side) release() {
	s.program.Close()
	s.program = nil
}

// fixed is the largest batch that one of the models insists on.
func (e *evaluation) fixed() int {
	n := e.model.fixed
	if e.ref != nil {
		n = max(n, e.ref.fixed)
	}
	return n
}

// stream runs all samples through both models.
func (e *evaluation) stream(ctx context.Context, batch int) error {
	other := func() (data.Batch, error, bool) { return data.Batch{}, nil, true }
	if e.ref != nil && e.o.ReferenceSet != nil {
		next, stop := iter.Pull2(e.o.ReferenceSet.Stream(ctx, batch, e.o.Threads))
		defer stop()
		other = next
	}
	for b, err := range e.o.Set.Stream(ctx, batch, e.o.Threads) {
		if err != nil {
			return err
		}
		rb, err, _ := other()
		if err != nil {
			return err
		}
		if rb.In == nil {
			rb = b
		}
		if err := e.batch(ctx, b, rb); err != nil {
			return err
		}
		if e.o.Progress != nil {
			e.o.Progress(b.First+len(b.Labels), e.res.Samples)
		}
	}
	return ctx.Err()
}

// batch runs one batch; rb holds the same samples for the reference.
func (e *evaluation) batch(ctx context.Context, b, rb data.Batch) error {
	cols, err := e.model.answer(ctx, b)
	if err != nil {
		return err
	}
	var ref []column
	if e.ref != nil {
		if ref, err = e.ref.answer(ctx, rb); err != nil {
			return err
		}
	}
	if b.First == 0 {
		if err := e.start(cols, ref); err != nil {
			return err
		}
	}
	for k := range b.Labels {
		if err := e.compare(cols, ref, k, b.Names[k]); err != nil {
			return err
		}
		if err := e.score(cols, ref, k, b); err != nil {
			return err
		}
	}
	return nil
}

func (s *side) answer(ctx context.Context, b data.Batch) ([]column, error) {
	cols, err := s.run(ctx, b.In, len(b.Labels))
	if err != nil {
		return nil, fmt.Errorf("samples %s to %s: %w", b.Names[0], b.Names[len(b.Names)-1], err)
	}
	return cols, s.checkNaN(cols, b.Names)
}
