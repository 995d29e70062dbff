package kernels

import "math"

// clamp32 holds an output's zero point and its bounds relative to it, in float: rounding after clamping is the same as before,
// because the bounds are integers, and a clamped value never overflows an int32.
type clamp32 struct {
	zero   int32
	lo, hi float32
}

func requantClamp(zero, lo, hi int32) clamp32 {
	return clamp32{zero, float32(lo - zero), float32(hi - zero)}
}

// quantum is clamp(roundeven(x)) + zero, as its low byte; NaN gives the lower bound, as ONNX Runtime's vector code does.
func (c clamp32) quantum(x float32) byte {
	if !(x > c.lo) {
		x = c.lo
	}
	if x > c.hi {
		x = c.hi
	}
	return byte(int32(math.RoundToEven(float64(x))) + c.zero)
}

func requantRow(dst []byte, sums []int32, scale []float32, c clamp32) {
	for j, s := range sums {
		dst[j] = c.quantum(float32(float32(s) * scale[j]))
	}
}
