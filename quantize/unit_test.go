package quantize

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tfsopt/tfsopt/tensor"
)

func TestStepValues(t *testing.T) {
	v := StepValues(0.1, []float32{3.14159, -0.25, 0.05})
	if v[0].Q != 31 || math.Abs(float64(v[0].Back)-3.1) > 1e-6 || math.Abs(float64(v[0].Error)-0.04159) > 1e-6 {
		t.Errorf("3.14159 by steps of 0.1 gives %+v, want 31, 3.1, error 0.04159", v[0])
	}
	if v[1].Q != -2 || v[2].Q != 0 {
		t.Errorf("halves round to even: got %d and %d, want -2 and 0", v[1].Q, v[2].Q)
	}
}

func TestHistogramOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var chunks [][]float32
	for i := range 20 {
		c := make([]float32, 100)
		for j := range c {
			c[j] = float32(rng.NormFloat64() * math.Exp(float64(i-10)/2))
		}
		chunks = append(chunks, c)
	}
	a, b := newHistogram(), newHistogram()
	for i := range chunks {
		a.add(chunks[i])
		b.add(chunks[len(chunks)-1-i])
	}
	if a.exp != b.exp || !slices.Equal(a.pos, b.pos) || !slices.Equal(a.neg, b.neg) || a.min != b.min || a.max != b.max {
		t.Error("the order of arrival changes a histogram")
	}
	if a.total() != 2000 {
		t.Errorf("counts %d numbers, want 2000", a.total())
	}
	if i := a.add([]float32{1, float32(math.NaN())}); i != 1 {
		t.Errorf("NaN at element 1 reported at %d", i)
	}
	if i := a.add([]float32{float32(math.Inf(1))}); i != 0 {
		t.Errorf("infinity at element 0 reported at %d", i)
	}
}

// methods on a distribution with a few outliers: all stay inside what was seen, mse is the best by its own measure.
func TestRanges(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	v := make([]float32, 100000)
	for i := range v {
		v[i] = float32(rng.NormFloat64())
	}
	v[7] = 20
	h := newHistogram()
	h.add(v)
	q := quantizer{dtype: tensor.Uint8, bounds: span{math.Inf(-1), math.Inf(1)}}
	o := Options{Percentile: 99.99}
	errs := map[string]float64{}
	widths := map[string]float32{}
	for _, m := range []string{methodMinMax, methodPercentile, methodEntropy, methodMSE} {
		o.Calibration = m
		p := q.choose(h, o)
		errs[m], widths[m] = q.mse(h, p), p.scale*255
		if lo, hi := float32(-p.zero)*p.scale, float32(255-p.zero)*p.scale; lo > 0 || hi < 0 || hi > 20.2 {
			t.Errorf("%s: range [%v, %v]", m, lo, hi)
		}
	}
	for m, e := range errs {
		if errs[methodMSE] > e {
			t.Errorf("mse has square error %v, %s %v", errs[methodMSE], m, e)
		}
		if (m == methodPercentile || m == methodEntropy) && widths[m] > 0.7*widths[methodMinMax] {
			t.Errorf("%s keeps a width of %v for one outlier", m, widths[m])
		}
	}
}

func TestFit(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		q    quantizer
		s    span
		want params
	}{
		{quantizer{dtype: tensor.Uint8, bounds: span{-inf, inf}}, span{-1, 254}, params{1, 1}},
		{quantizer{dtype: tensor.Int8, bounds: span{-inf, inf}}, span{0, 255}, params{1, -128}},
		{quantizer{dtype: tensor.Uint8, bounds: span{-inf, inf}}, span{51, 255}, params{1, 0}},
		{quantizer{dtype: tensor.Int8, symmetric: true, bounds: span{-inf, inf}}, span{-1, 127}, params{1, 0}},
	} {
		if got := c.q.fit(c.s); got != c.want {
			t.Errorf("%v: got %v, want %v", c.s, got, c.want)
		}
	}
	p := quantizer{dtype: tensor.Uint8, bounds: span{0, 6}}.fit(span{0, 6})
	if top := float32(255) * p.scale; top > 6 || top < 5.99999 || p.zero != 0 {
		t.Errorf("a clamp at 6 gives the range [.., %v] with zero point %d", top, p.zero)
	}
}

// Inputs that always come together would have what clipping takes from one weight made up for at the next: a pruned one
// stays zero, another takes it over.
func TestRoundingKeepsZeros(t *testing.T) {
	h := []float64{
		1, 0.999, 0.999,
		0.999, 1, 0.999,
		0.999, 0.999, 1,
	}
	l := &layer{rows: 2, k: 3, w: []float32{130, 0, 1, 1, 0, 130}, scale: []float32{1}, minInt: -127, maxInt: 127}
	l.nearest()
	l.adaptRows(h, 0, 2)
	if want := []int8{127, 0, 4, 4, 0, 127}; !slices.Equal(l.ints, want) {
		t.Errorf("rounded to %v, want %v", l.ints, want)
	}
}
