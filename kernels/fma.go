package kernels

import "math"

// FMA32 returns a·b + c rounded once to float32, the result of the hardware's fused multiply-add. A NaN stays a NaN
// but its payload is unspecified.
//
// The product of two float32 is exact in float64. The sum is rounded to odd: when it is inexact its last bit is set,
// so that the conversion to float32 sees on which side of a tie the exact value lies (Boldo and Melquiond, "Emulation
// of a FMA and correctly rounded sums: proved algorithms using rounding to odd", 2008). float32(math.FMA(…)) would
// round twice.
func FMA32(a, b, c float32) float32 {
	p := float64(float64(a) * float64(b))
	s, e := twoSum(p, float64(c))
	if e != 0 {
		s = roundOdd(s, e)
	}
	return float32(s)
}

// twoSum returns the rounded sum and its exact error (Knuth). The conversions forbid the compiler to fuse.
func twoSum(a, b float64) (s, e float64) {
	s = float64(a + b)
	v := float64(s - a)
	return s, float64(float64(a-float64(s-v)) + float64(b-v))
}

// roundOdd moves s, the rounded value of s+e with e ≠ 0, to the neighbour of the exact value whose last bit is set.
func roundOdd(s, e float64) float64 {
	bits := math.Float64bits(s)
	if bits&1 != 0 || e != e {
		return s
	}
	if math.Signbit(s) == math.Signbit(e) {
		return math.Float64frombits(bits + 1)
	}
	return math.Float64frombits(bits - 1)
}
