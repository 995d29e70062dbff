package kernels

import "math"

// The constants of the elementary functions; kernels/gen/float/math.go has the same ones.
const (
	expLo, expHi = -104, 89 // exp is 0 below and infinite above
	log2e        = 0x1.715476p+0
	roundMagic   = 0x1.8p+23 // adding it rounds to an integer, left in the low bits
	ln2Hi        = 0x1.62e4p-1
	ln2Lo        = 0x1.7f7d1cp-20
	tanhSmall    = 0.625
	erfSmall     = 0.921875
	erfcMax      = 4 // erf rounds to 1 above
	geluSmall    = 1
	geluK        = 4
	geluMax      = 14.5 // Φ rounds to 0 below its negative
	minNormal    = 0x1p-126
	sqrtHalfBits = 0x3f3504f3
)

// horner evaluates the polynomial with the given coefficients, lowest power first, as one FMA chain.
func horner(c []float32, x float32) float32 {
	y := c[len(c)-1]
	for i := len(c) - 2; i >= 0; i-- {
		y = FMA32(y, x, c[i])
	}
	return y
}

// Exp32 returns e^x with an error below 1 ulp; subnormal results are rounded, not flushed.
func Exp32(x float32) float32 {
	x = clampF32(x, expLo, expHi)
	t := FMA32(x, log2e, roundMagic)
	n := t - roundMagic
	r := FMA32(n, -ln2Lo, FMA32(n, -ln2Hi, x))
	p := horner(expPoly[:], r)
	i := int32(math.Float32bits(t)) - int32(math.Float32bits(roundMagic))
	half := i >> 1 // two steps keep both powers of two normal
	return float32(float32(p*pow2(half)) * pow2(i-half))
}

func pow2(i int32) float32 { return math.Float32frombits(uint32(i+127) << 23) }

// Log32 returns the natural logarithm with an error below 2 ulp: -Inf for ±0, NaN below.
func Log32(x float32) float32 {
	y, e := x, float32(0)
	if x < minNormal {
		y, e = float32(x*0x1p23), -23
	}
	shifted := int32(math.Float32bits(y)) - sqrtHalfBits
	e += float32(shifted >> 23)
	f := math.Float32frombits(uint32(shifted&0x7fffff+sqrtHalfBits)) - 1
	s := float32(f * f)
	r := FMA32(float32(s*f), horner(logPoly[:], f), float32(e*ln2Lo))
	r = FMA32(s, -0.5, r)
	r = FMA32(e, ln2Hi, float32(r+f))
	switch {
	case x == 0:
		return negInf32
	case x < 0:
		return float32(math.NaN())
	case !(x < inf32):
		return x
	}
	return r
}

// Tanh32 returns the hyperbolic tangent with an error below 2 ulp.
func Tanh32(x float32) float32 {
	a := abs32(x)
	if a < tanhSmall {
		s := float32(a * a)
		return copysign32(FMA32(float32(a*s), horner(tanhPoly[:], s), a), x)
	}
	e := Exp32(a + a)
	return copysign32(1-float32(2/(e+1)), x)
}

// Sigmoid32 returns 1/(1+e^-x) with an error below 3 ulp, for large negative x too.
func Sigmoid32(x float32) float32 {
	e := Exp32(-abs32(x))
	top := float32(1)
	if x < 0 {
		top = e
	}
	return float32(top / (e + 1))
}

// Erf32 returns the error function with an error below 2 ulp.
func Erf32(x float32) float32 {
	a := abs32(x)
	if a < erfSmall {
		return copysign32(FMA32(a, horner(erfPoly[:], float32(a*a)), a), x)
	}
	if a > erfcMax {
		a = erfcMax
	}
	return copysign32(1-Exp32(-horner(erfcPoly[:], a)), x)
}

// Gelu32 returns x·Φ(x), the erf form of GELU (Hendrycks and Gimpel, arXiv:1606.08415), with an error below 5 ulp while
// Φ(x) is normal (x > -13). The lower tail is exp(-x²/2) times a polynomial, so that nothing
// cancels.
func Gelu32(x float32) float32 {
	a := abs32(x)
	if a < geluSmall {
		return float32(x * FMA32(x, horner(phiPoly[:], float32(a*a)), 0.5))
	}
	if a > geluMax {
		a = geluMax
	}
	r := float32(1 / (a + geluK))
	tail := float32(horner(geluPoly[:], float32((a-geluK)*r)) * r)
	h := float32(a * a)
	low := FMA32(a, a, -h) // what the square lost
	e := Exp32(float32(h * -0.5))
	e = FMA32(float32(e*low), -0.5, e)
	tail = float32(tail * e)
	if !(x < 0) {
		tail = 1 - tail
	}
	return float32(x * tail)
}

func abs32(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }

// copysign32 gives y ≥ 0 the sign of x.
func copysign32(y, x float32) float32 {
	return math.Float32frombits(math.Float32bits(y) | math.Float32bits(x)&(1<<31))
}
