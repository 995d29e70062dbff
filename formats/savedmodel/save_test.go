package savedmodel_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func parse(t *testing.T, text string) *graph.Graph {
	t.Helper()
	g, err := graph.Parse(strings.NewReader(text))
	if err == nil {
		err = g.Check()
	}
	if err == nil {
		err = g.Infer()
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// images has what changes its order of axes on the way out: a grouped, a depthwise and a strided convolution, poolings, a
// normalization, a transposed convolution, quantized weights.
const images = `graph "images" {
  opset "" 24
  input x: float32[n,4,9,7]
  const w1: float32[6,2,3,3] = init normal(0, 0.5)
  c1: float32[n,6,9,7] = Conv(x, w1) {group=2 pads=[1,1,1,1]}
  r1: float32[n,6,9,7] = HardSwish(c1)
  const w2: float32[12,1,3,3] = init normal(0, 0.5)
  const b2: float32[12] = init normal(0, 0.5)
  c2: float32[n,12,5,4] = Conv(r1, w2, b2) {group=6 pads=[1,1,1,1] strides=[2,2]}
  const s: float32[12] = init uniform(0.5, 1)
  const o: float32[12] = init normal(0, 0.5)
  const m: float32[12] = init normal(0, 0.5)
  const v: float32[12] = init uniform(0.5, 1)
  n2: float32[n,12,5,4] = BatchNormalization(c2, s, o, m, v)
  p2: float32[n,12,4,3] = MaxPool(n2) {kernel_shape=[2,2]}
  const w3: int8[12,3,2,2] = init int8
  const q3: float32[3] = {0.01, 0.02, 0.03}
  d3: float32[12,3,2,2] = DequantizeLinear(w3, q3) {axis=1}
  c3: float32[n,3,7,5] = ConvTranspose(p2, d3) {strides=[2,2] pads=[0,0,1,1]}
  a3: float32[n,3,1,1] = GlobalAveragePool(c3)
  f3: float32[n,3] = Flatten(a3)
  y: float32[n,3] = Softmax(f3)
  output y
}`

// filled replaces the words that stand for seeded numbers.
func filled(t *testing.T, text string) *graph.Graph {
	t.Helper()
	var out []string
	for i, line := range strings.Split(text, "\n") {
		if head, how, ok := strings.Cut(line, " = init "); ok {
			d, dims, _ := strings.Cut(strings.TrimSpace(head[strings.Index(head, ":")+1:]), "[")
			n := 1
			for _, s := range strings.Split(strings.TrimSuffix(dims, "]"), ",") {
				k := 0
				for _, c := range s {
					k = 10*k + int(c-'0')
				}
				n *= k
			}
			var values []string
			for j := range n {
				x := float64((j*7919+i*104729)%199)/199 - 0.5
				switch {
				case d == "int8":
					values = append(values, graph.Fixed(int(x*100)+60).String())
				case strings.HasPrefix(how, "uniform"):
					values = append(values, strconv.FormatFloat(x+1, 'g', 6, 32))
				default:
					values = append(values, strconv.FormatFloat(x, 'g', 6, 32))
				}
			}
			line = head + " = {" + strings.Join(values, ", ") + "}"
		}
		out = append(out, line)
	}
	return parse(t, strings.Join(out, "\n"))
}

func saveAndLoad(t *testing.T, g *graph.Graph) *formats.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model")
	if _, err := formats.Save(t.Context(), g, path); err != nil {
		t.Fatal(err)
	}
	f, err := formats.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if missing := graph.Unsupported(f.Graph); len(missing) > 0 {
		t.Fatalf("what was written cannot run: %v", missing)
	}
	return f
}

func TestSave(t *testing.T) {
	g := filled(t, images)
	f := saveAndLoad(t, g)
	x := tensor.New(tensor.Float32, 2, 4, 9, 7)
	for i := range tensor.View[float32](x) {
		tensor.View[float32](x)[i] = float32(i%23)/11 - 1
	}
	want, err := graph.Eval(t.Context(), g, []*tensor.Tensor{x})
	if err != nil {
		t.Fatal(err)
	}
	got, err := graph.Eval(t.Context(), f.Graph, []*tensor.Tensor{x})
	if err != nil {
		t.Fatal(err)
	}
	if err := near(got[0], want[0]); err != nil {
		t.Error(err)
	}
	if f.Graph.Inputs[0].Name != "x" || f.Graph.Outputs[0].Name != "y" || f.Graph.Signatures[0].Name != "serving_default" {
		t.Errorf("%s, %s, %q", f.Graph.Inputs[0].Name, f.Graph.Outputs[0].Name, f.Graph.Signatures[0].Name)
	}
	int8s := 0
	for _, v := range f.Graph.Values() {
		if v.IsConst() && v.DType == tensor.Int8 {
			int8s += v.Const.Len()
		}
	}
	if int8s != 12*3*2*2 {
		t.Errorf("%d weights are int8 in the file", int8s)
	}
}

// TestSaveFixtures writes models that TensorFlow wrote and reads them again.
func TestSaveFixtures(t *testing.T) {
	dir := unpack(t, "partitioned_tf1")
	f, err := formats.Load(filepath.Join(dir, "model"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	again := saveAndLoad(t, f.Graph)
	x := readFixture(t, filepath.Join(dir, "in_x"))
	out, err := graph.Eval(t.Context(), again.Graph, []*tensor.Tensor{x})
	if err != nil {
		t.Fatal(err)
	}
	if err := near(out[0], readFixture(t, filepath.Join(dir, "out_y"))); err != nil {
		t.Error(err)
	}
}

// TestSaveStates keeps entry points and variables.
func TestSaveStates(t *testing.T) {
	g := parse(t, `graph "g" {
  opset "" 24
  input by: float32[2]
  state "n" n: float32[2] = float32[2] {1, 2}
  sum: float32[2] = Add(n, by)
  now: float32[2] = Identity(n)
  output sum
  signature "add" "m" {
    input "by" = by
    output "sum" = sum
    next "n" = sum
  }
  signature "get" "m" {
    output "now" = now
  }
}`)
	f := saveAndLoad(t, g)
	if len(f.Graph.Signatures) != 2 || len(f.Graph.States) != 1 {
		t.Fatalf("%d signatures, %d states", len(f.Graph.Signatures), len(f.Graph.States))
	}
	add := f.Graph.Signatures[0]
	if s := f.Graph.States[0]; s.Name != "n" || tensor.Floats(s.Init)[1] != 2 || add.Name != "add" || len(add.Next) != 1 {
		t.Errorf("%v, %v", s, add)
	}
}

func TestSaveRefuses(t *testing.T) {
	g := parse(t, `graph "g" {
  opset "" 24
  input x: float32[1,2,6]
  const w: float32[1,8,6] = {`+strings.Repeat("0, ", 47)+`0}
  const r: float32[1,8,2] = {`+strings.Repeat("0, ", 15)+`0}
  h: float32[1,1,2,2] = LSTM(x, w, r) {hidden_size=2} "cell"
  y: float32[1,1,2,2] = Det(h) "other"
  output y
}`)
	path := filepath.Join(t.TempDir(), "model")
	_, err := formats.Save(t.Context(), g, path)
	if err == nil || !strings.Contains(err.Error(), `node "cell" (LSTM)`) || !strings.Contains(err.Error(), `node "other" (Det)`) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("something was written")
	}
	// A directory that holds anything else stays.
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path, "photo.jpg"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := formats.Save(t.Context(), filled(t, images), path); err == nil || !strings.Contains(err.Error(), "photo.jpg") {
		t.Errorf("%v", err)
	}
}

// TestSaveQuantized gives quantized operators back as they were, and with them every bit of the answers.
func TestSaveQuantized(t *testing.T) {
	g := filled(t, `graph "q" {
  opset "" 24
  input x: float32[n,4,6,6]
  const s: float32[] = {0.02}
  const z: uint8[] = {117}
  xq: uint8[n,4,6,6] = QuantizeLinear(x, s, z)
  xd: float32[n,4,6,6] = DequantizeLinear(xq, s, z)
  const w: int8[8,1,3,3] = init int8
  const ws: float32[8] = {0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08}
  wd: float32[8,1,3,3] = DequantizeLinear(w, ws) {axis=0}
  const b: int32[8] = {1, -2, 3, -4, 5, -6, 7, -8}
  const bs: float32[8] = {0.0002, 0.0004, 0.0006, 0.0008, 0.001, 0.0012, 0.0014, 0.0016}
  bd: float32[8] = DequantizeLinear(b, bs) {axis=0}
  c: float32[n,8,6,6] = Conv(xd, wd, bd) {group=4 pads=[1,1,1,1]}
  r: float32[n,8,6,6] = Relu(c)
  const zi: int8[] = {-128}
  rq: int8[n,8,6,6] = QuantizeLinear(r, s, zi)
  rd: float32[n,8,6,6] = DequantizeLinear(rq, s, zi)
  f: float32[n,288] = Flatten(rd)
  const v: int8[3,288] = init int8
  const vs: float32[3] = {0.01, 0.02, 0.03}
  vd: float32[3,288] = DequantizeLinear(v, vs) {axis=0}
  y: float32[n,3] = Gemm(f, vd) {transB=1}
  output y
}`)
	f := saveAndLoad(t, g)
	count := map[string]int{}
	for _, n := range f.Graph.Nodes {
		count[n.OpName()]++
	}
	if count["DequantizeLinear"] != 5 || count["QuantizeLinear"] != 2 || count["Cast"] != 0 || count["Mul"] != 0 {
		t.Errorf("operators: %v", count)
	}
	x := tensor.New(tensor.Float32, 2, 4, 6, 6)
	for i := range tensor.View[float32](x) {
		tensor.View[float32](x)[i] = float32(i%23)/11 - 1
	}
	run := func(g *graph.Graph) *tensor.Tensor {
		p, err := engine.Compile(t.Context(), g, engine.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		call := &engine.Call{In: []*tensor.Tensor{x}}
		if err := p.Run(t.Context(), call); err != nil {
			t.Fatal(err)
		}
		return call.Out[0]
	}
	if want, got := run(g), run(f.Graph); !got.Equal(want) {
		t.Errorf("%v, want %v", tensor.Floats(got), tensor.Floats(want))
	}
}
