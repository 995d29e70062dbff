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
	dy, scale := tensor.Float64s(in[0]), tensor.Float64s(in[2])
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
		if err := tensor.SetFloat64s(x.Make(out[i], in[min(i+1, 2)].DType, in[min(i+1, 2)].Shape...), r); err != nil {
			return err
		}
	}
	return nil
}

// Cost counts the passes over the elements: two sums and the result.
func (BatchNormalizationGrad) Cost(in, _ []graph.Type) graph.Cost {
	return poolCost([]int{3}, in[1])
}

// Grad gives the gradients of x, scale and bias; mean and variance are held to be constant.
func (b BatchNormalization) Grad(g *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if len(dOut) > 1 && dOut[1] != nil || len(dOut) > 2 && dOut[2] != nil {
		return fail(g, n, "through the running mean and variance")
	}
	if dOut[0] == nil {
		return none(n)
	}
	f, x, dy := gradient(g, n), n.In[0], dOut[0]
	if b.TrainingMode {
		return append(g.AddN(f.name, 3, BatchNormalizationGrad{b.Epsilon}, dy, x, n.In[1]), nil, nil)
	}
	shape := f.shape(x)
	if g.Err != nil {
		return none(n)
	}
	each := []int{1} // the shape in which a number for each channel broadcasts to x
	if len(shape) > 1 {
		each[0] = shape[1]
	}
	for range shape[min(len(shape), 2):] {
		each = append(each, 1)
	}
	inv := f.div(f.num(x, 1), f.node(Sqrt{}, f.shift(n.In[4], float64(b.Epsilon))))
	centred := f.mul(f.sub(x, f.reshape(n.In[3], each)), f.reshape(inv, each))
	total := func(v *graph.Value) *graph.Value { return f.like(f.sumTo(v, each), n.In[1]) }
	d := none(n)
	d[0] = f.mul(dy, f.reshape(f.mul(n.In[1], inv), each))
	d[1], d[2] = total(f.mul(dy, centred)), total(dy)
	return d
}
