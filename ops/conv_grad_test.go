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

func init() {
	x, y := spread(1, 2, 4, 7), spread(1, 2, 2, 6, 5)
	for name, c := range map[string]Conv{
		"plain":                {},
		"uncovered end":        {Strides: []int{3}},
		"pads":                 {Pads: []int{2, 1}, Strides: []int{2}},
		"pads beyond":          {Pads: []int{0, 4}, Strides: []int{3}},
		"cropped":              {Pads: []int{-1, -2}},
		"dilation":             {Dilations: []int{3}, Pads: []int{1, 1}},
		"same upper":           {AutoPad: "SAME_UPPER", Strides: []int{2}},
		"same lower":           {AutoPad: "SAME_LOWER", Dilations: []int{2}, Strides: []int{2}},
		"stride beyond kernel": {AutoPad: "SAME_UPPER", Strides: []int{5}},
		"valid":                {AutoPad: "VALID", Strides: []int{2}},
	} {
		if c.AutoPad == "" {
			c.AutoPad = "NOTSET"
		}
		c.Group = 1
		gradCases(c, gradCase{name: name, in: tensors(x, spread(2, 3, 4, 2), spread(3, 3))})
		c.Group = 2
		gradCases(c, gradCase{name: name + ", groups", in: tensors(x, spread(2, 6, 2, 2))})
	}
	gradCases(Conv{AutoPad: "NOTSET", Dilations: []int{1, 2}, Group: 2, Pads: []int{1, 0, 0, 2}, Strides: []int{2, 3}},
		gradCase{name: "planes, depthwise", in: tensors(y, spread(2, 4, 1, 3, 2), spread(3, 4))})
	gradCases(Conv{AutoPad: "NOTSET", Group: 1, Strides: []int{2, 1, 1}},
		gradCase{name: "volumes", in: tensors(spread(1, 1, 2, 4, 2, 3), spread(2, 2, 2, 2, 1, 2))})
	registerTransposedGradients()
}

func registerTransposedGradients() {
	x, w := spread(1, 2, 4, 3), spread(2, 4, 3, 2)
	for name, c := range map[string]ConvTranspose{
		"plain":             {},
		"stride":            {Strides: []int{3}},
		"pads":              {Pads: []int{1, 2}, Strides: []int{2}},
		"output padding":    {OutputPadding: []int{1}, Strides: []int{2}},
		"padded both":       {OutputPadding: []int{1}, Pads: []int{1, 1}, Strides: []int{2}},
		"more than strides": {Dilations: []int{4}, OutputPadding: []int{3}, Strides: []int{2}},
		"output shape":      {OutputShape: []int{5}, Strides: []int{2}},
		"larger shape":      {OutputShape: []int{13}, Strides: []int{2}},
		"same upper":        {AutoPad: "SAME_UPPER", Strides: []int{2}},
		"same lower":        {AutoPad: "SAME_LOWER", Dilations: []int{2}, Strides: []int{2}},
		"stride over width": {AutoPad: "SAME_LOWER", Strides: []int{4}},
	} {
		if c.AutoPad == "" {
			c.AutoPad = "NOTSET"
		}
		c.Group = 1
		gradCases(c, gradCase{name: name, in: tensors(x, w, spread(3, 3))})
		c.Group = 2
		gradCases(c, gradCase{name: name + ", groups", in: tensors(x, w)})
	}
	gradCases(ConvTranspose{AutoPad: "NOTSET", Dilations: []int{2, 1}, Group: 1, OutputPadding: []int{0, 1}, Pads: []int{1, 0, 0, 1}, Strides: []int{1, 2}},
		gradCase{name: "planes", in: tensors(spread(1, 2, 2, 3, 2), spread(2, 2, 3, 2, 3), spread(3, 3))})
}
