package ops

import (
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	graph.Register("", 15, Shape{})
	graph.Register("", 13, Size{})
}

// Shape gives the input's dimensions from Start to before End (default all) as int64.
type Shape struct {
	Start int  `attr:"start"`
	End   *int `attr:"end"`
}

func (o Shape) bounds(r int) (lo, hi int) {
	clamp := func(i int) int {
		if i < 0 {
			i += r
		}
		return min(max(i, 0), r)
	}
	lo, hi = clamp(o.Start), r
	if o.End != nil {
		hi = clamp(*o.End)
	}
	return lo, max(lo, hi)
}

// Infer gives a vector.
func (o Shape) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 1, 1); err != nil {
		return nil, err
	}
	if in[0].Unranked {
		return []graph.Type{graph.Of(tensor.Int64, graph.Dim{})}, nil
	}
	lo, hi := o.bounds(len(in[0].Shape))
	return []graph.Type{graph.Of(tensor.Int64, graph.Fixed(hi-lo))}, nil
}

// Ints gives the dimensions.
func (o Shape) Ints(in []graph.Fact) []graph.Dim {
	if len(in) == 0 || in[0].Unranked {
		return nil
	}
	lo, hi := o.bounds(len(in[0].Shape))
	return append([]graph.Dim{}, in[0].Shape[lo:hi]...)
}

// Run gives the dimensions.
func (o Shape) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	lo, hi := o.bounds(len(in[0].Shape))
	v := make([]int64, hi-lo)
	for i := range v {
		v[i] = int64(in[0].Shape[lo+i])
	}
	return tensor.SetInts(x.Make(out[0], tensor.Int64, len(v)), v)
}

// Size gives the number of the input's elements as an int64 scalar.
type Size struct{}

// Infer gives a scalar.
func (Size) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 1, 1); err != nil {
		return nil, err
	}
	return []graph.Type{graph.Of(tensor.Int64)}, nil
}

// Ints gives the product of the dimensions.
func (Size) Ints(in []graph.Fact) []graph.Dim {
	if len(in) == 0 || in[0].Unranked {
		return nil
	}
	return []graph.Dim{graph.SizeOf(in[0].Shape)}
}

// Run counts.
func (Size) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return tensor.SetInts(x.Make(out[0], tensor.Int64), []int64{int64(in[0].Len())})
}
