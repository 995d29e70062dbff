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

// avx2Tile is a tile of h rows and 8·nv columns. Its accumulators come first, row by row.
type avx2Tile struct {
	h, nv int
	pairs bool
	run   tileRun
	t     reg.Register
	b     reg.GPVirtual
	odd   map[int]reg.GPVirtual
}

// gemmAVX2 computes t.tiles tiles of h rows and 8·nv columns, by VPMADDUBSW if pairs: see group and pairGroup.
func gemmAVX2(h, nv int, pairs bool) {
	name := "gemmAVX2"
	if pairs {
		name = "gemmPairsAVX2"
	}
	TEXT(fmt.Sprintf("%sx%dx%d", name, h, 8*nv), NOSPLIT, "func(t *byte)")
	v := &avx2Tile{h: h, nv: nv, pairs: pairs, t: Load(Param("t"), GP64())}
	stride := GP64()
	MOVQ(Mem{Base: v.t, Disp: tLDA}, stride)
	v.odd = oddMultiples(stride, h)
	v.run = newTileRun(v.t)
	Label("tile")
	VPCMPEQW(ymm[14], ymm[14], ymm[14])
	if pairs {
		VPSRLW(Imm(15), ymm[14], ymm[14])
	} else {
		VPSRLW(Imm(8), ymm[14], ymm[14])
	}
	v.start()
	v.sum()
	v.finish()
	v.run.next(h)
	VZEROUPPER()
	RET()
}

func (v *avx2Tile) acc(i, j int) reg.VecPhysical { return ymm[v.nv*i+j] }

func (v *avx2Tile) start() {
	bias := GP64()
	MOVQ(Mem{Base: v.t, Disp: tBias}, bias)
	for j := range v.nv {
		VPXOR(ymm[j], ymm[j], ymm[j])
	}
	TESTQ(bias, bias)
	JE(LabelRef("nobias"))
	for j := range v.nv {
		VMOVDQU(Mem{Base: bias, Disp: 32 * j}, ymm[j])
	}
	Label("nobias")
	for i := v.nv; i < v.nv*v.h; i++ {
		VMOVDQA(ymm[i%v.nv], ymm[i])
	}
}

// group adds four k of any weights. Bytes become words, so that VPMADDWD cannot saturate: a dword of four k is split into
// its even and odd bytes, of activations by AND and shift, of weights by shifts.
func (v *avx2Tile) group(disp int, row func(i int) Mem) {
	even, odd := ymm[8:10], ymm[10:12]
	x, y, mask, prod := ymm[12], ymm[13], ymm[14], ymm[15]
	for j := range v.nv {
		VMOVDQU(Mem{Base: v.b, Disp: disp + 32*j}, odd[j])
		VPSLLW(Imm(8), odd[j], even[j])
		VPSRAW(Imm(8), odd[j], odd[j])
		VPSRAW(Imm(8), even[j], even[j])
	}
	for i := range v.h {
		VPBROADCASTD(row(i), x)
		VPSRLW(Imm(8), x, y)
		VPAND(x, mask, x)
		for j := range v.nv {
			VPMADDWD(even[j], x, prod)
			VPADDD(prod, v.acc(i, j), v.acc(i, j))
			VPMADDWD(odd[j], y, prod)
			VPADDD(prod, v.acc(i, j), v.acc(i, j))
		}
	}
}

// pairGroup adds four k of weights whose pairs fit: VPMADDUBSW adds two products in int16, VPMADDWD with ones two of those.
func (v *avx2Tile) pairGroup(disp int, row func(i int) Mem) {
	x, ones := ymm[12], ymm[14]
	for i := range v.h {
		VPBROADCASTD(row(i), x)
		for j := range v.nv {
			prod := []reg.VecPhysical{ymm[13], ymm[15]}[j]
			VPMADDUBSW(Mem{Base: v.b, Disp: disp + 32*j}, x, prod)
			VPMADDWD(ones, prod, prod)
			VPADDD(prod, v.acc(i, j), v.acc(i, j))
		}
	}
}

func (v *avx2Tile) sum() {
	group := v.group
	if v.pairs {
		group = v.pairGroup
	}
	a, k, p := GP64(), GP64(), GP64()
	v.b = GP64()
	MOVQ(v.run.a, a)
	MOVQ(Mem{Base: v.t, Disp: tB}, v.b)
	MOVQ(Mem{Base: v.t, Disp: tK4}, k)
	TESTQ(k, k)
	JE(LabelRef("whole"))
	Label("k")
	group(0, func(i int) Mem { return rowAddr(a, v.odd, i, 0) })
	ADDQ(Imm(4), a)
	ADDQ(U32(panelBytes), v.b)
	DECQ(k)
	JNE(LabelRef("k"))
	Label("whole")
	MOVQ(v.run.tail, p)
	TESTQ(p, p)
	JE(LabelRef("summed"))
	group(0, func(i int) Mem { return Mem{Base: p, Disp: 4 * i} })
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
	for i := range v.h {
		for j := range v.nv {
			VMOVDQU(v.acc(i, j), Mem{Base: c, Disp: 32 * j})
		}
		ADDQ(ldc, c)
	}
	JMP(LabelRef("stored"))

	Label("requant")
	VMOVDQU(byteOrderAVX2(), ymm[14])
	for i := 0; i < v.h; i += 2 {
		v.requant(i, scale)
		v.store(v.acc(i, 0), min(2, v.h-i), c, ldc)
	}
	Label("stored")
}

// requant turns the accumulators of rows i and i+1 into bytes, in the first.
func (v *avx2Tile) requant(i int, scale reg.GPVirtual) {
	rows := min(2, v.h-i)
	q := ymm[v.nv*i : v.nv*(i+rows)]
	for r, y := range q {
		VCVTDQ2PS(y, y)
		VMULPS(Mem{Base: scale, Disp: 32 * (r % v.nv)}, y, y)
		VCVTPS2DQ(y, y)
	}
	y := packWords(v.t, q[:min(2, len(q))])
	w := y
	if len(q) > 2 {
		w = packWords(v.t, q[2:])
	}
	VPACKUSWB(w, y, y)
	VPMINUB(Mem{Base: v.t, Disp: tHigh}, y, y)
	VPMAXUB(Mem{Base: v.t, Disp: tLow}, y, y)
	VPXOR(Mem{Base: v.t, Disp: tFlip}, y, y)
	VPERMD(y, ymm[14], y)
}

func (v *avx2Tile) store(y reg.VecPhysical, rows int, c, ldc reg.GPVirtual) {
	if v.nv == 1 {
		VMOVQ(y.AsX(), Mem{Base: c})
	} else {
		VMOVDQU(y.AsX(), Mem{Base: c})
	}
	ADDQ(ldc, c)
	if rows == 1 {
		return
	}
	if v.nv == 1 {
		VMOVHPS(y.AsX(), Mem{Base: c})
	} else {
		VEXTRACTI128(Imm(1), y, Mem{Base: c})
	}
	ADDQ(ldc, c)
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
