//go:build amd64 && !noasm

package kernels

import (
	"slices"
	"sync"
	"unsafe"
)

// gemmTile tells an assembly kernel about a run of tiles of one height; kernels/gen/int8 knows its offsets.
type gemmTile struct {
	a     unsafe.Pointer
	lda   int // in bytes, like ldc
	b     unsafe.Pointer
	k4    int            // whole groups of four k
	tail  unsafe.Pointer // the last k%4 of each row in a dword of its own, or nil
	tiles int
	bias  unsafe.Pointer // nil: zero
	scale unsafe.Pointer // nil: store int32 sums
	c     unsafe.Pointer
	ldc   int
	mask  uint64 // columns to store
	byteOut
}

// byteOut is how a vector of int32 becomes bytes: plus zero, at most high, at least low, xor flip. Signed outputs are
// computed 128 higher, so that one unsigned saturating pack serves both.
type byteOut struct {
	zero [32]int16
	low  [64]byte
	high [64]byte
	flip [64]byte
}

func (o *byteOut) set(zero, lo, hi int32) {
	shift := int32(0)
	if lo < 0 {
		shift = 128
	}
	for i := range o.zero {
		o.zero[i] = int16(zero + shift)
	}
	for i := range o.low {
		o.low[i], o.high[i], o.flip[i] = byte(lo+shift), byte(hi+shift), byte(shift)
	}
}

const (
	maxBlockRows  = 256       // rows of A that one pass over the weights serves
	maxBlockBytes = 256 << 10 // what of A should stay in the L2 cache meanwhile
)

// gemmBlock is a range of rows with its gathered tails, and buffers for the last columns.
type gemmBlock struct {
	*GemmU8S8
	t     gemmTile
	out   output // that t is set for
	tail  int    // how many k of each row the tails hold
	tails [maxBlockRows]uint32
	rows  []byte // of A, copied where their distance would map them to the same cache lines
	sums  [tileRowsPairsAVX2 * tileColsAVX2]int32
	bytes [tileRowsPairsAVX2 * tileColsAVX2]byte
	bias  [tileColsAVX2]int32
	scale [tileColsAVX2]float32
}

var gemmBlocks = sync.Pool{New: func() any { return new(gemmBlock) }}

func newGemmBlock(g *GemmU8S8) *gemmBlock {
	b := gemmBlocks.Get().(*gemmBlock)
	b.GemmU8S8 = g
	b.t.lda, b.t.k4, b.t.ldc = g.LDA, g.K/4, g.LDC
	b.tail = g.K % 4
	if g.C32 != nil {
		b.t.ldc *= 4
	} else if o := (output{g.Zero, g.Lo, g.Hi}); o != b.out {
		b.t.set(g.Zero, g.Lo, g.Hi)
		b.out = o
	}
	if b.aliases() {
		b.t.lda = (g.K+63)/64*64 + 64
	}
	if k4 := (g.K + 3) / 4; b.aliases() || (g.M-1)*g.LDA+4*k4 <= len(g.A) { // what follows a row meets zeros of B
		b.t.k4, b.tail = k4, 0
	}
	return b
}

func (b *gemmBlock) free() {
	b.GemmU8S8 = nil
	t := &b.t
	t.a, t.b, t.tail, t.bias, t.scale, t.c = nil, nil, nil, nil, nil, nil
	gemmBlocks.Put(b)
}

// size is the number of rows in a block: M is cut evenly.
func (b *gemmBlock) size() int {
	most := max(14, min(maxBlockRows, maxBlockBytes/max(b.K, 1)))
	n := (b.M + most - 1) / most
	return (b.M + n - 1) / n
}

// aliases says that A's rows lie so that those of one tile compete for few lines of the L1 cache.
func (b *gemmBlock) aliases() bool { return b.LDA >= 2048 && b.LDA%1024 == 0 && b.M > 1 }

// load prepares rows i to i+n: a copy if they alias, and the last k%4 of each in a dword where reading that from A would
// pass its end.
func (b *gemmBlock) load(i, n int) {
	if b.aliases() {
		if size := n * b.t.lda; cap(b.rows) < size {
			b.rows = make([]byte, size)
		} else {
			b.rows = b.rows[:size]
		}
		for r := range n {
			copy(b.rows[r*b.t.lda:], b.A[(i+r)*b.LDA:][:b.K])
		}
	}
	w := b.tail
	if w == 0 {
		return
	}
	for r := range n {
		row := b.A[(i+r)*b.LDA+b.K-w:][:w]
		d := uint32(row[0])
		for q := 1; q < w; q++ {
			d |= uint32(row[q]) << (8 * q)
		}
		b.tails[r] = d
	}
}

