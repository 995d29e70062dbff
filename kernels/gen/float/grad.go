package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets in the Go struct tnTile.
const (
	nA, nLDA, nALine      = 0, 8, 16
	nB, nLDB, nBLine      = 24, 32, 40
	nK, nLines, nC, nLDC  = 48, 56, 64, 72
	nMask, nLanes, nStart = 80, 88, 96
	nImages               = 104
	nAImage, nBImage      = 112, 120
	nAAt, nBAt            = 128, 136
)

// Offsets in the Go struct depthGradTile.
const (
	gTaps, gX, gStep, gXLine     = 0, 8, 16, 24
	gY, gYStep, gYLine           = 32, 40, 48
	gN, gLines, gW, gWStride, gC = 56, 64, 72, 80, 88
	gMask, gLanes, gStart        = 96, 104, 112
	gXAt, gYAt, gLeft            = 120, 128, 136
	gYNow, gWNow                 = 144, 152
)

// gradFamily is the products that sum over pixels: gradients by weights.
func gradFamily(d *decls) {
	for _, s := range []*simd{{suffix: "AVX2"}, {suffix: "AVX512", z: true}} {
		rows := [2]int{12, 6}
		if s.z {
			rows = [2]int{14, 14}
		}
		name := "gemmTN" + s.suffix
		table := fmt.Sprintf("// %s[v][m] adds products of m columns of A with one vector of B's columns, masked, or with two whole ones.\nvar %s = tnKernels{", name, name)
		for v, most := range rows {
			table += "\n\t{nil, "
			for m := 1; m <= most; m++ {
				t := &tnCode{simd: s, m: m, nv: v + 1}
				fn := fmt.Sprintf("%sR%dV%d", name, m, v+1)
				t.write(fn)
				d.add(fn, "(t *tnTile)")
				table += fn + ", "
			}
			table += "},"
		}
		d.tables = append(d.tables, table+"\n}\n")
		name = "depthGrad" + s.suffix
		table = fmt.Sprintf("// %s[n] sums the products of n taps.\nvar %s = depthGradKernels{nil, ", name, name)
		for n := 1; n <= mostTaps; n++ {
			g := &depthGradCode{simd: s, taps: n}
			fn := fmt.Sprintf("%sT%d", name, n)
			g.write(fn)
			d.add(fn, "(t *depthGradTile)")
			table += fn + ", "
		}
		d.tables = append(d.tables, table+"}\n")
	}
}

// mostTaps is how many taps of a depthwise gradient one call sums: each needs an address register.
const mostTaps = 9

// vec is register i of the set's width.
func (s *simd) vec(i int) reg.VecPhysical {
	if s.z {
		return zmm[i]
	}
	return ymm[i]
}

// laneMaskAt loads the mask of a tail whose two forms are fields of the argument: K1 or the last vector register.
func (s *simd) laneMaskAt(t reg.Register, bits, lanes int) *mask {
	r := GP64()
	if s.z {
		MOVQ(Mem{Base: t, Disp: bits}, r)
		KMOVW(r.As32(), reg.K1)
		return &mask{reg.K1}
	}
	MOVQ(Mem{Base: t, Disp: lanes}, r)
	VMOVUPS(Mem{Base: r}, s.vec(15))
	return &mask{s.vec(15)}
}

func (s *simd) loadTo(m Op, k *mask, to Op) {
	switch {
	case k == nil:
		VMOVUPS(m, to)
	case s.z:
		VMOVUPS_Z(m, k.op, to)
	default:
		VMASKMOVPS(m, k.op, to)
	}
}

// tnCode writes one kernel of Aᵀ·B: m columns of A times nv vectors of columns of B, which stay in registers while all
// rows of all lines pass.
type tnCode struct {
	*simd
	m, nv int
	t     reg.GPVirtual
	k     *mask
}

func (t *tnCode) acc(i, v int) reg.VecPhysical { return t.vec(i*t.nv + v) }

func (t *tnCode) field(off int) reg.GPVirtual {
	r := GP64()
	MOVQ(Mem{Base: t.t, Disp: off}, r)
	return r
}

