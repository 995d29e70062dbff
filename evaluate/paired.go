package evaluate

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Pairs are the outcomes of two models on the same N samples: B are those that only the reference gets right, C those
// that only the model gets right. The counts are real so that rates can be carried over to other sample sizes.
type Pairs struct{ B, C, N float64 }

// Drop is the difference of the accuracies, (B-C)/N, as a fraction.
func (p Pairs) Drop() float64 { return (p.B - p.C) / p.N }

// Interval gives the drops, as fractions, that the score test does not reject at z standard errors: {d: |T(d)| <= z}.
// The test is Tango's (T. Tango, "Equivalence test and confidence interval for the difference in proportions for the
// paired-sample design", Statistics in Medicine 17, 891-908, 1998):
//
//	T(d) = (B - C - N d) / sqrt(N (2 q + d (1 - d)))
//
// where q is the maximum-likelihood estimate of the probability that only the model is right, given the drop d. At
// d = 0 it is McNemar's test without continuity correction. Unlike Wald's interval it does not collapse when B or C is
// 0. T falls as d grows, so each end is found by bisection.
func (p Pairs) Interval(z float64) (lo, hi float64) {
	d := p.Drop()
	return p.solve(-1, d, z), p.solve(d, 1, -z)
}

// solve finds the d between lo and hi at which T(d) = z.
func (p Pairs) solve(lo, hi, z float64) float64 {
	for range 100 {
		mid := (lo + hi) / 2
		if p.score(mid) > z {
			lo = mid
		} else {
			hi = mid
		}
	}
	return (lo + hi) / 2
}

// score is T(d).
func (p Pairs) score(d float64) float64 {
	a := 2 * p.N
	b := -p.B - p.C + (2*p.N-p.B+p.C)*d
	c := -p.C * d * (1 - d)
	q := (math.Sqrt(max(b*b-4*a*c, 0)) - b) / (2 * a)
	num := p.B - p.C - p.N*d
	v := p.N * (2*max(q, 0) + d*(1-d))
	if v <= 0 { // the hypothesis leaves no room for chance
		return math.Inf(int(math.Copysign(1, num)))
	}
	return num / math.Sqrt(v)
}

// Gate is a verdict with what led to it. Lo and Hi are the one-sided bounds of the drop at the gate's confidence, in
// percentage points.
type Gate struct {
	Verdict Verdict
	Lo, Hi  float64
	Needed  int // samples that would decide; 0 when decided, or when no number would
}

// gatePower is the chance with which the suggested number of samples decides, if the observed rates are the true ones.
const gatePower = 0.8

// Decide judges whether the drop is at most maxDrop percentage points: PASS if the one-sided upper bound of Interval at
// the confidence is at most maxDrop, FAIL if the lower bound exceeds it, else INCONCLUSIVE. Needed is then the number
// of samples at which, the discordant pairs keeping their observed rates, the verdict would come with probability 0.8:
// the interval taken at z(confidence) + z(0.8) standard errors decides.
func (p Pairs) Decide(maxDrop, confidence float64) Gate {
	at := func(z float64) func(q Pairs) (lo, hi float64) {
		return func(q Pairs) (lo, hi float64) { return q.Interval(z) }
	}
	z := quantile(confidence)
	return p.decide(maxDrop, at(z), at(z+quantile(gatePower)))
}

// decide judges by the bounds, and by the wider ones how many samples would do.
func (p Pairs) decide(maxDrop float64, bounds, wider func(q Pairs) (lo, hi float64)) Gate {
	lo, hi := bounds(p)
	g := Gate{Verdict: Inconclusive, Lo: 100 * lo, Hi: 100 * hi}
	switch {
	case g.Hi <= maxDrop:
		g.Verdict = Pass
	case g.Lo > maxDrop:
		g.Verdict = Fail
	default:
		g.Needed = p.needed(maxDrop/100, wider)
	}
	return g
}

// maxNeeded is the largest number of samples worth suggesting.
const maxNeeded = 1_000_000_000

// needed is the smallest sample size beyond the present one at which the bounds clear the limit.
func (p Pairs) needed(limit float64, bounds func(q Pairs) (lo, hi float64)) int {
	decides := func(n float64) bool {
		lo, hi := bounds(Pairs{p.B * n / p.N, p.C * n / p.N, n})
		return hi <= limit || lo > limit
	}
	lo, hi := p.N, 2*p.N
	for !decides(hi) {
		if lo, hi = hi, 2*hi; hi > maxNeeded {
			return 0
		}
	}
	for hi-lo > 1 {
		if mid := math.Floor((lo + hi) / 2); decides(mid) {
			hi = mid
		} else {
			lo = mid
		}
	}
	return int(math.Ceil(hi))
}

// quantile is the standard normal deviate below which a share p lies.
func quantile(p float64) float64 { return distuv.UnitNormal.Quantile(p) }

// judge fills in the drop, its interval and, if there is a limit, the verdict.
func (r *Result) judge(p Pairs, o Options) {
	interval := func() (lo, hi float64) { return p.Interval(quantile((1 + r.Confidence) / 2)) }
	decide := p.Decide
	if r.Sequential = o.Sequential; r.Sequential {
		interval = func() (lo, hi float64) { return p.Sequence((1 - r.Confidence) / 2) }
		decide = p.DecideSequential
	}

	drop := 100 * p.Drop()
	lo, hi := interval()
	b, c := int(p.B), int(p.C)
	r.Drop, r.DropCI = &drop, &[2]float64{100 * lo, 100 * hi}
	r.OnlyReferenceRight, r.OnlyModelRight = &b, &c
	if o.MaxDrop == nil {
		return
	}
	g := decide(*o.MaxDrop, r.Confidence)
	r.MaxDrop, r.Verdict, r.DropBounds = o.MaxDrop, g.Verdict, &[2]float64{g.Lo, g.Hi}
	if g.Verdict != Inconclusive {
		return
	}
	if g.Needed > 0 {
		r.SamplesNeeded = &g.Needed
		return
	}
	r.Warnings = append(r.Warnings, fmt.Sprintf("the observed drop is so close to %g points that no reasonable number of samples would decide", *o.MaxDrop))
}
