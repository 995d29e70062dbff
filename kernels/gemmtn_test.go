package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

func tnCases(r *rand.Rand) []GemmTNF32 {
	var list []GemmTNF32
	add := func(m, n, k, lines int) {
		g := GemmTNF32{M: m, N: n, K: k, Lines: lines, LDA: 1 + m/2, LDB: n + m%2, LDC: n + k%2, Add: (m+n)%2 == 0}
		g.ALine, g.BLine = k*g.LDA+1, k*g.LDB
		g.Images, g.AImage, g.BImage = (m+n)%4, lines*g.ALine+2, lines*g.BLine
		more := max(0, g.Images-1)
		g.A = spiked(r, more*g.AImage+(lines-1)*g.ALine+(k-1)*g.LDA+m)
		g.B = randF32(r, more*g.BImage+(lines-1)*g.BLine+(k-1)*g.LDB+n)
		g.C = randF32(r, (m-1)*g.LDC+n)
		list = append(list, g)
	}
	for m := 1; m <= 30; m++ {
		for _, n := range []int{1, 8, 15, 16, 32, 33, 47, 64} {
			add(m, n, 1+m%4, 1+n%3)
		}
	}
	for n := 1; n <= 66; n++ {
		add(5, n, 3, 2)
	}
	add(96, 64, 24, 8)
	add(60, 150, 5, 3)
	add(61, 135, 4, 2)
	return list
}

func TestGemmTNSameBits(t *testing.T) {
	eachAsm(t, func(t *testing.T, s *Set) {
		for _, g := range tnCases(rand.New(rand.NewPCG(1, 5))) {
			want := g
			want.C = append([]float32(nil), g.C...)
			genericSet.GemmTN(&want)
			g.A, g.B, g.C = guardedCopy(t, g.A), guardedCopy(t, g.B), guardedCopy(t, g.C)
			s.GemmTN(&g)
			sameBits(t, fmt.Sprintf("%d×%d, %d×%d", g.M, g.N, g.Lines, g.K), g.C, want.C)
		}
	})
}

// TestGemmTNInParts: a sum made line by line has the bits of one made at once, and is the sum.
func TestGemmTNInParts(t *testing.T) {
	for _, s := range Available() {
		r := rand.New(rand.NewPCG(2, 5))
		const m, n, k, lines = 11, 21, 6, 4
		g := GemmTNF32{M: m, N: n, K: k, Lines: lines, A: randF32(r, lines*k*m), LDA: m, ALine: k * m, B: randF32(r, lines*k*n), LDB: n, BLine: k * n, C: make([]float32, m*n), LDC: n}
		s.GemmTN(&g)
		images := g // each line an image
		images.C, images.Lines, images.Images = make([]float32, m*n), 1, lines
		images.AImage, images.BImage = g.ALine, g.BLine
		s.GemmTN(&images)
		sameBits(t, s.Name, images.C, g.C)
		part := g
		part.C, part.Lines = randF32(r, m*n), 1
		for line := range lines {
			part.A, part.B, part.Add = g.A[line*k*m:], g.B[line*k*n:], line > 0
			s.GemmTN(&part)
		}
		sameBits(t, s.Name, part.C, g.C)
		for i := range m {
			for j := range n {
				sum := 0.0
				for q := range lines * k {
					sum += float64(g.A[q*m+i]) * float64(g.B[q*n+j])
				}
				if d := math.Abs(sum - float64(g.C[i*n+j])); d > 1e-5 {
					t.Fatalf("%s: C[%d,%d] is %g, want %g", s.Name, i, j, g.C[i*n+j], sum)
				}
			}
		}
	}
}

func TestGemmTNPanicsOnShortSlice(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Fatal("no panic for a B that is too short")
		}
	}()
	genericSet.GemmTN(&GemmTNF32{M: 2, N: 2, K: 2, Lines: 1, A: make([]float32, 4), LDA: 2, B: make([]float32, 3), LDB: 2, C: make([]float32, 4), LDC: 2})
}

func TestDepthwiseGradSameBits(t *testing.T) {
	eachAsm(t, func(t *testing.T, s *Set) {
		for i, c := range rowCases() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			taps, step, size := c.taps()
			d := DepthwiseGradF32{Lines: 1, N: c.n, C: c.c, Step: step, Taps: taps, LDY: c.c + i%2, Add: i%3 == 0}
			if i%4 == 0 {
				d.Lines, d.XLine, d.YLine = 3, size/c.k, c.n*d.LDY+1
			}
			d.X = spiked(r, size+(d.Lines-1)*d.XLine)
			d.DY = randF32(r, (d.Lines-1)*d.YLine+(d.N-1)*d.LDY+d.C)
			d.DW = randF32(r, len(taps)*c.c)
			want := d
			want.DW = append([]float32(nil), d.DW...)
			genericSet.DepthwiseGrad(&want)
			d.X, d.DY, d.DW = guardedCopy(t, d.X), guardedCopy(t, d.DY), guardedCopy(t, d.DW)
			s.DepthwiseGrad(&d)
			sameBits(t, fmt.Sprintf("%+v", c), d.DW, want.DW)
		}
	})
}

func TestDepthwiseGradGeneric(t *testing.T) {
	d := DepthwiseGradF32{
		Lines: 2, N: 2, C: 2, X: []float32{1, -2, 3, 4, -5, 6, 7, 8}, XLine: 2, Step: 2, Taps: []int{0, 2},
		DY: []float32{1, 2, 3, 4, 5, 6, 7, 8}, YLine: 4, LDY: 2, DW: []float32{100, 100, 0, 0}, Add: true,
	}
	genericSet.DepthwiseGrad(&d)
	// tap 0, channel 0: 1·1+3·3 + 3·5-5·7; channel 1: -2·2+4·4 + 4·6+6·8
	sameBits(t, "DW", d.DW, []float32{90, 184, 3 - 15 - 25 + 49, 8 + 24 + 36 + 64})
}

func TestDepthwiseGradPanicsOutside(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Fatal("no panic for a tap outside X")
		}
	}()
	genericSet.DepthwiseGrad(&DepthwiseGradF32{Lines: 1, N: 2, C: 2, X: make([]float32, 5), Step: 2, Taps: []int{0, 2}, DY: make([]float32, 4), LDY: 2, DW: make([]float32, 4)})
}
