package ops

import (
	"errors"
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 13, QuantizeLinear{}) }

// QuantizeLinear is y = saturate(roundeven(x / scale) + zero point): inputs x, scale and optionally the zero point,
// whose type is the result's (else OutputDType, else uint8). A scale of rank 0 or one element serves the whole tensor, one
// of rank 1 gives a number for each index of Axis, one of x's rank a number for each BlockSize elements along Axis. 8-
// and 4-bit floats are rounded to nearest even instead of to integers and have no zero point; Saturate says whether
// 8-bit floats saturate or overflow.
type QuantizeLinear struct {
	Axis        int  `attr:"axis" default:"1"`
	BlockSize   int  `attr:"block_size"`
	OutputDType int  `attr:"output_dtype"`
	Precision   int  `attr:"precision"`
	Saturate    bool `attr:"saturate" default:"1"`
	Requantized      // of the operator before it, if that computes in integers
}

// Infer gives x's shape with the quantized type.
func (q QuantizeLinear) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := errors.Join(want(in, 2, 3), q.checkRequant()); err != nil {
		return nil, err
	}
	var zero tensor.DType
	if len(in) > 2 {
		zero = in[2].DType
	}
	d, err := q.outType(zero)
	if err != nil {
		return nil, err
	}
	if s, ok := in[0].Fixed(); ok {
		if p, ok := in[1].Fixed(); ok {
			if _, err := newBlocks(s, p, q.Axis, q.BlockSize); err != nil {
				return nil, err
			}
		}
	}
	t := in[0].Type
	t.DType = d
	return []graph.Type{t}, nil
}

func (q QuantizeLinear) outType(zero tensor.DType) (tensor.DType, error) {
	d := tensor.DType(q.OutputDType)
	switch {
	case q.OutputDType < 0 || q.OutputDType > 255:
		return 0, fmt.Errorf("output_dtype %d is unknown", q.OutputDType)
	case q.OutputDType != 0 && zero != 0 && zero != d:
		return 0, fmt.Errorf("output_dtype is %s, the zero point %s", d, zero)
	case zero != 0:
		d = zero
	case d == 0:
		d = tensor.Uint8
	}
	if _, _, ok := intRange(d); !ok && narrowFloat(d) == 0 {
		return 0, fmt.Errorf("cannot quantize to %s", d)
	}
	return d, nil
}

// narrowFloat reports whether d is a float type to quantize to: its bits, else 0.
func narrowFloat(d tensor.DType) int {
	if d.IsFloat() && d.Bits() <= 8 && d != tensor.Float8E8M0 {
		return d.Bits()
	}
	return 0
}

// intRange gives the bounds of an integer type of at most 32 bits.
func intRange(d tensor.DType) (lo, hi int64, ok bool) {
	bits := d.Bits()
	switch {
	case !d.IsInt() || bits > 32:
		return 0, 0, false
	case d.IsSigned():
		return -1 << (bits - 1), 1<<(bits-1) - 1, true
	}
	return 0, 1<<bits - 1, true
}

// Run divides in float32 and rounds as ONNX Runtime does.
func (q QuantizeLinear) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	zp := optional(in, 2)
	var zero tensor.DType
	if zp != nil {
		zero = zp.DType
	}
	d, err := q.outType(zero)
	if err != nil {
		return err
	}
	at, err := newBlocks(in[0].Shape, in[1].Shape, q.Axis, q.BlockSize)
	if err != nil {
		return err
	}
	if zp != nil && zp.Len() != in[1].Len() {
		return fmt.Errorf("%d zero points for %d scales", zp.Len(), in[1].Len())
	}
	v, scale := tensor.Floats(in[0]), tensor.Floats(in[1])
	if len(v) != in[0].Len() || len(scale) != in[1].Len() {
		return fmt.Errorf("cannot quantize %s by %s", in[0].DType, in[1].DType)
	}
	t := x.Make(out[0], d, in[0].Shape...)
	round := q.rounding()
	if bits := narrowFloat(d); bits != 0 {
		for i, e := range v {
			r := round(e / scale[at.index(i)])
			if bits == 4 {
				tensor.SetBits(t.Data, i, 4, tensor.ToFloat4(r))
			} else {
				t.Data[i] = tensor.ToFloat8(r, d, q.Saturate)
			}
		}
		return nil
	}
	zeros := make([]int64, len(scale))
	if zp != nil {
		zeros = tensor.Ints(zp)
	}
	r := make([]int64, len(v))
	lo, hi, _ := intRange(d)
	for i, e := range v {
		k := at.index(i)
		r[i] = saturate(round(e/scale[k]), zeros[k], lo, hi)
	}
	return tensor.SetInts(t, r)
}

