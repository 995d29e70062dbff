package onnx

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

type upgradeCase struct {
	name   string
	opset  int64
	op     string
	attrs  []graph.Attr
	in     []*tensor.Tensor
	consts int // of the inputs, the last ones that are initializers
	want   []*tensor.Tensor
	loose  bool // declare the inputs' shapes as unknown
}

var one22 = []int{1, 1, 2, 2}

// upgradeCases hold, for old forms of operators, what ONNX Runtime computes (opset 7 and up) or what the Changelog
// says (below).
var upgradeCases = []upgradeCase{
	{
		name: "axis of a broadcast", opset: 6, op: "Add", attrs: []graph.Attr{attr("broadcast", int64(1)), attr("axis", int64(0))},
		in: []*tensor.Tensor{ramp(2, 3), floatsOf([]int{2}, 10, 20)}, consts: 1,
		want: []*tensor.Tensor{floatsOf([]int{2, 3}, 10, 11, 12, 23, 24, 25)},
	},
	{
		name: "axis of a broadcast, not constant", opset: 1, op: "Mul",
		attrs: []graph.Attr{attr("broadcast", int64(1)), attr("axis", int64(1)), attr("consumed_inputs", []int64{0, 0})},
		in:    []*tensor.Tensor{ramp(1, 2, 2), floatsOf([]int{2}, 10, 20)},
		want:  []*tensor.Tensor{floatsOf([]int{1, 2, 2}, 0, 10, 40, 60)},
	},
	{
		name: "shape attribute", opset: 1, op: "Reshape", attrs: []graph.Attr{attr("shape", []int64{3, -1})},
		in: []*tensor.Tensor{ramp(2, 3)}, want: []*tensor.Tensor{ramp(3, 2)},
	},
	{
		name: "type by name", opset: 1, op: "Cast", attrs: []graph.Attr{attr("to", "INT32")},
		in: []*tensor.Tensor{ramp(3)}, want: []*tensor.Tensor{tensor.From([]int32{0, 1, 2}, 3)},
	},
	{
		name: "paddings", opset: 1, op: "Pad", attrs: []graph.Attr{attr("paddings", []int64{0, 1}), attr("value", float32(7))},
		in: []*tensor.Tensor{ramp(2)}, want: []*tensor.Tensor{floatsOf([]int{3}, 0, 1, 7)},
	},
	{
		name: "slope of each channel", opset: 6, op: "PRelu", in: []*tensor.Tensor{
			floatsOf([]int{1, 2, 2}, -1, -2, -3, -4), floatsOf([]int{2}, 10, 100),
		},
		want: []*tensor.Tensor{floatsOf([]int{1, 2, 2}, -10, -20, -300, -400)},
	},
	{
		name: "tiles", opset: 1, op: "Tile", in: []*tensor.Tensor{ramp(1, 2), tensor.Scalar(int64(2)), tensor.Scalar(int64(0))}, consts: 2,
		want: []*tensor.Tensor{floatsOf([]int{2, 2}, 0, 1, 0, 1)},
	},
	{
		name: "height and width", opset: 1, op: "Upsample", attrs: []graph.Attr{attr("height_scale", float32(2)), attr("width_scale", float32(1))},
		in: []*tensor.Tensor{ramp(one22...)}, want: []*tensor.Tensor{floatsOf([]int{1, 1, 4, 2}, 0, 1, 0, 1, 2, 3, 2, 3)},
	},
	{
		name: "scales attribute", opset: 7, op: "Upsample", attrs: []graph.Attr{attr("scales", []float32{1, 1, 1, 2}), attr("mode", "linear")},
		in: []*tensor.Tensor{ramp(one22...)}, want: []*tensor.Tensor{floatsOf([]int{1, 1, 2, 4}, 0, .5, 1, 1, 2, 2.5, 3, 3)},
	},
	{
		name: "enlarge", opset: 10, op: "Resize", in: []*tensor.Tensor{ramp(1, 1, 1, 3), floatsOf([]int{4}, 1, 1, 1, 1.7)}, consts: 1,
		want: []*tensor.Tensor{floatsOf([]int{1, 1, 1, 5}, 0, 0, 1, 1, 2)},
	},
	{
		name: "shrink", opset: 10, op: "Resize", in: []*tensor.Tensor{ramp(1, 1, 1, 5), floatsOf([]int{4}, 1, 1, 1, .6)}, consts: 1,
		want: []*tensor.Tensor{floatsOf([]int{1, 1, 1, 3}, 0, 2, 4)},
	},
	{
		name: "half pixel for nearest", opset: 11, op: "Resize", attrs: []graph.Attr{
			attr("coordinate_transformation_mode", "tf_half_pixel_for_nn"),
			attr("nearest_mode", "floor"),
		}, in: []*tensor.Tensor{ramp(1, 1, 1, 5), floatsOf([]int{0}), floatsOf([]int{4}, 1, 1, 1, .6)}, consts: 2,
		want: []*tensor.Tensor{floatsOf([]int{1, 1, 1, 3}, 0, 2, 4)},
	},
	{
		name: "bounds", opset: 6, op: "Clip", attrs: []graph.Attr{attr("min", float32(1)), attr("max", float32(2))},
		in: []*tensor.Tensor{ramp(4)}, want: []*tensor.Tensor{floatsOf([]int{4}, 1, 1, 2, 2)},
	},
	{
		name: "one bound", opset: 6, op: "Clip", attrs: []graph.Attr{attr("max", float32(2))},
		in: []*tensor.Tensor{ramp(4)}, want: []*tensor.Tensor{floatsOf([]int{4}, 0, 1, 2, 2)},
	},
	{
		name: "of a matrix", opset: 11, op: "Softmax", in: []*tensor.Tensor{floatsOf([]int{1, 2, 2}, 0, 0, 0, 0)},
		want: []*tensor.Tensor{floatsOf([]int{1, 2, 2}, .25, .25, .25, .25)},
	},
	{
		name: "of a matrix of unknown shape", opset: 7, op: "Softmax", in: []*tensor.Tensor{floatsOf([]int{1, 2, 2}, 0, 0, 0, 0)}, loose: true,
		want: []*tensor.Tensor{floatsOf([]int{1, 2, 2}, .25, .25, .25, .25)},
	},
	{
		name: "of a matrix", opset: 12, op: "Hardmax", in: []*tensor.Tensor{ramp(one22...)},
		want: []*tensor.Tensor{floatsOf(one22, 0, 0, 0, 1)},
	},
	{
		name: "of a matrix", opset: 1, op: "LogSoftmax", in: []*tensor.Tensor{floatsOf([]int{1, 2, 1, 1}, 0, 0)},
		want: []*tensor.Tensor{floatsOf([]int{1, 2, 1, 1}, -math.Ln2, -math.Ln2)},
	},
	{
		name: "with axes", opset: 1, op: "Slice", attrs: []graph.Attr{attr("starts", []int64{1}), attr("ends", []int64{1000}), attr("axes", []int64{1})},
		in: []*tensor.Tensor{ramp(2, 3)}, want: []*tensor.Tensor{floatsOf([]int{2, 2}, 1, 2, 4, 5)},
	},
	{
		name: "sizes", opset: 2, op: "Split", attrs: []graph.Attr{attr("split", []int64{1, 2})},
		in: []*tensor.Tensor{ramp(3)}, want: []*tensor.Tensor{floatsOf([]int{1}, 0), floatsOf([]int{2}, 1, 2)},
	},
	{
		name: "in halves", opset: 13, op: "Split",
		in: []*tensor.Tensor{ramp(4)}, want: []*tensor.Tensor{ramp(2), floatsOf([]int{2}, 2, 3)},
	},
	{
		name: "axes", opset: 11, op: "Squeeze", attrs: []graph.Attr{attr("axes", []int64{-1})},
		in: []*tensor.Tensor{ramp(1, 2, 1)}, want: []*tensor.Tensor{ramp(1, 2)},
	},
	{
		name: "axes", opset: 11, op: "ReduceSum", attrs: []graph.Attr{attr("axes", []int64{1}), attr("keepdims", int64(0))},
		in: []*tensor.Tensor{ramp(2, 3)}, want: []*tensor.Tensor{floatsOf([]int{2}, 3, 12)},
	},
	{
		name: "axes", opset: 13, op: "ReduceMean", attrs: []graph.Attr{attr("axes", []int64{0})},
		in: []*tensor.Tensor{ramp(2, 2)}, want: []*tensor.Tensor{floatsOf([]int{1, 2}, 1, 2)},
	},
	{
		name: "all axes", opset: 1, op: "ReduceMax", attrs: []graph.Attr{attr("keepdims", int64(0))},
		in: []*tensor.Tensor{ramp(2, 2)}, want: []*tensor.Tensor{tensor.Scalar(float32(3))},
	},
	{
		name: "k attribute", opset: 1, op: "TopK", attrs: []graph.Attr{attr("k", int64(2))},
		in: []*tensor.Tensor{ramp(3)}, want: []*tensor.Tensor{floatsOf([]int{2}, 2, 1), tensor.From([]int64{2, 1}, 2)},
	},
	{name: "default axis", opset: 1, op: "Concat", in: []*tensor.Tensor{ramp(1, 1), ramp(1, 1)}, want: []*tensor.Tensor{floatsOf([]int{1, 2}, 0, 0)}},
	{
		name: "mask of floats", opset: 7, op: "Dropout", attrs: []graph.Attr{attr("ratio", float32(.3))},
		in: []*tensor.Tensor{ramp(2)}, want: []*tensor.Tensor{ramp(2), floatsOf([]int{2}, 1, 1)},
	},
	{
		name: "for each position", opset: 7, op: "BatchNormalization", attrs: []graph.Attr{attr("spatial", int64(0)), attr("epsilon", float32(0))},
		in:   []*tensor.Tensor{ramp(1, 1, 2), floatsOf([]int{1, 2}, 1, 2), floatsOf([]int{1, 2}, 5, 6), floatsOf([]int{1, 2}, 0, 0), floatsOf([]int{1, 2}, 4, 1)},
		want: []*tensor.Tensor{floatsOf([]int{1, 1, 2}, 5, 8)},
	},
	{
		name: "in training", opset: 9, op: "BatchNormalization", attrs: []graph.Attr{attr("epsilon", float32(0))},
		in:   []*tensor.Tensor{ramp(2, 1), floatsOf([]int{1}, 1), floatsOf([]int{1}, 0), floatsOf([]int{1}, 0), floatsOf([]int{1}, 1)},
		want: []*tensor.Tensor{floatsOf([]int{2, 1}, -1, 1), floatsOf([]int{1}, .05), floatsOf([]int{1}, .925)},
	},
	{
		name: "asked for its sequence", opset: 6, op: "LSTM", attrs: []graph.Attr{attr("output_sequence", int64(1)), attr("hidden_size", int64(1))},
		in:   []*tensor.Tensor{ramp(2, 1, 1), floatsOf([]int{1, 4, 1}, 0, 0, 0, 0), floatsOf([]int{1, 4, 1}, 0, 0, 0, 0)},
		want: []*tensor.Tensor{floatsOf([]int{2, 1, 1, 1}, 0, 0)},
	},
	{
		name: "scale of each group", opset: 18, op: "GroupNormalization", attrs: []graph.Attr{attr("num_groups", int64(1)), attr("epsilon", float32(0))},
		in:   []*tensor.Tensor{floatsOf([]int{1, 2, 1}, -1, 1), floatsOf([]int{1}, 3), floatsOf([]int{1}, 1)},
		want: []*tensor.Tensor{floatsOf([]int{1, 2, 1}, -2, 4)},
	},
	{
		name: "old mode", opset: 16, op: "GridSample", in: []*tensor.Tensor{ramp(one22...), floatsOf([]int{1, 1, 1, 2}, 0, 0)},
		want: []*tensor.Tensor{floatsOf([]int{1, 1, 1, 1}, 1.5)},
	},
	{name: "defaults", opset: 1, op: "Selu", in: []*tensor.Tensor{floatsOf([]int{1}, 2)}, want: []*tensor.Tensor{floatsOf([]int{1}, 2.1014)}},
	{
		name: "rows", opset: 10, op: "Scatter", in: []*tensor.Tensor{ramp(2, 1), tensor.From([]int64{1}, 1, 1), floatsOf([]int{1, 1}, 9)},
		want: []*tensor.Tensor{floatsOf([]int{2, 1}, 0, 9)},
	},
	{
		name: "power", opset: 1, op: "GlobalLpPool", attrs: []graph.Attr{attr("p", float32(1))},
		in: []*tensor.Tensor{ramp(one22...)}, want: []*tensor.Tensor{floatsOf([]int{1, 1, 1, 1}, 6)},
	},
	{
		name: "axis attribute", opset: 17, op: "DFT", attrs: []graph.Attr{attr("axis", int64(1))},
		in: []*tensor.Tensor{floatsOf([]int{1, 2, 1}, 1, 3)}, want: []*tensor.Tensor{floatsOf([]int{1, 2, 2}, 4, 0, -2, 0)},
	},
	{
		name: "without half a pixel", opset: 10, op: "RoiAlign", attrs: []graph.Attr{attr("sampling_ratio", int64(1))},
		in:   []*tensor.Tensor{ramp(1, 1, 3, 3), floatsOf([]int{1, 4}, 1, 1, 2, 2), tensor.From([]int64{0}, 1)},
		want: []*tensor.Tensor{floatsOf([]int{1, 1, 1, 1}, 6)},
	},
}

