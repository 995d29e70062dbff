package ops

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("tfsopt", 1, BatchNormalizationGrad{}) }

// BatchNormalizationGrad is the gradient of BatchNormalization in training mode (arXiv 1502.03167, section 3): dy, x
// [N,C,spatial…] and scale [C] give dx, dscale [C] and dbias [C]. With n elements a channel, x̂ = (x - mean)/σ and
// σ = √(variance+Epsilon), dbias = Σdy, dscale = Σdy·x̂, dx = scale/σ·(dy - dbias/n - x̂·dscale/n).
type BatchNormalizationGrad struct {
	Epsilon float32 `attr:"epsilon" default:"1e-5"`
}

// Infer gives the types of x and, twice, of scale.
func (BatchNormalizationGrad) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 3, 3); err != nil {
		return nil, err
	}
	if in[1].Rank() == 0 {
		return nil, fmt.Errorf("input of rank 0: want 1 or more")
	}
	if err := rank(in, 2, 1); err != nil {
		return nil, err
	}
	return []graph.Type{in[1].Type, in[2].Type, in[2].Type}, nil
}

// Run computes in float64 and rounds once.
func (b BatchNormalizationGrad) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	s := in[1].Shape
	channels, size := 1, 1
	if len(s) > 1 {
		channels, size = s[1], tensor.Size(s[2:])
	}
	if !sameInts(in[0].Shape, s) || in[2].Len() != channels || !in[0].IsFloat() || !in[2].IsFloat() {
		return fmt.Errorf("gradient %s, input %s and scale %s do not fit", graph.TypeOf(in[0]), graph.TypeOf(in[1]), graph.TypeOf(in[2]))
	}
	v, err := floats(in[1])
	if err != nil {
		return err
	}
	dy, scale := tensor.Doubles(in[0]), tensor.Doubles(in[2])
	mean, inv := channelMoments(v, channels, size)
	for c := range inv {
		inv[c] = 1 / math.Sqrt(inv[c]+float64(b.Epsilon))
	}
	dscale, dbias := make([]float64, channels), make([]float64, channels)
	for i := range v {
		c := i / size % channels
		v[i] = (v[i] - mean[c]) * inv[c]
		dscale[c] += dy[i] * v[i]
		dbias[c] += dy[i]
	}
	n := float64(len(v)) / float64(max(channels, 1))
	for i := range v {
		c := i / size % channels
		v[i] = scale[c] * inv[c] * (dy[i] - dbias[c]/n - v[i]*dscale[c]/n)
	}
	for i, r := range [][]float64{v, dscale, dbias} {
		if i >= len(out) || out[i] == nil {
			continue
		}
		if err := tensor.SetDoubles(x.Make(out[i], in[min(i+1, 2)].DType, in[min(i+1, 2)].Shape...), r); err != nil {
			return err
		}
	}
	return nil
}

// Cost counts the passes over the elements: two sums and the result.
func (BatchNormalizationGrad) Cost(in, _ []graph.Type) graph.Cost {
	return poolCost([]int{3}, in[1])
}
