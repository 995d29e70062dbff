// Package distill trains a small model, the student, on the answers of a large one, the teacher.
package distill

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
	"github.com/tfsopt/tfsopt/train"
)

// Options say how the student learns. The zero value is Hinton's distillation at temperature 4, nine tenths of the loss.
type Options struct {
	train.Options
	Temperature float64  // 0: 4
	Alpha       *float64 // share of the teacher in the loss, 0 to 1; the labels have the rest; nil: 0.9, or 1 without labels
	Decoupled   bool     // decoupled distillation instead of Hinton's; it needs labels
	Beta        float64  // weight of the classes that are not the label's, for Decoupled; 0: 2
	Hints       []Hint   // features that the student imitates through a learned adapter
	Attention   []Hint   // features whose attention maps the student imitates
	Cache       string   // file that keeps the teacher's answers; "": none
}

// Hint pairs a value of the teacher with one of the student.
type Hint struct {
	Teacher, Student string
	Weight           float64 // 0: 1
}

// Result is a student.
type Result struct {
	*train.Result
	Computed, Kept int // answers that the teacher gave, and that the cache had
}

// Pair is who teaches whom.
type Pair struct{ Teacher, Student *graph.Graph }

// Fit trains a copy of the student on set with the answers of the teacher. Both take the same inputs and tell the same classes
// apart; otherwise it fails, naming what differs. It works without labels: then the teacher alone counts.
func Fit(ctx context.Context, p Pair, set *data.Set, o Options) (*Result, error) {
	if err := o.check(set); err != nil {
		return nil, err
	}
	if err := sameInputs(p); err != nil {
		return nil, err
	}
	batch := min(o.Batch, set.Len())
	t, err := newTeacher(ctx, p.Teacher, teacherOptions{
		batch: batch, threads: o.Threads, output: o.Output, cache: o.Cache, values: o.teacherValues(), dims: o.Dims,
	})
	if err != nil {
		return nil, fmt.Errorf("teacher: %w", err)
	}
	defer t.close()
	o.Objective = train.Objective{
		Side: t.types, Unlabelled: !set.Labelled(), Loss: o.loss(t),
		Fill: func(b *train.Batch, side []*tensor.Tensor) error { return t.answer(ctx, b.In, side) },
	}
	o.Key = fmt.Sprintf("distill T=%g alpha=%g decoupled=%t beta=%g hints=%v attention=%v teacher=%x %s",
		o.Temperature, *o.Alpha, o.Decoupled, o.Beta, o.Hints, o.Attention, t.print, o.Key)
	r, err := train.Fit(ctx, p.Student, set, o.Options)
	if err != nil {
		return nil, err
	}
	return &Result{Result: r, Computed: t.computed, Kept: t.kept}, t.flush()
}

// check sets defaults and fails on what makes no sense.
func (o *Options) check(set *data.Set) error {
	if o.Batch == 0 {
		o.Batch = 64
	}
	if o.Temperature == 0 {
		o.Temperature = 4
	}
	if o.Alpha == nil {
		o.Alpha = new(0.9)
	}
	if o.Beta == 0 {
		o.Beta = 2
	}
	if !set.Labelled() {
		if o.Decoupled {
			return errors.New("decoupled distillation tells the label's class from the others: the data has no labels")
		}
		o.Alpha = new(1.0)
	}
	if !(o.Temperature > 0 && o.Temperature <= 1000) || !(*o.Alpha >= 0 && *o.Alpha <= 1) || !(o.Beta >= 0) {
		return fmt.Errorf("temperature %g, alpha %g, beta %g: want a temperature above 0, alpha from 0 to 1, beta of 0 or more",
			o.Temperature, *o.Alpha, o.Beta)
	}
	for _, list := range [][]Hint{o.Hints, o.Attention} {
		for i := range list {
			if list[i].Weight == 0 {
				list[i].Weight = 1
			}
		}
	}
	return nil
}

// teacherValues lists the values that the teacher must show, hints first.
func (o *Options) teacherValues() []string {
	var names []string
	for _, list := range [][]Hint{o.Hints, o.Attention} {
		for _, h := range list {
			names = append(names, h.Teacher)
		}
	}
	return names
}

// sameInputs fails unless one sample can feed both models.
func sameInputs(p Pair) error {
	teacher, student := p.Teacher, p.Student
	if len(teacher.Inputs) != len(student.Inputs) {
		return fmt.Errorf("the teacher has %d inputs, the student %d", len(teacher.Inputs), len(student.Inputs))
	}
	for i, v := range teacher.Inputs {
		w := student.Inputs[i]
		same := v.DType == w.DType && len(v.Shape) == len(w.Shape)
		for k := 1; same && k < len(v.Shape); k++ {
			m, ok := v.Shape[k].Value()
			n, ok2 := w.Shape[k].Value()
			same = !ok || !ok2 || m == n
		}
		if !same {
			return fmt.Errorf("the teacher's input %q is %s, the student's %q %s", v.Name, v.Type, w.Name, w.Type)
		}
	}
	return nil
}

// fingerprint is a hash of a graph with its weights.
func fingerprint(g *graph.Graph) ([]byte, error) {
	h := sha256.New()
	if err := graph.Print(h, g, graph.PrintOptions{}); err != nil { // large constants go in by their own hash
		return nil, err
	}
	return h.Sum(nil), nil
}
