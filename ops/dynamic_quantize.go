package ops

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 11, DynamicQuantizeLinear{}) }

// DynamicQuantizeLinear quantizes float32 x to uint8 with the parameters that x's own range, widened to hold 0, gives:
// outputs y, scale = (max-min)/255 and zero point = clamp(roundeven(-min/scale)), in float32. NaN is left out of the range
// and becomes 0.
type DynamicQuantizeLinear struct{}

// Infer gives x's shape as uint8, a float32 scalar and a uint8 scalar.
func (DynamicQuantizeLinear) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 1, 1); err != nil {
		return nil, err
	}
	if in[0].DType != tensor.Float32 {
		return nil, fmt.Errorf("want float32, got %s", in[0].DType)
	}
	y := in[0].Type
	y.DType = tensor.Uint8
	return []graph.Type{y, graph.Of(tensor.Float32), graph.Of(tensor.Uint8)}, nil
}

// Run computes in float32.
func (DynamicQuantizeLinear) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	q, scale, zero := dynamicUint8(tensor.Floats(in[0]))
	for i, d := range []tensor.DType{tensor.Uint8, tensor.Float32, tensor.Uint8} {
		if i >= len(out) || out[i] == nil {
			continue
		}
		switch i {
		case 0:
			copy(x.Make(out[0], d, in[0].Shape...).Data, q)
		case 1:
			tensor.View[float32](x.Make(out[1], d))[0] = scale
		case 2:
			x.Make(out[2], d).Data[0] = zero
		}
	}
	return nil
}

// Params gives scale and zero point for a range that need not hold 0.
func (DynamicQuantizeLinear) Params(lo, hi float32) (scale float32, zero uint8) {
	lo, hi = min(lo, 0), max(hi, 0)
	scale = 1
	if lo != hi {
		scale = (hi - lo) / 255
	}
	return scale, uint8(saturate(float32(0-lo/scale), 0, 0, math.MaxUint8))
}

// dynamicUint8 quantizes v over its own range.
func dynamicUint8(v []float32) (q []uint8, scale float32, zero uint8) {
	var lo, hi float32
	for _, e := range v {
		if e == e { // not NaN
			lo, hi = min(lo, e), max(hi, e)
		}
	}
	scale, zero = DynamicQuantizeLinear{}.Params(lo, hi)
	q = make([]uint8, len(v))
	for i, e := range v {
		q[i] = uint8(saturate(e/scale, int64(zero), 0, math.MaxUint8))
	}
	return q, scale, zero
}
