package ops

import (
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// ReduceL1 is the sum of absolute values over the axes in input 1.
type ReduceL1 struct {
	Keepdims bool `attr:"keepdims" default:"1"`
	Noop     bool `attr:"noop_with_empty_axes"`
}

// Infer gives the shape without the reduced axes.
func (o ReduceL1) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	return reduceShape(in, o.Keepdims, o.Noop)
}

func (o ReduceL1) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return reduction{
		i: foldFrom(0, func(a, b int64) int64 { return a + max(b, -b) }),
		u: foldFrom(0, add[uint64]),
		f: foldFrom(0, func(a, b float64) float64 { return a + math.Abs(b) }),
	}.run(x, in, out, o.Keepdims, o.Noop)
}

// ReduceL2 is the root of the sum of squares over the axes in input 1.
type ReduceL2 struct {
	Keepdims bool `attr:"keepdims" default:"1"`
	Noop     bool `attr:"noop_with_empty_axes"`
}

// Infer gives the shape without the reduced axes.
func (o ReduceL2) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	return reduceShape(in, o.Keepdims, o.Noop)
}

func (o ReduceL2) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return throughFloat(func(v []float64) float64 { return math.Sqrt(sumSquares(v)) }).run(x, in, out, o.Keepdims, o.Noop)
}

// Links keeps what is reduced and lets the other axes go on.
func (o ReduceL2) Links(in, out []graph.Fact) []graph.Link {
	return reducedAxes(in, out, o.Keepdims, o.Noop)
}

// Permute moves the axes along.
func (o ReduceL2) Permute(in []graph.Fact, _ int, order []int) (graph.Permuted, bool) {
	return reduceOrder(in, o.Keepdims, o.Noop, order)
}

func sumSquares[T word](v []T) T { return foldFrom(0, func(a, b T) T { return a + T(b*b) })(v) }

// throughFloat computes integers, whose result is cut off toward zero, in float64 too.
func throughFloat(f func([]float64) float64) reduction {
	return reduction{
		i: func(v []int64) int64 {
			return truncate(f(mapSlice(v, func(v int64) float64 { return float64(v) })), math.MinInt64)
		},
		u: func(v []uint64) uint64 {
			return truncateUnsigned(f(mapSlice(v, func(v uint64) float64 { return float64(v) })))
		},
		f: f,
	}
}

// ReduceSumSquare is the sum of squares over the axes in input 1.
type ReduceSumSquare struct {
	Keepdims bool `attr:"keepdims" default:"1"`
	Noop     bool `attr:"noop_with_empty_axes"`
}

// Infer gives the shape without the reduced axes.
func (o ReduceSumSquare) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	return reduceShape(in, o.Keepdims, o.Noop)
}

func (o ReduceSumSquare) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return reduction{sumSquares[int64], sumSquares[uint64], sumSquares[float64]}.run(x, in, out, o.Keepdims, o.Noop)
}

// Links keeps what is reduced and lets the other axes go on.
func (o ReduceSumSquare) Links(in, out []graph.Fact) []graph.Link {
	return reducedAxes(in, out, o.Keepdims, o.Noop)
}

// Permute moves the axes along.
func (o ReduceSumSquare) Permute(in []graph.Fact, _ int, order []int) (graph.Permuted, bool) {
	return reduceOrder(in, o.Keepdims, o.Noop, order)
}

// ReduceLogSum is the logarithm of the sum over the axes in input 1.
type ReduceLogSum struct {
	Keepdims bool `attr:"keepdims" default:"1"`
	Noop     bool `attr:"noop_with_empty_axes"`
}

// Infer gives the shape without the reduced axes.
func (o ReduceLogSum) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	return reduceShape(in, o.Keepdims, o.Noop)
}

func (o ReduceLogSum) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return throughFloat(func(v []float64) float64 { return math.Log(foldFrom(0, add[float64])(v)) }).run(x, in, out, o.Keepdims, o.Noop)
}

// ReduceLogSumExp is the logarithm of the sum of exponentials over the axes in input 1.
type ReduceLogSumExp struct {
	Keepdims bool `attr:"keepdims" default:"1"`
	Noop     bool `attr:"noop_with_empty_axes"`
}

// Infer gives the shape without the reduced axes.
func (o ReduceLogSumExp) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	return reduceShape(in, o.Keepdims, o.Noop)
}

func (o ReduceLogSumExp) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return throughFloat(logSumExp).run(x, in, out, o.Keepdims, o.Noop)
}

// logSumExp takes out the largest element, so that nothing overflows.
func logSumExp(v []float64) float64 {
	top := foldFrom(math.Inf(-1), higher[float64])(v)
	if math.IsInf(top, 0) || top != top {
		return top
	}
	return top + math.Log(foldFrom(0, func(a, b float64) float64 { return a + math.Exp(b-top) })(v))
}
