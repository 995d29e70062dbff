package quantize_test

import (
	"context"
	"testing"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/quantize"
	"github.com/tfsopt/tfsopt/tensor"
)

const stack = `graph "stack" {
  opset "" 17
  input x: float32[1,3,24]
  const w: float32[24,32] = {random}
  const v: float32[32,16] = {random}
  const u: float32[16,12] = {random}
  a: float32[1,3,32] = MatMul(x, w) "first"
  s: float32[1,3,32] = Tanh(a) "act"
  b: float32[1,3,16] = MatMul(s, v) "second"
  t: float32[1,3,16] = Tanh(b) "act2"
  y: float32[1,3,12] = MatMul(t, u) "third"
  output y
}`

// TestIntegerProducts checks that products before a watched layer, which add up integers, give what the written graph
// gives.
func TestIntegerProducts(t *testing.T) {
	g := parse(t, stack)
	set := data.Random(inputs(g), 6, 3)
	watched, written := quantize.Watched(t, g, set)
	if have := count(watched); have["MatMulInteger"] != 2 || have["MatMul"] != 1 {
		t.Errorf("operators while one layer is watched: %v", have)
	}
	for i := range set.Len() {
		s, err := set.Sample(i)
		if err != nil {
			t.Fatal(err)
		}
		want, err := graph.Eval(context.Background(), written, s.In)
		if err != nil {
			t.Fatal(err)
		}
		got, err := graph.Eval(context.Background(), watched, s.In)
		if err != nil {
			t.Fatal(err)
		}
		if d := sqnr(tensor.Floats(want[0]), tensor.Floats(got[0])); d < 100 {
			t.Errorf("sample %d: watched and written differ: %.1f dB", i, d)
		}
	}
}
