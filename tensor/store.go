package tensor

import (
	"fmt"
	"math"

	"github.com/x448/float16"
)

// FromFloats makes a tensor of type d from float32 values, rounding to nearest even; integers are truncated toward
// zero and wrap; out-of-range 8-bit floats saturate. It fails for types without a number.
func FromFloats(d DType, v []float32, shape ...int) (*Tensor, error) {
	t := New(d, shape...)
	if t.Len() != len(v) {
		return nil, fmt.Errorf("%d elements for shape %v", len(v), shape)
	}
	return t, SetFloats(t, v)
}

// SetFloats stores float32 values into t, as FromFloats does.
func SetFloats(t *Tensor, v []float32) error { return set(t, v) }

// SetFloat64s stores float64 values into t, as FromFloats does; 16-bit and narrower floats are rounded by way of float32.
func SetFloat64s(t *Tensor, v []float64) error { return set(t, v) }

// SetInts stores int64 values into t, wrapping where the type is narrower.
func SetInts(t *Tensor, v []int64) error { return set(t, v) }

func set[T number](t *Tensor, v []T) error {
	switch t.DType {
	case Float32:
		fill(View[float32](t), v)
	case Float64:
		fill(View[float64](t), v)
	case Int8:
		fillInt(View[int8](t), v)
	case Int16:
		fillInt(View[int16](t), v)
	case Int32:
		fillInt(View[int32](t), v)
	case Int64:
		fillInt(View[int64](t), v)
	case Uint8:
		fillInt(View[uint8](t), v)
	case Uint16:
		fillInt(View[uint16](t), v)
	case Uint32:
		fillInt(View[uint32](t), v)
	case Uint64:
		fillUint64(View[uint64](t), v)
	case Bool:
		b := View[bool](t)
		for i, x := range v {
			b[i] = x != 0
		}
	default:
		return setSmall(t, v)
	}
	return nil
}

func fill[D ~float32 | ~float64, T number](dst []D, v []T) {
	for i, x := range v {
		dst[i] = D(x)
	}
}

func fillInt[D ~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32, T number](dst []D, v []T) {
	for i, x := range v {
		dst[i] = D(int64(x))
	}
}

func fillUint64[T number](dst []uint64, v []T) {
	if ints, ok := any(v).([]int64); ok {
		for i, x := range ints {
			dst[i] = uint64(x)
		}
		return
	}
	for i, x := range v {
		if f := float64(x); f >= 1<<63 {
			dst[i] = uint64(f)
		} else {
			dst[i] = uint64(int64(x))
		}
	}
}

func setSmall[T number](t *Tensor, v []T) error {
	var enc func(x T, i int)
	switch t.DType {
	case Float16:
		enc = func(x T, i int) { put16(t.Data, i, float16.Fromfloat32(float32(x)).Bits()) }
	case BFloat16:
		enc = func(x T, i int) { put16(t.Data, i, ToBFloat16(float32(x))) }
	case Uint4, Int4:
		enc = func(x T, i int) { SetBits(t.Data, i, 4, byte(int64(x))) }
	case Uint2, Int2:
		enc = func(x T, i int) { SetBits(t.Data, i, 2, byte(int64(x))) }
	case Float4E2M1:
		enc = func(x T, i int) { SetBits(t.Data, i, 4, ToFloat4(float32(x))) }
	case Float8E4M3FN, Float8E4M3FNUZ, Float8E5M2, Float8E5M2FNUZ:
		enc = func(x T, i int) { t.Data[i] = ToFloat8(float32(x), t.DType, true) }
	case Float8E8M0:
		enc = func(x T, i int) { t.Data[i] = ToFloat8E8M0(float32(x)) }
	default:
		return fmt.Errorf("cannot store numbers as %s", t.DType)
	}
	for i, x := range v {
		enc(x, i)
	}
	return nil
}

func put16(b []byte, i int, v uint16) { b[2*i], b[2*i+1] = byte(v), byte(v>>8) }

// ToBFloat16 rounds to nearest even; NaN stays a quiet NaN.
func ToBFloat16(x float32) uint16 {
	u := math.Float32bits(x)
	if x != x {
		return uint16(u>>16) | 0x40
	}
	return uint16((u + 0x7fff + u>>16&1) >> 16)
}

// ToFloat8 rounds to nearest even. Beyond the largest finite value it gives that value if saturate is set, else
// infinity or, where the format has none, NaN (ONNX Cast, "float8 conversion" table).
func ToFloat8(x float32, d DType, saturate bool) byte {
	f := map[DType]f8{Float8E4M3FN: e4m3fn, Float8E4M3FNUZ: e4m3fnuz, Float8E5M2: e5m2, Float8E5M2FNUZ: e5m2fnuz}[d]
	nan, inf, max := byte(0x7f), byte(0x7f), byte(0x7e)
	switch {
	case f.fnuz:
		nan, inf, max = 0x80, 0x80, 0x7f
	case f.inf:
		inf, max = 0x7c, 0x7b
	}
	if x != x {
		return nan
	}
	sign := byte(math.Float32bits(x) >> 31 << 7)
	if math.IsInf(float64(x), 0) && !saturate {
		return inf | sign
	}
	a := math.Abs(float64(x))
	code := roundFloat8(a, f)
	if code > int(max) {
		if saturate {
			return max | sign
		}
		return inf | sign
	}
	if code == 0 && f.fnuz {
		return 0
	}
	return byte(code) | sign
}

// roundFloat8 gives the code of the magnitude a, past the largest code when it is out of range.
func roundFloat8(a float64, f f8) int {
	if math.IsInf(a, 0) {
		return 1 << 8
	}
	if a == 0 {
		return 0
	}
	_, e := math.Frexp(a) // a = m * 2^e, m in [0.5, 1)
	exp := max(e-1+f.bias, 1)
	q := int(math.RoundToEven(math.Ldexp(a, f.bias+f.mant-exp)))
	return q + (exp-1)<<f.mant // a carry out of the mantissa lands in the exponent
}

// ToFloat8E8M0 rounds |x| to the nearest power of two, up on a tie. The type has neither zero nor infinity (OCP MX
// specification 1.0, 5.4.1): as in ONNX's saturating Cast these become its smallest and largest number, 2^-127 and 2^127.
func ToFloat8E8M0(x float32) byte {
	a := math.Abs(float64(x))
	switch {
	case x != x:
		return 0xff
	case a == 0:
		return 0
	case math.IsInf(a, 1):
		return 254
	}
	m, e := math.Frexp(a)
	if m >= 0.75 {
		e++
	}
	return byte(min(max(e-1+127, 0), 254))
}

// ToFloat4 rounds to nearest even among 0, 0.5, 1, 1.5, 2, 3, 4, 6 and saturates. NaN, which the type lacks, gives -0 as
// in ONNX's conformance cases.
func ToFloat4(x float32) byte {
	var sign byte
	if math.Signbit(float64(x)) {
		sign = 8
	}
	if x != x {
		return 8
	}
	code := roundFloat8(math.Abs(float64(x)), f8{mant: 1, bias: 1})
	return byte(min(code, 7)) | sign
}
