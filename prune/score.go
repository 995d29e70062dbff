package prune

import (
	"fmt"
	"hash/fnv"
	"math"

	"github.com/tfsopt/tfsopt/tensor"
)

// Scores tell how much each element of a weight matters, by the name of the constant (or parameter): numbers that are
// not negative, in the order of the tensor.
type Scores map[string][]float32

// Accumulator adds up gradients over the batches of a data set, while the weights stay as they are, into Scores:
//
//	taylor  Σ over batches of (w·g)², g the gradient of the batch's mean loss (Molchanov et al., Importance Estimation
//	        for Neural Network Pruning, arXiv 1906.10771, equation 8, for single weights)
//	snip    |w·Σg| / Σ over all weights, g the gradient of the sum of the samples' losses: the connection sensitivity on
//	        the whole set (Lee et al., SNIP, arXiv 1810.02340, equations 5 and 6)
//
// Sums are made in float64 and in the order of the calls.
type Accumulator struct {
	squares bool
	names   []string
	sum     map[string][]float64
}

// NewAccumulator makes one for the criterion taylor (or gradient) or snip.
func NewAccumulator(criterion string) (*Accumulator, error) {
	switch criterion {
	case taylor, "gradient", snip:
		return &Accumulator{squares: criterion != snip, sum: map[string][]float64{}}, nil
	}
	return nil, fmt.Errorf("criterion %q does not use gradients: want taylor or snip", criterion)
}

// Add takes the weights w and the gradient g of one batch's mean loss over that many samples. Every batch must name the
// same tensors.
func (a *Accumulator) Add(name string, w, g []float32, samples int) error {
	sum := a.sum[name]
	if sum == nil {
		sum = make([]float64, len(w))
		a.sum[name], a.names = sum, append(a.names, name)
	}
	if len(w) != len(sum) || len(g) != len(sum) {
		return fmt.Errorf("scores of %q: %d weights and %d gradients, %d before", name, len(w), len(g), len(sum))
	}
	for i, x := range w {
		p := float64(x) * float64(g[i])
		if p-p != 0 {
			return fmt.Errorf("scores of %q: element %d has weight %v and gradient %v", name, i, x, g[i])
		}
		if a.squares {
			sum[i] += float64(p * p)
		} else {
			sum[i] += float64(p * float64(samples))
		}
	}
	return nil
}

// Scores gives what was added up so far. Those of taylor are scaled so that all together are 1, as those of snip are.
func (a *Accumulator) Scores() Scores {
	var total float64
	for _, name := range a.names {
		for _, s := range a.sum[name] {
			total += math.Abs(s)
		}
	}
	out := Scores{}
	for _, name := range a.names {
		list := make([]float32, len(a.sum[name]))
		for i, s := range a.sum[name] {
			if total > 0 {
				list[i] = float32(math.Abs(s) / total)
			}
		}
		out[name] = list
	}
	return out
}

// score gives the score of each element of a matrix as [rows][k]. A weight that is zero has score 0, so that what was cut
// stays cut.
func (o Options) score(m *matrix, w []float32) ([]float64, error) {
	for i, x := range w {
		if x-x != 0 {
			return nil, fmt.Errorf("weight %q: element %d is %v", m.value.Name, i, x)
		}
	}
	out := m.gather(w)
	switch o.Criterion {
	case magnitude:
		for i, x := range out {
			out[i] = x * x
		}
		return out, nil
	case random:
		m.random(o.Seed, out)
		return out, nil
	}
	given, ok := o.Scores[m.value.Name]
	if !ok {
		return nil, fmt.Errorf("weight %q: criterion %s has no scores for it", m.value.Name, o.Criterion)
	}
	if len(given) != len(w) {
		return nil, fmt.Errorf("weight %q: %d scores for %v", m.value.Name, len(given), m.shape)
	}
	for i, s := range m.gather(given) {
		if !(s >= 0) || math.IsInf(s, 1) {
			return nil, fmt.Errorf("weight %q: a score is %v", m.value.Name, s)
		}
		if out[i] != 0 {
			out[i] = s
		}
	}
	return out, nil
}

// random replaces what is not zero by numbers in (0, 1] that depend on the seed, the tensor's name and the element alone.
func (m *matrix) random(seed uint64, scores []float64) {
	h := fnv.New64a()
	h.Write([]byte(m.value.Name)) // never fails
	state := h.Sum64() ^ mix(seed)
	at := 0
	for _, r := range m.row {
		for _, c := range m.col {
			if scores[at] != 0 {
				scores[at] = float64(mix(state+uint64(r+c))>>11+1) / (1 << 53)
			}
			at++
		}
	}
}

// mix is one step of SplitMix64 (Steele et al., Fast Splittable Pseudorandom Number Generators, 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// scale is the root mean square of the weights that are not zero.
func scale(t *tensor.Tensor) float64 {
	var sum float64
	n := 0
	for _, x := range tensor.Floats(t) {
		if x != 0 {
			sum += float64(float64(x) * float64(x))
			n++
		}
	}
	return math.Sqrt(sum / float64(max(n, 1)))
}
