package ops

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	graph.Register("", 13, NonZero{})
	graph.Register("", 11, Compress{})
}

// NonZero gives the positions of the elements that are not zero, one column each, in row-major order; -0 is zero, NaN
// is not.
type NonZero struct{}

// Infer knows the number of rows.
func (NonZero) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 1, 1); err != nil {
		return nil, err
	}
	rows := graph.Dim{}
	if r := in[0].Rank(); r >= 0 {
		rows = graph.Fixed(r)
	}
	return []graph.Type{graph.Of(tensor.Int64, rows, graph.Dim{})}, nil
}

// Run counts.
func (NonZero) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	at, err := nonZero(in[0])
	if err != nil {
		return err
	}
	v := make([]int64, 0, len(in[0].Shape)*len(at))
	step := dense(in[0].Shape).step
	for d, s := range step {
		for _, i := range at {
			v = append(v, int64(i/s%in[0].Shape[d]))
		}
	}
	return tensor.SetInts(x.Make(out[0], tensor.Int64, len(step), len(at)), v)
}

// nonZero lists the offsets of the elements that are not zero.
func nonZero(t *tensor.Tensor) ([]int, error) {
	var at []int
	if t.DType == tensor.String || t.Bits() > 64 {
		return nil, fmt.Errorf("no zero among %s", t.DType)
	}
	if !t.IsFloat() {
		for i, v := range tensor.Ints(t) {
			if v != 0 {
				at = append(at, i)
			}
		}
		return at, nil
	}
	for i, v := range tensor.Float64s(t) {
		if v != 0 {
			at = append(at, i)
		}
	}
	return at, nil
}

// Compress takes the slices along Axis, or the elements of the flattened input, whose condition is true. A condition
// may be shorter than the axis.
type Compress struct {
	mover
	Axis *int `attr:"axis"`
}

// Infer leaves the number open.
func (o Compress) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 2); err != nil {
		return nil, err
	}
	if o.Axis == nil {
		return []graph.Type{graph.Of(in[0].DType, graph.Dim{})}, nil
	}
	if in[0].Unranked {
		return []graph.Type{graph.AnyRank(in[0].DType)}, nil
	}
	if len(in[0].Shape) == 0 {
		return nil, fmt.Errorf("a scalar has no axis")
	}
	a, err := axis(*o.Axis, len(in[0].Shape))
	if err != nil {
		return nil, err
	}
	t := graph.Of(in[0].DType, in[0].Shape...)
	t.Shape[a] = graph.Dim{}
	return []graph.Type{t}, nil
}

// Run fails on a true condition past the end.
func (o Compress) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	shape, a := []int{in[0].Len()}, 0
	if o.Axis != nil {
		var err error
		if a, err = axis(*o.Axis, len(in[0].Shape)); err != nil {
			return err
		}
		shape = append([]int{}, in[0].Shape...)
	}
	at, err := nonZero(in[1])
	if err != nil {
		return err
	}
	n := shape[a]
	if len(at) > 0 && at[len(at)-1] >= n {
		return fmt.Errorf("condition %d is true, there are %d slices", at[len(at)-1], n)
	}
	return take(x, out[0], selection{in[0].Reshape(shape...), a, at})
}

// selection is parts of a tensor: the slices at the given positions of an axis.
type selection struct {
	of   *tensor.Tensor
	axis int
	at   []int
}

// take copies slices.
func take(x *graph.Exec, out *tensor.Tensor, s selection) error {
	at, n := s.at, s.of.Shape[s.axis]
	outer, inner := around(s.of.Shape, s.axis)
	shape := append([]int{}, s.of.Shape...)
	shape[s.axis] = len(at)
	dst, err := target(x, out, s.of.DType, shape)
	if err != nil {
		return err
	}
	src := source(s.of)
	for i := range outer {
		for j, k := range at {
			dst.move((i*len(at)+j)*inner, src, (i*n+k)*inner, inner)
		}
	}
	dst.done()
	return nil
}
