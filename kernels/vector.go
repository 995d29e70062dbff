package kernels

import "math"

// vectorTable is the elementwise functions and reductions of a set. Lengths were checked; dst may be an input.
type vectorTable struct {
	add, sub, mul, div             func(dst, a, b []float32)
	addS, mulS, divS, rsubS, rdivS func(dst, x []float32, s float32)
	clamp                          func(dst, x []float32, lo, hi float32)
	mulAdd                         func(dst, x, scale, shift []float32)
	mulAddS                        func(dst, x []float32, scale, shift float32)
	normalize                      func(dst, x, scale, shift []float32, mean, inv float32)
	exp, log, tanh, sigmoid        func(dst, x []float32)
	erf, gelu                      func(dst, x []float32)
	sum, max                       func(x []float32) float32
	sumSquares                     func(x []float32, mean float32) float32
	expSum                         func(dst, x []float32, shift float32) float32
	reluGrad                       func(dst, dy, y []float32)
	clipGrad                       func(dst, dy, y []float32, lo, hi float32)
	normGrad                       func(dst, hat, g []float32, a, b float32)
	sqrt                           func(dst, x []float32)
	dot                            func(a, b []float32) float32
}

// Add sets dst = a + b. As for all functions of two slices, the lengths are dst's, and dst may be a or b.
func (s *Set) Add(dst, a, b []float32) { s.add(dst, a[:len(dst)], b[:len(dst)]) }

// Sub sets dst = a - b.
func (s *Set) Sub(dst, a, b []float32) { s.sub(dst, a[:len(dst)], b[:len(dst)]) }

// Mul sets dst = a·b.
func (s *Set) Mul(dst, a, b []float32) { s.mul(dst, a[:len(dst)], b[:len(dst)]) }

// Div sets dst = a/b.
func (s *Set) Div(dst, a, b []float32) { s.div(dst, a[:len(dst)], b[:len(dst)]) }

// AddS sets dst = x + v.
func (s *Set) AddS(dst, x []float32, v float32) { s.addS(dst, x[:len(dst)], v) }

// SubS sets dst = x - v.
func (s *Set) SubS(dst, x []float32, v float32) { s.addS(dst, x[:len(dst)], -v) }

// RSubS sets dst = v - x.
func (s *Set) RSubS(dst, x []float32, v float32) { s.rsubS(dst, x[:len(dst)], v) }

// MulS sets dst = x·v.
func (s *Set) MulS(dst, x []float32, v float32) { s.mulS(dst, x[:len(dst)], v) }

// DivS sets dst = x/v.
func (s *Set) DivS(dst, x []float32, v float32) { s.divS(dst, x[:len(dst)], v) }

// RDivS sets dst = v/x.
func (s *Set) RDivS(dst, x []float32, v float32) { s.rdivS(dst, x[:len(dst)], v) }

// Clamp sets values below lo to lo and then values above hi to hi; NaN passes.
func (s *Set) Clamp(dst, x []float32, lo, hi float32) { s.clamp(dst, x[:len(dst)], lo, hi) }

// MulAdd sets dst = x·scale + shift, rounded once.
func (s *Set) MulAdd(dst, x, scale, shift []float32) {
	s.mulAdd(dst, x[:len(dst)], scale[:len(dst)], shift[:len(dst)])
}

// MulAddS sets dst = x·scale + shift with the same two numbers for every element, rounded once.
func (s *Set) MulAddS(dst, x []float32, scale, shift float32) {
	s.mulAddS(dst, x[:len(dst)], scale, shift)
}

// Exp sets dst = Exp32(x).
func (s *Set) Exp(dst, x []float32) { s.exp(dst, x[:len(dst)]) }

// Log sets dst = Log32(x).
func (s *Set) Log(dst, x []float32) { s.log(dst, x[:len(dst)]) }

// Tanh sets dst = Tanh32(x).
func (s *Set) Tanh(dst, x []float32) { s.tanh(dst, x[:len(dst)]) }

// Sigmoid sets dst = Sigmoid32(x).
func (s *Set) Sigmoid(dst, x []float32) { s.sigmoid(dst, x[:len(dst)]) }

// Erf sets dst = Erf32(x).
func (s *Set) Erf(dst, x []float32) { s.erf(dst, x[:len(dst)]) }

// Gelu sets dst = Gelu32(x).
func (s *Set) Gelu(dst, x []float32) { s.gelu(dst, x[:len(dst)]) }

var vectorGeneric = vectorTable{
	add:   loop2(func(a, b float32) float32 { return a + b }),
	sub:   loop2(func(a, b float32) float32 { return a - b }),
	mul:   loop2(func(a, b float32) float32 { return a * b }),
	div:   loop2(func(a, b float32) float32 { return a / b }),
	addS:  loopS(func(x, s float32) float32 { return x + s }),
	mulS:  loopS(func(x, s float32) float32 { return x * s }),
	divS:  loopS(func(x, s float32) float32 { return x / s }),
	rsubS: loopS(func(x, s float32) float32 { return s - x }),
	rdivS: loopS(func(x, s float32) float32 { return s / x }),
	clamp: func(dst, x []float32, lo, hi float32) {
		for i, v := range x {
			dst[i] = clampF32(v, lo, hi)
		}
	},
	mulAdd: func(dst, x, scale, shift []float32) {
		for i, v := range x {
			dst[i] = FMA32(v, scale[i], shift[i])
		}
	},
	mulAddS: func(dst, x []float32, scale, shift float32) {
		for i, v := range x {
			dst[i] = FMA32(v, scale, shift)
		}
	},
	normalize: func(dst, x, scale, shift []float32, mean, inv float32) {
		for i, v := range x {
			dst[i] = FMA32(float32(float32(v-mean)*inv), scale[i], shift[i])
		}
	},
	exp: loop1(Exp32), log: loop1(Log32), tanh: loop1(Tanh32),
	sigmoid: loop1(Sigmoid32), erf: loop1(Erf32), gelu: loop1(Gelu32),
	sum: sumGeneric, max: maxGeneric, sumSquares: sumSquaresGeneric, expSum: expSumGeneric,
	reluGrad: reluGradGeneric, clipGrad: clipGradGeneric, normGrad: normGradGeneric,
	sqrt: loop1(func(x float32) float32 { return float32(math.Sqrt(float64(x))) }), dot: dotGeneric,
}

func loop1(f func(float32) float32) func(dst, x []float32) {
	return func(dst, x []float32) {
		for i, v := range x {
			dst[i] = f(v)
		}
	}
}

func loop2(f func(a, b float32) float32) func(dst, a, b []float32) {
	return func(dst, a, b []float32) {
		for i, v := range a {
			dst[i] = f(v, b[i])
		}
	}
}

func loopS(f func(x, s float32) float32) func(dst, x []float32, s float32) {
	return func(dst, x []float32, s float32) {
		for i, v := range x {
			dst[i] = f(v, s)
		}
	}
}
