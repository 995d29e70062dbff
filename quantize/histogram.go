package quantize

import "math"

// halfBins is the number of bins on each side of zero.
const halfBins = 4096

// histogram counts numbers in bins of equal width over [-limit, limit], limit a power of two. Numbers beyond it double
// the limit, which adds bins up in pairs: the counts are those of any other order of arrival. Its size is fixed.
type histogram struct {
	exp      int // limit = 2^exp
	pos, neg []int64
	min, max float64
	zeros    int64
}

const minExp = -100

func newHistogram() *histogram {
	return &histogram{exp: minExp, pos: make([]int64, halfBins), neg: make([]int64, halfBins), min: math.Inf(1), max: math.Inf(-1)}
}

func (h *histogram) limit() float64 { return math.Ldexp(1, h.exp) }

func (h *histogram) width() float64 { return math.Ldexp(1, h.exp) / halfBins }

// add counts finite numbers; i is the index of the first one that is not, -1 if there is none.
func (h *histogram) add(v []float32) (i int) {
	if len(v) == 0 {
		return -1
	}
	lo, hi := v[0], v[0]
	for i, x := range v {
		if x-x != 0 {
			return i
		}
		if x < lo {
			lo = x
		}
		if x > hi {
			hi = x
		}
	}
	h.min, h.max = min(h.min, float64(lo)), max(h.max, float64(hi))
	h.grow(float64(max(hi, -lo, 0)))
	inv := float32(1 / h.width()) // a power of two: the product is exact
	for _, x := range v {
		switch {
		case x > 0:
			h.pos[min(int(x*inv), halfBins-1)]++
		case x < 0:
			h.neg[min(int(-x*inv), halfBins-1)]++
		default:
			h.zeros++
		}
	}
	return -1
}

func (h *histogram) grow(top float64) {
	for h.limit() < top {
		h.double()
	}
}

func (h *histogram) double() {
	if h.min > h.max {
		h.exp++
		return
	}
	for _, side := range [][]int64{h.pos, h.neg} {
		for i := range halfBins / 2 {
			side[i] = side[2*i] + side[2*i+1]
		}
		clear(side[halfBins/2:])
	}
	h.exp++
}

// bins visits every number's centre and count that is not zero, from the lowest to the highest.
func (h *histogram) bins(visit func(x float64, count int64)) {
	w := h.width()
	for i := halfBins - 1; i >= 0; i-- {
		if h.neg[i] > 0 {
			visit(-(float64(i)+0.5)*w, h.neg[i])
		}
	}
	if h.zeros > 0 {
		visit(0, h.zeros)
	}
	for i, c := range h.pos {
		if c > 0 {
			visit((float64(i)+0.5)*w, c)
		}
	}
}

func (h *histogram) total() int64 {
	n := h.zeros
	for i := range h.pos {
		n += h.pos[i] + h.neg[i]
	}
	return n
}
