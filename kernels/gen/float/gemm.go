package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets in the Go struct f32Tile.
const (
	tA, tLDA, tB, tLDB, tK      = 0, 8, 16, 24, 32
	tC, tLDC, tBias, tRes, tLDR = 40, 48, 56, 64, 72
	tLo, tMask, tLoad, tLast    = 80, 88, 96, 104
	tLanes, tTaps, tTapsEnd     = 112, 120, 128
	tGate, tGateLo, tGateHi     = 136, 144, 148
)

var zmm = []reg.VecPhysical{
	reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7, reg.Z8, reg.Z9, reg.Z10,
	reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15, reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21,
	reg.Z22, reg.Z23, reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
}

var ymm = []reg.VecPhysical{
	reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7,
	reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15,
}

func gemmFamily(d *decls) {
	const params = "(t *f32Tile)"
	table := func(name string, maxRows []int, kernel func(tile)) {
		d.tables = append(d.tables, fmt.Sprintf("// %s[p][m] computes m rows of 2^p adjacent panels, [halfPanel][m] of half a panel.\nvar %s = gemmKernels{", name, name))
		for p, rows := range maxRows {
			line := "\t{nil, "
			for m := 1; m <= rows; m++ {
				t := tile{name: fmt.Sprintf("%sR%dP%d", name, m, 1<<p), m: m, panels: 1 << p}
				if p == halfPanel {
					t = tile{name: fmt.Sprintf("%sR%dH", name, m), m: m, panels: 1, half: true}
				}
				kernel(t)
				d.add(t.name, params)
				line += t.name + ", "
			}
			d.tables = append(d.tables, line+"},")
		}
		d.tables = append(d.tables, "}\n")
	}
	peak("peakF32AVX512", zmm)
	d.add("peakF32AVX512", "(n int)")
	table("gemmAVX512", []int{14, 6, 3, 14}, gemmZ)
	table("gemmAVX2", []int{6}, gemmY)
}

// halfPanel is the row of the table that holds the kernels for at most half of one panel.
const halfPanel = 3

// peak issues n·10 independent FMAs: the machine's limit, for benchmarks.
func peak(name string, v []reg.VecPhysical) {
	TEXT(name, NOSPLIT, "func(n int)")
	n := Load(Param("n"), GP64())
	for i := range 12 {
		VPXORD(v[i], v[i], v[i])
	}
	Label("loop")
	for i := range 10 {
		VFMADD231PS(v[10], v[11], v[i])
	}
	DECQ(n)
	JNE(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// tile is one kernel: m rows times 2·panels vectors.
type tile struct {
	name      string
	m, panels int
	half      bool // only the panel's first vector
}

// frame holds the registers of a kernel that both instruction sets share.
type frame struct {
	t, a, b, k reg.GPVirtual
	tap        reg.GPVirtual         // the next tap's offset
	rows       map[int]reg.GPVirtual // odd multiples of the row stride
	panel      map[int]reg.GPVirtual // odd multiples of the panel stride
}

func enter(t tile) *frame {
	TEXT(t.name, NOSPLIT, "func(t *byte)")
	f := &frame{}
	f.t = Load(Param("t"), GP64()).(reg.GPVirtual)
	f.a, f.b, f.k, f.tap = GP64(), f.load(tB), GP64(), f.load(tTaps)
	f.rows = oddMultiples(f.load(tLDA), t.m)
	if t.panels > 1 {
		f.panel = oddMultiples(f.load(tLDB), t.panels)
	}
	return f
}

func (f *frame) load(off int) reg.GPVirtual {
	r := GP64()
	MOVQ(Mem{Base: f.t, Disp: off}, r)
	return r
}

// oddMultiples makes registers with stride·1, ·3, ·5 … below n, so that base + i·stride is one address for any i < n.
func oddMultiples(stride reg.GPVirtual, n int) map[int]reg.GPVirtual {
	odd := map[int]reg.GPVirtual{1: stride}
	for i := 3; i < n; i += 2 {
		r := GP64()
		LEAQ(Mem{Base: odd[i-2], Index: stride, Scale: 2}, r)
		odd[i] = r
	}
	return odd
}

// at returns the address base + i·stride + disp.
func at(base reg.Register, odd map[int]reg.GPVirtual, i, disp int) Mem {
	if i == 0 {
		return Mem{Base: base, Disp: disp}
	}
	scale := 1
	for i%2 == 0 {
		i, scale = i/2, scale*2
	}
	return Mem{Base: base, Index: odd[i], Scale: uint8(scale), Disp: disp}
}

// loopK runs body for every k of every tap, four at a time and then one at a time; width is the panel's row in bytes.
func (f *frame) loopK(width int, body func(u int)) {
	Label("tap")
	MOVQ(Mem{Base: f.tap}, f.k)
	ADDQ(Imm(8), f.tap)
	MOVQ(Mem{Base: f.t, Disp: tA}, f.a)
	LEAQ(Mem{Base: f.a, Index: f.k, Scale: 4}, f.a)
	MOVQ(Mem{Base: f.t, Disp: tK}, f.k)
	CMPQ(f.k, Imm(4))
	JLT(LabelRef("tail"))
	Label("four")
	for u := range 4 {
		body(u)
	}
	ADDQ(Imm(16), f.a)
	ADDQ(U32(4*width), f.b)
	SUBQ(Imm(4), f.k)
	CMPQ(f.k, Imm(4))
	JGE(LabelRef("four"))
	Label("tail")
	TESTQ(f.k, f.k)
	JEQ(LabelRef("done"))
	Label("one")
	body(0)
	ADDQ(Imm(4), f.a)
	ADDQ(U32(width), f.b)
	DECQ(f.k)
	JNE(LabelRef("one"))
	Label("done")
	CMPQ(f.tap, Mem{Base: f.t, Disp: tTapsEnd})
	JLT(LabelRef("tap"))
}

// skipUnless jumps to label when the 64-bit field is zero.
func (f *frame) skipUnless(off int, label string) {
	CMPQ(Mem{Base: f.t, Disp: off}, Imm(0))
	JEQ(LabelRef(label))
}

// clampAll limits the accumulators to the two floats at lo, skipping an infinite one, which could not
// change them. Operands are ordered so that a NaN stays.
func clampAll(label string, lo Mem, scratch Op, acc []Op) {
	CMPL(lo, U32(negInfBits))
	JEQ(LabelRef(label + "_high"))
	VBROADCASTSS(lo, scratch)
	for _, a := range acc {
		VMAXPS(a, scratch, a)
	}
	Label(label + "_high")
	CMPL(lo.Offset(4), U32(infBits))
	JEQ(LabelRef(label + "_clamped"))
	VBROADCASTSS(lo.Offset(4), scratch)
	for _, a := range acc {
		VMINPS(a, scratch, a)
	}
	Label(label + "_clamped")
}
