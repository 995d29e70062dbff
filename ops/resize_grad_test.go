package ops

import (
	"github.com/tfsopt/tfsopt/graph"
)

// resizeGrad is a ResizeGrad with the attributes of a Resize in pairs of name and value.
func resizeGrad(shape []int64, pairs ...any) graph.Op {
	return mustOp("tfsopt", "ResizeGrad", append([]any{"x_shape", shape}, pairs...)...)
}

func init() {
	register(resizeGrad([]int64{2}),
		opCase{in: tensors(vec[float32](1, 10, 100, 1000), nil, vec[float32](2)), out: tensors(vec[float32](11, 1100))},
		opCase{name: "sizes", in: tensors(vec[float32](1, 10, 100), nil, nil, vec[int64](3)), out: tensors(vec[float32](11, 100))})
	register(resizeGrad([]int64{2}, "mode", "linear"),
		opCase{in: tensors(vec[float32](1, 4, 40, 100), nil, vec[float32](2)), out: tensors(vec[float32](14, 131))})
	register(resizeGrad([]int64{2}, "coordinate_transformation_mode", "tf_crop_and_resize", "extrapolation_value", float32(9)),
		opCase{in: tensors(vec[float32](1, 10, 100), vec[float32](0, 2), nil, vec[int64](3)), out: tensors(vec[float32](1, 10))})
	register(resizeGrad([]int64{2, 2}, "axes", []int64{-1}),
		opCase{name: "to nothing", in: tensors(shaped([]int{2, 0}, []float32{}...), nil, nil, vec[int64](0)), out: tensors(shaped([]int{2, 2}, []float32{0, 0, 0, 0}...))})

	x := spread(1, 1, 2, 5, 4)
	for _, mode := range []string{"nearest", "linear", "cubic"} {
		for _, coordinates := range []string{"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"} {
			op := mustOp("", "Resize", "mode", mode, "coordinate_transformation_mode", coordinates)
			gradCases(op, gradCase{name: mode + " " + coordinates + " up", in: tensors(x, nil, vec[float32](1, 1, 2, 1.5)), fixed: []int{2}},
				gradCase{name: mode + " " + coordinates + " down", in: tensors(x, nil, nil, vec[int64](1, 2, 3, 2))})
		}
		gradCases(mustOp("", "Resize", "mode", mode, "axes", []int64{3, -2}, "coordinate_transformation_mode", "tf_crop_and_resize"),
			gradCase{name: mode + " crop", in: tensors(x, vec[float32](.2, -.4, 1.3, .9), nil, vec[int64](3, 7)), fixed: []int{1}})
		gradCases(mustOp("", "Resize", "mode", mode, "antialias", int64(1), "axes", []int64{2, 3}),
			gradCase{name: mode + " antialias", in: tensors(x, nil, nil, vec[int64](2, 7))})
		gradCases(mustOp("", "Resize", "mode", mode, "exclude_outside", int64(1), "axes", []int64{2, 3}, "keep_aspect_ratio_policy", "not_smaller"),
			gradCase{name: mode + " exclude outside", in: tensors(x, nil, nil, vec[int64](7, 9))})
	}
	for name := range nearestModes {
		gradCases(mustOp("", "Resize", "nearest_mode", name), gradCase{name: "nearest " + name, in: tensors(x, nil, vec[float32](1, 2, 1.7, .6)), fixed: []int{2}})
	}
}
