package kernels

import "math"

// Reductions fold in 16 lanes: element i goes to lane i mod 16 in order, then lane l takes lane l+8, l+4, l+2, l+1.

// Sum returns the sum of x; 0 for none.
func (s *Set) Sum(x []float32) float32 { return s.sum(x) }

// Max returns the largest element; NaNs are passed over, and -Inf is returned for none.
func (s *Set) Max(x []float32) float32 { return s.max(x) }

// SumSquaresCentered returns the sum of (x - mean)².
func (s *Set) SumSquaresCentered(x []float32, mean float32) float32 { return s.sumSquares(x, mean) }

// Softmax sets dst = exp(x - max x) / Σ exp(x - max x); dst may be x. A NaN, or nothing but -Inf, makes every element
// NaN.
func (s *Set) Softmax(dst, x []float32) {
	x = x[:len(dst)]
	s.mulS(dst, dst, 1/s.expSum(dst, x, s.max(x)))
}

// LayerNorm sets dst = (x - mean)/√(variance + eps)·scale + bias over the row x (Ba, Kiros and Hinton, arXiv:1607.06450),
// the variance being the mean of squares. bias may be nil; dst may be x.
func (s *Set) LayerNorm(dst, x []float32, p Norm) {
	x = x[:len(dst)]
	mean, inv := s.Moments(x, p.Eps)
	if p.Bias != nil {
		s.normalize(dst, x, p.Scale[:len(dst)], p.Bias[:len(dst)], mean, inv)
		return
	}
	s.addS(dst, x, -mean)
	s.mulS(dst, dst, inv)
	s.mul(dst, dst, p.Scale[:len(dst)])
}

// Norm is what a normalisation applies to each element of a row.
type Norm struct {
	Scale, Bias []float32
	Eps         float32
}

// Moments returns the mean of x and 1/√(variance + eps).
func (s *Set) Moments(x []float32, eps float32) (mean, inv float32) {
	n := float32(len(x))
	mean = s.sum(x) / n
	return mean, 1 / float32(math.Sqrt(float64(s.sumSquares(x, mean)/n+eps)))
}

type lanes16 [16]float32

func (l *lanes16) fold(f func(lo, hi float32) float32) float32 {
	for w := 8; w > 0; w /= 2 {
		for i := range w {
			l[i] = f(l[i], l[i+w])
		}
	}
	return l[0]
}

func addF32(a, b float32) float32 { return a + b }

// maxF32 is hi if it is greater, else lo: a NaN in hi is passed over.
func maxF32(lo, hi float32) float32 {
	if hi > lo {
		return hi
	}
	return lo
}

func sumGeneric(x []float32) float32 {
	var l lanes16
	for i, v := range x {
		l[i%16] += v
	}
	return l.fold(addF32)
}

func maxGeneric(x []float32) float32 {
	var l lanes16
	for i := range l {
		l[i] = negInf32
	}
	for i, v := range x {
		l[i%16] = maxF32(l[i%16], v)
	}
	return l.fold(maxF32)
}

func sumSquaresGeneric(x []float32, mean float32) float32 {
	var l lanes16
	for i, v := range x {
		d := v - mean
		l[i%16] = FMA32(d, d, l[i%16])
	}
	return l.fold(addF32)
}

func expSumGeneric(dst, x []float32, shift float32) float32 {
	var l lanes16
	for i, v := range x {
		dst[i] = Exp32(v - shift)
		l[i%16] += dst[i]
	}
	return l.fold(addF32)
}
