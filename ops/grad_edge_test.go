package ops

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// TestGradientsAtTheEdge calls Grad where nothing flows and where shapes are unknown: nothing may come of the one, and the
// other may fail, but with an error.
func TestGradientsAtTheEdge(t *testing.T) {
	for name, examples := range gradients {
		for _, e := range examples {
			for _, kind := range []string{"nothing flows", "symbolic", "unknown rank"} {
				t.Run(fmt.Sprintf("%s/%s/%s", name, e.name, kind), func(t *testing.T) { checkEdge(t, e, kind) })
			}
		}
	}
}

func checkEdge(t *testing.T, e gradExample, kind string) {
	n := &graph.Node{Name: "n", Op: e.op}
	for i, x := range e.in {
		var v *graph.Value
		if x != nil {
			v = graph.NewInput(fmt.Sprintf("in%d", i), graph.TypeOf(x))
			switch kind {
			case "nothing flows":
				v.Const = x
			case "symbolic":
				for d := range v.Shape {
					v.Shape[d] = graph.Named(fmt.Sprintf("d%d_%d", i, d))
				}
			case "unknown rank":
				v.Shape, v.Unranked = nil, true
			}
		}
		n.In = append(n.In, v)
	}
	for i := range max(e.outs, 1) {
		n.Out = append(n.Out, &graph.Value{Name: fmt.Sprintf("out%d", i), Def: n, Fact: graph.Fact{Type: graph.AnyRank(0)}})
	}
	if err := graph.InferNode(n); err != nil {
		t.Fatal(err)
	}
	dOut := make([]*graph.Value, len(n.Out))
	for i, v := range n.Out {
		if kind != "nothing flows" && v.DType.IsFloat() {
			dOut[i] = graph.NewInput(fmt.Sprintf("d%d", i), v.Type)
		}
	}
	b := graph.NewBuilder(&graph.Graph{Name: "edge", Nodes: []*graph.Node{n}})
	grads := e.op.(graph.Differentiable).Grad(b, n, dOut)
	if len(grads) != len(n.In) {
		t.Errorf("Grad gives %d values for %d inputs", len(grads), len(n.In))
	}
	if kind != "nothing flows" {
		return
	}
	if b.Err != nil {
		t.Error(b.Err)
	}
	for i, v := range grads {
		if v != nil {
			t.Errorf("input %d has a gradient where nothing flows", i)
		}
	}
}

// TestNoGradient has what must be refused by name.
func TestNoGradient(t *testing.T) {
	x, seed := spread(1, 3, 3), 1
	for _, c := range []struct {
		reason string
		op     graph.Op
		in     []*tensor.Tensor
	}{
		{"reduction mul", ScatterElements{Reduction: "mul"}, tensors(x, shaped([]int{1, 1}, int64(0)), spread(2, 1, 1))},
		{"reduction max", ScatterND{Reduction: "max"}, tensors(x, shaped([]int{1, 1}, int64(0)), spread(2, 1, 3))},
		{"of a diagonal", Einsum{Equation: "ii->i"}, tensors(x)},
		{"not constant", Dropout{Seed: &seed}, tensors(x, vec(0.5), vec(true))},
		{"axes are not constant", ReduceSum{Keepdims: true}, tensors(x, vec[int64](0))},
		{"bounds are not constant", Slice{}, tensors(x, vec[int64](0), vec[int64](1))},
		{"pads are not constant", Pad{Mode: "constant"}, tensors(x, vec[int64](0, 0, 1, 1))},
		{"unknown approximation", Gelu{Approximate: "sinh"}, tensors(x)},
	} {
		t.Run(c.reason, func(t *testing.T) {
			n := &graph.Node{Name: "n", Op: c.op}
			for i, x := range c.in {
				n.In = append(n.In, graph.NewInput(fmt.Sprint(i), graph.TypeOf(x)))
			}
			out := &graph.Value{Name: "out", Def: n, Fact: graph.Fact{Type: graph.AnyRank(0)}}
			n.Out = append(n.Out, out)
			if err := graph.InferNode(n); err != nil {
				t.Fatal(err)
			}
			b := graph.NewBuilder(&graph.Graph{Name: "refused", Nodes: []*graph.Node{n}})
			c.op.(graph.Differentiable).Grad(b, n, []*graph.Value{graph.NewInput("d", out.Type)})
			if b.Err == nil || !strings.Contains(b.Err.Error(), c.reason) {
				t.Errorf("error %v", b.Err)
			}
		})
	}
}
