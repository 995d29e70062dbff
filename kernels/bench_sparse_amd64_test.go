//go:build amd64 && !noasm

package kernels

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
	"unsafe"
)

// sparseLayers are the 1×1 convolutions of MobileNetV2 at 224×224: pixels, input and output channels, how often.
var sparseLayers = [][4]int{
	{12544, 32, 16, 1},
	{12544, 16, 96, 1},
	{3136, 96, 24, 1},
	{3136, 24, 144, 2},
	{3136, 144, 24, 1},
	{784, 144, 32, 1},
	{784, 32, 192, 3},
	{784, 192, 32, 2},
	{196, 192, 64, 1},
	{196, 64, 384, 4},
	{196, 384, 64, 3},
	{196, 384, 96, 1},
	{196, 96, 576, 3},
	{196, 576, 96, 2},
	{49, 576, 160, 1},
	{49, 160, 960, 3},
	{49, 960, 160, 2},
	{49, 960, 320, 1},
	{49, 320, 1280, 1},
}

// BenchmarkSparse runs the dense and the sparse product in turn, because clocks drift, and reports the first decile of
// the times, since other load only adds to them, for each layer and for all.
func BenchmarkSparse(b *testing.B) {
	for _, s := range Available()[1:] {
		for _, height := range []int{1, 4} {
			for _, keep := range []float64{0.2, 0.1} {
				if s.Name != "vnni" {
					b.Run(fmt.Sprintf("%s/height%d/zeros%.0f", s.Name, height, 100-100*keep), func(b *testing.B) {
						benchSparseLayers(b, s, sparseCase{height: height, keep: keep, bias: true})
					})
				}
			}
		}
	}
}

func benchSparseLayers(b *testing.B, s *Set, c sparseCase) {
	var dense, sparse float64
	for _, d := range sparseLayers {
		c.m, c.k, c.n, c.clamp = d[0], d[1], d[2], d[2] > d[1]
		b.Run(fmt.Sprintf("%dx%dx%d", d[0], d[1], d[2]), func(b *testing.B) {
			x, y := benchSparse(b, s, c)
			dense += x * float64(d[3])
			sparse += y * float64(d[3])
		})
	}
	b.Run("total", func(b *testing.B) {
		for b.Loop() { // measured above
		}
		reportSparse(b, dense, sparse)
	})
}

func reportSparse(b *testing.B, dense, sparse float64) {
	b.ReportMetric(dense, "dense-us")
	b.ReportMetric(sparse, "sparse-us")
	b.ReportMetric(dense/sparse, "times")
	b.ReportMetric(0, "ns/op")
}

func benchSparse(b *testing.B, s *Set, c sparseCase) (dense, sparse float64) {
	g, w := c.job(rand.New(rand.NewPCG(1, 1)))
	g.Work = alignedWork(len(g.Work))
	return benchDense(b, s, denseJob(s, g, w), func() { s.SparseGemm(g) })
}

// BenchmarkLanes does the same for few rows.
func BenchmarkLanes(b *testing.B) {
	for _, s := range Available()[1:] {
		for _, keep := range []float64{0.2, 0.1} {
			for _, d := range [][3]int{{1, 512, 512}, {1, 1280, 1000}, {1, 4096, 4096}, {4, 1280, 1000}, {7, 768, 3072}} {
				if s.Name == "vnni" {
					continue
				}
				c := sparseCase{m: d[0], k: d[1], n: d[2], height: SparseLanes, keep: keep, bias: true}
				b.Run(fmt.Sprintf("%s/zeros%.0f/%dx%dx%d", s.Name, 100-100*keep, d[0], d[1], d[2]), func(b *testing.B) {
					benchSparse(b, s, c)
				})
			}
		}
	}
}

// alignedWork returns n elements from a multiple of 64 bytes on.
func alignedWork(n int) []float32 {
	work := make([]float32, n+16)
	for uintptr(unsafe.Pointer(&work[0]))%64 != 0 {
		work = work[1:]
	}
	return work[:n]
}

// denseJob is g with its zeros.
func denseJob(s *Set, g *SparseGemmF32, w []float32) *GemmF32 {
	d := &GemmF32{M: g.M, N: g.W.N, K: g.W.K, A: g.A, LDA: g.LDA, C: g.C, LDC: g.LDC, Bias: g.Bias, Lo: g.Lo, Hi: g.Hi}
	d.B = make([]float32, s.PackedF32(d.K, d.N))
	s.PackF32(d.B, w, d.K, d.N, d.N, 1)
	return d
}

// benchDense runs a dense product and another in turn.
func benchDense(b *testing.B, s *Set, d *GemmF32, other func()) (dense, sparse float64) {
	var times [2][]float64
	for b.Loop() {
		t0 := time.Now()
		s.Gemm(d)
		t1 := time.Now()
		other()
		t2 := time.Now()
		times[0] = append(times[0], float64(t1.Sub(t0))/1000)
		times[1] = append(times[1], float64(t2.Sub(t1))/1000)
	}
	slices.Sort(times[0])
	slices.Sort(times[1])
	dense, sparse = times[0][len(times[0])/10], times[1][len(times[1])/10]
	reportSparse(b, dense, sparse)
	return dense, sparse
}
