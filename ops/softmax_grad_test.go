package ops

import "math"

func init() {
	e := math.E
	register(SoftmaxGrad{Axis: -1},
		opCase{
			in:  tensors(shaped([]int{2, 2}, 1., 0, 2, 2), shaped([]int{2, 2}, 0.25, 0.75, 0.5, 0.5)),
			out: tensors(shaped([]int{2, 2}, 0.1875, -0.1875, 0, 0)),
		},
	)
	register(SoftmaxGrad{Axis: 0},
		opCase{
			in:  tensors(shaped([]int{2, 1}, float32(1), 0), shaped([]int{2, 1}, float32(0.25), 0.75)),
			out: tensors(shaped([]int{2, 1}, float32(0.1875), -0.1875)),
		},
	)
	register(LogSoftmaxGrad{Axis: -1},
		opCase{in: tensors(vec(1, 3.), vec(-1, -2.)), out: tensors(vec(1-4/e, 3-4/(e*e))), tol: 1e-12},
	)
	register(LogSoftmaxGrad{Axis: 0},
		opCase{in: tensors(shaped([]int{1, 2}, float32(1), 3), shaped([]int{1, 2}, float32(0), 0)), out: tensors(shaped([]int{1, 2}, float32(0), 0))},
	)
	for a := -3; a < 3; a++ {
		gradCases(Softmax{Axis: a}, gradCase{in: tensors(spread(1, 2, 3, 4))})
		gradCases(LogSoftmax{Axis: a}, gradCase{in: tensors(spread(1, 2, 3, 4))})
	}
	gradCases(Softmax{}, gradCase{name: "scalar", in: tensors(spread(1))})
}
