package ops

import (
	"math"

	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	nan := float32(math.NaN())
	register(ReluGrad{}, opCase{
		in:  tensors(vec[float32](1, 2, 3, 4), vec[float32](0, 2.5, -1, nan)),
		out: tensors(vec[float32](0, 2, 0, 0)),
	})
	register(ClipGrad{},
		opCase{
			in:  tensors(vec[float32](1, 2, 3, 4), vec[float32](0, 2.5, 6, nan), tensor.Scalar[float32](0), tensor.Scalar[float32](6)),
			out: tensors(vec[float32](0, 2, 0, 0)),
		},
		opCase{in: tensors(vec[float32](1, 2), vec[float32](-9, 9)), out: tensors(vec[float32](1, 2))},
		opCase{in: tensors(vec[float32](1, 2), vec[float32](-9, 9), nil, tensor.Scalar[float32](9)), out: tensors(vec[float32](1, 0))},
	)
	gradCases(Relu{}, gradCase{in: tensors(spread(1, 3, 5))})
	lo, hi := tensor.Scalar[float64](-1), tensor.Scalar[float64](1)
	gradCases(Clip{},
		gradCase{name: "both", in: tensors(spread(2, 12), lo, hi), fixed: []int{1, 2}},
		gradCase{name: "low", in: tensors(spread(3, 2, 4), lo), fixed: []int{1}},
		gradCase{name: "high", in: tensors(spread(4, 2, 4), nil, hi), fixed: []int{2}},
		gradCase{name: "none", in: tensors(spread(5, 2, 4))},
	)
}
