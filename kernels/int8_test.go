package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// eachSet runs f for every set of this machine.
func eachSet(t *testing.T, f func(t *testing.T, s *Set)) {
	for _, s := range Available() {
		t.Run(s.Name, func(t *testing.T) { f(t, s) })
	}
}

// randomU8 and randomS8 are noise, or in one of four calls the largest products throughout.
func randomU8(t *testing.T, r *rand.Rand, n int) []byte {
	x, extreme := guarded[byte](t, n), r.IntN(4) == 0
	for i := range x {
		x[i] = byte(r.Uint32())
		if extreme {
			x[i] = 255
		}
	}
	return x
}

func randomS8(t *testing.T, r *rand.Rand, n int) []int8 {
	x, extreme := guarded[int8](t, n), r.IntN(4) == 0
	for i := range x {
		x[i] = int8(r.Uint32())
		if extreme {
			x[i] = -128
		}
	}
	return x
}

// fitPairs changes rows of n weights so that their pairs fit; many touch the bounds 128 and -128.
func fitPairs(r *rand.Rand, b []int8, n int) {
	for i := 0; i < len(b); i += 2 * n {
		for j := range min(n, len(b)-i) {
			v, w := &b[i+j], new(int8)
			if i+j+n < len(b) {
				w = &b[i+j+n]
			}
			for slack := r.IntN(2) * r.IntN(9); !pairFits(*v, *w, 128-slack); {
				*v, *w = *v/2+1, *w-sign8(*w)
			}
		}
	}
}

func sign8(x int8) int8 { return int8(min(1, max(-1, int(x)))) }

// pairFits is the rule, for any bound.
func pairFits(v, w int8, bound int) bool {
	return max(int(v), 0)+max(int(w), 0) <= bound && min(int(v), 0)+min(int(w), 0) >= -bound
}

// TestPairsFit compares what packing says with the rule for every pair of weights, at any place among others, and then
// with the sums that the largest activations give.
func TestPairsFit(t *testing.T) {
	const k, n = 9, 35
	b, packed := make([]int8, k*n), make([]int8, genericSet.PackedS8(k, n))
	r := rand.New(rand.NewPCG(7, 7))
	for v := -128; v <= 127; v++ {
		for w := -128; w <= 127; w++ {
			clear(b)
			p, j := 2*r.IntN(k/2), r.IntN(n)
			b[p*n+j], b[(p+1)*n+j] = int8(v), int8(w)
			want := pairFits(int8(v), int8(w), 128)
			if got := genericSet.PackS8(packed, b, k, n, n, 1); got != want {
				t.Fatalf("%d, %d at %d, %d: fit %v, want %v", v, w, p, j, got, want)
			}
			hi, lo := 255*(max(v, 0)+max(w, 0)), 255*(min(v, 0)+min(w, 0))
			if int16s := hi <= math.MaxInt16 && lo >= math.MinInt16; int16s != want {
				t.Fatalf("%d, %d: sums from %d to %d, but fit %v", v, w, lo, hi, want)
			}
		}
	}
}

// TestGemmU8S8Bounds multiplies the largest activations with weights all of whose pairs stand at the bound of the rule or just
// beyond it: a set whose packing or product went one too far would saturate.
func TestGemmU8S8Bounds(t *testing.T) {
	const m, n = 13, 40
	eachSet(t, func(t *testing.T, s *Set) {
		for _, pair := range [][2]int8{
			{64, 64},
			{1, 127},
			{127, 1},
			{-64, -64},
			{-128, 0},
			{0, -128},
			{-128, 127},
			{127, -128},
			{64, 65},
			{2, 127},
			{-64, -65},
			{-128, -1},
			{127, 127},
			{-128, -128},
		} {
			for _, k := range []int{2, 3, 4, 5, 30, 31, 64} {
				b := make([]int8, k*n)
				for i := range b {
					b[i] = pair[i/n%2]
				}
				g := &GemmU8S8{M: m, N: n, K: k, LDA: k, LDC: n, A: make([]byte, m*k), C32: make([]int32, m*n)}
				for i := range g.A {
					g.A[i] = 255
					if i%k%2 == i/k%3 { // some rows let one weight of each pair act alone
						g.A[i] = 0
					}
				}
				g.B = make([]int8, s.PackedS8(k, n))
				g.PairsFit = s.PackS8(g.B, b, k, n, n, 1)
				s.GemmU8S8(g)
				for i, got := range g.C32 {
					if want := wantSum(g, b, i/n, i%n); got != want {
						t.Fatalf("k %d, pairs %v: sum %d is %d, want %d", k, pair, i, got, want)
					}
				}
			}
		}
	})
}

