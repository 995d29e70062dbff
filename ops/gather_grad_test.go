package ops

import (
	"fmt"

	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	x := spread(1, 3, 4, 5)
	for a := -3; a < 3; a++ {
		gradCases(Gather{Axis: a},
			gradCase{name: "repeated", in: tensors(x, ints64(2, 0, -1, 2))},
			gradCase{name: "matrix", in: tensors(x, shaped([]int{2, 3}, int32(0), 1, 2, 2, 1, 1))},
			gradCase{name: "one", in: tensors(x, tensor.Scalar[int64](-2))},
			gradCase{name: "list of one", in: tensors(x, ints64(1))},
		)
		gradCases(GatherElements{Axis: a}, gradCase{in: tensors(x, shaped([]int{2, 2, 2}, int64(0), 1, 2, 2, 1, 1, -1, 0))})
	}
	gradCases(GatherND{},
		gradCase{name: "slices", in: tensors(x, shaped([]int{2, 1}, int64(2), -3))},
		gradCase{name: "rows", in: tensors(x, shaped([]int{2, 2, 2}, int64(0), 1, 2, 3, 0, 1, -1, -1))},
		gradCase{name: "element", in: tensors(x, ints64(0, 3, 4))},
	)
	gradCases(GatherND{BatchDims: 1},
		gradCase{in: tensors(x, shaped([]int{3, 1}, int64(2), -3, 0))},
		gradCase{name: "two", in: tensors(x, shaped([]int{3, 2, 2}, int64(0), 1, 2, 3, 0, 1, -1, -1, 3, 0, 3, 0))},
	)
	gradCases(GatherND{BatchDims: 2}, gradCase{in: tensors(spread(1, 2, 2, 3), shaped([]int{2, 2, 1}, int64(0), 1, 2, 2))})
	for _, r := range []string{"none", "add"} {
		for a := -2; a < 2; a++ {
			gradCases(ScatterElements{Axis: a, Reduction: r},
				gradCase{in: tensors(spread(1, 3, 4), shaped([]int{2, 2}, int64(0), 1, 2, -1), spread(2, 2, 2))})
		}
		gradCases(ScatterND{Reduction: r},
			gradCase{in: tensors(x, shaped([]int{2, 1}, int64(2), 0), spread(2, 2, 4, 5))},
			gradCase{name: "elements", in: tensors(spread(1, 3, 4), shaped([]int{2, 2}, int64(2), 0, -1, 1), spread(2, 2))},
		)
	}
	gradCases(ScatterND{Reduction: "add"}, gradCase{name: "twice", in: tensors(spread(1, 4), shaped([]int{3, 1}, int64(1), 1, 2), spread(2, 3))})
	for a := -2; a < 2; a++ {
		for _, largest := range []bool{false, true} {
			gradCases(TopK{Axis: a, Largest: largest, Sorted: true}, gradCase{in: tensors(spread(1, 4, 5), ints64(2)), outs: 2})
		}
	}
	gradCases(TopK{Axis: 0, Largest: true, Sorted: true}, gradCase{name: "values alone", in: tensors(spread(1, 4), ints64(2))})
	for i := range 4 {
		gradCases(CumSum{Exclusive: i&1 != 0, Reverse: i&2 != 0},
			gradCase{in: tensors(x, tensor.Scalar[int64](1))}, gradCase{name: "last", in: tensors(x, tensor.Scalar[int32](-1))})
	}
	dropoutCases(x)
	einsumCases()
	lossCases()
}

func dropoutCases(x *tensor.Tensor) {
	seed := 3
	some, on, off := tensor.Scalar(0.25), tensor.Scalar(true), tensor.Scalar(false)
	gradCases(Dropout{Seed: &seed},
		gradCase{name: "training", in: tensors(x, some, on), fixed: []int{1}, outs: 2},
		gradCase{name: "mask omitted", in: tensors(x, some, on), fixed: []int{1}},
		gradCase{name: "default ratio", in: tensors(x, nil, on)},
		gradCase{name: "ratio 0", in: tensors(x, tensor.Scalar(0.), on), fixed: []int{1}},
		gradCase{name: "not training", in: tensors(x, some, off), fixed: []int{1}},
		gradCase{name: "inference", in: tensors(x)},
	)
}

func einsumCases() {
	for _, e := range []struct {
		equation string
		shapes   [][]int
	}{
		{"ij,jk->ik", [][]int{{2, 3}, {3, 4}}},
		{"bhid,bhjd->bhij", [][]int{{2, 1, 3, 2}, {2, 1, 4, 2}}},
		{"ij,jk", [][]int{{2, 3}, {3, 4}}},
		{"...ij,...jk->...ik", [][]int{{5, 2, 3}, {3, 4}}},
		{"...ij,...jk->...ik", [][]int{{5, 2, 3}, {1, 3, 4}}},
		{"ij->ji", [][]int{{2, 3}}},
		{"ij->i", [][]int{{2, 3}}},
		{"ij->", [][]int{{2, 3}}},
		{"i,j->ij", [][]int{{2}, {3}}},
		{"ij,j->i", [][]int{{2, 3}, {1}}},
		{"ij,jk,kl->il", [][]int{{2, 3}, {3, 2}, {2, 4}}},
		{"ij,k->j", [][]int{{2, 3}, {4}}},
	} {
		c := gradCase{name: fmt.Sprint(e.shapes)}
		for i, s := range e.shapes {
			c.in = append(c.in, spread(uint64(i), s...))
		}
		gradCases(Einsum{Equation: e.equation}, c)
	}
}

func lossCases() {
	ignore, outside := 1, -100
	target := shaped([]int{3, 2}, int64(0), 2, 1, 3, 1, 0)
	far := shaped([]int{3, 2}, int64(0), -100, 1, 3, -100, 0)
	for _, reduction := range []string{"none", "sum", "mean"} {
		for _, at := range []*int{nil, &ignore, &outside} {
			labels := target
			if at == &outside {
				labels = far
			}
			loss := classLoss{IgnoreIndex: at, Reduction: reduction}
			in := tensors(spread(1, 3, 4, 2), labels)
			weighted := append(in[:2:2], within(2, 0.5, 2, 4))
			flat := tensors(spread(1, 3, 4), vec[int32](2, 1, 0))
			gradCases(NegativeLogLikelihoodLoss{loss},
				gradCase{in: in}, gradCase{name: "weights", in: weighted, fixed: []int{2}}, gradCase{name: "matrix", in: flat})
			gradCases(SoftmaxCrossEntropyLoss{loss},
				gradCase{in: in, outs: 2}, gradCase{name: "weights", in: weighted, fixed: []int{2}}, gradCase{name: "matrix", in: flat})
		}
	}
}
