package quantize

import (
	"math"

	"github.com/tfsopt/tfsopt/tensor"
)

// span is a range of real numbers.
type span struct{ lo, hi float64 }

// params are a scale and a zero point.
type params struct {
	scale float32
	zero  int
}

// quantizer fits spans to an integer type.
type quantizer struct {
	dtype     tensor.DType
	symmetric bool
	bounds    span // no integer may stand for a number beyond: the clamp before the quantization
}

func (q quantizer) ints() (lo, hi int) {
	if q.dtype == tensor.Int8 {
		return -128, 127
	}
	return 0, 255
}

// fit gives the parameters for a span, widened to hold 0: scale = (hi-lo)/255, zero = round(-lo/scale) + lowest. A
// symmetric one has zero 0 and scale = max|x|/127.
func (q quantizer) fit(s span) params {
	lo, hi := min(s.lo, 0), max(s.hi, 0)
	first, last := q.ints()
	if hi-lo < 1e-30 {
		hi = lo + 1 // nothing but zeros
	}
	if q.symmetric {
		return params{scale: float32(max(hi, -lo) / 127)}
	}
	scale := float32((hi - lo) / float64(last-first))
	zero := first + int(math.RoundToEven(-lo/float64(scale)))
	zero = min(max(zero, first), last)
	// The largest integer must not pass the clamp, else ONNX Runtime keeps the clamp and does not fuse.
	for range 64 {
		top, bottom := float32(last-zero)*scale, float32(first-zero)*scale
		if float64(top) <= q.bounds.hi && float64(bottom) >= q.bounds.lo {
			break
		}
		scale = math.Nextafter32(scale, 0)
	}
	return params{scale, zero}
}

// mse is the mean square error that the parameters make on a histogram.
func (q quantizer) mse(h *histogram, p params) float64 {
	first, last := q.ints()
	scale := float64(p.scale)
	lo, hi := float64(first-p.zero)*scale, float64(last-p.zero)*scale
	var sum float64
	h.bins(func(x float64, n int64) {
		y := min(max(math.RoundToEven(x/scale)*scale, lo), hi)
		sum += float64(n) * (x - y) * (x - y)
	})
	return sum
}

// choose finds the range of a histogram by the method.
func (q quantizer) choose(h *histogram, o Options) params {
	full := span{max(h.min, q.bounds.lo), min(h.max, q.bounds.hi)}
	if h.min > h.max {
		full = span{}
	}
	switch o.Calibration {
	case methodMinMax:
		return q.fit(full)
	case methodPercentile:
		return q.fit(percentile(h, full, o.Percentile))
	case methodEntropy:
		return q.fit(entropy(h, full))
	}
	return q.bestMSE(h, full)
}

// bestMSE is argmin over clipped ranges of E[(x - Q(x))²], the full one among them: both ends together, then each.
func (q quantizer) bestMSE(h *histogram, full span) params {
	const steps = 64
	best := q.fit(full)
	least := q.mse(h, best)
	at := full
	try := func(s span) {
		p := q.fit(s)
		if e := q.mse(h, p); e < least {
			best, least, at = p, e, s
		}
	}
	for i := steps - 1; i > steps/4; i-- {
		f := float64(i) / steps
		try(span{full.lo * f, full.hi * f})
	}
	if full.lo < 0 && full.hi > 0 && !q.symmetric {
		for i := steps; i > steps/4; i -= 2 {
			try(span{full.lo * float64(i) / steps, at.hi})
		}
		for i := steps; i > steps/4; i -= 2 {
			try(span{at.lo, full.hi * float64(i) / steps})
		}
	}
	return best
}

// percentile cuts the same share of numbers at both ends, pct percent staying inside.
func percentile(h *histogram, full span, pct float64) span {
	cut := (1 - pct/100) / 2 * float64(h.total())
	w := h.width() / 2
	var before float64
	lo, hi := math.Inf(-1), full.hi
	total := float64(h.total())
	done := false
	h.bins(func(x float64, n int64) {
		before += float64(n)
		if math.IsInf(lo, -1) && before > cut {
			lo = x - w
		}
		if !done && before >= total-cut {
			hi, done = x+w, true
		}
	})
	return span{max(lo, full.lo), min(hi, full.hi)}
}

// entropy picks the threshold on |x| whose quantized distribution is nearest to the clipped one by Kullback-Leibler
// divergence (Migacz, 8-bit inference with TensorRT, GTC 2017).
func entropy(h *histogram, full span) span {
	const levels = 128
	mag := make([]float64, halfBins)
	for i := range mag {
		mag[i] = float64(h.pos[i] + h.neg[i])
	}
	used := halfBins
	for used > levels && mag[used-1] == 0 {
		used--
	}
	best, least := used, math.Inf(1)
	for n := levels; n <= used; n += max(1, used/256) {
		if d := divergence(mag[:used], n, levels); d < least {
			best, least = n, d
		}
	}
	if d := divergence(mag[:used], used, levels); d <= least {
		best = used
	}
	t := float64(best) * h.width()
	return span{max(full.lo, -t), min(full.hi, t)}
}

// divergence compares the first n bins, the rest counted into the last one, with what `levels` levels leave of them.
func divergence(mag []float64, n, levels int) float64 {
	p := append([]float64(nil), mag[:n]...)
	for _, c := range mag[n:] {
		p[n-1] += c
	}
	q := make([]float64, n)
	for l := range levels {
		a, b := l*n/levels, (l+1)*n/levels
		var sum float64
		filled := 0
		for i := a; i < b; i++ {
			sum += mag[i]
			if p[i] > 0 {
				filled++
			}
		}
		for i := a; i < b; i++ {
			if p[i] > 0 && filled > 0 {
				q[i] = sum / float64(filled)
			}
		}
	}
	var sp, sq, d float64
	for i := range p {
		sp += p[i]
		sq += q[i]
	}
	if sp == 0 || sq == 0 {
		return math.Inf(1)
	}
	for i := range p {
		if p[i] > 0 {
			d += p[i] / sp * math.Log((p[i]/sp)/(max(q[i], 1e-9)/sq))
		}
	}
	return d
}
