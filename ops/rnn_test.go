package ops

import (
	"math"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// mustOp makes an operator with its defaults from attributes in pairs of name and value.
func mustOp(domain, name string, pairs ...any) graph.Op {
	var attrs []graph.Attr
	for i := 0; i < len(pairs); i += 2 {
		attrs = append(attrs, graph.Attr{Name: pairs[i].(string), Value: pairs[i+1]})
	}
	op, err := graph.NewOp(domain, name, attrs)
	if err != nil {
		panic(err)
	}
	return op
}

// of3 is a float32 tensor of rank 3.
func of3(a, b, c int, v ...float32) *tensor.Tensor { return shaped([]int{a, b, c}, v...) }

func init() {
	relu := []string{"Relu"}
	register(mustOp("", "RNN", "activations", relu),
		opCase{
			in:  tensors(of3(2, 1, 1, 1, 2), of3(1, 1, 1, .5), of3(1, 1, 1, 1)),
			out: tensors(shaped([]int{2, 1, 1, 1}, float32(.5), 1.5), of3(1, 1, 1, 1.5)),
		},
		opCase{
			name: "bias and state",
			in: tensors(of3(1, 1, 1, 1), of3(1, 1, 1, .5), of3(1, 1, 1, 1), shaped([]int{1, 2}, float32(1), 2), nil,
				of3(1, 1, 1, 10)),
			out: tensors(nil, of3(1, 1, 1, 13.5)),
		})
	register(mustOp("", "RNN", "activations", []string{"Relu", "Affine"}, "direction", "bidirectional", "layout", int64(1),
		"activation_alpha", []float32{2}),
		opCase{
			name: "lengths", // the first sequence has one step, the second two
			in:   tensors(of3(2, 2, 1, 1, 9, 1, 2), of3(2, 1, 1, .5, 1), of3(2, 1, 1, 1, 1), nil, vec[int32](1, 2)),
			out: tensors(shaped([]int{2, 2, 2, 1}, float32(.5), 2, 0, 0, .5, 10, 1.5, 4),
				of3(2, 2, 1, .5, 2, 1.5, 10)),
		})
	register(mustOp("", "RNN", "direction", "reverse"),
		opCase{
			name: "float64", tol: 1e-15,
			in:  tensors(shaped([]int{1, 1, 1}, 1.), shaped([]int{1, 1, 1}, .5), shaped([]int{1, 1, 1}, 0.)),
			out: tensors(shaped([]int{1, 1, 1, 1}, math.Tanh(.5))),
		})

	linear := []string{"Affine", "Affine"}
	gru := tensors(of3(1, 1, 1, 1), of3(1, 3, 1, .5, .5, 1), of3(1, 3, 1, 0, 0, 1),
		shaped([]int{1, 6}, float32(0), 0, 0, 0, 0, 1), nil, of3(1, 1, 1, 2))
	register(mustOp("", "GRU", "activations", linear),
		opCase{in: gru, out: tensors(shaped([]int{1, 1, 1, 1}, float32(2.5)), of3(1, 1, 1, 2.5))})
	register(mustOp("", "GRU", "activations", linear, "linear_before_reset", int64(1)),
		opCase{name: "linear before reset", in: gru, out: tensors(nil, of3(1, 1, 1, 2.25))})

	linear = []string{"Affine", "Affine", "Affine"}
	lstm := tensors(of3(1, 1, 1, 1), of3(1, 4, 1, .5, 1, .25, 2), of3(1, 4, 1, 0, 0, 0, 0), nil, nil, nil, of3(1, 1, 1, 4))
	register(mustOp("", "LSTM", "activations", linear),
		opCase{in: lstm, out: tensors(shaped([]int{1, 1, 1, 1}, float32(2)), of3(1, 1, 1, 2), of3(1, 1, 1, 2))},
		opCase{
			name: "peepholes", in: append(lstm[:7:7], shaped([]int{1, 3}, float32(.25), .5, 0)),
			out: tensors(nil, of3(1, 1, 1, 12), of3(1, 1, 1, 4)),
		})
	register(mustOp("", "LSTM", "activations", linear, "clip", float32(1)),
		opCase{name: "clip", in: lstm, out: tensors(nil, of3(1, 1, 1, 1.5), of3(1, 1, 1, 1.5))})
	register(mustOp("", "LSTM", "activations", linear, "input_forget", int64(1)),
		opCase{name: "coupled gates", in: lstm, out: tensors(nil, of3(1, 1, 1, 3), of3(1, 1, 1, 3))})
}

func TestCellActivations(t *testing.T) {
	for name, want := range map[string][2]float64{ // at -0.5 and 2
		"Relu": {0, 2}, "Tanh": {math.Tanh(-.5), math.Tanh(2)}, "Sigmoid": {.3775406687981454, .8807970779778823},
		"Affine": {-.5, 2}, "LeakyRelu": {-.005, 2}, "ThresholdedRelu": {0, 2}, "ScaledTanh": {math.Tanh(-.5), math.Tanh(2)},
		"HardSigmoid": {.4, .9}, "Elu": {math.Expm1(-.5), 2}, "Softsign": {-1. / 3, 2. / 3},
		"Softplus": {.4740769841801067, 2.1269280110429727},
	} {
		a := cellActivations[name]
		for i, x := range []float64{-.5, 2} {
			if got := a.f(x, a.alpha, a.beta); math.Abs(got-want[i]) > 1e-15 {
				t.Errorf("%s(%v) = %v, want %v", name, x, got, want[i])
			}
		}
	}
}

func TestRecurrentCost(t *testing.T) {
	in := []graph.Type{
		graph.Of(tensor.Float32, graph.Dims(3, 2, 5)...), graph.Of(tensor.Float32, graph.Dims(1, 16, 5)...),
		graph.Of(tensor.Float32, graph.Dims(1, 16, 4)...),
	}
	if got := mustOp("", "LSTM").(graph.Costed).Cost(in, nil).MACs; got != 3*2*16*(5+4) {
		t.Errorf("LSTM costs %d multiply-adds, want %d", got, 3*2*16*(5+4))
	}
}

func TestRecurrentRefuses(t *testing.T) {
	x, w, r := of3(1, 1, 1, 1), of3(1, 1, 1, 1), of3(1, 1, 1, 1)
	for name, c := range map[string]struct {
		op graph.Op
		in []*tensor.Tensor
	}{
		"two directions":     {mustOp("", "RNN", "direction", "bidirectional"), tensors(x, w, r)},
		"hidden size":        {mustOp("", "RNN", "hidden_size", int64(3)), tensors(x, w, r)},
		"a direction's name": {mustOp("", "RNN", "direction", "sideways"), tensors(x, w, r)},
		"gates":              {mustOp("", "GRU"), tensors(x, w, r)},
		"rank":               {mustOp("", "LSTM"), tensors(vec[float32](1), w, r)},
	} {
		facts := []graph.Fact{graph.FactOf(c.in[0]), graph.FactOf(c.in[1]), graph.FactOf(c.in[2])}
		if types, err := c.op.Infer(facts, 1); err == nil {
			t.Errorf("%s: Infer gives %v, want an error", name, types)
		}
		if name == "hidden size" {
			continue
		}
		if err := graph.RunKernel(&graph.Exec{}, c.op, c.in, []*tensor.Tensor{{}}); err == nil {
			t.Errorf("%s: Run succeeds", name)
		}
	}
}
