package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets in the Go struct rowTile.
const (
	rX, rStep, rTaps, rTapsEnd  = 0, 8, 16, 24
	rW, rWStride, rC, rBias, rY = 32, 40, 48, 56, 64
	rLDY, rLo, rLanes, rLanes2  = 72, 80, 88, 96
	rRows, rXRow, rYRow         = 104, 112, 120
	rYAt, rRowsLeft             = 128, 136
)

// rowKind is what the taps of one output element are folded with.
type rowKind struct {
	name    string
	pixels  [2]int // most pixels of one call, AVX2 and AVX-512
	weights bool
	taps    int // known number of taps whose weights stay in registers, or 0
}

var rowKinds = []rowKind{
	{"depthwiseF32", [2]int{10, 14}, true, 0},
	{"depthwise9F32", [2]int{0, 14}, true, 9},
	{"maxRowsF32", [2]int{8, 8}, false, 0},
	{"sumRowsF32", [2]int{8, 8}, false, 0},
}

func rowsFamily(d *decls) {
	for i, s := range []*simd{{suffix: "AVX2"}, {suffix: "AVX512", z: true}} {
		for _, k := range rowKinds {
			if k.pixels[i] == 0 {
				continue
			}
			table := k.name + s.suffix
			line := fmt.Sprintf("// %s[p] folds the taps of p pixels.\nvar %s = []func(*rowTile){nil, ", table, table)
			for p := 1; p <= k.pixels[i]; p++ {
				r := &rowCode{simd: s, kind: k, p: p}
				name := fmt.Sprintf("%sP%d", table, p)
				r.write(name)
				d.add(name, "(t *rowTile)")
				line += name + ", "
			}
			d.tables = append(d.tables, line+"}\n")
		}
	}
}

// rowCode writes one kernel: p pixels, all channels, a vector of them at a time.
type rowCode struct {
	*simd
	kind            rowKind
	p               int
	t, x, ch        reg.GPVirtual // argument; input at this row and channel; byte offset of this channel
	tap, w, wStride reg.GPVirtual
	steps           map[int]reg.GPVirtual
}

func (r *rowCode) v(i int) reg.VecPhysical {
	if r.z {
		return zmm[i]
	}
	return ymm[i]
}

// The accumulators come first, then these.
func (r *rowCode) weight() reg.VecPhysical { return r.v(r.p) }
func (r *rowCode) value() reg.VecPhysical  { return r.v(r.p + 1) }

func (r *rowCode) field(off int) reg.GPVirtual {
	g := GP64()
	MOVQ(Mem{Base: r.t, Disp: off}, g)
	return g
}

func (r *rowCode) write(name string) {
	TEXT(name, NOSPLIT, "func(t *byte)")
	r.t = Load(Param("t"), GP64()).(reg.GPVirtual)
	r.x, r.ch = GP64(), GP64()
	r.steps = oddMultiples(r.field(rStep), r.p)
	r.tap, r.w, r.wStride = GP64(), GP64(), r.field(rWStride)
	XORQ(r.ch, r.ch)
	lanes := r.bytes() / 4
	SUBQ(Imm(uint64(lanes)), Mem{Base: r.t, Disp: rC})
	JLT(LabelRef("rest"))
	Label("full")
	r.channels("full", nil)
	ADDQ(Imm(uint64(r.bytes())), r.ch)
	SUBQ(Imm(uint64(lanes)), Mem{Base: r.t, Disp: rC})
	JGE(LabelRef("full"))
	Label("rest")
	ADDQ(Imm(uint64(lanes)), Mem{Base: r.t, Disp: rC})
	JEQ(LabelRef("end"))
	r.channels("part", r.restMask())
	Label("end")
	VZEROUPPER()
	RET()
}

// restMask loads the mask of the last channels: K1, or the last vector register.
func (r *rowCode) restMask() *mask {
	m := r.field(rLanes)
	if r.z {
		KMOVW(m.As32(), reg.K1)
		return &mask{reg.K1}
	}
	p := r.field(rLanes2)
	VMOVUPS(Mem{Base: p}, r.v(15))
	return &mask{r.v(15)}
}

func (r *rowCode) loadTo(m Op, k *mask, to Op) {
	switch {
	case k == nil:
		VMOVUPS(m, to)
	case r.z:
		VMOVUPS_Z(m, k.op, to)
	default:
		VMASKMOVPS(m, k.op, to)
	}
}