var outputs = []output{
	{0, 0, 255},
	{128, 0, 255},
	{7, 7, 255},
	{255, 0, 255},
	{13, 20, 100},
	{-128, -128, 127},
	{0, -128, 127},
	{-5, -5, 90},
	{127, -128, 127},
	{3, 3, 127},
	{-100, -120, -90},
}

// wantQuantum is the definition, in float64 where that is exact.
func wantQuantum(x float32, o output) byte {
	if math.IsNaN(float64(x)) {
		return byte(o.lo)
	}
	q := math.RoundToEven(float64(x)) + float64(o.zero)
	return byte(int32(max(float64(o.lo), min(float64(o.hi), q))))
}

func wantSum(g *GemmU8S8, b []int8, i, j int) int32 {
	var sum int32
	if g.Bias != nil {
		sum = g.Bias[j]
	}
	for k := range g.K {
		sum += int32(g.A[i*g.LDA+k]) * int32(b[k*g.N+j])
	}
	return sum
}

func testGemm(t *testing.T, s *Set, r *rand.Rand, m, n, k int) {
	lda, ldc := k+r.IntN(3), n+r.IntN(3)
	if k > 3000 {
		lda = k // a multiple of 1024 in some tests
	}
	g := &GemmU8S8{M: m, N: n, K: k, LDA: lda, LDC: ldc}
	g.A = randomU8(t, r, (m-1)*lda+k+r.IntN(2)*(-k&3)) // with or without bytes after the last row that may be read
	b := randomS8(t, r, k*n)
	if r.IntN(2) == 0 {
		fitPairs(r, b, n)
	}
	g.B = guarded[int8](t, s.PackedS8(k, n))
	g.PairsFit = s.PackS8(g.B, b, k, n, n, 1)
	if r.IntN(3) > 0 {
		g.Bias = guarded[int32](t, n)
		for j := range g.Bias {
			g.Bias[j] = int32(r.IntN(1<<20) - 1<<19)
			if r.IntN(20) == 0 {
				g.Bias[j] = math.MinInt32 + r.Int32N(1000)
			}
		}
	}
	g.C32 = guarded[int32](t, (m-1)*ldc+n)
	s.GemmU8S8(g)
	sums := make([]int32, m*n)
	for i := range m {
		for j := range n {
			sums[i*n+j] = wantSum(g, b, i, j)
			if got := g.C32[i*ldc+j]; got != sums[i*n+j] {
				t.Fatalf("m %d n %d k %d: sum[%d,%d] = %d, want %d", m, n, k, i, j, got, sums[i*n+j])
			}
		}
	}
	g.C32 = nil
	for q := range 2 {
		o := outputs[r.IntN(len(outputs))]
		g.Zero, g.Lo, g.Hi = o.zero, o.lo, o.hi
		g.C = guarded[byte](t, (m-1)*ldc+n)
		g.Scale = randomScales(t, r, n, k, q == 1)
		s.GemmU8S8(g)
		for i := range m {
			for j := range n {
				want := wantQuantum(float32(float32(sums[i*n+j])*g.Scale[j]), o)
				if got := g.C[i*ldc+j]; got != want {
					t.Fatalf("m %d n %d k %d %v: [%d,%d] = %d, want %d; sum %d scale %g",
						m, n, k, o, i, j, got, want, sums[i*n+j], g.Scale[j])
				}
			}
			if i+1 < m && slices.ContainsFunc(g.C[i*ldc+n:(i+1)*ldc], func(b byte) bool { return b != 0 }) {
				t.Fatalf("m %d n %d k %d: row %d writes beyond its end", m, n, k, i)
			}
		}
	}
}

