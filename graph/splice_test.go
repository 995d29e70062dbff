package graph_test

import (
	"context"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	_ "github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// TestSplice puts one body twice into a graph whose names it shares, and one output that is an input.
func TestSplice(t *testing.T) {
	parse := func(text string) *graph.Graph {
		g, err := graph.Parse(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	body := parse(`graph "body" {
  opset "" 18
  input a: float32[2]
  input b: float32[2]
  const two: float32[] = {2}
  m: float32[2] = Mul(a, two) "node"
  s: float32[2] = Add(m, b) "node2"
  output s
  output b
}`)
	before := body.String()
	g := parse(`graph "outer" {
  opset "" 18
  input a: float32[2]
  m: float32[2] = Neg(a) "node"
  output m
}`)
	b := graph.NewBuilder(g)
	m := g.Outputs[0]
	first, err := b.Splice(body, g.Inputs[0], m)
	if err != nil {
		t.Fatal(err)
	}
	second, err := b.Splice(body, first...)
	if err != nil {
		t.Fatal(err)
	}
	if g.Outputs = second[:1]; second[1] != m {
		t.Errorf("an output that is an input is %q, want the argument %q", second[1].Name, m.Name)
	}
	if err := g.Infer(); err != nil {
		t.Fatal(err)
	}
	if err := g.Check(); err != nil { // names among others
		t.Fatal(err)
	}
	out, err := graph.Eval(context.Background(), g, []*tensor.Tensor{tensor.From([]float32{1, 3}, 2)})
	if err != nil {
		t.Fatal(err)
	}
	if y := tensor.Floats(out[0]); y[0] != 1 || y[1] != 3 { // 2(2x - x) - x
		t.Errorf("got %v, want 1 3", y)
	}
	if body.String() != before {
		t.Error("the body changed")
	}
	if _, err := b.Splice(body, m); err == nil {
		t.Error("one argument for two inputs is taken")
	}
}
