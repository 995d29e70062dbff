package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// eachAsm runs do for every available set but generic.
func eachAsm(t *testing.T, do func(t *testing.T, s *Set)) {
	sets := Available()
	if len(sets) == 1 {
		t.Skip("no set but generic on this machine or in this build")
	}
	for _, s := range sets[1:] {
		t.Run(s.Name, func(t *testing.T) { do(t, s) })
	}
}

func randF32(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", what, len(got), len(want))
	}
	for i := range got {
		if !sameF32(got[i], want[i]) {
			t.Fatalf("%s: element %d of %d is %g (%08x), want %g (%08x)", what, i, len(got),
				got[i], math.Float32bits(got[i]), want[i], math.Float32bits(want[i]))
		}
	}
}

type gemmCase struct {
	m, n, k, padA, padC int
	bias, res, clamp    bool
}

// gateOf is a gate of n elements, with or without an upper bound.
func gateOf(r *rand.Rand, n, kind int) Gate {
	g := Gate{Of: randF32(r, n), Hi: float32(math.NaN())}
	if kind%2 == 0 {
		g.Lo, g.Hi = -0.5, 1
	}
	for i, v := range []float32{float32(math.NaN()), inf32, negInf32, g.Lo, g.Hi} {
		if n > 9 {
			g.Of[r.IntN(n-i)] = v
		}
	}
	return g
}

// gated reports whether a case has a gate.
func (c gemmCase) gated() bool { return (c.m+c.n)%3 == 0 }

// run builds the case with exact lengths and returns C, whose gaps between rows must survive.
func (c gemmCase) run(s *Set, r *rand.Rand) []float32 {
	g := GemmF32{M: c.m, N: c.n, K: c.k, LDA: c.k + c.padA, LDC: c.n + c.padC, Lo: negInf32, Hi: inf32}
	g.A = randF32(r, max(0, (c.m-1)*g.LDA+c.k))
	src := randF32(r, c.k*c.n)
	if len(g.A) > 3 {
		g.A[len(g.A)/2] = float32(math.NaN())
		g.A[len(g.A)/3] = inf32
		g.A[len(g.A)/4] = -0x1p-140
	}
	g.B = make([]float32, s.PackedF32(c.k, c.n))
	if c.padA%2 == 0 {
		s.PackF32(g.B, src, c.k, c.n, c.n, 1)
	} else {
		s.PackF32(g.B, src, c.k, c.n, 1, c.k)
	}
	g.C = randF32(r, (c.m-1)*g.LDC+c.n)
	if c.bias {
		g.Bias = randF32(r, c.n)
	}
	if c.res {
		g.LDR = c.n + 1
		g.Res = randF32(r, (c.m-1)*g.LDR+c.n)
	}
	if c.gated() {
		g.LDR = c.n + 1
		g.Gate = gateOf(r, (c.m-1)*g.LDR+c.n, c.m)
	}
	if c.clamp {
		g.Lo, g.Hi = -0.5, 0.75
	}
	s.Gemm(&g)
	return g.C
}

func TestGemmSameBits(t *testing.T) {
	var cases []gemmCase
	for m := 1; m <= 15; m++ { // every height, with every number of panels
		for _, n := range []int{1, 15, 32, 33, 64, 100, 128, 131} {
			cases = append(cases, gemmCase{m, n, 5 + m%4, m % 3, n % 4, n%2 == 0, m%2 == 0, m%3 == 0})
		}
	}
	for n := 1; n <= 34; n++ { // every tail
		cases = append(cases, gemmCase{3, n, 7, 1, 2, true, n%2 == 0, true}, gemmCase{9, n, 2, 0, 1, n%2 == 0, true, false})
	}
	cases = append(cases, gemmCase{5, 7, 0, 0, 0, true, true, true}, gemmCase{1, 1, 1, 0, 0, false, false, false},
		gemmCase{29, 97, 512, 0, 0, true, false, true}, gemmCase{17, 40, 4097, 511, 3, true, true, true},
		gemmCase{60, 70, 2560, 0, 3, false, true, false}, gemmCase{1, 300, 33, 0, 0, true, false, false})
	wants := make([][]float32, len(cases)) // the same for all sets
	eachAsm(t, func(t *testing.T, s *Set) {
		for i, c := range cases {
			if testing.Short() && c.m*c.n*c.k > 2e5 {
				continue
			}
			if wants[i] == nil {
				wants[i] = c.run(genericSet, rand.New(rand.NewPCG(uint64(i), 7)))
			}
			got := c.run(s, rand.New(rand.NewPCG(uint64(i), 7)))
			sameBits(t, fmt.Sprintf("%+v", c), got, wants[i])
		}
	})
}

// TestGemmGeneric compares the definition with float64 sums.
func TestGemmGeneric(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	const m, n, k = 3, 21, 40
	a, b := randF32(r, m*k), randF32(r, k*n)
	g := GemmF32{M: m, N: n, K: k, A: a, LDA: k, C: make([]float32, m*n), LDC: n, Lo: -2, Hi: 5, Bias: randF32(r, n)}
	g.B = make([]float32, genericSet.PackedF32(k, n))
	genericSet.PackF32(g.B, b, k, n, n, 1)
	genericSet.Gemm(&g)
	for i := range m {
		for j := range n {
			want := float64(g.Bias[j])
			for q := range k {
				want += float64(a[i*k+q]) * float64(b[q*n+j])
			}
			want = min(max(want, -2), 5)
			if got := g.C[i*n+j]; math.Abs(float64(got)-want) > 1e-5 {
				t.Fatalf("C[%d,%d] = %g, want %g", i, j, got, want)
			}
		}
	}
}

func TestGemmPanicsOnShortSlice(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Fatal("no panic for a C that is too short")
		}
	}()
	genericSet.Gemm(&GemmF32{M: 2, N: 2, K: 1, A: make([]float32, 2), LDA: 1, B: make([]float32, 16), C: make([]float32, 3), LDC: 2})
}
