package quantize

import (
	"math"
	"runtime"
	"sync"
)

// damping is added to the diagonal of a gram, as a share of its mean.
const damping = 0.01

// adapt chooses the integers of a layer's weights so that the error of its output, δᵀHδ with H = E[x xᵀ], is small:
// column by column, the error of each passed on to those that follow (Frantar et al., GPTQ, arXiv 2210.17323), then by
// single steps up or down as long as one helps.
func (l *layer) adapt(g *gram) {
	rows := l.rows / g.groups
	workers := min(runtime.GOMAXPROCS(0), g.groups)
	if g.groups == 1 {
		h := g.moment(0)
		l.adaptRows(h, 0, rows)
		return
	}
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for group := w; group < g.groups; group += workers {
				l.adaptRows(g.moment(group), group*rows, (group+1)*rows)
			}
		})
	}
	all.Wait()
}

// moment is the symmetric [k][k] matrix of one group, damped.
func (g *gram) moment(group int) []float64 {
	k := g.k
	h := make([]float64, k*k)
	n := float64(max(g.count, 1))
	xx := g.xx[group*k*k:]
	var trace float64
	for i := range k {
		for j := range i + 1 {
			v := float64(xx[i*k+j]) / n
			h[i*k+j], h[j*k+i] = v, v
		}
		trace += h[i*k+i]
	}
	for i := range k {
		h[i*k+i] += damping*trace/float64(k) + 1e-12
	}
	return h
}

func (l *layer) adaptRows(h []float64, from, to int) {
	u := inverseFactor(h, l.k)
	if u == nil {
		return
	}
	workers := 1
	if (to-from)*l.k > 4096 {
		workers = runtime.GOMAXPROCS(0)
	}
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			e := make([]float64, l.k)
			trial := make([]int8, l.k)
			for r := from + w; r < to; r += workers {
				near := l.ints[r*l.k : (r+1)*l.k]
				before := l.descend(h, r, near, e)
				l.passOn(u, r, trial, e)
				if after := l.descend(h, r, trial, e); after < before {
					copy(near, trial)
				}
			}
		})
	}
	all.Wait()
}

// passOn rounds one row from the first to the last weight; e is scratch. Weights that are zero, as pruned ones are, stay so.
func (l *layer) passOn(u []float64, r int, q []int8, e []float64) {
	k, s := l.k, float64(l.scaleOfRow(r))
	for i, w := range l.w[r*k : (r+1)*k] {
		e[i] = float64(w)
	}
	for i := range k {
		if q[i] = 0; l.w[r*k+i] != 0 {
			q[i] = l.round(e[i] / s)
		}
		d := (e[i] - float64(q[i])*s) / u[i*k+i]
		for j := i + 1; j < k; j++ {
			e[j] -= d * u[i*k+j]
		}
	}
}

// descend steps single weights that are not zero up and down while that lowers the error, which it returns; e is scratch.
func (l *layer) descend(h []float64, r int, q []int8, e []float64) float64 {
	k, s := l.k, float64(l.scaleOfRow(r))
	w := l.w[r*k : (r+1)*k]
	clear(e) // H δ
	for i := range k {
		if d := float64(w[i]) - float64(q[i])*s; d != 0 {
			for j, x := range h[i*k : (i+1)*k] {
				e[j] += d * x
			}
		}
	}
	for range 8 {
		moved := false
		for i := range k {
			if w[i] == 0 {
				continue
			}
			step := int8(1)
			if e[i] < 0 {
				step = -1
			}
			// δ_i falls by step·s: the error changes by -2·step·s·e_i + s²·h_ii.
			if s*h[i*k+i] >= 2*math.Abs(e[i]) || int(q[i])+int(step) > l.maxInt || int(q[i])+int(step) < l.minInt {
				continue
			}
			q[i] += step
			moved = true
			d := s * float64(step)
			for j, x := range h[i*k : (i+1)*k] {
				e[j] -= d * x
			}
		}
		if !moved {
			break
		}
	}
	var total float64
	for i := range k {
		total += (float64(w[i]) - float64(q[i])*s) * e[i]
	}
	return total
}

// inverseFactor is the upper triangular U with UᵀU = H⁻¹; nil if H is not positive definite.
func inverseFactor(h []float64, k int) []float64 {
	// With J the reversal of order: J H J = C Cᵀ, so H = (J C J)(J C J)ᵀ = R Rᵀ with R upper triangular, and U = R⁻¹
	// is upper triangular with UᵀU = R⁻ᵀR⁻¹ = (R Rᵀ)⁻¹.
	r := make([]float64, k*k)
	for j := k - 1; j >= 0; j-- {
		d := h[j*k+j]
		for m := j + 1; m < k; m++ {
			d -= r[j*k+m] * r[j*k+m]
		}
		if !(d > 0) {
			return nil
		}
		d = math.Sqrt(d)
		r[j*k+j] = d
		for i := range j {
			v := h[i*k+j]
			a, b := r[i*k+j+1:(i+1)*k], r[j*k+j+1:(j+1)*k]
			for m := range a {
				v -= a[m] * b[m]
			}
			r[i*k+j] = v / d
		}
	}
	u := make([]float64, k*k)
	for i := k - 1; i >= 0; i-- { // row i of R U = I
		u[i*k+i] = 1 / r[i*k+i]
		for m := i + 1; m < k; m++ {
			f := r[i*k+m] / r[i*k+i]
			for j := m; j < k; j++ {
				u[i*k+j] -= f * u[m*k+j]
			}
		}
	}
	return u
}
