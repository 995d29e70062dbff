package distill

import (
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Paired tells of each image whether the student was right with the teacher and without, for one seed.
type Paired struct{ With, Without []bool }

// MinSeeds is how many seeds a statement about the method takes.
const MinSeeds = 3

// Gain is the mean difference of the accuracies in percentage points, with its 95 % interval.
//
// With fewer than MinSeeds seeds the interval is about these students on other images: each image's difference is averaged
// over the seeds, then mean ± z·s/√n over the n images. From MinSeeds on it is about training in these two ways: images and
// S seeds are crossed random effects, so the mean's variance is that over images, s²/n, plus that of the seeds' gains, s²/S
// (A. Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1, 2007, has why the sum does not understate it), with
// Student's t at Welch and Satterthwaite's degrees of freedom.
func Gain(seeds []Paired) (gain, lo, hi float64) {
	if len(seeds) == 0 || len(seeds[0].With) == 0 {
		return 0, 0, 0
	}
	images, gains := make([]float64, len(seeds[0].With)), make([]float64, len(seeds))
	for k, s := range seeds {
		for i := range images {
			d := number(s.With[i]) - number(s.Without[i])
			images[i] += d / float64(len(seeds))
			gains[k] += d / float64(len(images))
		}
	}
	mean, v := stat.Mean(images, nil), variance(images)
	half := distuv.UnitNormal.Quantile(0.975) * math.Sqrt(v)
	if len(seeds) >= MinSeeds {
		u := variance(gains)
		switch {
		case math.IsInf(v, 0):
			half = v
		case v+u > 0:
			free := (v + u) * (v + u) / (v*v/float64(len(images)-1) + u*u/float64(len(seeds)-1))
			half = distuv.StudentsT{Sigma: 1, Nu: free}.Quantile(0.975) * math.Sqrt(v+u)
		}
	}
	return 100 * mean, 100 * (mean - half), 100 * (mean + half)
}

// variance is that of the mean of v; infinite for a single number.
func variance(v []float64) float64 {
	if len(v) < 2 {
		return math.Inf(1)
	}
	return stat.Variance(v, nil) / float64(len(v))
}

// Mean is the mean of v.
func Mean(v []float64) float64 { return stat.Mean(v, nil) }

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
