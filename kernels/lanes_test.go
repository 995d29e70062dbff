package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

var laneCases = func() []sparseCase {
	var cases []sparseCase
	for m := 1; m <= 9; m++ {
		for i, n := range []int{1, 15, 16, 17, 100} {
			for j, k := range []int{0, 1, 16, 33, 400} {
				v := m + 2*i + 3*j
				cases = append(cases, sparseCase{m, n, k, SparseLanes, 0.1 + 0.2*float64((i+j)%4), v % 3, v % 4, v%2 == 0, v%5 == 0, v%3 == 0})
			}
		}
	}
	return cases
}()

// TestLanesSameBits compares all sets with the dense product, and with the sparse one where numbers are not finite.
func TestLanesSameBits(t *testing.T) {
	for i, c := range laneCases {
		for _, s := range Available() {
			g, w := c.job(rand.New(rand.NewPCG(uint64(i), 7)))
			s.SparseGemm(g)
			sameBits(t, fmt.Sprintf("%s %+v", s.Name, c), g.C, denseTwin(g, w))
			if c.k < 5 {
				continue
			}
			g.A[c.k/2], g.A[(c.m-1)*g.LDA+3] = float32(math.NaN()), inf32
			s.SparseGemm(g)
			one := *g
			one.W = PackSparseF32(w, SparseShape{c.k, c.n, c.n, 1, 1})
			one.C, one.Work = append([]float32(nil), g.C...), make([]float32, one.W.Work())
			genericSet.SparseGemm(&one)
			sameBits(t, fmt.Sprintf("%s %+v not finite", s.Name, c), g.C, one.C)
		}
	}
}

// TestPackLanes: the steps are well filled and the packed form is small.
func TestPackLanes(t *testing.T) {
	for _, c := range []struct{ keep, fill, size float64 }{{0.2, 0.7, 0.4}, {0.1, 0.5, 0.3}} {
		p := sparseCase{k: 1280, n: 1000, height: 1, keep: c.keep}
		src := p.weights(rand.New(rand.NewPCG(4, 4)))
		w := PackSparseF32(src, SparseShape{p.k, p.n, p.n, 1, SparseLanes})
		fill := float64(len(src)) * c.keep / float64(w.Entries)
		if size := float64(w.Bytes()) / float64(4*len(src)); fill < c.fill || size > c.size {
			t.Errorf("%g of the weights: steps %.2f full, %.2f of the dense size", c.keep, fill, size)
		}
	}
}
