package prune

import (
	"math"
	"slices"
)

// damping, and k/n for n vectors of length k, are added to the diagonal of a layer's moments, as a share of its mean: it
// keeps weights that the samples say little about where they are. SparseGPT's 0.01 is for many more samples: fitted to
// 100 images, MobileNet's weights learn these images by heart.
const damping = 0.3

// refitWork bounds the multiply-adds of solving for all rows of a layer at once.
const refitWork = 2e10

// system is the least-squares problem of the rows of one group: E‖W·x - Ŵ·x̂‖² + λ‖Ŵ - W‖².
type system struct {
	h, c, u []float64 // H = E[x̂ x̂ᵀ] + λ, C = E[x x̂ᵀ] + λ, UᵀU = H⁻¹; [k][k]
	inverse []float64 // the diagonal of H⁻¹
}

// systems makes the problem of each group. Centred, it leaves the means to the bias.
func (o *moments) systems(centred bool) []system {
	out := make([]system, o.groups)
	n, k := float64(max(o.count, 1)), o.k
	parallel(o.groups, k*k*k, func(g int) {
		s := system{h: make([]float64, k*k), c: make([]float64, k*k), inverse: make([]float64, k)}
		var trace float64
		for i := range k {
			for j := range k {
				at := (g*k+i)*k + j
				xx, yx := o.xx[at], o.yx[at]
				if i < j { // float sums above and below the diagonal may differ
					xx = o.xx[(g*k+j)*k+i]
				}
				if centred {
					xx -= o.sx[g*k+i] * o.sx[g*k+j] / n
					yx -= o.sy[g*k+i] * o.sx[g*k+j] / n
				}
				s.h[i*k+j], s.c[i*k+j] = xx/n, yx/n
			}
			trace += max(s.h[i*k+i], 0)
		}
		lambda := (damping+float64(k)/n)*trace/float64(k) + 1e-20
		for added := 0.0; s.u == nil; lambda *= 10 {
			for i := range k {
				s.h[i*k+i] += lambda - added
				s.c[i*k+i] += lambda - added
			}
			added = lambda
			s.u = inverseRoot(s.h, k)
		}
		for i := range k {
			for j, v := range s.u[i*k : (i+1)*k] {
				s.inverse[j] += float64(v * v)
			}
		}
		out[g] = s
	})
	return out
}

// solver cuts one matrix and solves for the weights that stay (optimal brain surgeon, Hassibi and Stork 1993; column by
// column as in Frantar and Alistarh, SparseGPT, arXiv 2301.00774).
type solver struct {
	m       *matrix
	p       pattern
	systems []system
	before  []float64 // the original weights, [rows][k]
	right   []float64 // W·C: the right-hand sides of the normal equations
	w       []float64 // the weights as they become
	gone    []bool
	units   int
}

func newSolver(m *matrix, p pattern, systems []system, before []float64) *solver {
	s := &solver{m: m, p: p, systems: systems, before: before, gone: make([]bool, len(before))}
	k := m.k()
	for e, v := range before {
		s.gone[e] = v == 0
	}
	s.right, s.w = make([]float64, len(before)), make([]float64, len(before))
	parallel(m.rows(), 2*k*k, func(r int) {
		y, b, w := s.of(r), s.right[r*k:(r+1)*k], s.w[r*k:(r+1)*k]
		for i, v := range before[r*k : (r+1)*k] {
			axpy(b, y.c[i*k:(i+1)*k], -v)
		}
		for i := range k { // Uᵀ·(U·b)
			axpy(w[i:], y.u[i*k+i:(i+1)*k], -dot(y.u[i*k+i:(i+1)*k], b[i:]))
		}
	})
	return s
}

// of is the system of a row.
func (s *solver) of(r int) *system { return &s.systems[r/s.m.run%len(s.systems)] }

// solve cuts units (N:M: as the pattern says) and gives the mask; s.w has the weights.
func (s *solver) solve(units int) *Mask {
	s.units = units
	if s.p.of != 0 {
		parallel(s.m.rows(), s.m.k()*s.m.k(), s.groupsOfRow)
	} else {
		s.blocks()
	}
	s.refit()
	mask := NewMask(s.m.shape...)
	k := s.m.k()
	for e, gone := range s.gone {
		if gone {
			mask.Prune(s.m.row[e/k] + s.m.col[e%k])
		}
	}
	return mask
}

