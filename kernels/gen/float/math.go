package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The constants of kernels/math.go; its functions say what each step means.
const (
	expLo, expHi = -104, 89
	log2e        = 0x1.715476p+0
	roundMagic   = 0x1.8p+23
	magicBits    = 0x4b400000
	ln2Hi        = 0x1.62e4p-1
	ln2Lo        = 0x1.7f7d1cp-20
	tanhSmall    = 0.625
	erfSmall     = 0.921875
	erfcMax      = 4
	geluSmall    = 1
	geluK        = 4
	geluMax      = 14.5
	minNormal    = 0x1p-126
	sqrtHalfBits = 0x3f3504f3
	signBit      = 0x80000000
	negInfBits   = 0xff800000
	infBits      = 0x7f800000
	nanBits      = 0x7fc00000
)

// horner is one chain of FMAs over c, lowest power first.
func (s *simd) horner(c []float32, x Op) reg.VecVirtual {
	y := s.load(s.f(float64(c[len(c)-1])))
	for i := len(c) - 2; i >= 0; i-- {
		VFMADD213PS(s.f(float64(c[i])), x, y)
	}
	return y
}

func (s *simd) abs(x Op) reg.VecVirtual { return s.op(VANDPS, x, s.bits(signBit-1)) }

// copysign gives y ≥ 0 the sign of x.
func (s *simd) copysign(y, x Op) reg.VecVirtual {
	return s.op(VORPS, s.op(VANDPS, x, s.bits(signBit)), y)
}

// expHeld is the constants of expCode.
var expHeld = with(expPoly[:], expLo, expHi, roundMagic, log2e, -ln2Hi, -ln2Lo)

func with(c []float32, more ...float64) []float64 {
	for _, v := range c {
		more = append(more, float64(v))
	}
	return more
}

func expCode(s *simd, x Op) reg.VecVirtual {
	r := s.atMost(s.atLeast(x, s.f(expLo)), s.f(expHi))
	t := s.load(s.f(roundMagic))
	VFMADD231PS(s.f(log2e), r, t)
	n := s.op(VSUBPS, t, s.f(roundMagic))
	VFMADD231PS(s.f(-ln2Hi), n, r)
	VFMADD231PS(s.f(-ln2Lo), n, r)
	p := s.horner(expPoly[:], r)
	if s.z {
		VSCALEFPS(n, p, p) // rounds once, like the product with two powers of two
		return p
	}
	i := s.op(VPSUBD, t, s.bits(magicBits))
	half := s.reg()
	VPSRAD(Imm(1), i, half)
	VPSUBD(half, i, i)
	VMULPS(s.pow2(half), p, p)
	VMULPS(s.pow2(i), p, p)
	return p
}

// pow2 turns integers into powers of two, in place.
func (s *simd) pow2(i reg.VecVirtual) reg.VecVirtual {
	VPADDD(s.bits(127), i, i)
	VPSLLD(Imm(23), i, i)
	return i
}

func logCode(s *simd, x Op) reg.VecVirtual {
	big := s.op(VMULPS, x, s.f(0x1p23))
	y := s.sel(cmpLess, x, s.f(minNormal), big, x)
	zero := s.load(s.f(0))
	e := s.sel(cmpLess, x, s.f(minNormal), s.load(s.f(-23)), zero)
	shifted := s.op(VPSUBD, y, s.bits(sqrtHalfBits))
	exponent := s.reg()
	VPSRAD(Imm(23), shifted, exponent)
	VCVTDQ2PS(exponent, exponent)
	VADDPS(exponent, e, e)
	f := s.op(VPADDD, s.op(VANDPS, shifted, s.bits(0x7fffff)), s.bits(sqrtHalfBits))
	VSUBPS(s.f(1), f, f)
	sq := s.op(VMULPS, f, f)
	r := s.op(VMULPS, e, s.f(ln2Lo))
	VFMADD231PS(s.horner(logPoly[:], f), s.op(VMULPS, sq, f), r)
	VFMADD231PS(s.f(-0.5), sq, r)
	VADDPS(f, r, r)
	VFMADD231PS(s.f(ln2Hi), e, r)
	r = s.sel(cmpNotLess, x, s.bits(infBits), x, r)
	r = s.sel(cmpLess, x, zero, s.load(s.bits(nanBits)), r)
	return s.sel(cmpEqual, x, zero, s.load(s.bits(negInfBits)), r)
}

func tanhCode(s *simd, x Op) reg.VecVirtual {
	a := s.abs(x)
	sq := s.op(VMULPS, a, a)
	small := s.horner(tanhPoly[:], sq)
	VFMADD213PS(a, s.op(VMULPS, a, sq), small)
	e := expCode(s, s.op(VADDPS, a, a))
	VADDPS(s.f(1), e, e)
	large := s.op(VDIVPS, s.load(s.f(2)), e)
	VSUBPS(large, s.load(s.f(1)), large)
	return s.copysign(s.sel(cmpLess, a, s.f(tanhSmall), small, large), x)
}

func sigmoidCode(s *simd, x Op) reg.VecVirtual {
	e := expCode(s, s.op(VORPS, x, s.bits(signBit)))
	one := s.load(s.f(1))
	top := s.sel(cmpLess, x, s.f(0), e, one)
	VADDPS(one, e, e)
	return s.op(VDIVPS, top, e)
}

func erfCode(s *simd, x Op) reg.VecVirtual {
	a := s.abs(x)
	small := s.horner(erfPoly[:], s.op(VMULPS, a, a))
	VFMADD213PS(a, a, small)
	g := s.horner(erfcPoly[:], s.atMost(a, s.f(erfcMax)))
	e := expCode(s, s.op(VXORPS, g, s.bits(signBit)))
	large := s.op(VSUBPS, s.load(s.f(1)), e)
	return s.copysign(s.sel(cmpLess, a, s.f(erfSmall), small, large), x)
}

func geluCode(s *simd, x Op) reg.VecVirtual {
	a := s.abs(x)
	small := s.horner(phiPoly[:], s.op(VMULPS, a, a))
	VFMADD213PS(s.f(0.5), x, small)
	c := s.atMost(a, s.f(geluMax))
	r := s.op(VDIVPS, s.load(s.f(1)), s.op(VADDPS, c, s.f(geluK)))
	t := s.op(VMULPS, s.op(VSUBPS, c, s.f(geluK)), r)
	tail := s.horner(geluPoly[:], t)
	VMULPS(r, tail, tail)
	h := s.op(VMULPS, c, c)
	low := s.load(c)
	VFMSUB213PS(h, c, low)
	e := expCode(s, s.op(VMULPS, h, s.f(-0.5)))
	VMULPS(e, low, low)
	VFMADD231PS(s.f(-0.5), low, e)
	VMULPS(e, tail, tail)
	upper := s.op(VSUBPS, s.load(s.f(1)), tail)
	phi := s.sel(cmpLess, x, s.f(0), tail, upper)
	phi = s.sel(cmpLess, a, s.f(geluSmall), small, phi)
	return s.op(VMULPS, x, phi)
}
