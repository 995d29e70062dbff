package kernels

import (
	"fmt"
	"math"
)

// GemmF32 is C = clamp(A·B + Bias + Res, Lo, Hi). Every element is one FMA chain over k from +0, then the bias is
// added, then the residual, then values below Lo become Lo and above Hi become Hi; a NaN stays a NaN. Last, what lies
// where the gate is closed becomes zero.
type GemmF32 struct {
	M, N, K int
	A       []float32 // M×K, row stride LDA ≥ K
	LDA     int
	B       []float32 // packed by the same set's PackF32
	C       []float32 // M×N, row stride LDC ≥ N; must not overlap A, B or Bias; may be Res
	LDC     int
	Bias    []float32 // nil or N
	Res     []float32 // nil or M×N, row stride LDR
	Gate    Gate      // nil or M×N, row stride LDR; must not overlap C
	LDR     int       // of Res and Gate
	Lo, Hi  float32   // -Inf, +Inf: no clamp
}

// Gate lets a gradient pass where an activation's result Of lies inside its bounds: for a Relu that is zero and a NaN,
// which bounds nothing. It is open where Of > Lo and not Of ≥ Hi. Of nil: always open.
type Gate struct {
	Of     []float32
	Lo, Hi float32
}

// From is the gate without its first n elements.
func (g Gate) From(n int) Gate {
	if g.Of != nil {
		g.Of = g.Of[n:]
	}
	return g
}

func (g Gate) pass(x float32, i int) float32 {
	if g.Of != nil && (!(g.Of[i] > g.Lo) || g.Of[i] >= g.Hi) {
		return 0
	}
	return x
}

// PackedF32 returns the length of the packed form of a k×n matrix: panels of NR columns, the last zero padded.
func (s *Set) PackedF32(k, n int) int { return (n + s.NR - 1) / s.NR * s.NR * k }

// PackF32 packs the k×n matrix whose element (k, n) is src[k·rs + n·cs] into dst, of PackedF32 elements, as
// [panel][k][NR]. To slice the columns from n0 on, a multiple of NR, of a packed matrix take dst[n0·k:].
func (s *Set) PackF32(dst, src []float32, k, n, rs, cs int) {
	nr := s.NR
	for j := 0; j < n; j += nr {
		panel := dst[j*k : (j+nr)*k]
		w := min(nr, n-j)
		if w < nr {
			clear(panel)
		}
		p := packShape{nr, k, w, rs, cs, 0}
		from := src[min(j*cs, len(src)):]
		if rs == 1 && w >= 8 && k >= 8 { // the transposed matrix: whole blocks by the fast transpose
			p.k0 = k / 8 * 8
			s.transposeF32(panel, nr, from, cs, w/8*8, p.k0)
			packPanel(panel, from[min(w/8*8*cs, len(from)):], packShape{nr, p.k0, w % 8, rs, cs, 0}, w/8*8)
		}
		packPanel(panel, from, p, 0)
	}
}

// packShape is w columns of rows k0 to k of a panel.
type packShape struct{ nr, k, w, rs, cs, k0 int }

// packPanel fills the columns from first on.
func packPanel(dst, src []float32, p packShape, first int) {
	if p.cs == 1 {
		for i := p.k0; i < p.k; i++ {
			copy(dst[i*p.nr+first:i*p.nr+first+p.w], src[i*p.rs:i*p.rs+p.w])
		}
		return
	}
	const block = 64 // rows of the panel that stay in the first-level cache while its columns pass
	for i0 := p.k0; i0 < p.k; i0 += block {
		i1 := min(i0+block, p.k)
		for j := range p.w {
			for i := i0; i < i1; i++ {
				dst[i*p.nr+first+j] = src[i*p.rs+j*p.cs]
			}
		}
	}
}

// Gemm computes g on the calling goroutine. Callers split the work by rows (slicing A, C and Res) or by multiples of
// NR columns (slicing B, C, Bias and Res); neither changes a bit. It panics when a slice is too short.
func (s *Set) Gemm(g *GemmF32) {
	if g.M <= 0 || g.N <= 0 {
		return
	}
	g.check(s)
	s.gemm(s, g)
}

func (g *GemmF32) check(s *Set) {
	need := func(name string, have, rows, cols, stride int) {
		if want := (rows-1)*stride + cols; have < want || stride < cols {
			panic(fmt.Sprintf("kernels: Gemm: %s holds %d elements with stride %d, want %d×%d", name, have, stride, rows, cols))
		}
	}
	if g.K > 0 {
		need("A", len(g.A), g.M, g.K, g.LDA)
		need("B", len(g.B), 1, s.PackedF32(g.K, g.N), s.PackedF32(g.K, g.N))
	}
	need("C", len(g.C), g.M, g.N, g.LDC)
	if g.Bias != nil {
		need("Bias", len(g.Bias), 1, g.N, g.N)
	}
	if g.Res != nil {
		need("Res", len(g.Res), g.M, g.N, g.LDR)
	}
	if g.Gate.Of != nil {
		need("Gate", len(g.Gate.Of), g.M, g.N, g.LDR)
	}
}

// gemmGeneric is the definition of Gemm: its loops spell out the order of every operation.
func gemmGeneric(s *Set, g *GemmF32) {
	const nr = 16
	for j := 0; j < g.N; j += nr {
		panel := g.B[min(j*g.K, len(g.B)):]
		for i := range g.M {
			var acc [nr]float32
			for k := range g.K {
				a, b := g.A[i*g.LDA+k], (*[nr]float32)(panel[k*nr:])
				for v := range acc {
					acc[v] = FMA32(a, b[v], acc[v])
				}
			}
			for v := range min(nr, g.N-j) {
				x := acc[v]
				if g.Bias != nil {
					x += g.Bias[j+v]
				}
				if g.Res != nil {
					x += g.Res[i*g.LDR+j+v]
				}
				x = clampF32(x, g.Lo, g.Hi)
				g.C[i*g.LDC+j+v] = g.Gate.pass(x, i*g.LDR+j+v)
			}
		}
	}
}

// clampF32 is the one clamp of this package: NaN passes, and so does -0 at a bound of +0.
func clampF32(x, lo, hi float32) float32 {
	if x < lo {
		x = lo
	}
	if x > hi {
		x = hi
	}
	return x
}

var (
	inf32    = float32(math.Inf(1))
	negInf32 = float32(math.Inf(-1))
)
