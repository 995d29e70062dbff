package quantize

import (
	"math"
	"runtime"
	"sync"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/optimize"
)

// pairLimit is what the magnitudes of two neighbouring weights of one sign may add up to: 255·128 fits int16.
const pairLimit = 128

// orderOf lists the places in a row of a layer's weights in the order in which their products are added; nil if no two of
// them are added in 16 bits. See optimize.CheckSaturation.
func (o Options) orderOf(n *graph.Node, l *layer) []int {
	m, ok := n.Op.(ops.Multiplier)
	if !ok || o.Saturation == saturationAllow || o.Target == "gpu" || l.maxInt <= 7 || l.k < 2 {
		return nil
	}
	p := m.Products(l.weight.Const.Shape)
	if p.Wide || p.K != l.k || p.Rows != l.rows {
		return nil
	}
	order := make([]int, l.k)
	for i := range order {
		if order[i] = i; l.axis == 0 {
			order[i] = p.At(0, i)
		}
	}
	return order
}

// block is a stretch of a row, in the order of its products: the second moments of its inputs and the factor of their
// inverse.
type block struct {
	from, n int
	h, u    []float64 // [n][n]

	clippedOnly bool // stays at the nearest integers unless a pair is clipped
	quick       bool // what passing errors on gives is not compared with the nearest integers
}

// certify chooses the integers of a layer so that no pair can leave int16: for each row the scale, the rounding and what
// the neighbours of a clipped pair take over, by the error of the output. group gives the blocks of a group's rows.
func (l *layer) certify(o Options, groups int, blocks func(group int) []block) {
	l.ints = make([]int8, len(l.w))
	rows := l.rows / groups
	fixed := l.step(o) != 0
	all := make([][]block, groups)
	parallel(groups, func(g int) { all[g] = blocks(g) })
	solve := func(r int) *row { return newRow(l, r, all[r/rows]) }
	if !fixed {
		l.widen(solve)
	}
	parallel(l.rows, func(r int) {
		w := solve(r)
		w.nearest(float64(l.scaleOfRow(r)))
		if !fixed {
			w.improve()
		}
		w.store()
	})
}

// choose gives a layer its integers by what calibration saw of its inputs.
func (l *layer) choose(s *session, g *gram, spread *spread) {
	centred := l.canBias && !s.o.NoBiasCorrection
	switch {
	case l.leader != nil:
		l.nearest() // takes the leader's
	case l.order == nil:
		l.nearest()
		if g != nil && l.step(s.o) == 0 {
			l.adapt(g)
		}
	case g != nil:
		l.certify(s.o, g.groups, func(group int) []block { return g.ordered(l, group, centred) })
	default:
		l.certify(s.o, spread.groups(), func(group int) []block { return spread.blocks(l, group, centred) })
	}
}

// parallel calls f for 0 to n-1.
func parallel(n int, f func(i int)) {
	var all sync.WaitGroup
	workers := min(runtime.GOMAXPROCS(0), n)
	for w := range workers {
		all.Go(func() {
			for i := w; i < n; i += workers {
				f(i)
			}
		})
	}
	all.Wait()
}

// scaleSteps is how many wider scales are tried, up to the one with which no pair is clipped.
const scaleSteps = 8

// widen chooses between finer rounding and fewer clipped pairs.
func (l *layer) widen(solve func(r int) *row) {
	each := l.rows / len(l.scale) // rows that share a scale
	parallel(len(l.scale), func(i int) {
		s := float64(l.scale[i])
		need, rows := 1.0, make([]*row, each)
		for r := range rows {
			rows[r] = solve(i*each + r)
			need = max(need, rows[r].widest()/(s*pairLimit))
		}
		if need == 1 {
			return
		}
		best, least := s, math.Inf(1)
		for step := range scaleSteps + 1 {
			wide := float64(float32(s * (1 + (need-1)*float64(step)/scaleSteps)))
			e := 0.0
			for _, w := range rows {
				if e < least {
					e += w.error(wide)
				}
			}
			if e < least {
				best, least = wide, e
			}
		}
		l.scale[i] = float32(best)
	})
}

