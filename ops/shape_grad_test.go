package ops

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/tensor"
)

// ints64 is a vector of int64.
func ints64(v ...int64) *tensor.Tensor { return tensor.From(v, len(v)) }

func init() {
	x := spread(1, 2, 3, 4)
	gradCases(Reshape{}, gradCase{in: tensors(x, ints64(0, -1))}, gradCase{name: "one", in: tensors(spread(1), ints64(1, 1))})
	for a := range 4 {
		gradCases(Flatten{Axis: a}, gradCase{in: tensors(x)})
	}
	thin := spread(1, 1, 3, 1, 2)
	gradCases(Squeeze{}, gradCase{in: tensors(thin)}, gradCase{name: "axes", in: tensors(thin, ints64(-2))})
	gradCases(Unsqueeze{}, gradCase{in: tensors(x, ints64(0, -1))})
	gradCases(Transpose{}, gradCase{in: tensors(x)})
	for _, perm := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 2, 0}, {2, 0, 1}} {
		gradCases(Transpose{Perm: perm}, gradCase{in: tensors(x)})
	}
	gradCases(Expand{},
		gradCase{in: tensors(spread(1, 3, 1), ints64(2, 1, 4))},
		gradCase{name: "same", in: tensors(x, ints64(3, 1))},
		gradCase{name: "scalar", in: tensors(spread(1), ints64(3, 2))},
	)
	gradCases(Tile{},
		gradCase{in: tensors(x, ints64(1, 2, 3))},
		gradCase{name: "once", in: tensors(x, ints64(1, 1, 1))},
		gradCase{name: "scalar", in: tensors(spread(1), tensor.New(tensor.Int64, 0))},
	)
	for a := -3; a < 3; a++ {
		shapes := [3][]int{{2, 3, 4}, {2, 3, 4}, {2, 3, 4}}
		shapes[1][(a+3)%3] = 1
		in := tensors(spread(1, shapes[0]...), spread(2, shapes[1]...), spread(3, shapes[2]...))
		gradCases(Concat{Axis: a}, gradCase{name: "three", in: in}, gradCase{name: "one", in: in[:1]})
	}
	gradCases(Split{Axis: 1}, gradCase{name: "equal", in: tensors(x), outs: 3}, gradCase{name: "one", in: tensors(x), outs: 1})
	gradCases(Split{Axis: -1}, gradCase{name: "sizes", in: tensors(x, ints64(1, 3)), outs: 2})
	gradCases(Split{Axis: 2, NumOutputs: 3}, gradCase{name: "uneven", in: tensors(spread(1, 2, 3, 5)), outs: 3})
	for _, mode := range []string{"DCR", "CRD"} {
		gradCases(DepthToSpace{BlockSize: 2, Mode: mode}, gradCase{in: tensors(spread(1, 1, 8, 2, 3))})
		gradCases(SpaceToDepth{BlockSize: 2, Mode: mode}, gradCase{in: tensors(spread(1, 1, 2, 2, 4))})
	}
	for _, upper := range []bool{false, true} {
		gradCases(Trilu{Upper: upper}, gradCase{in: tensors(x)}, gradCase{name: "k", in: tensors(x, tensor.Scalar[int64](1))})
	}
	lengths := ints64(1, 3, 2)
	gradCases(ReverseSequence{BatchAxis: 1, TimeAxis: 0}, gradCase{in: tensors(spread(1, 4, 3, 2), lengths)})
	gradCases(ReverseSequence{BatchAxis: 0, TimeAxis: 1}, gradCase{in: tensors(spread(1, 3, 3), lengths)})
	sliceCases()
	padCases()
}

func sliceCases() {
	x := spread(1, 4, 7)
	for _, s := range [][4]int64{ // start, end, axis, step
		{1, 3, 0, 1},
		{0, math.MaxInt64, 1, 1},
		{-3, -1, 1, 1},
		{0, 7, 1, 2},
		{1, 7, 1, 2},
		{0, 6, 1, 3},
		{1, 6, -1, 5},
		{-1, math.MinInt64, 1, -1},
		{5, 0, 1, -2},
		{-2, -7, 1, -3},
		{3, 1, 1, 1},
		{0, 7, 1, 9},
	} {
		gradCases(Slice{}, gradCase{name: fmt.Sprint(s), in: tensors(x, ints64(s[0]), ints64(s[1]), ints64(s[2]), ints64(s[3]))})
	}
	gradCases(Slice{},
		gradCase{name: "no axes", in: tensors(x, ints64(1, 2), ints64(3, 6))},
		gradCase{name: "both", in: tensors(x, ints64(1, -1), ints64(9, 0), ints64(0, 1), ints64(2, -2))},
	)
}

func padCases() {
	x := spread(1, 3, 4)
	for _, mode := range []string{"constant", "reflect", "edge", "wrap"} {
		for _, pads := range [][]int64{{1, 2, 2, 3}, {0, 0, 0, 1}, {0, 0, 0, 0}, {-1, 2, 0, -1}, {0, 5, 0, 9}} {
			gradCases(Pad{Mode: mode}, gradCase{name: fmt.Sprint(pads), in: tensors(x, ints64(pads...))})
		}
		gradCases(Pad{Mode: mode}, gradCase{name: "axes", in: tensors(x, ints64(1, 2), nil, ints64(-1))})
	}
	gradCases(Pad{Mode: "constant"},
		gradCase{name: "value", in: tensors(x, ints64(1, 2, 3, 0), spread(2))},
		gradCase{name: "value and crop", in: tensors(x, ints64(1, -2, 3, 0), spread(2, 1))},
	)
	gradCases(CenterCropPad{}, gradCase{in: tensors(spread(1, 5, 4), ints64(2, 9))})
	gradCases(CenterCropPad{Axes: []int{1}}, gradCase{in: tensors(spread(1, 5, 4), ints64(7))})
}
