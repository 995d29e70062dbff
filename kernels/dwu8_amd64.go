//go:build amd64 && !noasm

package kernels

import (
	"sync"
	"unsafe"
)

var (
	depthwiseAVX2 = depthwiseSet{packedDepthwiseAVX2, packDepthwiseAVX2, depthwiseU8S8AVX2}
	depthwiseVNNI = depthwiseSet{packedDepthwiseVNNI, packDepthwiseVNNI, depthwiseU8S8VNNI}
)

// dwRow tells an assembly kernel about one block of channels of an output row; kernels/gen/int8 knows its offsets.
type dwRow struct {
	x               unsafe.Pointer
	step, n         int
	taps            unsafe.Pointer // groups × (4 or 2) offsets
	groups          int
	w               unsafe.Pointer
	bias            unsafe.Pointer // nil: zero
	scale           unsafe.Pointer
	y               unsafe.Pointer
	ldy             int
	mask            uint64 // channels, for the kernel of 16
	c               *dwConst
	zero, low, flip int32
	max             float32
}

// dwConst is the kernels' scratch: parameters in the order of their vectors. Without pointers, and of a size that the
// allocator aligns to a cache line.
type dwConst struct {
	bias  [64]int32
	scale [64]float32
	rest  [256]byte
}

// dwCall is what one call needs besides its arguments.
type dwCall struct {
	row  dwRow
	taps []int
}

var dwCalls = sync.Pool{New: func() any { return &dwCall{row: dwRow{c: new(dwConst)}} }}

func newDWCall(d *DepthwiseU8S8, tapOrder []int) *dwCall {
	c := dwCalls.Get().(*dwCall)
	r := &c.row
	r.step, r.n, r.ldy = d.Step, d.N, d.LDY
	r.max = float32(d.Hi - d.Zero)
	r.zero, r.low, r.flip = d.Zero, d.Lo, 0
	if d.Lo < 0 {
		r.zero, r.low, r.flip = d.Zero+128, d.Lo+128, 128
	}
	c.taps = c.taps[:0]
	for _, t := range tapOrder {
		c.taps = append(c.taps, d.Taps[max(t, 0)])
	}
	r.taps = unsafe.Pointer(unsafe.SliceData(c.taps))
	return c
}

func (c *dwCall) free() {
	r := &c.row
	r.x, r.w, r.bias, r.scale, r.y = nil, nil, nil, nil, nil
	dwCalls.Put(c)
}

// at points the row at channel j and its weights.
func (r *dwRow) at(d *DepthwiseU8S8, j, w int) {
	r.x, r.y = unsafe.Pointer(&d.X[j]), unsafe.Pointer(&d.Y[j])
	r.w, r.scale, r.bias = unsafe.Pointer(&d.W[w]), unsafe.Pointer(&d.Scale[j]), nil
	if d.Bias != nil {
		r.bias = unsafe.Pointer(&d.Bias[j])
	}
}

// tapGroups lists taps in groups of size, -1 for none. Nine taps are three columns of a 3x3 window, which stride 1 shares
// between pixels.
func tapGroups(taps, size int) []int {
	if taps == 9 && size == 4 {
		return []int{0, 3, 6, -1, 1, 4, 7, -1, 2, 5, 8, -1}
	}
	order := make([]int, (taps+size-1)/size*size)
	for i := range order {
		order[i] = -1
		if i < taps {
			order[i] = i
		}
	}
	return order
}

// dwBlock is w channels from c on. The last block of a row may overlap the one before it: both write the same bytes.
type dwBlock struct{ c, w int }

func dwBlocks(c int) []dwBlock {
	var blocks []dwBlock
	at := 0
	for ; c-at >= 64; at += 64 {
		blocks = append(blocks, dwBlock{at, 64})
	}
	if rest := c - at; rest > 48 && at > 0 {
		return append(blocks, dwBlock{c - 64, 64})
	}
	if c-at >= 32 {
		blocks = append(blocks, dwBlock{at, 32})
		at += 32
	}
	switch rest := c - at; {
	case rest > 16 && at > 0:
		blocks = append(blocks, dwBlock{c - 32, 32})
	case rest > 16:
		blocks = append(blocks, dwBlock{0, 16}, dwBlock{c - 16, 16})
	case rest > 0:
		blocks = append(blocks, dwBlock{max(0, c-16), 16})
	}
	return blocks
}

