package ops

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	graph.Register("", 9, Cast{})
	graph.Register("", 15, CastLike{})
	graph.Register("", 26, BitCast{})
}

// Cast converts elements to the type To, a tensor.DType. Saturate and RoundMode concern 8-bit floats alone.
type Cast struct {
	RoundMode string `attr:"round_mode" default:"up"`
	Saturate  bool   `attr:"saturate" default:"1"`
	To        int    `attr:"to" required:"true"`
}

// Infer gives the input's shape with the new element type.
func (o Cast) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 1, 1); err != nil {
		return nil, err
	}
	return retyped(in[0].Type, o.To)
}

// retyped gives t another element type, which a file named by its number.
func retyped(t graph.Type, to int) ([]graph.Type, error) {
	d := tensor.DType(to)
	if to != int(d) || !d.Valid() || d == tensor.Sequence || d == tensor.Optional {
		return nil, fmt.Errorf("%d is not an element type", to)
	}
	t.DType = d
	return []graph.Type{t}, nil
}

// Ints gives the input's elements if the result is an integer that can hold them.
func (o Cast) Ints(in []graph.Fact) []graph.Dim {
	if d := tensor.DType(o.To); d != tensor.Int64 && d != tensor.Int32 {
		return nil
	}
	elems := elementsOf(in, 0)
	if o.To == int(tensor.Int32) && !fits32(elems) {
		return nil
	}
	return elems
}

func (o Cast) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	if _, err := retyped(graph.Type{}, o.To); err != nil {
		return err
	}
	return conversion{o.Saturate, o.RoundMode}.run(x.Make(out[0], tensor.DType(o.To), in[0].Shape...), in[0])
}

// Permute reorders data and result alike.
func (Cast) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, 1, order)
}

// Forwards holds of a cast to the same type.
func (o Cast) Forwards(in, _ []graph.Fact) (int, bool) { return 0, in[0].DType == tensor.DType(o.To) }

// Links ties each axis of the result with those of the inputs.
func (Cast) Links(in, out []graph.Fact) []graph.Link { return pointwise(in, out) }

// CastLike converts elements to the type of input 1.
type CastLike struct {
	RoundMode string `attr:"round_mode" default:"up"`
	Saturate  bool   `attr:"saturate" default:"1"`
}

// Infer gives the shape of input 0 with the element type of input 1.
func (CastLike) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 2); err != nil {
		return nil, err
	}
	t := in[0].Type
	t.DType = in[1].DType
	return []graph.Type{t}, nil
}

func (o CastLike) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return conversion{o.Saturate, o.RoundMode}.run(x.Make(out[0], in[1].DType, in[0].Shape...), in[0])
}

// Forwards holds of a cast to the same type.
func (CastLike) Forwards(in, _ []graph.Fact) (int, bool) {
	return 0, in[0].DType != tensor.Undefined && in[0].DType == in[1].DType
}

// BitCast shows the bits of each element as the type To, which must be as wide.
type BitCast struct {
	To int `attr:"to" required:"true"`
}

// Infer gives the input's shape with the new element type.
func (o BitCast) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 1, 1); err != nil {
		return nil, err
	}
	t, err := retyped(in[0].Type, o.To)
	if err == nil && (in[0].DType.Bits() != t[0].DType.Bits() || t[0].DType.Bits() == 0) {
		err = fmt.Errorf("%s and %s differ in width", in[0].DType, t[0].DType)
	}
	return t, err
}

func (o BitCast) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	if _, err := o.Infer([]graph.Fact{graph.FactOf(in[0])}, 1); err != nil {
		return err
	}
	r := x.Make(out[0], tensor.DType(o.To), in[0].Shape...)
	if r.DType == tensor.Bool {
		for i, v := range in[0].Data {
			r.Data[i] = min(v, 1)
		}
		return nil
	}
	copy(r.Data, in[0].Data)
	return nil
}

// conversion is what Cast and CastLike do.
type conversion struct {
	saturate bool
	round    string
}

// run fills dst, whose type is the target, from src.
func (c conversion) run(dst, src *tensor.Tensor) error {
	switch {
	case src.DType == dst.DType && src.DType == tensor.String:
		copy(dst.Strings, src.Strings)
	case src.DType == dst.DType:
		copy(dst.Data, src.Data)
	case src.DType == tensor.String:
		return c.parse(dst, src)
	case dst.DType == tensor.String:
		return printNumbers(dst, src)
	case src.DType == tensor.Uint64:
		return c.fromUint64(dst, src)
	case src.IsInt() || src.DType == tensor.Bool:
		return c.fromInts(dst, tensor.Ints(src))
	case src.IsFloat():
		return c.fromFloats(dst, tensor.Float64s(src))
	default:
		return fmt.Errorf("no conversion from %s to %s", src.DType, dst.DType)
	}
	return nil
}

func (c conversion) fromInts(dst *tensor.Tensor, v []int64) error {
	if dst.IsFloat() && dst.Bits() < 32 {
		return c.narrow(dst, mapSlice(v, func(v int64) float64 { return float64(v) }))
	}
	if dst.DType == tensor.Uint64 {
		return setUints(dst, mapSlice(v, func(v int64) uint64 { return uint64(v) }))
	}
	return tensor.SetInts(dst, v)
}

func (c conversion) fromUint64(dst, src *tensor.Tensor) error {
	v := tensor.View[uint64](src)
	switch {
	case dst.DType == tensor.Float32:
		return tensor.SetFloats(dst, mapSlice(v, func(v uint64) float32 { return float32(v) }))
	case dst.IsFloat():
		return c.fromFloats(dst, mapSlice(v, func(v uint64) float64 { return float64(v) }))
	}
	return tensor.SetInts(dst, mapSlice(v, func(v uint64) int64 { return int64(v) }))
}

func (c conversion) fromFloats(dst *tensor.Tensor, v []float64) error {
	switch {
	case dst.IsFloat() && dst.Bits() < 32:
		return c.narrow(dst, v)
	case dst.IsFloat() || dst.DType == tensor.Bool:
		return tensor.SetFloat64s(dst, v)
	case dst.DType == tensor.Uint64:
		return setUints(dst, mapSlice(v, truncateUnsigned))
	case dst.DType == tensor.Int64 || dst.DType == tensor.Uint32:
		return tensor.SetInts(dst, mapSlice(v, func(v float64) int64 { return truncate(v, math.MinInt64) }))
	case dst.IsInt():
		return tensor.SetInts(dst, mapSlice(v, func(v float64) int64 { return truncate(v, math.MinInt32) }))
	}
	return fmt.Errorf("no conversion from float to %s", dst.DType)
}

// truncate rounds toward zero. What the standard leaves undefined gets least, the smallest integer of 32 or 64 bits, as
// on x86, so that every CPU gives the same.
func truncate(v float64, least int64) int64 {
	if v > float64(least)-1 && v < -float64(least) {
		return int64(v)
	}
	return least
}

func truncateUnsigned(v float64) uint64 {
	if v >= 1<<63 && v < 1<<64 {
		return uint64(v)
	}
	return uint64(truncate(v, math.MinInt64))
}
