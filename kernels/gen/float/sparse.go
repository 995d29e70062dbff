package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets in the Go struct sparseArgs.
const (
	sX, sZ, sRows, sCount   = 0, 8, 16, 24
	sVal, sIdx, sBias, sLo  = 32, 40, 48, 56
	sHi, sLoad, sClamp      = 60, 64, 72
	sparseRowBytes, pixelSz = 4, 256 // of a sparseRow; of a row of a tile
)

func sparseFamily(d *decls) {
	const params = "(t *sparseArgs)"
	table := func(name string, most [2]int, v []reg.VecPhysical, lanes int) {
		d.tables = append(d.tables, fmt.Sprintf("// %s[0][p] computes one output a row for 8·p pixels, [1][p] four.\nvar %s = sparseKernels{", name, name))
		for i, height := range []int{1, 4} {
			line := "\t{nil, "
			for p := 1; p <= most[i]; p++ {
				k := &sparseKernel{name: fmt.Sprintf("%sH%dP%d", name, height, p), height: height, pixels: 8 * p, v: v, lanes: lanes}
				k.nv = (8*p + lanes - 1) / lanes
				k.write()
				d.add(k.name, params)
				line += k.name + ", "
			}
			d.tables = append(d.tables, line+"},")
		}
		d.tables = append(d.tables, "}\n")
	}
	table("sparseAVX512", [2]int{8, 8}, zmm, 16)
	table("sparseAVX2", [2]int{8, 2}, ymm, 8)
	sparseOut(d, "sparseOutAVX2", false)
	sparseOut(d, "sparseOutAddAVX2", true)
}

// sparseKernel computes height outputs for so many pixels at a time, row by row of a sparse matrix.
type sparseKernel struct {
	name               string
	height, pixels     int
	lanes, nv          int // of a vector; vectors of pixels
	v                  []reg.VecPhysical
	t, x, z, rows, val reg.GPVirtual
	idx, bias, pairs   reg.GPVirtual
	out, i0, i1        reg.GPVirtual
}

func (k *sparseKernel) acc(h, p int) reg.VecPhysical { return k.cut(p, k.v[h*k.nv+p]) }

// spare is register i of those that are no accumulators.
func (k *sparseKernel) spare(i int) reg.VecPhysical { return k.v[k.height*k.nv+i] }

// cut is the register at the width of vector p: the last one may be half.
func (k *sparseKernel) cut(p int, r reg.VecPhysical) reg.VecPhysical {
	if k.lanes == 16 && k.pixels-16*p < 16 {
		return r.AsY().(reg.VecPhysical)
	}
	return r
}

func (k *sparseKernel) write() {
	TEXT(k.name, NOSPLIT, "func(t *byte)")
	k.t = Load(Param("t"), GP64()).(reg.GPVirtual)
	field := func(off int) reg.GPVirtual {
		r := GP64()
		MOVQ(Mem{Base: k.t, Disp: off}, r)
		return r
	}
	k.x, k.rows, k.val, k.idx, k.bias = field(sX), field(sRows), field(sVal), field(sIdx), field(sBias)
	count := field(sCount)
	k.out, k.i0, k.i1, k.pairs, k.z = GP64(), GP64(), GP64(), GP64(), GP64()
	Label("row")
	MOVWLZX(Mem{Base: k.rows}, k.out.As32())
	MOVWLZX(Mem{Base: k.rows, Disp: 2}, k.pairs.As32())
	ADDQ(Imm(sparseRowBytes), k.rows)
	MOVQ(k.out, k.z)
	SHLQ(Imm(8), k.z)
	ADDQ(Mem{Base: k.t, Disp: sZ}, k.z)
	k.start()
	TESTQ(k.pairs, k.pairs)
	JEQ(LabelRef("end"))
	Label("pair")
	k.entries()
	DECQ(k.pairs)
	JNE(LabelRef("pair"))
	Label("end")
	k.finish()
	DECQ(count)
	JNE(LabelRef("row"))
	VZEROUPPER()
	RET()
}

// each calls do for every accumulator with its place in z and its vector.
func (k *sparseKernel) each(do func(acc reg.VecPhysical, z Mem, p int)) {
	for h := range k.height {
		for p := range k.nv {
			do(k.acc(h, p), Mem{Base: k.z, Disp: h*pixelSz + 4*k.lanes*p}, p)
		}
	}
}

// start zeroes the accumulators or reads the partial sums of earlier k.
func (k *sparseKernel) start() {
	CMPQ(Mem{Base: k.t, Disp: sLoad}, Imm(0))
	JEQ(LabelRef("zero"))
	k.each(func(acc reg.VecPhysical, z Mem, _ int) { VMOVUPS(z, acc) })
	JMP(LabelRef("begin"))
	Label("zero")
	k.each(func(acc reg.VecPhysical, _ Mem, _ int) { VXORPS(acc.AsX(), acc.AsX(), acc.AsX()) })
	Label("begin")
}