// each calls do for every accumulator with the address of its element of C.
func (t *tnCode) each(do func(acc reg.VecPhysical, m Mem)) {
	p, ld := t.field(nC), t.field(nLDC)
	for i := range t.m {
		for v := range t.nv {
			do(t.acc(i, v), Mem{Base: p, Disp: v * t.bytes()})
		}
		if i+1 < t.m {
			ADDQ(ld, p)
		}
	}
}

func (t *tnCode) write(name string) {
	TEXT(name, NOSPLIT, "func(t *byte)")
	t.t = Load(Param("t"), GP64()).(reg.GPVirtual)
	if t.nv == 1 {
		t.k = t.laneMaskAt(t.t, nMask, nLanes)
	}
	CMPQ(Mem{Base: t.t, Disp: nStart}, Imm(0))
	JNE(LabelRef("zero"))
	t.each(func(acc reg.VecPhysical, m Mem) { t.loadTo(m, t.k, acc) })
	JMP(LabelRef("begin"))
	Label("zero")
	for i := range t.m * t.nv {
		VXORPS(t.vec(i), t.vec(i), t.vec(i))
	}
	Label("begin")
	lda, ldb := t.field(nLDA), t.field(nLDB)
	a, b, k := GP64(), GP64(), GP64()
	aLine, bLine, lines, image := GP64(), GP64(), GP64(), GP64()
	for _, f := range [][2]int{{nA, nAAt}, {nB, nBAt}} { // not the pointers themselves: they must stay valid
		MOVQ(Mem{Base: t.t, Disp: f[0]}, image)
		MOVQ(image, Mem{Base: t.t, Disp: f[1]})
	}
	Label("image")
	MOVQ(Mem{Base: t.t, Disp: nAAt}, aLine)
	MOVQ(Mem{Base: t.t, Disp: nBAt}, bLine)
	MOVQ(Mem{Base: t.t, Disp: nLines}, lines)
	Label("line")
	MOVQ(aLine, a)
	MOVQ(bLine, b)
	MOVQ(Mem{Base: t.t, Disp: nK}, k)
	Label("row")
	t.row(a, b)
	ADDQ(lda, a)
	ADDQ(ldb, b)
	DECQ(k)
	JNE(LabelRef("row"))
	ADDQ(Mem{Base: t.t, Disp: nALine}, aLine)
	ADDQ(Mem{Base: t.t, Disp: nBLine}, bLine)
	DECQ(lines)
	JNE(LabelRef("line"))
	for _, f := range [][2]int{{nAImage, nAAt}, {nBImage, nBAt}} {
		MOVQ(Mem{Base: t.t, Disp: f[0]}, image)
		ADDQ(image, Mem{Base: t.t, Disp: f[1]})
	}
	DECQ(Mem{Base: t.t, Disp: nImages})
	JNE(LabelRef("image"))
	t.each(func(acc reg.VecPhysical, m Mem) { t.storeTail(acc, m, t.k) })
	VZEROUPPER()
	RET()
}

// row adds the products of one row of A and of B.
func (t *tnCode) row(a, b reg.Register) {
	first := 12 // free registers
	if t.z {
		first = 28
	}
	for v := range t.nv {
		t.loadTo(Mem{Base: b, Disp: v * t.bytes()}, t.k, t.vec(first+v))
	}
	for i := range t.m {
		x := Mem{Base: a, Disp: 4 * i}
		if t.z && t.nv == 1 {
			VFMADD231PS_BCST(x, t.vec(first), t.acc(i, 0))
			continue
		}
		one := t.vec(first + 2)
		if t.z {
			one = t.vec(30 + i%2)
		}
		VBROADCASTSS(x, one)
		for v := range t.nv {
			VFMADD231PS(one, t.vec(first+v), t.acc(i, v))
		}
	}
}

// depthGradCode writes one kernel of the gradient of depthwise weights: the sums of its taps stay in registers while
// all pixels pass, a vector of channels at a time.
type depthGradCode struct {
	*simd
	taps int
	t    reg.GPVirtual
	base []reg.GPVirtual // address of each tap's input for pixel 0 of line 0
}

func (g *depthGradCode) mem(off int) Mem { return Mem{Base: g.t, Disp: off} }

