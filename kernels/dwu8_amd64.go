//go:build amd64 && !noasm

package kernels

import (
	"slices"
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
	mask            uint64 // channels there are
	c               *dwConst
	zero, low, flip int32
	max             float32
}

// dwConst is the kernels' scratch: parameters in the order of their vectors. Without pointers, and of a size that the
// allocator aligns to a cache line. Only the assembly reads and writes them: bias [64]int32, scale [64]float32, flip
// [64]byte.
type dwConst struct {
	_ [64]int32
	_ [64]float32
	_ [64]byte
	_ [192]byte
}

// dwCall is what one call needs besides its arguments.
type dwCall struct {
	row   dwRow
	taps  []int
	bias  [64]int32 // of flat rows
	scale [64]float32
}

var dwCalls = sync.Pool{New: func() any { return &dwCall{row: dwRow{c: new(dwConst)}} }}

func newDWCall(d *DepthwiseU8S8, group int) *dwCall {
	c := dwCalls.Get().(*dwCall)
	r := &c.row
	r.step, r.n, r.ldy = d.Step, d.N, d.LDY
	r.max = float32(d.Hi - d.Zero)
	r.zero, r.low, r.flip = d.Zero, d.Lo, 0
	if d.Lo < 0 {
		r.zero, r.low, r.flip = d.Zero+128, d.Lo+128, 128
	}
	c.arrange(d.Taps, group)
	r.taps = unsafe.Pointer(unsafe.SliceData(c.taps))
	return c
}

