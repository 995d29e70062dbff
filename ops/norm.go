package ops

import (
	"errors"
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	graph.Register("", 6, InstanceNormalization{})
	graph.Register("", 17, LayerNormalization{})
	graph.Register("", 21, GroupNormalization{})
	graph.Register("", 23, RMSNormalization{})
}

// InstanceNormalization brings each channel of each batch of x [N,C,spatial…] to mean 0 and variance 1, then
// multiplies by scale [C] and adds bias [C].
type InstanceNormalization struct {
	Epsilon float32 `attr:"epsilon" default:"1e-5"`
}

// GroupNormalization brings groups of NumGroups consecutive channels of each batch of x [N,C,spatial…] to mean 0 and
// variance 1, then multiplies by scale [C] and adds bias [C] (arXiv 1803.08494).
type GroupNormalization struct {
	Epsilon   float32 `attr:"epsilon" default:"1e-5"`
	NumGroups int     `attr:"num_groups" required:"true"`
	StashType int     `attr:"stash_type" default:"1"`
}

// LayerNormalization brings the elements along Axis and the following axes to mean 0 and variance 1, then multiplies
// by scale and adds the optional bias, which broadcast to x (arXiv 1607.06450). The optional outputs 1 and 2 are mean
// and 1/√(variance+Epsilon) in the type StashType.
type LayerNormalization struct {
	Axis      int     `attr:"axis" default:"-1"`
	Epsilon   float32 `attr:"epsilon" default:"1e-5"`
	StashType int     `attr:"stash_type" default:"1"`
}

// Traits says that the moments need not be given.
func (LayerNormalization) Traits() graph.Traits { return graph.Traits{Optional: 1} }

// RMSNormalization divides by the root of the mean square along Axis and the following axes, then multiplies by
// scale, which broadcasts to x (arXiv 1910.07467).
type RMSNormalization struct {
	Axis      int     `attr:"axis" default:"-1"`
	Epsilon   float32 `attr:"epsilon" default:"1e-5"`
	StashType int     `attr:"stash_type" default:"1"`
}

// meanVariance gives mean and population variance.
func meanVariance(v []float64) (mean, variance float64) {
	for _, e := range v {
		mean += e
	}
	mean /= float64(len(v))
	for _, e := range v {
		variance += (e - mean) * (e - mean)
	}
	return mean, variance / float64(len(v))
}

// standardize brings consecutive runs of v to mean 0 and variance 1 in place.
func standardize(v []float64, run int, epsilon float32) {
	for i := 0; i < len(v); i += run {
		mean, variance := meanVariance(v[i : i+run])
		inv := 1 / math.Sqrt(variance+float64(epsilon))
		for j := i; j < i+run; j++ {
			v[j] = (v[j] - mean) * inv
		}
	}
}

// floats copies a float tensor's elements.
func floats(t *tensor.Tensor) ([]float64, error) {
	if !t.IsFloat() {
		return nil, fmt.Errorf("want floats, got %s", t.DType)
	}
	return append([]float64(nil), tensor.Float64s(t)...), nil
}

// Infer gives x's type.
func (InstanceNormalization) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	return inferChannelNorm(in)
}

// Infer gives x's type.
func (g GroupNormalization) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if g.NumGroups < 1 {
		return nil, fmt.Errorf("num_groups %d is not positive", g.NumGroups)
	}
	return inferChannelNorm(in)
}

func inferChannelNorm(in []graph.Fact) ([]graph.Type, error) {
	if err := want(in, 3, 3); err != nil {
		return nil, err
	}
	if !in[0].Unranked && len(in[0].Shape) < 2 {
		return nil, fmt.Errorf("input of rank %d: want 2 or more", len(in[0].Shape))
	}
	return []graph.Type{in[0].Type}, nil
}

// Run computes in float64 and rounds once.
func (n InstanceNormalization) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return runChannelNorm(x, in, out[0], channelNorm{epsilon: n.Epsilon})
}

// Links keeps channels apart, with their scale and bias.
func (InstanceNormalization) Links(in, out []graph.Fact) []graph.Link {
	return channelwise(in, out, 1, 2)
}

// Run computes in float64 and rounds once.
func (g GroupNormalization) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return runChannelNorm(x, in, out[0], channelNorm{groups: g.NumGroups, epsilon: g.Epsilon})
}

// Links says that the groups' statistics need every channel.
func (GroupNormalization) Links(in, _ []graph.Fact) []graph.Link {
	if in[0].Rank() < 2 {
		return nil
	}
	return pin(in, 1, "it takes mean and variance over groups of them")
}

type channelNorm struct {
	groups  int // 0: as many as channels
	epsilon float32
}

func runChannelNorm(x *graph.Exec, in []*tensor.Tensor, out *tensor.Tensor, n channelNorm) error {
	s := in[0].Shape
	if len(s) < 2 {
		return fmt.Errorf("input %v: want rank 2 or more", s)
	}
	if n.groups == 0 {
		n.groups = max(s[1], 1)
	}
	if n.groups < 0 || s[1]%n.groups != 0 || in[1].Len() != s[1] || in[2].Len() != s[1] {
		return fmt.Errorf("%d channels, %d groups, scale %v, bias %v do not fit", s[1], n.groups, in[1].Shape, in[2].Shape)
	}
	v, err := floats(in[0])
	if err != nil {
		return err
	}
	size := tensor.Size(s[2:])
	if len(v) > 0 {
		standardize(v, s[1]/n.groups*size, n.epsilon)
	}
	scale, bias := tensor.Float64s(in[1]), tensor.Float64s(in[2])
	for i := range v {
		c := i / size % s[1]
		v[i] = v[i]*scale[c] + bias[c]
	}
	return tensor.SetFloat64s(x.Make(out, in[0].DType, s...), v)
}

