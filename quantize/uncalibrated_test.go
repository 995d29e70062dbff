package quantize_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/quantize"
	"github.com/tfsopt/tfsopt/tensor"
)

// parse reads a text graph in which "{random}" stands for as many pseudo-random numbers as the constant has.
func parse(t *testing.T, text string) *graph.Graph {
	t.Helper()
	rng := rand.New(rand.NewPCG(7, 8))
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if !strings.HasSuffix(l, "{random}") {
			continue
		}
		n := 1
		for _, d := range strings.Split(l[strings.IndexByte(l, '[')+1:strings.IndexByte(l, ']')], ",") {
			var k int
			if _, err := fmt.Sscan(d, &k); err != nil {
				t.Fatal(err)
			}
			n *= k
		}
		v := make([]string, n)
		for j := range v {
			v[j] = fmt.Sprintf("%.4f", rng.NormFloat64())
		}
		lines[i] = strings.TrimSuffix(l, "{random}") + "{" + strings.Join(v, ", ") + "}"
	}
	g, err := graph.Parse(strings.NewReader(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// structure prints a graph without its header, the numbers of its constants and the names of its nodes.
func structure(g *graph.Graph) string {
	var out []string
	for _, l := range strings.Split(g.String(), "\n") {
		if l = strings.TrimSpace(l); strings.Contains(l, " = ") {
			l, _, _ = strings.Cut(l, " = {")
			l, _, _ = strings.Cut(l, " = sha256")
			l, _, _ = strings.Cut(l, ` "`)
			out = append(out, l)
		}
	}
	return strings.Join(out, "\n")
}

const product = `graph "product" {
  opset "" 17
  input x: float32[1,40]
  const w: float32[40,3] = {random}
  y: float32[1,3] = MatMul(x, w) "fc"
  output y
}`

const transposed = `graph "transposed" {
  opset "" 17
  input x: float32[1,3,5,5]
  const w: float32[3,4,2,2] = {random}
  y: float32[1,4,6,6] = ConvTranspose(x, w) {kernel_shape=[2,2]} "up"
  output y
}`

const tied = `graph "tied" {
  opset "" 17
  input x: float32[1,32]
  const w: float32[32,32] = {random}
  a: float32[1,32] = MatMul(x, w) "first"
  r: float32[1,32] = Tanh(a) "act"
  y: float32[1,32] = MatMul(r, w) "second"
  output y
}`

const batched = `graph "batched" {
  opset "" 17
  input x: float32[1,4,32]
  const w: float32[2,32,3] = {random}
  y: float32[2,4,3] = MatMul(x, w) "fc"
  output y
}`

const general = `graph "general" {
  opset "" 17
  input x: float32[1,96]
  const s: int64[2] = {48, 2}
  const w: float32[5,48] = {random}
  const c: float32[2,5] = {random}
  r: float32[48,2] = Reshape(x, s)
  y: float32[2,5] = Gemm(r, w, c) {alpha=0.5 beta=2 transA=1 transB=1} "fc"
  output y
}`

const image = `graph "image" {
  opset "" 17
  input x: float32[1,32,6,6]
  const w: float32[4,32,3,3] = {random}
  const b: float32[4] = {random}
  c: float32[1,4,4,4] = Conv(x, w, b) {kernel_shape=[3,3]} "conv"
  y: float32[1,4,4,4] = Relu(c) "relu"
  output y
}`

// TestUncalibrated checks which form the modes without data give to small graphs, and how far the answers move.
func TestUncalibrated(t *testing.T) {
	for _, c := range []struct {
		name, text string
		o          quantize.Options
		db         float64 // at least
		scale      []int   // shape of the weight's scales, the input whose name ends in _scale
		axis       string  // attributes of DequantizeLinear as printed
		precision  string
	}{
		{"channels", product, quantize.Options{Mode: "weight-only"}, 38, []int{3}, "", "int8"},
		{"tensor", product, quantize.Options{Mode: "weight-only", PerTensor: true}, 34, []int{}, "", "int8"},
		{"blocks", product, quantize.Options{Weights: "int4", BlockSize: 16}, 14, []int{3, 3}, "{axis=0 block_size=16}", "int4"},
		{"one scale of 4 bits", product, quantize.Options{Weights: "int4", PerTensor: true}, 10, []int{}, "", "int4"},
		{"too short for a block", transposed, quantize.Options{Weights: "int4"}, 38, []int{4}, "", "int8"},
		{"ConvTranspose", transposed, quantize.Options{Mode: "weight-only"}, 38, []int{4}, "", "int8"},
		{"tied", tied, quantize.Options{Weights: "int4"}, 8, []int{1, 32}, "{axis=0 block_size=32}", "int4"},
		{"batched", batched, quantize.Options{Mode: "weight-only"}, 38, []int{3}, "{axis=2}", "int8"},
		{"batched blocks", batched, quantize.Options{Weights: "int4", BlockSize: 16}, 14, []int{2, 2, 3}, "{block_size=16}", "int4"},
		{"Gemm", general, quantize.Options{Mode: "weight-only"}, 38, []int{5}, "{axis=0}", "int8"},
		{"Gemm blocks", general, quantize.Options{Weights: "int4"}, 14, []int{5, 2}, "{block_size=32}", "int4"},
		{"Conv", image, quantize.Options{Mode: "weight-only"}, 38, []int{4}, "{axis=0}", "int8"},
		{"Conv blocks", image, quantize.Options{Weights: "int4"}, 14, []int{4, 1, 3, 3}, "{block_size=32}", "int4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := parse(t, c.text)
			r, err := quantize.Quantize(context.Background(), g, nil, c.o)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Graph.Check(); err != nil {
				t.Fatal(err)
			}
			w, s := r.Graph.Value("w"), r.Graph.Value("w_scale")
			if w == nil || w.DType.String() != c.precision || s == nil || fmt.Sprint(s.Const.Shape) != fmt.Sprint(c.scale) {
				t.Errorf("weights %v, scales %v, want %s and %v\n%s", w, s, c.precision, c.scale, structure(r.Graph))
			}
			want := strings.TrimSpace("DequantizeLinear(w, w_scale) " + c.axis)
			if n := strings.Count(structure(r.Graph), want+"\n"); n != 1 {
				t.Errorf("%d of %s\n%s", n, want, structure(r.Graph))
			}
			for _, l := range r.Layers {
				if l.Precision != c.precision || l.SQNR < c.db || l.MaxError == 0 || l.MeanError > l.HalfStep {
					t.Errorf("layer %+v", l)
				}
			}
			if got := c.o.Weights == "int4" && c.precision == "int8"; got != (len(r.Warnings) == 1) {
				t.Errorf("warnings %q", r.Warnings)
			}
			checkAnswers(t, g, r.Graph, c.db)
		})
	}
}

// TestWeightsShared checks that one tensor of two nodes is stored once, and that a node that stays float keeps its own.
func TestWeightsShared(t *testing.T) {
	g := parse(t, tied)
	r, err := quantize.Quantize(context.Background(), g, nil, quantize.Options{Mode: "weight-only"})
	if err != nil {
		t.Fatal(err)
	}
	if have := count(r.Graph); have["DequantizeLinear"] != 1 || len(r.Layers) != 2 {
		t.Errorf("%d layers\n%s", len(r.Layers), structure(r.Graph))
	}
	r, err = quantize.Quantize(context.Background(), g, nil, quantize.Options{Mode: "dynamic"})
	if err != nil {
		t.Fatal(err)
	}
	var read []string
	for _, n := range r.Graph.Nodes {
		if n.OpName() == "MatMulInteger" {
			read = append(read, n.In[1].Name)
		}
	}
	if !slices.Equal(read, []string{"w", "w"}) {
		t.Errorf("dynamic products read %q", read)
	}
	r, err = quantize.Quantize(context.Background(), g, nil, quantize.Options{Mode: "weight-only", Exclude: []string{"second"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range r.Graph.Nodes {
		if n.Name == "second" && (n.In[1].Name != "w" || n.In[1].DType != tensor.Float32) {
			t.Errorf("the excluded node reads %q %s", n.In[1].Name, n.In[1].DType)
		}
	}
	if v := r.Graph.Value("w_quantized"); v == nil || v.DType != tensor.Int8 || len(r.Layers) != 1 {
		t.Errorf("the other one has no integers of its own\n%s", structure(r.Graph))
	}
}

// TestWeightStep checks that an explicit step holds for every weight, of 4 bits too.
func TestWeightStep(t *testing.T) {
	g := parse(t, product)
	for _, o := range []quantize.Options{
		{Mode: "weight-only", Step: 0.03125},
		{Mode: "weight-only", LayerSteps: map[string]float32{"fc": 0.03125}},
		{Mode: "dynamic", Step: 1, LayerSteps: map[string]float32{"fc": 0.03125}},
		{Weights: "int4", Step: 0.03125},
	} {
		r, err := quantize.Quantize(context.Background(), g, nil, o)
		if err != nil {
			t.Fatal(err)
		}
		w := tensor.Floats(g.Value("w").Const)
		q := tensor.Ints(r.Graph.Value("w").Const)
		lo, hi := -127.0, 127.0
		if o.Weights == "int4" {
			lo, hi = -8, 7
		}
		for i, x := range w {
			if want := min(max(math.RoundToEven(float64(x)/0.03125), lo), hi); float64(q[i]) != want {
				t.Fatalf("%+v: weight %v is %d, want %v", o, x, q[i], want)
			}
		}
		if l := r.Layers[0]; l.HalfStep != 0.03125/2 || (l.Clipped > 0) != (o.Weights == "int4") {
			t.Errorf("%+v: %+v", o, l)
		}
	}
}

// TestDynamicStructure checks the form that ONNX Runtime fuses to DynamicQuantizeMatMul and its like.
func TestDynamicStructure(t *testing.T) {
	for _, c := range []struct {
		name, text, want string
		db               float64
	}{
		{"MatMul", product, `
x_quantized: uint8[1,40], x_dynamic_scale: float32[], x_dynamic_zero_point: uint8[] = DynamicQuantizeLinear(x)
const w: int8[40,3]
const w_zero_point: int8[]
fc_integer: int32[1,3] = MatMulInteger(x_quantized, w, x_dynamic_zero_point, w_zero_point)
const w_scale: float32[3]
y_scales: float32[3] = Mul(x_dynamic_scale, w_scale)
y_cast: float32[1,3] = Cast(fc_integer) {to=1}
y: float32[1,3] = Mul(y_cast, y_scales)`, 35}, // its largest pairs are made safe
		{"Conv", image, `
x_quantized: uint8[1,32,6,6], x_dynamic_scale: float32[], x_dynamic_zero_point: uint8[] = DynamicQuantizeLinear(x)
const w: uint8[4,32,3,3]
const weight_zero_point: uint8[]
conv_integer: int32[1,4,4,4] = ConvInteger(x_quantized, w, x_dynamic_zero_point, weight_zero_point) {kernel_shape=[3,3]}
const w_scale: float32[1,4,1,1]
c_scales: float32[1,4,1,1] = Mul(x_dynamic_scale, w_scale)
c_cast: float32[1,4,4,4] = Cast(conv_integer) {to=1}
c_scaled: float32[1,4,4,4] = Mul(c_cast, c_scales)
const conv_bias: float32[1,4,1,1]
c: float32[1,4,4,4] = Add(c_scaled, conv_bias)
y: float32[1,4,4,4] = Relu(c)`, 36},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := parse(t, c.text)
			r, err := quantize.Quantize(context.Background(), g, nil, quantize.Options{Mode: "dynamic"})
			if err != nil {
				t.Fatal(err)
			}
			if got := structure(r.Graph); got != strings.TrimSpace(c.want) {
				t.Errorf("got\n%s\nwant%s", got, c.want)
			}
			checkAnswers(t, g, r.Graph, c.db)
		})
	}
}

// TestMeasured checks that the first eight samples, where there are as many, are what a layer's SQNR is measured on.
func TestMeasured(t *testing.T) {
	g := parse(t, image)
	set := data.Random(inputs(g), 20, 3)
	for _, mode := range []string{"weight-only", "dynamic"} {
		r, err := quantize.Quantize(context.Background(), g, set, quantize.Options{Mode: mode})
		if err != nil {
			t.Fatal(err)
		}
		q := r.Graph.Clone()
		f := g.Clone()
		q.Outputs, f.Outputs = []*graph.Value{q.Value("c")}, []*graph.Value{f.Value("c")}
		var want, got []float32
		for i := range 8 {
			s, err := set.Sample(i)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, run(t, f, s.In, engine.Options{})...)
			got = append(got, run(t, q, s.In, engine.Options{})...)
		}
		if d := sqnr(want, got); math.Abs(d-r.Layers[0].SQNR) > 1e-6 {
			t.Errorf("%s: the report says %.3f dB, the outputs %.3f", mode, r.Layers[0].SQNR, d)
		}
	}
}

// TestMatrixBias checks that a product whose bias differs from row to row stays float in mode dynamic.
func TestMatrixBias(t *testing.T) {
	text := `graph "net" {
  opset "" 17
  input x: float32[1,8]
  const s: int64[2] = {2, 4}
  const w: float32[4,2] = {random}
  const c: float32[2,SHAPE] = {random}
  const v: float32[2,3] = {random}
  r: float32[2,4] = Reshape(x, s)
  a: float32[2,2] = Gemm(r, w, c) "first"
  t: float32[2,2] = Tanh(a) "act"
  y: float32[2,3] = MatMul(t, v) "second"
  output y
}`
	for _, columns := range []string{"1", "2"} {
		g := parse(t, strings.Replace(text, "SHAPE", columns, 1))
		r, err := quantize.Quantize(context.Background(), g, nil, quantize.Options{Mode: "dynamic"})
		if err != nil {
			t.Fatal(err)
		}
		if have := count(r.Graph); len(r.Layers) != 1 || have["Gemm"] != 1 || have["MatMulInteger"] != 1 {
			t.Errorf("bias of %s columns: %d layers\n%s", columns, len(r.Layers), structure(r.Graph))
		}
	}
}

// TestPlanWithoutData checks what weight-only and dynamic hold: the integers of both layers once, and one layer's floats.
func TestPlanWithoutData(t *testing.T) {
	g := parse(t, tied)
	for _, c := range []struct {
		o       quantize.Options
		weights int64
	}{
		{quantize.Options{Mode: "weight-only"}, 32 * 32 * (1 + 12)},
		{quantize.Options{Weights: "int4"}, 32*32/2 + 32*32*12},
		{quantize.Options{Mode: "dynamic"}, 32 * 32 * (2 + 8)},
	} {
		m, err := quantize.Plan(g, nil, c.o)
		if err != nil {
			t.Fatal(err)
		}
		if m.Layers != 2 || m.Weights != c.weights || m.Total != c.weights || m.Samples != 0 || m.Program != 0 {
			t.Errorf("%+v: %+v, want weights of %d bytes", c.o, m, c.weights)
		}
		if _, err := quantize.Plan(g, nil, quantize.Options{Mode: c.o.Mode, Weights: c.o.Weights, Exclude: []string{"MatMul"}}); err == nil {
			t.Errorf("%+v: no error when every layer is excluded", c.o)
		}
	}
}
