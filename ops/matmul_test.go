package ops

import "github.com/tfsopt/tfsopt/tensor"

func init() {
	two := []int{2, 2}
	a, eye := shaped(two, []float32{1, 2, 3, 4}...), shaped(two, []float32{1, 0, 0, 1}...)
	register(Gemm{Alpha: 2, Beta: 0.5}, opCase{
		in: tensors(a, eye, vec[float32](2, 4)), out: tensors(shaped(two, []float32{3, 6, 7, 10}...)),
	}, opCase{
		name: "column of c", in: tensors(a, eye, shaped([]int{2, 1}, []float32{2, 4}...)), out: tensors(shaped(two, []float32{3, 5, 8, 10}...)),
	})
	register(Gemm{Alpha: 1, Beta: 1, TransA: true, TransB: true}, opCase{
		in: tensors(a, shaped(two, []float32{1, 1, 0, 1}...)), out: tensors(shaped(two, []float32{4, 3, 6, 4}...)),
	}, opCase{
		name: "int64", in: tensors(shaped(two, []int64{1 << 60, 2, 3, 4}...), shaped(two, []int64{1, 0, 0, 1}...), vec[int64](1)),
		out: tensors(shaped(two, []int64{1<<60 + 1, 4, 3, 5}...)),
	})
	register(MatMul{},
		opCase{name: "vectors", in: tensors(vec[float32](1, 2), vec[float32](3, 4)), out: tensors(tensor.Scalar(float32(11)))},
		opCase{
			name: "batch", in: tensors(shaped([]int{2, 1, 2}, []float64{1, 2, 3, 4}...), shaped([]int{2, 1}, []float64{1, 1}...)),
			out: tensors(shaped([]int{2, 1, 1}, []float64{3, 7}...)),
		},
		opCase{
			name: "uint32 wraps", in: tensors(vec[uint32](1<<31, 1), vec[uint32](2, 5)), out: tensors(tensor.Scalar(uint32(5))),
		},
		opCase{
			name: "float16 rounds once", in: tensors(typed(tensor.Float16, 2048, 1, 1), typed(tensor.Float16, 1, 1, 1)),
			out: tensors(typed(tensor.Float16, 2050).Reshape()),
		})
	register(FusedMatMul{Alpha: 2, TransA: true}, opCase{
		in: tensors(a, eye), out: tensors(shaped(two, []float32{2, 6, 4, 8}...)),
	})
}

func init() {
	two := []int{2, 2}
	row, column := shaped([]int{1, 2}, []uint8{3, 5}...), shaped([]int{2, 1}, []int8{1, 2}...)
	half, zero := tensor.Scalar(float32(0.5)), tensor.Scalar(int8(0))
	register(MatMulInteger{},
		opCase{in: tensors(row, column, tensor.Scalar(uint8(1)), zero), out: tensors(shaped([]int{1, 1}, []int32{10}...))},
		opCase{name: "no zero points", in: tensors(row, column), out: tensors(shaped([]int{1, 1}, []int32{13}...))},
		opCase{
			name: "by row and column",
			in:   tensors(shaped(two, []uint8{1, 2, 3, 4}...), shaped(two, []uint8{1, 0, 0, 1}...), vec[uint8](1, 2), vec[uint8](0, 1)),
			out:  tensors(shaped(two, []int32{0, 0, 1, -1}...)),
		})
	register(QLinearMatMul{}, opCase{
		name: "a tie goes to even, then the zero point is added",
		in:   tensors(row, half, tensor.Scalar(uint8(1)), column, half, zero, tensor.Scalar(float32(1)), tensor.Scalar(uint8(7))),
		out:  tensors(shaped([]int{1, 1}, []uint8{9}...)),
	})
	register(MatMulIntegerToFloat{}, opCase{
		in:  tensors(row, column, half, vec[float32](0.5), tensor.Scalar(uint8(1)), nil, vec[float32](0.5)),
		out: tensors(shaped([]int{1, 1}, []float32{3}...)),
	})
	register(DynamicQuantizeMatMul{}, opCase{
		in:  tensors(shaped([]int{1, 2}, []float32{0, 255}...), column, half, nil, vec[float32](1)),
		out: tensors(shaped([]int{1, 1}, []float32{256}...)),
	})
	bias := vec[int32](2)
	register(QGemm{Alpha: 1},
		opCase{
			in:  tensors(row, half, tensor.Scalar(uint8(1)), column, half, zero, bias, tensor.Scalar(float32(1)), tensor.Scalar(uint8(7))),
			out: tensors(shaped([]int{1, 1}, []uint8{10}...)),
		},
		opCase{
			name: "float result", in: tensors(row, half, tensor.Scalar(uint8(1)), column, half, zero, bias),
			out: tensors(shaped([]int{1, 1}, []float32{3}...)),
		})
	ones := tensor.New(tensor.Float32, 1, 16)
	for i := range 16 {
		tensor.View[float32](ones)[i] = 1
	}
	packed := shaped([]int{1, 1, 8}, []uint8{0x9a, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88}...)
	register(MatMulNBits{K: 16, N: 1, Bits: 4, BlockSize: 16},
		opCase{in: tensors(ones, packed, vec[float32](0.5)), out: tensors(shaped([]int{1, 1}, []float32{1.5}...))},
		opCase{
			name: "zero point and bias", in: tensors(ones, packed, vec[float32](0.5), vec[uint8](7), nil, vec[float32](1)),
			out: tensors(shaped([]int{1, 1}, []float32{10.5}...)),
		})
	register(FusedMatMul{Alpha: 1, TransBatchA: true}, opCase{
		in:  tensors(shaped([]int{2, 2, 1}, []float32{1, 2, 3, 4}...), shaped([]int{2, 1, 1}, []float32{1, 10}...)),
		out: tensors(shaped([]int{2, 2, 1}, []float32{1, 3, 20, 40}...)),
	})
	register(MicrosoftGelu{}, opCase{
		in: tensors(vec[float32](0, 1, -1)), out: tensors(vec[float32](0, 0.8413447, -0.15865526)), tol: 1e-7,
	})
}
