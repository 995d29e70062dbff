//go:build amd64 && !noasm

package kernels

import (
	"sync"
	"unsafe"
)

// tnTile is the argument of a kernel of GemmTN; kernels/gen/float/grad.go knows its offsets. Strides are in bytes.
type tnTile struct {
	a          *float32
	lda, aLine uintptr
	b          *float32
	ldb, bLine uintptr
	k, lines   int
	c          *float32
	ldc        uintptr
	mask       uint64 // of the columns, AVX-512
	lanes      *int32 // the same, AVX2
	start      uint64 // from zero instead of C
	images     int    // the kernel counts them down
	aImage     uintptr
	bImage     uintptr
	_          [2]uintptr // the kernel uses them
}

// tnKernels holds at [v][m] the kernel for m columns of A and v+1 vectors of columns of B.
type tnKernels [2][]func(*tnTile)

// depthGradTile is the argument of a kernel of DepthwiseGrad.
type depthGradTile struct {
	taps         *int
	x            *float32
	step, xLine  uintptr
	y            *float32
	yStep, yLine uintptr
	n, lines     int
	w            *float32
	wStride      uintptr
	c            int // the kernel counts it down
	mask         uint64
	lanes        *int32
	start        uint64
	_            [5]uintptr // the kernel uses them
}

// depthGradKernels holds the kernel for n taps at [n].
type depthGradKernels []func(*depthGradTile)

// Offsets are fixed in kernels/gen/float/grad.go.
var (
	_ = [1]int{}[unsafe.Sizeof(tnTile{})-144]
	_ = [1]int{}[unsafe.Sizeof(depthGradTile{})-160]
)

var (
	tnPool        = sync.Pool{New: func() any { return new(tnRun) }}
	depthGradPool = sync.Pool{New: func() any { return new(depthGradTile) }}
)

// tnRun is one call's state, pooled as its tile escapes through the kernel table.
type tnRun struct {
	tile tnTile
	buf  []float32 // copied columns of B
}

// Rows of B that are far apart share few sets of the caches. Where the kernels read them often they are copied.
const (
	tnFar   = 128 // elements
	tnOften = 56  // columns of A
)

// gemmTNAsm gives each kernel a block of C that fits the registers and lets all rows pass it. lanes is how many
// columns a vector has.
func gemmTNAsm(kernels *tnKernels, lanes int) func(s *Set, g *GemmTNF32) {
	return func(_ *Set, g *GemmTNF32) {
		r := tnPool.Get().(*tnRun)
		t := &r.tile
		*t = tnTile{
			lda: 4 * uintptr(g.LDA), aLine: 4 * uintptr(g.ALine), ldb: 4 * uintptr(g.LDB), bLine: 4 * uintptr(g.BLine),
			k: g.K, lines: g.Lines, ldc: 4 * uintptr(g.LDC), start: 1, aImage: 4 * uintptr(g.AImage), bImage: 4 * uintptr(g.BImage),
		}
		if g.Add {
			t.start = 0
		}
		for j := 0; j < g.N; {
			cols, wide := 2*lanes, 1
			if g.N-j < cols {
				cols, wide = min(lanes, g.N-j), 0
			}
			t.mask, t.lanes, t.b = 1<<cols-1, &laneMask[32-cols], &g.B[j]
			if g.LDB >= tnFar && g.M >= tnOften {
				r.copyColumns(g, j, cols)
			}
			list := kernels[wide]
			tiles := (g.M + len(list) - 2) / (len(list) - 1)
			for q := range tiles {
				lo, hi := g.M*q/tiles, g.M*(q+1)/tiles
				t.a, t.c, t.images = &g.A[lo], &g.C[lo*g.LDC+j], max(1, g.Images)
				list[hi-lo](t)
			}
			j += cols
		}
		*t = tnTile{}
		tnPool.Put(r)
	}
}

// copyColumns points the tile at a copy of some columns of B whose rows follow one another.
func (r *tnRun) copyColumns(g *GemmTNF32, j, cols int) {
	images := max(1, g.Images)
	if n := images * g.Lines * g.K * cols; cap(r.buf) < n {
		r.buf = make([]float32, n)
	}
	dst := r.buf[:cap(r.buf)]
	at := 0
	for image := range images {
		for line := range g.Lines {
			for k := range g.K {
				copy(dst[at:at+cols], g.B[image*g.BImage+line*g.BLine+k*g.LDB+j:])
				at += cols
			}
		}
	}
	t := &r.tile
	t.b, t.ldb = &dst[0], 4*uintptr(cols)
	t.bLine = t.ldb * uintptr(g.K)
	t.bImage = t.bLine * uintptr(g.Lines)
}

func depthGradAsm(kernels depthGradKernels, lanes int) func(d *DepthwiseGradF32) {
	return func(d *DepthwiseGradF32) {
		t := depthGradPool.Get().(*depthGradTile)
		most := len(kernels) - 1
		calls := (len(d.Taps) + most - 1) / most
		for i := range calls {
			lo, hi := len(d.Taps)*i/calls, len(d.Taps)*(i+1)/calls
			*t = depthGradTile{
				taps: &d.Taps[lo], x: &d.X[0], step: 4 * uintptr(d.Step), xLine: 4 * uintptr(d.XLine),
				y: &d.DY[0], yStep: 4 * uintptr(d.LDY), yLine: 4 * uintptr(d.YLine), n: d.N, lines: d.Lines,
				w: &d.DW[lo*d.C], wStride: 4 * uintptr(d.C), c: d.C, start: 1,
				mask: 1<<(d.C%lanes) - 1, lanes: &laneMask[32-d.C%lanes],
			}
			if d.Add {
				t.start = 0
			}
			kernels[hi-lo](t)
		}
		*t = depthGradTile{}
		depthGradPool.Put(t)
	}
}

var (
	convsAVX2   = convTable{conv: convAsm, gemmTN: gemmTNAsm(&gemmTNAVX2, 8), depthGrad: depthGradAsm(depthGradAVX2, 8)}
	convsAVX512 = convTable{conv: convAsm, gemmTN: gemmTNAsm(&gemmTNAVX512, 16), depthGrad: depthGradAsm(depthGradAVX512, 16)}
)
