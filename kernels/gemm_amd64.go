//go:build amd64 && !noasm

package kernels

import (
	"sync"
	"unsafe"
)

// f32Tile is the argument of a tile kernel; kernels/gen/float/gemm.go knows its offsets. Strides are in bytes.
type f32Tile struct {
	a              *float32
	lda            uintptr
	b              *float32
	ldb            uintptr // between adjacent panels
	k              uintptr // of each tap
	c              *float32
	ldc            uintptr
	bias, res      *float32
	ldr            uintptr
	lo, hi         float32
	mask           uint64   // columns of the last panel that exist, AVX-512
	load, last     uint64   // start from C; add bias and residual and clamp
	lanes          *int32   // the same mask for AVX2, one int32 for each column
	taps           *int     // offsets from a where k consecutive elements of each row start, at least one
	tapsEnd        uintptr  // address after the last tap; taps keeps it alive
	gate           *float32 // row stride ldr
	gateLo, gateHi float32
}

// setTaps lets the tile read its rows at these offsets.
func (t *f32Tile) setTaps(taps []int) {
	t.taps = &taps[0]
	t.tapsEnd = uintptr(unsafe.Pointer(t.taps)) + 8*uintptr(len(taps))
}

// oneTap is the rows of a plain product.
var oneTap = []int{0}

// gemmKernels holds the kernel for m rows and 2^p adjacent panels at [p][m], and at [halfPanel][m] the one for at most
// half the columns of one panel, where a set has it.
type gemmKernels [4][]func(*f32Tile)

const halfPanel = 3

const (
	gemmKC      = 2048      // most k of one pass, so that a panel's share (256 KiB) leaves room for A in the L2 cache
	gemmABytes  = 448 << 10 // of A that stays in the L2 cache while all panels pass
	gemmAliased = 512       // row strides that are multiples of this share two sets of the L1 cache
	gemmPad     = 16
)

// gemmRun is one call's state. It is pooled: its tile escapes through the kernel table.
type gemmRun struct {
	tile    f32Tile
	s       *Set
	g       *GemmF32
	a       []float32 // the rows in work: g.A or a copy in buf, from column k0 on
	lda     int
	k0, kc  int
	i0      int // first row of the block in work
	copyBuf []float32
}

var gemmPool = sync.Pool{New: func() any { return new(gemmRun) }}

// gemmAsm blocks k and the rows, and hands the tiles of each block to the kernels.
func gemmAsm(s *Set, g *GemmF32) {
	r := gemmPool.Get().(*gemmRun)
	r.s, r.g = s, g
	r.tile = f32Tile{
		lda: 4 * uintptr(g.LDA), ldb: 4 * uintptr(g.K*s.NR), ldc: 4 * uintptr(g.LDC), ldr: 4 * uintptr(g.LDR),
		lo: g.Lo, hi: g.Hi, gateLo: g.Gate.Lo, gateHi: g.Gate.Hi,
	}
	r.tile.setTaps(oneTap)
	passes := max(1, (g.K+gemmKC-1)/gemmKC)
	if overlap(g.C, g.Res) {
		passes = 1 // a partial sum would overwrite the residual
	}
	kc := (g.K + passes - 1) / passes
	tiles := (g.M + s.MR - 1) / s.MR
	perBlock := max(1, gemmABytes/(4*max(1, kc)*s.MR))
	for t := 0; t < tiles; t += perBlock {
		end := min(t+perBlock, tiles)
		for r.k0 = 0; r.k0 == 0 || r.k0 < g.K; r.k0 += kc {
			r.kc = min(kc, g.K-r.k0)
			r.block(g.M*t/tiles, g.M*end/tiles, end-t)
			if kc == 0 {
				break
			}
		}
	}
	r.tile, r.g, r.a = f32Tile{}, nil, nil
	gemmPool.Put(r)
}

func overlap(a, b []float32) bool {
	if len(a) == 0 || len(b) == 0 {
		return false
	}
	a0, b0 := uintptr(unsafe.Pointer(&a[0])), uintptr(unsafe.Pointer(&b[0]))
	return a0 < b0+4*uintptr(len(b)) && b0 < a0+4*uintptr(len(a))
}

// block computes rows i0 to i1 in the given number of tiles, over the current k, for all columns.
func (r *gemmRun) block(i0, i1, tiles int) {
	g, t := r.g, &r.tile
	t.k, t.load, t.last = uintptr(r.kc), 0, 0
	if r.k0 > 0 {
		t.load = 1
	}
	if r.k0+r.kc >= g.K {
		t.last = 1
	}
	r.i0 = i0
	r.chooseRows(i0, i1)
	panels := (g.N + r.s.NR - 1) / r.s.NR
	for j, p := 0, 0; j < panels; j += 1 << p {
		for p = 2; p > 0 && (len(r.s.tiles[p]) <= i1-i0 || j+1<<p > panels); p-- {
		}
		r.column(j, p, i1-i0, tiles)
	}
}

// chooseRows points a at rows i0 to i1 of A. Where rows alias in the L1 cache and several panels will read them, it
// copies them to rows that do not.
func (r *gemmRun) chooseRows(i0, i1 int) {
	g := r.g
	if g.K == 0 {
		return
	}
	r.a, r.lda = g.A[i0*g.LDA+r.k0:], g.LDA
	if g.LDA%gemmAliased == 0 && i1-i0 > 6 && g.N > 2*r.s.NR {
		r.lda = (r.kc+15)/16*16 + gemmPad
		if n := (i1 - i0) * r.lda; cap(r.copyBuf) < n {
			r.copyBuf = make([]float32, n)
		}
		dst := r.copyBuf[:cap(r.copyBuf)]
		for i := range i1 - i0 {
			copy(dst[i*r.lda:i*r.lda+r.kc], r.a[i*g.LDA:])
		}
		r.a = dst
	}
	r.tile.lda = 4 * uintptr(r.lda)
}

// column computes 2^p panels from panel j on, for all rows of the block.
func (r *gemmRun) column(j, p, rows, tiles int) {
	g, t, nr := r.g, &r.tile, r.s.NR
	n0 := j * nr
	cols := min(nr, g.N-(j+1<<p-1)*nr) // of the last panel
	t.mask, t.lanes = 1<<cols-1, &laneMask[32-cols]
	if g.K > 0 {
		t.b = &g.B[n0*g.K+r.k0*nr]
	}
	t.bias = nil
	if g.Bias != nil {
		t.bias = &g.Bias[n0]
	}
	if p == 0 && 2*cols <= nr && len(r.s.tiles[halfPanel]) > 0 {
		p = halfPanel
	}
	for q := range tiles {
		lo, hi := rows*q/tiles, rows*(q+1)/tiles
		if g.K > 0 {
			t.a = &r.a[lo*r.lda]
		}
		i := r.i0 + lo
		t.c = &g.C[i*g.LDC+n0]
		t.res = nil
		if g.Res != nil {
			t.res = &g.Res[i*g.LDR+n0]
		}
		t.gate = nil
		if g.Gate.Of != nil {
			t.gate = &g.Gate.Of[i*g.LDR+n0]
		}
		r.s.tiles[p][hi-lo](t)
	}
}

// laneMask[32-n:] starts with n lanes on, then 32 off: the AVX2 masks for n ≤ 32 columns.
var laneMask = func() (m [64]int32) {
	for i := range 32 {
		m[i] = -1
	}
	return m
}()

var _ = [1]int{}[unsafe.Sizeof(f32Tile{})-152] // offsets are fixed in kernels/gen/float/gemm.go
