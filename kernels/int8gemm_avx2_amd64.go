//go:build amd64 && !noasm

package kernels

import "unsafe"

const (
	tileRowsAVX2      = 4
	tileRowsPairsAVX2 = 6
	tileColsAVX2      = 16
)

// tilesAVX2[half][h] computes tiles of h rows and 16 columns, or 8 if half is 1; tilesPairsAVX2 is for weights whose pairs
// fit, and takes 0.7 of the time.
var (
	tilesAVX2 = [2][]func(*gemmTile){
		{1: gemmAVX2x1x16, gemmAVX2x2x16, gemmAVX2x3x16, gemmAVX2x4x16},
		{1: gemmAVX2x1x8, gemmAVX2x2x8, gemmAVX2x3x8, gemmAVX2x4x8},
	}
	tilesPairsAVX2 = [2][]func(*gemmTile){
		{1: gemmPairsAVX2x1x16, gemmPairsAVX2x2x16, gemmPairsAVX2x3x16, gemmPairsAVX2x4x16, gemmPairsAVX2x5x16, gemmPairsAVX2x6x16},
		{1: gemmPairsAVX2x1x8, gemmPairsAVX2x2x8, gemmPairsAVX2x3x8, gemmPairsAVX2x4x8, gemmPairsAVX2x5x8, gemmPairsAVX2x6x8},
	}
)

func gemmU8S8AVX2(g *GemmU8S8) {
	g.check()
	if g.overflows() {
		g.bySums(gemmU8S8AVX2)
		return
	}
	b := newGemmBlock(g)
	defer b.free()
	tall, tiles := tileRowsAVX2, &tilesAVX2
	if g.PairsFit {
		tall, tiles = tileRowsPairsAVX2, &tilesPairsAVX2
	}
	step := b.size()
	for i := 0; i < g.M; i += step {
		rows := min(step, g.M-i)
		b.load(i, rows)
		n := (rows + tall - 1) / tall
		h, taller := rows/n, rows%n
		for j := 0; j < g.N; j += tileColsAVX2 {
			kernels := tiles[0]
			switch w := g.N - j; {
			case w == tileColsAVX2/2:
				kernels = tiles[1]
			case w < tileColsAVX2:
				b.edgeAVX2(tile8{i, rows, j, w}, kernels)
				continue
			}
			if taller > 0 {
				b.atAVX2(i, 0, j)
				b.t.tiles = taller
				kernels[h+1](&b.t)
			}
			b.atAVX2(i, taller*(h+1), j)
			b.t.tiles = n - taller
			kernels[h](&b.t)
		}
	}
}

// atAVX2 is at for the half of a panel where column j begins.
func (b *gemmBlock) atAVX2(i, r, j int) {
	b.at(i, r, j)
	if j%panelS8 != 0 && b.K > 0 {
		b.t.b = unsafe.Add(b.t.b, tileColsAVX2*4)
	}
}

// tile8 is some columns of a block of rows.
type tile8 struct{ i, rows, j, w int }

// edgeAVX2 computes the last columns, fewer than a vector, one tile at a time through a buffer.
func (b *gemmBlock) edgeAVX2(e tile8, kernels []func(*gemmTile)) {
	ldc := b.t.ldc
	if b.Bias != nil {
		copy(b.bias[:], b.Bias[e.j:])
	}
	b.t.tiles, b.t.ldc = 1, tileColsAVX2
	if b.C32 != nil {
		b.t.ldc *= 4
	} else {
		copy(b.scale[:], b.Scale[e.j:])
	}
	tall := len(kernels) - 1
	for r := 0; r < e.rows; r += tall {
		h := min(tall, e.rows-r)
		b.atAVX2(e.i, r, e.j)
		b.t.c = unsafe.Pointer(&b.sums)
		if b.Bias != nil {
			b.t.bias = unsafe.Pointer(&b.bias)
		}
		if b.C32 == nil {
			b.t.c, b.t.scale = unsafe.Pointer(&b.bytes), unsafe.Pointer(&b.scale)
		}
		kernels[h](&b.t)
		for q := range h {
			at := (e.i+r+q)*b.LDC + e.j
			if b.C32 != nil {
				copy(b.C32[at:at+e.w], b.sums[q*tileColsAVX2:])
			} else {
				copy(b.C[at:at+e.w], b.bytes[q*tileColsAVX2:])
			}
		}
	}
	b.t.ldc = ldc
}
