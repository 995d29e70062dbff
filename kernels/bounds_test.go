package kernels

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// guardedCopy returns x where reading or writing past its end is a fault.
func guardedCopy[T any](t *testing.T, x []T) []T {
	if x == nil {
		return nil
	}
	g := guarded[T](t, len(x))
	copy(g, x)
	return g
}

// TestBounds runs every float kernel on slices that end where memory ends.
func TestBounds(t *testing.T) {
	eachAsm(t, func(t *testing.T, s *Set) {
		r := rand.New(rand.NewPCG(3, 4))
		for _, n := range []int{1, 3, 8, 15, 16, 17, 31, 33, 130} {
			boundsVector(t, s, r, n)
			for _, m := range []int{1, 2, 3, 5, 7, 13, 14, 15} {
				boundsGemm(t, s, r, [3]int{m, n, 9})
				boundsRows(t, s, r, m, n)
				x, y := guarded[float32](t, m*n), guarded[float32](t, m*n)
				s.Transpose2D(y, x, m, n)
				s.Transpose2DU8(guarded[byte](t, m*n), guarded[byte](t, m*n), m, n)
				s.PackF32(guarded[float32](t, s.PackedF32(m, n)), x, m, n, n, 1)
				s.PackF32(guarded[float32](t, s.PackedF32(m, n)), x, m, n, 1, m)
			}
		}
		boundsGemm(t, s, r, [3]int{9, 70, 1024}) // rows that are copied
	})
}

func boundsVector(t *testing.T, s *Set, r *rand.Rand, n int) {
	v := vectorInputs{guardedCopy(t, randF32(r, n)), guardedCopy(t, randF32(r, n)), guardedCopy(t, randF32(r, n)), 1, 2}
	dst := guarded[float32](t, n)
	for _, op := range vectorOps {
		op.run(s, dst, v)
	}
}

func boundsGemm(t *testing.T, s *Set, r *rand.Rand, d [3]int) {
	m, n, k := d[0], d[1], d[2]
	g := GemmF32{M: m, N: n, K: k, LDA: k, LDC: n + 1, LDR: n, Lo: 0, Hi: 6}
	g.A, g.Bias = guardedCopy(t, randF32(r, m*k)), guardedCopy(t, randF32(r, n))
	g.Res, g.C = guardedCopy(t, randF32(r, m*n)), guarded[float32](t, (m-1)*g.LDC+n)
	g.B, g.Gate.Of = guarded[float32](t, s.PackedF32(k, n)), guardedCopy(t, g.Res)
	s.Gemm(&g)
}

func boundsRows(t *testing.T, s *Set, r *rand.Rand, n, c int) {
	shape := rowCase{n, c, 3, 1, 0}
	taps, step, size := shape.taps()
	x, y := guardedCopy(t, randF32(r, size)), guarded[float32](t, n*c)
	for _, used := range [][]int{taps, taps[:4]} {
		s.Depthwise(&DepthwiseF32{
			N: n, C: c, X: x, Step: step, Taps: used, W: guarded[float32](t, len(used)*c), Bias: guarded[float32](t, c),
			Y: y, LDY: c,
		})
	}
	s.MaxRows(y, n, c, x, step, taps)
	s.SumRows(y, n, c, x, step, taps)
	grad := PoolGrad{N: n, C: c, DY: y, X: x, DX: guardedCopy(t, x), Step: step, Taps: taps, Window: 9}
	s.MaxPoolGrad(&grad)
	s.AddPoolGrad(&grad)
}

// TestGemmSplit computes a product in parts, as threads do, and wants the same bits.
func TestGemmSplit(t *testing.T) {
	for _, s := range Available() {
		r := rand.New(rand.NewPCG(8, 8))
		const m, n, k = 23, 150, 70
		whole := GemmF32{M: m, N: n, K: k, A: randF32(r, m*k), LDA: k, C: make([]float32, m*n), LDC: n, Bias: randF32(r, n), Res: randF32(r, m*n), LDR: n, Lo: -3, Hi: 9}
		whole.B = make([]float32, s.PackedF32(k, n))
		s.PackF32(whole.B, randF32(r, k*n), k, n, n, 1)
		s.Gemm(&whole)
		parts := whole
		parts.C = make([]float32, m*n)
		for i0 := 0; i0 < m; i0 += 9 {
			for j0 := 0; j0 < n; j0 += 2 * s.NR {
				g := parts
				g.M, g.N = min(9, m-i0), min(2*s.NR, n-j0)
				g.A, g.B = whole.A[i0*k:], whole.B[j0*k:]
				g.C, g.Res, g.Bias = parts.C[i0*n+j0:], whole.Res[i0*n+j0:], whole.Bias[j0:]
				s.Gemm(&g)
			}
		}
		sameBits(t, fmt.Sprintf("%s in parts", s.Name), parts.C, whole.C)
	}
}

// TestGemmResidualInPlace adds onto C itself, with more k than one pass takes.
func TestGemmResidualInPlace(t *testing.T) {
	eachAsm(t, func(t *testing.T, s *Set) {
		const m, n, k = 3, 40, 4500
		run := func(s *Set) []float32 {
			r := rand.New(rand.NewPCG(8, 9))
			g := GemmF32{M: m, N: n, K: k, A: randF32(r, m*k), LDA: k, C: randF32(r, m*n), LDC: n, LDR: n, Lo: negInf32, Hi: inf32}
			g.Res = g.C
			g.B = make([]float32, s.PackedF32(k, n))
			s.PackF32(g.B, randF32(r, k*n), k, n, n, 1)
			s.Gemm(&g)
			return g.C
		}
		sameBits(t, "C + A·B", run(s), run(genericSet))
	})
}
