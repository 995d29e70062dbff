package kernels

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// exactFMA rounds the exact a·b + c once, by math/big.
func exactFMA(a, b, c float32) float32 {
	x := new(big.Float).SetPrec(2000).SetFloat64(float64(a))
	x.Mul(x, new(big.Float).SetFloat64(float64(b)))
	x.Add(x, new(big.Float).SetFloat64(float64(c)))
	if x.Sign() == 0 {
		return float32(float64(a)*float64(b) + float64(c)) // the sign of an exact zero
	}
	f, _ := x.Float32()
	return f
}

func sameF32(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || (a != a && b != b)
}

func TestFMA32AgainstBig(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	finite := func(v float32) bool { return !math.IsInf(float64(v), 0) && v == v }
	n := 0
	for range 300000 {
		a, b, c := math.Float32frombits(r.Uint32()), math.Float32frombits(r.Uint32()), math.Float32frombits(r.Uint32())
		switch r.IntN(4) {
		case 0: // c near the product, where a tie or a cancellation is likely
			c = float32(float64(a) * float64(b) * (1 + float64(r.IntN(9)-4)*0x1p-24))
			c = -c
		case 1: // short significands make exact ties
			a = math.Float32frombits(math.Float32bits(a) &^ 0xfff)
			b = math.Float32frombits(math.Float32bits(b) &^ 0xfff)
			c = float32(math.Ldexp(float64(a)*float64(b), 20+r.IntN(10)))
		case 2: // subnormal results
			a, b = float32(math.Ldexp(float64(r.Float32()), -70)), float32(math.Ldexp(float64(r.Float32()), -76))
			c = math.Float32frombits(r.Uint32() & 0x800003ff)
		}
		if !finite(a) || !finite(b) || !finite(c) {
			continue
		}
		n++
		if got, want := FMA32(a, b, c), exactFMA(a, b, c); !sameF32(got, want) {
			t.Fatalf("FMA32(%x, %x, %x) = %x, want %x", a, b, c, got, want)
		}
	}
	if n < 200000 {
		t.Fatalf("only %d finite cases", n)
	}
}

func TestFMA32Special(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	negZero := float32(math.Copysign(0, -1))
	for _, c := range []struct{ a, b, c, want float32 }{
		{inf, 1, 0, inf},
		{inf, 0, 1, nan},
		{inf, 1, -inf, nan},
		{1, 2, inf, inf},
		{-inf, 2, 3, -inf},
		{nan, 1, 1, nan},
		{1, 1, nan, nan},
		{0, 1, negZero, 0},
		{negZero, 1, negZero, negZero},
		{math.MaxFloat32, 2, -math.MaxFloat32, math.MaxFloat32},
		{math.MaxFloat32, 2, 0, inf},
		{math.MaxFloat32, math.MaxFloat32, -inf, -inf},
	} {
		if got := FMA32(c.a, c.b, c.c); !sameF32(got, c.want) {
			t.Errorf("FMA32(%g, %g, %g) = %g, want %g", c.a, c.b, c.c, got, c.want)
		}
	}
}

func BenchmarkFMA32(b *testing.B) {
	acc := float32(0)
	x, y := float32(1.1), float32(0.3)
	for b.Loop() {
		for range 1000 {
			acc = FMA32(x, y, acc)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/fma")
}
