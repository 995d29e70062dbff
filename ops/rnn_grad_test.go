package ops

import (
	"math"
	"testing"

	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	x, w, r := of3(2, 1, 1, 1, 2), of3(1, 1, 1, .5), of3(1, 1, 1, 3)
	// h1 = .5·1, h2 = .5·2 + 3·h1; the gradient of h1 is 10 + 3·100.
	register(mustOp("tfsopt", "RNNGrad", "activations", []string{"Affine"}), opCase{
		in: tensors(x, w, r, nil, nil, nil, shaped([]int{2, 1, 1, 1}, []float32{10, 100}...)),
		out: tensors(of3(2, 1, 1, 155, 50), of3(1, 1, 1, 310+200), of3(1, 1, 1, 50),
			shaped([]int{1, 2}, []float32{410, 410}...), of3(1, 1, 1, 930)),
	}, opCase{
		name: "last state", in: tensors(x, w, r, nil, nil, of3(1, 1, 1, 0), nil, of3(1, 1, 1, 100)),
		out: tensors(of3(2, 1, 1, 150, 50), nil, nil, nil, of3(1, 1, 1, 900)),
	})
	linear := []string{"Affine", "Affine"}
	// z = r = .5, the candidate 1 + r·2 + 1 = 3 and h = .5·3 + z·2: its gradient by z is 2 - 3, by the candidate .5, by r .5·2.
	register(mustOp("tfsopt", "GRUGrad", "activations", linear), opCase{
		in: tensors(of3(1, 1, 1, 1), of3(1, 3, 1, .5, .5, 1), of3(1, 3, 1, 0, 0, 1), shaped([]int{1, 6}, []float32{0, 0, 0, 0, 0, 1}...), nil,
			of3(1, 1, 1, 2), shaped([]int{1, 1, 1, 1}, []float32{1}...)),
		out: tensors(of3(1, 1, 1, -.5+.5+.5), of3(1, 3, 1, -1, 1, .5), of3(1, 3, 1, -2, 2, .5),
			shaped([]int{1, 6}, []float32{-1, 1, .5, -1, 1, .5}...), of3(1, 1, 1, .5+.25)),
	})
	linear = []string{"Affine", "Affine", "Affine"}
	// i = .5, o = 1, f = .25, g = 2, c = 4·f + i·g = 2, h = o·c; the gradient of c is o + 10.
	register(mustOp("tfsopt", "LSTMGrad", "activations", linear), opCase{
		in: tensors(of3(1, 1, 1, 1), of3(1, 4, 1, .5, 1, .25, 2), of3(1, 4, 1, 0, 0, 0, 0), nil, nil, nil, of3(1, 1, 1, 4), nil,
			nil, of3(1, 1, 1, 1), of3(1, 1, 1, 10)),
		out: tensors(of3(1, 1, 1, 11+2+11+11), of3(1, 4, 1, 22, 2, 44, 5.5), of3(1, 4, 1, 0, 0, 0, 0),
			shaped([]int{1, 8}, []float32{22, 2, 44, 5.5, 22, 2, 44, 5.5}...), of3(1, 1, 1, 0), of3(1, 1, 1, 2.75),
			shaped([]int{1, 3}, []float32{88, 4, 176}...)),
	})
	registerRecurrentGradients()
}

// small is spread in (-1, 1).
func small(seed uint64, shape ...int) *tensor.Tensor { return within(seed, -1, 1, shape...) }

func registerRecurrentGradients() {
	for _, k := range []struct {
		name               string
		gates, outs        int
		activations, extra []any
	}{
		{"RNN", 1, 2, []any{"activations", []string{"ScaledTanh", "Elu"}, "activation_alpha", []float32{1.5, .5}, "activation_beta", []float32{.5}}, []any{"activations", []string{"Sigmoid"}}},
		{"GRU", 3, 2, []any{"activations", []string{"HardSigmoid", "Softsign", "Sigmoid", "Affine"}, "activation_alpha", []float32{.3, .4}}, []any{"linear_before_reset", int64(1)}},
		{"LSTM", 4, 3, []any{"activations", []string{"Sigmoid", "Softplus", "Tanh", "Sigmoid", "Tanh", "LeakyRelu"}}, []any{"input_forget", int64(1)}},
	} {
		for _, v := range []struct {
			name string
			dirs int
			list []any
		}{
			{"forward", 1, nil},
			{"reverse", 1, []any{"direction", "reverse"}},
			{"both", 2, []any{"direction", "bidirectional", "layout", int64(1)}},
			{"activations", 2, append([]any{"direction", "bidirectional"}, k.activations...)},
			{"variant", 1, k.extra},
			{"clip", 1, []any{"clip", float32(.3)}},
		} {
			op := mustOp("", k.name, v.list...)
			states := []int{v.dirs, 2, 3}
			if v.name == "both" {
				states = []int{2, v.dirs, 3}
			}
			in := tensors(small(1, 4, 2, 2), small(2, v.dirs, k.gates*3, 2), small(3, v.dirs, k.gates*3, 3))
			if v.name == "both" {
				in[0] = small(1, 2, 4, 2)
			}
			full := append(in[:3:3], small(4, v.dirs, 2*k.gates*3), vec[int32](2, 4), small(5, states...))
			if k.name == "LSTM" {
				full = append(full, small(6, states...), small(7, v.dirs, 9))
			}
			gradCases(op, gradCase{name: v.name, in: in}, gradCase{name: v.name + ", all inputs", in: full, outs: k.outs})
		}
	}
}

func TestCellSlopes(t *testing.T) {
	for name, a := range cellActivations {
		for _, v := range []float64{-3.1, -.7, .4, 1.3, 2.9} {
			const h = 1e-6
			want := (a.f(v+h, a.alpha, a.beta) - a.f(v-h, a.alpha, a.beta)) / (2 * h)
			if got := a.slope(v, a.f(v, a.alpha, a.beta), a.alpha, a.beta); math.Abs(got-want) > 1e-8 {
				t.Errorf("%s has slope %v at %v, differences give %v", name, got, v, want)
			}
		}
	}
}
