package distill

import (
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Paired tells of each image whether the student was right with the teacher and without, for one seed.
type Paired struct{ With, Without []bool }

// Gain is the mean difference of the accuracies in percentage points, with its 95 % interval. Images are what the interval
// generalises over: each image's difference is averaged over the seeds first, then mean ± z·s/√n over images, since
// answers to one image depend on each other.
func Gain(seeds []Paired) (gain, lo, hi float64) {
	if len(seeds) == 0 || len(seeds[0].With) == 0 {
		return 0, 0, 0
	}
	d := make([]float64, len(seeds[0].With))
	for _, s := range seeds {
		for i := range d {
			d[i] += (number(s.With[i]) - number(s.Without[i])) / float64(len(seeds))
		}
	}
	mean, sd := stat.MeanStdDev(d, nil)
	if len(d) < 2 {
		sd = math.Inf(1)
	}
	half := distuv.UnitNormal.Quantile(0.975) * sd / math.Sqrt(float64(len(d)))
	return 100 * mean, 100 * (mean - half), 100 * (mean + half)
}

// Mean is the mean of v.
func Mean(v []float64) float64 { return stat.Mean(v, nil) }

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
