package kernels

import "fmt"

// GemmTNF32 is C = Aᵀ·B, where A and B are read in place, line by line of K rows, of one image or several. Every element
// is one FMA chain over the images, the lines of each and their K rows, from +0, or from C where Add is set: a sum may be
// made in several calls.
type GemmTNF32 struct {
	M, N, K, Lines int
	Images         int       // 0 means 1
	A              []float32 // rows of M elements
	LDA, ALine     int       // elements of A between neighbouring rows (may be less than M: rows overlap) and lines
	AImage, BImage int       // elements of A and B between neighbouring images
	B              []float32 // rows of N elements
	LDB, BLine     int
	C              []float32 // M×N, row stride LDC ≥ N; must not overlap A or B
	LDC            int
	Add            bool
}

// GemmTN computes g on the calling goroutine. Callers split the work by rows or columns of C; neither changes a bit. It
// panics when a slice is too short.
func (s *Set) GemmTN(g *GemmTNF32) {
	if g.M <= 0 || g.N <= 0 {
		return
	}
	if g.K <= 0 || g.Lines <= 0 {
		panic(fmt.Sprintf("kernels: GemmTN: %d lines of %d rows, want at least 1", g.Lines, g.K))
	}
	last := func(ld, line, image, n int) int {
		return max(0, g.Images-1)*image + (g.Lines-1)*line + (g.K-1)*ld + n
	}
	if min(g.LDA, g.LDB, g.ALine, g.BLine, g.AImage, g.BImage) < 0 ||
		len(g.A) < last(g.LDA, g.ALine, g.AImage, g.M) || len(g.B) < last(g.LDB, g.BLine, g.BImage, g.N) ||
		len(g.C) < (g.M-1)*g.LDC+g.N || g.LDC < g.N {
		panic(fmt.Sprintf("kernels: GemmTN: A %d (%d, %d apart), B %d (%d, %d apart), C %d (%d apart) do not fit %d images (%d, %d apart) of %d lines of %d rows of %d×%d",
			len(g.A), g.LDA, g.ALine, len(g.B), g.LDB, g.BLine, len(g.C), g.LDC, g.Images, g.AImage, g.BImage, g.Lines, g.K, g.M, g.N))
	}
	s.gemmTN(s, g)
}

// gemmTNGeneric is the definition of GemmTN.
func gemmTNGeneric(_ *Set, g *GemmTNF32) {
	if !g.Add {
		for i := range g.M {
			clear(g.C[i*g.LDC:][:g.N])
		}
	}
	for line := range max(1, g.Images) * g.Lines {
		image, line := line/g.Lines, line%g.Lines
		for k := range g.K {
			a, b := g.A[image*g.AImage+line*g.ALine+k*g.LDA:][:g.M], g.B[image*g.BImage+line*g.BLine+k*g.LDB:][:g.N]
			for i, x := range a {
				c := g.C[i*g.LDC:][:g.N]
				for j, y := range b {
					c[j] = FMA32(x, y, c[j])
				}
			}
		}
	}
}

// DepthwiseGradF32 is the gradient by the weights of a depthwise convolution over channels-last data whose padding is
// in place: DW[t,c] is one FMA chain over the lines and the N pixels of each, of X[tap t + line·XLine + i·Step + c] ·
// DY[line·YLine + i·LDY + c], from +0, or from DW where Add is set.
type DepthwiseGradF32 struct {
	Lines, N, C int
	X           []float32
	XLine, Step int   // elements of X between the inputs of neighbouring lines and outputs
	Taps        []int // element offset in X of each tap for pixel 0 of line 0
	DY          []float32
	YLine, LDY  int
	DW          []float32 // [tap][C]
	Add         bool
}

// DepthwiseGrad computes d on the calling goroutine. It panics when a slice is too short.
func (s *Set) DepthwiseGrad(d *DepthwiseGradF32) {
	if len(d.Taps) == 0 || d.C <= 0 {
		return
	}
	if d.Lines <= 0 || d.N <= 0 {
		panic(fmt.Sprintf("kernels: DepthwiseGrad: %d lines of %d pixels, want at least 1", d.Lines, d.N))
	}
	last := (d.Lines-1)*d.XLine + (d.N-1)*d.Step + d.C
	bad := min(d.XLine, d.Step, d.YLine, d.LDY) < 0 || len(d.DW) < len(d.Taps)*d.C || len(d.DY) < (d.Lines-1)*d.YLine+(d.N-1)*d.LDY+d.C
	for _, tap := range d.Taps {
		bad = bad || tap < 0 || tap+last > len(d.X)
	}
	if bad {
		panic(fmt.Sprintf("kernels: DepthwiseGrad: X %d (%d, %d apart), DY %d (%d, %d apart), DW %d do not fit taps %v of %d×%d×%d",
			len(d.X), d.XLine, d.Step, len(d.DY), d.YLine, d.LDY, len(d.DW), d.Taps, d.Lines, d.N, d.C))
	}
	s.depthGrad(d)
}

// depthGradGeneric is the definition of DepthwiseGrad.
func depthGradGeneric(d *DepthwiseGradF32) {
	if !d.Add {
		clear(d.DW[:len(d.Taps)*d.C])
	}
	for line := range d.Lines {
		for i := range d.N {
			dy := d.DY[line*d.YLine+i*d.LDY:][:d.C]
			for t, tap := range d.Taps {
				x, dw := d.X[tap+line*d.XLine+i*d.Step:][:d.C], d.DW[t*d.C:][:d.C]
				for c, v := range dy {
					dw[c] = FMA32(x[c], v, dw[c])
				}
			}
		}
	}
}
