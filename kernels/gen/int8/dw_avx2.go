package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// depthwiseAVX2 computes 16 channels, taps in pairs: bytes become words, words of two taps interleave, and VPMADDWD adds
// both products. The low half holds channels 0-3 and 8-11, the high half the others; one pack restores the order.
func depthwiseAVX2() {
	TEXT("depthwiseRowAVX2", NOSPLIT, "func(d *byte)")
	d := &dwAVX2{row: Load(Param("d"), GP64())}
	d.y, d.ldy = GP64(), GP64()
	n, step, x, bias, scale := GP64(), GP64(), GP64(), GP64(), GP64()
	for _, f := range []struct {
		disp int
		r    reg.GPVirtual
	}{{dY, d.y}, {dLDY, d.ldy}, {dN, n}, {dStep, step}, {dX, x}, {dBias, bias}, {dScale, scale}} {
		MOVQ(Mem{Base: d.row, Disp: f.disp}, f.r)
	}
	for _, v := range d.biases() {
		VPXOR(v, v, v)
	}
	TESTQ(bias, bias)
	JE(LabelRef("nobias"))
	d.param(bias, d.biases())
	Label("nobias")
	d.param(scale, d.scales())
	Label("pair")
	CMPQ(n, Imm(2))
	JL(LabelRef("last"))
	d.pixels(2, "tap2", x, step)
	SUBQ(Imm(2), n)
	JMP(LabelRef("pair"))
	Label("last")
	TESTQ(n, n)
	JE(LabelRef("done"))
	d.pixels(1, "tap1", x, step)
	Label("done")
	VZEROUPPER()
	RET()
}

type dwAVX2 struct {
	row    reg.Register
	y, ldy reg.GPVirtual
}

func (d *dwAVX2) biases() []reg.VecPhysical { return ymm[12:14] }
func (d *dwAVX2) scales() []reg.VecPhysical { return ymm[14:16] }

// param loads 16 dwords, channels 0-3 and 8-11 into the first vector.
func (d *dwAVX2) param(p reg.GPVirtual, v []reg.VecPhysical) {
	VMOVDQU(Mem{Base: p}, ymm[0])
	VMOVDQU(Mem{Base: p, Disp: 32}, ymm[1])
	VPERM2I128(U8(0x20), ymm[1], ymm[0], v[0])
	VPERM2I128(U8(0x31), ymm[1], ymm[0], v[1])
}

func (d *dwAVX2) pixels(p int, loop string, x, step reg.GPVirtual) {
	taps, wp, g, next, at := GP64(), GP64(), GP64(), GP64(), GP64()
	MOVQ(Mem{Base: d.row, Disp: dTaps}, taps)
	MOVQ(Mem{Base: d.row, Disp: dW}, wp)
	MOVQ(Mem{Base: d.row, Disp: dGroups}, g)
	LEAQ(Mem{Base: x, Index: step, Scale: 1}, next)
	base := []reg.GPVirtual{x, next}
	acc := [][]reg.VecPhysical{ymm[0:2], ymm[2:4]}
	t := [][]reg.VecPhysical{ymm[4:6], ymm[6:8]}
	for i := range p {
		for h := range 2 {
			VMOVDQA(d.biases()[h], acc[i][h])
		}
	}
	Label(loop)
	for j := range 2 {
		MOVQ(Mem{Base: taps, Disp: 8 * j}, at)
		for i := range p {
			VPMOVZXBW(Mem{Base: base[i], Index: at, Scale: 1}, t[i][j])
		}
	}
	for i := range p {
		low := ymm[8+i]
		VPUNPCKLWD(t[i][1], t[i][0], low)
		VPUNPCKHWD(t[i][1], t[i][0], t[i][0])
		VPMADDWD(Mem{Base: wp}, low, low)
		VPMADDWD(Mem{Base: wp, Disp: 32}, t[i][0], t[i][0])
		VPADDD(low, acc[i][0], acc[i][0])
		VPADDD(t[i][0], acc[i][1], acc[i][1])
	}
	ADDQ(Imm(16), taps)
	ADDQ(Imm(64), wp)
	DECQ(g)
	JNE(LabelRef(loop))
	for i := range p {
		d.finish(acc[i])
		ADDQ(step, x)
	}
}

func (d *dwAVX2) finish(acc []reg.VecPhysical) {
	high, x := ymm[10], acc[0].AsX()
	VBROADCASTSS(Mem{Base: d.row, Disp: dMax}, high)
	for h, v := range acc {
		VCVTDQ2PS(v, v)
		VMULPS(d.scales()[h], v, v)
		VMINPS(high, v, v)
		VCVTPS2DQ(v, v)
	}
	VPACKSSDW(acc[1], acc[0], acc[0])
	VPBROADCASTW(Mem{Base: d.row, Disp: dZero}, high)
	VPADDSW(high, acc[0], acc[0])
	VPACKUSWB(acc[0], acc[0], acc[0])
	VPERMQ(Imm(8), acc[0], acc[0])
	VPBROADCASTB(Mem{Base: d.row, Disp: dLow}, high.AsX())
	VPMAXUB(high.AsX(), x, x)
	VPBROADCASTB(Mem{Base: d.row, Disp: dFlip}, high.AsX())
	VPXOR(high.AsX(), x, x)
	VMOVDQU(x, Mem{Base: d.y})
	ADDQ(d.ldy, d.y)
}
