package quantize

import (
	"cmp"
	"math"
	"slices"
	"sort"
)

// maxWork bounds clusters times points: of more numbers than fit, bins of equal width are what is clustered.
const maxWork = 1 << 20

// mass is a number that occurs weight times, or the mean of a bin.
type mass struct{ x, weight float64 }

// clusters gives at most k numbers, ascending, such that the sum of the squared distances of the values to the nearest
// of them is least: k-means in one dimension, where it has an exact solution by dynamic programming over the sorted
// values (Wang and Song, Ckmeans.1d.dp, The R Journal 3/2, 2011). Fewer than k are given where they leave a sum of at most
// enough.
func clusters(values []float32, k int, enough float64) []float32 {
	p := points(values, max(maxWork/k, k))
	out := make([]float32, 0, k)
	if len(p) <= k {
		for _, q := range p {
			out = append(out, float32(q.x))
		}
		return out
	}
	d := newPartition(p)
	for m := 1; m <= k; m++ {
		d.extend(m)
		if d.cost[len(p)] <= enough {
			k = m
		}
	}
	for j, m := len(p), k; m > 0; m-- {
		i := d.from[m-1][j]
		out = append(out, float32(d.mean(i, j)))
		j = i
	}
	slices.Reverse(out)
	return slices.Compact(out)
}

// points sorts values and joins equal ones; more than limit of them become bins.
func points(values []float32, limit int) []mass {
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	var out []mass
	for i, x := range sorted {
		if i > 0 && x == sorted[i-1] {
			out[len(out)-1].weight++
		} else {
			out = append(out, mass{float64(x), 1})
		}
	}
	if len(out) <= limit {
		return out
	}
	lo, width := out[0].x, (out[len(out)-1].x-out[0].x)/float64(limit)
	bins := make([]mass, limit)
	for _, q := range out {
		b := &bins[min(int((q.x-lo)/width), limit-1)]
		b.x += float64(q.x * q.weight)
		b.weight += q.weight
	}
	bins = slices.DeleteFunc(bins, func(b mass) bool { return b.weight == 0 })
	for i := range bins {
		bins[i].x /= bins[i].weight
	}
	slices.SortFunc(bins, func(a, b mass) int { return cmp.Compare(a.x, b.x) })
	return bins
}

// partition holds, for each number of clusters, the least cost of the first j points and where the last cluster begins.
type partition struct {
	weight, sum, square []float64 // of the first j points
	cost, next          []float64
	from                [][]int
}

func newPartition(p []mass) *partition {
	n := len(p) + 1
	d := &partition{
		weight: make([]float64, n), sum: make([]float64, n), square: make([]float64, n),
		cost: make([]float64, n), next: make([]float64, n),
	}
	for i, q := range p {
		d.weight[i+1] = d.weight[i] + q.weight
		d.sum[i+1] = d.sum[i] + float64(q.x*q.weight)
		d.square[i+1] = d.square[i] + float64(float64(q.x*q.x)*q.weight)
		d.cost[i+1] = math.Inf(1)
	}
	return d
}

func (d *partition) mean(i, j int) float64 {
	return (d.sum[j] - d.sum[i]) / (d.weight[j] - d.weight[i])
}

// spread is the sum of squares of the points from i to before j around their mean.
func (d *partition) spread(i, j int) float64 {
	s := d.sum[j] - d.sum[i]
	return max(d.square[j]-d.square[i]-float64(s*s)/(d.weight[j]-d.weight[i]), 0)
}

// extend goes from m-1 clusters to m. Where the last cluster begins does not fall as points are added, so that halving
// finds all beginnings in n log n steps.
func (d *partition) extend(m int) {
	n := len(d.cost) - 1
	from := make([]int, n+1)
	for j := range m {
		d.next[j] = math.Inf(1)
	}
	var solve func(lo, hi, first, last int)
	solve = func(lo, hi, first, last int) {
		if lo > hi {
			return
		}
		j := (lo + hi) / 2
		best, at := math.Inf(1), max(first, m-1)
		for i := at; i <= min(last, j-1); i++ {
			if c := d.cost[i] + d.spread(i, j); c < best {
				best, at = c, i
			}
		}
		d.next[j], from[j] = best, at
		solve(lo, j-1, first, at)
		solve(j+1, hi, at, last)
	}
	solve(m, n, m-1, n-1)
	d.cost, d.next = d.next, d.cost
	d.from = append(d.from, from)
}

// nearest is the index of the element of ascending centers that is nearest to x, the lower one of two.
func nearest(centers []float32, x float32) int {
	i := sort.Search(len(centers), func(i int) bool { return centers[i] >= x })
	if i == len(centers) || i > 0 && float64(x)-float64(centers[i-1]) <= float64(centers[i])-float64(x) {
		return i - 1
	}
	return i
}