// at points the tile at row i of the matrix, row r of the block, and panel column j.
func (b *gemmBlock) at(i, r, j int) {
	t := &b.t
	if b.aliases() {
		t.a = unsafe.Pointer(unsafe.SliceData(b.rows[r*t.lda:]))
	} else {
		t.a = unsafe.Pointer(unsafe.SliceData(b.A[(i+r)*b.LDA:]))
	}
	t.b = unsafe.Pointer(unsafe.SliceData(b.B[j/panelS8*panelS8*((b.K+3)/4*4):]))
	if b.tail != 0 {
		t.tail = unsafe.Pointer(&b.tails[r])
	}
	if b.Bias != nil {
		t.bias = unsafe.Pointer(&b.Bias[j])
	}
	if b.C32 != nil {
		t.c = unsafe.Pointer(&b.C32[(i+r)*b.LDC+j])
		return
	}
	t.scale = unsafe.Pointer(&b.Scale[j])
	t.c = unsafe.Pointer(&b.C[(i+r)*b.LDC+j])
}

const (
	tileRowsVNNI = 14
	maxTileRows  = tileRowsVNNI
)

func gemmU8S8VNNI(g *GemmU8S8) {
	g.check()
	if g.overflows() {
		g.bySums(gemmU8S8VNNI)
		return
	}
	b := newGemmBlock(g)
	defer b.free()
	step := b.size()
	for i := 0; i < g.M; i += step {
		rows := min(step, g.M-i)
		b.load(i, rows)
		tiles := (rows + tileRowsVNNI - 1) / tileRowsVNNI
		h, taller := rows/tiles, rows%tiles
		for j := 0; j < g.N; j += panelS8 {
			w := min(panelS8, g.N-j)
			b.t.mask = 1<<w - 1
			kernels := &tilesVNNI[0]
			if w <= panelS8/2 {
				kernels = &tilesVNNI[1]
			}
			if taller > 0 {
				b.at(i, 0, j)
				b.t.tiles = taller
				kernels[h+1](&b.t)
			}
			b.at(i, taller*(h+1), j)
			b.t.tiles = tiles - taller
			kernels[h](&b.t)
		}
	}
}

// tilesVNNI[half][h] computes tiles of h rows and 32 columns, or 16 if half is 1.
var tilesVNNI = [2][tileRowsVNNI + 1]func(*gemmTile){
	{1: gemmVNNI1x32, gemmVNNI2x32, gemmVNNI3x32, gemmVNNI4x32, gemmVNNI5x32, gemmVNNI6x32, gemmVNNI7x32, gemmVNNI8x32, gemmVNNI9x32, gemmVNNI10x32, gemmVNNI11x32, gemmVNNI12x32, gemmVNNI13x32, gemmVNNI14x32},
	{1: gemmVNNI1x16, gemmVNNI2x16, gemmVNNI3x16, gemmVNNI4x16, gemmVNNI5x16, gemmVNNI6x16, gemmVNNI7x16, gemmVNNI8x16, gemmVNNI9x16, gemmVNNI10x16, gemmVNNI11x16, gemmVNNI12x16, gemmVNNI13x16, gemmVNNI14x16},
}

// overflows says that a sum times its scale may not be an int32, which the kernels' conversion needs.
func (g *GemmU8S8) overflows() bool {
	return g.C32 == nil && slices.ContainsFunc(g.Scale[:g.N], func(s float32) bool { return !(s > -1 && s < 1) })
}

// bySums computes g from its sums, a few rows at a time.
func (g *GemmU8S8) bySums(product func(*GemmU8S8)) {
	part := *g
	part.C, part.LDC, part.C32 = nil, g.N, make([]int32, maxTileRows*g.N)
	for i := 0; i < g.M; i += maxTileRows {
		part.M, part.A = min(maxTileRows, g.M-i), g.A[i*g.LDA:]
		product(&part)
		for r := range part.M {
			sums := part.C32[r*g.N:][:g.N]
			requantI32Generic(g.C[(i+r)*g.LDC:][:g.N], sums, g.Scale[:g.N], output{g.Zero, g.Lo, g.Hi})
		}
	}
}

// check panics where a kernel would leave its slices, as Go code does.
func (g *GemmU8S8) check() {
	last := g.M - 1
	_ = g.A[last*g.LDA+g.K:]
	_ = g.B[(g.N+panelS8-1)/panelS8*panelS8*((g.K+3)/4*4):]
	if g.Bias != nil {
		_ = g.Bias[g.N-1]
	}
	if g.C32 != nil {
		_ = g.C32[last*g.LDC+g.N-1]
		return
	}
	_ = g.C[last*g.LDC+g.N-1]
	_ = g.Scale[g.N-1]
}
