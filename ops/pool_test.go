package ops

import (
	"math"

	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	line := shaped([]int{1, 1, 5}, []float32{1, 3, 2, 5, 4}...)
	register(MaxPool{AutoPad: "NOTSET", KernelShape: []int{2}, Strides: []int{2}}, opCase{
		in: tensors(line), out: tensors(shaped([]int{1, 1, 2}, []float32{3, 5}...), shaped([]int{1, 1, 2}, []int64{1, 3}...)),
	}, opCase{
		name: "NaN wins", in: tensors(shaped([]int{1, 1, 2}, []float32{float32(math.NaN()), 1}...)),
		out: tensors(shaped([]int{1, 1, 1}, []float32{float32(math.NaN())}...)),
	}, opCase{
		name: "uint8", in: tensors(shaped([]int{1, 1, 2}, []uint8{200, 100}...)), out: tensors(shaped([]int{1, 1, 1}, []uint8{200}...)),
	})
	register(MaxPool{AutoPad: "NOTSET", CeilMode: true, KernelShape: []int{2}, Strides: []int{2}}, opCase{
		in: tensors(line), out: tensors(shaped([]int{1, 1, 3}, []float32{3, 5, 4}...)),
	})
	register(MaxPool{AutoPad: "NOTSET", Dilations: []int{3}, KernelShape: []int{2}, Pads: []int{1, 0}}, opCase{
		in: tensors(line), out: tensors(shaped([]int{1, 1, 3}, []float32{2, 5, 4}...)),
	})
	register(MaxPool{AutoPad: "NOTSET", KernelShape: []int{2, 2}, StorageOrder: 1}, opCase{
		in:  tensors(shaped([]int{1, 2, 2, 2}, []float32{1, 2, 3, 0, 1, 2, 0, 0}...)),
		out: tensors(shaped([]int{1, 2, 1, 1}, []float32{3, 2}...), shaped([]int{1, 2, 1, 1}, []int64{1, 6}...)),
	})
	average := AveragePool{AutoPad: "NOTSET", KernelShape: []int{2}, Pads: []int{1, 0}}
	register(average, opCase{in: tensors(line), out: tensors(shaped([]int{1, 1, 5}, []float32{1, 2, 2.5, 3.5, 4.5}...))})
	average.CountIncludePad = true
	register(average, opCase{in: tensors(line), out: tensors(shaped([]int{1, 1, 5}, []float32{0.5, 2, 2.5, 3.5, 4.5}...))})
	// The last window reaches beyond the padding: what lies there does not count.
	register(AveragePool{AutoPad: "NOTSET", CeilMode: true, CountIncludePad: true, KernelShape: []int{3}, Pads: []int{0, 1}, Strides: []int{2}}, opCase{
		in:  tensors(shaped([]int{1, 1, 4}, []float32{3, 3, 3, 3}...)),
		out: tensors(shaped([]int{1, 1, 2}, []float32{3, 2}...)),
	}, opCase{
		name: "clipped", in: tensors(shaped([]int{1, 1, 5}, []float32{3, 3, 3, 3, 3}...)),
		out: tensors(shaped([]int{1, 1, 3}, []float32{3, 3, 1.5}...)),
	})
	register(LpPool{AutoPad: "NOTSET", KernelShape: []int{2}, P: 2}, opCase{
		in: tensors(shaped([]int{1, 1, 3}, []float32{3, -4, 0}...)), out: tensors(shaped([]int{1, 1, 2}, []float32{5, 4}...)),
	})
	register(LpPool{AutoPad: "SAME_UPPER", KernelShape: []int{2}, P: 1}, opCase{
		in: tensors(shaped([]int{1, 1, 3}, []float32{3, -4, 0}...)), out: tensors(shaped([]int{1, 1, 3}, []float32{7, 4, 0}...)),
	})
	pair := shaped([]int{1, 2, 2}, []float32{3, 4, -6, 8}...)
	register(GlobalAveragePool{}, opCase{in: tensors(pair), out: tensors(shaped([]int{1, 2, 1}, []float32{3.5, 1}...))}, opCase{
		name: "bfloat16", in: tensors(typed(tensor.BFloat16, 1, 2).Reshape(1, 1, 2)), out: tensors(typed(tensor.BFloat16, 1.5).Reshape(1, 1, 1)),
	})
	register(GlobalMaxPool{}, opCase{in: tensors(pair), out: tensors(shaped([]int{1, 2, 1}, []float32{4, 8}...))})
	register(GlobalLpPool{P: 2}, opCase{in: tensors(pair), out: tensors(shaped([]int{1, 2, 1}, []float32{5, 10}...))})
	quad, roi := shaped([]int{1, 1, 2, 2}, []float32{1, 2, 3, 4}...), shaped([]int{1, 5}, []float32{0, 0, 0, 1, 1}...)
	register(MaxRoiPool{PooledShape: []int{1, 2}, SpatialScale: 1}, opCase{
		in: tensors(quad, roi), out: tensors(shaped([]int{1, 1, 1, 2}, []float32{3, 4}...)),
	})
	register(MaxRoiPool{PooledShape: []int{1, 1}, SpatialScale: 0.25}, opCase{
		in: tensors(quad, roi), out: tensors(shaped([]int{1, 1, 1, 1}, []float32{1}...)),
	})
}
