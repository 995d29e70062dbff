package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets in the Go structs dwRow and dwConst.
const (
	dX, dStep, dN, dTaps, dGroups, dW = 0, 8, 16, 24, 32, 40
	dBias, dScale, dY, dLDY, dMask    = 48, 56, 64, 72, 80
	dConst, dZero, dLow, dFlip, dMax  = 88, 96, 100, 104, 108
	cBias, cScale, cZero, cLow, cFlip = 0, 256, 512, 576, 640
)

func depthwiseFile() {
	for _, w := range []int{16, 32, 64} {
		depthwiseTaps(w)
		depthwise3x3(w)
	}
	depthwiseAVX2()
}

// dwVNNI is what the kernels for w channels share. A vector holds w/4 dwords, each the bytes of one channel at four taps, so
// that one VPDPBUSD does w products; unpacking bytes, then words, makes four of them from four taps' bytes. Vector q holds
// in its 128-bit lane l the channels 16l+4q to 16l+4q+3, and two packs bring the sums back into order.
type dwVNNI struct {
	w       int
	row, cn reg.Register
	y, ldy  reg.GPVirtual
}

// vec is register i in the width of w bytes.
func (d *dwVNNI) vec(i int) reg.VecPhysical {
	switch d.w {
	case 16:
		return zmm[i].AsX().(reg.VecPhysical)
	case 32:
		return zmm[i].AsY().(reg.VecPhysical)
	}
	return zmm[i]
}

func (d *dwVNNI) vecs(from, n int) []reg.VecPhysical {
	var v []reg.VecPhysical
	for i := range n {
		v = append(v, d.vec(from+i))
	}
	return v
}

// load reads the bytes of w channels; the narrowest kernel reads fewer under a mask.
func (d *dwVNNI) load(m Mem, v reg.VecPhysical) {
	if d.w == 16 {
		VMOVDQU8_Z(m, reg.K1, v)
		return
	}
	VMOVDQU64(m, v)
}

func newDW(name string, w int) *dwVNNI {
	TEXT(fmt.Sprintf("%s%d", name, w), NOSPLIT, "func(d *byte)")
	d := &dwVNNI{w: w}
	d.row = Load(Param("d"), GP64())
	cn := GP64()
	MOVQ(Mem{Base: d.row, Disp: dConst}, cn)
	d.cn = cn
	d.y, d.ldy = GP64(), GP64()
	MOVQ(Mem{Base: d.row, Disp: dY}, d.y)
	MOVQ(Mem{Base: d.row, Disp: dLDY}, d.ldy)
	KMOVQ(Mem{Base: d.row, Disp: dMask}, reg.K1)
	v := d.vec(0)
	VPBROADCASTW(Mem{Base: d.row, Disp: dZero}, v)
	VMOVDQU64(v, Mem{Base: cn, Disp: cZero})
	VPBROADCASTB(Mem{Base: d.row, Disp: dLow}, v)
	VMOVDQU64(v, Mem{Base: cn, Disp: cLow})
	VPBROADCASTB(Mem{Base: d.row, Disp: dFlip}, v)
	VMOVDQU64(v, Mem{Base: cn, Disp: cFlip})
	for i := range 4 {
		VPXORD(d.vec(i), d.vec(i), d.vec(i))
	}
	bias, scale := GP64(), GP64()
	MOVQ(Mem{Base: d.row, Disp: dBias}, bias)
	MOVQ(Mem{Base: d.row, Disp: dScale}, scale)
	TESTQ(bias, bias)
	JE(LabelRef("nobias"))
	d.param(bias)
	Label("nobias")
	for q := range 4 {
		VMOVDQU64(d.vec(q), Mem{Base: cn, Disp: cBias + d.w*q})
	}
	d.param(scale)
	for q := range 4 {
		VMOVDQU64(d.vec(q), Mem{Base: cn, Disp: cScale + d.w*q})
	}
	return d
}

