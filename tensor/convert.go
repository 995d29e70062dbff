package tensor

import (
	"math"

	"github.com/x448/float16"
)

// Floats gives the elements as float32, rounding to nearest even where float32 is narrower. It aliases the data of an
// aligned Float32 tensor, else it is a copy. Bool gives 0 and 1; strings and complex numbers give nil.
func Floats(t *Tensor) []float32 {
	if t.DType == Float32 {
		return View[float32](t)
	}
	return widen[float32](t)
}

// Float64s gives the elements as float64, exactly for every type but 64-bit integers. See Floats.
func Float64s(t *Tensor) []float64 {
	if t.DType == Float64 {
		return View[float64](t)
	}
	return widen[float64](t)
}

// Ints gives the elements as int64, truncating floats toward zero. See Floats.
func Ints(t *Tensor) []int64 {
	if t.DType == Int64 {
		return View[int64](t)
	}
	return widen[int64](t)
}

type number interface{ ~float32 | ~float64 | ~int64 }

func widen[T number](t *Tensor) []T {
	switch t.DType {
	case Float32:
		return each[T](View[float32](t))
	case Float64:
		return each[T](View[float64](t))
	case Int8:
		return each[T](View[int8](t))
	case Int16:
		return each[T](View[int16](t))
	case Int32:
		return each[T](View[int32](t))
	case Int64:
		return each[T](View[int64](t))
	case Uint8, Bool:
		return each[T](View[uint8](t))
	case Uint16:
		return each[T](View[uint16](t))
	case Uint32:
		return each[T](View[uint32](t))
	case Uint64:
		return each[T](View[uint64](t))
	}
	load, ok := small[t.DType]
	if !ok {
		return nil
	}
	out := make([]T, t.Len())
	for i := range out {
		out[i] = T(load(t.Data, i))
	}
	return out
}

func each[T, S interface {
	~float32 | ~float64 | ~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64
}](s []S) []T {
	out := make([]T, len(s))
	for i, v := range s {
		out[i] = T(v)
	}
	return out
}

// small reads element i of the types that Go has no word for; each value is exact in float32.
var small = map[DType]func(b []byte, i int) float32{
	Float16:        func(b []byte, i int) float32 { return float16.Frombits(u16(b, i)).Float32() },
	BFloat16:       func(b []byte, i int) float32 { return math.Float32frombits(uint32(u16(b, i)) << 16) },
	Float8E4M3FN:   func(b []byte, i int) float32 { return float8(b[i], e4m3fn) },
	Float8E4M3FNUZ: func(b []byte, i int) float32 { return float8(b[i], e4m3fnuz) },
	Float8E5M2:     func(b []byte, i int) float32 { return float8(b[i], e5m2) },
	Float8E5M2FNUZ: func(b []byte, i int) float32 { return float8(b[i], e5m2fnuz) },
	Float8E8M0:     func(b []byte, i int) float32 { return float8e8m0(b[i]) },
	Float4E2M1:     func(b []byte, i int) float32 { return float4[bits(b, i, 4)] },
	Uint4:          func(b []byte, i int) float32 { return float32(bits(b, i, 4)) },
	Int4:           func(b []byte, i int) float32 { return float32(int8(bits(b, i, 4)<<4) >> 4) },
	Uint2:          func(b []byte, i int) float32 { return float32(bits(b, i, 2)) },
	Int2:           func(b []byte, i int) float32 { return float32(int8(bits(b, i, 2)<<6) >> 6) },
}

func u16(b []byte, i int) uint16 { return uint16(b[2*i]) | uint16(b[2*i+1])<<8 }

func bits(b []byte, i, width int) byte {
	per := 8 / width
	return b[i/per] >> (i % per * width) & (1<<width - 1)
}

// SetBits stores the low `width` bits (2 or 4) of v as element i of packed data.
func SetBits(b []byte, i, width int, v byte) {
	per := 8 / width
	shift, mask := i%per*width, byte(1<<width-1)
	b[i/per] = b[i/per]&^(mask<<shift) | (v&mask)<<shift
}

type f8 struct {
	mant, bias int
	fnuz       bool // no infinity, no negative zero, 0x80 is NaN
	inf        bool // the highest exponent is infinity and NaN, as in IEEE 754
}

var (
	e4m3fn   = f8{mant: 3, bias: 7}
	e4m3fnuz = f8{mant: 3, bias: 8, fnuz: true}
	e5m2     = f8{mant: 2, bias: 15, inf: true}
	e5m2fnuz = f8{mant: 2, bias: 16, fnuz: true}
)

// float8 decodes the formats of "FP8 Formats for Deep Learning" (arXiv 2209.05433) and their FNUZ forms.
func float8(b byte, f f8) float32 {
	nan := float32(math.NaN())
	exp, man := int(b&0x7f)>>f.mant, int(b)&(1<<f.mant-1)
	top := 1<<(7-f.mant) - 1
	switch {
	case f.fnuz && b == 0x80:
		return nan
	case f.inf && exp == top && man == 0:
		return float32(math.Inf(1 - int(b>>7)*2))
	case f.inf && exp == top, !f.inf && !f.fnuz && b&0x7f == 0x7f:
		return nan
	}
	v := math.Ldexp(float64(man), 1-f.bias-f.mant)
	if exp > 0 {
		v = math.Ldexp(float64(man+1<<f.mant), exp-f.bias-f.mant)
	}
	if b&0x80 != 0 {
		v = -v
		if v == 0 {
			return float32(math.Copysign(0, -1))
		}
	}
	return float32(v)
}

func float8e8m0(b byte) float32 {
	if b == 0xff {
		return float32(math.NaN())
	}
	return float32(math.Ldexp(1, int(b)-127))
}

var float4 = [16]float32{0, 0.5, 1, 1.5, 2, 3, 4, 6, float32(math.Copysign(0, -1)), -0.5, -1, -1.5, -2, -3, -4, -6}
