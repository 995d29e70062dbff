package evaluate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// errBatch says that an output has no row for each sample, so that only batches of one can be told apart.
var errBatch = errors.New("the output has no row for each sample")

// oneByOne is the failure of a call with several samples, which may work with one.
type oneByOne struct{ error }

func (e oneByOne) Unwrap() error { return e.error }

// Is says that it is an errBatch.
func (e oneByOne) Is(target error) bool { return target == errBatch }

// runner answers batches with one model, in pieces of the size that the model insists on.
type runner struct {
	what    string // "model" or "reference", for errors
	program *engine.Program
	outputs []*graph.Value
	real    []*twin // what integer outputs stand for, nil where they are the answer
	fixed   int     // the model's batch size; 0: any
	whole   bool    // a sample is a call, see data.Set.Whole
	carry   *engine.Carry
}

// column is one output of a batch: Rows holds one slice for each sample, nil if the output is not numeric.
type column struct {
	dtype tensor.DType
	shape []int // of one sample
	rows  [][]float64
}

func newRunner(ctx context.Context, what string, m Model, o Options) (*runner, error) {
	carry, err := engine.NewCarry(m.Graph, o.Carry)
	var p *engine.Program
	if err == nil {
		p, err = engine.Compile(ctx, m.Graph, engine.Options{Threads: o.Threads, CPU: o.CPU, Watch: o.watch})
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", what, m.Path, err)
	}
	r := &runner{what: what, program: p, outputs: m.Graph.Outputs, fixed: fixedBatch(m.Graph), whole: o.Set.Whole(), carry: carry}
	for _, v := range m.Graph.Outputs {
		var t *twin
		if v.DType.IsInt() {
			t = seenAs(v, nil)
		}
		r.real = append(r.real, t)
	}
	if r.whole {
		r.fixed = 1
	}
	return r, nil
}

// fixedBatch is the first dimension of the inputs if the model fixes it, else 0.
func fixedBatch(g *graph.Graph) int {
	for _, v := range g.Inputs {
		if v.Unranked || len(v.Shape) == 0 {
			continue
		}
		if n, ok := v.Shape[0].Value(); ok && n > 0 {
			return n
		}
	}
	return 0
}

// run answers n samples and gives the outputs as columns, in the model's order.
func (r *runner) run(ctx context.Context, in []*tensor.Tensor, n int) ([]column, error) {
	size := r.fixed
	if size == 0 {
		size = n
	}
	cols := make([]column, len(r.outputs))
	for from := 0; from < n; from += size {
		got := min(size, n-from)
		call := engine.Call{In: r.carry.Before(r.piece(in, from, got, size))}
		err := r.program.Run(ctx, &call)
		if err != nil && size > 1 && r.fixed == 0 && ctx.Err() == nil {
			err = oneByOne{err}
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.what, err)
		}
		r.carry.After(call.Out)
		for i, t := range call.Out {
			if w := r.real[i]; w != nil {
				t = tensor.From(w.real(t), t.Shape...)
			}
			if err := cols[i].add(t, got, size); err != nil {
				return nil, fmt.Errorf("%s: output %q has shape %v for a batch of %d: %w", r.what, r.outputs[i].Name, t.Shape, size, err)
			}
		}
	}
	return cols, nil
}

// piece is the function of that name, but for whole samples, which stay as they are.
func (r *runner) piece(in []*tensor.Tensor, from, got, size int) []*tensor.Tensor {
	if r.whole {
		return in
	}
	return piece(in, from, got, size)
}

// piece takes samples from..from+got of a batch, repeating the last one until there are `size`.
func piece(in []*tensor.Tensor, from, got, size int) []*tensor.Tensor {
	out := make([]*tensor.Tensor, len(in))
	for i, t := range in {
		if len(t.Shape) == 0 || t.Shape[0] == size && from == 0 && got == size {
			out[i] = t
			continue
		}
		n := t.Shape[0]
		p := &tensor.Tensor{DType: t.DType, Shape: append([]int{size}, t.Shape[1:]...)}
		for k := range size {
			at := from + min(k, got-1)
			if t.DType == tensor.String {
				per := len(t.Strings) / n
				p.Strings = append(p.Strings, t.Strings[at*per:(at+1)*per]...)
				continue
			}
			per := len(t.Data) / n
			p.Data = append(p.Data, t.Data[at*per:(at+1)*per]...)
		}
		out[i] = p
	}
	return out
}

// add appends the rows of the first `got` of `size` samples.
func (c *column) add(t *tensor.Tensor, got, size int) error {
	c.dtype = t.DType
	if !t.IsFloat() && !t.IsInt() && t.DType != tensor.Bool {
		return nil
	}
	switch {
	case len(t.Shape) > 0 && t.Shape[0] == size:
		c.shape = t.Shape[1:]
	case size == 1:
		c.shape = t.Shape
	default:
		return errBatch
	}
	all := tensor.Float64s(t)
	per := len(all) / size
	for k := range got {
		c.rows = append(c.rows, slices.Clone(all[k*per:(k+1)*per]))
	}
	return nil
}

// checkNaN names the first sample and output that is not a number.
func (r *runner) checkNaN(cols []column, names []string) error {
	for i, c := range cols {
		for k, row := range c.rows {
			if at := slices.IndexFunc(row, math.IsNaN); at >= 0 {
				return fmt.Errorf("%s: %s: output %q is NaN at element %d", r.what, names[k], r.outputs[i].Name, at)
			}
		}
	}
	return nil
}
