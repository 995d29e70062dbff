package ops

import (
	"math"

	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	x := shaped([]int{2, 3}, []float32{1, 2, 3, 4, 5, 6}...)
	row := vec[int64](1)
	register(ReduceSum{Keepdims: true},
		of2(x, row, shaped([]int{2, 1}, []float32{6, 15}...)),
		of2(x, vec[int64](-2), shaped([]int{1, 3}, []float32{5, 7, 9}...)),
		exactly(x, shaped([]int{1, 1}, []float32{21}...)),
		of2(shaped([]int{2, 0}, []float32{}...), row, shaped([]int{2, 1}, []float32{0, 0}...)),
		exactly(vec[int32](math.MaxInt32, 1), vec[int32](math.MinInt32)),
		exactly(vec[float32](1<<24, 1, 1), vec[float32](1<<24+2)))
	register(ReduceSum{},
		of2(x, vec[int64](0, 1), tensor.Scalar[float32](21)),
		of2(x, row, vec[float32](6, 15)),
		exactly(tensor.Scalar[float32](3), tensor.Scalar[float32](3)))
	register(ReduceSum{Noop: true}, exactly(x, x), of2(x, vec[int64](), x))
	register(ReduceMean{Keepdims: true},
		of2(x, row, shaped([]int{2, 1}, []float32{2, 5}...)),
		exactly(vec[int32](-3, -4), vec[int32](-3)),
		exactly(vec[float32](), vec(nan32)))
	register(ReduceMax{},
		of2(x, row, vec[float32](3, 6)),
		exactly(vec(1, nan32, 3), tensor.Scalar(nan32)),
		exactly(vec(false, true), tensor.Scalar(true)),
		exactly(vec[int8](), tensor.Scalar[int8](-128)))
	register(ReduceMin{},
		of2(x, row, vec[float32](1, 4)),
		exactly(vec(false, true), tensor.Scalar(false)),
		exactly(vec[int16](), tensor.Scalar[int16](math.MaxInt16)),
		exactly(vec[uint8](), tensor.Scalar[uint8](255)),
		exactly(vec[float32](), tensor.Scalar(inf32)))
	register(ReduceProd{},
		of2(x, row, vec[float32](6, 120)),
		exactly(vec[int64](3, 4, 5), tensor.Scalar[int64](60)))
	register(ReduceL1{}, of2(shaped([]int{1, 2}, []float32{-1, 2}...), row, vec[float32](3)), exactly(vec[int64](-3, 4), tensor.Scalar[int64](7)))
	register(ReduceL2{}, exactly(vec[float32](-3, 4), tensor.Scalar[float32](5)), exactly(vec[int32](1, 1), tensor.Scalar[int32](1)))
	register(ReduceSumSquare{}, exactly(vec[float32](-3, 4), tensor.Scalar[float32](25)), exactly(vec[int32](-3, 4), tensor.Scalar[int32](25)))
	register(ReduceSumSquare{Noop: true}, exactly(vec[float32](-3, 4), vec[float32](9, 16)))
	register(ReduceLogSum{},
		opCase{in: tensors(vec[float32](1, 3)), out: tensors(tensor.Scalar[float32](2 * math.Ln2)), tol: 1e-7},
		exactly(vec[float32](), tensor.Scalar(-inf32)))
	register(ReduceLogSumExp{},
		opCase{in: tensors(vec[float32](1000, 1000)), out: tensors(tensor.Scalar[float32](1000 + math.Ln2)), tol: 1e-7},
		exactly(vec(-inf32, -inf32), tensor.Scalar(-inf32)))
}
