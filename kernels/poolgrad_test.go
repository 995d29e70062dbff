package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

func TestPoolGradSameBits(t *testing.T) {
	eachAsm(t, func(t *testing.T, s *Set) {
		for i, c := range rowCases() {
			taps, step, size := c.taps()
			run := func(s *Set, values func(*rand.Rand, int) []float32) []float32 {
				r := rand.New(rand.NewPCG(uint64(i), 1))
				g := PoolGrad{N: c.n, C: c.c, DY: values(r, c.n*c.c), X: values(r, size), Step: step, Taps: taps, Window: 3}
				g.X[0] = g.X[min(c.c, size-1)] // a tie
				g.DX = make([]float32, size)
				g.Gate = i%2 == 0
				s.MaxPoolGrad(&g)
				s.AddPoolGrad(&g)
				once := PoolGrad{N: 1, C: c.c, DY: g.DY, X: g.X, DX: make([]float32, size), Taps: taps, Window: 7, Once: true, Gate: i%3 == 0}
				s.MaxPoolGrad(&once)
				sum := append(g.DX, once.DX...)
				s.AddPoolGrad(&once)
				return append(sum, once.DX...)
			}
			sameBits(t, fmt.Sprintf("%+v", c), run(s, randF32), run(genericSet, randF32))
			sameBits(t, fmt.Sprintf("wild %+v", c), run(s, wild), run(genericSet, wild))
		}
	})
}

func TestPoolGradGeneric(t *testing.T) {
	g := PoolGrad{N: 2, C: 1, DY: []float32{10, 20}, X: []float32{1, 3, 3}, DX: make([]float32, 3), Step: 1, Taps: []int{0, 1}, Window: 4}
	genericSet.MaxPoolGrad(&g)
	sameBits(t, "MaxPoolGrad", g.DX, []float32{0, 30, 0}) // the second window's tie goes to its first tap
	genericSet.AddPoolGrad(&g)
	sameBits(t, "AddPoolGrad", g.DX, []float32{2.5, 37.5, 5})
	g = PoolGrad{N: 2, C: 1, DY: []float32{10, 20}, X: []float32{-1, -3, 3, 2}, DX: []float32{9, 9, 9, 9}, Step: 2, Taps: []int{0, 1}, Once: true, Gate: true}
	genericSet.MaxPoolGrad(&g)
	sameBits(t, "MaxPoolGrad with a gate", g.DX, []float32{0, 0, 20, 0})
}

// TestRowGradients compares the gradients of softmax and normalisation with differences of the functions.
func TestRowGradients(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	const n, h = 37, 1e-2
	x, dy, scale := randF32(r, n), randF32(r, n), randF32(r, n)
	zero := make([]float32, n)
	s := genericSet
	for _, c := range []struct {
		name string
		f    func(dst, x []float32)
		grad func(dst []float32)
	}{
		{"Softmax", func(d, x []float32) { s.Softmax(d, x) }, func(d []float32) {
			y := make([]float32, n)
			s.Softmax(y, x)
			s.SoftmaxGrad(d, dy, y)
		}},
		{"LogSoftmax", func(d, x []float32) { s.LogSoftmax(d, x) }, func(d []float32) {
			y := make([]float32, n)
			s.LogSoftmax(y, x)
			s.LogSoftmaxGrad(d, dy, y)
		}},
		{"LayerNorm", func(d, x []float32) { s.LayerNorm(d, x, Norm{scale, zero, 1e-5}) }, func(d []float32) {
			s.LayerNormGrad(&NormGrad{DY: dy, X: x, Scale: scale, Eps: 1e-5, Hat: make([]float32, n), DX: d})
		}},
	} {
		got, up, down := make([]float32, n), make([]float32, n), make([]float32, n)
		c.grad(got)
		for i := range x {
			p := append([]float32(nil), x...)
			p[i] += h
			c.f(up, p)
			p[i] -= 2 * h
			c.f(down, p)
			want := 0.0
			for j := range dy {
				want += float64(dy[j]) * float64(up[j]-down[j]) / (2 * h)
			}
			if math.Abs(want-float64(got[i])) > 2e-3*(1+math.Abs(want)) {
				t.Errorf("%s: gradient %d is %g, differences give %g", c.name, i, got[i], want)
			}
		}
	}
}

func BenchmarkPoolGrad(b *testing.B) {
	const w, c = 28, 32
	r := rand.New(rand.NewPCG(1, 1))
	g := PoolGrad{N: w / 2, C: c, DY: randF32(r, w/2*c), X: randF32(r, 2*w*c), DX: make([]float32, 2*w*c), Step: 2 * c, Taps: []int{0, c, w * c, w*c + c}, Window: 4}
	for _, s := range Available() {
		b.Run(s.Name+"/max", func(b *testing.B) {
			for b.Loop() {
				s.MaxPoolGrad(&g)
			}
		})
		g.Once = true
		b.Run(s.Name+"/maxOnce", func(b *testing.B) {
			for b.Loop() {
				s.MaxPoolGrad(&g)
			}
		})
		g.Once = false
		b.Run(s.Name+"/add", func(b *testing.B) {
			for b.Loop() {
				s.AddPoolGrad(&g)
			}
		})
	}
}
