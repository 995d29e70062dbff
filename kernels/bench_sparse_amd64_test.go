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
	{12544, 32, 16, 1}, {12544, 16, 96, 1}, {3136, 96, 24, 1}, {3136, 24, 144, 2}, {3136, 144, 24, 1},
	{784, 144, 32, 1}, {784, 32, 192, 3}, {784, 192, 32, 2}, {196, 192, 64, 1}, {196, 64, 384, 4},
	{196, 384, 64, 3}, {196, 384, 96, 1}, {196, 96, 576, 3}, {196, 576, 96, 2}, {49, 576, 160, 1},
	{49, 160, 960, 3}, {49, 960, 160, 2}, {49, 960, 320, 1}, {49, 320, 1280, 1},
}

// BenchmarkSparse runs the dense and the sparse product in turn, because clocks drift, and reports the medians.
func BenchmarkSparse(b *testing.B) {
	for _, s := range Available()[1:] {
		if s.Name == "vnni" {
			continue
		}
		for _, keep := range []float64{0.2, 0.1} {
			for _, height := range []int{1, 4} {
				var total [2]float64
				for _, d := range sparseLayers {
					c := sparseCase{m: d[0], k: d[1], n: d[2], height: height, keep: keep, bias: true, clamp: d[2] > d[1]}
					b.Run(fmt.Sprintf("%s/zeros%.0f/height%d/%dx%dx%d", s.Name, 100-100*keep, height, d[0], d[1], d[2]), func(b *testing.B) {
						dense, sparse := benchSparse(b, s, c)
						total[0] += dense * float64(d[3])
						total[1] += sparse * float64(d[3])
					})
				}
				b.Logf("%s, %.0f %% zeros, height %d: dense %.0f us, sparse %.0f us, %.2f times", s.Name, 100-100*keep, height, total[0], total[1], total[0]/total[1])
			}
		}
	}
}

func benchSparse(b *testing.B, s *Set, c sparseCase) (dense, sparse float64) {
	g, src := c.job(rand.New(rand.NewPCG(1, 1)))
	work := make([]float32, len(g.Work)+16)
	for uintptr(unsafe.Pointer(&work[0]))%64 != 0 {
		work = work[1:]
	}
	g.Work = work
	d := GemmF32{M: c.m, N: c.n, K: c.k, A: g.A, LDA: c.k, C: g.C, LDC: c.n, Bias: g.Bias, Lo: g.Lo, Hi: g.Hi}
	d.B = make([]float32, s.PackedF32(c.k, c.n))
	s.PackF32(d.B, src, c.k, c.n, c.n, 1)
	var times [2][]float64
	for b.Loop() {
		t0 := time.Now()
		s.Gemm(&d)
		t1 := time.Now()
		s.SparseGemm(g)
		t2 := time.Now()
		times[0] = append(times[0], float64(t1.Sub(t0))/1000)
		times[1] = append(times[1], float64(t2.Sub(t1))/1000)
	}
	slices.Sort(times[0])
	slices.Sort(times[1])
	dense, sparse = times[0][len(times[0])/2], times[1][len(times[1])/2]
	b.ReportMetric(dense, "dense-us")
	b.ReportMetric(sparse, "sparse-us")
	b.ReportMetric(dense/sparse, "times")
	b.ReportMetric(0, "ns/op")
	return dense, sparse
}
