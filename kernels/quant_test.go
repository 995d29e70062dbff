package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

var specials = []float32{
	0, float32(math.Copysign(0, -1)), 0.5, 1.5, 2.5, -0.5, -1.5, 254.5, 255.5, 1e-45, -1e-40, 1e30, -1e30, math.MaxFloat32,
	float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), 2147483648, -2147483648, 8388609, 1 << 23,
}

func randomF32(t *testing.T, r *rand.Rand, n int) []float32 {
	x := guarded[float32](t, n)
	for i := range x {
		x[i] = float32(r.NormFloat64() * 40)
		if r.IntN(6) == 0 {
			x[i] = specials[r.IntN(len(specials))]
		}
	}
	return x
}

func randomI32(t *testing.T, r *rand.Rand, n int) []int32 {
	x := guarded[int32](t, n)
	for i := range x {
		x[i] = int32(r.Uint32()) >> r.IntN(32)
		if r.IntN(9) == 0 {
			x[i] = []int32{math.MaxInt32, math.MinInt32, 0, 16777217, -16777219}[r.IntN(5)]
		}
	}
	return x
}

// lengths cover every tail of every vector length, and several blocks.
func lengths() []int {
	var n []int
	for i := range 140 {
		n = append(n, i)
	}
	return append(n, 255, 256, 257, 1000)
}

// same compares bits, so that NaN equals itself and zeros keep their signs.
func same(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		g, w := math.Float32bits(got[i]), math.Float32bits(want[i])
		if g != w && !(got[i] != got[i] && want[i] != want[i]) {
			t.Fatalf("%s: [%d] of %d = %g (%#x), want %g (%#x)", what, i, len(want), got[i], g, want[i], w)
		}
	}
}

func eachLength(t *testing.T, f func(t *testing.T, s *Set, r *rand.Rand, n int)) {
	eachSet(t, func(t *testing.T, s *Set) {
		r := rand.New(rand.NewPCG(7, 8))
		for _, n := range lengths() {
			f(t, s, r, n)
		}
	})
}

func TestQuantizeF32(t *testing.T) {
	eachLength(t, func(t *testing.T, s *Set, r *rand.Rand, n int) {
		for _, scale := range []float32{1, 0.37, 1e-30, 1e30} {
			o, src, dst := outputs[r.IntN(len(outputs))], randomF32(t, r, n), guarded[byte](t, n)
			s.QuantizeF32(dst, src, scale, o.zero, o.lo, o.hi)
			for i, x := range src {
				if want := wantQuantum(x/scale, o); dst[i] != want {
					t.Fatalf("n %d: %g/%g %v = %d, want %d", n, x, scale, o, dst[i], want)
				}
			}
		}
	})
}

func TestDequantize(t *testing.T) {
	eachLength(t, func(t *testing.T, s *Set, r *rand.Rand, n int) {
		src, dst, want := randomU8(t, r, n), guarded[float32](t, n), make([]float32, n)
		zero, scale := int32(r.IntN(256)), r.Float32()
		for i, x := range src {
			want[i] = float32(int32(x)-zero) * scale
		}
		s.DequantizeU8(dst, src, scale, zero)
		same(t, "u8", dst, want)
		zero -= 128
		for i, x := range src {
			want[i] = float32(int32(int8(x))-zero) * scale
		}
		s.DequantizeS8(dst, src, scale, zero)
		same(t, "s8", dst, want)
	})
}

// rows are three rows of n columns of sums, with scales and bias.
type sumRows struct {
	sums        []int32
	scale, bias []float32
}

func randomRows(t *testing.T, r *rand.Rand, n int) sumRows {
	x := sumRows{randomI32(t, r, 3*n), guarded[float32](t, n), guarded[float32](t, n)}
	for j := range n {
		x.scale[j], x.bias[j] = float32(math.Exp(r.Float64()*20-18)), float32(r.NormFloat64())
	}
	return x
}

