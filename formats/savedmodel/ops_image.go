package savedmodel

import (
	"context"
	"errors"
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	for name, f := range map[string]converter{
		"Conv2D": conv, "DepthwiseConv2dNative": conv, "Conv2DBackpropInput": convTranspose, "MaxPool": pool, "AvgPool": pool,
		"FusedBatchNorm": batchNorm, "FusedBatchNormV2": batchNorm, "FusedBatchNormV3": batchNorm, "BiasAdd": biasAdd,
		"BiasAddV1": biasAdd, "ResizeBilinear": resize, "ResizeNearestNeighbor": resize, "DepthToSpace": depthSpace,
		"SpaceToDepth": depthSpace, "SpaceToBatchND": spaceToBatch, "BatchToSpaceND": batchToSpace,
	} {
		convertOps(f, name)
	}
}

// The orders of axes between images as TensorFlow has them by default and as ONNX has them.
var (
	toNCHW = []int{0, 3, 1, 2}
	toNHWC = []int{0, 2, 3, 1}
)

// image is an input with channels first; back gives a result the order that the node has.
func (c *call) image(i int) (v *graph.Value, back func(*graph.Value) []value, err error) {
	v, err = c.value(i)
	if err != nil {
		return nil, nil, err
	}
	switch f := c.stringAttr("data_format", "NHWC"); f {
	case "NHWC":
		if v.Rank() == 4 && v.Shape[1].Is(1) && v.Shape[2].Is(1) { // no element moves
			if n, ok := v.Shape[3].Value(); ok {
				v = c.b.Add(c.n.Name+"/channels_first", ops.Reshape{}, v, c.b.ints(0, int64(n), 1, 1))
				return v, c.channelsLast, nil
			}
		}
		v = c.b.Add(c.n.Name+"/channels_first", ops.Transpose{Perm: toNCHW}, v)
		return v, c.channelsLast, nil
	case "NCHW":
		return v, one, nil
	default:
		return nil, nil, fmt.Errorf("the data format %s is not supported", f)
	}
}

func (c *call) channelsLast(v *graph.Value) []value {
	return one(c.b.Add(c.n.Name+"/channels_last", ops.Transpose{Perm: toNHWC}, v))
}

// spatial picks the two entries of a list for all four axes that are not batch and channels; 1, 1 if there is none.
func (c *call) spatial(attr string) ([]int, error) {
	list := c.intsAttr(attr)
	if list == nil {
		return []int{1, 1}, nil
	}
	if len(list) != 4 {
		return nil, fmt.Errorf("attribute %s has %d numbers, want 4", attr, len(list))
	}
	other, out := []int{list[0], list[3]}, list[1:3]
	if c.stringAttr("data_format", "NHWC") == "NCHW" {
		other, out = list[:2], list[2:]
	}
	if other[0] != 1 || other[1] != 1 {
		return nil, fmt.Errorf("attribute %s is %v, which goes over samples or channels", attr, list)
	}
	for _, n := range out {
		if n < 1 {
			return nil, fmt.Errorf("attribute %s is %v", attr, list)
		}
	}
	return out, nil
}

// frame is where a window moves: its size with dilation, its steps.
type frame struct{ kernel, strides, dilations []int }

