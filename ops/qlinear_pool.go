package ops

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("com.microsoft", 1, QLinearGlobalAveragePool{}, QLinearAveragePool{}) }

// QLinearGlobalAveragePool is GlobalAveragePool on 8-bit integers. Inputs: x [N,C,spatial…] ([N,spatial…,C] if
// ChannelsLast), its scale and zero point, the result's scale and zero point. The exact sum of x less its zero point
// becomes roundeven(float32(sum)·(x_scale/(y_scale·count))) + y_zero_point, clamped. In fixed point it is the mean of the
// integers, rounded half away from zero.
type QLinearGlobalAveragePool struct {
	ChannelsLast bool `attr:"channels_last"`
	Requantized
}

// QLinearAveragePool is AveragePool on 8-bit integers: dequantized elements are added and divided in float32, and
// the mean becomes roundeven(mean/y_scale + y_zero_point), clamped: the zero point is added before rounding. With
// CountIncludePad the divisor is the kernel's size everywhere, also where CeilMode lets a window reach beyond the
// padding. Inputs are QLinearGlobalAveragePool's.
type QLinearAveragePool struct {
	AutoPad         string `attr:"auto_pad" default:"NOTSET"`
	CeilMode        bool   `attr:"ceil_mode"`
	ChannelsLast    bool   `attr:"channels_last"`
	CountIncludePad bool   `attr:"count_include_pad"`
	KernelShape     []int  `attr:"kernel_shape" required:"true"`
	Pads            []int  `attr:"pads"`
	Strides         []int  `attr:"strides"`
	Requantized
}

// fixedPool checks that x and y have the same parameters, as TensorFlow Lite demands of a pool.
func (r Requantized) fixedPool(x, y linear) error {
	if r.fixed() && (x.scale != y.scale || x.zero != y.zero) {
		return errors.New("a fixed-point average needs the parameters of its input at its result")
	}
	return r.checkRequant()
}

// fixedMean is a sum of n integers over n, rounded half away from zero.
func fixedMean(sum int64, n int) int64 {
	half := int64(n / 2)
	if sum < 0 {
		half = -half
	}
	return (sum + half) / int64(max(n, 1))
}

// channelsFirst is shape with the last dimension moved after the first.
func channelsFirst[T any](shape []T) []T {
	if len(shape) < 2 {
		return shape
	}
	n := len(shape) - 1
	return append([]T{shape[0], shape[n]}, shape[1:n]...)
}

// channelsLast undoes channelsFirst.
func channelsLast[T any](shape []T) []T {
	if len(shape) < 2 {
		return shape
	}
	return append(append([]T{shape[0]}, shape[2:]...), shape[1])
}

// nchw gives integers of shape [N,spatial…,C] in the order [N,C,spatial…], and back if the shape is that of
// [N,C,spatial…] and back is set.
func nchw(v []int64, shape []int, back bool) []int64 {
	if len(shape) < 2 {
		return v
	}
	rows, cols := tensor.Size(shape[1:len(shape)-1]), shape[len(shape)-1]
	if back {
		rows, cols = shape[1], tensor.Size(shape[2:])
	}
	out := make([]int64, 0, len(v))
	for n := range shape[0] {
		out = append(out, transpose(v[n*rows*cols:(n+1)*rows*cols], rows, cols)...)
	}
	return out
}

func wantQLinear(in []graph.Fact) error {
	if err := want(in, 2, 5); err != nil {
		return err
	}
	if len(in) < 4 || !in[3].Given() {
		return fmt.Errorf("the result's scale is missing")
	}
	return nil
}

// Infer gives [N,C,1…] or [N,1…,C].
func (p QLinearGlobalAveragePool) Infer(in []graph.Fact, outs int) ([]graph.Type, error) {
	if err := wantQLinear(in); err != nil {
		return nil, err
	}
	x := in[0].Type
	if p.ChannelsLast && !x.Unranked {
		x.Shape = channelsFirst(x.Shape)
	}
	t, err := globalPool{}.Infer([]graph.Fact{{Type: x}}, outs)
	if err == nil && p.ChannelsLast && !x.Unranked {
		t[0].Shape = channelsLast(t[0].Shape)
	}
	return t, err
}

