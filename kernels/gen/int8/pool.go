package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets in the Go struct poolArgs.
const (
	pDst, pX, pStep, pN, pTaps, pCount, pMask, pLDY = 0, 8, 16, 24, 32, 40, 48, 56
)

// pool generates the maxima and sums over windows.
func (v *vecGen) pool() {
	t := v.vec(8)
	maximum := func(op func(...Op)) windowOps {
		acc := v.vec(0)
		return windowOps{
			start: func(m Mem) { v.loadBytes(m, acc) },
			tap: func(m Mem) {
				v.loadBytes(m, t)
				op(t, acc, acc)
			},
			store: func(m Mem) {
				if v.wide {
					VMOVDQU8(acc, reg.K1, m)
				} else {
					VMOVDQU(acc, m)
				}
			},
		}
	}
	v.window("maxRowsU8", maximum(VPMAXUB))
	v.window("maxRowsS8", maximum(VPMAXSB))
	for _, kind := range []string{"U8", "S8"} {
		v.window("sumRows"+kind, windowOps{
			dwords: true,
			start: func(Mem) {
				for i := range 4 {
					VXORPS(v.vec(i), v.vec(i), v.vec(i))
				}
			},
			tap: func(m Mem) {
				for i := range 4 {
					v.widen(kind, i, m.Offset(i*v.lanes()), t)
					VPADDD(t, v.vec(i), v.vec(i))
				}
			},
			store: func(m Mem) {
				v.ptr = map[int]reg.GPVirtual{qDst: m.Base.(reg.GPVirtual)}
				for i := range 4 {
					v.storeF32(i, v.vec(i))
				}
			},
		})
	}
}

// windowOps begin, extend and store what is computed of one pixel's window, for as many channels as a vector has bytes.
type windowOps struct {
	dwords            bool // the window's channels are four vectors of dwords
	start, tap, store func(m Mem)
}

// window loops over pixels and their taps.
func (v *vecGen) window(name string, ops windowOps) {
	v.begin(name, pDst, pX, pStep, pN, pTaps, pLDY)
	dst, x, n, taps := v.ptr[pDst], v.ptr[pX], v.ptr[pN], v.ptr[pTaps]
	step, ldy := v.ptr[pStep], v.ptr[pLDY]
	if v.masked = v.wide; v.masked {
		KMOVQ(Mem{Base: v.args, Disp: pMask}, reg.K1)
	}
	for i := 0; i < 4 && v.masked && ops.dwords; i++ {
		KSHIFTRQ(Imm(uint64(16*i)), reg.K1, kDword[i])
	}
	at, tap, count := GP64(), GP64(), GP64()
	Label("pixel")
	MOVQ(taps, tap)
	MOVQ(Mem{Base: v.args, Disp: pCount}, count)
	MOVQ(Mem{Base: tap}, at)
	ops.start(Mem{Base: x, Index: at, Scale: 1})
	Label("tap")
	MOVQ(Mem{Base: tap}, at)
	ops.tap(Mem{Base: x, Index: at, Scale: 1})
	ADDQ(Imm(8), tap)
	DECQ(count)
	JNE(LabelRef("tap"))
	ops.store(Mem{Base: dst})
	ADDQ(step, x)
	ADDQ(ldy, dst)
	DECQ(n)
	JNE(LabelRef("pixel"))
	v.masked = false
	v.end()
}

func (v *vecGen) loadBytes(m Mem, t reg.VecPhysical) {
	switch {
	case v.masked:
		VMOVDQU8_Z(m, reg.K1, t)
	case v.wide:
		VMOVDQU64(m, t)
	default:
		VMOVDQU(m, t)
	}
}

// widen loads bytes as the dwords of vector i.
func (v *vecGen) widen(kind string, i int, m Mem, t reg.VecPhysical) {
	switch {
	case v.masked && kind == "U8":
		VPMOVZXBD_Z(m, kDword[i], t)
	case v.masked:
		VPMOVSXBD_Z(m, kDword[i], t)
	case kind == "U8":
		VPMOVZXBD(m, t)
	default:
		VPMOVSXBD(m, t)
	}
}
