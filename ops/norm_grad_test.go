package ops

import (
	"fmt"

	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	// With variance 1 and Epsilon 3, 1/√(variance+Epsilon) is 1/2 and x̂ is -1/2, 1/2.
	x, scale := shaped([]int{1, 2}, float32(1), 3), vec[float32](2, 4)
	dy := shaped([]int{1, 2}, float32(1), 1) // g = (2, 4): mean 3, mean(g·x̂) = 1/2
	register(LayerNormalizationGrad{Axis: -1, Epsilon: 3},
		opCase{
			in:  tensors(dy, x, scale),
			out: tensors(shaped([]int{1, 2}, float32(-0.375), 0.375), vec[float32](-0.5, 0.5), vec[float32](1, 1)),
		},
		opCase{name: "dx alone", in: tensors(dy, x, scale), out: tensors(shaped([]int{1, 2}, float32(-0.375), 0.375), nil, nil)},
		opCase{name: "parameters alone", in: tensors(dy, x, scale), out: tensors(nil, vec[float32](-0.5, 0.5), vec[float32](1, 1))},
		opCase{name: "one scale", in: tensors(dy, x, vec[float32](2)), out: tensors(nil, vec[float32](0), vec[float32](2))},
	)
	for _, c := range []struct {
		axis        int
		scale, bias []int
	}{
		{-1, []int{4}, []int{4}},
		{2, []int{4}, nil},
		{1, []int{3, 4}, []int{3, 4}},
		{0, []int{2, 3, 4}, []int{4}},
		{-1, []int{}, []int{1}},
		{-2, []int{3, 1}, []int{3, 4}},
	} {
		in := tensors(spread(1, 2, 3, 4), spread(2, c.scale...))
		r := RMSNormalization{Axis: c.axis, Epsilon: 1e-3, StashType: 1}
		gradCases(r, gradCase{name: fmt.Sprint(c), in: append([]*tensor.Tensor{}, in...)})
		if c.bias != nil {
			in = append(in, spread(3, c.bias...))
		}
		gradCases(LayerNormalization{Axis: c.axis, Epsilon: 1e-3, StashType: 1}, gradCase{name: fmt.Sprint(c), in: in})
	}
	all := tensors(spread(1, 2, 3, 4), spread(2, 4), spread(3, 4))
	gradCases(LayerNormalization{Axis: -1, Epsilon: 1e-3, StashType: int(tensor.Float64)}, gradCase{name: "moments", in: all, outs: 3})
	gradCases(LayerNormalization{Axis: 1, Epsilon: 1e-3, StashType: int(tensor.Float64)}, gradCase{name: "mean", in: all, outs: 2})
	for a := -3; a < 3; a++ {
		gradCases(LpNormalization{Axis: a, P: 1}, gradCase{in: tensors(spread(1, 2, 3, 4))})
		gradCases(LpNormalization{Axis: a, P: 2}, gradCase{in: tensors(spread(1, 2, 3, 4))})
	}
	gradCases(LpNormalization{Axis: 0, P: 2}, gradCase{name: "scalar", in: tensors(spread(1))})
	gradCases(MeanVarianceNormalization{Axes: []int{0, 2, 3}}, gradCase{in: tensors(spread(1, 2, 3, 2, 2))})
	gradCases(MeanVarianceNormalization{Axes: []int{-1}}, gradCase{in: tensors(spread(1, 2, 5))})
}
