package prune

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// plainMatrix is a matrix of its own.
func plainMatrix(rows, k int) *matrix {
	return &matrix{
		shape: []int{rows, k}, row: steps(rows, k), col: steps(k, 1), run: rows, channels: k,
		value: graph.NewConst("w", tensor.New(tensor.Float32, rows, k)),
	}
}

// given makes the problem of a moment matrix without damping.
func given(h, c []float64, k int) system {
	s := system{h: h, c: c, u: inverseRoot(h, k), inverse: make([]float64, k)}
	for i := range k {
		for j, v := range s.u[i*k : (i+1)*k] {
			s.inverse[j] += v * v
		}
	}
	return s
}

// lost is E‖w·x - ŵ·x̂‖² up to what does not depend on ŵ: ŵHŵᵀ - 2wCŵᵀ.
func lost(h, c, w, v []float64, k int) float64 {
	var sum float64
	for i := range k {
		for j := range k {
			sum += v[i]*h[i*k+j]*v[j] - 2*w[i]*c[i*k+j]*v[j]
		}
	}
	return sum
}

// best is the least loss of a row that keeps n weights, over all masks.
func best(h, c, w []float64, k, n int) float64 {
	least := math.Inf(1)
	for set := range 1 << k {
		if bits.OnesCount(uint(set)) == n {
			least = min(least, lost(h, c, w, fitted(h, c, w, k, set), k))
		}
	}
	return least
}

// fitted solves for the weights in a set, by plain elimination.
func fitted(h, c, w []float64, k, set int) []float64 {
	var at []int
	for i := range k {
		if set>>i&1 == 1 {
			at = append(at, i)
		}
	}
	n := len(at)
	a := make([][]float64, n)
	for i, p := range at {
		a[i] = make([]float64, n+1)
		for j, q := range at {
			a[i][j] = h[p*k+q]
		}
		for j := range k {
			a[i][n] += w[j] * c[j*k+p]
		}
	}
	for i := range n {
		for j := range n {
			if j != i {
				f := a[j][i] / a[i][i]
				for m := i; m <= n; m++ {
					a[j][m] -= f * a[i][m]
				}
			}
		}
	}
	out := make([]float64, k)
	for i, p := range at {
		out[p] = a[i][n] / a[i][i]
	}
	return out
}

// The weights that stay are the best ones for their mask, and the mask is close to the best of all.
func TestSolve(t *testing.T) {
	const k, rows = 8, 6
	rng := rand.New(rand.NewPCG(10, 11))
	var ours, magnitude, all float64
	for range 20 {
		h := definite(rng, k)
		c := slices.Clone(h)
		for i := range c {
			c[i] += 0.02 * rng.NormFloat64()
		}
		w := make([]float64, rows*k)
		for i := range w {
			w[i] = rng.NormFloat64()
		}
		s := newSolver(plainMatrix(rows, k), pattern{block: 1, keep: 4, of: 8}, []system{given(h, c, k)}, w)
		mask := s.solve(0)
		for r := range rows {
			set := 0
			for i := range k {
				if mask.Keeps(r*k + i) {
					set |= 1 << i
				}
			}
			got, want := s.w[r*k:(r+1)*k], fitted(h, c, w[r*k:(r+1)*k], k, set)
			for i := range k {
				if math.Abs(got[i]-want[i]) > 1e-8 || set>>i&1 == 0 && got[i] != 0 {
					t.Fatalf("row %d with mask %b: %v, the best is %v", r, set, got, want)
				}
			}
			row := w[r*k : (r+1)*k]
			plain := slices.Clone(row)
			order := lowest(scaledSquares(row), k/2)
			for _, i := range order {
				plain[i] = 0
			}
			full := lost(h, c, row, fitted(h, c, row, k, 1<<k-1), k)
			ours += lost(h, c, row, got, k) - full
			magnitude += lost(h, c, row, plain, k) - full
			all += best(h, c, row, k, k/2) - full
		}
	}
	t.Logf("loss %.3f, of magnitude %.3f, at best %.3f", ours, magnitude, all)
	if ours < all-1e-6 {
		t.Errorf("loss %v is below the least of all masks, %v", ours, all)
	}
	if ours > 1.3*all || ours > 0.7*magnitude {
		t.Errorf("loss %v, at best %v, of magnitude %v", ours, all, magnitude)
	}
}