func (c upgradeCase) model() *testModel {
	m := newModel(c.opset)
	if c.opset < 9 {
		m.ir = 3
	}
	var in, out []string
	for i, x := range c.in {
		name := string(rune('a' + i))
		in = append(in, name)
		ty := graph.TypeOf(x)
		if c.loose {
			ty = graph.Of(x.DType, make([]graph.Dim, len(x.Shape))...)
		}
		m.input(name, ty)
		if i >= len(c.in)-c.consts {
			m.constant(name, x)
		}
	}
	for i := range c.want {
		out = append(out, string(rune('x'+i)))
	}
	return m.node(c.op, in, out, c.attrs...).output(out...)
}

func TestUpgrade(t *testing.T) {
	for _, c := range upgradeCases {
		t.Run(c.op+" "+c.name, func(t *testing.T) {
			g := c.model().read(t)
			keepModel(t, c, g)
			got := eval(t, g, c.in[:len(c.in)-c.consts]...)
			for i, want := range c.want {
				if !near(got[i], want) {
					t.Errorf("output %d: got %v %v, want %v %v", i, got[i].Shape, tensor.Floats(got[i]), want.Shape, tensor.Floats(want))
				}
			}
			if _, _, err := Write(g); err != nil {
				t.Error(err)
			}
		})
	}
}

// keepModel leaves the model before and after in TFSOPT_KEEP for a comparison by ONNX Runtime.
func keepModel(t *testing.T, c upgradeCase, g *graph.Graph) {
	dir := os.Getenv("TFSOPT_KEEP")
	if dir == "" {
		return
	}
	name := filepath.Join(dir, c.op+"_"+c.name)
	if err := os.WriteFile(name+".old.onnx", c.model().bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Save(t.Context(), g, name+".new.onnx"); err != nil {
		t.Error(err)
	}
	for i, x := range c.in[:len(c.in)-c.consts] {
		b, _ := WriteTensor(string(rune('a'+i)), x)
		if err := os.WriteFile(name+".in"+string(rune('0'+i)), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func near(got, want *tensor.Tensor) bool {
	if graph.TypeOf(got).String() != graph.TypeOf(want).String() {
		return false
	}
	g, w := tensor.Float64s(got), tensor.Float64s(want)
	for i := range w {
		if math.Abs(g[i]-w[i]) > 1e-5*math.Max(1, math.Abs(w[i])) {
			return false
		}
	}
	return true
}
