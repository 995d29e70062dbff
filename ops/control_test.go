package ops

import (
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// body builds a graph: build gives the outputs from the inputs.
func body(inputs []*graph.Value, captures int, build func(b *graph.Builder, in []*graph.Value) []*graph.Value) *graph.Graph {
	g := &graph.Graph{Name: "body", Inputs: inputs, Captures: captures}
	g.Outputs = build(graph.NewBuilder(g), inputs)
	return g
}

func floatInput(name string, shape ...graph.Dim) *graph.Value {
	return graph.NewInput(name, graph.Of(tensor.Float32, shape...))
}

// anyFloats is a body's input before its node has told the type.
func anyFloats(name string) *graph.Value { return graph.NewInput(name, graph.AnyRank(tensor.Float32)) }

// pass gives a capture to the outside.
func pass(_ *graph.Builder, in []*graph.Value) []*graph.Value { return in[len(in)-1:] }

func loopInputs() []*graph.Value {
	return []*graph.Value{graph.NewInput("i", graph.Of(tensor.Int64)), graph.NewInput("go", graph.Of(tensor.Bool)), anyFloats("x"), anyFloats("captured")}
}

// grow appends the captured vector to the variable and scans it; the loop ends when the iteration's number is no longer
// true as a condition would have it: the condition is passed on.
func grow(b *graph.Builder, in []*graph.Value) []*graph.Value {
	return []*graph.Value{in[1], b.Add("grown", Concat{}, in[2], in[3]), b.Add("seen", Relu{}, in[3])}
}

func init() {
	yes, no := tensor.Scalar(true), tensor.Scalar(false)
	v := vec[float32](1, -2)
	branch := If{
		Then: body([]*graph.Value{anyFloats("a"), anyFloats("b")}, 2, func(b *graph.Builder, in []*graph.Value) []*graph.Value {
			return []*graph.Value{b.Add("r", Relu{}, in[0])}
		}),
		Else: body([]*graph.Value{anyFloats("c"), anyFloats("d")}, 2, pass),
	}
	register(branch, opCase{name: "then", in: tensors(yes, v, six()), out: tensors(vec[float32](1, 0))},
		opCase{name: "else", in: tensors(no, v, six()), out: tensors(six())})

	loop := Loop{Body: body(loopInputs(), 1, grow)}
	register(loop, opCase{
		in:  tensors(tensor.Scalar(int64(2)), nil, vec[float32](7), v),
		out: tensors(vec[float32](7, 1, -2, 1, -2), shaped([]int{2, 2}, float32(1), 0, 1, 0)),
	},
		opCase{name: "not once", in: tensors(nil, no, vec[float32](7), v), out: tensors(vec[float32](7), nil)})

	// The body swaps its variable for the slice and emits what the variable was.
	swap := func() *graph.Graph {
		return body([]*graph.Value{anyFloats("state"), anyFloats("slice")}, 0, func(_ *graph.Builder, in []*graph.Value) []*graph.Value {
			return []*graph.Value{in[1], in[0]}
		})
	}
	register(Scan{Body: swap(), NumScan: 1}, opCase{
		in:  tensors(shaped([]int{3}, float32(9), 9, 9), six()),
		out: tensors(vec[float32](3, 4, 5), shaped([]int{2, 3}, float32(9), 9, 9, 0, 1, 2)),
	})
	register(Scan{Body: swap(), NumScan: 1, InAxes: []int{-1}, InDirections: []int{1}, OutAxes: []int{1}, OutDirections: []int{1}},
		opCase{
			name: "backwards", in: tensors(vec[float32](9, 9), six()),
			out: tensors(vec[float32](0, 3), shaped([]int{2, 3}, float32(1), 2, 9, 4, 5, 9)),
		})

	register(SequenceMap{Body: body([]*graph.Value{anyFloats("item"), anyFloats("other")}, 0,
		func(b *graph.Builder, in []*graph.Value) []*graph.Value {
			return []*graph.Value{b.Add("joined", Concat{}, in[0], in[1])}
		})}, opCase{in: tensors(list(v, v), vec[float32](5)), out: tensors(list(vec[float32](1, -2, 5), vec[float32](1, -2, 5)))})
}

// list is a sequence.
func list(items ...*tensor.Tensor) *tensor.Tensor {
	return &tensor.Tensor{DType: tensor.Sequence, Items: items}
}

func TestLoopVariableThatGrows(t *testing.T) {
	l := Loop{Body: body(loopInputs(), 1, grow)}
	in := []graph.Fact{{}, {}, {Type: graph.Of(tensor.Float32, graph.Fixed(1))}, {Type: graph.Of(tensor.Float32, graph.Fixed(2))}}
	for range 2 { // the second inference finds what the first left behind
		types, err := l.Infer(in, 2)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := types[0].String(), types[1].String(); a != "float32[?]" || b != "float32[?,2]" {
			t.Errorf("got %s and %s, want float32[?] and float32[?,2]", a, b)
		}
		if got := l.Body.Inputs[2].Type.String(); got != "float32[?]" {
			t.Errorf("the body's variable is %s, want float32[?]", got)
		}
	}
}

// TestIfWithOneImpossibleBranch is the squeeze that exporters write: one branch fits, whatever the condition says.
func TestIfWithOneImpossibleBranch(t *testing.T) {
	op := If{
		Then: body([]*graph.Value{floatInput("a")}, 1, func(b *graph.Builder, in []*graph.Value) []*graph.Value {
			return []*graph.Value{b.Add("s", Squeeze{}, in[0], b.Const("axes", vec[int64](0)))}
		}),
		Else: body([]*graph.Value{floatInput("b")}, 1, pass),
	}
	types, err := op.Infer([]graph.Fact{{Type: graph.Of(tensor.Bool)}, {Type: graph.Of(tensor.Float32, graph.Fixed(5))}}, 1)
	if err != nil || types[0].String() != "float32[5]" {
		t.Errorf("got %v, %v, want float32[5]", types, err)
	}
}

func TestBodiesThatDoNotFit(t *testing.T) {
	short := body([]*graph.Value{floatInput("a")}, 1, pass)
	for name, c := range map[string]struct {
		op   graph.Op
		in   []graph.Fact
		want string
	}{
		"no captures given":  {If{Then: short, Else: short}, []graph.Fact{{Type: graph.Of(tensor.Bool)}}, "captured"},
		"loop without input": {Loop{Body: short}, nil, "0 inputs"},
		"scan without input": {Scan{Body: short, NumScan: 3}, []graph.Fact{{Type: graph.Of(tensor.Bool)}}, "inputs"},
		"variable of another type": {Loop{Body: body(loopInputs(), 1, func(_ *graph.Builder, in []*graph.Value) []*graph.Value {
			return []*graph.Value{in[1], in[0]}
		})}, []graph.Fact{{}, {}, {Type: graph.Of(tensor.Float32)}, {Type: graph.Of(tensor.Float32)}}, "becomes int64"},
	} {
		_, err := c.op.Infer(c.in, 1)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, c.want)
		}
	}
}