// Infer gives x's type; mean and inverse deviation have size 1 along the axes that are normalized.
func (l LayerNormalization) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 3); err != nil {
		return nil, err
	}
	stash, err := stashType(l.StashType)
	if err != nil {
		return nil, err
	}
	t := in[0].Type
	if t.Unranked {
		return []graph.Type{t, graph.AnyRank(stash), graph.AnyRank(stash)}, nil
	}
	a, err := axis(l.Axis, len(t.Shape))
	if err != nil {
		return nil, err
	}
	m := graph.Of(stash, t.Shape...)
	for i := a; i < len(m.Shape); i++ {
		m.Shape[i] = graph.Fixed(1)
	}
	return []graph.Type{t, m, m}, nil
}

func stashType(d int) (tensor.DType, error) {
	if d < 0 || d > 255 || !tensor.DType(d).IsFloat() {
		return 0, fmt.Errorf("stash_type %d is not a float type", d)
	}
	return tensor.DType(d), nil
}

// Infer gives x's type.
func (r RMSNormalization) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 2); err != nil {
		return nil, err
	}
	if !in[0].Unranked {
		if _, err := axis(r.Axis, len(in[0].Shape)); err != nil {
			return nil, err
		}
	}
	return []graph.Type{in[0].Type}, nil
}

// Run computes in float64 and rounds once.
func (l LayerNormalization) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	stash, err := stashType(l.StashType)
	if err != nil {
		return err
	}
	s := in[0].Shape
	a, err := axis(l.Axis, len(s))
	if err != nil {
		return err
	}
	v, err := floats(in[0])
	if err != nil {
		return err
	}
	run := tensor.Size(s[a:])
	if run == 0 {
		return errors.New("no elements to normalize")
	}
	mean, inv := make([]float64, len(v)/run), make([]float64, len(v)/run)
	for i := range mean {
		m, variance := meanVariance(v[i*run : (i+1)*run])
		mean[i], inv[i] = m, 1/math.Sqrt(variance+float64(l.Epsilon))
	}
	for i := range v {
		v[i] = (v[i] - mean[i/run]) * inv[i/run]
	}
	if err := affine(v, s, in[1], optional(in, 2)); err != nil {
		return err
	}
	small := append([]int{}, s[:a]...)
	for range s[a:] {
		small = append(small, 1)
	}
	for i, stat := range [][]float64{mean, inv} {
		if len(out) > i+1 && out[i+1] != nil {
			if err := tensor.SetFloat64s(x.Make(out[i+1], stash, small...), stat); err != nil {
				return err
			}
		}
	}
	if out[0] == nil {
		return nil
	}
	return tensor.SetFloat64s(x.Make(out[0], in[0].DType, s...), v)
}

// Links ties the axes in front of those that are normalised.
func (l LayerNormalization) Links(in, out []graph.Fact) []graph.Link {
	return normalisedFrom(in, out, l.Axis)
}

// Run computes in float64 and rounds once.
func (r RMSNormalization) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	s := in[0].Shape
	a, err := axis(r.Axis, len(s))
	if err != nil {
		return err
	}
	v, err := floats(in[0])
	if err != nil {
		return err
	}
	run := tensor.Size(s[a:])
	if run == 0 {
		return errors.New("no elements to normalize")
	}
	for i := 0; i < len(v); i += run {
		sum := 0.0
		for _, e := range v[i : i+run] {
			sum += e * e
		}
		inv := 1 / math.Sqrt(sum/float64(run)+float64(r.Epsilon))
		for j := i; j < i+run; j++ {
			v[j] *= inv
		}
	}
	if err := affine(v, s, in[1], nil); err != nil {
		return err
	}
	return tensor.SetFloat64s(x.Make(out[0], in[0].DType, s...), v)
}

// Links ties the axes in front of those that are normalised.
func (l RMSNormalization) Links(in, out []graph.Fact) []graph.Link {
	return normalisedFrom(in, out, l.Axis)
}

// affine multiplies v of the given shape by scale and adds bias, which may be nil; both broadcast to it.
func affine(v []float64, shape []int, scale, bias *tensor.Tensor) error {
	zero := make([]int, len(shape))
	for i, t := range []*tensor.Tensor{scale, bias} {
		if t == nil {
			continue
		}
		all, err := broadcastShape(shape, t.Shape)
		p := tensor.Float64s(t)
		if err != nil || !sameInts(all, shape) || len(p) != t.Len() {
			return fmt.Errorf("input %d: %s%v does not broadcast to %v", i+1, t.DType, t.Shape, shape)
		}
		walk(shape, strides(t.Shape, shape), zero, func(j, k, _ int) {
			if i == 0 {
				v[j] *= p[k]
			} else {
				v[j] += p[k]
			}
		})
	}
	return nil
}

// normalisedFrom ties the axes of input 0 and output 0 before `from`; those after it stay.
func normalisedFrom(in, out []graph.Fact, from int) []graph.Link {
	if in[0].Unranked {
		return nil
	}
	a, err := axis(from, len(in[0].Shape))
	if err != nil {
		return nil
	}
	links := pointwise(in[:1], out[:1])
	for i, l := range links {
		if l.Ends[0].Axis >= a {
			links[i].MustStay = "it takes the mean or variance over them"
		}
	}
	return links
}
