package ops

import (
	"testing"

	"github.com/tfsopt/tfsopt/tensor"
)

// TestOtherFloatTypes runs the float32 cases of operators that take several floating-point types with those.
func TestOtherFloatTypes(t *testing.T) {
	all := map[tensor.DType]float64{tensor.Float16: 2e-3, tensor.BFloat16: 2e-2, tensor.Float64: 1e-6}
	narrow := map[tensor.DType]float64{tensor.Float16: 2e-3, tensor.BFloat16: 2e-2}
	for name, types := range map[string]map[tensor.DType]float64{
		"RNN": all, "GRU": all, "LSTM": all, "Attention": all, "DFT": all, "STFT": all, "GridSample": all, "AffineGrid": all,
		"RoiAlign": all, "NegativeLogLikelihoodLoss": all, "SoftmaxCrossEntropyLoss": all, "Swish": all,
		"RotaryEmbedding": narrow, "LinearAttention": narrow, "CausalConvWithState": narrow,
	} {
		for d, tol := range types {
			for _, c := range cases[name] {
				t.Run(name+"/"+d.String()+"/"+c.name, func(t *testing.T) {
					in := asType(c.in, d)
					got := evalCase(t, opCases{c.op, opCase{in: in, out: c.out}})
					checkInference(t, opCases{c.op, opCase{in: in}}, got)
					for i, want := range asType(c.out, d) {
						if want == nil {
							continue
						}
						if err := differ(got[i], want, tol); err != nil {
							t.Errorf("output %d: %v", i, err)
						}
					}
				})
			}
		}
	}
}

// asType is a list with its float32 tensors rounded to another type.
func asType(list []*tensor.Tensor, d tensor.DType) []*tensor.Tensor {
	out := make([]*tensor.Tensor, len(list))
	for i, x := range list {
		if out[i] = x; x == nil || x.DType != tensor.Float32 {
			continue
		}
		y, err := tensor.FromFloats(d, tensor.Floats(x), x.Shape...)
		if err != nil {
			panic(err)
		}
		out[i] = y
	}
	return out
}
