package main

import (
	"fmt"
	"math"
	"strings"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// simd writes code for one instruction set: 16 lanes in ZMM or 8 in YMM.
type simd struct {
	suffix string
	z      bool
	consts *constants
	held   map[uint32]reg.VecVirtual // constants in registers
}

func (s *simd) bytes() int {
	if s.z {
		return 64
	}
	return 32
}

func (s *simd) reg() reg.VecVirtual {
	if s.z {
		return ZMM()
	}
	return YMM()
}

// constants is a read-only table; each value fills 64 bytes, so that it serves both widths as a memory operand.
type constants struct {
	sym    Symbol
	values []uint32
}

func (c *constants) bits(v uint32) Mem {
	for i, have := range c.values {
		if have == v {
			return NewDataAddr(c.sym, 64*i)
		}
	}
	c.values = append(c.values, v)
	return NewDataAddr(c.sym, 64*(len(c.values)-1))
}

// laneTable is 16 lanes on, then 16 off; emit writes it and the constants.
var laneTable = NewStaticSymbol("lanes")

func (c *constants) emit() {
	GLOBL(c.sym.Name, RODATA|NOPTR)
	for i, v := range c.values {
		for j := range 16 {
			DATA(64*i+4*j, U32(v))
		}
	}
	GLOBL(laneTable.Name, RODATA|NOPTR)
	for i := range 32 {
		v := uint32(0)
		if i < 16 {
			v = 0xffffffff
		}
		DATA(4*i, U32(v))
	}
}

// bits returns a constant: the register that holds it, or memory.
func (s *simd) bits(v uint32) Op {
	if r, ok := s.held[v]; ok {
		return r
	}
	return s.consts.bits(v)
}

func (s *simd) f(v float64) Op { return s.bits(math.Float32bits(float32(v))) }

// hold puts constants in registers, where there are enough, until the function ends.
func (s *simd) hold(values ...float64) {
	s.held = map[uint32]reg.VecVirtual{}
	if !s.z {
		return
	}
	for _, v := range values {
		b := math.Float32bits(float32(v))
		s.held[b] = s.load(s.consts.bits(b))
	}
}

func (s *simd) load(m Op) reg.VecVirtual {
	r := s.reg()
	VMOVUPS(m, r)
	return r
}

// mask selects the lanes of a tail: an opmask, or a vector whose sign bits count.
type mask struct{ op Op }

// tailMask makes the mask of the first n < 16 lanes, from lane first on.
func (s *simd) tailMask(n reg.GPVirtual, first int) *mask {
	if s.z {
		one, k := GP64(), K()
		MOVL(n.As32(), reg.ECX)
		MOVL(U32(1), one.As32())
		SHLL(reg.CL, one.As32())
		DECL(one.As32())
		KMOVW(one.As32(), k)
		return &mask{k}
	}
	p, back := GP64(), GP64()
	LEAQ(NewDataAddr(laneTable, 64+4*first), p)
	MOVQ(n, back)
	NEGQ(back)
	return &mask{s.load(Mem{Base: p, Index: back, Scale: 4})}
}

// loadTail reads the lanes of m and zeroes the others; nil means all lanes.
func (s *simd) loadTail(m Op, k *mask) reg.VecVirtual {
	r := s.reg()
	switch {
	case k == nil:
		VMOVUPS(m, r)
	case s.z:
		VMOVUPS_Z(m, k.op, r)
	default:
		VMASKMOVPS(m, k.op, r)
	}
	return r
}

func (s *simd) storeTail(r, m Op, k *mask) {
	switch {
	case k == nil:
		VMOVUPS(r, m)
	case s.z:
		VMOVUPS(r, k.op, m)
	default:
		VMASKMOVPS(r, k.op, m)
	}
}

// sel returns yes where a cmp b holds and no elsewhere; cmp is VCMPPS's code for a ? b, b may be memory.
func (s *simd) sel(cmp uint8, a, b, yes, no Op) reg.VecVirtual {
	r := s.reg()
	if s.z {
		k := K()
		VCMPPS(Imm(uint64(cmp)), b, a, k)
		VBLENDMPS(yes, no, k, r)
		return r
	}
	k := s.reg()
	VCMPPS(Imm(uint64(cmp)), b, a, k)
	VBLENDVPS(k, yes, no, r)
	return r
}

const (
	cmpLess    = 0x11 // LT_OQ
	cmpEqual   = 0x00 // EQ_OQ
	cmpNotLess = 0x15 // NLT_UQ, true for NaN
)

// atMost returns hi < x ? hi : x, so that a NaN in x passes; atLeast is its mirror.
func (s *simd) atMost(x, hi Op) reg.VecVirtual {
	r := s.load(hi)
	VMINPS(x, r, r)
	return r
}

func (s *simd) atLeast(x, lo Op) reg.VecVirtual {
	r := s.load(lo)
	VMAXPS(x, r, r)
	return r
}

// op applies a three-operand instruction to a new register: a ? b.
func (s *simd) op(ins func(...Op), a, b Op) reg.VecVirtual {
	r := s.reg()
	ins(b, a, r)
	return r
}

// elementwise is a function over slices: dst[i] = body(slices..., scalars...).
type elementwise struct {
	name    string
	slices  []string // inputs
	scalars []string
	body    func(s *simd, in, scalar []Op) reg.VecVirtual
	hold    []float64 // constants worth a register
}

func (e elementwise) params() string {
	p := "dst, " + strings.Join(e.slices, ", ") + " []float32"
	if len(e.scalars) > 0 {
		p += ", " + strings.Join(e.scalars, ", ") + " float32"
	}
	return "(" + p + ")"
}

// cursor walks the slices of a function together.
type cursor struct {
	s        *simd
	base     []reg.GPVirtual
	at, left reg.GPVirtual // byte offset; elements to go
}

func (s *simd) begin(slices ...string) *cursor {
	c := &cursor{s: s, at: GP64(), left: GP64()}
	Load(Param(slices[0]).Len(), c.left)
	for _, name := range slices {
		c.base = append(c.base, Load(Param(name).Base(), GP64()).(reg.GPVirtual))
	}
	XORQ(c.at, c.at)
	return c
}

func (s *simd) broadcast(name string) Op {
	r := s.reg()
	VBROADCASTSS(Load(Param(name), XMM()).(reg.VecVirtual), r)
	return r
}

func (c *cursor) mem(i, disp int) Mem {
	return Mem{Base: c.base[i], Index: c.at, Scale: 1, Disp: disp}
}

// loop runs full for steps of that many elements and then, unless none are left, rest.
func (c *cursor) loop(step int, full, rest func()) {
	SUBQ(U8(step), c.left)
	JLT(LabelRef("rest"))
	Label("loop")
	full()
	ADDQ(U32(4*step), c.at)
	SUBQ(U8(step), c.left)
	JGE(LabelRef("loop"))
	Label("rest")
	ADDQ(U8(step), c.left)
	JEQ(LabelRef("done"))
	rest()
	Label("done")
}

func (e elementwise) write(s *simd, d *decls) {
	name := e.name + s.suffix
	d.add(name, e.params())
	d.entry(e.name, name)
	TEXT(name, NOSPLIT, "func"+e.params())
	c := s.begin(append([]string{"dst"}, e.slices...)...)
	var scalar []Op
	for _, n := range e.scalars {
		scalar = append(scalar, s.broadcast(n))
	}
	s.hold(e.hold...)
	step := func(k *mask) {
		var in []Op
		for i := range e.slices {
			in = append(in, s.loadTail(c.mem(i+1, 0), k))
		}
		s.storeTail(e.body(s, in, scalar), c.mem(0, 0), k)
	}
	c.loop(s.bytes()/4, func() { step(nil) }, func() { step(s.tailMask(c.left, 0)) })
	VZEROUPPER()
	RET()
}

func binary(name string, ins func(...Op)) elementwise {
	return elementwise{name: name, slices: []string{"a", "b"}, body: func(s *simd, in, _ []Op) reg.VecVirtual { return s.op(ins, in[0], in[1]) }}
}

// scalarRight is x ? s, scalarLeft s ? x.
func scalarRight(name string, ins func(...Op)) elementwise {
	return elementwise{name: name, slices: []string{"x"}, scalars: []string{"s"}, body: func(s *simd, in, k []Op) reg.VecVirtual { return s.op(ins, in[0], k[0]) }}
}

func scalarLeft(name string, ins func(...Op)) elementwise {
	return elementwise{name: name, slices: []string{"x"}, scalars: []string{"s"}, body: func(s *simd, in, k []Op) reg.VecVirtual { return s.op(ins, k[0], in[0]) }}
}

func unary(name string, f func(s *simd, x Op) reg.VecVirtual, hold []float64) elementwise {
	body := func(s *simd, in, _ []Op) reg.VecVirtual { return f(s, in[0]) }
	return elementwise{name: name, slices: []string{"x"}, body: body, hold: hold}
}

var elementwiseFuncs = []elementwise{
	binary("add", VADDPS), binary("sub", VSUBPS), binary("mul", VMULPS), binary("div", VDIVPS),
	scalarRight("addS", VADDPS), scalarRight("mulS", VMULPS), scalarRight("divS", VDIVPS),
	scalarLeft("rsubS", VSUBPS), scalarLeft("rdivS", VDIVPS),
	{name: "clamp", slices: []string{"x"}, scalars: []string{"lo", "hi"}, body: func(s *simd, in, k []Op) reg.VecVirtual {
		return s.atMost(s.atLeast(in[0], k[0]), k[1])
	}},
	{name: "mulAdd", slices: []string{"x", "scale", "shift"}, body: func(_ *simd, in, _ []Op) reg.VecVirtual {
		VFMADD213PS(in[2], in[1], in[0])
		return in[0].(reg.VecVirtual)
	}},
	{name: "mulAddS", slices: []string{"x"}, scalars: []string{"scale", "shift"}, body: func(_ *simd, in, k []Op) reg.VecVirtual {
		VFMADD213PS(k[1], k[0], in[0])
		return in[0].(reg.VecVirtual)
	}},
	{name: "normalize", slices: []string{"x", "scale", "shift"}, scalars: []string{"mean", "inv"}, body: func(s *simd, in, k []Op) reg.VecVirtual {
		d := s.op(VMULPS, s.op(VSUBPS, in[0], k[0]), k[1])
		VFMADD213PS(in[2], in[1], d)
		return d
	}},
	{name: "reluGrad", slices: []string{"dy", "y"}, body: func(s *simd, in, _ []Op) reg.VecVirtual {
		zero := s.f(0)
		return s.sel(cmpLess, s.load(zero), in[1], in[0], s.load(zero))
	}, hold: []float64{0}},
	{name: "clipGrad", slices: []string{"dy", "y"}, scalars: []string{"lo", "hi"}, body: func(s *simd, in, k []Op) reg.VecVirtual {
		zero := s.load(s.f(0))
		return s.sel(cmpLess, in[1], k[1], s.sel(cmpLess, k[0], in[1], in[0], zero), zero)
	}, hold: []float64{0}},
	{name: "normGrad", slices: []string{"hat", "g"}, scalars: []string{"a", "b"}, body: func(s *simd, in, k []Op) reg.VecVirtual {
		d := s.op(VSUBPS, in[1], k[0])
		VFNMADD231PS(in[0], k[1], d)
		return d
	}},
	unary("sqrt", func(s *simd, x Op) reg.VecVirtual {
		r := s.reg()
		VSQRTPS(x, r)
		return r
	}, nil),
	unary("exp", expCode, expHeld),
	unary("log", logCode, with(logPoly[:])),
	unary("tanh", tanhCode, append(with(tanhPoly[:], 1, 2), expHeld...)),
	unary("sigmoid", sigmoidCode, append(with(nil, 0), expHeld...)),
	unary("erf", erfCode, append(with(erfcPoly[:]), expHeld...)),
	unary("gelu", geluCode, expHeld),
}

func vectorFamily(d *decls) {
	c := &constants{sym: NewStaticSymbol("vectorConst")}
	for _, s := range []*simd{{suffix: "AVX2", consts: c}, {suffix: "AVX512", z: true, consts: c}} {
		d.openTable("vector"+s.suffix, "vectorTable")
		for _, e := range elementwiseFuncs {
			e.write(s, d)
		}
		reductions(s, d)
		d.closeTable()
	}
	c.emit()
}

func (d *decls) openTable(name, typ string) {
	d.tables = append(d.tables, fmt.Sprintf("var %s = %s{", name, typ))
}

func (d *decls) entry(field, value string) {
	d.tables = append(d.tables, fmt.Sprintf("\t%s: %s,", field, value))
}
func (d *decls) closeTable() { d.tables = append(d.tables, "}\n") }