// param loads w dwords from p into vectors 0 to 3, in their order: a transposition of 128-bit lanes.
func (d *dwVNNI) param(p reg.GPVirtual) {
	switch d.w {
	case 16:
		for q := range 4 {
			KSHIFTRW(Imm(uint64(4*q)), reg.K1, reg.K2)
			VMOVDQU32_Z(Mem{Base: p, Disp: 16 * q}, reg.K2, d.vec(q))
		}
	case 32:
		n := d.vecs(4, 4)
		for i := range 4 {
			VMOVDQU64(Mem{Base: p, Disp: 32 * i}, n[i])
		}
		for i := range 2 {
			VSHUFI32X4(Imm(0), n[2+i], n[i], d.vec(2*i))
			VSHUFI32X4(Imm(3), n[2+i], n[i], d.vec(2*i+1))
		}
	case 64:
		n, t := d.vecs(4, 4), d.vecs(8, 4)
		for i := range 4 {
			VMOVDQU64(Mem{Base: p, Disp: 64 * i}, n[i])
		}
		for i := range 2 {
			VSHUFI32X4(U8(0x44), n[2*i+1], n[2*i], t[2*i])
			VSHUFI32X4(U8(0xee), n[2*i+1], n[2*i], t[2*i+1])
		}
		for i := range 2 {
			VSHUFI32X4(U8(0x88), t[2+i], t[i], d.vec(2*i))
			VSHUFI32X4(U8(0xdd), t[2+i], t[i], d.vec(2*i+1))
		}
	}
}

// interleave makes col[q], dwords of four taps, from the taps' bytes in t, which it overwrites.
func (d *dwVNNI) interleave(t, col []reg.VecPhysical, extra reg.VecPhysical) {
	VPUNPCKLBW(t[1], t[0], extra)
	VPUNPCKHBW(t[1], t[0], t[0])
	VPUNPCKLBW(t[3], t[2], t[1])
	VPUNPCKHBW(t[3], t[2], t[2])
	VPUNPCKLWD(t[1], extra, col[0])
	VPUNPCKHWD(t[1], extra, col[1])
	VPUNPCKLWD(t[2], t[0], col[2])
	VPUNPCKHWD(t[2], t[0], col[3])
}

func (d *dwVNNI) bias(acc []reg.VecPhysical) {
	for q := range 4 {
		VMOVDQU64(Mem{Base: d.cn, Disp: cBias + d.w*q}, acc[q])
	}
}

// finish requantises a pixel's sums and stores its bytes; then y is the next pixel.
func (d *dwVNNI) finish(acc []reg.VecPhysical) {
	for q, z := range acc {
		VCVTDQ2PS(z, z)
		VMULPS(Mem{Base: d.cn, Disp: cScale + d.w*q}, z, z)
		VMINPS_BCST(Mem{Base: d.row, Disp: dMax}, z, z)
		VCVTPS2DQ(z, z)
	}
	VPACKSSDW(acc[1], acc[0], acc[0])
	VPACKSSDW(acc[3], acc[2], acc[2])
	VPADDSW(Mem{Base: d.cn, Disp: cZero}, acc[0], acc[0])
	VPADDSW(Mem{Base: d.cn, Disp: cZero}, acc[2], acc[2])
	VPACKUSWB(acc[2], acc[0], acc[0])
	VPMAXUB(Mem{Base: d.cn, Disp: cLow}, acc[0], acc[0])
	VPXORD(Mem{Base: d.cn, Disp: cFlip}, acc[0], acc[0])
	if d.w == 16 {
		VMOVDQU8(acc[0], reg.K1, Mem{Base: d.y})
	} else {
		VMOVDQU64(acc[0], Mem{Base: d.y})
	}
	ADDQ(d.ldy, d.y)
}

