package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func transposeFamily(d *decls) {
	transposeF32(d)
	transposeU8(d)
}

// strip is a loop that turns blocks of rows of src into consecutive columns of dst.
type strip struct {
	dst, src, lds, blocks reg.GPVirtual
	out, in               map[int]reg.GPVirtual
}

// enterStrip loads the parameters; strides are in bytes.
func enterStrip(d *decls, name, elem string) *strip {
	params := "(dst *" + elem + ", ldd int, src *" + elem + ", lds int, blocks int)"
	d.add(name, params)
	TEXT(name, NOSPLIT, "func"+params)
	load := func(p string) reg.GPVirtual { return Load(Param(p), GP64()).(reg.GPVirtual) }
	s := &strip{dst: load("dst"), src: load("src"), lds: load("lds"), blocks: load("blocks")}
	s.out, s.in = oddMultiples(load("ldd"), 8), oddMultiples(s.lds, 8)
	return s
}

// transposeF32 does blocks of 8×8.
func transposeF32(d *decls) {
	s := enterStrip(d, "transposeF32AVX2", "float32")
	Label("loop")
	for half := range 2 {
		cols := columns4(func(i int) Mem { return at(s.src, s.in, i, 16*half) }, 8*half)
		for i, r := range cols {
			VMOVUPS(r, at(s.dst, s.out, 4*half+i, 0))
		}
	}
	LEAQ(Mem{Base: s.src, Index: s.lds, Scale: 8}, s.src)
	ADDQ(Imm(32), s.dst)
	DECQ(s.blocks)
	JNE(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// columns4 reads 4 floats of each of 8 rows and returns the 4 columns, in 8 registers from the first on. Rows 0 to 3
// come to the low halves and 4 to 7 to the high ones by the loads, which leaves two steps to the shuffles.
func columns4(row func(i int) Mem, first int) []reg.VecPhysical {
	r, t := ymm[first:first+4], ymm[first+4:first+8]
	for i := range 4 {
		VMOVUPS(row(i), r[i].AsX())
		VINSERTF128(Imm(1), row(i+4), r[i], r[i])
	}
	for i := 0; i < 4; i += 2 { // pairs of rows
		VUNPCKLPS(r[i+1], r[i], t[i])
		VUNPCKHPS(r[i+1], r[i], t[i+1])
	}
	for i := range 2 { // fours
		VUNPCKLPD(t[i+2], t[i], r[2*i])
		VUNPCKHPD(t[i+2], t[i], r[2*i+1])
	}
	return r
}

// transposeU8 does blocks of 16 rows by 8 columns, in two halves of 8 rows that end up in one register for each column.
func transposeU8(d *decls) {
	s := enterStrip(d, "transposeU8AVX2", "byte")
	var x [16]reg.VecVirtual
	Label("loop")
	var half [2][]reg.VecVirtual
	for h := range half {
		for i := range 8 {
			x[i] = XMM()
			VMOVQ(at(s.src, s.in, i, 0), x[i])
		}
		LEAQ(Mem{Base: s.src, Index: s.lds, Scale: 8}, s.src)
		half[h] = interleave8(x[:8])
	}
	for i := range 4 {
		lo, hi := XMM(), XMM()
		VPUNPCKLQDQ(half[1][i], half[0][i], lo)
		VPUNPCKHQDQ(half[1][i], half[0][i], hi)
		VMOVDQU(lo, at(s.dst, s.out, 2*i, 0))
		VMOVDQU(hi, at(s.dst, s.out, 2*i+1, 0))
	}
	ADDQ(Imm(16), s.dst)
	DECQ(s.blocks)
	JNE(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// interleave8 turns 8 rows of 8 bytes into 4 registers of two columns of 8 bytes.
func interleave8(x []reg.VecVirtual) []reg.VecVirtual {
	pair := func(ins func(a, b, c Op), a, b reg.VecVirtual) reg.VecVirtual {
		r := XMM()
		ins(b, a, r)
		return r
	}
	lbw := func(a, b, c Op) { VPUNPCKLBW(a, b, c) }
	lwd, hwd := func(a, b, c Op) { VPUNPCKLWD(a, b, c) }, func(a, b, c Op) { VPUNPCKHWD(a, b, c) }
	ldq, hdq := func(a, b, c Op) { VPUNPCKLDQ(a, b, c) }, func(a, b, c Op) { VPUNPCKHDQ(a, b, c) }
	var two [4]reg.VecVirtual
	for i := range two {
		two[i] = pair(lbw, x[2*i], x[2*i+1])
	}
	a, b := pair(lwd, two[0], two[1]), pair(hwd, two[0], two[1])
	c, d := pair(lwd, two[2], two[3]), pair(hwd, two[2], two[3])
	return []reg.VecVirtual{pair(ldq, a, c), pair(hdq, a, c), pair(ldq, b, d), pair(hdq, b, d)}
}
