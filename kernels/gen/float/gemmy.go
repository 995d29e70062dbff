package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// gemmY is a tile of m rows and 16 columns in YMM registers; C is read and written under the lane masks of tLanes.
func gemmY(t tile) {
	f := enter(t)
	y := &yTile{tile: t, frame: f}
	f.skipUnless(tLoad, "zero")
	y.each("load", tC, tLDC, func(acc reg.VecPhysical, m Mem, masked bool) { loadY(m, acc, masked) })
	JMP(LabelRef("begin"))
	Label("zero")
	for i := range 2 * t.m {
		VXORPS(ymm[i], ymm[i], ymm[i])
	}
	Label("begin")
	f.loopK(64, func(u int) {
		VMOVUPS(Mem{Base: f.b, Disp: 64 * u}, ymm[12])
		VMOVUPS(Mem{Base: f.b, Disp: 64*u + 32}, ymm[13])
		PREFETCHT0(Mem{Base: f.b, Disp: 64*u + prefetch})
		for i := range t.m {
			x := ymm[14+i%2]
			VBROADCASTSS(at(f.a, f.rows, i, 4*u), x)
			VFMADD231PS(x, ymm[12], y.acc(i, 0))
			VFMADD231PS(x, ymm[13], y.acc(i, 1))
		}
	})
	y.finish()
	VZEROUPPER()
	RET()
}

type yTile struct {
	tile
	*frame
}

func (y *yTile) acc(i, v int) reg.VecPhysical { return ymm[2*i+v] }

// each calls do for every accumulator with the address of its element of a row-major matrix; masked says that Y13 holds
// its lane mask. Whole tiles take a path without masks, since masked stores are slow on AMD's CPUs.
func (y *yTile) each(label string, base, stride int, do func(acc reg.VecPhysical, m Mem, masked bool)) {
	ld, cols := y.load(stride), y.load(tMask)
	CMPQ(cols, U32(0xffff))
	JNE(LabelRef(label + "_masked"))
	p := y.load(base)
	for i := range y.m {
		do(y.acc(i, 0), Mem{Base: p}, false)
		do(y.acc(i, 1), Mem{Base: p, Disp: 32}, false)
		if i+1 < y.m {
			ADDQ(ld, p)
		}
	}
	JMP(LabelRef(label + "_end"))
	Label(label + "_masked")
	lanes := y.load(tLanes)
	for v := range 2 {
		p := y.load(base)
		VMOVUPS(Mem{Base: lanes, Disp: 32 * v}, ymm[13])
		for i := range y.m {
			do(y.acc(i, v), Mem{Base: p, Disp: 32 * v}, true)
			if i+1 < y.m {
				ADDQ(ld, p)
			}
		}
	}
	Label(label + "_end")
}

func loadY(m Mem, to Op, masked bool) {
	if masked {
		VMASKMOVPS(m, ymm[13], to)
		return
	}
	VMOVUPS(m, to)
}

// finish adds bias and residual, clamps, closes gates and stores. Operands are ordered so that a NaN in the sum stays.
func (y *yTile) finish() {
	y.skipUnless(tLast, "store")
	y.skipUnless(tBias, "res")
	bias, lanes := y.load(tBias), y.load(tLanes)
	for v := range 2 {
		VMOVUPS(Mem{Base: lanes, Disp: 32 * v}, ymm[13])
		VMASKMOVPS(Mem{Base: bias, Disp: 32 * v}, ymm[13], ymm[12])
		for i := range y.m {
			VADDPS(ymm[12], y.acc(i, v), y.acc(i, v))
		}
	}
	Label("res")
	y.skipUnless(tRes, "clamp")
	y.each("res", tRes, tLDR, func(acc reg.VecPhysical, m Mem, masked bool) {
		loadY(m, ymm[12], masked)
		VADDPS(ymm[12], acc, acc)
	})
	Label("clamp")
	all := make([]Op, 2*y.m)
	for i := range all {
		all[i] = ymm[i]
	}
	clampAll("clamp", Mem{Base: y.t, Disp: tLo}, ymm[12], all)
	y.skipUnless(tGate, "store")
	VBROADCASTSS(Mem{Base: y.t, Disp: tGateLo}, ymm[14])
	VBROADCASTSS(Mem{Base: y.t, Disp: tGateHi}, ymm[15])
	y.each("gate", tGate, tLDR, func(acc reg.VecPhysical, m Mem, masked bool) {
		for i, code := range []uint64{greater, notAtLeast} {
			loadY(m, ymm[12], masked)
			VCMPPS(Imm(code), ymm[14+i], ymm[12], ymm[12])
			VANDPS(ymm[12], acc, acc)
		}
	})
	Label("store")
	y.each("store", tC, tLDC, func(acc reg.VecPhysical, m Mem, masked bool) {
		if masked {
			VMASKMOVPS(acc, ymm[13], m)
			return
		}
		VMOVUPS(acc, m)
	})
}