// padding gives the pads for an image with channels first, or how ONNX is to find them where the size of the image is not
// known.
func (c *call) padding(v *graph.Value, w frame) (auto string, pads []int, err error) {
	pads = make([]int, 4)
	switch p := c.stringAttr("padding", "VALID"); p {
	case "VALID":
		return "NOTSET", pads, nil
	case "EXPLICIT":
		list := c.intsAttr("explicit_paddings")
		if len(list) != 8 {
			return "", nil, errors.New("there are no explicit paddings")
		}
		at := 2
		if c.stringAttr("data_format", "NHWC") == "NCHW" {
			at = 4
		}
		return "NOTSET", []int{list[at], list[at+2], list[at+1], list[at+3]}, nil
	case "SAME":
	default:
		return "", nil, fmt.Errorf("the padding %s is not supported", p)
	}
	for i := range 2 {
		reach := (w.kernel[i]-1)*w.dilations[i] + 1
		total := reach - 1
		if w.strides[i] > 1 {
			if v.Rank() != 4 {
				return "SAME_UPPER", nil, nil
			}
			size, ok := v.Shape[2+i].Value()
			if !ok {
				return "SAME_UPPER", nil, nil
			}
			total = max((ceilDiv(size, w.strides[i])-1)*w.strides[i]+reach-size, 0)
		}
		pads[i], pads[2+i] = total/2, total-total/2
	}
	return "NOTSET", pads, nil
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// turned is a weight with its axes in another order and perhaps another shape; all entry points share the result.
func (c *call) turned(v *graph.Value, perm []int, shape func(s []int) []int) (*graph.Value, error) {
	if out, ok, err := c.turnedRestored(v, perm, shape); ok || err != nil {
		return out, err
	}
	if !v.IsConst() {
		size, ok := v.Fixed()
		if !ok || len(size) != len(perm) {
			return nil, fmt.Errorf("a weight is %s, want rank %d", v.Type, len(perm))
		}
		v = c.add(ops.Transpose{Perm: perm}, v)
		if shape != nil {
			size, _ = v.Fixed()
			v = c.add(ops.Reshape{}, v, c.b.ints(wide(shape(size))...))
		}
		return v, nil
	}
	if len(v.Const.Shape) != len(perm) {
		return nil, fmt.Errorf("a weight is %s, want rank %d", v.Type, len(perm))
	}
	key := turnedKey{v.Const, fmt.Sprint(perm, shape != nil)}
	t := c.s.l.turnedWeights[key]
	if t == nil {
		op := ops.Transpose{Perm: perm}
		t = &tensor.Tensor{}
		x := &graph.Exec{Ctx: context.Background(), Node: &graph.Node{Op: op}}
		if err := graph.RunKernel(x, op, []*tensor.Tensor{v.Const}, []*tensor.Tensor{t}); err != nil {
			return nil, err
		}
		if shape != nil {
			t = t.Reshape(shape(t.Shape)...)
		}
		c.s.l.turnedWeights[key] = t
	}
	return c.b.constant(t, v.Name), nil
}

// turnedKey is a weight and what was done to it.
type turnedKey struct {
	t   *tensor.Tensor
	how string
}

func conv(c *call) ([]value, error) { return c.convolve(nil) }

// spread says that a convolution without padding runs on places that lie apart: its dilations and its pads, as ONNX has them.
type spread struct{ dilations, pads []int }

// filtered is what convolutions read: an image, input 1 as the filter, and what their attributes say of places.
type filtered struct {
	x       *graph.Value
	back    func(*graph.Value) []value
	filter  *graph.Value
	size    []int // of the filter: height, width, two kinds of channels
	strides []int
	dilated []int
}

func (c *call) filtered(image int) (f filtered, err error) {
	if f.x, f.back, err = c.image(image); err != nil {
		return f, err
	}
	if f.filter, err = c.value(1); err != nil {
		return f, err
	}
	var ok bool
	if f.size, ok = f.filter.Fixed(); !ok || len(f.size) != 4 {
		return f, fmt.Errorf("the filter is %s", f.filter.Type)
	}
	if f.strides, err = c.spatial("strides"); err != nil {
		return f, err
	}
	f.dilated, err = c.spatial("dilations")
	return f, err
}

func (c *call) convolve(over *spread) ([]value, error) {
	f, err := c.filtered(0)
	if err != nil {
		return nil, err
	}
	x, size := f.x, f.size
	op := ops.Conv{Group: 1, KernelShape: size[:2:2], Strides: f.strides, Dilations: f.dilated}
	if over != nil {
		op.AutoPad, op.Dilations, op.Pads = "NOTSET", over.dilations, over.pads
	} else if op.AutoPad, op.Pads, err = c.padding(x, frame{op.KernelShape, op.Strides, op.Dilations}); err != nil {
		return nil, err
	}
	var w *graph.Value
	if c.n.Op == "DepthwiseConv2dNative" {
		op.Group = size[2]
		w, err = c.turned(f.filter, []int{2, 3, 0, 1}, func(s []int) []int { return []int{s[0] * s[1], 1, s[2], s[3]} })
	} else {
		if x.Rank() == 4 {
			if n, ok := x.Shape[1].Value(); ok && size[2] > 0 && n%size[2] == 0 {
				op.Group = n / size[2]
			}
		}
		w, err = c.turned(f.filter, []int{3, 2, 0, 1}, nil)
	}
	if err != nil {
		return nil, err
	}
	return f.back(c.add(op, x, w)), nil
}

// convTranspose is the gradient of a convolution with respect to its input. Where the size of the result is computed, it is
// taken to be the one that Keras computes.
func convTranspose(c *call) ([]value, error) {
	f, err := c.filtered(2)
	if err != nil {
		return nil, err
	}
	x := f.x
	op := ops.ConvTranspose{
		Group: 1, AutoPad: "NOTSET", KernelShape: f.size[:2:2], Strides: f.strides, Dilations: f.dilated,
		Pads: make([]int, 4), OutputPadding: make([]int, 2),
	}
	padding := c.stringAttr("padding", "VALID")
	if padding != "SAME" && padding != "VALID" {
		return nil, fmt.Errorf("the padding %s is not supported", padding)
	}
	first := 1
	if c.stringAttr("data_format", "NHWC") == "NCHW" {
		first = 2
	}
	want, _ := c.numbers(0)
	for i := range 2 {
		reach, s := (op.KernelShape[i]-1)*op.Dilations[i]+1, op.Strides[i]
		spare := s - reach // what the result has beyond (in-1)·s + reach
		if padding == "VALID" {
			spare = max(spare, 0)
		}
		if len(want) == 4 && want[first+i].v == nil && x.Rank() == 4 {
			if n, ok := x.Shape[2+i].Value(); ok {
				spare = int(want[first+i].n) - (n-1)*s - reach
			}
		}
		if spare >= 0 {
			op.OutputPadding[i] = spare
		} else {
			op.Pads[i], op.Pads[2+i] = -spare/2, -spare-(-spare)/2
		}
	}
	w, err := c.turned(f.filter, []int{3, 2, 0, 1}, nil)
	if err != nil {
		return nil, err
	}
	return f.back(c.add(op, x, w)), nil
}

func pool(c *call) ([]value, error) {
	x, back, err := c.image(0)
	if err != nil {
		return nil, err
	}
	kernel, err := c.spatial("ksize")
	if err != nil {
		return nil, err
	}
	strides, err := c.spatial("strides")
	if err != nil {
		return nil, err
	}
	auto, pads, err := c.padding(x, frame{kernel, strides, []int{1, 1}})
	if err != nil {
		return nil, err
	}
	if c.n.Op == "AvgPool" {
		return back(c.add(ops.AveragePool{AutoPad: auto, Pads: pads, KernelShape: kernel, Strides: strides}, x)), nil
	}
	return back(c.add(ops.MaxPool{AutoPad: auto, Pads: pads, KernelShape: kernel, Strides: strides}, x)), nil
}

func batchNorm(c *call) ([]value, error) {
	if c.boolAttr("is_training", true) {
		return nil, errors.New("normalization by the batch's own moments (is_training) is not supported")
	}
	x, back, err := c.image(0)
	if err != nil {
		return nil, err
	}
	rest, err := c.values(1, 5)
	if err != nil {
		return nil, err
	}
	op := ops.BatchNormalization{Epsilon: c.floatAttr("epsilon", 1e-4), Momentum: 0.9}
	out := back(c.add(op, append([]*graph.Value{x}, rest...)...))
	return append(out, c.in[3], c.in[4]), nil
}

// biasAdd adds along the last axis, or along the second if channels come first.
func biasAdd(c *call) ([]value, error) {
	in, err := c.values(0, 2)
	if err != nil {
		return nil, err
	}
	if c.stringAttr("data_format", "NHWC") == "NCHW" {
		if in[0].Rank() < 2 {
			return nil, errors.New("the rank of its input is not known")
		}
		axes := make([]int64, in[0].Rank()-2)
		for i := range axes {
			axes[i] = int64(i + 1)
		}
		if len(axes) > 0 {
			in[1] = c.add(ops.Unsqueeze{}, in[1], c.b.ints(axes...))
		}
	}
	if v, ok := c.biased(in[0], in[1]); ok {
		return one(v), nil
	}
	return one(c.add(ops.Add{}, in...)), nil
}

func resize(c *call) ([]value, error) {
	x, back, err := c.image(0)
	if err != nil {
		return nil, err
	}
	size, err := c.wide(1)
	if err != nil {
		return nil, err
	}
	op := ops.Resize{
		Axes: []int{2, 3}, Mode: "linear", CoordinateTransformationMode: "asymmetric", CubicCoeffA: -0.75,
		KeepAspectRatioPolicy: "stretch", NearestMode: "floor",
	}
	if c.n.Op == "ResizeNearestNeighbor" {
		op.Mode = "nearest"
	} else if x.DType != tensor.Float32 {
		x = c.cast(x, tensor.Float32)
	}
	switch {
	case c.boolAttr("align_corners", false):
		op.CoordinateTransformationMode, op.NearestMode = "align_corners", "round_prefer_ceil"
	case c.boolAttr("half_pixel_centers", false) && op.Mode == "nearest":
		op.CoordinateTransformationMode = "tf_half_pixel_for_nn"
	case c.boolAttr("half_pixel_centers", false):
		op.CoordinateTransformationMode = "half_pixel"
	}
	return back(c.add(op, x, nil, nil, size)), nil
}

func depthSpace(c *call) ([]value, error) {
	x, back, err := c.image(0)
	if err != nil {
		return nil, err
	}
	n := c.intAttr("block_size", 1)
	if c.n.Op == "SpaceToDepth" {
		return back(c.add(ops.SpaceToDepth{BlockSize: n}, x)), nil
	}
	return back(c.add(ops.DepthToSpace{BlockSize: n, Mode: "DCR"}, x)), nil
}
