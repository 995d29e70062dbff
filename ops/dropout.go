package ops

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 12, Dropout{}) }

// Dropout zeroes a random share, input 1 (0.5 if omitted), of the elements and scales the others up to make good for
// it, if the Bool scalar input 2 says that the model is being trained; else it is Identity. Output 1 tells which
// elements stay.
type Dropout struct {
	Seed *int `attr:"seed"`
}

// Infer gives the type of input 0 and Bool of its shape.
func (Dropout) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 1, 3); err != nil {
		return nil, err
	}
	mask := in[0].Type
	mask.DType = tensor.Bool
	return []graph.Type{in[0].Type, mask}, nil
}

// Traits says that Dropout takes floats, draws in training and is Identity until then, and need not give its mask.
func (Dropout) Traits() graph.Traits {
	return graph.Traits{Random: true, FloatOnly: true, Learns: true, Optional: 1}
}

// Quant tells that Dropout only moves data.
func (Dropout) Quant() graph.Quant { return graph.Quant{Moves: true} }

// Run computes the reference result; without a seed it repeats itself.
func (o Dropout) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	ratio, training := 0.5, false
	if len(in) > 1 && in[1] != nil && in[1].Len() == 1 {
		ratio = tensor.Float64s(in[1])[0]
	}
	if len(in) > 2 && in[2] != nil && in[2].Len() == 1 {
		training = tensor.Ints(in[2])[0] != 0
	}
	if ratio < 0 || ratio >= 1 || ratio != ratio {
		return fmt.Errorf("ratio %v is outside of [0, 1)", ratio)
	}
	t := in[0]
	v := tensor.Float64s(t)
	if !t.IsFloat() {
		return noArithmetic(t.DType)
	}
	var seed *float32
	if o.Seed != nil {
		s := float32(*o.Seed)
		seed = &s
	}
	keep := make([]bool, len(v))
	r := append([]float64{}, v...)
	rng := randomFor(x, seed)
	for i := range keep {
		keep[i] = !training || ratio == 0 || rng.Float64() >= ratio
		switch {
		case !keep[i]:
			r[i] = 0
		case training:
			r[i] /= 1 - ratio
		}
	}
	if len(out) > 1 && out[1] != nil {
		copy(tensor.View[bool](x.Make(out[1], tensor.Bool, t.Shape...)), keep)
	}
	return tensor.SetFloat64s(x.Make(out[0], t.DType, t.Shape...), r)
}

// Permute reorders data, result and mask alike. With training, the mask would fall elsewhere.
func (Dropout) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	p, ok := alike(in, outs, 1, order)
	return p, ok && (len(in) < 3 || !in[2].Given())
}

// Forwards holds outside of training.
func (Dropout) Forwards(in, _ []graph.Fact) (int, bool) {
	if len(in) < 3 || !in[2].Given() {
		return 0, true
	}
	mode := in[2].Const
	return 0, mode != nil && mode.Len() == 1 && tensor.Ints(mode)[0] == 0
}

// Links ties the axes of the data, the result and the mask.
func (Dropout) Links(in, out []graph.Fact) []graph.Link { return pointwise(in[:1], out) }