func scaledSquares(w []float64) []float64 {
	out := make([]float64, len(w))
	for i, v := range w {
		out[i] = v * v
	}
	return out
}

// With inputs that are independent and of one size, the data say what magnitude says.
func TestSolveIdentity(t *testing.T) {
	const rows, k = 4, 10
	rng := rand.New(rand.NewPCG(12, 13))
	h := make([]float64, k*k)
	for i := range k {
		h[i*k+i] = 2
	}
	w := make([]float64, rows*k)
	for i := range w {
		w[i] = rng.NormFloat64()
	}
	m := plainMatrix(rows, k)
	s := newSolver(m, pattern{block: 1}, []system{given(h, h, k)}, w)
	s.solve(25)
	for i, e := range lowest(scaledSquares(w), len(w)) {
		want := w[e]
		if i < 25 {
			want = 0
		}
		if math.Abs(s.w[e]-want) > 1e-12 {
			t.Errorf("weight %d, number %d by size, became %v, want %v", e, i, s.w[e], want)
		}
	}
}

// Of two inputs that are always equal one is enough: its weight takes over the other's.
func TestSolveTwins(t *testing.T) {
	h := []float64{1, 1, 0, 1, 1, 0, 0, 0, 1}
	damped := slices.Clone(h)
	for i := range 3 {
		damped[i*3+i] += 1e-9
	}
	w := []float64{1, 2, 0.9}
	s := newSolver(plainMatrix(1, 3), pattern{block: 1}, []system{given(damped, damped, 3)}, w)
	mask := s.solve(1)
	if mask.Keeps(0) == mask.Keeps(1) || !mask.Keeps(2) {
		t.Fatalf("of twins with 1 and 2 and another with 0.9, weights become %v", s.w)
	}
	if math.Abs(s.w[0]+s.w[1]-3) > 1e-6 || math.Abs(s.w[2]-0.9) > 1e-6 {
		t.Errorf("weights %v, want 3 for the twins and 0.9", s.w)
	}
}

// Every pattern is kept exactly, and what was zero stays so.
func TestSolvePatterns(t *testing.T) {
	const rows, k = 8, 32
	rng := rand.New(rand.NewPCG(14, 15))
	w := make([]float64, rows*k)
	for i := range w {
		w[i] = rng.NormFloat64()
	}
	h := definite(rng, k)
	for _, c := range []struct {
		p     pattern
		units int
		zeros int
	}{{pattern{block: 1}, 100, 100}, {pattern{block: 4}, 24, 96}, {pattern{block: 1, keep: 2, of: 4}, 0, 128}, {pattern{block: 1, keep: 1, of: 8}, 0, 224}} {
		before := slices.Clone(w)
		before[5], before[37] = 0, 0
		m := plainMatrix(rows, k)
		s := newSolver(m, c.p, []system{given(h, h, k)}, before)
		mask := s.solve(c.units)
		if n := mask.Zeros(); n < c.zeros || n > c.zeros+2 || c.p.block == 1 && n != c.zeros {
			t.Errorf("%v: %d zeros, want %d and those that were", c.p, n, c.zeros)
		}
		if mask.Keeps(5) || mask.Keeps(37) {
			t.Errorf("%v: a weight that was zero came back", c.p)
		}
		for e := range rows * k {
			r, i := e/k, e%k
			if c.p.block == 4 && i != 5 && mask.Keeps(e) != mask.Keeps(r/4*4*k+i) {
				t.Errorf("%v: row %d and the first of its block differ at %d", c.p, r, i)
			}
		}
		for at := 0; c.p.of != 0 && at < rows*k; at += c.p.of {
			n := 0
			for j := range c.p.of {
				if mask.Keeps(at + j) {
					n++
				}
			}
			if n != c.p.keep {
				t.Errorf("%v: group at %d keeps %d", c.p, at, n)
			}
		}
	}
}