// Run computes what ONNX Runtime does.
func (p QLinearGlobalAveragePool) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	xp, err := newLinear(in[0].DType, in[1], in[2])
	if err != nil {
		return err
	}
	yp, err := newLinear(in[0].DType, in[3], optional(in, 4))
	if err != nil {
		return err
	}
	if err := p.fixedPool(xp, yp); err != nil {
		return err
	}
	shape, v := in[0].Shape, tensor.Ints(in[0])
	if len(shape) < 2 {
		return fmt.Errorf("input %v: want rank 2 or more", shape)
	}
	if p.ChannelsLast {
		v, shape = nchw(v, shape, false), channelsFirst(shape)
	}
	size := tensor.Size(shape[2:])
	r := make([]int64, tensor.Size(shape[:2]))
	scale := xp.scale / float32(yp.scale*float32(size))
	for i := range r {
		sum := int64(0)
		for _, e := range v[i*size : (i+1)*size] {
			sum += e - xp.zero
		}
		if p.fixed() {
			r[i] = fixedMean(sum+xp.zero*int64(size), size)
			continue
		}
		r[i] = saturate(float32(float32(int32(sum))*scale), yp.zero, yp.lo, yp.hi)
	}
	result := slices.Clone(shape)
	for i := range result[2:] {
		result[2+i] = 1
	}
	if p.ChannelsLast {
		result = channelsLast(result)
	}
	return tensor.SetInts(x.Make(out[0], in[0].DType, result...), r)
}

func (p QLinearAveragePool) spatial() spatial {
	return spatial{autoPad: p.AutoPad, kernel: p.KernelShape, strides: p.Strides, pads: p.Pads, ceil: p.CeilMode}
}

// Window resolves the geometry for the full shape [N,C,spatial…].
func (p QLinearAveragePool) Window(x []int) (Window, error) { return p.spatial().pool(x) }

// Infer gives [N,C,spatial…] or [N,spatial…,C].
func (p QLinearAveragePool) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := wantQLinear(in); err != nil {
		return nil, err
	}
	x := in[0].Type
	if p.ChannelsLast && !x.Unranked {
		x.Shape = channelsFirst(x.Shape)
	}
	t, err := p.spatial().inferPool([]graph.Fact{{Type: x}})
	if err == nil && p.ChannelsLast {
		t.Shape = channelsLast(t.Shape)
	}
	return []graph.Type{t}, err
}

// Run computes what ONNX Runtime does.
func (p QLinearAveragePool) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	xp, err := newLinear(in[0].DType, in[1], in[2])
	if err != nil {
		return err
	}
	yp, err := newLinear(in[0].DType, in[3], optional(in, 4))
	if err != nil {
		return err
	}
	if err := p.fixedPool(xp, yp); err != nil {
		return err
	}
	shape, v := in[0].Shape, tensor.Ints(in[0])
	if p.ChannelsLast {
		v, shape = nchw(v, shape, false), channelsFirst(shape)
	}
	w, err := p.Window(shape)
	if err != nil {
		return err
	}
	result := append(append([]int{}, shape[:2]...), w.Out...)
	r := make([]int64, tensor.Size(result))
	inSize, outSize := tensor.Size(w.In), tensor.Size(w.Out)
	w.taps(func(o int, taps []cell, _ int) {
		n := len(taps)
		if p.CountIncludePad {
			n = tensor.Size(w.Kernel)
		}
		for nc := range len(r) / max(outSize, 1) {
			if p.fixed() {
				var sum int64
				for _, t := range taps {
					sum += v[nc*inSize+t.in]
				}
				r[nc*outSize+o] = fixedMean(sum, n)
				continue
			}
			var sum float32
			for _, t := range taps {
				sum += xp.real(v[nc*inSize+t.in])
			}
			mean := sum / float32(max(n, 1))
			r[nc*outSize+o] = yp.clamp(float32(mean/yp.scale) + float32(yp.zero))
		}
	})
	if p.ChannelsLast {
		r, result = nchw(r, result, true), channelsLast(result)
	}
	return tensor.SetInts(x.Make(out[0], in[0].DType, result...), r)
}

// Cost counts one addition for each input element.
func (QLinearGlobalAveragePool) Cost(in, out []graph.Type) graph.Cost {
	return globalPool{}.Cost(in, out)
}

// Cost counts one addition for each element of a window.
func (p QLinearAveragePool) Cost(_, out []graph.Type) graph.Cost {
	return poolCost(p.KernelShape, out[0])
}
