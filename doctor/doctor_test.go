package doctor_test

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/doctor"
	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/graph"
	_ "github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// clean is a model of two integer layers; each case of TestFindings breaks one thing in it.
const clean = `graph "clean" {
  opset "" 21
  input x: float32[1,4]
  const sx: float32[] = {0.01}
  const zx: uint8[] = {0}
  xq: uint8[1,4] = QuantizeLinear(x, sx, zx) "xq"
  xd: float32[1,4] = DequantizeLinear(xq, sx, zx) "xd"
  const v: int8[2,4] = {100, -100, 20, 30, -70, 70, 5, -5}
  const sv: float32[] = {0.5}
  const zv: int8[] = {0}
  vd: float32[2,4] = DequantizeLinear(v, sv, zv) "vd"
  const b: int32[2] = {10, -10}
  const sb: float32[] = {0.005}
  bd: float32[2] = DequantizeLinear(b, sb) "bd"
  h: float32[1,2] = Gemm(xd, vd, bd) {transB=1} "first"
  const sh: float32[] = {0.02}
  const zh: uint8[] = {128}
  hq: uint8[1,2] = QuantizeLinear(h, sh, zh) "hq"
  hd: float32[1,2] = DequantizeLinear(hq, sh, zh) "hd"
  const w: int8[2,2] = {100, 90, -100, 3}
  const sw: float32[] = {0.25}
  const zw: int8[] = {0}
  wd: float32[2,2] = DequantizeLinear(w, sw, zw) "wd"
  y: float32[1,2] = MatMul(hd, wd) "second"
  const sy: float32[] = {0.02}
  const zy: uint8[] = {128}
  yq: uint8[1,2] = QuantizeLinear(y, sy, zy) "yq"
  yd: float32[1,2] = DequantizeLinear(yq, sy, zy) "yd"
  output yd
}`

