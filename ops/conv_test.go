package ops

import (
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	nine := shaped([]int{1, 1, 3, 3}, []float32{1, 2, 3, 4, 5, 6, 7, 8, 9}...)
	square := shaped([]int{1, 1, 2, 2}, []float32{1, 1, 1, 1}...)
	register(Conv{AutoPad: "NOTSET", Group: 1},
		opCase{
			name: "bias", in: tensors(nine, square, vec[float32](0.5)),
			out: tensors(shaped([]int{1, 1, 2, 2}, []float32{12.5, 16.5, 24.5, 28.5}...)),
		},
		opCase{
			name: "float16",
			in:   tensors(typed(tensor.Float16, 1, 2, 3).Reshape(1, 1, 3), typed(tensor.Float16, 0.5, 1).Reshape(1, 1, 2)),
			out:  tensors(typed(tensor.Float16, 2.5, 4).Reshape(1, 1, 2)),
		})
	register(Conv{AutoPad: "NOTSET", Group: 2, Pads: []int{1, 0}, Strides: []int{2}}, opCase{
		in:  tensors(shaped([]int{1, 2, 3}, []float32{1, 2, 3, 4, 5, 6}...), shaped([]int{2, 1, 2}, []float32{1, 1, 1, -1}...)),
		out: tensors(shaped([]int{1, 2, 2}, []float32{1, 5, -4, -1}...)),
	})
	line := shaped([]int{1, 1, 4}, []float32{1, 2, 3, 4}...)
	register(Conv{AutoPad: "SAME_UPPER", Group: 1, KernelShape: []int{2}}, opCase{
		in: tensors(line, shaped([]int{1, 1, 2}, []float32{1, 1}...)), out: tensors(shaped([]int{1, 1, 4}, []float32{3, 5, 7, 4}...)),
	})
	register(Conv{AutoPad: "SAME_LOWER", Group: 1}, opCase{
		in: tensors(line, shaped([]int{1, 1, 2}, []float32{1, 1}...)), out: tensors(shaped([]int{1, 1, 4}, []float32{1, 3, 5, 7}...)),
	})
	register(Conv{AutoPad: "VALID", Group: 1, Dilations: []int{2}}, opCase{
		in: tensors(line, shaped([]int{1, 1, 2}, []float32{1, 1}...)), out: tensors(shaped([]int{1, 1, 2}, []float32{4, 6}...)),
	})
	registerTransposed()
	register(ConvInteger{AutoPad: "NOTSET", Group: 1}, opCase{
		in: tensors(shaped([]int{1, 1, 3}, []uint8{2, 3, 4}...), shaped([]int{2, 1, 2}, []int8{1, 2, 1, 2}...), tensor.Scalar(uint8(1)),
			vec[int8](0, 1)),
		out: tensors(shaped([]int{1, 2, 2}, []int32{5, 8, 2, 3}...)),
	})
	quad := shaped([]int{1, 1, 2, 2}, []float32{1, 2, 3, 4}...)
	moved := shaped([]int{1, 2, 2, 2}, []float32{0, 0, 0, 0, 0.5, 0.5, 0.5, 0.5}...)
	one := shaped([]int{1, 1, 1, 1}, []float32{2}...)
	register(DeformConv{Group: 1, OffsetGroup: 1},
		opCase{in: tensors(quad, one, moved), out: tensors(shaped([]int{1, 1, 2, 2}, []float32{3, 2, 7, 4}...))},
		opCase{
			name: "mask and bias",
			in:   tensors(quad, one, moved, vec[float32](1), shaped([]int{1, 1, 2, 2}, []float32{0.5, 0.5, 0.5, 0}...)),
			out:  tensors(shaped([]int{1, 1, 2, 2}, []float32{2.5, 2, 4.5, 1}...)),
		})
	register(FusedConv{Activation: "Relu", AutoPad: "NOTSET", Group: 1}, opCase{
		in:  tensors(line, shaped([]int{1, 1, 2}, []float32{1, -2}...), vec[float32](3.5), shaped([]int{1, 1, 3}, []float32{0, 1, 2}...)),
		out: tensors(shaped([]int{1, 1, 3}, []float32{0.5, 0.5, 0.5}...)),
	}, opCase{
		name: "clipped", in: tensors(line, shaped([]int{1, 1, 2}, []float32{1, -1}...)),
		out: tensors(shaped([]int{1, 1, 3}, []float32{0, 0, 0}...)),
	})
	register(FusedConv{Activation: "LeakyRelu", ActivationParams: []float32{0.5}, AutoPad: "NOTSET", Group: 1}, opCase{
		in: tensors(line, shaped([]int{1, 1, 2}, []float32{1, -1}...)), out: tensors(shaped([]int{1, 1, 3}, []float32{-0.5, -0.5, -0.5}...)),
	})
}

