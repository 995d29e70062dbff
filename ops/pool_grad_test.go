package ops

import (
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

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

func init() {
	x, plane := spread(1, 2, 3, 7), spread(1, 2, 2, 5, 4)
	for name, w := range map[string]spatial{
		"plain":        {kernel: []int{3}},
		"stride":       {kernel: []int{2}, strides: []int{3}},
		"pads":         {kernel: []int{3}, pads: []int{2, 1}, strides: []int{2}},
		"ceil":         {kernel: []int{2}, strides: []int{2}, ceil: true},
		"ceil, pads":   {kernel: []int{3}, pads: []int{1, 1}, strides: []int{3}, ceil: true},
		"dilation":     {kernel: []int{2}, pads: []int{1, 0}, dilations: []int{3}},
		"same upper":   {kernel: []int{2}, strides: []int{2}, autoPad: "SAME_UPPER"},
		"same lower":   {kernel: []int{4}, strides: []int{2}, autoPad: "SAME_LOWER"},
		"valid":        {kernel: []int{3}, strides: []int{2}, autoPad: "VALID"},
		"planes":       {kernel: []int{2, 3}, pads: []int{1, 0, 0, 2}, strides: []int{2, 1}},
		"planes, ceil": {kernel: []int{2, 3}, strides: []int{2, 2}, dilations: []int{2, 1}, ceil: true},
	} {
		if w.autoPad == "" {
			w.autoPad = "NOTSET"
		}
		c := gradCase{name: name, in: tensors(x)}
		if len(w.kernel) == 2 {
			c.in = tensors(plane)
		}
		gradCases(MaxPool{w.autoPad, w.ceil, w.dilations, w.kernel, w.pads, 0, w.strides}, c)
		average := AveragePool{w.autoPad, w.ceil, false, w.dilations, w.kernel, w.pads, w.strides}
		gradCases(average, c)
		average.CountIncludePad = true
		for p := 1; p < 5; p++ {
			gradCases(LpPool{w.autoPad, w.ceil, w.dilations, w.kernel, p, w.pads, w.strides}, c)
		}
		c.name += ", padding counts"
		gradCases(average, c)
	}
	// Two outputs: indices have no gradient.
	gradCases(MaxPool{AutoPad: "NOTSET", KernelShape: []int{2}, StorageOrder: 1}, gradCase{name: "indices", in: tensors(x), outs: 2})
	gradCases(LpPool{AutoPad: "NOTSET", KernelShape: []int{1}, P: 2}, gradCase{name: "one element", in: tensors(x)})
	for _, c := range []gradCase{{name: "line", in: tensors(x)}, {name: "planes", in: tensors(plane)}, {name: "no dimension", in: tensors(spread(1, 2, 3))}} {
		gradCases(GlobalAveragePool{}, c)
		gradCases(GlobalMaxPool{}, c)
		for p := 1; p < 5; p++ {
			gradCases(GlobalLpPool{P: p}, c)
		}
	}
}

func TestNormPoolGradientAtZero(t *testing.T) {
	zero := shaped([]int{1, 1, 2}, 0., 0)
	for _, op := range []graph.Op{LpPool{AutoPad: "NOTSET", KernelShape: []int{2}, P: 2}, GlobalLpPool{P: 3}} {
		g := newGradGraph(t, gradExample{op: op, gradCase: gradCase{in: tensors(zero), outs: 1}}, tensor.Float64, []bool{true})
		if d := g.gradients(t)[0]; d[0] != 0 || d[1] != 0 {
			t.Errorf("%T: gradient %v where all is zero, want zeros", op, d)
		}
	}
}
