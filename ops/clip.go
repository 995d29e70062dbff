package ops

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 11, Clip{}) }

// Clip is min(max, max(x, min)); inputs 1 and 2 are the scalars min and max, for either of which, if omitted, stands the
// last finite number of the type.
type Clip struct{ quantData }

// Infer gives the type of the input.
func (Clip) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 1, 3); err != nil {
		return nil, err
	}
	for i, f := range in {
		if f.Given() && f.DType != in[0].DType {
			return nil, fmt.Errorf("input %d is %s, input 0 is %s", i, f.DType, in[0].DType)
		}
	}
	return []graph.Type{in[0].Type}, nil
}

// Run computes the reference result; NaN stays NaN.
func (Clip) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	low, high := (*tensor.Tensor)(nil), (*tensor.Tensor)(nil)
	if len(in) > 1 {
		low = in[1]
	}
	if len(in) > 2 {
		high = in[2]
	}
	for _, t := range []*tensor.Tensor{low, high} {
		if t != nil && (t.Len() != 1 || t.DType != in[0].DType) {
			return fmt.Errorf("a bound is %s, want a scalar %s", graph.TypeOf(t), in[0].DType)
		}
	}
	last := largest(in[0].DType)
	return arith1{
		i: clamp(low, high, tensor.Ints, [2]int64{math.MinInt64, math.MaxInt64}),
		u: clamp(low, high, uints, [2]uint64{0, math.MaxUint64}),
		f: clamp(low, high, tensor.Float64s, [2]float64{-last, last}),
	}.run(x, in, out)
}

// Permute reorders data and result alike.
func (Clip) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, 1, order)
}

// Links ties the axes of the data; the bounds are scalars.
func (Clip) Links(in, out []graph.Fact) []graph.Link { return pointwise(in[:1], out) }

// largest is the largest finite number of a float type.
func largest(d tensor.DType) float64 {
	switch d {
	case tensor.Float16:
		return 65504
	case tensor.BFloat16:
		return 0xffp120
	case tensor.Float32:
		return math.MaxFloat32
	case tensor.Float64:
		return math.MaxFloat64
	}
	return math.Inf(1) // narrower types saturate when they are stored
}

func clamp[T word](low, high *tensor.Tensor, load func(*tensor.Tensor) []T, bounds [2]T) func(T) T {
	for i, t := range []*tensor.Tensor{low, high} {
		if t != nil {
			bounds[i] = load(t)[0]
		}
	}
	return func(v T) T { return min(bounds[1], max(v, bounds[0])) }
}