// groupsOfRow cuts N:M groups of one row, from the first to the last.
func (s *solver) groupsOfRow(r int) {
	y, k, of := s.of(r), s.m.k(), s.p.of
	w := s.w[r*k : (r+1)*k]
	scores, order := make([]float64, of), make([]int, of)
	for from := 0; from < k; from += of {
		for j := range scores {
			scores[j] = s.saliency(y, r, from+j)
		}
		s.p.least(scores, order)
		for _, j := range order[:of-s.p.keep] {
			s.gone[r*k+from+j] = true
		}
		s.pass(y, w, r, [2]int{from, from + of})
	}
}

// saliency is what the output loses, at least, when a weight goes and those after it make up for it; -1 for a weight
// that was zero from the start.
func (s *solver) saliency(y *system, r, i int) float64 {
	k := s.m.k()
	if s.before[r*k+i] == 0 {
		return -1
	}
	f := s.w[r*k+i] / y.u[i*k+i]
	return f * f
}

// pass zeroes what goes of columns [at[0], at[1]) of a row and passes the error on to the columns after.
func (s *solver) pass(y *system, w []float64, r int, at [2]int) {
	k := s.m.k()
	for i := at[0]; i < at[1]; i++ {
		if s.gone[r*k+i] {
			axpy(w[i+1:], y.u[i*k+i+1:(i+1)*k], w[i]/y.u[i*k+i])
			w[i] = 0
		}
	}
}

// blocks goes through the columns in blocks. How many units go in each is what the saliencies at the start say; which
// ones, the saliencies when the block's turn comes.
func (s *solver) blocks() {
	k, b := s.m.k(), s.p.block
	width := min(max(k/16, 4), 128)
	first := make([]float64, s.m.len())
	for r := range s.m.rows() {
		y := s.of(r)
		for i := range k {
			e := r*k + i
			if first[e] = s.w[e] * s.w[e] / y.inverse[i]; s.before[e] == 0 {
				first[e] = -1
			}
		}
	}
	quota := make([]int, (k+width-1)/width)
	for _, u := range lowest(s.p.units(s.m, first), s.units) {
		quota[u%k/width]++
	}
	for at, n := range quota {
		from, to := at*width, min((at+1)*width, k)
		scores := make([]float64, 0, s.m.rows()/b*(to-from))
		for r := 0; r < s.p.whole(s.m); r += b {
			for i := from; i < to; i++ {
				var sum float64
				for j := range b {
					sum += s.saliency(s.of(r+j), r+j, i)
				}
				scores = append(scores, sum)
			}
		}
		for _, u := range lowest(scores, n) {
			r, i := u/(to-from)*b, from+u%(to-from)
			for j := range b {
				s.gone[(r+j)*k+i] = true
			}
		}
		parallel(s.m.rows(), width*k, func(r int) {
			s.pass(s.of(r), s.w[r*k:(r+1)*k], r, [2]int{from, to})
		})
	}
}

// lowest gives the indices of the n lowest scores; of equals the first.
func lowest(scores []float64, n int) []int {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case scores[a] < scores[b]:
			return -1
		case scores[a] > scores[b]:
			return 1
		}
		return a - b
	})
	return order[:n]
}

// refit solves each row's normal equations for the weights that stay: the best ones for its mask. Where that is too much
// work, the weights stay as the columns left them, which is close.
func (s *solver) refit() {
	k := s.m.k()
	var work float64
	for r := range s.m.rows() {
		n := 0
		for _, gone := range s.gone[r*k : (r+1)*k] {
			if !gone {
				n++
			}
		}
		work += math.Pow(float64(n), 3) / 6
	}
	if work > refitWork {
		return
	}
	parallel(s.m.rows(), k*k*k/6, func(r int) {
		y := s.of(r)
		var kept []int
		var b []float64
		for i, gone := range s.gone[r*k : (r+1)*k] {
			if !gone {
				kept, b = append(kept, i), append(b, s.right[r*k+i])
			}
		}
		n := len(kept)
		a := make([]float64, n*n)
		for i, p := range kept {
			for j, q := range kept[:i+1] {
				a[i*n+j] = y.h[p*k+q]
			}
		}
		if !choleskyRows(a, n) {
			return
		}
		solveCholesky(a, n, b)
		for i, p := range kept {
			s.w[r*k+p] = b[i]
		}
	})
}

// choleskyRows is cholesky on one core.
func choleskyRows(a []float64, k int) bool {
	for i := range k {
		if !choleskyRow(a, k, i, 0) {
			return false
		}
	}
	return true
}
