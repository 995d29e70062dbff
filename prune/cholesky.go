package prune

import (
	"math"
	"runtime"
	"sync"
)

// dot is a product in four chains, with every rounding written out.
func dot(a, b []float64) float64 {
	var s0, s1, s2, s3 float64
	b = b[:len(a)]
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += float64(a[i] * b[i])
		s1 += float64(a[i+1] * b[i+1])
		s2 += float64(a[i+2] * b[i+2])
		s3 += float64(a[i+3] * b[i+3])
	}
	for ; i < len(a); i++ {
		s0 += float64(a[i] * b[i])
	}
	return float64(s0+s1) + float64(s2+s3)
}

// axpy subtracts f·x from y.
func axpy(y, x []float64, f float64) {
	x = x[:len(y)]
	for i, v := range x {
		y[i] -= float64(f * v)
	}
}

// parallel calls f for 0 … n-1, on all cores if that pays. Calls must not depend on each other.
func parallel(n, work int, f func(i int)) {
	workers := min(runtime.GOMAXPROCS(0), n)
	if workers < 2 || n*work < 1<<15 {
		for i := range n {
			f(i)
		}
		return
	}
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for i := w; i < n; i += workers {
				f(i)
			}
		})
	}
	all.Wait()
}

// choleskyBlock is how many columns are finished before the rows below follow.
const choleskyBlock = 64

// cholesky replaces the lower triangle of a [k][k] by L with L·Lᵀ = a; false if a is not positive definite.
func cholesky(a []float64, k int) bool {
	for from := 0; from < k; from += choleskyBlock {
		to := min(from+choleskyBlock, k)
		for i := from; i < to; i++ {
			if !choleskyRow(a, k, i, from) {
				return false
			}
		}
		parallel(k-to, (to-from)*to, func(r int) {
			i := to + r
			for j := from; j < to; j++ {
				a[i*k+j] = (a[i*k+j] - dot(a[i*k:i*k+j], a[j*k:j*k+j])) / a[j*k+j]
			}
		})
	}
	return true
}

// choleskyRow finishes row i from column `from` to its diagonal.
func choleskyRow(a []float64, k, i, from int) bool {
	for j := from; j < i; j++ {
		a[i*k+j] = (a[i*k+j] - dot(a[i*k:i*k+j], a[j*k:j*k+j])) / a[j*k+j]
	}
	d := a[i*k+i] - dot(a[i*k:i*k+i], a[i*k:i*k+i])
	if !(d > 0) || math.IsInf(d, 1) {
		return false
	}
	a[i*k+i] = math.Sqrt(d)
	return true
}

// solveCholesky replaces b by the solution of L·Lᵀ·x = b.
func solveCholesky(l []float64, k int, b []float64) {
	for i := range k {
		b[i] = (b[i] - dot(l[i*k:i*k+i], b[:i])) / l[i*k+i]
	}
	for i := k - 1; i >= 0; i-- {
		b[i] /= l[i*k+i]
		axpy(b[:i], l[i*k:i*k+i], b[i])
	}
}

// inverseRoot is the upper triangular U [k][k] with Uᵀ·U = h⁻¹; nil if h is not positive definite. Row i of U, divided by
// its diagonal element, is how the weights after i make up for a change of weight i.
func inverseRoot(h []float64, k int) []float64 {
	// With J the reversal of order, J·h·J = C·Cᵀ gives h⁻¹ = (J·C⁻¹·J)ᵀ·(J·C⁻¹·J).
	c := make([]float64, k*k)
	for i := range k {
		for j := range i + 1 {
			c[i*k+j] = h[(k-1-i)*k+k-1-j]
		}
	}
	if !cholesky(c, k) {
		return nil
	}
	// Row j of t is column j of C⁻¹.
	t := make([]float64, k*k)
	parallel(k, k*k/6, func(j int) {
		row := t[j*k : (j+1)*k]
		row[j] = 1 / c[j*k+j]
		for i := j + 1; i < k; i++ {
			row[i] = -dot(c[i*k+j:i*k+i], row[j:i]) / c[i*k+i]
		}
	})
	u := c
	clear(u)
	for a := range k {
		for b := a; b < k; b++ {
			u[a*k+b] = t[(k-1-b)*k+k-1-a]
		}
	}
	return u
}
