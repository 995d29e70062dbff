package kernels

import "math"

var quantGeneric = quantSet{
	quantizeF32: quantizeF32Generic, dequantizeU8: dequantizeU8Generic, dequantizeS8: dequantizeS8Generic,
	dequantizeI32: dequantizeI32Generic, requantI32: requantI32Generic, i32ToF32Scale: i32ToF32ScaleGeneric,
	addU8: addU8Generic, mulU8: mulU8Generic, minMaxF32: minMaxF32Generic, rowSumU8: rowSumU8Generic, lookup: lookupGeneric,
}

func quantizeF32Generic(dst []byte, src []float32, scale float32, o output) {
	c := o.clamp()
	for i, x := range src {
		dst[i] = c.quantum(x / scale)
	}
}

func dequantizeU8Generic(dst []float32, src []byte, scale float32, zero int32) {
	for i, x := range src {
		dst[i] = float32(int32(x)-zero) * scale
	}
}

func dequantizeS8Generic(dst []float32, src []byte, scale float32, zero int32) {
	for i, x := range src {
		dst[i] = float32(int32(int8(x))-zero) * scale
	}
}

func dequantizeI32Generic(dst []float32, src []int32, scale []float32, zero int32) {
	for i, x := range src {
		dst[i] = float32(x-zero) * scale[i]
	}
}

func requantI32Generic(dst []byte, src []int32, scale []float32, o output) {
	c := o.clamp()
	for j, x := range src {
		dst[j] = c.quantum(float32(x) * scale[j])
	}
}

func i32ToF32ScaleGeneric(dst []float32, src []int32, rowScale float32, colScale, bias []float32) {
	for j, x := range src {
		y := float32(float32(x) * float32(rowScale*colScale[j]))
		if bias != nil {
			y += bias[j]
		}
		dst[j] = y
	}
}

// pairwise is an operator on two byte vectors: its factors, and the Go that defines it.
type pairwise struct {
	factors func(q *AddQ) (a, b, c float32)
	twin    func(q *AddQ)
}

var (
	addition       = pairwise{(*AddQ).sumFactors, addU8Generic}
	multiplication = pairwise{(*AddQ).productFactors, mulU8Generic}
)

// sumFactors are both operands' scales over the result's, and the constant part of the sum.
func (q *AddQ) sumFactors() (a, b, fixed float32) {
	a, b = q.ScaleA/q.ScaleC, q.ScaleB/q.ScaleC
	return a, b, float32(q.ZeroC) - float32(float32(a*float32(q.ZeroA))+float32(b*float32(q.ZeroB)))
}

// productFactors are the scale of the product and the result's zero point.
func (q *AddQ) productFactors() (scale, unused, zero float32) {
	return float32(q.ScaleA*q.ScaleB) / q.ScaleC, 0, float32(q.ZeroC)
}

// pair returns the integers at i.
func (q *AddQ) pair(i int) (a, b int32) {
	if q.Signed {
		return int32(int8(q.A[i])), int32(int8(q.B[i]))
	}
	return int32(q.A[i]), int32(q.B[i])
}

func addU8Generic(q *AddQ) {
	c := output{0, q.Lo, q.Hi}.clamp()
	ra, rb, fixed := q.sumFactors()
	for i := range q.A {
		a, b := q.pair(i)
		q.C[i] = c.quantum(FMA32(float32(a), ra, FMA32(float32(b), rb, fixed)))
	}
}

func mulU8Generic(q *AddQ) {
	c := output{0, q.Lo, q.Hi}.clamp()
	scale, _, zero := q.productFactors()
	for i := range q.A {
		a, b := q.pair(i)
		product := float32(a-q.ZeroA) * float32(b-q.ZeroB)
		q.C[i] = c.quantum(float32(product*scale) + zero)
	}
}

func minMaxF32Generic(src []float32) (lo, hi float32) {
	lo, hi = float32(math.Inf(1)), float32(math.Inf(-1))
	for _, x := range src {
		if x < lo {
			lo = x
		}
		if x > hi {
			hi = x
		}
	}
	return lo, hi
}

func rowSumU8Generic(src []byte) int32 {
	var sum int32
	for _, x := range src {
		sum += int32(x)
	}
	return sum
}

func lookupGeneric(dst, src []byte, table *[256]byte) {
	for i, x := range src {
		dst[i] = table[x]
	}
}

// clamp32 holds an output's zero point and its bounds relative to it, in float: rounding after clamping is the same as before,
// because the bounds are integers, and a clamped value never overflows an int32.
type clamp32 struct {
	zero   int32
	lo, hi float32
}

func (o output) clamp() clamp32 {
	return clamp32{o.zero, float32(o.lo - o.zero), float32(o.hi - o.zero)}
}

// quantum is clamp(roundeven(x)) + zero, as its low byte; NaN gives the lower bound.
func (c clamp32) quantum(x float32) byte {
	if !(x > c.lo) {
		x = c.lo
	}
	if x > c.hi {
		x = c.hi
	}
	return byte(int32(math.RoundToEven(float64(x))) + c.zero)
}
