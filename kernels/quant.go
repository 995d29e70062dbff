package kernels

import "fmt"

// quantSet is the conversions between float32 and integers, and arithmetic on quantised vectors. Each function is the method
// of Set with its name, called with slices of one length; scales and bias are those of one row.
type quantSet struct {
	quantizeF32   func(dst []byte, src []float32, scale float32, o output)
	dequantizeU8  func(dst []float32, src []byte, scale float32, zero int32)
	dequantizeS8  func(dst []float32, src []byte, scale float32, zero int32)
	dequantizeI32 func(dst []float32, src []int32, scale []float32, zero int32)
	requantI32    func(dst []byte, src []int32, scale []float32, o output)
	i32ToF32Scale func(dst []float32, src []int32, rowScale float32, colScale, bias []float32)
	addU8, mulU8  func(q *AddQ)
	minMaxF32     func(src []float32) (lo, hi float32)
	rowSumU8      func(src []byte) int32
	lookup        func(dst, src []byte, table *[256]byte)
}

// output is an integer output's zero point and clamp, all within [0, 255] or all within [-128, 127].
type output struct{ zero, lo, hi int32 }

// QuantizeF32 writes clamp(roundeven(x/scale) + zero, lo, hi) of each x of src, as its low byte: ONNX QuantizeLinear with
// a fused clamp. zero, lo and hi lie in [0, 255] or in [-128, 127]. NaN gives lo, as in ONNX Runtime's vector code.
func (s *Set) QuantizeF32(dst []byte, src []float32, scale float32, zero, lo, hi int32) {
	s.quantizeF32(dst[:len(src)], src, scale, output{zero, lo, hi})
}

// DequantizeU8 writes float32(x-zero)·scale of each x of src.
func (s *Set) DequantizeU8(dst []float32, src []byte, scale float32, zero int32) {
	s.dequantizeU8(dst[:len(src)], src, scale, zero)
}

// DequantizeS8 is DequantizeU8 for bytes that hold int8.
func (s *Set) DequantizeS8(dst []float32, src []byte, scale float32, zero int32) {
	s.dequantizeS8(dst[:len(src)], src, scale, zero)
}

// DequantizeI32 writes float32(x-zero)·scale for rows of len(scale) columns, each with a scale of its own. The difference
// wraps around at 32 bits.
func (s *Set) DequantizeI32(dst []float32, src []int32, scale []float32, zero int32) {
	mustBeRows(src, scale)
	for n := len(scale); len(src) > 0; src, dst = src[n:], dst[n:] {
		s.dequantizeI32(dst[:n], src[:n], scale, zero)
	}
}

// RequantI32 writes clamp(roundeven(float32(x)·scale) + zero, lo, hi) for rows of len(scale) columns, each with a scale of
// its own: what GemmU8S8 does to its sums.
func (s *Set) RequantI32(dst []byte, src []int32, scale []float32, zero, lo, hi int32) {
	mustBeRows(src, scale)
	for n := len(scale); len(src) > 0; src, dst = src[n:], dst[n:] {
		s.requantI32(dst[:n], src[:n], scale, output{zero, lo, hi})
	}
}

// mustBeRows panics unless src is rows with a scale for each column.
func mustBeRows(src []int32, scale []float32) {
	if len(src) > 0 && (len(scale) == 0 || len(src)%len(scale) != 0) {
		panic(fmt.Sprintf("kernels: %d values are not rows of %d scales", len(src), len(scale)))
	}
}

// I32ToF32Scale writes float32(x)·(rowScale·colScale[j]) + bias[j] for one row, every step rounded to float32; bias may be
// nil. It is the Cast, Mul and Add that follow MatMulInteger.
func (s *Set) I32ToF32Scale(dst []float32, src []int32, rowScale float32, colScale, bias []float32) {
	n := len(src)
	if bias != nil {
		bias = bias[:n]
	}
	s.i32ToF32Scale(dst[:n], src, rowScale, colScale[:n], bias)
}

// AddQ is an elementwise operator on two tensors of 8-bit integers, computed as ONNX Runtime's QLinearAdd and
// QLinearMul do. With r = scale/ScaleC of each operand and f = ZeroC - (rA·ZeroA + rB·ZeroB), AddU8 is
// clamp(roundeven(fma(a, rA, fma(b, rB, f))), Lo, Hi), which is not dequantize, add, quantize. MulU8 is
// clamp(roundeven((a-ZeroA)·(b-ZeroB)·(ScaleA·ScaleB/ScaleC) + ZeroC), Lo, Hi), every step rounded to float32. Inputs
// are int8 if Signed; the output's domain is that of Lo and Hi. C may be A or B.
type AddQ struct {
	A, B, C        []byte // of one length
	Signed         bool
	ScaleA, ScaleB float32
	ZeroA, ZeroB   int32
	ScaleC         float32
	ZeroC, Lo, Hi  int32
}

// AddU8 computes the sum that q describes.
func (s *Set) AddU8(q *AddQ) {
	_, _ = q.B[:len(q.A)], q.C[:len(q.A)]
	s.addU8(q)
}

// MulU8 computes the product that q describes.
func (s *Set) MulU8(q *AddQ) {
	_, _ = q.B[:len(q.A)], q.C[:len(q.A)]
	s.mulU8(q)
}

// MinMaxF32 returns the smallest and the largest element, leaving out NaN; zeros come back positive. Without any number
// it returns +Inf, -Inf.
func (s *Set) MinMaxF32(src []float32) (lo, hi float32) {
	lo, hi = s.minMaxF32(src)
	return lo + 0, hi + 0
}

// RowSumU8 returns the sum of src, which a zero point of the weights is multiplied with.
func (s *Set) RowSumU8(src []byte) int32 { return s.rowSumU8(src) }

// Lookup writes table[x] of each x of src: any unary function of a quantised tensor. dst may be src.
func (s *Set) Lookup(dst, src []byte, table *[256]byte) { s.lookup(dst[:len(src)], src, table) }
