package kernels

import (
	"math"
	"testing"
)

// ulps returns |got - want| in units of the last place of a float32 near want.
func ulps(got float32, want float64) float64 {
	if float64(got) == want || (got != got && want != want) {
		return 0
	}
	_, e := math.Frexp(want)
	return math.Abs(float64(got)-want) / math.Ldexp(1, max(e-24, -149))
}

var mathCases = []struct {
	name  string
	f     func(float32) float32
	exact func(float64) float64
	bound float64
	from  float32 // results are only asked to be accurate above
}{
	{"Exp", Exp32, math.Exp, 1, -200},
	{"Log", Log32, math.Log, 2, -1},
	{"Tanh", Tanh32, math.Tanh, 2, -100},
	{"Sigmoid", Sigmoid32, func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }, 3, -200},
	{"Erf", Erf32, math.Erf, 2, -20},
	{"Gelu", Gelu32, func(x float64) float64 { return 0.5 * x * math.Erfc(-x/math.Sqrt2) }, 5, -13},
}

// TestMathAccuracy holds every function against float64 on every 2^9th float32, and more between -20 and 20.
func TestMathAccuracy(t *testing.T) {
	step, fine := uint32(1<<9), 400000
	if testing.Short() {
		step, fine = 1<<13, 40000
	}
	for _, c := range mathCases {
		worst, at := 0.0, float32(0)
		try := func(x float32) {
			if x < c.from || x != x || (math.IsInf(float64(x), 0) && c.name == "Gelu") {
				return
			}
			want := c.exact(float64(x))
			if want > math.MaxFloat32*(1+0x1p-25) {
				want = math.Inf(1)
			}
			if u := ulps(c.f(x), want); !(u <= worst) {
				worst, at = u, x
			}
		}
		for b, last := uint32(0), -step; b < last; b += step {
			try(math.Float32frombits(b + b>>20&(step-1)))
		}
		for i := range fine {
			try(-20 + 40*float32(i)/float32(fine))
		}
		t.Logf("%s: worst error %.2f ulp at %g", c.name, worst, at)
		if !(worst <= c.bound) {
			t.Errorf("%s: error %.2f ulp at %g, want at most %g", c.name, worst, at, c.bound)
		}
	}
}

func TestMathSpecial(t *testing.T) {
	nan := float32(math.NaN())
	negZero := float32(math.Copysign(0, -1))
	for _, c := range []struct {
		name    string
		f       func(float32) float32
		x, want float32
	}{
		{"Exp", Exp32, inf32, inf32},
		{"Exp", Exp32, negInf32, 0},
		{"Exp", Exp32, nan, nan},
		{"Exp", Exp32, 0, 1},
		{"Exp", Exp32, -103.98, 0},
		{"Exp", Exp32, 88.73, inf32},
		{"Exp", Exp32, -103, 0x1p-149},
		{"Log", Log32, inf32, inf32},
		{"Log", Log32, 0, negInf32},
		{"Log", Log32, negZero, negInf32},
		{"Log", Log32, -1, nan},
		{"Log", Log32, negInf32, nan},
		{"Log", Log32, nan, nan},
		{"Log", Log32, 1, 0},
		{"Tanh", Tanh32, inf32, 1},
		{"Tanh", Tanh32, negInf32, -1},
		{"Tanh", Tanh32, nan, nan},
		{"Tanh", Tanh32, negZero, negZero},
		{"Sigmoid", Sigmoid32, inf32, 1},
		{"Sigmoid", Sigmoid32, negInf32, 0},
		{"Sigmoid", Sigmoid32, nan, nan},
		{"Sigmoid", Sigmoid32, 0, 0.5},
		{"Erf", Erf32, inf32, 1},
		{"Erf", Erf32, negInf32, -1},
		{"Erf", Erf32, nan, nan},
		{"Erf", Erf32, negZero, negZero},
		{"Gelu", Gelu32, inf32, inf32},
		{"Gelu", Gelu32, nan, nan},
		{"Gelu", Gelu32, 0, 0},
		{"Gelu", Gelu32, 20, 20},
	} {
		if got := c.f(c.x); !sameF32(got, c.want) {
			t.Errorf("%s(%g) = %g, want %g", c.name, c.x, got, c.want)
		}
	}
}

// TestMathSameBits runs every set over a million bit patterns spread over all of float32.
func TestMathSameBits(t *testing.T) {
	const n = 1 << 20
	x := make([]float32, n)
	for i := range x {
		x[i] = math.Float32frombits(uint32(i)<<12 + uint32(i)*2654435761>>20)
	}
	want, got := make([]float32, n), make([]float32, n)
	table := func(s *Set) map[string]func(dst, x []float32) {
		return map[string]func(dst, x []float32){
			"Exp": s.Exp, "Log": s.Log, "Tanh": s.Tanh, "Sigmoid": s.Sigmoid, "Erf": s.Erf, "Gelu": s.Gelu,
		}
	}
	if testing.Short() {
		x = x[n/4 : n/4+n/16]
	}
	for name, f := range table(genericSet) {
		f(want[:len(x)], x)
		for _, s := range Available()[1:] {
			table(s)[name](got[:len(x)], x)
			sameBits(t, s.Name+" "+name, got[:len(x)], want[:len(x)])
		}
	}
}
