package engine

import (
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/optimize"
	"github.com/tfsopt/tfsopt/tensor"
)

const drawing = `graph "draws" {
  opset "" 17
  input x: float32[3]
  const n: int64[] = {3}
  const go: bool[] = {true}
  a = RandomNormal() {shape=[3]}
  b = RandomNormal() {shape=[3]}
  c = Add(x, a)
  d = Add(x, b)
  e = Loop(n, go) {body=graph "body" {
    input i: int64[]
    input on: bool[]
    same = Identity(on)
    r = RandomUniform() {shape=[2]}
    output same
    output r
  }}
  output c
  output d
  output e
}
`

// TestDraws runs nodes without a seed: each draws numbers of its own, in a loop others each time, the same from run to run,
// in the reference and the engine, before and after passes, and others for another seed.
func TestDraws(t *testing.T) {
	g, err := graph.Parse(strings.NewReader(drawing))
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Infer(); err != nil {
		t.Fatal(err)
	}
	in := []*tensor.Tensor{tensor.New(tensor.Float32, 3)}
	want, err := graph.Eval(t.Context(), g, in)
	if err != nil {
		t.Fatal(err)
	}
	if want[0].Equal(want[1]) {
		t.Errorf("two nodes draw the same: %v", tensor.Float64s(want[0]))
	}
	if v := tensor.Float64s(want[2]); len(v) != 6 || v[0] == v[2] || v[2] == v[4] {
		t.Errorf("rounds of a loop draw the same: %v", v)
	}
	optimized := g.Clone()
	if _, err := optimize.Default().Run(t.Context(), optimized, nil); err != nil {
		t.Fatal(err)
	}
	for name, g := range map[string]*graph.Graph{"as it is": g, "optimized": optimized} {
		p, err := Compile(t.Context(), g, Options{Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		for _, c := range []struct {
			seed uint64
			same bool
		}{{0, true}, {7, false}, {0, true}} {
			call := &Call{In: in, Seed: c.seed}
			if err := p.Run(t.Context(), call); err != nil {
				t.Fatal(err)
			}
			for i := range want {
				if call.Out[i].Equal(want[i]) != c.same {
					t.Errorf("%s, seed %d, output %d: %v, the reference with seed 0 draws %v", name, c.seed, i, tensor.Float64s(call.Out[i]), tensor.Float64s(want[i]))
				}
			}
		}
	}
}
