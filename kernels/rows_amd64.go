//go:build amd64 && !noasm

package kernels

import (
	"sync"
	"unsafe"
)

// rowTile is the argument of a row kernel; kernels/gen/float/rows.go knows its offsets. Strides are in bytes.
type rowTile struct {
	x          *float32
	step       uintptr
	taps       *int
	tapsEnd    uintptr // address after the last tap; taps keeps it alive
	w          *float32
	wStride    uintptr
	c          int // the kernel counts it down
	bias, y    *float32
	ldy        uintptr
	lo, hi     float32
	mask       uint64 // of the last c mod 16 channels, AVX-512
	lanes      *int32 // of the last c mod 8 channels, AVX2
	rows       int
	xRow, yRow uintptr
	_          [2]uintptr // the kernel uses them
}

var _ = [1]int{}[unsafe.Sizeof(rowTile{})-144] // offsets are fixed in kernels/gen/float/rows.go

var rowPool = sync.Pool{New: func() any { return new(rowTile) }}

func rowsAsm(depthwise, nine, maxRows, sumRows []func(*rowTile)) rowTable {
	return rowTable{
		depthwiseF32: func(d *DepthwiseF32) {
			r := newRowTile(&poolRow{d.Y, d.X, d.N, d.C, d.Step, d.Taps})
			r.w = &d.W[0]
			if d.Bias != nil {
				r.bias = &d.Bias[0]
			}
			r.lo, r.hi, r.ldy = d.Lo, d.Hi, 4*uintptr(d.LDY)
			r.rows, r.xRow, r.yRow = max(1, d.Rows), 4*uintptr(d.XRow), 4*uintptr(d.YRow)
			kernels := depthwise
			if len(d.Taps) == 9 && nine != nil {
				kernels = nine
			}
			r.run(kernels, &poolRow{d.Y, d.X, d.N, d.C, d.Step, d.Taps}, d.LDY)
		},
		maxRowsF32: func(p *poolRow) { newRowTile(p).run(maxRows, p, p.c) },
		sumRowsF32: func(p *poolRow) { newRowTile(p).run(sumRows, p, p.c) },
	}
}

func newRowTile(p *poolRow) *rowTile {
	r := rowPool.Get().(*rowTile)
	*r = rowTile{
		step: 4 * uintptr(p.step), wStride: 4 * uintptr(p.c), ldy: 4 * uintptr(p.c),
		rows: 1, mask: 1<<(p.c%16) - 1, lanes: &laneMask[32-p.c%8],
	}
	r.taps = &p.taps[0]
	r.tapsEnd = uintptr(unsafe.Pointer(r.taps)) + 8*uintptr(len(p.taps))
	return r
}

// run splits the pixels evenly over as few calls as the tallest kernel allows.
func (r *rowTile) run(kernels []func(*rowTile), p *poolRow, ldy int) {
	most := len(kernels) - 1
	calls := (p.n + most - 1) / most
	for i := range calls {
		lo, hi := p.n*i/calls, p.n*(i+1)/calls
		r.x, r.y, r.c = &p.x[lo*p.step], &p.dst[lo*ldy], p.c
		kernels[hi-lo](r)
	}
	*r = rowTile{}
	rowPool.Put(r)
}
