package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets in the Go struct gemmTile.
const (
	tA, tLDA, tB, tK4, tTail, tTiles = 0, 8, 16, 24, 32, 40
	tBias, tScale, tC, tLDC, tMask   = 48, 56, 64, 72, 80
	tZero, tLow, tHigh, tFlip        = 88, 152, 216, 280
	panelBytes                       = 32 * 4 // bytes of one group of four k in a panel
)

func gemmFile() {
	peakVNNI()
	for h := 1; h <= 14; h++ {
		for nv := 1; nv <= 2; nv++ {
			gemmVNNI(h, nv)
		}
	}
	peakPairs()
	for nv := 1; nv <= 2; nv++ {
		for h := 1; h <= 4; h++ {
			gemmAVX2(h, nv, false)
		}
		for h := 1; h <= 6; h++ {
			gemmAVX2(h, nv, true)
		}
	}
}

// peakVNNI issues n·20 independent VPDPBUSD of 64 multiply-adds each: the machine's limit, for benchmarks.
func peakVNNI() {
	TEXT("peakVNNI", NOSPLIT, "func(n int)")
	n := Load(Param("n"), GP64())
	Label("loop")
	for i := 0; i < 20; i++ {
		vpdpbusd(reg.Z30, reg.Z31, zmm[i])
	}
	DECQ(n)
	JNE(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// peakPairs issues n·12 independent products of 32 multiply-adds each as pairGroup computes them.
func peakPairs() {
	TEXT("peakPairs", NOSPLIT, "func(n int)")
	n := Load(Param("n"), GP64())
	Label("loop")
	for i := 0; i < 12; i++ {
		VPMADDUBSW(ymm[12], ymm[13], ymm[15])
		VPMADDWD(ymm[14], ymm[15], ymm[15])
		VPADDD(ymm[15], ymm[i], ymm[i])
	}
	DECQ(n)
	JNE(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

var zmm = []reg.VecPhysical{
	reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7, reg.Z8, reg.Z9, reg.Z10,
	reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15, reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21,
	reg.Z22, reg.Z23, reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
}

// rowAddr returns the address of row r of a matrix with the given base; odd multiples of the stride are registers.
func rowAddr(base reg.Register, odd map[int]reg.GPVirtual, r, disp int) Mem {
	if r == 0 {
		return Mem{Base: base, Disp: disp}
	}
	scale := 1
	for r%2 == 0 {
		r, scale = r/2, scale*2
	}
	return Mem{Base: base, Index: odd[r], Scale: uint8(scale), Disp: disp}
}

// oddMultiples returns registers with stride·1, ·3, ·5 … as far as rows below h need them.
func oddMultiples(stride reg.GPVirtual, h int) map[int]reg.GPVirtual {
	odd := map[int]reg.GPVirtual{1: stride}
	for r := 3; r < h; r += 2 {
		odd[r] = GP64()
		LEAQ(Mem{Base: odd[r-2], Index: stride, Scale: 2}, odd[r])
	}
	return odd
}

type vnniTile struct {
	h, nv      int
	run        tileRun
	t          reg.Register
	b          reg.GPVirtual
	odd        map[int]reg.GPVirtual
	acc        [14][2]reg.VecPhysical
	s          [4]reg.VecPhysical // weights in the loop, then scales and scratch
	k1, k2, kw reg.OpmaskPhysical
}

// gemmVNNI computes t.tiles tiles of h rows and 16·nv columns, each from the whole of k.
func gemmVNNI(h, nv int) {
	TEXT(fmt.Sprintf("gemmVNNI%dx%d", h, 16*nv), NOSPLIT, "func(t *byte)")
	v := &vnniTile{h: h, nv: nv, k1: reg.K1, k2: reg.K2, kw: reg.K3}
	for i := 0; i < h; i++ {
		for j := 0; j < nv; j++ {
			v.acc[i][j] = zmm[i*nv+j]
		}
	}
	copy(v.s[:], zmm[28:])
	v.t = Load(Param("t"), GP64())
	KMOVD(Mem{Base: v.t, Disp: tMask}, v.kw)
	KMOVW(Mem{Base: v.t, Disp: tMask}, v.k1)
	KMOVW(Mem{Base: v.t, Disp: tMask + 2}, v.k2)
	stride := GP64()
	MOVQ(Mem{Base: v.t, Disp: tLDA}, stride)
	v.odd = oddMultiples(stride, h)
	v.run = newTileRun(v.t)
	Label("tile")
	v.start()
	v.sum()
	v.tail()
	v.finish()
	v.run.next(h)
	VZEROUPPER()
	RET()
}

// start fills the accumulators with the bias.
func (v *vnniTile) start() {
	bias := GP64()
	MOVQ(Mem{Base: v.t, Disp: tBias}, bias)
	for j := 0; j < v.nv; j++ {
		VPXORD(v.acc[0][j], v.acc[0][j], v.acc[0][j])
	}
	TESTQ(bias, bias)
	JE(LabelRef("nobias"))
	for j := 0; j < v.nv; j++ {
		VMOVDQU32_Z(Mem{Base: bias, Disp: 64 * j}, []reg.OpmaskPhysical{v.k1, v.k2}[j], v.acc[0][j])
	}
	Label("nobias")
	for i := 1; i < v.h; i++ {
		for j := 0; j < v.nv; j++ {
			VMOVDQA64(v.acc[0][j], v.acc[i][j])
		}
	}
}

// group adds four k: weights from v.b, activations from the given addresses.
func (v *vnniTile) group(disp int, row func(i int) Mem) {
	for j := 0; j < v.nv; j++ {
		VMOVDQU64(Mem{Base: v.b, Disp: disp + 64*j}, v.s[j])
	}
	for i := 0; i < v.h; i++ {
		x := v.s[2+i%2]
		VPBROADCASTD(row(i), x)
		for j := 0; j < v.nv; j++ {
			vpdpbusd(v.s[j], x, v.acc[i][j])
		}
	}
}

const prefetchAhead = 2048

func (v *vnniTile) sum() {
	a, k := GP64(), GP64()
	v.b = GP64()
	MOVQ(v.run.a, a)
	MOVQ(Mem{Base: v.t, Disp: tB}, v.b)
	MOVQ(Mem{Base: v.t, Disp: tK4}, k)
	at := func(disp int) func(int) Mem {
		return func(i int) Mem { return rowAddr(a, v.odd, i, disp) }
	}
	SUBQ(Imm(2), k)
	JL(LabelRef("odd"))
	Label("pair")
	PREFETCHT0(Mem{Base: v.b, Disp: prefetchAhead})
	PREFETCHT0(Mem{Base: v.b, Disp: prefetchAhead + 64})
	v.group(0, at(0))
	PREFETCHT0(Mem{Base: v.b, Disp: prefetchAhead + 128})
	PREFETCHT0(Mem{Base: v.b, Disp: prefetchAhead + 192})
	v.group(panelBytes, at(4))
	ADDQ(Imm(8), a)
	ADDQ(U32(2*panelBytes), v.b)
	SUBQ(Imm(2), k)
	JGE(LabelRef("pair"))
	Label("odd")
	TESTQ(U32(1), k)
	JE(LabelRef("even"))
	v.group(0, at(0))
	ADDQ(U32(panelBytes), v.b)
	Label("even")
}

// tail adds the last k%4, gathered by the caller as one dword for each row.
func (v *vnniTile) tail() {
	p := GP64()
	MOVQ(v.run.tail, p)
	TESTQ(p, p)
	JE(LabelRef("summed"))
	v.group(0, func(i int) Mem { return Mem{Base: p, Disp: 4 * i} })
	ADDQ(Imm(uint64(4*v.h)), v.run.tail)
	Label("summed")
}

// finish stores raw sums, or requantised bytes.
func (v *vnniTile) finish() {
	c, ldc, scale := GP64(), GP64(), GP64()
	MOVQ(v.run.c, c)
	MOVQ(Mem{Base: v.t, Disp: tLDC}, ldc)
	MOVQ(Mem{Base: v.t, Disp: tScale}, scale)
	TESTQ(scale, scale)
	JNE(LabelRef("requant"))
	for i := 0; i < v.h; i++ {
		VMOVDQU32(v.acc[i][0], v.k1, Mem{Base: c})
		if v.nv == 2 {
			VMOVDQU32(v.acc[i][1], v.k2, Mem{Base: c, Disp: 64})
		}
		ADDQ(ldc, c)
	}
	JMP(LabelRef("stored"))

	Label("requant")
	VMOVDQU32_Z(Mem{Base: scale}, v.k1, v.s[0])
	if v.nv == 2 {
		VMOVDQU32_Z(Mem{Base: scale, Disp: 64}, v.k2, v.s[1])
	}
	VMOVDQU64(byteOrder(), v.s[2])
	for i := 0; i < v.h; i += 4 / v.nv {
		v.requant(i, c, ldc)
	}
	Label("stored")
}

// byteOrder is the dword permutation that undoes the lane order of two packs.
func byteOrder() Mem {
	return table("int8PackOrder", []uint32{0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15})
}

// requant turns up to four accumulators (two rows of 32 columns, or four rows of 16) into one vector of bytes and
// stores its rows. The caller knows that the conversion cannot overflow; packs saturate, and then the bounds are exact.
func (v *vnniTile) requant(i int, c, ldc reg.GPVirtual) {
	rows := min(4/v.nv, v.h-i)
	var q []reg.VecPhysical
	for r := 0; r < rows; r++ {
		for j := 0; j < v.nv; j++ {
			z := v.acc[i+r][j]
			VCVTDQ2PS(z, z)
			VMULPS(v.s[j], z, z)
			VCVTPS2DQ(z, z)
			q = append(q, z)
		}
	}
	z := packWords(v.t, q[:min(2, len(q))])
	w := z
	if len(q) > 2 {
		w = packWords(v.t, q[2:])
	}
	VPACKUSWB(w, z, z)
	VPMINUB(Mem{Base: v.t, Disp: tHigh}, z, z)
	VPMAXUB(Mem{Base: v.t, Disp: tLow}, z, z)
	VPXORD(Mem{Base: v.t, Disp: tFlip}, z, z)
	VPERMD(z, v.s[2], z)
	v.store(z, rows, c, ldc)
}

// packWords saturates one or two vectors of int32 to int16, in the first, and adds the zero point.
func packWords(t reg.Register, q []reg.VecPhysical) reg.VecPhysical {
	z := q[0]
	VPACKSSDW(q[len(q)-1], z, z)
	VPADDSW(Mem{Base: t, Disp: tZero}, z, z)
	return z
}

func (v *vnniTile) store(z reg.VecPhysical, rows int, c, ldc reg.GPVirtual) {
	if v.nv == 2 {
		VMOVDQU8(z.AsY(), v.kw, Mem{Base: c})
		ADDQ(ldc, c)
		if rows > 1 {
			VEXTRACTI64X4(Imm(1), z, z.AsY())
			VMOVDQU8(z.AsY(), v.kw, Mem{Base: c})
			ADDQ(ldc, c)
		}
		return
	}
	VMOVDQU8(z.AsX(), v.k1, Mem{Base: c})
	ADDQ(ldc, c)
	x := zmm[27].AsX()
	for r := 1; r < rows; r++ {
		VEXTRACTI32X4(Imm(uint64(r)), z, x)
		VMOVDQU8(x, v.k1, Mem{Base: c})
		ADDQ(ldc, c)
	}
}
