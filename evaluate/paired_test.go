package evaluate

import (
	"math"
	"math/rand/v2"
	"testing"
)

const z95 = 1.959963984540054

func TestIntervalPublished(t *testing.T) {
	tests := []struct {
		name   string
		pairs  Pairs
		z      float64
		lo, hi float64
		digits float64
	}{
		// Fagerland, Lydersen, Laake, "Recommended tests and confidence intervals for paired binomial proportions",
		// Statistics in Medicine 33 (2014): airway reactivity, 1 and 7 discordant pairs of 21.
		{"airway reactivity", Pairs{1, 7, 21}, z95, -0.517, -0.026, 1e3},
		// R's PropCIs::scoreci.mp(25, 28, 618, 0.90), which estimates (28 - 25) / 618.
		{"PropCIs", Pairs{28, 25, 618}, 1.6448536269514722, -0.0148, 0.0247, 1e4},
		// Without discordant pairs T(d) = -sqrt(n d / (1-d)), so that the ends are +-z²/(n+z²): the adapted Wilson limit.
		{"no discordance", Pairs{0, 0, 100}, z95, -0.036993, 0.036993, 1e6},
	}
	for _, tt := range tests {
		lo, hi := tt.pairs.Interval(tt.z)
		if math.Round(lo*tt.digits) != math.Round(tt.lo*tt.digits) || math.Round(hi*tt.digits) != math.Round(tt.hi*tt.digits) {
			t.Errorf("%s: [%.6f, %.6f], want [%g, %g]", tt.name, lo, hi, tt.lo, tt.hi)
		}
	}
}

// The interval excludes no drop exactly when McNemar's test rejects.
func TestIntervalIsMcNemarAtZero(t *testing.T) {
	for b := 0.0; b < 20; b++ {
		for c := 0.0; c < 20; c++ {
			if b+c == 0 {
				continue
			}
			lo, hi := Pairs{b, c, 50}.Interval(z95)
			rejects := math.Abs(b-c)/math.Sqrt(b+c) > z95
			if excludes := lo > 0 || hi < 0; excludes != rejects {
				t.Errorf("b=%g c=%g: [%g, %g], McNemar rejects: %v", b, c, lo, hi, rejects)
			}
		}
	}
}

func TestIntervalEdges(t *testing.T) {
	for _, p := range []Pairs{{0, 0, 1}, {1, 0, 1}, {0, 1, 1}, {5, 0, 5}, {0, 5, 5}, {3, 2, 5}, {1e5, 0, 1e6}} {
		lo, hi := p.Interval(z95)
		mlo, mhi := Pairs{p.C, p.B, p.N}.Interval(z95)
		d := p.Drop()
		if !(-1 <= lo && lo <= d && d <= hi && hi <= 1) {
			t.Errorf("%v: [%g, %g] around %g", p, lo, hi, d)
		}
		if math.Abs(lo+mhi) > 1e-9 || math.Abs(hi+mlo) > 1e-9 {
			t.Errorf("%v: [%g, %g], swapped [%g, %g]", p, lo, hi, mlo, mhi)
		}
		if hi-lo < 1e-4 {
			t.Errorf("%v: [%g, %g] claims certainty", p, lo, hi)
		}
	}
}

// The one-sided bounds and the two-sided interval hold the true drop about as often as they say.
func TestIntervalCoverage(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 9))
	const trials = 4000
	for _, tt := range []struct {
		n      int
		pb, pc float64
	}{{100, 0.05, 0.05}, {400, 0.03, 0.02}, {400, 0.01, 0.005}, {1000, 0.08, 0.04}, {50, 0.2, 0.1}} {
		var above, below, two int
		for range trials {
			p := Pairs{N: float64(tt.n)}
			for range tt.n {
				switch u := rng.Float64(); {
				case u < tt.pb:
					p.B++
				case u < tt.pb+tt.pc:
					p.C++
				}
			}
			d := tt.pb - tt.pc
			lo, hi := p.Interval(1.6448536269514722)
			lo2, hi2 := p.Interval(z95)
			if d > hi {
				above++
			}
			if d < lo {
				below++
			}
			if lo2 <= d && d <= hi2 {
				two++
			}
		}
		share := func(k int) float64 { return float64(k) / trials }
		t.Logf("n=%d %.3f/%.3f: above %.4f below %.4f inside %.4f", tt.n, tt.pb, tt.pc, share(above), share(below), share(two))
		if share(above) > 0.065 || share(below) > 0.065 || share(two) < 0.93 || share(two) > 0.985 {
			t.Errorf("n=%d pb=%g pc=%g: missed above %.4f, below %.4f (nominal 0.05), two-sided coverage %.4f (nominal 0.95)",
				tt.n, tt.pb, tt.pc, share(above), share(below), share(two))
		}
	}
}

func TestDecide(t *testing.T) {
	tests := []struct {
		pairs   Pairs
		maxDrop float64
		want    Verdict
	}{
		{Pairs{0, 0, 2000}, 1, Pass},
		{Pairs{0, 0, 20}, 1, Inconclusive},
		{Pairs{2, 9, 400}, 2, Pass},
		{Pairs{40, 4, 400}, 2, Fail},
		{Pairs{10, 4, 400}, 2, Inconclusive},
		{Pairs{0, 0, 100}, 0, Inconclusive}, // equal models never prove a drop of at most 0
	}
	for _, tt := range tests {
		g := tt.pairs.Decide(tt.maxDrop, 0.95)
		if g.Verdict != tt.want {
			t.Errorf("%v at %g: %v, want %s", tt.pairs, tt.maxDrop, g, tt.want)
		}
		if (g.Verdict == Inconclusive && tt.maxDrop > 0) != (g.Needed > 0) {
			t.Errorf("%v at %g: needed %d", tt.pairs, tt.maxDrop, g.Needed)
		}
	}
}

// The suggested number of samples decides about as often as it promises, and is more than there were.
func TestNeededDecides(t *testing.T) {
	const limit = 3.0
	g := Pairs{10, 4, 400}.Decide(limit, 0.95)
	if g.Verdict != Inconclusive || g.Needed <= 400 {
		t.Fatalf("%+v", g)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	decided := 0
	for range 600 {
		q := Pairs{N: float64(g.Needed)}
		for range g.Needed {
			switch u := rng.Float64(); {
			case u < 10.0/400:
				q.B++
			case u < 14.0/400:
				q.C++
			}
		}
		if q.Decide(limit, 0.95).Verdict == Pass {
			decided++
		}
	}
	if share := float64(decided) / 600; share < 0.72 || share > 0.9 {
		t.Errorf("%d samples decide in %.2f of the trials, promised 0.8", g.Needed, share)
	}
}