func (g *depthGradCode) write(name string) {
	TEXT(name, NOSPLIT, "func(t *byte)")
	g.t = Load(Param("t"), GP64()).(reg.GPVirtual)
	x, taps := GP64(), GP64()
	MOVQ(g.mem(gX), x)
	MOVQ(g.mem(gTaps), taps)
	for i := range g.taps {
		r := GP64()
		MOVQ(Mem{Base: taps, Disp: 8 * i}, r)
		LEAQ(Mem{Base: x, Index: r, Scale: 4}, r)
		g.base = append(g.base, r)
	}
	for _, f := range [][2]int{{gY, gYNow}, {gW, gWNow}} {
		MOVQ(g.mem(f[0]), x)
		MOVQ(x, g.mem(f[1]))
	}
	lanes := uint64(g.bytes() / 4)
	SUBQ(Imm(lanes), g.mem(gC))
	JLT(LabelRef("rest"))
	Label("full")
	g.channels("full", nil)
	for _, b := range g.base {
		ADDQ(Imm(uint64(g.bytes())), b)
	}
	ADDQ(Imm(uint64(g.bytes())), g.mem(gYNow))
	ADDQ(Imm(uint64(g.bytes())), g.mem(gWNow))
	SUBQ(Imm(lanes), g.mem(gC))
	JGE(LabelRef("full"))
	Label("rest")
	ADDQ(Imm(lanes), g.mem(gC))
	JEQ(LabelRef("end"))
	g.channels("part", g.laneMaskAt(g.t, gMask, gLanes))
	Label("end")
	VZEROUPPER()
	RET()
}

// weights calls do for the accumulator of every tap with the address of its sum.
func (g *depthGradCode) weights(do func(acc reg.VecPhysical, m Mem)) {
	p, stride := GP64(), GP64()
	MOVQ(g.mem(gWNow), p)
	MOVQ(g.mem(gWStride), stride)
	for i := range g.taps {
		do(g.vec(i), Mem{Base: p})
		if i+1 < g.taps {
			ADDQ(stride, p)
		}
	}
}

// channels sums one vector of channels.
func (g *depthGradCode) channels(label string, k *mask) {
	CMPQ(g.mem(gStart), Imm(0))
	JNE(LabelRef(label + "_zero"))
	g.weights(func(acc reg.VecPhysical, m Mem) { g.loadTo(m, k, acc) })
	JMP(LabelRef(label + "_begin"))
	Label(label + "_zero")
	for i := range g.taps {
		VXORPS(g.vec(i), g.vec(i), g.vec(i))
	}
	Label(label + "_begin")
	step := GP64()
	for _, f := range [][2]int{{gYNow, gYAt}, {gLines, gLeft}} {
		MOVQ(g.mem(f[0]), step)
		MOVQ(step, g.mem(f[1]))
	}
	MOVQ(U32(0), g.mem(gXAt))
	x, y, n := GP64(), GP64(), GP64()
	Label(label + "_line")
	MOVQ(g.mem(gXAt), x)
	MOVQ(g.mem(gYAt), y)
	MOVQ(g.mem(gN), n)
	Label(label + "_pixel")
	dy, value := g.vec(g.taps), g.vec(g.taps+1)
	g.loadTo(Mem{Base: y}, k, dy)
	for i, b := range g.base {
		m := Mem{Base: b, Index: x, Scale: 1}
		if k == nil {
			VFMADD231PS(m, dy, g.vec(i))
			continue
		}
		g.loadTo(m, k, value)
		VFMADD231PS(value, dy, g.vec(i))
	}
	ADDQ(g.mem(gStep), x)
	ADDQ(g.mem(gYStep), y)
	DECQ(n)
	JNE(LabelRef(label + "_pixel"))
	for _, f := range [][2]int{{gXLine, gXAt}, {gYLine, gYAt}} {
		MOVQ(g.mem(f[0]), step)
		ADDQ(step, g.mem(f[1]))
	}
	DECQ(g.mem(gLeft))
	JNE(LabelRef(label + "_line"))
	g.weights(func(acc reg.VecPhysical, m Mem) { g.storeTail(acc, m, k) })
}
