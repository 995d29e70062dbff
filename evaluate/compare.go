package evaluate

import "math"

// comparison adds up how far one tensor is from another, sample by sample.
type comparison struct {
	signal, noise, abs float64 // sums of ref², (ref-model)², |ref-model|
	worst              float64
	cosines            float64
	count, rows        int
	min, max           float64 // of the reference
	modelMin, modelMax float64
}

// addRow compares one sample. Infinities count as the largest float32: equal ones are no error.
func addRow[T float32 | float64](c *comparison, ref, model []T) {
	if c.count == 0 {
		c.min, c.max, c.modelMin, c.modelMax = math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	}
	var rr, mm, rm float64
	for i := range ref {
		r, m := finite(float64(ref[i])), finite(float64(model[i]))
		d := r - m
		c.noise += d * d
		c.abs += math.Abs(d)
		c.worst = max(c.worst, math.Abs(d))
		c.min, c.max = min(c.min, r), max(c.max, r)
		c.modelMin, c.modelMax = min(c.modelMin, m), max(c.modelMax, m)
		rr, mm, rm = rr+r*r, mm+m*m, rm+r*m
	}
	c.signal += rr
	c.cosines += cosine(rr, mm, rm)
	c.count += len(ref)
	c.rows++
}

// finite clamps to the range of float32.
func finite(x float64) float64 { return max(-math.MaxFloat32, min(math.MaxFloat32, x)) }

// cosine of two vectors from their squared lengths and product. Two zero vectors point the same way, one has none.
func cosine(rr, mm, rm float64) float64 {
	switch {
	case rr == 0 && mm == 0:
		return 1
	case rr == 0 || mm == 0:
		return 0
	}
	return max(-1, min(1, rm/math.Sqrt(rr*mm)))
}

// sqnr is the ratio of signal to error power in decibels, 10 log10(sum ref² / sum (ref-model)²), within ±MaxSQNR.
func (c *comparison) sqnr() float64 {
	switch {
	case c.noise == 0:
		return MaxSQNR
	case c.signal == 0:
		return -MaxSQNR
	}
	return max(-MaxSQNR, min(MaxSQNR, 10*math.Log10(c.signal/c.noise)))
}

func (c *comparison) meanCosine() float64 { return c.cosines / float64(max(c.rows, 1)) }
func (c *comparison) meanAbs() float64    { return c.abs / float64(max(c.count, 1)) }

// histogramHalf is the number of bins on each side of zero.
const histogramHalf = 40

// Histogram counts the errors model-reference of the judged output's elements. Counts[i] lies in
// [(i-len/2)*Width, (i+1-len/2)*Width); errors of exactly 0 are in Exact instead.
type Histogram struct {
	Width  float64 `json:"bin_width"`
	Counts []int   `json:"counts"`
	Exact  int     `json:"exact"`
}

// add counts an error. The bins widen by powers of two to hold it, so that one pass and fixed memory suffice.
func (h *Histogram) add(e float64) {
	if e == 0 {
		h.Exact++
		return
	}
	if h.Counts == nil {
		h.Counts = make([]int, 2*histogramHalf)
		_, exp := math.Frexp(math.Abs(e) / histogramHalf)
		h.Width = math.Ldexp(1, exp)
	}
	for math.Abs(e) >= h.Width*histogramHalf {
		h.widen()
	}
	h.Counts[int(math.Floor(e/h.Width))+histogramHalf]++
}

// widen doubles the width: bins next to each other, counted from zero, become one.
func (h *Histogram) widen() {
	h.Width *= 2
	wide := make([]int, len(h.Counts))
	for i, n := range h.Counts {
		wide[(i-histogramHalf)>>1+histogramHalf] += n
	}
	h.Counts = wide
}
