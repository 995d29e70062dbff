package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// reduction folds a slice in 16 lanes, element i into lane i mod 16, and then the lanes by halves.
type reduction struct {
	name, params string
	slices       []string
	scalars      []string
	start        uint32
	step         func(s *simd, c *cursor, acc reg.VecVirtual, at int, k *mask, scalar []Op)
	fold         func(lo, hi, dst Op)
}

func foldAdd(lo, hi, dst Op) { VADDPS(hi, lo, dst) }
func foldMax(lo, hi, dst Op) { VMAXPS(lo, hi, dst) } // hi > lo ? hi : lo

var reductionFuncs = []reduction{
	{
		"sum", "(x []float32) float32",
		[]string{"x"},
		nil, 0,
		func(s *simd, c *cursor, acc reg.VecVirtual, at int, k *mask, _ []Op) {
			VADDPS(s.loadTail(c.mem(0, at), k), acc, acc)
		}, foldAdd,
	},
	{
		"max", "(x []float32) float32",
		[]string{"x"},
		nil, negInfBits,
		func(s *simd, c *cursor, acc reg.VecVirtual, at int, k *mask, _ []Op) {
			x := s.loadTail(c.mem(0, at), k)
			VMAXPS(acc, s.keep(x, k, s.load(s.bits(negInfBits))), acc)
		}, foldMax,
	},
	{
		"sumSquares", "(x []float32, mean float32) float32",
		[]string{"x"},
		[]string{"mean"},
		0,
		func(s *simd, c *cursor, acc reg.VecVirtual, at int, k *mask, m []Op) {
			x := s.op(VSUBPS, s.loadTail(c.mem(0, at), k), m[0])
			x = s.keep(x, k, s.f(0))
			VFMADD231PS(x, x, acc)
		}, foldAdd,
	},
	{
		"dot", "(a, b []float32) float32",
		[]string{"a", "b"},
		nil, 0,
		func(s *simd, c *cursor, acc reg.VecVirtual, at int, k *mask, _ []Op) {
			a := s.keep(s.loadTail(c.mem(0, at), k), k, s.bits(signBit)) // adding -0 leaves -0 too
			VFMADD231PS(s.loadTail(c.mem(1, at), k), a, acc)
		}, foldAdd,
	},
	{
		"expSum", "(dst, x []float32, shift float32) float32",
		[]string{"dst", "x"},
		[]string{"shift"},
		0,
		func(s *simd, c *cursor, acc reg.VecVirtual, at int, k *mask, m []Op) {
			e := expCode(s, s.op(VSUBPS, s.loadTail(c.mem(1, at), k), m[0]))
			s.storeTail(e, c.mem(0, at), k)
			VADDPS(s.keep(e, k, s.f(0)), acc, acc)
		}, foldAdd,
	},
}

// keep replaces the lanes outside the mask by those of other, a register or constant.
func (s *simd) keep(x reg.VecVirtual, k *mask, other Op) reg.VecVirtual {
	if k == nil {
		return x
	}
	r := s.load(other)
	if s.z {
		VMOVAPS(x, k.op, r)
	} else {
		VBLENDVPS(k.op, x, r, r)
	}
	return r
}

func reductions(s *simd, d *decls) {
	for _, r := range reductionFuncs {
		r.write(s, d)
	}
}

func (r reduction) write(s *simd, d *decls) {
	name := r.name + s.suffix
	d.add(name, r.params)
	d.entry(r.name, name)
	TEXT(name, NOSPLIT, "func"+r.params)
	c := s.begin(r.slices...)
	var scalar []Op
	for _, n := range r.scalars {
		scalar = append(scalar, s.broadcast(n))
	}
	s.hold()
	if r.name == "expSum" {
		s.hold(expHeld...)
	}
	acc := []reg.VecVirtual{s.load(s.bits(r.start))}
	if !s.z {
		acc = append(acc, s.load(s.bits(r.start)))
	}
	step := func(masked bool) {
		for i, a := range acc {
			var k *mask
			if masked {
				k = s.tailMask(c.left, 8*i)
			}
			r.step(s, c, a, 32*i, k, scalar)
		}
	}
	c.loop(16, func() { step(false) }, func() { step(true) })
	lo := YMM()
	if s.z {
		VEXTRACTF32X8(Imm(1), acc[0], lo)
		r.fold(acc[0].AsY(), lo, lo)
	} else {
		r.fold(acc[0], acc[1], lo)
	}
	hi, x := XMM(), lo.AsX()
	VEXTRACTF128(Imm(1), lo, hi)
	r.fold(x, hi, x)
	VPERMILPS(Imm(0b1110), x, hi)
	r.fold(x, hi, x)
	VPERMILPS(Imm(1), x, hi)
	r.fold(x, hi, x)
	Store(x, ReturnIndex(0))
	VZEROUPPER()
	RET()
}
