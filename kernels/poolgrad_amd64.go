//go:build amd64 && !noasm

package kernels

import (
	"sync"
	"unsafe"
)

// gradTile is the argument of a kernel for the gradient of pooling; kernels/gen/float/poolgrad.go knows its offsets.
// Strides are in bytes.
type gradTile struct {
	x, dx, dy *float32
	step, c4  uintptr // c4: the bytes of one pixel
	taps      *int
	tapsEnd   uintptr // address after the last tap; taps keeps it alive
	n         int
	c         int
	mask      uint64
	lanes     *int32
	window    float32
	gate      uint32
}

var _ = [1]int{}[unsafe.Sizeof(gradTile{})-96] // offsets are fixed in kernels/gen/float/poolgrad.go

var gradPool = sync.Pool{New: func() any { return new(gradTile) }}

// gradsAsm takes the kernels that add to DX and those that set it.
func gradsAsm(maximum, add [2]func(*gradTile)) gradTable {
	return gradTable{
		maxPoolGrad: func(g *PoolGrad) { runGrad(g, &g.X[0], maximum) },
		addPoolGrad: func(g *PoolGrad) { runGrad(g, nil, add) },
	}
}

func runGrad(g *PoolGrad, x *float32, kernels [2]func(*gradTile)) {
	t := gradPool.Get().(*gradTile)
	*t = gradTile{
		x: x, dx: &g.DX[0], dy: &g.DY[0], step: 4 * uintptr(g.Step), c4: 4 * uintptr(g.C), taps: &g.Taps[0],
		n: g.N, c: g.C, mask: 1<<(g.C%16) - 1, lanes: &laneMask[32-g.C%8], window: g.Window,
	}
	t.tapsEnd = uintptr(unsafe.Pointer(t.taps)) + 8*uintptr(len(g.Taps))
	if g.Gate {
		t.gate = 1
	}
	if g.Once {
		kernels[1](t)
	} else {
		kernels[0](t)
	}
	*t = gradTile{}
	gradPool.Put(t)
}
