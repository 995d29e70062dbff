package prune

import (
	"math"
	"math/rand/v2"
	"testing"
)

// definite makes a random symmetric positive definite matrix.
func definite(rng *rand.Rand, k int) []float64 {
	x, h := make([]float64, k*2*k), make([]float64, k*k)
	for i := range x {
		x[i] = rng.NormFloat64()
	}
	for i := range k {
		for j := range k {
			h[i*k+j] = dot(x[i*2*k:(i+1)*2*k], x[j*2*k:(j+1)*2*k]) / float64(2*k)
		}
		h[i*k+i] += 0.01
	}
	return h
}

func TestInverseRoot(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, k := range []int{1, 2, 7, 64, 65, 150} {
		h := definite(rng, k)
		u := inverseRoot(h, k)
		worst := 0.0
		for i := range k {
			for j := range k {
				if j < i && u[i*k+j] != 0 {
					t.Fatalf("k %d: element %d,%d below the diagonal is %v", k, i, j, u[i*k+j])
				}
				var sum float64 // (UᵀU·h)[i][j]
				for m := range i + 1 {
					for n := m; n < k; n++ {
						sum += u[m*k+i] * u[m*k+n] * h[n*k+j]
					}
				}
				if i == j {
					sum--
				}
				worst = max(worst, math.Abs(sum))
			}
		}
		if worst > 1e-9 {
			t.Errorf("k %d: UᵀU·h differs from the identity by %g", k, worst)
		}
	}
	if inverseRoot([]float64{1, 2, 2, 1}, 2) != nil {
		t.Error("an indefinite matrix has a root")
	}
}

func TestSolveCholesky(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	const k = 100
	h := definite(rng, k)
	want, b := make([]float64, k), make([]float64, k)
	for i := range want {
		want[i] = rng.NormFloat64()
	}
	for i := range b {
		b[i] = dot(h[i*k:(i+1)*k], want)
	}
	l := append([]float64(nil), h...)
	if !cholesky(l, k) {
		t.Fatal("not positive definite")
	}
	rows := append([]float64(nil), h...)
	if !choleskyRows(rows, k) {
		t.Fatal("not positive definite row by row")
	}
	for i := range k {
		for j := range i + 1 {
			if l[i*k+j] != rows[i*k+j] {
				t.Fatalf("blocks and rows differ at %d,%d: %v and %v", i, j, l[i*k+j], rows[i*k+j])
			}
		}
	}
	solveCholesky(l, k, b)
	for i, x := range b {
		if math.Abs(x-want[i]) > 1e-9 {
			t.Errorf("element %d is %v, want %v", i, x, want[i])
		}
	}
}
