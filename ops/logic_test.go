package ops

import (
	"math"

	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	register(Equal{},
		of2(vec(1, nan32, neg0), vec(1, nan32, 0), vec(true, false, true)),
		of2(tensor.FromStrings([]string{"a", "b"}, 2), tensor.FromStrings([]string{"b"}, 1), vec(false, true)),
		of2(vec(true, false), vec(false, false), vec(false, true)),
		of2(vec[int64](1<<60), vec[int64](1<<60+1), vec(false)))
	register(Less{},
		of2(vec(1, nan32, 2), vec[float32](2, 0, 2), vec(true, false, false)),
		of2(vec[uint64](1), vec[uint64](math.MaxUint64), vec(true)))
	register(LessOrEqual{}, of2(vec[int8](-1, 2, 3), vec[int8](0, 2, 2), vec(true, true, false)))
	register(Greater{},
		of2(vec[float32](1, 3), vec[float32](2), vec(false, true)),
		of2(vec[uint64](1), vec[uint64](math.MaxUint64), vec(false)))
	register(GreaterOrEqual{}, of2(vec[float64](1, 2, 3), vec[float64](2), vec(false, true, true)))
	register(IsNaN{}, exactly(vec(1, nan32, inf32), vec(false, true, false)))
	register(IsInf{Positive: true, Negative: true}, exactly(vec(1, -inf32, inf32), vec(false, true, true)))
	register(IsInf{Positive: true}, exactly(vec(nan32, -inf32, inf32), vec(false, false, true)))
	register(And{}, of2(vec(true, true, false, false), vec(true, false, true, false), vec(true, false, false, false)))
	register(Or{}, of2(vec(true, true, false, false), vec(true, false, true, false), vec(true, true, true, false)))
	register(Xor{}, of2(vec(true, true, false, false), vec(true, false, true, false), vec(false, true, true, false)))
	register(Not{}, exactly(vec(true, false), vec(false, true)))
	register(BitwiseAnd{}, of2(vec[int8](-1, 12), vec[int8](6, 10), vec[int8](6, 8)))
	register(BitwiseOr{}, of2(vec[uint64](1<<63, 12), vec[uint64](1, 10), vec[uint64](1<<63+1, 14)))
	register(BitwiseXor{}, of2(vec[int32](12), vec[int32](10, -1), vec[int32](6, -13)))
	register(BitwiseNot{}, exactly(vec[int8](0, 5), vec[int8](-1, -6)), exactly(vec[uint8](1), vec[uint8](254)))
	register(BitShift{Direction: "LEFT"},
		of2(vec[uint8](1, 129, 1), vec[uint8](3, 1, 8), vec[uint8](8, 2, 0)),
		of2(vec[int8](1, 1, 3), vec[int8](7, -1, 8), vec[int8](-128, 0, 0)))
	register(BitShift{Direction: "RIGHT"},
		of2(vec[uint8](16, 16), vec[uint8](2, 200), vec[uint8](4, 0)),
		of2(vec[int8](-16, -1, 5), vec[int8](2, 100, -1), vec[int8](-4, -1, 0)))
	register(Where{},
		opCase{
			in:  tensors(shaped([]int{2, 1}, true, false), vec[float32](1, 2), tensor.Scalar[float32](9)),
			out: tensors(shaped([]int{2, 2}, []float32{1, 2, 9, 9}...)),
		},
		opCase{
			in:  tensors(vec(false, true), tensor.FromStrings([]string{"a"}, 1), tensor.FromStrings([]string{"b", "c"}, 2)),
			out: tensors(tensor.FromStrings([]string{"b", "a"}, 2)),
		},
		opCase{
			in:  tensors(vec(false, true, true), typed(tensor.Int4, 1, 2, -3), typed(tensor.Int4, 4)),
			out: tensors(typed(tensor.Int4, 4, 2, -3)),
		},
		opCase{in: tensors(vec(false, true), vec[int64](3), vec[int64](4, 5)), out: tensors(vec[int64](4, 3))})
}