// row is a row of a layer in the order of its products.
type row struct {
	l      *layer
	r      int
	scale  float64
	w      []float64
	q      []int8
	blocks []block
	clips  []bool // by block: a pair was clipped
}

func newRow(l *layer, r int, blocks []block) *row {
	w := &row{l: l, r: r, w: make([]float64, l.k), q: make([]int8, l.k), blocks: blocks, clips: make([]bool, len(blocks))}
	for i, at := range l.order {
		w.w[i] = float64(l.w[r*l.k+at])
	}
	return w
}

func (w *row) store() {
	for i, at := range w.l.order {
		w.l.ints[w.r*w.l.k+at] = w.q[i]
	}
}

// widest is the largest sum of the magnitudes of a pair of one sign.
func (w *row) widest() float64 {
	most := 0.0
	for i := 0; i+1 < len(w.w); i += 2 {
		if a, b := w.w[i], w.w[i+1]; a*b > 0 {
			most = max(most, math.Abs(a+b))
		}
	}
	return most
}

// nearest rounds to nearest even and takes from clipped pairs by the variance of their inputs.
func (w *row) nearest(scale float64) {
	w.scale = scale
	for i, x := range w.w {
		w.q[i] = w.l.round(x / scale)
	}
	for k, b := range w.blocks {
		w.clips[k] = false
		for i := 0; i+1 < b.n; i += 2 {
			at := b.from + i
			if optimize.SafePair(w.q[at], w.q[at+1]) {
				continue
			}
			p := clipped{a: w.w[at] / scale, b: w.w[at+1] / scale, ha: b.h[i*b.n+i], hb: b.h[(i+1)*b.n+i+1], negative: w.q[at] < 0}
			w.q[at], w.q[at+1] = p.choose()
			w.clips[k] = true
		}
	}
}

// quickShare is how many blocks of a large model one is looked at for that weighs its scales.
const quickShare = 4

// error is the variance of the output's error with a scale, if the inputs were not correlated.
func (w *row) error(scale float64) float64 {
	inverse, lo, hi := 1/scale, float64(w.l.minInt), float64(w.l.maxInt)
	e := 0.0
	for k, b := range w.blocks {
		if b.quick && k%quickShare != 0 {
			continue
		}
		x := w.w[b.from : b.from+b.n]
		for i := 0; i < b.n; i += 2 {
			a := float64(x[i] * inverse)
			qa, ha := min(max(roundEven(a), lo), hi), b.h[i*b.n+i]
			if i+1 == b.n {
				e += float64((a - qa) * (a - qa) * ha)
				break
			}
			c, hb := float64(x[i+1]*inverse), b.h[(i+1)*b.n+i+1]
			qc := min(max(roundEven(c), lo), hi)
			if qa*qc > 0 && math.Abs(qa+qc) > pairLimit {
				na, nc := clipped{a: a, b: c, ha: ha, hb: hb, negative: qa < 0}.choose()
				qa, qc = float64(na), float64(nc)
			}
			e += float64((a-qa)*(a-qa)*ha) + float64((c-qc)*(c-qc)*hb)
		}
	}
	return e * scale * scale
}

// roundEven is math.RoundToEven for numbers below 2^51.
func roundEven(x float64) float64 {
	const integers = 3 << 51 // where neighbouring float64s are 1 apart
	return float64(x+integers) - integers
}

// clipped is a pair of weights, in steps, that together are too large. What one of them loses counts ha times its square;
// carry of it is taken from the other, whose loss counts hb times its square.
type clipped struct {
	a, b, ha, hb, carry float64
	negative            bool
}