// depthwise3x3 is 3x3 with stride 1: a dword holds a column of three taps and a zero weight, and each interleaved column
// serves three pixels.
func depthwise3x3(w int) {
	d := newDW("depthwise3x3VNNI", w)
	n, step, taps, x := GP64(), GP64(), GP64(), GP64()
	MOVQ(Mem{Base: d.row, Disp: dN}, n)
	MOVQ(Mem{Base: d.row, Disp: dStep}, step)
	MOVQ(Mem{Base: d.row, Disp: dTaps}, taps)
	MOVQ(Mem{Base: d.row, Disp: dX}, x)
	rows := []reg.GPVirtual{GP64(), GP64(), GP64()}
	for i, r := range rows { // taps in groups of four, whose first three are a column
		MOVQ(Mem{Base: taps, Disp: 8 * i}, r)
		ADDQ(x, r)
	}
	weights, ring, acc, t := d.vecs(0, 12), d.vecs(12, 12), d.vecs(24, 4), d.vecs(28, 4)
	wp := GP64()
	MOVQ(Mem{Base: d.row, Disp: dW}, wp)
	for i, v := range weights {
		VMOVDQU64(Mem{Base: wp, Disp: d.w * i}, v)
	}
	column := func(i int) {
		for r := range rows {
			d.load(Mem{Base: rows[r]}, t[r])
			ADDQ(step, rows[r])
		}
		d.interleave([]reg.VecPhysical{t[0], t[1], t[2], t[2]}, ring[4*i:4*i+4], t[3])
	}
	column(0)
	column(1)
	Label("pixel")
	for i := range 3 {
		column((i + 2) % 3)
		d.bias(acc)
		for kx := range 3 {
			for q := range 4 {
				vpdpbusd(weights[4*kx+q], ring[(i+kx)%3*4+q], acc[q])
			}
		}
		d.finish(acc)
		DECQ(n)
		if i < 2 {
			JE(LabelRef("done"))
		}
	}
	JNE(LabelRef("pixel"))
	Label("done")
	VZEROUPPER()
	RET()
}

// depthwiseTaps takes any taps, four at a time, and two pixels at once as long as there are two.
func depthwiseTaps(w int) {
	d := newDW("depthwiseVNNI", w)
	n, step, x := GP64(), GP64(), GP64()
	MOVQ(Mem{Base: d.row, Disp: dN}, n)
	MOVQ(Mem{Base: d.row, Disp: dStep}, step)
	MOVQ(Mem{Base: d.row, Disp: dX}, x)
	Label("pair")
	CMPQ(n, Imm(2))
	JL(LabelRef("last"))
	d.pixels(2, x, step)
	SUBQ(Imm(2), n)
	JMP(LabelRef("pair"))
	Label("last")
	TESTQ(n, n)
	JE(LabelRef("done"))
	d.pixels(1, x, step)
	Label("done")
	VZEROUPPER()
	RET()
}

// pixels computes p pixels at x and moves x behind them.
func (d *dwVNNI) pixels(p int, x, step reg.GPVirtual) {
	group := fmt.Sprintf("group%d", p)
	taps, wp, g, next, at := GP64(), GP64(), GP64(), GP64(), GP64()
	MOVQ(Mem{Base: d.row, Disp: dTaps}, taps)
	MOVQ(Mem{Base: d.row, Disp: dW}, wp)
	MOVQ(Mem{Base: d.row, Disp: dGroups}, g)
	LEAQ(Mem{Base: x, Index: step, Scale: 1}, next)
	acc := [][]reg.VecPhysical{d.vecs(0, 4), d.vecs(4, 4)}
	t := [][]reg.VecPhysical{d.vecs(8, 5), d.vecs(13, 5)}
	col := [][]reg.VecPhysical{d.vecs(18, 4), d.vecs(22, 4)}
	weights := d.vecs(26, 4)
	base := []reg.GPVirtual{x, next}
	for i := range p {
		d.bias(acc[i])
	}
	Label(group)
	for j := range 4 {
		MOVQ(Mem{Base: taps, Disp: 8 * j}, at)
		for i := range p {
			d.load(Mem{Base: base[i], Index: at, Scale: 1}, t[i][j])
		}
		VMOVDQU64(Mem{Base: wp, Disp: d.w * j}, weights[j])
	}
	for i := range p {
		d.interleave(t[i], col[i], t[i][4])
		for q := range 4 {
			vpdpbusd(weights[q], col[i][q], acc[i][q])
		}
	}
	ADDQ(Imm(32), taps)
	ADDQ(U32(uint32(4*d.w)), wp)
	DECQ(g)
	JNE(LabelRef(group))
	for i := range p {
		d.finish(acc[i])
		ADDQ(step, x)
	}
}
