package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets in the Go struct quantArgs.
const (
	qDst, qA, qB, qC, qN      = 0, 8, 16, 24, 32
	qScaleA, qScaleB, qScaleC = 40, 44, 48
	qZeroA, qZeroB, qLo, qHi  = 52, 56, 60, 64
	qZero, qFlip              = 68, 72
	tempVec, firstConst       = 4, 5
)

func quantFile() {
	for _, v := range []*vecGen{{isa: "AVX2"}, {isa: "AVX512", wide: true}} {
		v.quantize()
		v.dequantize("U8")
		v.dequantize("S8")
		v.columns()
		for _, sign := range []string{"U8", "S8"} {
			v.add(sign)
			v.mul(sign)
		}
		v.minMax()
		v.rowSum()
		v.pool()
	}
	lookupVBMI()
}

// vecGen generates one function on blocks of four vectors. Wide ones do what remains under a mask; the others leave it
// to the caller.
type vecGen struct {
	isa    string
	wide   bool
	masked bool // generating the masked block
	consts int
	args   reg.Register
	ptr    map[int]reg.GPVirtual // by offset in quantArgs
	out    struct{ lo, hi, zero, flip, perm reg.VecPhysical }
}

func (v *vecGen) vec(i int) reg.VecPhysical {
	if v.wide {
		return zmm[i]
	}
	return ymm[i]
}

// lanes is the number of dwords in a vector; a block has four times as many elements.
func (v *vecGen) lanes() int {
	if v.wide {
		return 16
	}
	return 8
}

// begin starts a function and loads the named pointers.
func (v *vecGen) begin(name string, pointers ...int) {
	TEXT(name+v.isa, NOSPLIT, "func(q *byte)")
	v.args = Load(Param("q"), GP64())
	v.ptr = map[int]reg.GPVirtual{}
	for _, p := range pointers {
		v.ptr[p] = GP64()
		MOVQ(Mem{Base: v.args, Disp: p}, v.ptr[p])
	}
	v.consts = firstConst
}

// constant broadcasts the dword at an offset of the arguments into a register of its own.
func (v *vecGen) constant(disp int) reg.VecPhysical {
	c := v.vec(v.consts)
	v.consts++
	VBROADCASTSS(Mem{Base: v.args, Disp: disp}, c)
	return c
}

// output prepares toBytes.
func (v *vecGen) output() {
	v.out.lo, v.out.hi = v.constant(qLo), v.constant(qHi)
	v.out.zero, v.out.flip, v.out.perm = v.vec(v.consts), v.vec(v.consts+1), v.vec(v.consts+2)
	v.consts += 3
	VPBROADCASTW(Mem{Base: v.args, Disp: qZero}, v.out.zero)
	VPBROADCASTB(Mem{Base: v.args, Disp: qFlip}, v.out.flip)
	if v.wide {
		VMOVDQU64(byteOrder(), v.out.perm)
	} else {
		VMOVDQU(byteOrderAVX2(), v.out.perm)
	}
}

// loop runs body on each block. sizes are the bytes of an element after each pointer.
func (v *vecGen) loop(sizes map[int]int, body func()) {
	n := GP64()
	MOVQ(Mem{Base: v.args, Disp: qN}, n)
	block := 4 * v.lanes()
	Label("blocks")
	CMPQ(n, Imm(uint64(block)))
	JL(LabelRef("rest"))
	body()
	for _, p := range []int{qDst, qA, qB, qC} {
		if s := sizes[p]; s > 0 {
			ADDQ(U32(uint32(s*block)), v.ptr[p])
		}
	}
	SUBQ(Imm(uint64(block)), n)
	JMP(LabelRef("blocks"))
	Label("rest")
	if !v.wide {
		return
	}
	TESTQ(n, n)
	JE(LabelRef("done"))
	bits := GP64()
	MOVQ(I32(-1), bits)
	BZHIQ(n, bits, bits)
	KMOVQ(bits, reg.K1)
	for i := range 4 {
		KSHIFTRQ(Imm(uint64(16*i)), reg.K1, kDword[i])
	}
	v.masked = true
	body()
	v.masked = false
	Label("done")
}

// kDword are the masks of a block's four vectors; K1 is that of its bytes.
var kDword = []reg.OpmaskPhysical{reg.K2, reg.K3, reg.K4, reg.K5}

func (v *vecGen) end() {
	VZEROUPPER()
	RET()
}