func parse(t *testing.T, text string) *graph.Graph {
	t.Helper()
	g, err := graph.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func ids(r *doctor.Report) []string {
	var out []string
	for _, f := range r.Findings {
		out = append(out, f.ID+" "+f.Layer)
	}
	return out
}

func examine(t *testing.T, g *graph.Graph, s doctor.Samples) *doctor.Report {
	t.Helper()
	r, err := doctor.Examine(context.Background(), g, "m.onnx", s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestFindings breaks the clean model, which has no finding, in one place at a time.
func TestFindings(t *testing.T) {
	if r := examine(t, parse(t, clean), doctor.Samples{}); len(r.Findings) > 0 {
		t.Fatalf("the clean model: %v", r.Findings)
	}
	for _, c := range []struct {
		old, new string
		want     string
		mended   bool
	}{
		{"{100, -100, 20, 30,", "{100, 100, 20, 30,", "saturation first", true},
		{"DequantizeLinear(w, sw, zw)", "DequantizeLinear(w, sw, zv)", "shared-constant second", true},
		{"{0.005}", "{0.006}", "bias-scale first", true},
		{"sh: float32[] = {0.02}\n  const zh: uint8[] = {128}", "sh: float32[1] = {0.02}\n  const zh: uint8[1] = {128}", "scale-shape hq", true},
		{"const sw: float32[] = {0.25}", "const sw: float32[] = {0}", "scale-value wd", false},
		{"const sw: float32[] = {0.25}", "const sw: float32[] = {1e-40}", "scale-value wd", false},
		{"b: int32[2] = {10,", "b: int32[2] = {2147483000,", "bias-overflow first", false},
		{"{100, -100, 20, 30, -70, 70, 5, -5}", "{100, -100, 20, 30, 0, 0, 0, 0}", "dead-channels first", false},
		{"Gemm(xd, vd, bd)", "Gemm(x, vd, bd)", "unfused first", false},
		{"w: int8[2,2] = {100, 90, -100, 3}\n", "w: float32[2,2] = {100, 90, -100, 3}\n", "float-layer second", false},
	} {
		text := strings.Replace(clean, c.old, c.new, 1)
		if c.want == "float-layer second" {
			text = strings.Replace(text, "MatMul(hd, wd)", "MatMul(hd, w)", 1)
			text = strings.Replace(text, "  wd: float32[2,2] = DequantizeLinear(w, sw, zw) \"wd\"\n", "", 1)
		}
		if text == clean {
			t.Fatalf("%s: %q is not in the clean model", c.want, c.old)
		}
		g := parse(t, text)
		r := examine(t, g, doctor.Samples{})
		if !slices.Contains(ids(r), c.want) || len(r.Findings) > 1 && c.want != "float-layer second" {
			t.Errorf("want %q alone, got %q", c.want, ids(r))
		}
		before := g.String()
		m, err := doctor.Mend(context.Background(), g, doctor.Samples{})
		if err != nil {
			t.Fatalf("%s: %v", c.want, err)
		}
		if g.String() != before {
			t.Errorf("%s: Mend changed the examined graph", c.want)
		}
		if mended := !slices.Contains(ids(examine(t, m, doctor.Samples{})), c.want); mended != c.mended {
			t.Errorf("%s: mended %v, want %v", c.want, mended, c.mended)
		}
	}
}

// TestRange feeds random values to an input that takes -0.1 to 0.1, and to one that takes -6.4 to 6.35.
func TestRange(t *testing.T) {
	ranged := func(scale, zero string) *graph.Graph {
		text := strings.Replace(clean, "sx: float32[] = {0.01}", "sx: float32[] = {"+scale+"}", 1)
		text = strings.Replace(text, "sb: float32[] = {0.005}", "sb: float32[] = {0.1}", 1)
		return parse(t, strings.Replace(text, "zx: uint8[] = {0}", "zx: uint8[] = {"+zero+"}", 1))
	}
	g := ranged("0.0008", "128")
	set := data.Random([]data.Input{{Name: "x", DType: g.Inputs[0].DType, Shape: []int{1, 4}}}, 20, 3)
	r := examine(t, g, doctor.Samples{Set: set})
	if !slices.Contains(ids(r), "range xq") {
		t.Errorf("no range finding: %v", ids(r))
	}
	if r := examine(t, ranged("0.0005", "0"), doctor.Samples{Set: set}); !slices.Contains(ids(r), "range xq") {
		t.Errorf("no range finding of positive values that are clipped: %v", ids(r))
	}
	if r := examine(t, ranged("4", "128"), doctor.Samples{Set: set}); !slices.Contains(ids(r), "range xq") {
		t.Errorf("no range finding of values that use little: %v", ids(r))
	}
	if r := examine(t, ranged("0.05", "128"), doctor.Samples{Set: set}); slices.Contains(ids(r), "range xq") {
		t.Errorf("a range that fits: %v", r.Findings)
	}
}

// TestMendKeepsAnswers compares the mended model with the examined one.
func TestMendKeepsAnswers(t *testing.T) {
	g := parse(t, strings.Replace(clean, "DequantizeLinear(w, sw, zw)", "DequantizeLinear(w, sw, zv)", 1))
	set := data.Random([]data.Input{{Name: "x", DType: g.Inputs[0].DType, Shape: []int{1, 4}}}, 20, 3)
	m, err := doctor.Mend(context.Background(), g, doctor.Samples{Set: set})
	if err != nil {
		t.Fatal(err)
	}
	d, err := doctor.Compare(context.Background(), g, m, doctor.Samples{Set: set})
	if err != nil || d.Samples != 20 || d.SQNR != nil || d.Agreement == nil || *d.Agreement != 100 {
		t.Errorf("%+v, %v", d, err)
	}
}

// TestMendOverflow mends a row with a step so small that its bias nearly fills int32.
func TestMendOverflow(t *testing.T) {
	text := strings.NewReplacer(
		"sv: float32[] = {0.5}", "sv: float32[2] = {1e-6, 0.5}", "zv: int8[] = {0}", "zv: int8[2] = {0, 0}",
		"(v, sv, zv)", "(v, sv, zv) {axis=0}",
		"b: int32[2] = {10,", "b: int32[2] = {2147483000,", "sb: float32[] = {0.005}", "sb: float32[2] = {1e-8, 0.005}",
		"(b, sb)", "(b, sb) {axis=0}", "sh: float32[] = {0.02}", "sh: float32[] = {0.2}", "output yd", "output hd",
	).Replace(clean)
	g := parse(t, text)
	if got := ids(examine(t, g, doctor.Samples{})); !slices.Equal(got, []string{"bias-overflow first"}) {
		t.Fatalf("before: %v", got)
	}
	m, err := doctor.Mend(context.Background(), g, doctor.Samples{})
	if err != nil {
		t.Fatal(err)
	}
	if got := ids(examine(t, m, doctor.Samples{})); len(got) > 0 {
		t.Errorf("after: %v", got)
	}
	if before, after := first(t, g), first(t, m); before > 0 || math.Abs(after-21.4) > 0.1 {
		t.Errorf("before: %v, want a sum that wrapped around; after: %v, want the 21.4 that the file means", before, after)
	}
}

// first runs a graph on the largest input and gives the first output's first element.
func first(t *testing.T, g *graph.Graph) float64 {
	t.Helper()
	p, err := engine.Compile(context.Background(), g, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := &engine.Call{In: []*tensor.Tensor{tensor.From([]float32{3, 3, 3, 3}, 1, 4)}}
	if err := p.Run(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	return tensor.Float64s(c.Out[0])[0]
}