func packedDepthwiseVNNI(taps, c int) int {
	n := 0
	for _, b := range dwBlocks(c) {
		n += b.w
	}
	return n * len(tapGroups(taps, 4))
}

// packDepthwiseVNNI writes for each block [group][vector q][lane l][i][tap], channel 16l+4q+i.
func packDepthwiseVNNI(dst, src []int8, taps, c int) {
	order := tapGroups(taps, 4)
	for _, b := range dwBlocks(c) {
		for j := range min(b.w, c-b.c) {
			l, q, i := j/16, j/4%4, j%4
			for k, t := range order {
				if t >= 0 {
					dst[((k/4*4+q)*b.w/4+l*4+i)*4+k%4] = src[t*c+b.c+j]
				}
			}
		}
		dst = dst[b.w*len(order):]
	}
}

func depthwiseU8S8VNNI(d *DepthwiseU8S8) {
	call := newDWCall(d, tapGroups(len(d.Taps), 4))
	defer call.free()
	r := &call.row
	r.groups = len(call.taps) / 4
	if r.groups == 0 {
		depthwiseU8S8Generic(d)
		return
	}
	kernels := &dwTapsVNNI
	if d.shared() {
		kernels = &dw3x3VNNI
	}
	w := 0
	for _, b := range dwBlocks(d.C) {
		r.mask = 1<<min(16, d.C) - 1
		r.at(d, b.c, w)
		kernels[b.w/32](r)
		w += b.w * len(call.taps)
	}
}

// Kernels for 16, 32 and 64 channels.
var (
	dwTapsVNNI = [3]func(*dwRow){depthwiseVNNI16, depthwiseVNNI32, depthwiseVNNI64}
	dw3x3VNNI  = [3]func(*dwRow){depthwise3x3VNNI16, depthwise3x3VNNI32, depthwise3x3VNNI64}
)

// shared says that the window is 3x3 and each pixel's is one column further.
func (d *DepthwiseU8S8) shared() bool {
	if len(d.Taps) != 9 {
		return false
	}
	for t := 0; t < 9; t += 3 {
		if d.Taps[t+1] != d.Taps[t]+d.Step || d.Taps[t+2] != d.Taps[t]+2*d.Step {
			return false
		}
	}
	return true
}

const dwWidthAVX2 = 16

func packedDepthwiseAVX2(taps, c int) int {
	if c < dwWidthAVX2 {
		return taps * c
	}
	return (c + dwWidthAVX2 - 1) / dwWidthAVX2 * dwWidthAVX2 * len(tapGroups(taps, 2)) * 2
}

// packDepthwiseAVX2 writes int16 for each block of 16 channels, [pair of taps][half][8][tap]; a half holds channels 0-3 and
// 8-11, or the others. The last block may overlap the one before it.
func packDepthwiseAVX2(dst, src []int8, taps, c int) {
	if c < dwWidthAVX2 {
		copy(dst, src)
		return
	}
	order := tapGroups(taps, 2)
	for at := 0; at < c; at += dwWidthAVX2 {
		first := min(at, c-dwWidthAVX2)
		for j := range dwWidthAVX2 {
			half, i := j/4%2, j/8*4+j%4
			for k, t := range order {
				if t >= 0 {
					w := src[t*c+first+j]
					p := 2 * (((k/2*2+half)*8+i)*2 + k%2)
					dst[p], dst[p+1] = w, w>>7
				}
			}
		}
		dst = dst[dwWidthAVX2*2*len(order):]
	}
}

func depthwiseU8S8AVX2(d *DepthwiseU8S8) {
	if d.C < dwWidthAVX2 || len(d.Taps) == 0 {
		depthwiseU8S8Generic(d)
		return
	}
	call := newDWCall(d, tapGroups(len(d.Taps), 2))
	defer call.free()
	r := &call.row
	r.groups = len(call.taps) / 2
	w := 0
	for at := 0; at < d.C; at += dwWidthAVX2 {
		r.at(d, min(at, d.C-dwWidthAVX2), w)
		depthwiseRowAVX2(r)
		w += dwWidthAVX2 * 2 * len(call.taps)
	}
}
