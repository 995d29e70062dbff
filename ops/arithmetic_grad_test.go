package ops

import (
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	for _, op := range []graph.Op{Add{}, Sub{}, Mul{}, Div{}, Min{}, Max{}, Sum{}, Mean{}} {
		a := spread(1, 2, 3, 4)
		gradCases(op,
			gradCase{name: "same", in: tensors(a, spread(2, 2, 3, 4))},
			gradCase{name: "row", in: tensors(a, spread(3, 4))},
			gradCase{name: "column", in: tensors(spread(4, 3, 1), a)},
			gradCase{name: "scalar", in: tensors(a, spread(5))},
			gradCase{name: "both", in: tensors(spread(6, 2, 1, 3), spread(7, 5, 1))},
			gradCase{name: "constant", in: tensors(a, vec(1.5)), fixed: []int{1}},
		)
	}
	for _, op := range []graph.Op{Min{}, Max{}, Sum{}, Mean{}} {
		gradCases(op,
			gradCase{name: "one", in: tensors(spread(1, 5))},
			gradCase{name: "three", in: tensors(spread(1, 5), within(2, -1.9, 1.7, 3, 5), within(3, -1.6, 1.8, 3, 1))},
		)
	}
	for _, op := range []graph.Op{Mod{}, Mod{Fmod: true}} {
		a := vec(5.3, -5.1, 4.7, -4.5)
		gradCases(op,
			gradCase{name: "signs", in: tensors(a, vec(2.1, 2.2, -1.9, -1.8))},
			gradCase{name: "broadcast", in: tensors(a, shaped([]int{2, 1}, 1.6, -3))},
		)
	}
	x := within(8, 0.2, 2, 2, 3)
	gradCases(Pow{},
		gradCase{name: "each", in: tensors(x, spread(9, 2, 3))},
		gradCase{name: "broadcast", in: tensors(x, spread(9, 4, 1, 3))},
		gradCase{name: "integers", in: tensors(spread(10, 4), vec[int64](0, 1, 2, 3))},
		gradCase{name: "negative", in: tensors(spread(10, 4), vec(0., 1, 2, 3)), fixed: []int{1}},
	)
	for _, e := range []float64{0, 1, 2, 3, -1, 0.5} {
		gradCases(Pow{}, gradCase{in: tensors(x, tensor.Scalar(e)), fixed: []int{1}})
	}
	set := shaped([]int{2, 1}, true, false)
	gradCases(Where{},
		gradCase{name: "broadcast", in: tensors(set, spread(1, 2, 3), spread(2, 3))},
		gradCase{name: "grows", in: tensors(set, spread(1), spread(2, 4))},
	)
}