// entries adds two entries of the row.
func (k *sparseKernel) entries() {
	MOVWLZX(Mem{Base: k.idx}, k.i0.As32())
	MOVWLZX(Mem{Base: k.idx, Disp: 2}, k.i1.As32())
	ADDQ(Imm(4), k.idx)
	for e, i := range []reg.GPVirtual{k.i0, k.i1} {
		x := func(p int) Mem { return Mem{Base: k.x, Index: i, Scale: 8, Disp: 4 * k.lanes * p} }
		w := func(h int) Mem { return Mem{Base: k.val, Disp: 4 * (e*k.height + h)} }
		if k.height == 1 {
			VBROADCASTSS(w(0), k.spare(e))
			for p := range k.nv {
				VFMADD231PS(x(p), k.cut(p, k.spare(e)), k.acc(0, p))
			}
			continue
		}
		for h := range k.height {
			VBROADCASTSS(w(h), k.spare(h))
		}
		for p := range k.nv {
			v := k.cut(p, k.spare(k.height+p%2))
			VMOVUPS(x(p), v)
			for h := range k.height {
				VFMADD231PS(v, k.cut(p, k.spare(h)), k.acc(h, p))
			}
		}
	}
	ADDQ(Imm(uint64(8*k.height)), k.val)
}

// finish adds the bias, clamps and stores. Operands are ordered so that a NaN in the sum stays.
func (k *sparseKernel) finish() {
	b, lo, hi := k.spare(0), k.spare(1), k.spare(2)
	for h := range k.height {
		VBROADCASTSS(Mem{Base: k.bias, Index: k.out, Scale: 4, Disp: 4 * h}, b)
		for p := range k.nv {
			VADDPS(k.cut(p, b), k.acc(h, p), k.acc(h, p))
		}
	}
	CMPQ(Mem{Base: k.t, Disp: sClamp}, Imm(0))
	JEQ(LabelRef("store"))
	VBROADCASTSS(Mem{Base: k.t, Disp: sLo}, lo)
	VBROADCASTSS(Mem{Base: k.t, Disp: sHi}, hi)
	k.each(func(acc reg.VecPhysical, _ Mem, p int) {
		VMAXPS(acc, k.cut(p, lo), acc)
		VMINPS(acc, k.cut(p, hi), acc)
	})
	Label("store")
	k.each(func(acc reg.VecPhysical, z Mem, _ int) { VMOVUPS(acc, z) })
}

// Offsets in the Go struct sparseOut.
const (
	oZ, oC, oRes                      = 0, 16, 32 // with an offset after each
	oLDC, oLDR, oBlocks, oGroups, oLo = 48, 56, 64, 72, 80
)

// sparseOut writes the transpose of blocks of 8 outputs by groups of 8 pixels, with the residual if add is set: then
// it is added and the sum clamped. Strides are in bytes.
func sparseOut(d *decls, name string, add bool) {
	d.add(name, "(t *sparseOut)")
	TEXT(name, NOSPLIT, "func(t *byte)")
	f := &frame{t: Load(Param("t"), GP64()).(reg.GPVirtual)}
	out, groups := oddMultiples(f.load(oLDC), 8), f.load(oGroups)
	var in map[int]reg.GPVirtual
	z, c, res, blocks := GP64(), GP64(), GP64(), GP64()
	lo, hi := ymm[8], ymm[9]
	if add {
		in = oddMultiples(f.load(oLDR), 8)
		VBROADCASTSS(Mem{Base: f.t, Disp: oLo}, lo)
		VBROADCASTSS(Mem{Base: f.t, Disp: oLo + 4}, hi)
	}
	Label("group")
	f.walk(z, oZ, nil)
	f.walk(c, oC, out[1])
	if add {
		f.walk(res, oRes, in[1])
	}
	MOVQ(Mem{Base: f.t, Disp: oBlocks}, blocks)
	Label("block")
	for half := range 2 {
		for i, r := range columns4(func(i int) Mem { return Mem{Base: z, Disp: pixelSz*i + 16*half} }, 0) {
			if add {
				VADDPS(at(res, in, 4*half+i, 0), r, r)
				VMAXPS(r, lo, r)
				VMINPS(r, hi, r)
			}
			VMOVUPS(r, at(c, out, 4*half+i, 0))
		}
	}
	ADDQ(Imm(32), c)
	if add {
		ADDQ(Imm(32), res)
	}
	ADDQ(U32(8*pixelSz), z)
	DECQ(blocks)
	JNE(LabelRef("block"))
	DECQ(groups)
	JNE(LabelRef("group"))
	VZEROUPPER()
	RET()
}

// walk loads the pointer of a group, field off plus the offset after it, and adds to the offset eight strides or, with
// nil, eight floats. Pointers in memory stay where the collector may see them.
func (f *frame) walk(to reg.GPVirtual, off int, stride reg.GPVirtual) {
	MOVQ(Mem{Base: f.t, Disp: off}, to)
	ADDQ(Mem{Base: f.t, Disp: off + 8}, to)
	if stride == nil {
		ADDQ(Imm(32), Mem{Base: f.t, Disp: off + 8})
		return
	}
	step := GP64()
	MOVQ(stride, step)
	SHLQ(Imm(3), step)
	ADDQ(step, Mem{Base: f.t, Disp: off + 8})
}
