package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// wild returns n random values: bit patterns, ordinary numbers, and every special one.
func wild(r *rand.Rand, n int) []float32 {
	special := []float32{
		0, float32(math.Copysign(0, -1)), inf32, negInf32, float32(math.NaN()), 1, -1, 88.72284, 88.8, -87.4, -103.5, -104.5,
		math.MaxFloat32, -math.MaxFloat32, math.SmallestNonzeroFloat32, 0x1p-126, 0.625, 0.921875, 14.5, -14.4, 4, 0x1.fffffep-1,
	}
	x := make([]float32, n)
	for i := range x {
		switch r.IntN(4) {
		case 0:
			x[i] = math.Float32frombits(r.Uint32())
		case 1:
			x[i] = special[r.IntN(len(special))]
		default:
			x[i] = float32(r.NormFloat64() * math.Exp(3*r.NormFloat64()))
		}
	}
	return x
}

type vectorInputs struct {
	a, b, c []float32
	s, t    float32
}

// vectorOps has one line for each exported function over slices; each writes dst, reductions its first element.
var vectorOps = []struct {
	name string
	run  func(s *Set, dst []float32, v vectorInputs)
}{
	{"Add", func(s *Set, d []float32, v vectorInputs) { s.Add(d, v.a, v.b) }},
	{"Sub", func(s *Set, d []float32, v vectorInputs) { s.Sub(d, v.a, v.b) }},
	{"Mul", func(s *Set, d []float32, v vectorInputs) { s.Mul(d, v.a, v.b) }},
	{"Div", func(s *Set, d []float32, v vectorInputs) { s.Div(d, v.a, v.b) }},
	{"AddS", func(s *Set, d []float32, v vectorInputs) { s.AddS(d, v.a, v.s) }},
	{"SubS", func(s *Set, d []float32, v vectorInputs) { s.SubS(d, v.a, v.s) }},
	{"RSubS", func(s *Set, d []float32, v vectorInputs) { s.RSubS(d, v.a, v.s) }},
	{"MulS", func(s *Set, d []float32, v vectorInputs) { s.MulS(d, v.a, v.s) }},
	{"DivS", func(s *Set, d []float32, v vectorInputs) { s.DivS(d, v.a, v.s) }},
	{"RDivS", func(s *Set, d []float32, v vectorInputs) { s.RDivS(d, v.a, v.s) }},
	{"Clamp", func(s *Set, d []float32, v vectorInputs) { s.Clamp(d, v.a, min(v.s, v.t), max(v.s, v.t)) }},
	{"ClampZero", func(s *Set, d []float32, v vectorInputs) { s.Clamp(d, v.a, 0, inf32) }},
	{"MulAdd", func(s *Set, d []float32, v vectorInputs) { s.MulAdd(d, v.a, v.b, v.c) }},
	{"MulAddS", func(s *Set, d []float32, v vectorInputs) { s.MulAddS(d, v.a, v.s, v.t) }},
	{"Exp", func(s *Set, d []float32, v vectorInputs) { s.Exp(d, v.a) }},
	{"Log", func(s *Set, d []float32, v vectorInputs) { s.Log(d, v.a) }},
	{"Tanh", func(s *Set, d []float32, v vectorInputs) { s.Tanh(d, v.a) }},
	{"Sigmoid", func(s *Set, d []float32, v vectorInputs) { s.Sigmoid(d, v.a) }},
	{"Erf", func(s *Set, d []float32, v vectorInputs) { s.Erf(d, v.a) }},
	{"Gelu", func(s *Set, d []float32, v vectorInputs) { s.Gelu(d, v.a) }},
	{"Sqrt", func(s *Set, d []float32, v vectorInputs) { s.Sqrt(d, v.a) }},
	{"ReluGrad", func(s *Set, d []float32, v vectorInputs) { s.ReluGrad(d, v.a, v.b) }},
	{"ClipGrad", func(s *Set, d []float32, v vectorInputs) { s.ClipGrad(d, v.a, v.b, min(v.s, v.t), max(v.s, v.t)) }},
	{"Dot", func(s *Set, d []float32, v vectorInputs) { copy(d, []float32{s.Dot(v.a[:len(d)], v.b)}) }},
	{"SoftmaxGrad", func(s *Set, d []float32, v vectorInputs) { s.SoftmaxGrad(d, v.a, v.b) }},
	{"LogSoftmax", func(s *Set, d []float32, v vectorInputs) { s.LogSoftmax(d, append([]float32(nil), v.a...)) }},
	{"LogSoftmaxGrad", func(s *Set, d []float32, v vectorInputs) { s.LogSoftmaxGrad(d, append([]float32(nil), v.a...), v.b) }},
	{"LayerNormGrad", func(s *Set, d []float32, v vectorInputs) {
		hat := make([]float32, len(d))
		s.LayerNormGrad(&NormGrad{DY: append([]float32(nil), v.a...), X: v.b[:len(d)], Scale: v.c, Eps: 1e-5, Hat: hat, DX: d})
		s.Add(d, d, hat)
	}},
	{"Sum", func(s *Set, d []float32, v vectorInputs) { copy(d, []float32{s.Sum(v.a[:len(d)])}) }},
	{"Max", func(s *Set, d []float32, v vectorInputs) { copy(d, []float32{s.Max(v.a[:len(d)])}) }},
	{"SumSquaresCentered", func(s *Set, d []float32, v vectorInputs) { copy(d, []float32{s.SumSquaresCentered(v.a[:len(d)], v.s)}) }},
	{"Softmax", func(s *Set, d []float32, v vectorInputs) { s.Softmax(d, v.a) }},
	{"LayerNorm", func(s *Set, d []float32, v vectorInputs) { s.LayerNorm(d, v.a, Norm{v.b, v.c, 1e-5}) }},
	{"LayerNormNoBias", func(s *Set, d []float32, v vectorInputs) { s.LayerNorm(d, v.a, Norm{v.b, nil, 1e-5}) }},
}

