package ops

import (
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	line := vec[float32](1, 2)
	twice := vec[float32](2)
	register(mustOp("", "Resize"),
		opCase{in: tensors(line, nil, twice), out: tensors(vec[float32](1, 1, 2, 2))},
		opCase{name: "sizes", in: tensors(vec[uint8](1, 2, 3), nil, nil, vec[int64](1)), out: tensors(vec[uint8](2))},
		opCase{
			name: "strings", in: tensors(tensor.FromStrings([]string{"a", "b"}, 2), nil, nil, vec[int64](4)),
			out: tensors(tensor.FromStrings([]string{"a", "a", "b", "b"}, 4)),
		})
	register(mustOp("", "Resize"),
		opCase{
			name: "to nothing", in: tensors(shaped([]int{1, 2}, float32(1), 2), nil, nil, vec[int64](1<<40, 0)),
			out: tensors(shaped([]int{1 << 40, 0}, []float32{}...)),
		})
	register(mustOp("", "Resize", "nearest_mode", "floor"),
		opCase{
			name: "float32 coordinates", // element 1 lies at 2, in float64 just below, and element 4 just below 7
			in:   tensors(vec[float32](0, 1, 2, 3, 4, 5, 6, 7, 8), nil, vec[float32](.6)),
			out:  tensors(vec[float32](0, 2, 3, 5, 6)),
		})
	register(mustOp("", "Resize", "mode", "linear"),
		opCase{in: tensors(line, nil, twice), out: tensors(vec[float32](1, 1.25, 1.75, 2))},
		opCase{name: "integers are cut", in: tensors(vec[uint8](1, 2), nil, twice), out: tensors(vec[uint8](1, 1, 1, 2))})
	register(mustOp("", "Resize", "mode", "linear", "coordinate_transformation_mode", "align_corners"),
		opCase{in: tensors(line, nil, nil, vec[int64](3)), out: tensors(vec[float32](1, 1.5, 2))})
	register(mustOp("", "Resize", "mode", "linear", "coordinate_transformation_mode", "asymmetric", "axes", []int64{-1}),
		opCase{
			in:  tensors(shaped([]int{2, 2}, float32(1), 2, 5, 6), nil, twice),
			out: tensors(shaped([]int{2, 4}, float32(1), 1.5, 2, 2, 5, 5.5, 6, 6)),
		})
	register(mustOp("", "Resize", "mode", "linear", "antialias", int64(1)),
		// the triangle of radius 2 at 0.5 and 2.5: weights 3, 3, 1 of 7 inside, edges repeated
		opCase{
			in:  tensors(vec[float32](0, 8, 16, 24), nil, nil, vec[int64](2)),
			out: tensors(vec[float32](5, 19)),
		})
	register(mustOp("", "Resize", "mode", "linear", "antialias", int64(1), "exclude_outside", int64(1)),
		opCase{
			tol: 1e-7, in: tensors(vec[float32](0, 8, 16, 24), nil, nil, vec[int64](2)),
			out: tensors(vec[float32](40./7, 128./7)),
		})
	register(mustOp("", "Resize", "mode", "cubic"),
		opCase{in: tensors(line, nil, twice), out: tensors(vec[float32](.89453125, 1.2265625, 1.7734375, 2.10546875))})
	register(mustOp("", "Resize", "coordinate_transformation_mode", "tf_crop_and_resize", "extrapolation_value", float32(9)),
		opCase{in: tensors(line, vec[float32](0, 2), nil, vec[int64](3)), out: tensors(vec[float32](1, 2, 9))})
	register(mustOp("", "Resize", "keep_aspect_ratio_policy", "not_larger"),
		opCase{
			in:  tensors(shaped([]int{2, 1}, float32(1), 2), nil, nil, vec[int64](4, 3)),
			out: tensors(shaped([]int{4, 2}, float32(1), 1, 1, 1, 2, 2, 2, 2)),
		})
	register(mustOp("", "Resize", "keep_aspect_ratio_policy", "not_smaller"),
		opCase{
			in:  tensors(shaped([]int{2, 1}, float32(1), 2), nil, nil, vec[int64](1, 1)),
			out: tensors(shaped([]int{2, 1}, float32(1), 2)),
		})
}