// dwords loads vector i of the block at p; kind is F32 for any dwords, U8 or S8 for bytes to widen.
func (v *vecGen) dwords(kind string, p, i int, to reg.VecPhysical) {
	m := Mem{Base: v.ptr[p], Disp: i * 4 * v.lanes()}
	if kind != "F32" {
		m.Disp /= 4
	}
	switch {
	case kind != "F32":
		v.widen(kind, i, m, to)
	case v.masked:
		VMOVUPS_Z(m, kDword[i], to)
	default:
		VMOVUPS(m, to)
	}
}

func (v *vecGen) storeF32(i int, from reg.VecPhysical) {
	m := Mem{Base: v.ptr[qDst], Disp: i * 4 * v.lanes()}
	if v.masked {
		VMOVUPS(from, kDword[i], m)
		return
	}
	VMOVUPS(from, m)
}

// toBytes clamps vectors 0 to 3, rounds them to even, adds the zero point and stores their bytes. NaN becomes the lower
// bound. Signed outputs are 128 higher until the flip, so that an unsigned pack serves both.
func (v *vecGen) toBytes() {
	for i := range 4 {
		x := v.vec(i)
		VMAXPS(v.out.lo, x, x)
		VMINPS(v.out.hi, x, x)
		VCVTPS2DQ(x, x)
	}
	x, y := v.vec(0), v.vec(2)
	VPACKSSDW(v.vec(1), x, x)
	VPACKSSDW(v.vec(3), y, y)
	VPADDSW(v.out.zero, x, x)
	VPADDSW(v.out.zero, y, y)
	VPACKUSWB(y, x, x)
	VPERMD(x, v.out.perm, x)
	m := Mem{Base: v.ptr[qDst]}
	switch {
	case !v.wide:
		VPXOR(v.out.flip, x, x)
		VMOVDQU(x, m)
	case v.masked:
		VPXORD(v.out.flip, x, x)
		VMOVDQU8(x, reg.K1, m)
	default:
		VPXORD(v.out.flip, x, x)
		VMOVDQU64(x, m)
	}
}

func (v *vecGen) quantize() {
	v.begin("quantizeF32", qDst, qA)
	scale := v.constant(qScaleA)
	v.output()
	v.loop(map[int]int{qDst: 1, qA: 4}, func() {
		for i := range 4 {
			v.dwords("F32", qA, i, v.vec(i))
			VDIVPS(scale, v.vec(i), v.vec(i))
		}
		v.toBytes()
	})
	v.end()
}

// real makes float32(x-zero)·scale of dwords.
func real(x, zero, scale reg.VecPhysical) {
	VPSUBD(zero, x, x)
	VCVTDQ2PS(x, x)
	VMULPS(scale, x, x)
}

func (v *vecGen) dequantize(kind string) {
	v.begin("dequantize"+kind, qDst, qA)
	scale, zero := v.constant(qScaleA), v.constant(qZeroA)
	v.loop(map[int]int{qDst: 4, qA: 1}, func() {
		for i := range 4 {
			v.dwords(kind, qA, i, v.vec(i))
			real(v.vec(i), zero, scale)
			v.storeF32(i, v.vec(i))
		}
	})
	v.end()
}

// columns are the functions of int32 rows with a scale for each column.
func (v *vecGen) columns() {
	v.begin("dequantizeI32", qDst, qA, qB)
	zero := v.constant(qZeroA)
	v.loop(map[int]int{qDst: 4, qA: 4, qB: 4}, func() {
		for i := range 4 {
			v.dwords("F32", qA, i, v.vec(i))
			v.dwords("F32", qB, i, v.vec(tempVec))
			real(v.vec(i), zero, v.vec(tempVec))
			v.storeF32(i, v.vec(i))
		}
	})
	v.end()

	v.begin("requantI32", qDst, qA, qB)
	v.output()
	v.loop(map[int]int{qDst: 1, qA: 4, qB: 4}, func() {
		for i := range 4 {
			v.dwords("F32", qA, i, v.vec(i))
			v.dwords("F32", qB, i, v.vec(tempVec))
			VCVTDQ2PS(v.vec(i), v.vec(i))
			VMULPS(v.vec(tempVec), v.vec(i), v.vec(i))
		}
		v.toBytes()
	})
	v.end()

	for _, bias := range []bool{false, true} {
		name := "i32ToF32Scale"
		if bias {
			name = "i32ToF32ScaleBias"
		}
		v.begin(name, qDst, qA, qB, qC)
		row := v.constant(qScaleA)
		v.loop(map[int]int{qDst: 4, qA: 4, qB: 4, qC: 4}, func() {
			for i := range 4 {
				x, y := v.vec(i), v.vec(tempVec)
				v.dwords("F32", qA, i, x)
				v.dwords("F32", qB, i, y)
				VCVTDQ2PS(x, x)
				VMULPS(y, row, y)
				VMULPS(y, x, x)
				if bias {
					v.dwords("F32", qC, i, y)
					VADDPS(y, x, x)
				}
				v.storeF32(i, x)
			}
		})
		v.end()
	}
}

