package quantize_test

import (
	"context"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/quantize"
	"github.com/tfsopt/tfsopt/tensor"
)

// spectrum squares and takes the logarithm of a product, as front ends for sound do.
const spectrum = `graph "spectrum" {
  opset "" 17
  input x: float32[1,16]
  const w: float32[16,32] = {random}
  const small: float32[] = {1e-6}
  const v: float32[32,8] = {random}
  a: float32[1,32] = MatMul(x, w) "transform"
  p: float32[1,32] = Mul(a, a) "power"
  s: float32[1,32] = Add(p, small) "floor"
  l: float32[1,32] = Log(s) "log"
  y: float32[1,8] = MatMul(l, v) "net"
  output y
}`

// TestLogarithm checks that what a logarithm of wide inputs reads is computed in float, with integer weights, and that one
// that undoes an exponential changes nothing.
func TestLogarithm(t *testing.T) {
	quantized := func(text string) *quantize.Result {
		g := parse(t, text)
		w := tensor.Floats(g.Value("w").Const)
		for i := range w { // frequencies of very different power
			for range i % 8 {
				w[i] /= 4
			}
		}
		r, err := quantize.Quantize(context.Background(), g, data.Random(inputs(g), 8, 5), quantize.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := quantized(spectrum)
	reads := func(r *quantize.Result, name string) string {
		for _, n := range r.Graph.Nodes {
			if n.Name == name {
				return n.In[0].Def.OpName()
			}
		}
		return ""
	}
	if def := r.Graph.Value("a").Def; def.Name != "transform" || def.In[0].Def != nil || def.In[1].Def.OpName() != "DequantizeLinear" {
		t.Errorf("the transform does not compute in float with integer weights\n%s", structure(r.Graph))
	}
	if reads(r, "net") != "DequantizeLinear" {
		t.Errorf("the product after the logarithm is float\n%s", structure(r.Graph))
	}
	if len(r.Outputs) != 1 || r.Outputs[0].SQNR < 25 || !strings.Contains(strings.Join(r.Warnings, " "), `before "log" (Log) compute in float`) {
		t.Errorf("%+v, warnings %q", r.Outputs, r.Warnings)
	}
	r = quantized(strings.NewReplacer("Mul(a, a)", "Softmax(a)").Replace(spectrum))
	if reads(r, "transform") != "DequantizeLinear" {
		t.Errorf("an exponential stands between, yet the product is float\n%s", structure(r.Graph))
	}
}

// TestLeft checks that what stays float is told with its reason and its share.
func TestLeft(t *testing.T) {
	g := parse(t, `graph "left" {
  opset "" 17
  input x: float32[1,32]
  const w: float32[32,32] = {random}
  const shift: float32[32,32] = {random}
  const v: float32[32,64] = {random}
  a: float32[1,32] = MatMul(x, w) "first"
  b: float32[32,32] = Add(a, shift) "add"
  y: float32[32,64] = MatMul(b, v) "second"
  output y
}`)
	r, err := quantize.Quantize(context.Background(), g, nil, quantize.Options{Mode: "weight-only", Exclude: []string{"second"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []quantize.Left{
		{Name: "v", Node: "second", Op: "MatMul", Why: `"second" is excluded`, Bytes: 8192},
		{Name: "shift", Node: "add", Op: "Add", Why: "Add computes with it element by element", Bytes: 4096},
	}
	total, _ := constants(r.Graph)
	for i, l := range r.Left {
		if i >= len(want) {
			t.Fatalf("%+v", r.Left)
		}
		want[i].Share = 100 * float64(want[i].Bytes) / float64(total)
		if l != want[i] {
			t.Errorf("%+v, want %+v", l, want[i])
		}
	}
	if len(r.Left) != 2 || !strings.Contains(strings.Join(r.Warnings, " "), `91 % of the constants stay float: "v", `) {
		t.Errorf("%+v, warnings %q", r.Left, r.Warnings)
	}
}
