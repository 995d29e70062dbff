package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets in the Go struct laneArgs.
const (
	lX, lStride, lY, lYStride = 0, 8, 16, 24
	lHead, lIdx, lVal, lSteps = 32, 40, 48, 56
)

// laneFamily writes the products of few rows with sparse weights.
func laneFamily(d *decls) {
	for _, set := range []struct {
		name   string
		kernel func(name string, rows int)
	}{{"lanesAVX512", laneZ}, {"lanesAVX2", laneY}} {
		table := fmt.Sprintf("// %[1]s[r] computes r rows.\nvar %[1]s = laneKernels{nil, ", set.name)
		for rows := 1; rows <= 4; rows++ {
			name := fmt.Sprintf("%sR%d", set.name, rows)
			d.add(name, "(t *laneArgs)")
			set.kernel(name, rows)
			table += name + ", "
		}
		d.tables = append(d.tables, table+"}\n")
	}
	emitLaneBits()
}

// lanes holds the registers of a kernel that computes 16 outputs.
type lanes struct {
	t, head, idx, val, steps reg.GPVirtual
	x                        []reg.GPVirtual // of each row
	window                   reg.GPVirtual   // byte offset in x
}

func enterLanes(name string, rows int) *lanes {
	TEXT(name, NOSPLIT, "func(t *byte)")
	f := &frame{t: Load(Param("t"), GP64()).(reg.GPVirtual)}
	l := &lanes{t: f.t, head: f.load(lHead), idx: f.load(lIdx), val: f.load(lVal), steps: f.load(lSteps), window: GP64()}
	l.x = []reg.GPVirtual{f.load(lX)}
	for i := 1; i < rows; i++ {
		r := GP64()
		MOVQ(l.x[i-1], r)
		ADDQ(Mem{Base: f.t, Disp: lStride}, r)
		l.x = append(l.x, r)
	}
	return l
}

// next moves on to the following step.
func (l *lanes) next() {
	ADDQ(Imm(4), l.head)
	ADDQ(Imm(16), l.idx)
	ADDQ(Imm(64), l.val)
	DECQ(l.steps)
	JNE(LabelRef("step"))
}

// store writes the sums of each row and leaves the function.
func (l *lanes) store(acc func(i int) []reg.VecPhysical) {
	y := GP64()
	MOVQ(Mem{Base: l.t, Disp: lY}, y)
	for i := range l.x {
		for v, a := range acc(i) {
			VMOVUPS(a, Mem{Base: y, Disp: 32 * v})
		}
		if i+1 < len(l.x) {
			ADDQ(Mem{Base: l.t, Disp: lYStride}, y)
		}
	}
	VZEROUPPER()
	RET()
}

// laneZ computes several rows. The window of a row is two registers in which a permutation looks up the lanes' inputs.
func laneZ(name string, rows int) {
	l := enterLanes(name, rows)
	for i := range rows {
		VPXORD(zmm[i], zmm[i], zmm[i])
	}
	idx, val := zmm[8], zmm[9]
	Label("step")
	MOVWLZX(Mem{Base: l.head, Disp: 2}, l.window.As32())
	SHLL(Imm(6), l.window.As32())
	KMOVW(Mem{Base: l.head}, reg.K1)
	VPMOVZXBD(Mem{Base: l.idx}, idx)
	VMOVUPS(Mem{Base: l.val}, val)
	for i, x := range l.x {
		look, lo := zmm[16+i], zmm[20+i]
		VMOVUPS(Mem{Base: x, Index: l.window, Scale: 1}, lo)
		VMOVAPS(idx, look)
		VPERMI2PS(Mem{Base: x, Index: l.window, Scale: 1, Disp: 64}, lo, look)
		VFMADD231PS(look, val, reg.K1, zmm[i])
	}
	l.next()
	l.store(func(i int) []reg.VecPhysical { return zmm[i : i+1] })
}

// laneY computes several rows, in two halves. An input is looked up in each of the window's four registers by the low
// three bits of its index; the other bits, moved to the sign, choose among the four. Lanes that take no part get an
// input of +0 for their weight of -0, which changes no sum.
func laneY(name string, rows int) {
	l := enterLanes(name, rows)
	bits := NewDataAddr(laneBits, 0)
	for i := range 2 * rows {
		VXORPS(ymm[i], ymm[i], ymm[i])
	}
	idx, odd, high, on := ymm[8], ymm[9], ymm[10], ymm[11]
	x := ymm[12:16]
	Label("step")
	MOVWLZX(Mem{Base: l.head, Disp: 2}, l.window.As32())
	SHLL(Imm(6), l.window.As32())
	for v := range 2 {
		VPMOVZXBD(Mem{Base: l.idx, Disp: 8 * v}, idx)
		VPSLLD(Imm(28), idx, odd)
		VPSLLD(Imm(27), idx, high)
		VPBROADCASTW(Mem{Base: l.head}, on)
		VPAND(bits.Offset(32*v), on, on) // a bit for each lane
		VPCMPEQD(bits.Offset(32*v), on, on)
		for i, base := range l.x {
			for q := range x {
				VPERMPS(Mem{Base: base, Index: l.window, Scale: 1, Disp: 32 * q}, idx, x[q])
			}
			VBLENDVPS(odd, x[1], x[0], x[0])
			VBLENDVPS(odd, x[3], x[2], x[2])
			VBLENDVPS(high, x[2], x[0], x[0])
			VANDPS(on, x[0], x[0])
			VFMADD231PS(Mem{Base: l.val, Disp: 32 * v}, x[0], ymm[2*i+v])
		}
	}
	l.next()
	l.store(func(i int) []reg.VecPhysical { return ymm[2*i : 2*i+2] })
}

// laneBits is 16 numbers with bit i set in number i.
var laneBits = NewStaticSymbol("laneBits")

func emitLaneBits() {
	GLOBL(laneBits.Name, RODATA|NOPTR)
	for i := range 16 {
		DATA(4*i, U32(1<<i))
	}
}
