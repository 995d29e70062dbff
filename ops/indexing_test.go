package ops

import (
	"math"
	"slices"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	register(Transpose{}, opCase{in: tensors(six()), out: tensors(shaped([]int{3, 2}, float32(0), 3, 1, 4, 2, 5))})
	register(Transpose{Perm: []int{1, 0}}, opCase{
		name: "int4",
		in:   tensors(typed(tensor.Int4, 0, 1, 2, 3, 4, -5).Reshape(2, 3)),
		out:  tensors(typed(tensor.Int4, 0, 3, 1, 4, 2, -5).Reshape(3, 2)),
	})
	register(Concat{Axis: -1}, opCase{
		in:  tensors(six(), shaped([]int{2, 1}, float32(8), 9)),
		out: tensors(shaped([]int{2, 4}, float32(0), 1, 2, 8, 3, 4, 5, 9)),
	})
	register(Split{Axis: 1}, opCase{
		in:  tensors(six(), vec[int64](1, 2)),
		out: tensors(shaped([]int{2, 1}, float32(0), 3), shaped([]int{2, 2}, float32(1), 2, 4, 5)),
	})
	register(Split{NumOutputs: 2}, opCase{name: "uneven", in: tensors(vec[int32](1, 2, 3)), out: tensors(vec[int32](1, 2), vec[int32](3))})
	register(Slice{},
		opCase{
			in:  tensors(six(), vec[int64](-1), vec[int64](math.MinInt64), vec[int64](1), vec[int64](-2)),
			out: tensors(shaped([]int{2, 2}, float32(2), 0, 5, 3)),
		},
		opCase{
			name: "backwards to the end", in: tensors(vec[int8](1, 2, 3, 4), vec[int64](-1), vec[int64](math.MaxInt64), vec[int64](0), vec[int64](-2)),
			out: tensors(vec[int8](4, 2)),
		},
		opCase{
			name: "backwards from before the start", in: tensors(vec[int8](1, 2, 3, 4), vec[int64](-100), vec[int64](-7), vec[int64](0), vec[int64](-2)),
			out: tensors(vec[int8](1)),
		},
		opCase{name: "elements", in: tensors(vec[int64](4, 5, 6), vec[int64](1), vec[int64](math.MaxInt64)), out: tensors(vec[int64](5, 6))})
	register(Gather{Axis: 1}, opCase{
		in:  tensors(six(), shaped([]int{1, 2}, int32(-1), 0)),
		out: tensors(shaped([]int{2, 1, 2}, float32(2), 0, 5, 3)),
	})
	register(GatherElements{Axis: 1}, opCase{in: tensors(six(), shaped([]int{2, 1}, int64(-1), 1)), out: tensors(shaped([]int{2, 1}, float32(2), 4))})
	register(GatherND{BatchDims: 1}, opCase{in: tensors(six(), shaped([]int{2, 1}, int64(2), -3)), out: tensors(vec[float32](2, 3))})
	register(ScatterElements{Reduction: "none"}, opCase{
		in:  tensors(six(), shaped([]int{1, 2}, int64(1), -2), shaped([]int{1, 2}, float32(8), 9)),
		out: tensors(shaped([]int{2, 3}, float32(0), 9, 2, 8, 4, 5)),
	})
	register(ScatterElements{Reduction: "add"}, opCase{in: tensors(vec[uint8](250, 1), vec[int64](0, 0), vec[uint8](3, 4)), out: tensors(vec[uint8](1, 1))})
	register(ScatterND{Reduction: "max"}, opCase{
		in:  tensors(six(), shaped([]int{2, 1}, int64(0), 0), shaped([]int{2, 3}, float32(1), 0, 0, 0, 0, 7)),
		out: tensors(shaped([]int{2, 3}, float32(1), 1, 7, 3, 4, 5)),
	})
	register(ScatterND{Reduction: "min"}, opCase{in: tensors(vec[uint64](math.MaxUint64), shaped([]int{1, 1}, int64(0)), vec[uint64](1)), out: tensors(vec[uint64](1))})
	register(TensorScatter{Axis: -1, Mode: "circular"}, opCase{
		in:  tensors(six(), shaped([]int{2, 2}, float32(8), 9, 6, 7), vec[int64](2, 0)),
		out: tensors(shaped([]int{2, 3}, float32(9), 1, 8, 6, 7, 5)),
	})
	register(OneHot{Axis: 0}, opCase{
		in:  tensors(vec[int64](-1, 3, 0), tensor.Scalar(int64(2)), vec[int8](5, 7)),
		out: tensors(shaped([]int{2, 3}, int8(5), 5, 7, 7, 5, 5)),
	})
	nan := float32(math.NaN())
	register(TopK{Axis: 0, Largest: true, Sorted: true}, opCase{
		in:  tensors(vec[float32](1, nan, 3, 3), vec[int64](3)),
		out: tensors(vec(nan, 3, 3), vec[int64](1, 2, 3)),
	})
	register(TopK{Axis: -1}, opCase{name: "smallest", in: tensors(vec[uint64](math.MaxUint64, 1, 2), vec[int64](2)), out: tensors(vec[uint64](1, 2), vec[int64](1, 2))})
	register(NonZero{}, opCase{in: tensors(shaped([]int{2, 2}, float32(1), 0, nan, -0.5)), out: tensors(shaped([]int{2, 3}, int64(0), 1, 1, 0, 0, 1))})
	register(Compress{Axis: ptr(1)}, opCase{in: tensors(six(), vec(false, true)), out: tensors(shaped([]int{2, 1}, float32(1), 4))})
	register(Compress{}, opCase{name: "flat", in: tensors(six(), vec(false, true, false, false, true)), out: tensors(vec[float32](1, 4))})
	register(Unique{}, opCase{
		in:  tensors(tensor.FromStrings([]string{"b", "a", "b"}, 3)),
		out: tensors(tensor.FromStrings([]string{"b", "a"}, 2), vec[int64](0, 1), vec[int64](0, 1, 0), vec[int64](2, 1)),
	})
	register(Unique{Axis: ptr(0), Sorted: true}, opCase{
		in:  tensors(shaped([]int{3, 2}, int8(1), 0, 0, 1, 1, 0)),
		out: tensors(shaped([]int{2, 2}, int8(0), 1, 1, 0), vec[int64](1, 0), vec[int64](1, 0, 1), vec[int64](1, 2)),
	})
	register(ReverseSequence{BatchAxis: 0, TimeAxis: 1}, opCase{in: tensors(six(), vec[int64](2, 3)), out: tensors(shaped([]int{2, 3}, float32(1), 0, 2, 5, 4, 3))})
	register(Trilu{Upper: true}, opCase{in: tensors(six(), tensor.Scalar(int64(1))), out: tensors(shaped([]int{2, 3}, float32(0), 1, 2, 0, 0, 5))})
	register(Trilu{}, opCase{name: "lower", in: tensors(six()), out: tensors(shaped([]int{2, 3}, float32(0), 0, 0, 3, 4, 0))})
	register(Pad{Mode: "constant"}, opCase{
		in:  tensors(six(), vec[int64](1, -1), vec[float32](7), vec[int64](-1)),
		out: tensors(shaped([]int{2, 3}, float32(7), 0, 1, 7, 3, 4)),
	})
	register(Pad{Mode: "reflect"}, opCase{in: tensors(vec[int16](1, 2, 3), vec[int64](3, 1)), out: tensors(vec[int16](2, 3, 2, 1, 2, 3, 2))})
	register(Pad{Mode: "edge"}, opCase{in: tensors(vec(true, false), vec[int64](1, 1)), out: tensors(vec(true, true, false, false))})
	register(Pad{Mode: "wrap"}, opCase{in: tensors(vec[float64](1, 2, 3), vec[int64](2, 1)), out: tensors(vec[float64](2, 3, 1, 2, 3, 1))})
	register(CenterCropPad{Axes: []int{1}}, opCase{in: tensors(six(), vec[int64](4)), out: tensors(shaped([]int{2, 4}, float32(0), 1, 2, 0, 3, 4, 5, 0))})
	register(CenterCropPad{}, opCase{name: "crop", in: tensors(vec[int8](1, 2, 3, 4), vec[int64](1)), out: tensors(vec[int8](2))})
	deep := shaped([]int{1, 4, 1, 2}, int8(0), 1, 2, 3, 4, 5, 6, 7)
	flat := shaped([]int{1, 1, 2, 4}, int8(0), 2, 1, 3, 4, 6, 5, 7)
	register(DepthToSpace{BlockSize: 2, Mode: "DCR"}, opCase{in: tensors(deep), out: tensors(flat)})
	register(DepthToSpace{BlockSize: 2, Mode: "CRD"}, opCase{in: tensors(deep), out: tensors(flat)})
	register(SpaceToDepth{BlockSize: 2, Mode: "DCR"}, opCase{in: tensors(flat), out: tensors(deep)})
	register(NonMaxSuppression{}, opCase{
		in: tensors(shaped([]int{1, 3, 4}, float32(0), 0, 1, 1, 1, 1, 0, 0, 0, 2, 1, 3), shaped([]int{1, 1, 3}, float32(0.5), 0.75, 0.25),
			tensor.Scalar(int64(2)), tensor.Scalar(float32(0.5))),
		out: tensors(shaped([]int{2, 3}, int64(0), 0, 1, 0, 0, 2)),
	})
	register(Col2Im{}, opCase{
		in:  tensors(shaped([]int{1, 2, 2}, float32(1), 2, 3, 4), vec[int64](1, 3), vec[int64](1, 2)),
		out: tensors(shaped([]int{1, 1, 1, 3}, float32(1), 5, 4)),
	})
	register(Det{}, opCase{in: tensors(shaped([]int{1, 2, 2}, float32(0), 2, 3, 4)), out: tensors(vec[float32](-6))})
	register(MaxUnpool{Kernel: []int{2}, Strides: []int{2}}, opCase{
		in:  tensors(shaped([]int{1, 1, 2}, int8(8), 9), shaped([]int{1, 1, 2}, int64(1), 2)),
		out: tensors(shaped([]int{1, 1, 4}, int8(0), 8, 9, 0)),
	})
	register(Einsum{Equation: "ij,jk->ik"}, opCase{in: tensors(six(), shaped([]int{3, 1}, float32(1), 0, 2)), out: tensors(shaped([]int{2, 1}, float32(4), 13))})
	register(Einsum{Equation: "...ii->...i"}, opCase{name: "diagonal", in: tensors(shaped([]int{1, 2, 2}, int32(1), 2, 3, 4)), out: tensors(shaped([]int{1, 2}, int32(1), 4))})
	register(Einsum{Equation: "b,a,b"}, opCase{name: "implicit", in: tensors(vec[int64](1, 2), vec[int64](3, 4, 5), vec[int64](6, 7)), out: tensors(vec[int64](60, 80, 100))})
}