// choose gives the pair on the border |a| + |b| = pairLimit that loses least.
func (p clipped) choose() (a, b int8) {
	sign := 1.0
	if p.negative {
		sign, p.a, p.b = -1, -p.a, -p.b
	}
	// With x for a and pairLimit-x for b the loss is ha·(a-x)² + hb·(g+(1+carry)·x)².
	g, up := p.b-pairLimit-p.carry*p.a, 1+p.carry
	x := (p.ha*p.a - p.hb*up*g) / (p.ha + p.hb*up*up)
	lo := min(max(math.Floor(x), 1), pairLimit-1)
	hi := min(lo+1, pairLimit-1)
	loss := func(x float64) float64 {
		da, db := p.a-x, g+up*x
		return p.ha*da*da + p.hb*db*db
	}
	if loss(hi) < loss(lo) {
		lo = hi
	}
	return int8(sign * lo), int8(sign * (pairLimit - lo))
}

// improve rounds block by block with the errors passed on, then by single steps as long as one helps.
func (w *row) improve() {
	trial := make([]int8, len(w.q))
	e := make([]float64, len(w.q))
	for k, b := range w.blocks {
		if b.u == nil || b.clippedOnly && !w.clips[k] {
			continue
		}
		near, other := w.q[b.from:b.from+b.n], trial[b.from:b.from+b.n]
		w.passOn(b, other, e)
		after := w.descend(b, other, e)
		if b.quick || b.n > gramSide || after < w.descend(b, near, e) {
			copy(near, other)
		}
	}
}

// passOn rounds a block from its first to its last weight, each error passed on to those that follow; see adapt. A pair
// that would be too large loses what costs least.
func (w *row) passOn(b block, q []int8, e []float64) {
	e = e[:b.n]
	copy(e, w.w[b.from:])
	s, n := w.scale, b.n
	step := func(i int) {
		d := (e[i] - float64(q[i])*s) / b.u[i*n+i]
		for j := i + 1; j < n; j++ {
			e[j] -= d * b.u[i*n+j]
		}
	}
	for i := range n {
		if i%2 == 1 {
			continue
		}
		q[i] = w.round(b.from+i, e[i])
		if i+1 == n {
			step(i)
			break
		}
		carry := b.u[i*n+i+1] / b.u[i*n+i]
		q[i+1] = w.round(b.from+i+1, e[i+1]-(e[i]-float64(q[i])*s)*carry)
		if !optimize.SafePair(q[i], q[i+1]) {
			ha, hb := b.u[i*n+i], b.u[(i+1)*n+i+1]
			q[i], q[i+1] = clipped{e[i] / s, e[i+1] / s, 1 / (ha * ha), 1 / (hb * hb), carry, q[i] < 0}.choose()
		}
		step(i)
		step(i + 1)
	}
}

// round rounds x for the i-th weight; one that is zero, as pruned ones are, stays so.
func (w *row) round(i int, x float64) int8 {
	if w.w[i] == 0 {
		return 0
	}
	return w.l.round(x / w.scale)
}

// descend steps single weights that are not zero up and down while that lowers the block's error, which it returns, and
// leaves every pair safe.
func (w *row) descend(b block, q []int8, e []float64) float64 {
	n, s := b.n, w.scale
	x := w.w[b.from : b.from+n]
	e = e[:n]
	clear(e) // H δ
	for i := range n {
		if d := x[i] - float64(q[i])*s; d != 0 {
			for j, h := range b.h[i*n : (i+1)*n] {
				e[j] += d * h
			}
		}
	}
	for range 8 {
		moved := false
		for i := range n {
			step := int8(1)
			if e[i] < 0 {
				step = -1
			}
			if x[i] == 0 || s*b.h[i*n+i] >= 2*math.Abs(e[i]) || !w.may(q, i, int(q[i])+int(step)) {
				continue
			}
			q[i] += step
			moved = true
			d := s * float64(step)
			for j, h := range b.h[i*n : (i+1)*n] {
				e[j] -= d * h
			}
		}
		if !moved {
			break
		}
	}
	var sum float64
	for i := range n {
		sum += (x[i] - float64(q[i])*s) * e[i]
	}
	return sum
}

// may reports whether the i-th weight of a block can become v.
func (w *row) may(q []int8, i, v int) bool {
	if v > w.l.maxInt || v < w.l.minInt {
		return false
	}
	other := i ^ 1
	return other >= len(q) || optimize.SafePair(int8(v), q[other])
}
