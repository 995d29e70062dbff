package prune

import (
	"fmt"
	"math"
	"slices"
	"sort"
)

// ranking is the units of one matrix from the least to the most important.
type ranking struct {
	m     *matrix
	order []uint32
	score []float64 // in that order, comparable among layers
	most  int       // how many may go
}

// rank sorts the units of a matrix and gives them the scores by which layers compete: by default s / Σ s', the sum over
// the units of the layer that are not smaller, which does not change when the layer is scaled. For magnitude that is LAMP
// (Lee et al., Layer-adaptive Sparsity for the Magnitude-based Pruning, arXiv 2010.07611).
func rank(m *matrix, units []float64, raw bool) ranking {
	keys := make([]uint64, len(units))
	for i, s := range units {
		keys[i] = uint64(math.Float32bits(float32(math.Sqrt(s))))<<32 | uint64(i)
	}
	slices.Sort(keys)
	r := ranking{m: m, order: make([]uint32, len(units)), score: make([]float64, len(units))}
	var sum, above float64
	for i := len(keys) - 1; i >= 0; i-- {
		at := uint32(keys[i])
		r.order[i] = at
		s := units[at]
		sum += s
		switch {
		case raw:
			r.score[i] = s
		case sum > 0:
			r.score[i] = s / sum
		}
		if i < len(keys)-1 { // the sorted keys are coarser than the scores
			r.score[i] = min(r.score[i], above)
		}
		above = r.score[i]
	}
	return r
}

// below counts the units that may go and score less than t.
func (r ranking) below(t float64) int {
	return min(sort.SearchFloat64s(r.score, t), r.most)
}

// budget says how many units of each matrix go when n go in all, by their scores; of equals the first matrix loses first.
func budget(list []ranking, n int) ([]int, error) {
	most := 0
	for _, r := range list {
		most += r.most
	}
	if n > most {
		return nil, fmt.Errorf("%d units of weights are to go, %d may with the minimum density of each layer", n, most)
	}
	// The largest threshold, as the bits of a float, below which at most n units lie.
	lo, hi := uint64(0), math.Float64bits(math.Inf(1))
	for lo < hi {
		mid := lo + (hi-lo+1)/2
		if total(list, math.Float64frombits(mid)) <= n {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	t := math.Float64frombits(lo)
	out := make([]int, len(list))
	for i, r := range list {
		out[i] = r.below(t)
		n -= out[i]
	}
	next := math.Nextafter(t, math.Inf(1))
	for i, r := range list {
		more := min(n, r.below(next)-out[i])
		out[i] += more
		n -= more
	}
	return out, nil
}

func total(list []ranking, t float64) int {
	n := 0
	for _, r := range list {
		n += r.below(t)
	}
	return n
}

// evenly takes the same share of each matrix.
func evenly(list []ranking, sparsity float64) []int {
	out := make([]int, len(list))
	for i, r := range list {
		out[i] = min(int(math.RoundToEven(sparsity*float64(len(r.order)))), r.most)
	}
	return out
}
