package ops

import (
	"math"

	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	half := tensor.Scalar(float32(0.5))
	q := QuantizeLinear{Axis: 1, Saturate: true}
	register(q,
		opCase{
			name: "ties go to even, ends saturate", in: tensors(vec[float32](0, 0.25, 0.75, -1, 100, -100), half, tensor.Scalar(uint8(128))),
			out: tensors(vec[uint8](128, 128, 130, 126, 255, 0)),
		},
		opCase{name: "no zero point", in: tensors(vec[float32](1, -1), half), out: tensors(vec[uint8](2, 0))},
		opCase{
			name: "3.14159 in steps of 0.1", in: tensors(vec[float32](3.14159), tensor.Scalar(float32(0.1)), tensor.Scalar(int8(0))),
			out: tensors(vec[int8](31)),
		},
		opCase{
			name: "infinities and NaN",
			in:   tensors(vec(float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())), half, tensor.Scalar(int8(3))),
			out:  tensors(vec[int8](127, -128, -128)),
		},
		opCase{
			name: "by axis", in: tensors(shaped([]int{2, 2}, []float32{1, 1, 2, 2}...), vec[float32](1, 0.5), vec[int16](0, 1000)),
			out: tensors(shaped([]int{2, 2}, []int16{1, 1002, 2, 1004}...)),
		},
		opCase{
			name: "int4", in: tensors(vec[float32](1, -9, 9), half, typed(tensor.Int4, 1).Reshape()), out: tensors(typed(tensor.Int4, 3, -8, 7)),
		},
		opCase{
			name: "uint2", in: tensors(vec[float32](1, -9, 9), tensor.Scalar(float32(1)), typed(tensor.Uint2, 1).Reshape()),
			out: tensors(typed(tensor.Uint2, 2, 0, 3)),
		},
		opCase{
			name: "float8 saturates", in: tensors(vec[float32](0, 1, 1000), half, typed(tensor.Float8E4M3FN, 0).Reshape()),
			out: tensors(typed(tensor.Float8E4M3FN, 0, 2, 448)),
		},
		opCase{
			name: "float4", in: tensors(vec[float32](0.6, -1, 1000), half, typed(tensor.Float4E2M1, 0).Reshape()),
			out: tensors(typed(tensor.Float4E2M1, 1, -2, 6)),
		},
		opCase{
			name: "float16", in: tensors(typed(tensor.Float16, 1, 2), typed(tensor.Float16, 0.5).Reshape(), tensor.Scalar(uint8(0))),
			out: tensors(vec[uint8](2, 4)),
		})
	register(QuantizeLinear{Axis: 1}, opCase{
		name: "float8 overflows", in: tensors(vec[float32](1000), half, typed(tensor.Float8E5M2, 0).Reshape()),
		out: tensors(typed(tensor.Float8E5M2, 2048)),
	}, opCase{
		name: "float8 without infinity", in: tensors(vec[float32](1000), half, typed(tensor.Float8E4M3FN, 0).Reshape()),
		out: tensors(typed(tensor.Float8E4M3FN, float32(math.NaN()))),
	})
	register(QuantizeLinear{Axis: -1, BlockSize: 2, OutputDType: int(tensor.Int8), Saturate: true}, opCase{
		in:  tensors(shaped([]int{2, 3}, []float32{1, 2, 3, 4, 5, 6}...), shaped([]int{2, 2}, []float32{1, 0.5, 2, 0.25}...)),
		out: tensors(shaped([]int{2, 3}, []int8{1, 2, 6, 2, 2, 24}...)),
	})
	// The quotient 2.504 becomes 2.5 in bfloat16 and so goes to 2.
	register(QuantizeLinear{Axis: 1, Precision: int(tensor.BFloat16), Saturate: true}, opCase{
		in: tensors(vec[float32](1.0625, 2.504), tensor.Scalar(float32(1))), out: tensors(vec[uint8](1, 2)),
	})
}

func init() {
	half := tensor.Scalar(float32(0.5))
	register(DequantizeLinear{Axis: 1},
		opCase{in: tensors(vec[uint8](0, 128, 255), half, tensor.Scalar(uint8(128))), out: tensors(vec[float32](-64, 0, 63.5))},
		opCase{
			name: "31 steps of 0.1", in: tensors(vec[int8](31), tensor.Scalar(float32(0.1)), tensor.Scalar(int8(0))),
			out: tensors(vec(float32(31) * float32(0.1))),
		},
		opCase{name: "int32", in: tensors(vec[int32](1000000, -3), half), out: tensors(vec[float32](500000, -1.5))},
		opCase{
			name: "int4 to float16", in: tensors(typed(tensor.Int4, -8, 7), typed(tensor.Float16, 0.5).Reshape()),
			out: tensors(typed(tensor.Float16, -4, 3.5)),
		},
		opCase{
			name: "float8", in: tensors(typed(tensor.Float8E5M2, 1.5, -2), half), out: tensors(vec[float32](0.75, -1)),
		})
	register(DequantizeLinear{Axis: 0}, opCase{
		in:  tensors(shaped([]int{2, 2}, []int8{1, 2, 3, 4}...), vec[float32](1, 10), vec[int8](0, 1)),
		out: tensors(shaped([]int{2, 2}, []float32{1, 2, 20, 30}...)),
	})
	register(DequantizeLinear{Axis: 0, BlockSize: 2, OutputDType: int(tensor.Float64)}, opCase{
		in: tensors(vec[uint8](1, 2, 3), vec[float32](1, 10), vec[uint8](0, 1)), out: tensors(vec[float64](1, 2, 20)),
	})
	register(DynamicQuantizeRows{}, opCase{
		in: tensors(shaped([]int{2, 1, 2}, []float32{0, 5.1, -2, 3}...)),
		out: tensors(shaped([]int{2, 1, 2}, []uint8{0, 255, 0, 255}...), shaped([]int{2, 1, 1}, []float32{float32(5.1) / 255, float32(5) / 255}...),
			shaped([]int{2, 1, 1}, []uint8{0, 102}...)),
	})
	register(DynamicQuantizeLinear{}, opCase{
		in:  tensors(vec[float32](0, 2, -3, -2.5, 1.34, 0.5)),
		out: tensors(vec[uint8](153, 255, 0, 26, 221, 179), tensor.Scalar(float32(5)/255), tensor.Scalar(uint8(153))),
	}, opCase{
		name: "without NaN", in: tensors(vec[float32](float32(math.NaN()), 5.1, float32(math.NaN()))),
		out: tensors(vec[uint8](0, 255, 0), tensor.Scalar(float32(5.1)/255), tensor.Scalar(uint8(0))),
	}, opCase{
		name: "all zero", in: tensors(vec[float32](0, 0)), out: tensors(vec[uint8](0, 0), tensor.Scalar(float32(1)), tensor.Scalar(uint8(0))),
	})
}