func registerTransposed() {
	x, w := shaped([]int{1, 1, 2}, []float32{1, 2}...), shaped([]int{1, 1, 3}, []float32{1, 10, 100}...)
	for _, c := range []struct {
		op   ConvTranspose
		want []float32
	}{
		{ConvTranspose{AutoPad: "NOTSET"}, []float32{1, 10, 102, 20, 200}},
		{ConvTranspose{AutoPad: "NOTSET", Pads: []int{1, 1}}, []float32{10, 102, 20}},
		{ConvTranspose{AutoPad: "NOTSET", OutputPadding: []int{1}}, []float32{1, 10, 102, 20, 200, 0}},
		{ConvTranspose{AutoPad: "NOTSET", OutputShape: []int{4}}, []float32{10, 102, 20, 200}},
		{ConvTranspose{AutoPad: "SAME_UPPER"}, []float32{1, 10, 102, 20}},
		{ConvTranspose{AutoPad: "SAME_LOWER"}, []float32{10, 102, 20, 200}},
	} {
		c.op.Group, c.op.Strides = 1, []int{2}
		register(c.op, opCase{in: tensors(x, w), out: tensors(shaped([]int{1, 1, len(c.want)}, c.want...))})
	}
	register(ConvTranspose{AutoPad: "NOTSET", Group: 2}, opCase{
		in:  tensors(shaped([]int{1, 2, 1}, []float32{1, 2}...), shaped([]int{2, 1, 2}, []float32{1, 2, 3, 4}...), vec[float32](0, 0.5)),
		out: tensors(shaped([]int{1, 2, 2}, []float32{1, 2, 6.5, 8.5}...)),
	})
}

