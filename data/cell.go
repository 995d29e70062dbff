package data

import (
	"errors"
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/tensor"
)

// cell is how one number is stored in a model's input.
type cell struct {
	dtype tensor.DType
	scale float64 // 0: not quantized, integers are rounded and clamped
	zero  int
}

// newCell decides the element type: what the preprocessing or the model says, else float32. Data of the type `from` that is not
// normalised goes into a quantized input of the same type as it is.
func newCell(p Preprocess, in Input, from tensor.DType) (cell, error) {
	c := cell{dtype: in.DType, scale: in.Scale, zero: in.Zero}
	if p.DType != tensor.Undefined {
		if in.DType != tensor.Undefined && in.DType != p.DType {
			return c, fmt.Errorf("preprocess: dtype=%s, but the model's input %q is %s", p.DType, in.Name, in.DType)
		}
		c.dtype = p.DType
	}
	if c.dtype == tensor.Undefined {
		c.dtype = tensor.Float32
	}
	if c.dtype == from && !p.normalises() {
		c.scale = 0
	}
	return c, nil
}

// store writes real numbers into t: floats are rounded to nearest even, integers likewise and clamped to their range,
// after (q - zero) * scale = x is solved for q if they are quantized.
func store[T float32 | float64](t *tensor.Tensor, v []T, c cell) error {
	if !t.DType.IsInt() {
		wide := make([]float64, len(v))
		for i, x := range v {
			wide[i] = float64(x)
		}
		return tensor.SetFloat64s(t, wide)
	}
	lo, hi := limits(t.DType)
	ints := make([]int64, len(v))
	for i, x := range v {
		q := float64(x)
		if c.scale != 0 {
			q = math.RoundToEven(float64(float32(q)/float32(c.scale))) + float64(c.zero)
		}
		switch q = math.RoundToEven(q); {
		case q <= float64(lo):
			ints[i] = lo
		case q >= float64(hi):
			ints[i] = hi
		default:
			ints[i] = int64(q)
		}
	}
	return tensor.SetInts(t, ints)
}

// limits is the range of an integer type, as far as int64 holds it.
func limits(d tensor.DType) (lo, hi int64) {
	bits := min(d.Bits(), 64)
	if d.IsSigned() {
		return -1 << (bits - 1), 1<<(bits-1) - 1
	}
	if bits == 64 {
		return 0, math.MaxInt64
	}
	return 0, 1<<bits - 1
}

// As gives t as elements of type d: itself if it has that type; the bit patterns that .npy files hold for types that
// NumPy lacks (uint16 for bfloat16, uint8 for 8-bit floats, one byte an element for 4 and 2 bits); else the same
// numbers if all of them fit, floats being rounded to nearest even.
func As(t *tensor.Tensor, d tensor.DType) (*tensor.Tensor, error) {
	if t.DType == d || d == tensor.Undefined {
		return t, nil
	}
	if u, ok := fromBits(t, d); ok {
		return u, nil
	}
	out := tensor.New(d, t.Shape...)
	integral := func(d tensor.DType) bool { return d.IsInt() || d == tensor.Bool }
	switch {
	case integral(t.DType) && integral(d):
		return out, narrow(out, t)
	case (integral(t.DType) || t.DType.IsFloat()) && d.IsFloat():
		return out, tensor.SetFloat64s(out, tensor.Float64s(t))
	}
	return nil, fmt.Errorf("%s cannot be taken as %s", t.DType, d)
}

// fromBits wraps bit patterns; 4- and 2-bit types are packed from the low bits of bytes.
func fromBits(t *tensor.Tensor, d tensor.DType) (*tensor.Tensor, bool) {
	bytes := t.DType == tensor.Uint8 || t.DType == tensor.Int8 && d.IsInt()
	switch {
	case d.Bits() < 8 && d.Bits() > 0 && bytes:
		lo, hi := limits(d)
		out := tensor.New(d, t.Shape...)
		for i, b := range t.Data {
			v := int64(b)
			if t.DType == tensor.Int8 {
				v = int64(int8(b))
			}
			if v < lo || v > hi && v >= 1<<d.Bits() {
				return nil, false
			}
			tensor.SetBits(out.Data, i, d.Bits(), b)
		}
		return out, true
	case t.DType == tensor.Uint16 && d == tensor.BFloat16, t.DType == tensor.Uint8 && d.IsFloat() && d.Bits() == 8:
		return &tensor.Tensor{DType: d, Shape: t.Shape, Data: t.Data}, true
	}
	return nil, false
}

// narrow copies integers, failing at the first that does not fit.
func narrow(dst, src *tensor.Tensor) error {
	v := tensor.Ints(src)
	lo, hi := limits(dst.DType)
	if dst.DType == tensor.Bool {
		lo, hi = 0, 1
	}
	for i, x := range v {
		if src.DType == tensor.Uint64 && x < 0 {
			return fmt.Errorf("element %d, %d, does not fit %s", i, uint64(x), dst.DType)
		}
		if x < lo || x > hi {
			return fmt.Errorf("element %d, %d, does not fit %s", i, x, dst.DType)
		}
	}
	return tensor.SetInts(dst, v)
}

var errNotFinite = errors.New("a value is not finite")

// finite fails at the first NaN or infinity of a float tensor.
func finite(t *tensor.Tensor) error {
	if !t.DType.IsFloat() {
		return nil
	}
	for i, x := range tensor.Float64s(t) {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Errorf("%w: element %d is %v", errNotFinite, i, x)
		}
	}
	return nil
}
