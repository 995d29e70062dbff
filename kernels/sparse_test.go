package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// sparseCase is a product with random zeros: a weight stays with the given chance, whole columns of four if height
// is 4.
type sparseCase struct {
	m, n, k, height int
	keep            float64
	padA, padC      int
	bias, res       bool
	clamp           bool
}

func (c sparseCase) weights(r *rand.Rand) []float32 {
	w, adjacent := randF32(r, c.k*c.n), 1
	if c.height == 4 {
		adjacent = 4
	}
	for n := 0; n < c.n; n += adjacent {
		for k := range c.k {
			if r.Float64() >= c.keep {
				clear(w[k*c.n+n : k*c.n+n+adjacent])
			}
		}
	}
	return w
}

// job makes the product with exact lengths.
func (c sparseCase) job(r *rand.Rand) (*SparseGemmF32, []float32) {
	w := c.weights(r)
	g := &SparseGemmF32{M: c.m, N1: c.n, LDA: c.k + c.padA, LDC: c.n + c.padC, Lo: negInf32, Hi: inf32}
	g.W = PackSparseF32(w, SparseShape{c.k, c.n, c.n, 1, c.height})
	g.A = randF32(r, max(0, (c.m-1)*g.LDA+c.k))
	g.C = randF32(r, (c.m-1)*g.LDC+c.n)
	if c.bias {
		g.Bias = randF32(r, c.n)
	}
	if c.res {
		g.LDR = c.n + 1
		g.Res = randF32(r, (c.m-1)*g.LDR+c.n)
	}
	if c.clamp {
		g.Lo, g.Hi = -0.5, 0.75
	}
	g.Work = make([]float32, g.W.Work())
	return g, w
}

var sparseCases = func() []sparseCase {
	var cases []sparseCase
	for i, m := range []int{1, 7, 8, 15, 16, 17, 33, 49, 64, 65, 130} {
		for j, n := range []int{4, 8, 28, 32, 36, 100} {
			for q, k := range []int{1, 5, 8, 24, 130} {
				h, v := 1+3*((i+j+q)%2), i+2*j+3*q
				cases = append(cases, sparseCase{m, n, k, h, 0.1 + 0.2*float64(q), v % 3, v % 4, v%2 == 0, v%5 == 0, v%3 == 0})
			}
		}
	}
	return append(cases, sparseCase{5, 7, 0, 1, 1, 0, 0, true, true, true}, sparseCase{70, 33, 300, 1, 0, 0, 0, true, false, true},
		sparseCase{49, 40, 960, 1, 0.01, 0, 0, false, true, true}, sparseCase{49, 40, 960, 4, 0.01, 0, 0, true, true, true})
}()

// TestSparseSameBits compares all sets with the dense product of the generic one: for finite numbers the same bits.
func TestSparseSameBits(t *testing.T) {
	for i, c := range sparseCases {
		if testing.Short() && c.m*c.n*c.k > 2e5 {
			continue
		}
		var want []float32
		for _, s := range Available() {
			g, w := c.job(rand.New(rand.NewPCG(uint64(i), 7)))
			if want == nil {
				want = denseTwin(g, w)
			}
			s.SparseGemm(g)
			sameBits(t, fmt.Sprintf("%s %+v", s.Name, c), g.C, want)
		}
	}
}

// denseTwin is the same product with its zeros.
func denseTwin(g *SparseGemmF32, w []float32) []float32 {
	s, k, n := genericSet, g.W.K, g.W.N
	d := GemmF32{
		M: g.M, N: n, K: k, A: g.A, LDA: g.LDA, B: make([]float32, s.PackedF32(k, n)), C: append([]float32(nil), g.C...),
		LDC: g.LDC, Bias: g.Bias, Res: g.Res, LDR: g.LDR, Lo: g.Lo, Hi: g.Hi,
	}
	s.PackF32(d.B, w, k, n, n, 1)
	s.Gemm(&d)
	return d.C
}

