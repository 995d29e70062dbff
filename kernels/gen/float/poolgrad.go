package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets in the Go struct gradTile.
const (
	pX, pDX, pDY, pStep, pC4 = 0, 8, 16, 24, 32
	pTaps, pTapsEnd, pN, pC  = 40, 48, 56, 64
	pMask, pLanes            = 72, 80
	pWindow, pGate           = 88, 92
)

func poolgradFamily(d *decls) {
	for _, s := range []*simd{{suffix: "AVX2"}, {suffix: "AVX512", z: true}} {
		for _, name := range []string{"maxPoolGrad", "addPoolGrad"} {
			for _, once := range []bool{false, true} {
				g := &gradCode{simd: s, max: name == "maxPoolGrad", once: once}
				full := name + s.suffix
				if once {
					full = name + "Once" + s.suffix
				}
				g.write(full)
				d.add(full, "(t *gradTile)")
			}
			table := name + "s" + s.suffix
			d.tables = append(d.tables, fmt.Sprintf("// %s add to DX and set it.\nvar %s = [2]func(*gradTile){%s%s, %sOnce%s}\n",
				table, table, name, s.suffix, name, s.suffix))
		}
	}
}

// gradCode writes one kernel: window by window, a vector of channels at a time, tap by tap.
type gradCode struct {
	*simd
	max, once        bool
	t, ch            reg.GPVirtual // argument; channels to go
	x, dx, dy        reg.GPVirtual // at this window and channel
	tap, end, pixels reg.GPVirtual
}

func (g *gradCode) field(off int) reg.GPVirtual {
	r := GP64()
	MOVQ(Mem{Base: g.t, Disp: off}, r)
	return r
}

func (g *gradCode) write(name string) {
	TEXT(name, NOSPLIT, "func(t *byte)")
	g.t = Load(Param("t"), GP64()).(reg.GPVirtual)
	g.ch, g.x, g.dx, g.dy, g.tap, g.pixels = GP64(), GP64(), GP64(), GP64(), GP64(), GP64()
	g.end = g.field(pTapsEnd)
	if g.max {
		MOVQ(Mem{Base: g.t, Disp: pX}, g.x)
	}
	MOVQ(Mem{Base: g.t, Disp: pDX}, g.dx)
	MOVQ(Mem{Base: g.t, Disp: pDY}, g.dy)
	MOVQ(Mem{Base: g.t, Disp: pN}, g.pixels)
	rest := g.restMask()
	Label("pixel")
	g.pixel(rest)
	step := g.field(pStep)
	SUBQ(g.field(pC4), step) // the channels have moved the pointers on
	if g.max {
		ADDQ(step, g.x)
	}
	ADDQ(step, g.dx)
	DECQ(g.pixels)
	JNE(LabelRef("pixel"))
	VZEROUPPER()
	RET()
}

// pixel does the channels of one window, a vector at a time, and leaves the pointers after them.
func (g *gradCode) pixel(rest *mask) {
	lanes := g.bytes() / 4
	MOVQ(Mem{Base: g.t, Disp: pC}, g.ch)
	SUBQ(Imm(uint64(lanes)), g.ch)
	JLT(LabelRef("rest"))
	Label("full")
	g.vector("full", nil)
	g.forward(Imm(uint64(g.bytes())))
	SUBQ(Imm(uint64(lanes)), g.ch)
	JGE(LabelRef("full"))
	Label("rest")
	ADDQ(Imm(uint64(lanes)), g.ch)
	JEQ(LabelRef("next"))
	g.vector("part", rest)
	SHLQ(Imm(2), g.ch)
	g.forward(g.ch)
	Label("next")
}

// forward moves the pointers by n bytes.
func (g *gradCode) forward(n Op) {
	if g.max {
		ADDQ(n, g.x)
	}
	ADDQ(n, g.dx)
	ADDQ(n, g.dy)
}

func (g *gradCode) restMask() *mask {
	if g.z {
		k := K()
		KMOVW(g.field(pMask).As32(), k)
		return &mask{k}
	}
	return &mask{g.load(Mem{Base: g.field(pLanes)})}
}

// vector does one vector of channels of a window.
func (g *gradCode) vector(label string, k *mask) {
	v := g.loadTail(Mem{Base: g.dy}, k)
	if g.max {
		g.toLargest(label, v, k)
		return
	}
	w := g.reg()
	VBROADCASTSS(Mem{Base: g.t, Disp: pWindow}, w)
	VDIVPS(w, v, v)
	g.eachTap(label+"_tap", func(at reg.GPVirtual) { g.addTo(at, v, k) })
}

// eachTap runs f with each tap's element offset.
func (g *gradCode) eachTap(label string, f func(at reg.GPVirtual)) {
	MOVQ(Mem{Base: g.t, Disp: pTaps}, g.tap)
	Label(label)
	at := GP64()
	MOVQ(Mem{Base: g.tap}, at)
	ADDQ(Imm(8), g.tap)
	f(at)
	CMPQ(g.tap, g.end)
	JLT(LabelRef(label))
}

func (g *gradCode) addTo(at reg.GPVirtual, v reg.VecVirtual, k *mask) {
	m := Mem{Base: g.dx, Index: at, Scale: 4}
	sum := g.reg()
	if g.once {
		VXORPS(sum, sum, sum) // 0 + v, as where a sum begins with 0
	} else {
		sum = g.loadTail(m, k)
	}
	VADDPS(v, sum, sum)
	g.storeTail(sum, m, k)
}

// toLargest finds the maximum of the taps, then adds v to the first that is not less, and 0 to the others.
func (g *gradCode) toLargest(label string, v reg.VecVirtual, k *mask) {
	first := GP64()
	MOVQ(Mem{Base: g.t, Disp: pTaps}, first)
	MOVQ(Mem{Base: first}, first)
	top := g.loadTail(Mem{Base: g.x, Index: first, Scale: 4}, k)
	g.eachTap(label+"_top", func(at reg.GPVirtual) {
		x := g.loadTail(Mem{Base: g.x, Index: at, Scale: 4}, k)
		VMAXPS(top, x, top) // x > top ? x : top
	})
	CMPL(Mem{Base: g.t, Disp: pGate}, Imm(0))
	JEQ(LabelRef(label + "_open"))
	g.gate(v, top)
	Label(label + "_open")
	g.eachTap(label+"_tap", func(at reg.GPVirtual) {
		x := g.loadTail(Mem{Base: g.x, Index: at, Scale: 4}, k)
		part := g.reg()
		if g.z {
			here := K()
			VCMPPS(Imm(cmpNotLess), top, x, here)
			VMOVAPS_Z(v, here, part)
			VXORPS(v, v, here, v)
		} else {
			here := g.reg()
			VCMPPS(Imm(cmpNotLess), top, x, here)
			VANDPS(v, here, part)
			VANDNPS(v, here, v)
		}
		g.addTo(at, part, k)
	})
}

// gate clears v where top is not above 0.
func (g *gradCode) gate(v, top reg.VecVirtual) {
	zero := g.reg()
	VXORPS(zero, zero, zero)
	if g.z {
		k := K()
		VCMPPS(Imm(cmpLess), top, zero, k) // 0 < top
		VMOVAPS_Z(v, k, v)
		return
	}
	VCMPPS(Imm(cmpLess), top, zero, zero)
	VANDPS(zero, v, v)
}
