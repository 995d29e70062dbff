package ops

import "testing"

func init() {
	line := shaped([]int{1, 1, 4}, []float32{1, 2, 3, 4}...)
	register(ConvWeightGrad{AutoPad: "NOTSET", Group: 1, KernelShape: []int{2}}, opCase{
		in:  tensors(line, shaped([]int{1, 1, 3}, []float32{1, 10, 100}...)),
		out: tensors(shaped([]int{1, 1, 2}, []float32{321, 432}...)),
	})
	register(ConvWeightGrad{AutoPad: "SAME_UPPER", Dilations: []int{2}, Group: 1, KernelShape: []int{2}, Strides: []int{2}}, opCase{
		in:  tensors(line, shaped([]int{1, 1, 2}, []float32{1, 10}...)), // taps 0 and 2, 2 and 4
		out: tensors(shaped([]int{1, 1, 2}, []float32{31, 3}...)),
	})
	register(ConvWeightGrad{AutoPad: "NOTSET", Group: 2, KernelShape: []int{1, 2}, Pads: []int{0, 1, 0, 0}, Strides: []int{1, 3}}, opCase{
		in:  tensors(shaped([]int{2, 2, 1, 3}, []float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3}...), shaped([]int{2, 2, 1, 1}, []float32{1, 2, 10, 20}...)),
		out: tensors(shaped([]int{2, 1, 1, 2}, []float32{0, 71, 0, 28}...)),
	})
}

func TestConvWeightGradRefuses(t *testing.T) {
	x, dy := []int{1, 2, 4}, []int{1, 2, 3}
	for name, c := range map[string]struct {
		op    ConvWeightGrad
		x, dy []int
	}{
		"another result": {ConvWeightGrad{Group: 1, KernelShape: []int{3}}, x, dy},
		"batches":        {ConvWeightGrad{Group: 1, KernelShape: []int{2}}, x, []int{2, 2, 3}},
		"groups":         {ConvWeightGrad{Group: 3, KernelShape: []int{2}}, x, dy},
		"no group":       {ConvWeightGrad{KernelShape: []int{2}}, x, dy},
		"ranks":          {ConvWeightGrad{Group: 1, KernelShape: []int{2}}, x, []int{1, 2}},
	} {
		if w, err := c.op.Window(c.x, c.dy); err == nil {
			t.Errorf("%s: %v, want an error", name, w)
		}
	}
	if _, err := (ConvWeightGrad{Group: 1, KernelShape: []int{2}}).Window(x, dy); err != nil {
		t.Errorf("a fitting gradient: %v", err)
	}
}