// randomScales suit sums of k products, or are powers of ten so that everything is tiny, half way, or overflows.
func randomScales(t *testing.T, r *rand.Rand, n, k int, wild bool) []float32 {
	scale := guarded[float32](t, n)
	for j := range scale {
		scale[j] = float32(r.Float64() / (1000 * math.Sqrt(float64(k+1))))
		if wild {
			scale[j] = []float32{0, 0.5, 1, 1e-10, 1e4, 3e38, 1.0 / 64}[r.IntN(7)]
		}
	}
	return scale
}

func TestGemmU8S8(t *testing.T) {
	eachSet(t, func(t *testing.T, s *Set) {
		r := rand.New(rand.NewPCG(1, 2))
		for m := 1; m <= 30; m++ {
			testGemm(t, s, r, m, 1+r.IntN(70), r.IntN(40))
			testGemm(t, s, r, m, []int{16, 32, 48, 64}[r.IntN(4)], 4*r.IntN(10))
		}
		for n := 1; n <= 66; n++ {
			testGemm(t, s, r, 1+r.IntN(20), n, r.IntN(30))
		}
		for k := range 20 {
			testGemm(t, s, r, 1+r.IntN(9), 1+r.IntN(40), k)
		}
		testGemm(t, s, r, 530, 33, 9)    // several blocks by the count of rows
		testGemm(t, s, r, 33, 5, 17001)  // and by their size
		testGemm(t, s, r, 16, 40, 66000) // sums that wrap around
		testGemm(t, s, r, 90, 18, 4096)  // rows that share cache lines
		testGemm(t, s, r, 2, 33, 3072)
	})
}

func TestPackS8Transposed(t *testing.T) {
	eachSet(t, func(t *testing.T, s *Set) {
		r := rand.New(rand.NewPCG(3, 4))
		const k, n = 13, 37
		b, bt := randomS8(t, r, k*n), make([]int8, n*k)
		for p := range k {
			for j := range n {
				bt[j*k+p] = b[p*n+j]
			}
		}
		x, y := make([]int8, s.PackedS8(k, n)), make([]int8, s.PackedS8(k, n))
		s.PackS8(x, b, k, n, n, 1)
		s.PackS8(y, bt, k, n, 1, k)
		if !slices.Equal(x, y) {
			t.Error("packing a matrix and its transposed copy differ")
		}
	})
}

func BenchmarkGemmU8S8(b *testing.B) {
	for _, s := range Available() {
		for _, d := range [][3]int{
			{784, 256, 1152},
			{196, 256, 1024},
			{49, 512, 4608},
			{3136, 64, 64},
			{3136, 24, 144},
			{12544, 16, 32},
			{196, 256, 4096},
			{1, 1000, 2048},
			{1, 4096, 4096},
		} {
			m, n, k := d[0], d[1], d[2]
			if s.Name == "generic" && m*n*k > 2e7 {
				continue
			}
			b.Run(fmt.Sprintf("%s/%dx%dx%d", s.Name, m, n, k), func(b *testing.B) {
				g := &GemmU8S8{
					M: m, N: n, K: k, A: make([]byte, m*k), LDA: k, B: make([]int8, s.PackedS8(k, n)), C: make([]byte, m*n),
					LDC: n, Scale: make([]float32, n), Bias: make([]int32, n), Hi: 255,
				}
				for b.Loop() {
					s.GemmU8S8(g)
				}
				reportMACs(b, s, m*n*k)
			})
		}
	}
}