func TestColumnScales(t *testing.T) {
	eachLength(t, func(t *testing.T, s *Set, r *rand.Rand, n int) {
		x := randomRows(t, r, n)
		o, zero, rowScale := outputs[r.IntN(len(outputs))], r.Int32(), r.Float32()
		want, plain, biased, bytes := make([]float32, 3*n), make([]float32, 3*n), make([]float32, 3*n), make([]byte, 3*n)
		for i, sum := range x.sums {
			j := i % n
			want[i] = float32(sum-zero) * x.scale[j]
			bytes[i] = wantQuantum(float32(sum)*x.scale[j], o)
			plain[i] = float32(float32(sum) * float32(rowScale*x.scale[j]))
			biased[i] = float32(plain[i] + x.bias[j])
		}
		got, dst := guarded[float32](t, 3*n), guarded[byte](t, 3*n)
		s.DequantizeI32(got, x.sums, x.scale, zero)
		same(t, "DequantizeI32", got, want)
		s.RequantI32(dst, x.sums, x.scale, o.zero, o.lo, o.hi)
		if !slices.Equal(dst, bytes) {
			t.Fatalf("RequantI32 n %d %v: %v, want %v", n, o, dst, bytes)
		}
		for i := 0; i < 3*n; i += n {
			s.I32ToF32Scale(got[i:i+n], x.sums[i:i+n], rowScale, x.scale, nil)
			same(t, "I32ToF32Scale", got[i:i+n], plain[i:i+n])
			s.I32ToF32Scale(got[i:i+n], x.sums[i:i+n], rowScale, x.scale, x.bias)
			same(t, "I32ToF32Scale with bias", got[i:i+n], biased[i:i+n])
		}
	})
}

func TestColumnScalesRefusePartRows(t *testing.T) {
	eachSet(t, func(t *testing.T, s *Set) {
		for _, scales := range [][]float32{nil, {1, 2}} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("three values in rows of %d: no panic", len(scales))
					}
				}()
				s.RequantI32(make([]byte, 3), make([]int32, 3), scales, 0, 0, 255)
			}()
		}
	})
}

func TestAddMul(t *testing.T) {
	eachLength(t, func(t *testing.T, s *Set, r *rand.Rand, n int) {
		for _, signed := range []bool{false, true} {
			o := outputs[r.IntN(len(outputs))]
			q := &AddQ{
				A: randomU8(t, r, n), B: randomU8(t, r, n), C: guarded[byte](t, n), Signed: signed,
				ScaleA: r.Float32(), ScaleB: r.Float32(), ScaleC: r.Float32() * 3,
				ZeroA: int32(r.IntN(256)), ZeroB: int32(r.IntN(256)), ZeroC: o.zero, Lo: o.lo, Hi: o.hi,
			}
			if signed {
				q.ZeroA, q.ZeroB = q.ZeroA-128, q.ZeroB-128
			}
			sum, product := make([]byte, n), make([]byte, n)
			for i := range n {
				x, y := int32(q.A[i]), int32(q.B[i])
				if signed {
					x, y = int32(int8(q.A[i])), int32(int8(q.B[i]))
				}
				ra, rb := q.ScaleA/q.ScaleC, q.ScaleB/q.ScaleC
				fixed := float32(o.zero) - float32(float32(ra*float32(q.ZeroA))+float32(rb*float32(q.ZeroB)))
				at := output{0, o.lo, o.hi}
				sum[i] = wantQuantum(FMA32(float32(x), ra, FMA32(float32(y), rb, fixed)), at)
				scale := float32(q.ScaleA*q.ScaleB) / q.ScaleC
				product[i] = wantQuantum(float32(float32((x-q.ZeroA)*(y-q.ZeroB))*scale)+float32(o.zero), at)
			}
			s.MulU8(q)
			if !slices.Equal(q.C, product) {
				t.Fatalf("MulU8 n %d signed %v: %v, want %v", n, signed, q.C, product)
			}
			q.C = q.A // in place
			s.AddU8(q)
			if !slices.Equal(q.C, sum) {
				t.Fatalf("AddU8 n %d signed %v: %v, want %v", n, signed, q.C, sum)
			}
		}
	})
}

func TestMinMaxRowSumLookup(t *testing.T) {
	eachLength(t, func(t *testing.T, s *Set, r *rand.Rand, n int) {
		src := randomF32(t, r, n)
		lo, hi := math.Inf(1), math.Inf(-1)
		for _, x := range src {
			if x == x {
				lo, hi = min(lo, float64(x)), max(hi, float64(x))
			}
		}
		gotLo, gotHi := s.MinMaxF32(src)
		same(t, "MinMaxF32", []float32{gotLo, gotHi}, []float32{float32(lo + 0), float32(hi + 0)})

		bytes := randomU8(t, r, n)
		var table [256]byte
		for i := range table {
			table[i] = byte(r.Uint32())
		}
		var sum int32
		mapped := make([]byte, n)
		for i, x := range bytes {
			sum += int32(x)
			mapped[i] = table[x]
		}
		if got := s.RowSumU8(bytes); got != sum {
			t.Fatalf("RowSumU8 of %d bytes = %d, want %d", n, got, sum)
		}
		s.Lookup(bytes, bytes, &table)
		if !slices.Equal(bytes, mapped) {
			t.Fatalf("Lookup of %d bytes: %v, want %v", n, bytes, mapped)
		}
	})
}

