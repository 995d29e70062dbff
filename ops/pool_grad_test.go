package ops

func init() {
	line := shaped([]int{1, 1, 5}, []float32{1, 3, 2, 5, 5}...)
	register(MaxPoolGrad{AutoPad: "NOTSET", KernelShape: []int{2}}, opCase{
		in: tensors(shaped([]int{1, 1, 4}, []float32{1, 10, 100, 1000}...), line), out: tensors(shaped([]int{1, 1, 5}, []float32{0, 11, 0, 1100, 0}...)),
	})
	register(MaxPoolGrad{AutoPad: "NOTSET", CeilMode: true, KernelShape: []int{2}, Strides: []int{2}}, opCase{
		in: tensors(shaped([]int{1, 1, 3}, []float32{1, 10, 100}...), line), out: tensors(shaped([]int{1, 1, 5}, []float32{0, 1, 0, 10, 100}...)),
	}, opCase{
		name: "NaN wins", in: tensors(shaped([]int{1, 1, 1}, []float32{2}...), shaped([]int{1, 1, 2}, []float32{nan32, 1}...)),
		out: tensors(shaped([]int{1, 1, 2}, []float32{2, 0}...)),
	})
	register(MaxPoolGrad{AutoPad: "NOTSET", KernelShape: []int{1, 2}, Pads: []int{0, 1, 0, 0}, Strides: []int{1, 2}}, opCase{
		in:  tensors(shaped([]int{2, 1, 1, 2}, []float32{1, 2, 3, 4}...), shaped([]int{2, 1, 1, 3}, []float32{-1, 5, 6, 7, 9, 8}...)),
		out: tensors(shaped([]int{2, 1, 1, 3}, []float32{1, 0, 2, 3, 4, 0}...)),
	})
	average := AveragePoolGrad{AutoPad: "NOTSET", KernelShape: []int{2}, Pads: []int{1, 0}, XShape: []int{1, 1, 3}}
	dy := shaped([]int{1, 1, 3}, []float32{2, 20, 200}...)
	register(average, opCase{in: tensors(dy), out: tensors(shaped([]int{1, 1, 3}, []float32{12, 110, 100}...))})
	average.CountIncludePad = true
	register(average, opCase{in: tensors(dy), out: tensors(shaped([]int{1, 1, 3}, []float32{11, 110, 100}...))})
	// The last window reaches beyond the padding: what lies there does not count.
	register(AveragePoolGrad{
		AutoPad: "NOTSET", CeilMode: true, CountIncludePad: true, KernelShape: []int{3}, Pads: []int{0, 1}, Strides: []int{2},
		XShape: []int{1, 1, 5},
	}, opCase{
		in: tensors(shaped([]int{1, 1, 3}, []float32{3, 30, 200}...)), out: tensors(shaped([]int{1, 1, 5}, []float32{1, 1, 11, 10, 110}...)),
	})
	register(AveragePoolGrad{AutoPad: "SAME_UPPER", KernelShape: []int{2}, Strides: []int{2}, XShape: []int{1, 2, 3}}, opCase{
		in: tensors(shaped([]int{1, 2, 2}, []float32{2, 3, 4, 5}...)), out: tensors(shaped([]int{1, 2, 3}, []float32{1, 1, 3, 2, 2, 5}...)),
	})
}
