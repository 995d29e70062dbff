//go:build amd64 && !noasm

package kernels

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// pairsShapes are products of MobileNetV2, ResNet50 and the DS-CNN for keywords: pixels, output channels, K.
var pairsShapes = [][3]int{
	{12544, 32, 27},
	{12544, 16, 32},
	{3136, 24, 144},
	{3136, 144, 24},
	{784, 192, 32},
	{196, 64, 384},
	{196, 576, 96},
	{49, 960, 160},
	{3136, 64, 64},
	{784, 128, 1152},
	{196, 256, 1024},
	{196, 256, 2304},
	{49, 512, 4608},
	{125, 64, 40},
	{125, 64, 64},
	{1, 1000, 2048},
}

// BenchmarkPairsAVX2 runs the product of weights whose pairs fit, that of any weights and the loop that measures what
// the core can do in turn, because clocks drift. It reports medians of the times and of their ratio.
func BenchmarkPairsAVX2(b *testing.B) {
	s, err := Select("avx2")
	if err != nil {
		b.Skip(err)
	}
	for _, d := range pairsShapes {
		b.Run(fmt.Sprintf("%dx%dx%d", d[0], d[1], d[2]), func(b *testing.B) { benchPairs(b, s, d) })
	}
}

func benchPairs(b *testing.B, s *Set, d [3]int) {
	m, n, k := d[0], d[1], d[2]
	r := rand.New(rand.NewPCG(1, 1))
	lda := (k + 3) &^ 3
	g := &GemmU8S8{
		M: m, N: n, K: k, A: make([]byte, m*lda), LDA: lda, B: make([]int8, s.PackedS8(k, n)), C: make([]byte, m*n),
		LDC: n, Scale: make([]float32, n), Bias: make([]int32, n), Hi: 255,
	}
	for i := range g.A {
		g.A[i] = byte(r.Uint32())
	}
	for i := range g.B {
		g.B[i] = int8(r.IntN(129) - 64)
	}
	const turns = 2000
	var fast, slow, peak, ratio []float64
	for b.Loop() {
		var at [4]time.Time
		for i := range 3 {
			at[i] = time.Now()
			switch i {
			case 2:
				peakPairs(turns)
			default:
				g.PairsFit = i == 0
				s.GemmU8S8(g)
			}
		}
		at[3] = time.Now()
		took := func(i int) float64 { return float64(at[i+1].Sub(at[i])) }
		fast, slow, peak = append(fast, took(0)), append(slow, took(1)), append(peak, took(2))
		ratio = append(ratio, took(1)/took(0))
	}
	for _, x := range []*[]float64{&fast, &slow, &peak, &ratio} {
		slices.Sort(*x)
	}
	macs, best := float64(m)*float64(n)*float64(k), turns*12*32/peak[len(peak)/2]
	b.ReportMetric(macs/fast[len(fast)/2], "GMAC/s")
	b.ReportMetric(macs/slow[len(slow)/2], "GMAC/s-any")
	b.ReportMetric(ratio[len(ratio)/2], "any/pairs")
	b.ReportMetric(100*macs/fast[len(fast)/2]/best, "%peak")
	b.ReportMetric(best, "GMAC/s-peak")
	b.ReportMetric(0, "ns/op")
}
