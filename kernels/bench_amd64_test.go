//go:build amd64 && !noasm

package kernels

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

const (
	peakTurns = 1000
	peakWork  = 160 * peakTurns // multiply-adds of peakF32AVX512(peakTurns)
)

// needPeak skips where the loop that measures the FMA rate cannot run.
func needPeak(b *testing.B) {
	if _, err := Select("avx512"); err != nil {
		b.Skip(err)
	}
}

// BenchmarkGemm reports the share of the machine's FMA rate, measured between the calls because clocks drift.
func BenchmarkGemm(b *testing.B) {
	needPeak(b)
	shapes := [][3]int{
		{784, 256, 1152},
		{196, 256, 1024},
		{49, 512, 4608},
		{784, 32, 32},
		{3136, 64, 64},
		{3136, 64, 147},
		{196, 512, 128},
		{1, 1000, 2048},
		{1, 4096, 4096},
		{4, 4096, 1024},
		{7, 1024, 1024},
		{128, 768, 768},
		{16, 3072, 768},
	}
	for _, s := range Available()[1:] {
		if s.Name == "vnni" {
			continue
		}
		for _, d := range shapes {
			b.Run(fmt.Sprintf("%s/%dx%dx%d", s.Name, d[0], d[1], d[2]), func(b *testing.B) { benchGemm(b, s, d) })
		}
	}
}

func benchGemm(b *testing.B, s *Set, d [3]int) {
	r := rand.New(rand.NewPCG(1, 1))
	m, n, k := d[0], d[1], d[2]
	g := GemmF32{M: m, N: n, K: k, A: randF32(r, m*k), LDA: k, C: make([]float32, m*n), LDC: n, Bias: randF32(r, n), Lo: 0, Hi: inf32}
	g.B = make([]float32, s.PackedF32(k, n))
	s.PackF32(g.B, randF32(r, k*n), k, n, n, 1)
	var run, peak []float64
	for b.Loop() {
		t0 := time.Now()
		s.Gemm(&g)
		t1 := time.Now()
		peakF32AVX512(peakTurns)
		t2 := time.Now()
		run = append(run, float64(t1.Sub(t0)))
		peak = append(peak, float64(t2.Sub(t1))/peakWork)
	}
	slices.Sort(run)
	slices.Sort(peak)
	med, unit := run[len(run)/2], peak[len(peak)/2]
	macs := float64(m) * float64(n) * float64(k)
	b.ReportMetric(med/1000, "us")
	b.ReportMetric(2*macs/med, "GFLOP/s")
	b.ReportMetric(100*macs*unit/med, "%peak")
	b.ReportMetric(float64(4*n*k)/med, "GB/s-B")
	b.ReportMetric(0, "ns/op")
}

func BenchmarkDepthwise(b *testing.B) {
	needPeak(b)
	for _, s := range Available()[1:] {
		if s.Name == "vnni" {
			continue
		}
		for _, d := range [][3]int{{14, 16, 1}, {14, 64, 1}, {14, 128, 1}, {112, 32, 1}, {56, 144, 1}, {28, 192, 1}, {14, 384, 1}, {14, 576, 1}, {14, 512, 1}, {7, 960, 1}, {56, 96, 2}} {
			b.Run(fmt.Sprintf("%s/%dx%ds%d", s.Name, d[0], d[1], d[2]), func(b *testing.B) { benchDepthwise(b, s, d) })
		}
	}
}

// benchDepthwise runs a whole 3×3 layer of h×h outputs, row by row.
func benchDepthwise(b *testing.B, s *Set, shape [3]int) {
	h, c, stride := shape[0], shape[1], shape[2]
	w, px := (h-1)*stride+3, c
	if c%512 == 0 {
		px += 16
	}
	r := rand.New(rand.NewPCG(1, 1))
	x, y := randF32(r, w*w*px), make([]float32, h*h*c)
	var taps []int
	for t := range 9 {
		taps = append(taps, (t/3*w+t%3)*px)
	}
	d := DepthwiseF32{N: h, C: c, Step: stride * px, Taps: taps, W: randF32(r, 9*c), Bias: randF32(r, c), Lo: 0, Hi: 6, LDY: c, XRow: stride * w * px, YRow: h * c}
	var run, peak []float64
	for b.Loop() {
		t0 := time.Now()
		for i := 0; i < h; i += 2 {
			d.X, d.Y, d.Rows = x[i*d.XRow:], y[i*h*c:], min(2, h-i)
			s.Depthwise(&d)
		}
		t1 := time.Now()
		peakF32AVX512(peakTurns)
		t2 := time.Now()
		run = append(run, float64(t1.Sub(t0)))
		peak = append(peak, float64(t2.Sub(t1))/peakWork)
	}
	slices.Sort(run)
	slices.Sort(peak)
	macs := float64(9 * h * h * c)
	b.ReportMetric(run[len(run)/2]/1000, "us")
	b.ReportMetric(100*macs*peak[len(peak)/2]/run[len(run)/2], "%peak")
	b.ReportMetric(0, "ns/op")
}