// arrange copies taps into their slots. The empty slots, whose weights are zero, repeat a tap.
func (c *dwCall) arrange(taps []int, group int) {
	c.taps = slices.Grow(c.taps[:0], tapSlots(len(taps), group))[:tapSlots(len(taps), group)]
	if len(taps) == 9 && group == 4 { // by columns, as in tapSlot
		for x := range 3 {
			column := c.taps[4*x : 4*x+4]
			column[0], column[1], column[2], column[3] = taps[x], taps[3+x], taps[6+x], taps[x]
		}
		return
	}
	for k := copy(c.taps, taps); k < len(c.taps); k++ {
		c.taps[k] = taps[0]
	}
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

// tapSlot returns the tap in slot k of groups of the given size, or -1. Nine taps in fours are the three columns of a 3x3
// window, which stride 1 shares between pixels.
func tapSlot(k, taps, size int) int {
	if taps == 9 && size == 4 {
		if k%4 == 3 {
			return -1
		}
		return k%4*3 + k/4
	}
	if k >= taps {
		return -1
	}
	return k
}

// tapSlots is the number of slots, whole groups.
func tapSlots(taps, size int) int { return (taps + size - 1) / size * size }

// dwBlock is w channels from c on.
type dwBlock struct{ c, w int }

// dwBlockAt returns the block that computes channel at and those after it. The last block of a row may begin earlier and
// overlap the one before it: both write the same bytes. Only the first can have more channels than there are.
func dwBlockAt(at, c int) dwBlock {
	w := 16
	for w < c-at && w < 64 {
		w *= 2
	}
	if at+w <= c {
		return dwBlock{at, w}
	}
	return dwBlock{max(0, c-w), w}
}

func (b dwBlock) end() int { return b.c + b.w }

func packedDepthwiseVNNI(taps, c int) int {
	if flatChannels(c) {
		return 2 * 64 * tapSlots(taps, 4)
	}
	n := 0
	for at := 0; at < c; {
		b := dwBlockAt(at, c)
		n, at = n+b.w, b.end()
	}
	return n * tapSlots(taps, 4)
}

// packDepthwiseVNNI writes for each block [group][vector q][lane l][i][slot], channel 16l+4q+i.
func packDepthwiseVNNI(dst, src []int8, taps, c int) {
	if flatChannels(c) {
		packBlockVNNI(dst, src, taps, c, dwBlock{0, 64})
		dst = dst[64*tapSlots(taps, 4):]
	}
	for at := 0; at < c; {
		b := dwBlockAt(at, c)
		packBlockVNNI(dst, src, taps, c, b)
		dst, at = dst[b.w*tapSlots(taps, 4):], b.end()
	}
}

// packBlockVNNI packs one block; a wider one than c repeats the channels.
func packBlockVNNI(dst, src []int8, taps, c int, b dwBlock) {
	for j := range b.w {
		l, q, i := j/16, j/4%4, j%4
		for k := range tapSlots(taps, 4) {
			if t := tapSlot(k, taps, 4); t >= 0 {
				dst[((k/4*4+q)*b.w/4+l*4+i)*4+k%4] = src[t*c+(b.c+j)%c]
			}
		}
	}
}

// flatChannels says that a block of 64 holds several whole pixels of so few channels.
func flatChannels(c int) bool { return c <= 16 && 64%c == 0 }

// repeat fills dst with copies of src.
func repeat[T any](dst, src []T) {
	for n := copy(dst, src); n < len(dst); n *= 2 {
		copy(dst[n:], dst[:n])
	}
}

// flat computes a dense row, pixels and channels as one run of bytes whose parameters repeat: a block of 64 is several pixels.
func (c *dwCall) flat(d *DepthwiseU8S8) {
	r := &c.row
	r.at(d, 0, 0)
	repeat(c.scale[:], d.Scale[:d.C])
	r.scale = unsafe.Pointer(&c.scale)
	if d.Bias != nil {
		repeat(c.bias[:], d.Bias[:d.C])
		r.bias = unsafe.Pointer(&c.bias)
	}
	size := d.N * d.C
	r.n, r.step, r.ldy = size/64, 64, 64
	if r.n > 0 {
		depthwiseVNNI64(r)
	}
	if rest := size % 64; rest > 0 {
		r.x, r.y = unsafe.Pointer(&d.X[size-rest]), unsafe.Pointer(&d.Y[size-rest])
		r.mask, r.n = 1<<rest-1, 1
		depthwiseVNNI64Masked(r)
	}
}

func depthwiseU8S8VNNI(d *DepthwiseU8S8) {
	call := newDWCall(d, 4)
	defer call.free()
	r := &call.row
	r.groups = len(call.taps) / 4
	if r.groups == 0 {
		depthwiseU8S8Generic(d)
		return
	}
	w := 0
	if flatChannels(d.C) {
		if d.Step == d.C && d.LDY == d.C {
			call.flat(d)
			return
		}
		w = 64 * len(call.taps)
	}
	kernels := d.kernelsVNNI()
	r.mask = 1<<min(64, d.C) - 1
	for at := 0; at < d.C; {
		b := dwBlockAt(at, d.C)
		r.at(d, b.c, w)
		if b.w > d.C {
			kernels[1][b.w/32](r)
		} else {
			kernels[0][b.w/32](r)
		}
		w, at = w+b.w*len(call.taps), b.end()
	}
}

// dwKernels are kernels for 16, 32 and 64 channels, the second row for blocks with fewer.
type dwKernels [2][3]func(*dwRow)

var (
	dwTapsVNNI = dwKernels{
		{depthwiseVNNI16, depthwiseVNNI32, depthwiseVNNI64},
		{depthwiseVNNI16Masked, depthwiseVNNI32Masked, depthwiseVNNI64Masked},
	}
	dw3x3VNNI = dwKernels{
		{depthwise3x3VNNI16, depthwise3x3VNNI32, depthwise3x3VNNI64},
		{depthwise3x3VNNI16Masked, depthwise3x3VNNI32Masked, depthwise3x3VNNI64Masked},
	}
	dw3x3s2VNNI = dwKernels{
		{depthwise3x3s2VNNI16, depthwise3x3s2VNNI32, depthwise3x3s2VNNI64},
		{depthwise3x3s2VNNI16Masked, depthwise3x3s2VNNI32Masked, depthwise3x3s2VNNI64Masked},
	}
)

// kernelsVNNI chooses by the columns of a 3x3 window that neighbouring pixels share.
func (d *DepthwiseU8S8) kernelsVNNI() *dwKernels {
	if len(d.Taps) != 9 {
		return &dwTapsVNNI
	}
	column := d.Taps[1] - d.Taps[0]
	for t := 0; t < 9; t += 3 {
		if d.Taps[t+1] != d.Taps[t]+column || d.Taps[t+2] != d.Taps[t]+2*column {
			return &dwTapsVNNI
		}
	}
	switch d.Step {
	case column:
		return &dw3x3VNNI
	case 2 * column:
		return &dw3x3s2VNNI
	}
	return &dwTapsVNNI
}

const dwWidthAVX2 = 16

func packedDepthwiseAVX2(taps, c int) int {
	if c < dwWidthAVX2 {
		return taps * c
	}
	return (c + dwWidthAVX2 - 1) / dwWidthAVX2 * dwWidthAVX2 * tapSlots(taps, 2) * 2
}

// packDepthwiseAVX2 writes int16 for each block of 16 channels, [pair of taps][half][8][tap]; a half holds channels 0-3 and
// 8-11, or the others. The last block may overlap the one before it.
func packDepthwiseAVX2(dst, src []int8, taps, c int) {
	if c < dwWidthAVX2 {
		copy(dst, src)
		return
	}
	slots := tapSlots(taps, 2)
	for at := 0; at < c; at += dwWidthAVX2 {
		first := min(at, c-dwWidthAVX2)
		for j := range dwWidthAVX2 {
			half, i := j/4%2, j/8*4+j%4
			for k := range slots {
				if t := tapSlot(k, taps, 2); t >= 0 {
					w := src[t*c+first+j]
					p := 2 * (((k/2*2+half)*8+i)*2 + k%2)
					dst[p], dst[p+1] = w, w>>7
				}
			}
		}
		dst = dst[dwWidthAVX2*2*slots:]
	}
}

func depthwiseU8S8AVX2(d *DepthwiseU8S8) {
	if d.C < dwWidthAVX2 || len(d.Taps) == 0 {
		depthwiseU8S8Generic(d)
		return
	}
	call := newDWCall(d, 2)
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