// TestMoversKeepEveryType sends each element type through a transposition and back.
func TestMoversKeepEveryType(t *testing.T) {
	x := &graph.Exec{Ctx: t.Context()}
	for d := tensor.Float32; d <= tensor.Int2; d++ {
		in := tensor.New(d, 3, 5)
		for i := range in.Data {
			in.Data[i] = byte(i*37 + 11)
		}
		if n := 15 * d.Bits() % 8; n != 0 { // what lies after the last element is zero
			in.Data[len(in.Data)-1] &= 1<<n - 1
		}
		for i := range in.Strings {
			in.Strings[i] = string(rune('a' + i))
		}
		mid, out := &tensor.Tensor{}, &tensor.Tensor{Data: slices.Repeat([]byte{0xff}, 300)}
		if err := graph.RunKernel(x, Transpose{}, tensors(in), tensors(mid)); err != nil {
			t.Fatalf("%s: %v", d, err)
		}
		if err := graph.RunKernel(x, Transpose{}, tensors(mid), tensors(out)); err != nil {
			t.Fatalf("%s: %v", d, err)
		}
		if !slices.Equal(mid.Shape, []int{5, 3}) || !out.Equal(in) {
			t.Errorf("%s: twice transposed: got %v %v, want %v %v", d, out.Data, out.Strings, in.Data, in.Strings)
		}
	}
}