func TestMinMaxZeroSign(t *testing.T) {
	eachSet(t, func(t *testing.T, s *Set) {
		minusZero := float32(math.Copysign(0, -1))
		for _, src := range [][]float32{{0, minusZero}, {minusZero, 0}, {minusZero}} {
			lo, hi := s.MinMaxF32(src)
			same(t, fmt.Sprint(src), []float32{lo, hi}, []float32{0, 0})
		}
	})
}

func TestPoolRows(t *testing.T) {
	eachSet(t, func(t *testing.T, s *Set) {
		r := rand.New(rand.NewPCG(9, 10))
		for c := 1; c <= 150; c++ {
			n, step := 1+r.IntN(5), c*(1+r.IntN(2))
			taps := window(1+r.IntN(3), 1+r.IntN(3), 1, 12, c)
			testPool(t, s, pool8{n, c, step, randomU8(t, r, taps[len(taps)-1]+(n-1)*step+c), taps})
		}
	})
}

func testPool(t *testing.T, s *Set, p pool8) {
	size := p.n * p.c
	maxU, maxS, sumU, sumS := make([]byte, size), make([]byte, size), make([]int32, size), make([]int32, size)
	for i := range size {
		top, topS := 0, -128
		for _, tap := range p.taps {
			x := p.x[tap+i/p.c*p.step+i%p.c]
			top, topS = max(top, int(x)), max(topS, int(int8(x)))
			sumU[i] += int32(x)
			sumS[i] += int32(int8(x))
		}
		maxU[i], maxS[i] = byte(top), byte(topS)
	}
	bytes, sums := guarded[byte](t, size), guarded[int32](t, size)
	check := func(what string, equal bool) {
		t.Helper()
		if !equal {
			t.Fatalf("%s differs for n %d c %d step %d taps %v", what, p.n, p.c, p.step, p.taps)
		}
	}
	s.MaxRowsU8(bytes, p.n, p.c, p.x, p.step, p.taps)
	check("MaxRowsU8", slices.Equal(bytes, maxU))
	s.MaxRowsS8(bytes, p.n, p.c, p.x, p.step, p.taps)
	check("MaxRowsS8", slices.Equal(bytes, maxS))
	s.SumRowsU8(sums, p.n, p.c, p.x, p.step, p.taps)
	check("SumRowsU8", slices.Equal(sums, sumU))
	s.SumRowsS8(sums, p.n, p.c, p.x, p.step, p.taps)
	check("SumRowsS8", slices.Equal(sums, sumS))
}

func BenchmarkQuantVectors(b *testing.B) {
	const n = 16384
	bytes, more, out := make([]byte, n), make([]byte, n), make([]byte, n)
	floats, ints, scale := make([]float32, n), make([]int32, n), make([]float32, n)
	table := new([256]byte)
	add := &AddQ{A: bytes, B: more, C: out, ScaleA: 1, ScaleB: 1, ScaleC: 1, Hi: 255}
	taps := window(3, 3, 1, 30, 64)
	image := make([]byte, taps[8]+28*64)
	for _, s := range Available() {
		for _, c := range []struct {
			name string
			n    int
			f    func()
		}{
			{"quantizeF32", n, func() { s.QuantizeF32(out, floats, 0.1, 0, 0, 255) }},
			{"dequantizeU8", n, func() { s.DequantizeU8(floats, bytes, 0.1, 3) }},
			{"requantI32", n, func() { s.RequantI32(out, ints, scale, 0, 0, 255) }},
			{"i32ToF32Scale", n, func() { s.I32ToF32Scale(floats, ints, 0.5, scale, scale) }},
			{"addU8", n, func() { s.AddU8(add) }},
			{"lookup", n, func() { s.Lookup(out, bytes, table) }},
			{"minMaxF32", n, func() { s.MinMaxF32(floats) }},
			{"rowSumU8", n, func() { s.RowSumU8(bytes) }},
			{"maxRowsU8", 28 * 64, func() { s.MaxRowsU8(out, 28, 64, image, 64, taps) }},
			{"sumRowsU8", 28 * 64, func() { s.SumRowsU8(ints, 28, 64, image, 64, taps) }},
		} {
			b.Run(s.Name+"/"+c.name, func(b *testing.B) {
				for b.Loop() {
					c.f()
				}
				b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(b.N)/float64(c.n), "ns/element")
			})
		}
	}
}
