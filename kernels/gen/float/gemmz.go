package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// gemmZ is a tile of m rows and 32·panels columns in ZMM registers; the last panel's columns are masked on C.
func gemmZ(t tile) {
	f := enter(t)
	nv := 2 * t.panels
	if t.half {
		nv = 1
	}
	acc := func(i, v int) reg.VecPhysical { return zmm[i*nv+v] }
	z := &zTile{tile: t, frame: f, nv: nv, acc: acc}
	z.masks()
	z.start()
	if t.half {
		f.loopK(128, z.rowHalf)
	} else if t.panels == 1 {
		f.loopK(128, z.rowOuter)
	} else {
		f.loopK(128, z.columnOuter)
	}
	z.finish()
	VZEROUPPER()
	RET()
}

type zTile struct {
	tile
	*frame
	nv  int
	acc func(i, v int) reg.VecPhysical
}

func (z *zTile) masks() {
	m := z.load(tMask)
	KMOVW(m.As32(), reg.K1)
	SHRQ(Imm(16), m)
	KMOVW(m.As32(), reg.K2)
}

// each calls do for every accumulator with the address of its element of a row-major matrix.
func (z *zTile) each(base, stride int, do func(acc reg.VecPhysical, m Mem, v int)) {
	p, ld := z.load(base), z.load(stride)
	for i := range z.m {
		for v := range z.nv {
			do(z.acc(i, v), Mem{Base: p, Disp: 64 * v}, v)
		}
		if i+1 < z.m {
			ADDQ(ld, p)
		}
	}
}

// mask returns the opmask of vector v, or nil where all its columns exist.
func (z *zTile) mask(v int) []Op {
	if z.half {
		return []Op{reg.K1}
	}
	if v < z.nv-2 {
		return nil
	}
	return []Op{[]Op{reg.K1, reg.K2}[v-(z.nv-2)]}
}

func (z *zTile) loadMasked(m Mem, v int, to Op) {
	if k := z.mask(v); k != nil {
		VMOVUPS_Z(m, k[0], to)
		return
	}
	VMOVUPS(m, to)
}

// start zeroes the accumulators or reads the partial sums of earlier k.
func (z *zTile) start() {
	z.skipUnless(tLoad, "zero")
	z.each(tC, tLDC, func(acc reg.VecPhysical, m Mem, v int) { z.loadMasked(m, v, acc) })
	JMP(LabelRef("begin"))
	Label("zero")
	for i := range z.m * z.nv {
		VPXORD(zmm[i], zmm[i], zmm[i])
	}
	Label("begin")
}

// rowOuter does one k of a single panel: both vectors of B stay while the rows of A pass by.
func (z *zTile) rowOuter(u int) {
	VMOVUPS(Mem{Base: z.b, Disp: 128 * u}, zmm[28])
	VMOVUPS(Mem{Base: z.b, Disp: 128*u + 64}, zmm[29])
	PREFETCHT0(Mem{Base: z.b, Disp: 128*u + prefetch})
	PREFETCHT0(Mem{Base: z.b, Disp: 128*u + 64 + prefetch})
	for i := range z.m {
		x := zmm[30+i%2]
		VBROADCASTSS(at(z.a, z.rows, i, 4*u), x)
		VFMADD231PS(x, zmm[28], z.acc(i, 0))
		VFMADD231PS(x, zmm[29], z.acc(i, 1))
	}
}

// rowHalf does one k of half a panel.
func (z *zTile) rowHalf(u int) {
	VMOVUPS(Mem{Base: z.b, Disp: 128 * u}, zmm[28])
	PREFETCHT0(Mem{Base: z.b, Disp: 128*u + prefetch})
	for i := range z.m {
		VFMADD231PS_BCST(at(z.a, z.rows, i, 4*u), zmm[28], z.acc(i, 0))
	}
}

// prefetch is the distance in bytes at which a panel is fetched ahead of its use.
const prefetch = 2048

// columnOuter does one k of several panels: the rows' elements of A stay while the vectors of B pass by.
func (z *zTile) columnOuter(u int) {
	x := zmm[30-z.m : 30]
	for i := range z.m {
		VBROADCASTSS(at(z.a, z.rows, i, 4*u), x[i])
	}
	for v := range z.nv {
		b := zmm[30+v%2]
		VMOVUPS(at(z.b, z.panel, v/2, 128*u+64*(v%2)), b)
		for i := range z.m {
			VFMADD231PS(x[i], b, z.acc(i, v))
		}
	}
}

// VCMPPS's codes for >, false if one is a NaN, and for not ≥, true then.
const greater, notAtLeast = 0x1e, 0x19

// finish adds bias and residual, clamps, closes gates and stores. Operands are ordered so that a NaN in the sum stays.
func (z *zTile) finish() {
	z.skipUnless(tLast, "store")
	z.skipUnless(tBias, "res")
	bias := z.load(tBias)
	for v := range z.nv {
		z.loadMasked(Mem{Base: bias, Disp: 64 * v}, v, zmm[28])
		for i := range z.m {
			VADDPS(zmm[28], z.acc(i, v), z.acc(i, v))
		}
	}
	Label("res")
	z.skipUnless(tRes, "clamp")
	z.each(tRes, tLDR, func(acc reg.VecPhysical, m Mem, v int) {
		z.loadMasked(m, v, zmm[28])
		VADDPS(zmm[28], acc, acc)
	})
	Label("clamp")
	all := make([]Op, z.m*z.nv)
	for i := range all {
		all[i] = zmm[i]
	}
	clampAll("clamp", Mem{Base: z.t, Disp: tLo}, zmm[28], all)
	z.skipUnless(tGate, "store")
	VBROADCASTSS(Mem{Base: z.t, Disp: tGateLo}, zmm[29])
	VBROADCASTSS(Mem{Base: z.t, Disp: tGateHi}, zmm[30])
	z.each(tGate, tLDR, func(acc reg.VecPhysical, m Mem, v int) {
		z.loadMasked(m, v, zmm[28])
		VCMPPS(Imm(greater), zmm[29], zmm[28], reg.K3)
		VCMPPS(Imm(notAtLeast), zmm[30], zmm[28], reg.K3, reg.K3)
		VMOVAPS_Z(acc, reg.K3, acc)
	})
	Label("store")
	z.each(tC, tLDC, func(acc reg.VecPhysical, m Mem, v int) {
		if k := z.mask(v); k != nil {
			VMOVUPS(acc, k[0], m)
			return
		}
		VMOVUPS(acc, m)
	})
}
