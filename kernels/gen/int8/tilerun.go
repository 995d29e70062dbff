package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// tileRun is the place of the next tile. It lives in the frame: moving the pointers of the Go struct itself past the end of
// their memory would upset the garbage collector.
type tileRun struct {
	t                 reg.Register
	a, c, tail, tiles Mem
}

func newTileRun(t reg.Register) tileRun {
	local := AllocLocal(32)
	r := tileRun{t, local, local.Offset(8), local.Offset(16), local.Offset(24)}
	x := GP64()
	for i, m := range []Mem{r.a, r.c, r.tail, r.tiles} {
		MOVQ(Mem{Base: t, Disp: []int{tA, tC, tTail, tTiles}[i]}, x)
		MOVQ(x, m)
	}
	return r
}

// next moves down h rows and jumps to the label tile, unless all tiles are done.
func (r tileRun) next(h int) {
	step := GP64()
	for _, f := range []struct {
		at     Mem
		stride int
	}{{r.a, tLDA}, {r.c, tLDC}} {
		MOVQ(Mem{Base: r.t, Disp: f.stride}, step)
		IMUL3Q(Imm(uint64(h)), step, step)
		ADDQ(step, f.at)
	}
	DECQ(r.tiles)
	JNE(LabelRef("tile"))
}
