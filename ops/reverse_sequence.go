package ops

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 10, ReverseSequence{}) }

// ReverseSequence reverses the first sequence_lens[b] steps of each batch element b. TimeAxis and BatchAxis are 0 and 1
// in either order.
type ReverseSequence struct {
	mover
	BatchAxis int `attr:"batch_axis" default:"1"`
	TimeAxis  int `attr:"time_axis"`
}

// Infer gives the type of the input.
func (o ReverseSequence) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 2); err != nil {
		return nil, err
	}
	if r := in[0].Rank(); r >= 0 && r < 2 {
		return nil, fmt.Errorf("want rank 2 or more, got %d", r)
	}
	if o.BatchAxis+o.TimeAxis != 1 || o.BatchAxis*o.TimeAxis != 0 {
		return nil, fmt.Errorf("batch axis %d and time axis %d", o.BatchAxis, o.TimeAxis)
	}
	return []graph.Type{in[0].Type}, nil
}

// Run copies step by step.
func (o ReverseSequence) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	if _, err := shapeOf(o, in); err != nil {
		return err
	}
	shape, lens := in[0].Shape, tensor.Ints(in[1])
	batch, steps := shape[o.BatchAxis], shape[o.TimeAxis]
	if len(lens) != batch {
		return fmt.Errorf("%d lengths for a batch of %d", len(lens), batch)
	}
	dst, err := target(x, out[0], in[0].DType, shape)
	if err != nil {
		return err
	}
	src, inner := source(in[0]), tensor.Size(shape[2:])
	step := dense(shape[:2]).step
	for b, n := range lens {
		if n < 0 || n > int64(steps) {
			return fmt.Errorf("length %d of %d steps", n, steps)
		}
		for t := range steps {
			from := t
			if t < int(n) {
				from = int(n) - 1 - t
			}
			at := b * step[o.BatchAxis]
			dst.move((at+t*step[o.TimeAxis])*inner, src, (at+from*step[o.TimeAxis])*inner, inner)
		}
	}
	dst.done()
	return nil
}