// TestSparseNotFinite: infinities and NaN, also in A, give the same in all sets; they spread along the entries only.
func TestSparseNotFinite(t *testing.T) {
	for _, height := range []int{1, 4} {
		c := sparseCase{49, 36, 200, height, 0.2, 0, 0, true, true, true}
		var want []float32
		for _, s := range Available() {
			g, w := c.job(rand.New(rand.NewPCG(3, 3)))
			g.A[5*g.LDA+11], g.A[6*g.LDA+150], g.A[48*g.LDA+3] = float32(math.NaN()), inf32, negInf32
			g.A[7*g.LDA] = -0x1p-149
			s.SparseGemm(g)
			if want == nil {
				want = g.C
				for n := range c.n {
					if got := math.IsNaN(float64(g.C[5*g.LDC+n])); got != (w[11*c.n+n] != 0) {
						t.Errorf("height %d: C[5,%d] is NaN: %v, weight %g", height, n, got, w[11*c.n+n])
					}
				}
			}
			sameBits(t, fmt.Sprintf("%s height %d", s.Name, height), g.C, want)
		}
	}
}

// TestSparseInParts splits rows and columns, and adds onto C itself.
func TestSparseInParts(t *testing.T) {
	for i, s := range append(Available(), Available()...) {
		c := sparseCase{m: 150, n: 100, k: 110, height: 1, keep: 0.2, bias: true, res: true, clamp: true}
		if i >= len(Available()) {
			c.height = SparseLanes
		}
		whole, _ := c.job(rand.New(rand.NewPCG(8, 8)))
		whole.Res, whole.LDR = append([]float32(nil), whole.C...), whole.LDC
		parts := *whole
		parts.C = append([]float32(nil), whole.C...)
		s.SparseGemm(whole)
		for m0 := 0; m0 < c.m; m0 += 70 {
			for n0 := 0; n0 < c.n; n0 += 2 * SparseChunk {
				g := parts
				g.M, g.N0, g.N1 = min(70, c.m-m0), n0, min(n0+2*SparseChunk, c.n)
				g.A, g.C = parts.A[m0*g.LDA:], parts.C[m0*g.LDC:]
				g.Res, g.LDR = g.C, g.LDC
				s.SparseGemm(&g)
			}
		}
		sameBits(t, s.Name+" in parts", parts.C, whole.C)
	}
}

// TestSparseBounds runs on slices that end where memory ends.
func TestSparseBounds(t *testing.T) {
	eachAsm(t, func(t *testing.T, s *Set) {
		for i, c := range append(sparseCases, laneCases...) {
			if i%3 != 0 {
				continue
			}
			g, _ := c.job(rand.New(rand.NewPCG(1, 2)))
			g.A, g.C, g.Bias = guardedCopy(t, g.A), guardedCopy(t, g.C), guardedCopy(t, g.Bias)
			g.Res, g.Work = guardedCopy(t, g.Res), guardedCopy(t, g.Work)
			w := *g.W
			w.rows, w.idx, w.val = guardedCopy(t, w.rows), guardedCopy(t, w.idx), guardedCopy(t, w.val)
			if l := w.lanes; l != nil {
				w.lanes = &laneMatrix{l.first, guardedCopy(t, l.head), guardedCopy(t, l.idx), guardedCopy(t, l.val)}
			}
			g.W = &w
			s.SparseGemm(g)
		}
	})
}

func TestSparsePanicsOnShortSlice(t *testing.T) {
	g, _ := sparseCase{m: 3, n: 8, k: 5, height: 1, keep: 1}.job(rand.New(rand.NewPCG(1, 1)))
	g.C = g.C[1:]
	defer func() {
		if recover() == nil {
			t.Fatal("no panic for a C that is too short")
		}
	}()
	genericSet.SparseGemm(g)
}

// TestPackSparse: the packed form has what it should and is small.
func TestPackSparse(t *testing.T) {
	c := sparseCase{k: 960, n: 320, height: 1, keep: 0.2}
	src := c.weights(rand.New(rand.NewPCG(4, 4)))
	count := 0
	for _, v := range src {
		if v != 0 {
			count++
		}
	}
	w := PackSparseF32(src, SparseShape{c.k, c.n, c.n, 1, 1})
	if w.Entries != count {
		t.Errorf("%d entries, want %d", w.Entries, count)
	}
	if w.Bytes() > c.k*c.n*4*35/100 {
		t.Errorf("%d bytes for %d elements with %d weights", w.Bytes(), c.k*c.n, count)
	}
}