// rounding gives how the quotient is rounded before it becomes an integer: Precision names the type.
func (q QuantizeLinear) rounding() func(float32) float32 {
	d := tensor.DType(q.Precision)
	if d != tensor.Float16 && d != tensor.BFloat16 {
		return func(v float32) float32 { return v }
	}
	one := tensor.New(d, 1)
	return func(v float32) float32 {
		_ = tensor.SetFloats(one, []float32{v})
		return tensor.Floats(one)[0]
	}
}

// Links ties x with the result, and the axis that has scales with them.
func (q QuantizeLinear) Links(in, out []graph.Fact) []graph.Link {
	return quantizedAxes(in, out, q.Axis, q.BlockSize)
}

// Permute moves the axis of the scales along.
func (q QuantizeLinear) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	p, to, ok := scaleAxis(in, outs, q.Axis, order)
	q.Axis = to
	p.Op = q
	return p, ok && q.BlockSize == 0
}

// saturate is roundeven(v) + zero within [lo, hi]. NaN gives the lower bound.
func saturate(v float32, zero, lo, hi int64) int64 {
	r := math.RoundToEven(float64(v)) + float64(zero)
	switch {
	case r >= float64(hi):
		return hi
	case r > float64(lo):
		return int64(r)
	}
	return lo
}

// blocks finds the scale of an element.
type blocks struct {
	inner, size, block, count int // elements after the axis; along it; of it that share a scale; scales along it
	kind                      blockKind
}

type blockKind uint8

const (
	wholeTensor blockKind = iota
	eachIndex
	eachBlock
)

// newBlocks checks the shape of scales against a tensor's shape.
func newBlocks(shape, scale []int, at, block int) (blocks, error) {
	switch {
	case block < 0:
		return blocks{}, fmt.Errorf("block_size %d is negative", block)
	case block == 0 && len(scale) > 1:
		return blocks{}, fmt.Errorf("scales of shape %v: want a scalar, a vector or a block_size", scale)
	case block == 0 && (len(scale) == 0 || scale[0] == 1):
		return blocks{}, nil
	case len(shape) == 0:
		return blocks{}, errors.New("a scalar has no axis for its scales")
	}
	a, err := axis(at, len(shape))
	if err != nil {
		return blocks{}, err
	}
	b := blocks{inner: tensor.Size(shape[a+1:]), size: shape[a], block: 1, kind: eachIndex}
	if block == 0 {
		if scale[0] != shape[a] {
			return b, fmt.Errorf("%d scales for %d indices of axis %d", scale[0], shape[a], a)
		}
		return b, nil
	}
	b.kind, b.block, b.count = eachBlock, block, ceilDiv(shape[a], block)
	wantScale := append([]int{}, shape...)
	wantScale[a] = b.count
	if !sameInts(scale, wantScale) {
		return b, fmt.Errorf("scales of shape %v: want %v for block_size %d", scale, wantScale, block)
	}
	return b, nil
}

// index is the position of element i's scale.
func (b blocks) index(i int) int {
	switch b.kind {
	case eachIndex:
		return i / b.inner % b.size
	case eachBlock:
		row := i / b.inner
		return (row/b.size*b.count+row%b.size/b.block)*b.inner + i%b.inner
	}
	return 0
}
