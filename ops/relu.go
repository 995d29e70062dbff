package ops

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 14, Relu{}) }

// Relu is max(x, 0); NaN stays NaN.
type Relu struct{ unary }

// Run computes the reference result.
func (Relu) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return mapUnary(x, in[0], out[0], func(v float64) float64 {
		if v < 0 {
			return 0
		}
		return v
	})
}

// unary is what operators with one input and one output of the same type and shape share.
type unary struct{}

// Infer gives the type of the input.
func (unary) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 1, 1); err != nil {
		return nil, err
	}
	return []graph.Type{in[0].Type}, nil
}

// mapUnary applies f to each element in float64 and rounds once to the input's type; 64-bit integers are exact up to
// 2^53.
func mapUnary(x *graph.Exec, in, out *tensor.Tensor, f func(float64) float64) error {
	v := tensor.Doubles(in)
	if v == nil && in.Len() > 0 {
		return fmt.Errorf("no arithmetic on %s", in.DType)
	}
	r := make([]float64, len(v))
	for i, e := range v {
		r[i] = f(e)
	}
	return tensor.SetDoubles(x.Make(out, in.DType, in.Shape...), r)
}