func init() {
	image := shaped([]int{1, 1, 2, 2}, float32(1), 2, 3, 4)
	points := func(v ...float32) *tensor.Tensor { return shaped([]int{1, 1, len(v) / 2, 2}, v...) }
	register(mustOp("", "GridSample"), // the centre, the middle of the right border (half outside), x before y
		opCase{in: tensors(image, points(0, 0, 1, 0, .5, -.5)), out: tensors(of4(1, 1, 1, 3, 2.5, 1.5, 2))})
	register(mustOp("", "GridSample", "padding_mode", "border", "align_corners", int64(1)),
		opCase{in: tensors(image, points(1, -1, 3, 3)), out: tensors(of4(1, 1, 1, 2, 2, 4))})
	// half an element after the last: -3/32·1 + (19 + 19 - 3)/32·2
	register(mustOp("", "GridSample", "mode", "cubic", "padding_mode", "border", "align_corners", int64(1)),
		opCase{in: tensors(of4(1, 1, 2, 2, 1, 2, 1, 2), points(2, 0)), out: tensors(of4(1, 1, 1, 1, 2.09375))})
	register(mustOp("", "GridSample", "padding_mode", "reflection", "mode", "nearest", "align_corners", int64(1)),
		opCase{in: tensors(image, points(3, -1, 5, -1)), out: tensors(of4(1, 1, 1, 2, 1, 2))})
	register(mustOp("", "GridSample", "mode", "cubic", "align_corners", int64(1)),
		opCase{in: tensors(image, points(-1, 1)), out: tensors(of4(1, 1, 1, 1, 3))})

	register(mustOp("", "AffineGrid"),
		opCase{in: tensors(of3(1, 2, 3, 1, 0, 0, 0, 1, 10), vec[int64](1, 1, 1, 2)), out: tensors(of4(1, 1, 2, 2, -.5, 10, .5, 10))})
	register(mustOp("", "AffineGrid", "align_corners", int64(1)),
		opCase{in: tensors(of3(1, 2, 3, 1, 0, 0, 0, 1, 10), vec[int64](1, 1, 1, 2)), out: tensors(of4(1, 1, 2, 2, -1, 10, 1, 10))})

	rois, batch := shaped([]int{1, 4}, float32(0), 0, 2, 2), vec[int64](0)
	register(mustOp("", "RoiAlign", "coordinate_transformation_mode", "output_half_pixel", "sampling_ratio", int64(1)),
		opCase{in: tensors(image, rois, batch), out: tensors(of4(1, 1, 1, 1, 4))})
	register(mustOp("", "RoiAlign"), opCase{in: tensors(image, rois, batch), out: tensors(of4(1, 1, 1, 1, 2.5))})
	register(mustOp("", "RoiAlign", "mode", "max", "sampling_ratio", int64(1)),
		opCase{in: tensors(image, rois, batch), out: tensors(of4(1, 1, 1, 1, 1))}) // a quarter of 4
}

func TestResizeKeepsSymbols(t *testing.T) {
	x := graph.Fact{Type: graph.Of(tensor.Float32, graph.Named("batch"), graph.Named("h"))}
	op := mustOp("", "Resize")
	types, err := op.Infer([]graph.Fact{x, {}, graph.FactOf(vec[float32](1, 2))}, 1)
	if err != nil || types[0].String() != "float32[batch,2*h]" {
		t.Errorf("by scales: %v %v, want float32[batch,2*h]", types, err)
	}
	sizes := graph.Fact{Type: graph.Of(tensor.Int64, graph.Fixed(2)), Ints: []graph.Dim{graph.Named("batch"), graph.Named("w")}}
	types, err = op.Infer([]graph.Fact{x, {}, {}, sizes}, 1)
	if err != nil || types[0].String() != "float32[batch,w]" {
		t.Errorf("by sizes: %v %v, want float32[batch,w]", types, err)
	}
	if !op.(graph.Quantizable).Quant().Moves || mustOp("", "Resize", "mode", "linear").(graph.Quantizable).Quant().Moves {
		t.Error("nearest moves data, linear does not")
	}
}

func TestResizeRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		op graph.Op
		in []*tensor.Tensor
	}{
		"neither": {mustOp("", "Resize"), tensors(vec[float32](1))},
		"scale 0": {mustOp("", "Resize"), tensors(vec[float32](1), nil, vec[float32](0))},
		"huge":    {mustOp("", "Resize"), tensors(vec[float32](1), nil, nil, vec[int64](1<<62))},
		"wide between": {
			mustOp("", "Resize", "mode", "linear"),
			tensors(tensor.New(tensor.Float32, 1, 1<<20), nil, nil, vec[int64](1<<24, 1)),
		},
		"negative":    {mustOp("", "Resize"), tensors(vec[float32](1), nil, nil, vec[int64](-5))},
		"axis":        {mustOp("", "Resize", "axes", []int64{3}), tensors(vec[float32](1), nil, vec[float32](2))},
		"mode":        {mustOp("", "Resize", "mode", "guess"), tensors(vec[float32](1), nil, vec[float32](2))},
		"too many":    {mustOp("", "Resize"), tensors(vec[float32](1), nil, vec[float32](2, 2))},
		"from empty":  {mustOp("", "Resize"), tensors(vec[float32](), nil, nil, vec[int64](3))},
		"linear text": {mustOp("", "Resize", "mode", "linear"), tensors(tensor.FromStrings([]string{"a"}, 1), nil, vec[float32](2))},
	} {
		if err := graph.RunKernel(&graph.Exec{}, c.op, c.in, []*tensor.Tensor{{}}); err == nil {
			t.Errorf("%s: Run succeeds", name)
		}
	}
}
