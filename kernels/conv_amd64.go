//go:build amd64 && !noasm

package kernels

import (
	"sync"
	"unsafe"
)

// convRun is one call's state. It is pooled: its tile escapes through the kernel table.
type convRun struct {
	tile f32Tile
	s    *Set
	c    *ConvF32
	k    int // rows of the packed weights
	k0   int // rows before the taps of this pass
}

var convPool = sync.Pool{New: func() any { return new(convRun) }}

// convAsm blocks the taps so that a panel's share stays in the cache while all lines pass it.
func convAsm(s *Set, c *ConvF32) {
	r := convPool.Get().(*convRun)
	r.s, r.c, r.k = s, c, len(c.Taps)*c.Run
	r.tile = f32Tile{
		lda: 4 * uintptr(c.XPixel), ldb: 4 * uintptr(r.k*s.NR), k: uintptr(c.Run),
		ldc: 4 * uintptr(c.YPixel), ldr: 4 * uintptr(c.YPixel), lo: c.Lo, hi: c.Hi,
		gateLo: c.Gate.Lo, gateHi: c.Gate.Hi,
	}
	per := max(1, gemmKC/c.Run)
	if overlap(c.Y, c.Res) {
		per = len(c.Taps) // a partial sum would overwrite the residual
	}
	passes := (len(c.Taps) + per - 1) / per
	for p := range passes {
		t0, t1 := len(c.Taps)*p/passes, len(c.Taps)*(p+1)/passes
		r.k0 = t0 * c.Run
		r.tile.load, r.tile.last = uint64(min(p, 1)), 0
		if p == passes-1 {
			r.tile.last = 1
		}
		r.pass(c.Taps[t0:t1])
	}
	r.tile, r.c = f32Tile{}, nil
	convPool.Put(r)
}

func (r *convRun) pass(taps []int) {
	r.tile.setTaps(taps)
	panels := (r.c.N + r.s.NR - 1) / r.s.NR
	for j, p := 0, 0; j < panels; j += 1 << p {
		for p = 2; p > 0 && (len(r.s.tiles[p]) <= r.c.M || j+1<<p > panels); p-- {
		}
		r.column(j, p)
	}
}

// column computes 2^p panels from panel j on, for all lines.
func (r *convRun) column(j, p int) {
	c, t, nr := r.c, &r.tile, r.s.NR
	n0 := j * nr
	cols := min(nr, c.N-(j+1<<p-1)*nr) // of the last panel
	t.mask, t.lanes = 1<<cols-1, &laneMask[32-cols]
	t.b = &c.W[n0*r.k+r.k0*nr]
	if c.Bias != nil {
		t.bias = &c.Bias[n0]
	}
	if p == 0 && 2*cols <= nr && len(r.s.tiles[halfPanel]) > 0 {
		p = halfPanel
	}
	kernels := r.s.tiles[p]
	tiles := (c.M + len(kernels) - 2) / (len(kernels) - 1)
	for line := range c.Lines {
		x, y := c.X[line*c.XLine:], line*c.YLine+n0
		for q := range tiles {
			lo, hi := c.M*q/tiles, c.M*(q+1)/tiles
			t.a, t.c = &x[lo*c.XPixel], &c.Y[y+lo*c.YPixel]
			if c.Res != nil {
				t.res = &c.Res[y+lo*c.YPixel]
			}
			if c.Gate.Of != nil {
				t.gate = &c.Gate.Of[y+lo*c.YPixel]
			}
			kernels[hi-lo](t)
		}
	}
}

var _ = [1]int{}[unsafe.Sizeof(int(0))-8] // taps are 64-bit in gen/float/gemm.go
