package ops

import (
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func ptr[T any](v T) *T { return &v }

// six is the 2×3 tensor 0…5.
func six() *tensor.Tensor { return shaped([]int{2, 3}, float32(0), 1, 2, 3, 4, 5) }

func init() {
	ab := tensor.FromStrings([]string{"a", "b", "c", "d"}, 2, 2)
	register(Reshape{}, opCase{in: tensors(six(), vec[int64](0, -1, 1)), out: tensors(six().Reshape(2, 3, 1))},
		opCase{name: "strings", in: tensors(ab, vec[int64](-1)), out: tensors(ab.Reshape(4))})
	register(Reshape{AllowZero: true}, opCase{
		in:  tensors(tensor.New(tensor.Float32, 0, 3), vec[int64](3, 0)),
		out: tensors(tensor.New(tensor.Float32, 3, 0)),
	})
	register(Flatten{Axis: -1}, opCase{in: tensors(six().Reshape(2, 1, 3)), out: tensors(six())})
	register(Squeeze{}, opCase{in: tensors(six().Reshape(1, 2, 1, 3), vec[int64](-2)), out: tensors(six().Reshape(1, 2, 3))},
		opCase{name: "all", in: tensors(six().Reshape(1, 2, 1, 3)), out: tensors(six())})
	register(Unsqueeze{}, opCase{in: tensors(six(), vec[int64](-1, 0)), out: tensors(six().Reshape(1, 2, 3, 1))})
	register(Shape{Start: -1}, opCase{in: tensors(six()), out: tensors(vec[int64](3))})
	register(Shape{Start: 1, End: ptr(0)}, opCase{in: tensors(six()), out: tensors(vec[int64]())})
	register(Size{}, opCase{in: tensors(ab), out: tensors(tensor.Scalar(int64(4)))})
	register(Expand{}, opCase{
		in:  tensors(shaped([]int{2, 1}, int8(1), 2), vec[int64](3, 1, 2)),
		out: tensors(shaped([]int{3, 2, 2}, int8(1), 1, 2, 2, 1, 1, 2, 2, 1, 1, 2, 2)),
	})
	register(Tile{}, opCase{
		in:  tensors(ab, vec[int64](1, 2)),
		out: tensors(tensor.FromStrings([]string{"a", "b", "a", "b", "c", "d", "c", "d"}, 2, 4)),
	})
	register(Range{StashType: 1}, opCase{
		in:  tensors(tensor.Scalar(int64(10)), tensor.Scalar(int64(3)), tensor.Scalar(int64(-3))),
		out: tensors(vec[int64](10, 7, 4)),
	},
		opCase{
			name: "float", in: tensors(tensor.Scalar(float32(0)), tensor.Scalar(float32(1)), tensor.Scalar(float32(0.4))),
			out: tensors(vec[float32](0, 0.4, 0.8)),
		})
	register(Constant{IntList: []int{1, -2}}, opCase{out: tensors(vec[int64](1, -2))})
	register(Constant{Float: ptr[float32](1.5)}, opCase{out: tensors(tensor.Scalar(float32(1.5)))})
	register(Constant{Floats: []float32{1.5}}, opCase{out: tensors(vec[float32](1.5))})
	register(Constant{Int: ptr(3)}, opCase{out: tensors(tensor.Scalar(int64(3)))})
	register(Constant{String: "s"}, opCase{out: tensors(tensor.FromStrings([]string{"s"}))})
	register(Constant{Strings: []string{"s", ""}}, opCase{out: tensors(tensor.FromStrings([]string{"s", ""}, 2))})
	register(Constant{Value: six()}, opCase{out: tensors(six())})
	register(ConstantOfShape{}, opCase{in: tensors(vec[int64](2, 0)), out: tensors(tensor.New(tensor.Float32, 2, 0))})
	register(ConstantOfShape{Value: vec(uint16(7))}, opCase{in: tensors(vec[int64](3)), out: tensors(vec[uint16](7, 7, 7))})
	register(EyeLike{DType: int(tensor.Float16), K: 1}, opCase{
		in:  tensors(six()),
		out: tensors(typed(tensor.Float16, 0, 1, 0, 0, 0, 1).Reshape(2, 3)),
	})
}

// chain builds a graph and gives the type of the value that build returns.
func chain(t *testing.T, x *graph.Value, build func(b *graph.Builder) *graph.Value) graph.Type {
	t.Helper()
	b := graph.NewBuilder(&graph.Graph{Inputs: []*graph.Value{x}})
	v := build(b)
	if b.Err != nil {
		t.Fatal(b.Err)
	}
	return v.Type
}

func TestShapeArithmeticKeepsSymbols(t *testing.T) {
	n, s := graph.Named("batch"), graph.Named("seq")
	for name, c := range map[string]struct {
		want  string
		build func(b *graph.Builder, x *graph.Value) *graph.Value
	}{
		"split heads": {"float32[batch,seq,12,64]", func(b *graph.Builder, x *graph.Value) *graph.Value {
			shape := b.Add("shape", Shape{}, x)
			var dims []*graph.Value
			for i := range 2 {
				d := b.Add("gather", Gather{}, shape, b.Const("i", tensor.Scalar(int64(i))))
				dims = append(dims, b.Add("unsqueeze", Unsqueeze{}, d, b.Const("axes", vec[int64](0))))
			}
			dims = append(dims, b.Const("heads", vec[int64](12)), b.Const("rest", vec[int64](-1)))
			return b.Add("reshape", Reshape{}, x, b.Add("concat", Concat{}, dims...))
		}},
		"merge": {"float32[batch*seq,768]", func(b *graph.Builder, x *graph.Value) *graph.Value {
			return b.Add("reshape", Reshape{}, x, b.Const("shape", vec[int64](-1, 768)))
		}},
		"slice of shape": {"float32[batch,768*seq]", func(b *graph.Builder, x *graph.Value) *graph.Value {
			first := b.Add("slice", Slice{}, b.Add("shape", Shape{}, x), b.Const("s", vec[int64](0)), b.Const("e", vec[int64](1)))
			return b.Add("reshape", Reshape{}, x, b.Add("concat", Concat{}, first, b.Const("r", vec[int64](-1))))
		}},
		"expand": {"float32[batch,1]", func(b *graph.Builder, x *graph.Value) *graph.Value {
			first := b.Add("shape", Shape{End: ptr(1)}, x)
			goal := b.Add("concat", Concat{}, first, b.Const("one", vec[int64](1)))
			return b.Add("expand", Expand{}, b.Const("v", vec[float32](0)), goal)
		}},
		"range": {"int64[seq]", func(b *graph.Builder, x *graph.Value) *graph.Value {
			d := b.Add("gather", Gather{}, b.Add("shape", Shape{}, x), b.Const("i", tensor.Scalar(int64(1))))
			return b.Add("range", Range{}, b.Const("zero", tensor.Scalar(int64(0))), d, b.Const("step", tensor.Scalar(int64(1))))
		}},
		"zeros": {"float32[seq,768]", func(b *graph.Builder, x *graph.Value) *graph.Value {
			return b.Add("zeros", ConstantOfShape{}, b.AddN("split", 2, Split{}, b.Add("shape", Shape{}, x), b.Const("p", vec[int64](1, 2)))[1])
		}},
		"size": {"float32[768*batch*seq]", func(b *graph.Builder, x *graph.Value) *graph.Value {
			n := b.Add("size", Size{}, x)
			return b.Add("reshape", Reshape{}, x, b.Add("vector", Reshape{}, n, b.Const("one", vec[int64](1))))
		}},
	} {
		x := graph.NewInput("x", graph.Of(tensor.Float32, n, s, graph.Fixed(768)))
		got := chain(t, x, func(b *graph.Builder) *graph.Value { return c.build(b, x) }).String()
		if name == "zeros" { // a second output has no followed elements: its rank alone is known
			c.want = "float32[?,?]"
		}
		if got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

// TestHostileSizes asks for more memory than there is.
func TestHostileSizes(t *testing.T) {
	big := vec[int64](1<<40, 1<<40)
	one := tensor.Scalar(float32(1))
	for _, c := range []struct {
		op graph.Op
		in []*tensor.Tensor
	}{
		{ConstantOfShape{}, tensors(big)},
		{ConstantOfShape{}, tensors(vec[int64](1<<20, 1<<20))},
		{ConstantOfShape{}, tensors(vec[int64](-1))},
		{Expand{}, tensors(one, big)},
		{Tile{}, tensors(one.Reshape(1, 1), big)},
		{Range{}, tensors(tensor.Scalar(int64(0)), tensor.Scalar(int64(1<<62)), tensor.Scalar(int64(1)))},
		{Range{}, tensors(one, one, tensor.Scalar(float32(0)))},
		{OneHot{}, tensors(vec[int64](1), vec[int64](1<<60), vec[float32](0, 1))},
		{Pad{Mode: "edge"}, tensors(one.Reshape(1), vec[int64](1<<31-1, 1<<31-1))},
		{Pad{Mode: "constant"}, tensors(one.Reshape(1), vec[int64](1<<62, 1<<62))},
		{CenterCropPad{}, tensors(one.Reshape(1, 1), big)},
		{Reshape{}, tensors(six(), vec[int64](-1, -1))},
		{Reshape{}, tensors(six(), vec[int64](4, -1))},
		{Reshape{}, tensors(six(), vec[int64](1<<62, 1<<62))},
		{Gather{}, tensors(six(), vec[int64](2))},
		{ScatterND{}, tensors(six(), shaped([]int{1, 1}, int64(-3)), six())},
	} {
		_, name := graph.NameOf(c.op)
		err := graph.RunKernel(&graph.Exec{Ctx: t.Context()}, c.op, c.in, tensors(&tensor.Tensor{}))
		if err == nil {
			t.Errorf("%s of %v: no error", name, c.in)
		} else if strings.Contains(err.Error(), "inputs do not fit the operator") {
			t.Errorf("%s: panicked: %v", name, err)
		}
	}
}
