package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

var ymm = []reg.VecPhysical{
	reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7,
	reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15,
}

type avx2Tile struct {
	h    int
	run  tileRun
	t    reg.Register
	b    reg.GPVirtual
	odd  map[int]reg.GPVirtual
	mask reg.VecPhysical // 0x00ff in each word
}

// gemmAVX2 computes t.tiles tiles of h rows and 16 columns. Bytes become words, so that VPMADDWD cannot saturate: a
// dword of four k is split into its even and odd bytes, of activations by AND and shift, of weights by shifts.
func gemmAVX2(h int) {
	TEXT(fmt.Sprintf("gemmAVX2x%d", h), NOSPLIT, "func(t *byte)")
	v := &avx2Tile{h: h, t: Load(Param("t"), GP64()), mask: ymm[14]}
	stride := GP64()
	MOVQ(Mem{Base: v.t, Disp: tLDA}, stride)
	v.odd = oddMultiples(stride, h)
	v.run = newTileRun(v.t)
	Label("tile")
	VPCMPEQW(v.mask, v.mask, v.mask)
	VPSRLW(Imm(8), v.mask, v.mask)
	v.start()
	v.sum()
	v.finish()
	v.run.next(h)
	VZEROUPPER()
	RET()
}

func (v *avx2Tile) start() {
	bias := GP64()
	MOVQ(Mem{Base: v.t, Disp: tBias}, bias)
	VPXOR(ymm[0], ymm[0], ymm[0])
	VPXOR(ymm[1], ymm[1], ymm[1])
	TESTQ(bias, bias)
	JE(LabelRef("nobias"))
	VMOVDQU(Mem{Base: bias}, ymm[0])
	VMOVDQU(Mem{Base: bias, Disp: 32}, ymm[1])
	Label("nobias")
	for i := 2; i < 2*v.h; i++ {
		VMOVDQA(ymm[i%2], ymm[i])
	}
}

func (v *avx2Tile) group(row func(i int) Mem) {
	even, odd := ymm[8:10], ymm[10:12]
	x, y, prod := ymm[12], ymm[13], ymm[15]
	for j := 0; j < 2; j++ {
		VMOVDQU(Mem{Base: v.b, Disp: 32 * j}, odd[j])
		VPSLLW(Imm(8), odd[j], even[j])
		VPSRAW(Imm(8), odd[j], odd[j])
		VPSRAW(Imm(8), even[j], even[j])
	}
	for i := 0; i < v.h; i++ {
		VPBROADCASTD(row(i), x)
		VPSRLW(Imm(8), x, y)
		VPAND(x, v.mask, x)
		for j := 0; j < 2; j++ {
			acc := ymm[2*i+j]
			VPMADDWD(even[j], x, prod)
			VPADDD(prod, acc, acc)
			VPMADDWD(odd[j], y, prod)
			VPADDD(prod, acc, acc)
		}
	}
}

func (v *avx2Tile) sum() {
	a, k, p := GP64(), GP64(), GP64()
	v.b = GP64()
	MOVQ(v.run.a, a)
	MOVQ(Mem{Base: v.t, Disp: tB}, v.b)
	MOVQ(Mem{Base: v.t, Disp: tK4}, k)
	TESTQ(k, k)
	JE(LabelRef("whole"))
	Label("k")
	v.group(func(i int) Mem { return rowAddr(a, v.odd, i, 0) })
	ADDQ(Imm(4), a)
	ADDQ(U32(panelBytes), v.b)
	DECQ(k)
	JNE(LabelRef("k"))
	Label("whole")
	MOVQ(v.run.tail, p)
	TESTQ(p, p)
	JE(LabelRef("summed"))
	v.group(func(i int) Mem { return Mem{Base: p, Disp: 4 * i} })
	ADDQ(Imm(uint64(4*v.h)), v.run.tail)
	Label("summed")
}

func (v *avx2Tile) finish() {
	c, ldc, scale := GP64(), GP64(), GP64()
	MOVQ(v.run.c, c)
	MOVQ(Mem{Base: v.t, Disp: tLDC}, ldc)
	MOVQ(Mem{Base: v.t, Disp: tScale}, scale)
	TESTQ(scale, scale)
	JNE(LabelRef("requant"))
	for i := 0; i < v.h; i++ {
		VMOVDQU(ymm[2*i], Mem{Base: c})
		VMOVDQU(ymm[2*i+1], Mem{Base: c, Disp: 32})
		ADDQ(ldc, c)
	}
	JMP(LabelRef("stored"))

	Label("requant")
	perm, high := ymm[14], ymm[15]
	VMOVDQU(byteOrderAVX2(), perm)
	VBROADCASTSS(Mem{Base: v.t, Disp: tMax}, high)
	for i := 0; i < v.h; i += 2 {
		rows := min(2, v.h-i)
		for r := 0; r < 2*rows; r++ {
			y := ymm[2*i+r]
			VCVTDQ2PS(y, y)
			VMULPS(Mem{Base: scale, Disp: 32 * (r % 2)}, y, y)
			VMINPS(high, y, y)
			VCVTPS2DQ(y, y)
		}
		y := packWords(v.t, ymm[2*i:2*i+2])
		w := y
		if rows == 2 {
			w = packWords(v.t, ymm[2*i+2:2*i+4])
		}
		VPACKUSWB(w, y, y)
		VPMAXUB(Mem{Base: v.t, Disp: tLow}, y, y)
		VPXOR(Mem{Base: v.t, Disp: tFlip}, y, y)
		VPERMD(y, perm, y)
		VMOVDQU(y.AsX(), Mem{Base: c})
		ADDQ(ldc, c)
		if rows == 2 {
			VEXTRACTI128(Imm(1), y, y.AsX())
			VMOVDQU(y.AsX(), Mem{Base: c})
			ADDQ(ldc, c)
		}
	}
	Label("stored")
}

// byteOrderAVX2 is byteOrder for two lanes.
func byteOrderAVX2() Mem {
	return table("int8PackOrder2", []uint32{0, 4, 1, 5, 2, 6, 3, 7})
}

var tables = map[string]Mem{}

// table is a read-only constant of dwords, defined on first use.
func table(name string, dwords []uint32) Mem {
	if m, ok := tables[name]; ok {
		return m
	}
	m := GLOBL(name, 8|16) // RODATA|NOPTR
	for i, d := range dwords {
		DATA(4*i, U32(d))
	}
	tables[name] = m
	return m
}
