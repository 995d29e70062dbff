package ops

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	graph.Register("", 1, LRN{}, LpNormalization{})
	graph.Register("", 9, MeanVarianceNormalization{})
}

// LRN is x / (Bias + Alpha/Size·Σx²)^Beta, the sum going over Size channels around each of x [N,C,spatial…] (local
// response normalization, Krizhevsky et al. 2012).
type LRN struct {
	Alpha float32 `attr:"alpha" default:"0.0001"`
	Beta  float32 `attr:"beta" default:"0.75"`
	Bias  float32 `attr:"bias" default:"1"`
	Size  int     `attr:"size" required:"true"`
}

// LpNormalization divides by the norm of order P (1 or 2) along Axis; where the norm is zero so is the result.
type LpNormalization struct {
	Axis int `attr:"axis" default:"-1"`
	P    int `attr:"p" default:"2"`
}

// MeanVarianceNormalization is (x - mean)/(√variance + 1e-9) with the moments over Axes.
type MeanVarianceNormalization struct {
	Axes []int `attr:"axes" default:"0,2,3"`
}

// Infer gives x's type.
func (l LRN) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 1, 1); err != nil {
		return nil, err
	}
	if l.Size < 1 {
		return nil, fmt.Errorf("size %d is not positive", l.Size)
	}
	if r := in[0].Rank(); r >= 0 && r < 2 {
		return nil, fmt.Errorf("input of rank %d: want 2 or more", r)
	}
	return []graph.Type{in[0].Type}, nil
}

// Run computes in float64 and rounds once.
func (l LRN) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	v, err := floats(in[0])
	if err != nil {
		return err
	}
	s := in[0].Shape
	if len(s) < 2 || l.Size < 1 {
		return fmt.Errorf("input %v, size %d: want rank 2 or more and a positive size", s, l.Size)
	}
	channels, size := s[1], tensor.Size(s[2:])
	r := make([]float64, len(v))
	for i, e := range v {
		c := i / size % channels
		sum := 0.0
		for k := max(0, c-(l.Size-1)/2); k <= min(channels-1, c+l.Size/2); k++ {
			n := v[i+(k-c)*size]
			sum += n * n
		}
		r[i] = e / math.Pow(float64(l.Bias)+float64(l.Alpha)/float64(l.Size)*sum, float64(l.Beta))
	}
	return tensor.SetFloat64s(x.Make(out[0], in[0].DType, s...), r)
}

// Cost counts the squares that are added.
func (l LRN) Cost(in, _ []graph.Type) graph.Cost { return poolCost([]int{l.Size}, in[0]) }

// Links says that each channel is divided by its neighbours.
func (LRN) Links(in, _ []graph.Fact) []graph.Link {
	if in[0].Rank() < 2 {
		return nil
	}
	return pin(in, 1, "it sums over neighbouring channels")
}

// Infer gives x's type.
func (l LpNormalization) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 1, 1); err != nil {
		return nil, err
	}
	if l.P != 1 && l.P != 2 {
		return nil, fmt.Errorf("p %d is neither 1 nor 2", l.P)
	}
	if r := in[0].Rank(); r >= 0 {
		if _, err := axis(l.Axis, r); err != nil {
			return nil, err
		}
	}
	return []graph.Type{in[0].Type}, nil
}

// Run computes in float64 and rounds once.
func (l LpNormalization) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	if l.P != 1 && l.P != 2 {
		return fmt.Errorf("p %d is neither 1 nor 2", l.P)
	}
	v, err := floats(in[0])
	if err != nil {
		return err
	}
	s := in[0].Shape
	a, err := axis(l.Axis, len(s))
	if err != nil {
		return err
	}
	if len(s) == 0 {
		s = []int{1}
	}
	inner := tensor.Size(s[a+1:])
	for i := range v {
		if i/max(inner, 1)%s[a] != 0 {
			continue
		}
		norm := 0.0
		for k := range s[a] {
			e := math.Abs(v[i+k*inner])
			if l.P == 2 {
				e *= e
			}
			norm += e
		}
		if l.P == 2 {
			norm = math.Sqrt(norm)
		}
		for k := range s[a] {
			if norm != 0 {
				v[i+k*inner] /= norm
			}
		}
	}
	return tensor.SetFloat64s(x.Make(out[0], in[0].DType, in[0].Shape...), v)
}

// Links says that the norm needs the whole axis.
func (l LpNormalization) Links(in, out []graph.Fact) []graph.Link {
	return normalised(in, out, l.Axis, "it divides by the norm over them")
}

// Infer gives x's type.
func (m MeanVarianceNormalization) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 1, 1); err != nil {
		return nil, err
	}
	if r := in[0].Rank(); r >= 0 {
		for _, a := range m.Axes {
			if _, err := axis(a, r); err != nil {
				return nil, err
			}
		}
	}
	return []graph.Type{in[0].Type}, nil
}

// Run computes in float64 and rounds once.
func (m MeanVarianceNormalization) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	v, err := floats(in[0])
	if err != nil {
		return err
	}
	s := in[0].Shape
	kept := append([]int{}, s...)
	for _, at := range m.Axes {
		a, err := axis(at, len(s))
		if err != nil {
			return err
		}
		if len(s) > 0 {
			kept[a] = 1
		}
	}
	groups := tensor.Size(kept)
	mean, variance := make([]float64, groups), make([]float64, groups)
	n := float64(len(v)) / float64(max(groups, 1))
	step, zero := strides(kept, s), make([]int, len(s))
	walk(s, step, zero, func(i, g, _ int) { mean[g] += v[i] / n })
	walk(s, step, zero, func(i, g, _ int) { variance[g] += (v[i] - mean[g]) * (v[i] - mean[g]) / n })
	walk(s, step, zero, func(i, g, _ int) { v[i] = (v[i] - mean[g]) / (math.Sqrt(variance[g]) + 1e-9) })
	return tensor.SetFloat64s(x.Make(out[0], in[0].DType, s...), v)
}
