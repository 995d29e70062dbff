package ops

import "github.com/tfsopt/tfsopt/tensor"

// The formulas equal ONNX Runtime 1.31.1 in every element of random inputs; the cases for one half show where each
// operator adds the zero point.
func init() {
	one, half := tensor.Scalar(float32(1)), tensor.Scalar(float32(0.5))
	zero, first := tensor.Scalar(uint8(0)), tensor.Scalar(uint8(1))
	cell := func(v ...uint8) *tensor.Tensor { return shaped([]int{1, 1, len(v)}, v...) }
	register(QLinearConv{Conv: Conv{AutoPad: "NOTSET", Group: 1}},
		opCase{
			name: "half goes to even before the zero point is added",
			in:   tensors(cell(1, 3, 255), half, zero, shaped([]int{1, 1, 1}, []int8{1}...), one, tensor.Scalar(int8(0)), one, first),
			out:  tensors(cell(1, 3, 129)),
		},
		opCase{
			name: "16-bit x, with a sum and a bias beyond int32",
			in: tensors(shaped([]int{1, 1, 2}, []int16{-32768, 32767}...), one, tensor.Scalar(int16(0)),
				shaped([]int{2, 1, 2}, []int8{-128, 127, 1, 0}...), tensor.Scalar(float32(1.0/4096)), tensor.Scalar(int8(0)), one,
				tensor.Scalar(int16(3)), vec[int64](-1<<23, 1<<40)),
			out: tensors(shaped([]int{1, 2, 1}, []int16{-5, 32767}...)),
		},
		opCase{
			name: "by channel, with zero points and bias",
			in: tensors(cell(1, 3), one, first, shaped([]int{2, 1, 2}, []uint8{1, 2, 3, 4}...), vec[float32](1, 0.5), vec[uint8](1, 2), one, first,
				vec[int32](5, -10)),
			out: tensors(shaped([]int{1, 2, 1}, []uint8{8, 0}...)),
		})
	register(QLinearAdd{},
		opCase{
			name: "half goes to even after the zero point is added",
			in:   tensors(vec[uint8](1, 3, 255), half, zero, vec[uint8](0), half, zero, one, first), out: tensors(vec[uint8](2, 2, 128)),
		},
		opCase{name: "no zero points", in: tensors(vec[int8](-100, 4), one, nil, vec[int8](-100, 4), one, nil, one), out: tensors(vec[int8](-128, 8))},
		opCase{
			name: "the left side repeats", in: tensors(vec[uint8](9), one, first, vec[uint8](1, 2), one, zero, half, zero),
			out: tensors(vec[uint8](18, 20)),
		})
	register(QLinearMul{}, opCase{
		in: tensors(vec[uint8](1, 3, 255), half, zero, vec[uint8](2), one, first, one, first), out: tensors(vec[uint8](2, 2, 128)),
	})
	register(QLinearGlobalAveragePool{}, opCase{in: tensors(cell(1, 2), one, zero, one, first), out: tensors(cell(3))})
	register(QLinearGlobalAveragePool{ChannelsLast: true}, opCase{
		in: tensors(shaped([]int{1, 2, 2}, []uint8{1, 10, 3, 20}...), one, zero, one, first), out: tensors(shaped([]int{1, 1, 2}, []uint8{3, 16}...)),
	})
	register(QLinearAveragePool{AutoPad: "NOTSET", KernelShape: []int{2}}, opCase{
		in: tensors(cell(1, 2, 4), one, zero, one, first), out: tensors(cell(2, 4)),
	})
	register(QLinearAveragePool{AutoPad: "NOTSET", ChannelsLast: true, CountIncludePad: true, KernelShape: []int{2}, Pads: []int{1, 0}}, opCase{
		in: tensors(shaped([]int{1, 2, 2}, []uint8{2, 4, 4, 8}...), one, zero, one, zero), out: tensors(shaped([]int{1, 2, 2}, []uint8{1, 2, 3, 6}...)),
	})
	register(QLinearConcat{Axis: 0}, opCase{
		in: tensors(one, zero, vec[uint8](2, 3), one, zero, vec[uint8](4, 5), half, zero), out: tensors(vec[uint8](2, 3, 2, 2)),
	})
	register(QLinearConcat{Axis: 1}, opCase{
		in:  tensors(one, zero, shaped([]int{2, 1}, []uint8{1, 2}...), one, zero, shaped([]int{2, 1}, []uint8{3, 4}...), one, first),
		out: tensors(shaped([]int{2, 2}, []uint8{1, 2, 2, 3}...)),
	})
	part := tensor.Scalar(float32(1) / 256)
	register(QLinearSigmoid{}, opCase{in: tensors(vec[uint8](7, 255, 0), one, tensor.Scalar(uint8(7)), part, zero), out: tensors(vec[uint8](128, 255, 0))})
	register(QLinearLeakyRelu{Alpha: 0.5}, opCase{
		in: tensors(vec[int8](-4, 4), one, tensor.Scalar(int8(0)), one, tensor.Scalar(int8(1))), out: tensors(vec[int8](-1, 5)),
	})
	register(QLinearSoftmax{Axis: -1, Opset: 13}, opCase{
		in: tensors(shaped([]int{2, 2}, []uint8{5, 5, 0, 200}...), one, zero, part, zero), out: tensors(shaped([]int{2, 2}, []uint8{128, 128, 0, 255}...)),
	})
	register(QLinearSoftmax{Axis: 0, Opset: 12}, opCase{
		in: tensors(shaped([]int{2, 2}, []uint8{5, 5, 5, 5}...), one, zero, part, zero), out: tensors(shaped([]int{2, 2}, []uint8{64, 64, 64, 64}...)),
	})
}