func TestConvWindow(t *testing.T) {
	c := Conv{AutoPad: "SAME_UPPER", Group: 1, Strides: []int{2, 1}}
	got, err := c.Window([]int{1, 3, 8, 7}, []int{4, 3, 3, 2})
	if err != nil {
		t.Fatal(err)
	}
	want := Window{
		Kernel: []int{3, 2}, Strides: []int{2, 1}, Dilations: []int{1, 1}, Begin: []int{0, 0}, End: []int{1, 1},
		In: []int{8, 7}, Out: []int{4, 7},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestSymbolsSurvive(t *testing.T) {
	n, h, w := graph.Named("n"), graph.Named("h"), graph.Named("w")
	x := graph.Fact{Type: graph.Of(tensor.Float32, n, graph.Fixed(8), h.Mul(graph.Fixed(2)), w)}
	kernel := func(m, c, k int) graph.Fact {
		return graph.Fact{Type: graph.Of(tensor.Float32, graph.Dims(m, c, k, k)...)}
	}
	for _, c := range []struct {
		op   graph.Op
		in   []graph.Fact
		want string
	}{
		{Conv{Group: 1, Pads: []int{1, 1, 1, 1}}, []graph.Fact{x, kernel(4, 8, 3)}, "float32[n,4,2*h,w]"},
		{Conv{Group: 1, Pads: []int{1, 1, 1, 1}, Strides: []int{2, 2}}, []graph.Fact{x, kernel(4, 8, 3)}, "float32[n,4,h,?]"},
		{Conv{Group: 8, AutoPad: "SAME_LOWER", Strides: []int{2, 1}}, []graph.Fact{x, kernel(8, 1, 5)}, "float32[n,8,h,w]"},
		{Conv{Group: 1}, []graph.Fact{x, kernel(4, 8, 3)}, "float32[n,4,?,?]"},
		{Conv{Group: 1}, []graph.Fact{x, kernel(4, 8, 1)}, "float32[n,4,2*h,w]"},
		{MaxPool{KernelShape: []int{2, 2}, Strides: []int{2, 2}}, []graph.Fact{x}, "float32[n,8,h,?]"},
		{AveragePool{KernelShape: []int{3, 3}, Pads: []int{1, 1, 1, 1}, CeilMode: true}, []graph.Fact{x}, "float32[n,8,2*h,w]"},
		{GlobalAveragePool{}, []graph.Fact{x}, "float32[n,8,1,1]"},
		{ConvTranspose{Group: 1, Strides: []int{2, 2}}, []graph.Fact{x, kernel(8, 4, 2)}, "float32[n,4,4*h,2*w]"},
		{MatMul{}, []graph.Fact{{Type: graph.Of(tensor.Float32, n, h, graph.Fixed(4))}, {Type: graph.Of(tensor.Float32, graph.Dims(4, 5)...)}}, "float32[n,h,5]"},
		{Gemm{TransA: true}, []graph.Fact{{Type: graph.Of(tensor.Float32, graph.Fixed(4), n)}, {Type: graph.AnyRank(tensor.Float32)}}, "float32[n,?]"},
	} {
		got, err := c.op.Infer(c.in, 1)
		if err != nil || got[0].String() != c.want {
			t.Errorf("%#v: got %v, %v, want %s", c.op, got, err, c.want)
		}
	}
}

// Attributes come from files: whatever they are, Infer and Run fail with an error.
func TestHostileGeometry(t *testing.T) {
	big := 1 << 62
	x := tensor.New(tensor.Float32, 1, 4, 5, 5)
	w := tensor.New(tensor.Float32, 4, 4, 3, 3)
	for _, op := range []graph.Op{
		Conv{},
		Conv{Group: -1},
		Conv{Group: 3},
		Conv{Group: big},
		Conv{Group: 1, Strides: []int{0, 1}},
		Conv{Group: 1, Strides: []int{1}},
		Conv{Group: 1, Dilations: []int{-1, 1}},
		Conv{Group: 1, Dilations: []int{big, big}},
		Conv{Group: 1, Pads: []int{1, 1}},
		Conv{Group: 1, Pads: []int{-2, 0, -2, 0}},
		Conv{Group: 1, Pads: []int{big, 0, 0, 0}},
		Conv{Group: 1, KernelShape: []int{2, 2}},
		Conv{Group: 1, AutoPad: "SAME"},
		Conv{Group: 1, Dilations: []int{3, 3}},
		ConvTranspose{},
		ConvTranspose{Group: 3},
		ConvTranspose{Group: 1, Strides: []int{-1, 1}},
		ConvTranspose{Group: 1, Pads: []int{9, 9, 9, 9}},
		ConvTranspose{Group: 1, OutputPadding: []int{-1, 0}},
		ConvTranspose{Group: 1, OutputShape: []int{0, 1}},
		DeformConv{Group: 0},
		ConvInteger{Group: 0},
	} {
		mustFail(t, op, x, w)
	}
	for _, op := range []graph.Op{
		MaxPool{},
		MaxPool{KernelShape: []int{0, 1}},
		MaxPool{KernelShape: []int{big, 1}},
		MaxPool{KernelShape: []int{6, 6}},
		MaxPool{KernelShape: []int{2, 2}, Pads: []int{2, 0, 0, 0}},
		MaxPool{KernelShape: []int{2, 2}, Strides: []int{0, 0}},
		MaxPool{KernelShape: []int{2}},
		AveragePool{KernelShape: []int{-1, 2}},
		AveragePool{KernelShape: []int{2, 2}, Dilations: []int{0, 1}},
		LpPool{KernelShape: []int{2, 2}},
		LRN{},
		LpNormalization{P: 3},
		GroupNormalization{},
	} {
		mustFail(t, op, x)
	}
}

func mustFail(t *testing.T, op graph.Op, in ...*tensor.Tensor) {
	t.Helper()
	for range 3 { // more inputs than any of these operators needs
		in = append(in, tensor.New(tensor.Float32, 1))
	}
	n := map[bool]int{true: 2, false: 1}[len(in) > 4]
	switch op.(type) {
	case DeformConv, GroupNormalization:
		n = 3
	}
	facts := make([]graph.Fact, n)
	for i := range facts {
		facts[i] = graph.Fact{Type: graph.TypeOf(in[i])}
	}
	if got, err := op.Infer(facts, 1); err == nil {
		t.Errorf("%#v: Infer gives %v", op, got)
	}
	if err := catch(func() error { return graph.RunKernel(&graph.Exec{}, op, in[:n], []*tensor.Tensor{{}}) }); err == nil {
		t.Errorf("%#v: Run does not fail", op)
	}
}

func catch(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return f()
}

func TestCosts(t *testing.T) {
	f := func(shape ...int) graph.Type { return graph.Of(tensor.Float32, graph.Dims(shape...)...) }
	for _, c := range []struct {
		op      graph.Costed
		in, out []graph.Type
		want    graph.Cost
	}{
		{Conv{}, []graph.Type{f(1, 8, 5, 5), f(4, 2, 3, 3)}, []graph.Type{f(1, 4, 5, 5)}, graph.Cost{MACs: 4 * 25 * 2 * 9}},
		{ConvTranspose{}, []graph.Type{f(1, 8, 5, 5), f(8, 2, 3, 3)}, []graph.Type{f(1, 2, 7, 7)}, graph.Cost{MACs: 8 * 25 * 2 * 9}},
		{Gemm{TransA: true}, []graph.Type{f(7, 3), f(7, 2)}, []graph.Type{f(3, 2)}, graph.Cost{MACs: 3 * 2 * 7}},
		{MatMul{}, []graph.Type{f(2, 3, 7), f(7, 2)}, []graph.Type{f(2, 3, 2)}, graph.Cost{MACs: 2 * 3 * 2 * 7}},
		{MaxPool{KernelShape: []int{2, 2}}, []graph.Type{f(1, 1, 4, 4)}, []graph.Type{f(1, 1, 2, 2)}, graph.Cost{Ops: 16}},
		{Conv{}, []graph.Type{f(1, 8, 5, 5), f(4, 2, 3, 3)}, []graph.Type{graph.AnyRank(tensor.Float32)}, graph.Cost{}},
	} {
		if got := c.op.Cost(c.in, c.out); got != c.want {
			t.Errorf("%T: got %+v, want %+v", c.op, got, c.want)
		}
	}
}

func TestHugeSpatialSizes(t *testing.T) {
	x := graph.Fact{Type: graph.Of(tensor.Float32, graph.Dims(1, 1, math.MaxInt)...)}
	w := graph.Fact{Type: graph.Of(tensor.Float32, graph.Dims(1, 1, 3)...)}
	for _, c := range []struct {
		op graph.Op
		in []graph.Fact
	}{
		{Conv{Group: 1, Pads: []int{1, 1}}, []graph.Fact{x, w}},
		{ConvTranspose{Group: 1, Strides: []int{2}}, []graph.Fact{x, w}},
		{MaxPool{KernelShape: []int{3}, AutoPad: "SAME_UPPER"}, []graph.Fact{x}},
	} {
		if got, err := c.op.Infer(c.in, 1); err == nil {
			t.Errorf("%T: got %v, want an error", c.op, got)
		}
	}
}
