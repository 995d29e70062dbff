package ops

import (
	"fmt"
	"math"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	graph.Register("", 11, DynamicQuantizeLinear{})
	graph.Register("tfsopt", 1, DynamicQuantizeRows{})
}

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

// Permute reorders x and its integers; their parameters are scalars.
func (DynamicQuantizeLinear) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	p, ok := alike(in, outs, 1, order)
	for i := 1; i < len(p.Out); i++ {
		p.Out[i] = nil
	}
	return p, ok
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

// DynamicQuantizeRows is DynamicQuantizeLinear for each row of x [...,K] by itself: outputs y [...,K], and scale and zero
// point of each row [...,1], as MatMulInteger takes them. What one sample of a batch holds then leaves the others alone.
type DynamicQuantizeRows struct{}

// Infer gives x's shape as uint8, and the shape of one number a row twice.
func (DynamicQuantizeRows) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	types, err := DynamicQuantizeLinear{}.Infer(in, 3)
	if err != nil {
		return nil, err
	}
	row := in[0].Type
	if !row.Unranked {
		if len(row.Shape) == 0 {
			return nil, fmt.Errorf("a scalar has no rows")
		}
		row.Shape = append(slices.Clone(row.Shape[:len(row.Shape)-1]), graph.Fixed(1))
	}
	for i, d := range []tensor.DType{tensor.Float32, tensor.Uint8} {
		types[1+i] = row
		types[1+i].DType = d
	}
	return types, nil
}

// Run computes in float32.
func (DynamicQuantizeRows) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	shape := in[0].Shape
	if len(shape) == 0 {
		return fmt.Errorf("a scalar has no rows")
	}
	k := shape[len(shape)-1]
	params := append(slices.Clone(shape[:len(shape)-1]), 1)
	n := tensor.Size(params)
	v, ints, scales, zeros := tensor.Floats(in[0]), make([]uint8, 0, n*k), make([]float32, n), make([]uint8, n)
	for r := range n {
		var q []uint8
		q, scales[r], zeros[r] = dynamicUint8(v[r*k : (r+1)*k])
		ints = append(ints, q...)
	}
	for i, t := range []*tensor.Tensor{tensor.From(ints, shape...), tensor.From(scales, params...), tensor.From(zeros, params...)} {
		if i < len(out) && out[i] != nil {
			copy(x.Make(out[i], t.DType, t.Shape...).Data, t.Data)
		}
	}
	return nil
}