// add is fma(a, scaleA, fma(b, scaleB, scaleC)), rounded.
func (v *vecGen) add(kind string) {
	v.begin("add"+kind, qDst, qA, qB)
	scaleA, scaleB, fixed := v.constant(qScaleA), v.constant(qScaleB), v.constant(qScaleC)
	v.pairs(kind, func(x, y reg.VecPhysical) {
		VCVTDQ2PS(x, x)
		VCVTDQ2PS(y, y)
		VFMADD213PS(fixed, scaleB, y)
		VFMADD213PS(y, scaleA, x)
	})
}

// mul is (a-zeroA)·(b-zeroB)·scaleA + scaleC, rounded.
func (v *vecGen) mul(kind string) {
	v.begin("mul"+kind, qDst, qA, qB)
	scale, zero := v.constant(qScaleA), v.constant(qScaleC)
	zeroA, zeroB := v.constant(qZeroA), v.constant(qZeroB)
	v.pairs(kind, func(x, y reg.VecPhysical) {
		VPSUBD(zeroA, x, x)
		VCVTDQ2PS(x, x)
		VPSUBD(zeroB, y, y)
		VCVTDQ2PS(y, y)
		VMULPS(y, x, x)
		VMULPS(scale, x, x)
		VADDPS(zero, x, x)
	})
}

// pairs loops over two byte operands; op leaves a float result in x.
func (v *vecGen) pairs(kind string, op func(x, y reg.VecPhysical)) {
	v.output()
	v.loop(map[int]int{qDst: 1, qA: 1, qB: 1}, func() {
		for i := range 4 {
			x, y := v.vec(i), v.vec(tempVec)
			v.dwords(kind, qA, i, x)
			v.dwords(kind, qB, i, y)
			op(x, y)
		}
		v.toBytes()
	})
	v.end()
}

// minMax leaves each lane's extremes in dst: a vector of minima, then one of maxima. NaN loses every comparison.
func (v *vecGen) minMax() {
	v.begin("minMaxF32", qDst, qA)
	lo, hi := v.constant(qLo), v.constant(qHi)
	v.loop(map[int]int{qA: 4}, func() {
		for i := range 4 {
			x := v.vec(i)
			v.dwords("F32", qA, i, x)
			if v.masked {
				VMINPS(lo, x, kDword[i], lo)
				VMAXPS(hi, x, kDword[i], hi)
				continue
			}
			VMINPS(lo, x, lo)
			VMAXPS(hi, x, hi)
		}
	})
	v.storeF32(0, lo)
	v.storeF32(1, hi)
	v.end()
}

// rowSum leaves sums of bytes in dst, one in each qword.
func (v *vecGen) rowSum() {
	v.begin("rowSumU8", qDst, qA)
	x, zero, sum := v.vec(0), v.vec(1), v.vec(2)
	if v.wide {
		VPXORD(zero, zero, zero)
		VPXORD(sum, sum, sum)
	} else {
		VPXOR(zero, zero, zero)
		VPXOR(sum, sum, sum)
	}
	v.loop(map[int]int{qA: 1}, func() {
		v.loadBytes(Mem{Base: v.ptr[qA]}, x)
		VPSADBW(zero, x, x)
		VPADDQ(x, sum, sum)
	})
	v.storeF32(0, sum)
	v.end()
}

// lookupVBMI looks 64 bytes up at once: two permutations of half the table each, joined by the bytes' top bits.
func lookupVBMI() {
	v := &vecGen{isa: "VBMI", wide: true}
	v.begin("lookup", qDst, qA, qB)
	for i := range 4 {
		VMOVDQU64(Mem{Base: v.ptr[qB], Disp: 64 * i}, zmm[8+i])
	}
	x, low, high := zmm[0], zmm[1], zmm[2]
	v.loop(map[int]int{qDst: 1, qA: 1}, func() {
		v.loadBytes(Mem{Base: v.ptr[qA]}, x)
		VMOVDQA64(x, low)
		VPERMI2B(zmm[9], zmm[8], low)
		VMOVDQA64(x, high)
		VPERMI2B(zmm[11], zmm[10], high)
		VPMOVB2M(x, reg.K6)
		VPBLENDMB(high, low, reg.K6, low)
		if v.masked {
			VMOVDQU8(low, reg.K1, Mem{Base: v.ptr[qDst]})
		} else {
			VMOVDQU64(low, Mem{Base: v.ptr[qDst]})
		}
	})
	v.end()
}