func TestVectorSameBits(t *testing.T) {
	var sizes []int
	for n := range 70 {
		sizes = append(sizes, n)
	}
	sizes = append(sizes, 1000, 4099)
	eachAsm(t, func(t *testing.T, s *Set) {
		for _, op := range vectorOps {
			for _, n := range sizes {
				r := rand.New(rand.NewPCG(uint64(n), 3))
				v := vectorInputs{randF32(r, n), randF32(r, n), randF32(r, n), float32(r.NormFloat64()), float32(r.NormFloat64())}
				compareVector(t, s, n, op.name, v, op.run)
				v.a, v.b, v.c = wild(r, n), wild(r, n), wild(r, n)
				compareVector(t, s, n, op.name+" of wild values", v, op.run)
			}
		}
	})
}

// compareVector runs once out of place between guards and once in place.
func compareVector(t *testing.T, s *Set, n int, name string, v vectorInputs, run func(*Set, []float32, vectorInputs)) {
	t.Helper()
	want := make([]float32, n)
	run(genericSet, want, v)
	const guard = 32
	got := make([]float32, n+2*guard)
	for i := range got {
		got[i] = 12345
	}
	clear(got[guard : guard+n])
	run(s, got[guard:guard+n], v)
	sameBits(t, fmt.Sprintf("%s n=%d", name, n), got[guard:guard+n], want)
	for i := range guard {
		if got[i] != 12345 || got[len(got)-1-i] != 12345 {
			t.Fatalf("%s n=%d: wrote outside dst", name, n)
		}
	}
	inPlace := vectorInputs{append([]float32(nil), v.a...), v.b, v.c, v.s, v.t}
	run(s, inPlace.a, inPlace)
	run(genericSet, v.a[:n:n], vectorInputs{append([]float32(nil), v.a...), v.b, v.c, v.s, v.t})
	sameBits(t, fmt.Sprintf("%s in place n=%d", name, n), inPlace.a, v.a)
}

func TestGenericReductions(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	x := randF32(r, 1003)
	sum, sq, top := 0.0, 0.0, math.Inf(-1)
	for _, v := range x {
		sum += float64(v)
		top = max(top, float64(v))
	}
	mean := sum / float64(len(x))
	for _, v := range x {
		sq += (float64(v) - mean) * (float64(v) - mean)
	}
	near := func(what string, got float32, want float64) {
		t.Helper()
		if math.Abs(float64(got)-want) > 1e-5*(1+math.Abs(want)) {
			t.Errorf("%s = %g, want %g", what, got, want)
		}
	}
	near("Sum", genericSet.Sum(x), sum)
	near("Max", genericSet.Max(x), top)
	near("SumSquaresCentered", genericSet.SumSquaresCentered(x, float32(mean)), sq)
	y := make([]float32, len(x))
	genericSet.Softmax(y, x)
	near("Σ Softmax", genericSet.Sum(y), 1)
	total := 0.0
	for _, v := range x {
		total += math.Exp(float64(v) - top)
	}
	near("Softmax", y[7], math.Exp(float64(x[7])-top)/total)
	ones, twos := make([]float32, len(x)), make([]float32, len(x))
	for i := range ones {
		ones[i], twos[i] = 3, 2
	}
	genericSet.LayerNorm(y, x, Norm{Scale: ones, Bias: twos, Eps: 1e-3})
	near("LayerNorm", y[11], (float64(x[11])-mean)/math.Sqrt(sq/float64(len(x))+1e-3)*3+2)
}

func BenchmarkVector(b *testing.B) {
	const n = 4096
	r := rand.New(rand.NewPCG(2, 2))
	v := vectorInputs{randF32(r, n), randF32(r, n), randF32(r, n), 0.5, 2}
	dst := make([]float32, n)
	for _, s := range Available() {
		for _, op := range vectorOps {
			b.Run(s.Name+"/"+op.name, func(b *testing.B) {
				for b.Loop() {
					op.run(s, dst, v)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/element")
			})
		}
	}
}
