package ops

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 13, DequantizeLinear{}) }

// DequantizeLinear is (x - zero point) · scale in the scale's type, or in OutputDType. Scales and zero points are laid
// out as for QuantizeLinear.
type DequantizeLinear struct {
	Axis        int `attr:"axis" default:"1"`
	BlockSize   int `attr:"block_size"`
	OutputDType int `attr:"output_dtype"`
}

// Infer gives x's shape with the real type.
func (q DequantizeLinear) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 3); err != nil {
		return nil, err
	}
	if s, ok := in[0].Fixed(); ok {
		if p, ok := in[1].Fixed(); ok {
			if _, err := newBlocks(s, p, q.Axis, q.BlockSize); err != nil {
				return nil, err
			}
		}
	}
	d, err := q.outType(in[1].DType)
	t := in[0].Type
	t.DType = d
	return []graph.Type{t}, err
}

func (q DequantizeLinear) outType(scale tensor.DType) (tensor.DType, error) {
	d := scale
	if q.OutputDType != 0 {
		d = tensor.DType(q.OutputDType)
	}
	if q.OutputDType < 0 || q.OutputDType > 255 || !d.IsFloat() {
		return 0, fmt.Errorf("cannot dequantize to %s", d)
	}
	return d, nil
}

// Run subtracts in int32 and multiplies in float32, as ONNX Runtime does, and rounds to the result's type.
func (q DequantizeLinear) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	d, err := q.outType(in[1].DType)
	if err != nil {
		return err
	}
	at, err := newBlocks(in[0].Shape, in[1].Shape, q.Axis, q.BlockSize)
	if err != nil {
		return err
	}
	zp := optional(in, 2)
	if zp != nil && zp.Len() != in[1].Len() {
		return fmt.Errorf("%d zero points for %d scales", zp.Len(), in[1].Len())
	}
	scale := tensor.Floats(in[1])
	r := make([]float32, in[0].Len())
	if in[0].IsInt() {
		zeros := make([]int64, len(scale))
		if zp != nil {
			zeros = tensor.Ints(zp)
		}
		for i, e := range tensor.Ints(in[0]) {
			k := at.index(i)
			r[i] = float32(int32(e-zeros[k])) * scale[k]
		}
	} else {
		v := tensor.Floats(in[0])
		if len(v) != len(r) {
			return fmt.Errorf("cannot dequantize %s", in[0].DType)
		}
		for i, e := range v {
			r[i] = e * scale[at.index(i)]
		}
	}
	return tensor.SetFloats(x.Make(out[0], d, in[0].Shape...), r)
}

// Links ties x with the result, and the axis that has scales with them.
func (q DequantizeLinear) Links(in, out []graph.Fact) []graph.Link {
	return quantizedAxes(in, out, q.Axis, q.BlockSize)
}

// Permute moves the axis of the scales along.
func (q DequantizeLinear) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	p, to, ok := scaleAxis(in, outs, q.Axis, order)
	q.Axis = to
	p.Op = q
	return p, ok && q.BlockSize == 0
}
