package ops

import (
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 6, Relu{}) }

// Relu is max(x, 0); NaN stays NaN.
type Relu struct{ unary }

func (Relu) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return arith1{i: rectify[int64], u: same[uint64], f: rectify[float64]}.run(x, in, out)
}

// Quant tells that Relu has an integer twin.
func (Relu) Quant() graph.Quant { return graph.Quant{} }

func rectify[T int64 | float64](v T) T {
	if v < 0 {
		return 0
	}
	return v
}
