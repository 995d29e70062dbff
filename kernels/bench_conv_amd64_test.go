//go:build amd64 && !noasm

package kernels

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// shares times run, which does macs multiply-adds, and reports the share of the FMA rate measured between its calls.
func shares(b *testing.B, macs float64, run func()) {
	var took, peak []float64
	for b.Loop() {
		t0 := time.Now()
		run()
		t1 := time.Now()
		peakF32AVX512(peakTurns)
		took, peak = append(took, float64(t1.Sub(t0))), append(peak, float64(time.Since(t1))/peakWork)
	}
	slices.Sort(took)
	slices.Sort(peak)
	b.ReportMetric(took[len(took)/4]/1000, "us")
	b.ReportMetric(100*macs*peak[len(peak)/4]/took[len(took)/4], "%peak")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkConv runs the layers of the networks in train's BenchmarkStep: forward, and the gradient by the weights.
func BenchmarkConv(b *testing.B) {
	needPeak(b)
	for _, s := range Available()[1:] {
		for _, d := range [][5]int{{24, 32, 64, 3, 1}, {32, 16, 16, 3, 1}, {16, 32, 32, 3, 1}, {8, 64, 64, 3, 1}, {16, 16, 32, 3, 2}, {10, 6, 16, 5, 1}, {28, 1, 6, 5, 1}} {
			if s.Name == "vnni" {
				continue
			}
			name := fmt.Sprintf("%s/%dx%dto%dk%ds%d", s.Name, d[0], d[1], d[2], d[3], d[4])
			b.Run("forward/"+name, func(b *testing.B) { benchConv(b, s, d) })
			b.Run("weights/"+name, func(b *testing.B) { benchWeights(b, s, d) })
		}
	}
}

func benchConv(b *testing.B, s *Set, d [5]int) {
	r := rand.New(rand.NewPCG(1, 1))
	h, ci, co, k, stride := d[0], d[1], d[2], d[3], d[4]
	w := (h-1)*stride + k
	c := ConvF32{
		Lines: h, M: h, N: co, Run: k * ci, X: randF32(r, w*w*ci), XLine: stride * w * ci, XPixel: stride * ci,
		Y: make([]float32, h*h*co), YLine: h * co, YPixel: co, Bias: randF32(r, co), Lo: 0, Hi: inf32,
	}
	for t := range k {
		c.Taps = append(c.Taps, t*w*ci)
	}
	c.W = make([]float32, s.PackedF32(k*k*ci, co))
	s.PackF32(c.W, randF32(r, k*k*ci*co), k*k*ci, co, co, 1)
	shares(b, float64(h*h*k*k*ci*co), func() { s.Conv(&c) })
}

func benchWeights(b *testing.B, s *Set, d [5]int) {
	r := rand.New(rand.NewPCG(1, 1))
	h, ci, co, k, stride := d[0], d[1], d[2], d[3], d[4]
	w := (h-1)*stride + k
	x := randF32(r, w*w*ci)
	g := GemmTNF32{
		M: k * ci, N: co, K: h, Lines: h, LDA: stride * ci, ALine: stride * w * ci,
		B: randF32(r, h*h*co), LDB: co, BLine: h * co, LDC: co, Add: true,
	}
	sum := make([]float32, k*k*ci*co)
	shares(b, float64(h*h*k*k*ci*co), func() {
		for t := range k {
			g.A, g.C = x[t*w*ci:], sum[t*k*ci*co:]
			s.GemmTN(&g)
		}
	})
}

// BenchmarkDepthwiseGrad runs the gradient by the weights of 3×3 layers with h×h outputs and c channels.
func BenchmarkDepthwiseGrad(b *testing.B) {
	needPeak(b)
	for _, s := range Available()[1:] {
		for _, d := range [][3]int{{48, 8, 1}, {24, 32, 1}, {12, 64, 1}, {12, 64, 2}, {6, 128, 1}, {3, 256, 1}} {
			if s.Name == "vnni" {
				continue
			}
			h, c, stride := d[0], d[1], d[2]
			r := rand.New(rand.NewPCG(1, 1))
			w := (h-1)*stride + 3
			g := DepthwiseGradF32{
				Lines: h, N: h, C: c, X: randF32(r, w*w*c), XLine: stride * w * c, Step: stride * c,
				DY: randF32(r, h*h*c), YLine: h * c, LDY: c, DW: make([]float32, 9*c), Add: true,
			}
			for t := range 9 {
				g.Taps = append(g.Taps, (t/3*w+t%3)*c)
			}
			b.Run(fmt.Sprintf("%s/%dx%ds%d", s.Name, h, c, stride), func(b *testing.B) {
				shares(b, float64(9*h*h*c), func() { s.DepthwiseGrad(&g) })
			})
		}
	}
}
