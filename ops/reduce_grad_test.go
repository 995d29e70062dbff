package ops

import (
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	kinds := []func(keep, noop bool) graph.Op{
		func(k, n bool) graph.Op { return ReduceSum{k, n} },
		func(k, n bool) graph.Op { return ReduceMean{k, n} },
		func(k, n bool) graph.Op { return ReduceMax{k, n} },
		func(k, n bool) graph.Op { return ReduceMin{k, n} },
		func(k, n bool) graph.Op { return ReduceProd{k, n} },
		func(k, n bool) graph.Op { return ReduceL1{k, n} },
		func(k, n bool) graph.Op { return ReduceL2{k, n} },
		func(k, n bool) graph.Op { return ReduceSumSquare{k, n} },
		func(k, n bool) graph.Op { return ReduceLogSum{k, n} },
		func(k, n bool) graph.Op { return ReduceLogSumExp{k, n} },
	}
	for _, kind := range kinds {
		x := spread(1, 2, 3, 4)
		if _, ok := kind(false, false).(ReduceLogSum); ok {
			x = within(1, 0.3, 2, 2, 3, 4)
		}
		one, two, empty := vec[int64](-2), vec[int64](2, 0), tensor.New(tensor.Int64, 0)
		for _, keep := range []bool{false, true} {
			gradCases(kind(keep, false),
				gradCase{name: "all", in: tensors(x)},
				gradCase{name: "all, omitted", in: tensors(x, nil)},
				gradCase{name: "one", in: tensors(x, one)},
				gradCase{name: "two", in: tensors(x, two)},
			)
			gradCases(kind(keep, true),
				gradCase{name: "nothing", in: tensors(x, empty)},
				gradCase{name: "noop but axes", in: tensors(x, one)},
			)
		}
	}
	gradCases(ReduceProd{Keepdims: true}, gradCase{name: "zero", in: tensors(shaped([]int{2, 3}, 1., 0, 2, 0, 0, 3), vec[int64](1))})
}
