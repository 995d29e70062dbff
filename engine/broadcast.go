package engine

import "github.com/tfsopt/tfsopt/kernels"

// operand is one side of an operator that broadcasts.
type operand struct {
	shape []int
	v     []float32
}

// has reports whether the operand has all of a dimension, counted from the end, of the result.
func (o operand) has(fromEnd, n int) bool { return dimFromEnd(o.shape, fromEnd) == n }

// stretch is neighbouring dimensions of a result that each operand either has or repeats.
type stretch struct {
	n    int
	p, q bool // who has them
}

// stretchAt joins dimensions from r down and gives where they begin. Those of size one join anything.
func stretchAt(shape []int, r int, p, q operand) (stretch, int) {
	s := stretch{n: 1, p: true, q: true}
	for first := true; r > 0; r-- {
		n := shape[r-1]
		if n == 1 {
			continue
		}
		hasP, hasQ := p.has(len(shape)-r, n), q.has(len(shape)-r, n)
		if !first && (hasP != s.p || hasQ != s.q) {
			break
		}
		s.p, s.q, first = hasP, hasQ, false
		s.n *= n
	}
	return s, r
}

// size is how many elements of an operand a stretch of runs of `run` of them covers.
func (s stretch) size(has bool, run int) int {
	if has {
		return s.n * run
	}
	return run
}

// broadcasting is a result cut into outer × mid × run: within a run both sides have elements, or one has a single
// number; along mid one side may repeat its run.
type broadcasting struct {
	op         broadcastOp
	set        *kernels.Set
	p, q, d    []float32
	run, mid   stretch
	offP, offQ []int // of each outer index
}

// wideRun is to how many elements short runs are repeated.
const wideRun = 512

// rows broadcasts all but what exec does itself.
func (b broadcastOp) rows(x *exec, shape []int, p, q operand, d []float32) {
	if len(d) == 0 {
		return
	}
	c := broadcasting{op: b, set: x.p.set, p: p.v, q: q.v, d: d, mid: stretch{1, true, true}}
	var r int
	c.run, r = stretchAt(shape, len(shape), p, q)
	if mid, outer := stretchAt(shape, r, p, q); c.run.p && c.run.q && mid.p != mid.q {
		c.mid, r = mid, outer
	}
	lead := func(o operand) []int { return o.shape[:max(0, len(o.shape)-(len(shape)-r))] }
	c.offP = offsets(shape[:r], lead(p), c.mid.size(c.mid.p, c.run.size(c.run.p, 1)))
	c.offQ = offsets(shape[:r], lead(q), c.mid.size(c.mid.q, c.run.size(c.run.q, 1)))
	if c.mid.n > 1 {
		parts := max(1, c.mid.n*c.run.n/grain)
		x.p.pool.run(x.scratch, len(c.offP)*parts, func(s *scratch, i int) {
			part := i % parts
			c.repeat(s, i/parts, c.mid.n*part/parts, c.mid.n*(part+1)/parts)
		})
		return
	}
	per := max(1, grain/max(c.run.n, 1))
	x.p.pool.run(x.scratch, (len(c.offP)+per-1)/per, func(_ *scratch, t int) {
		for i := t * per; i < min((t+1)*per, len(c.offP)); i++ {
			c.one(i)
		}
	})
}

// one does a run.
func (c *broadcasting) one(i int) {
	n := c.run.n
	dst := c.d[i*n : (i+1)*n]
	switch {
	case c.run.p && c.run.q:
		c.op.both(c.set, dst, c.p[c.offP[i]:][:n], c.q[c.offQ[i]:][:n])
	case c.run.p:
		c.op.right(c.set, dst, c.p[c.offP[i]:][:n], c.q[c.offQ[i]])
	default:
		c.op.left(c.set, dst, c.q[c.offQ[i]:][:n], c.p[c.offP[i]])
	}
}

// repeat does rows m0 to m1 of an outer index, where one side repeats its run: several at once if it is short.
func (c *broadcasting) repeat(s *scratch, i, m0, m1 int) {
	n := c.run.n
	whole, again := c.p[c.offP[i]:], c.q[c.offQ[i]:][:n]
	if c.mid.q {
		whole, again = c.q[c.offQ[i]:], c.p[c.offP[i]:][:n]
	}
	w := min(m1-m0, max(1, wideRun/n))
	wide := again
	if w > 1 {
		wide = s.floats(w * n)
		for at := 0; at < len(wide); at += n {
			copy(wide[at:], again)
		}
	}
	dst := c.d[i*c.mid.n*n:]
	for m := m0; m < m1; m += w {
		from, to := m*n, min(m+w, m1)*n
		if c.mid.p {
			c.op.both(c.set, dst[from:to], whole[from:to], wide[:to-from])
		} else {
			c.op.both(c.set, dst[from:to], wide[:to-from], whole[from:to])
		}
	}
}
