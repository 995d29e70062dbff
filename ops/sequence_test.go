package ops

import (
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	a, b := vec[float32](1, 2), vec[float32](3, 4)
	pos := func(i int64) *tensor.Tensor { return tensor.Scalar(i) }
	register(SequenceConstruct{}, opCase{in: tensors(a, b), out: tensors(list(a, b))})
	register(SequenceEmpty{DType: int(tensor.Int8)}, opCase{out: tensors(list())})
	register(SequenceAt{}, opCase{in: tensors(list(a, b), pos(-1)), out: tensors(b)},
		opCase{name: "items that differ", in: tensors(list(a, six(), b), pos(1)), out: tensors(six())})
	register(SequenceInsert{}, opCase{in: tensors(list(a, a), b, pos(-1)), out: tensors(list(a, b, a))},
		opCase{name: "end", in: tensors(list(a), b), out: tensors(list(a, b))},
		opCase{name: "at length", in: tensors(list(a), b, pos(1)), out: tensors(list(a, b))})
	register(SequenceErase{}, opCase{in: tensors(list(a, b), pos(0)), out: tensors(list(b))},
		opCase{name: "last", in: tensors(list(a, b)), out: tensors(list(a))})
	register(SequenceLength{}, opCase{in: tensors(list(a, b)), out: tensors(pos(2))})
	register(ConcatFromSequence{}, opCase{in: tensors(list(a, b)), out: tensors(vec[float32](1, 2, 3, 4))})
	register(ConcatFromSequence{Axis: -1, NewAxis: true}, opCase{in: tensors(list(a, b)), out: tensors(shaped([]int{2, 2}, float32(1), 3, 2, 4))})
	register(SplitToSequence{Axis: 1}, opCase{name: "slices", in: tensors(shaped([]int{2, 2}, float32(1), 3, 2, 4)), out: tensors(list(a, b))})
	register(SplitToSequence{KeepDims: true}, opCase{name: "pieces", in: tensors(vec[int8](1, 2, 3), pos(2)), out: tensors(list(vec[int8](1, 2), vec[int8](3)))})
	register(Optional{}, opCase{in: tensors(a), out: tensors(&tensor.Tensor{DType: tensor.Optional, Items: tensors(a)})})
	register(Optional{Type: graph.AnyRank(tensor.Int8)}, opCase{name: "empty", out: tensors(&tensor.Tensor{DType: tensor.Optional})})
	some := &tensor.Tensor{DType: tensor.Optional, Items: tensors(list(a, b))}
	register(OptionalGetElement{}, opCase{in: tensors(some), out: tensors(list(a, b))}, opCase{name: "plain", in: tensors(a), out: tensors(a)})
	register(OptionalHasElement{}, opCase{in: tensors(some), out: tensors(tensor.Scalar(true))},
		opCase{name: "omitted", out: tensors(tensor.Scalar(false))})
}
