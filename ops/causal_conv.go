package ops

import (
	"errors"
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 27, CausalConvWithState{}) }

// CausalConvWithState convolves each channel of X [batch, channels, length] with its own kernel W [channels, 1, k] over
// the present and the k-1 positions before, which for the first ones are past_state [batch, channels, k-1] or zero.
// Inputs are X, W, bias [channels] and past_state; outputs are Y, shaped like X, and the last k-1 positions.
type CausalConvWithState struct {
	Activation string `attr:"activation" default:"none"`
}

// Infer gives the types of Y and present_state.
func (o CausalConvWithState) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	err := want(in, 2, 4)
	if err == nil {
		err = errors.Join(rank(in, 0, 3), rank(in, 1, 3))
	}
	if err != nil {
		return nil, err
	}
	if o.Activation != "none" && o.Activation != "silu" && o.Activation != "swish" {
		return nil, fmt.Errorf("activation %q is none of none, silu, swish", o.Activation)
	}
	var left graph.Dim
	if k, ok := dimAt(in[1], 2).Value(); ok {
		if k < 1 {
			return nil, errors.New("input 1: the kernel is empty")
		}
		left = graph.Fixed(k - 1)
	}
	d := in[0].DType
	return []graph.Type{
		graph.Of(d, dimAt(in[0], 0), dimAt(in[0], 1), dimAt(in[0], 2)),
		graph.Of(d, dimAt(in[0], 0), dimAt(in[0], 1), left),
	}, nil
}

// Cost counts k products for each element.
func (o CausalConvWithState) Cost(in, _ []graph.Type) graph.Cost {
	n, _ := graph.SizeOf(in[0].Shape).Value()
	k, _ := dimAt(graph.Fact{Type: in[1]}, 2).Value()
	return graph.Cost{MACs: int64(n) * int64(k)}
}

func (o CausalConvWithState) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	in = allInputs(in, 4)
	if len(in[0].Shape) != 3 || len(in[1].Shape) != 3 || in[1].Shape[2] < 1 {
		return fmt.Errorf("input of shape %v and weights of shape %v", in[0].Shape, in[1].Shape)
	}
	batch, channels, length, k := in[0].Shape[0], in[0].Shape[1], in[0].Shape[2], in[1].Shape[2]
	err := errors.Join(wantShape("weight", in[1], channels, 1, k), wantShape("bias", in[2], channels),
		wantShape("past_state", in[3], batch, channels, k-1))
	if err != nil {
		return err
	}
	v, w := tensor.Float64s(in[0]), tensor.Float64s(in[1])
	bias, past := make([]float64, channels), make([]float64, batch*channels*(k-1))
	if in[2] != nil {
		bias = tensor.Float64s(in[2])
	}
	if in[3] != nil {
		past = tensor.Float64s(in[3])
	}
	y, state := make([]float64, len(v)), make([]float64, len(past))
	line := make([]float64, k-1+length)
	for i := range batch * channels {
		c := i % channels
		copy(line, past[i*(k-1):(i+1)*(k-1)])
		copy(line[k-1:], v[i*length:(i+1)*length])
		for t := range length {
			sum := bias[c]
			for j := range k {
				sum += line[t+j] * w[c*k+j]
			}
			if o.Activation != "none" {
				sum = swish(sum, 1)
			}
			y[i*length+t] = sum
		}
		copy(state[i*(k-1):(i+1)*(k-1)], line[length:])
	}
	for i, r := range [][]float64{y, state} {
		shape := []int{batch, channels, []int{length, k - 1}[i]}
		if i < len(out) && out[i] != nil {
			if err := tensor.SetFloat64s(x.Make(out[i], in[0].DType, shape...), r); err != nil {
				return err
			}
		}
	}
	return nil
}