// channels does one vector of channels of all rows: a row below shares most of its input.
func (r *rowCode) channels(label string, k *mask) {
	MOVQ(Mem{Base: r.t, Disp: rX}, r.x)
	ADDQ(r.ch, r.x)
	y, rows := r.field(rY), r.field(rRows)
	MOVQ(y, Mem{Base: r.t, Disp: rYAt})
	MOVQ(rows, Mem{Base: r.t, Disp: rRowsLeft})
	if r.kind.taps > 0 {
		w := r.field(rW)
		ADDQ(r.ch, w)
		for i := range r.kind.taps {
			r.loadTo(Mem{Base: w}, k, r.v(r.p+2+i))
			ADDQ(r.wStride, w)
		}
	}
	Label(label + "_row")
	r.block(label, k)
	ADDQ(Mem{Base: r.t, Disp: rXRow}, r.x)
	step := r.field(rYRow)
	ADDQ(step, Mem{Base: r.t, Disp: rYAt})
	DECQ(Mem{Base: r.t, Disp: rRowsLeft})
	JNE(LabelRef(label + "_row"))
}

// block folds the taps of one vector of channels, finishes and stores it.
func (r *rowCode) block(label string, k *mask) {
	MOVQ(Mem{Base: r.t, Disp: rTaps}, r.tap)
	if r.kind.weights {
		for i := range r.p {
			VXORPS(r.v(i), r.v(i), r.v(i))
		}
		MOVQ(Mem{Base: r.t, Disp: rW}, r.w)
		ADDQ(r.ch, r.w)
	} else {
		at0 := r.tapAddress()
		for i := range r.p {
			r.loadTo(at(at0, r.steps, i, 0), k, r.v(i))
		}
		CMPQ(r.tap, Mem{Base: r.t, Disp: rTapsEnd})
		JGE(LabelRef(label + "_folded"))
	}
	if r.kind.taps > 0 {
		for i := range r.kind.taps {
			p := r.tapAddress()
			for j := range r.p {
				r.foldTap(at(p, r.steps, j, 0), k, r.v(r.p+2+i), r.v(j))
			}
		}
		r.finish(label, k)
		return
	}
	Label(label + "_tap")
	p := r.tapAddress()
	if r.kind.weights {
		r.loadTo(Mem{Base: r.w}, k, r.weight())
		ADDQ(r.wStride, r.w)
	}
	for i := range r.p {
		r.fold(at(p, r.steps, i, 0), k, r.v(i))
	}
	CMPQ(r.tap, Mem{Base: r.t, Disp: rTapsEnd})
	JLT(LabelRef(label + "_tap"))
	Label(label + "_folded")
	r.finish(label, k)
}

// tapAddress returns the input of the first pixel for the next tap, and steps to the one after.
func (r *rowCode) tapAddress() reg.GPVirtual {
	p := GP64()
	MOVQ(Mem{Base: r.tap}, p)
	ADDQ(Imm(8), r.tap)
	LEAQ(Mem{Base: r.x, Index: p, Scale: 4}, p)
	return p
}

// foldTap adds the product of an input and a weight.
func (r *rowCode) foldTap(m Mem, k *mask, weight, acc Op) {
	if k == nil {
		VFMADD231PS(m, weight, acc)
		return
	}
	r.loadTo(m, k, r.value())
	VFMADD231PS(r.value(), weight, acc)
}

func (r *rowCode) fold(m Mem, k *mask, acc Op) {
	if r.kind.weights {
		r.foldTap(m, k, r.weight(), acc)
		return
	}
	r.loadTo(m, k, r.value())
	switch r.kind.name {
	case "maxRowsF32":
		VMAXPS(acc, r.value(), acc) // value > acc ? value : acc
	case "sumRowsF32":
		VADDPS(r.value(), acc, acc)
	}
}

func (r *rowCode) finish(label string, k *mask) {
	if r.kind.weights {
		CMPQ(Mem{Base: r.t, Disp: rBias}, Imm(0))
		JEQ(LabelRef(label + "_clamp"))
		bias := r.field(rBias)
		r.loadTo(Mem{Base: bias, Index: r.ch, Scale: 1}, k, r.value())
		for i := range r.p {
			VADDPS(r.value(), r.v(i), r.v(i))
		}
		Label(label + "_clamp")
		acc := make([]Op, r.p)
		for i := range acc {
			acc[i] = r.v(i)
		}
		clampAll(label, Mem{Base: r.t, Disp: rLo}, r.value(), acc)
	}
	y, ld := r.field(rYAt), r.field(rLDY)
	ADDQ(r.ch, y)
	for i := range r.p {
		r.storeTail(r.v(i), Mem{Base: y}, k)
		if i+1 < r.p {
			ADDQ(ld, y)
		}
	}
}
