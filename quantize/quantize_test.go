package quantize_test

import (
	"bytes"
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/formats/onnx"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/quantize"
	"github.com/tfsopt/tfsopt/tensor"
)

// network builds conv, relu, depthwise, clip, a residual add, max pooling, a fire-like concat, gemm and softmax over
// [1,3,16,16] with random weights.
func network(tb testing.TB) *graph.Graph {
	tb.Helper()
	rng := rand.New(rand.NewPCG(5, 6))
	x := graph.NewInput("x", graph.Of(tensor.Float32, graph.Dims(1, 3, 16, 16)...))
	g := &graph.Graph{Name: "net", Inputs: []*graph.Value{x}, Opsets: map[string]int{"": 11}}
	b := graph.NewBuilder(g)
	weight := func(name string, shape ...int) *graph.Value {
		v := make([]float32, tensor.Size(shape))
		fan := float64(len(v) / shape[0])
		for i := range v {
			v[i] = float32(rng.NormFloat64() / math.Sqrt(fan))
		}
		return b.Const(name, tensor.From(v, shape...))
	}
	conv := func(name string, x *graph.Value, op ops.Conv, shape ...int) *graph.Value {
		op.AutoPad = "NOTSET"
		if shape[2] == 3 {
			op.Pads = []int{1, 1, 1, 1}
		}
		return b.Add(name, op, x, weight(name+".w", shape...), weight(name+".b", shape[0]))
	}
	a := b.Add("relu1", ops.Relu{}, conv("conv1", x, ops.Conv{Group: 1}, 16, 3, 3, 3))
	six := b.Const("six", tensor.Scalar(float32(6)))
	zero := b.Const("zero", tensor.Scalar(float32(0)))
	d := b.Add("clip", ops.Clip{}, conv("depthwise", a, ops.Conv{Group: 16}, 16, 1, 3, 3), zero, six)
	p := conv("project", d, ops.Conv{Group: 1}, 16, 16, 1, 1)
	s := b.Add("add", ops.Add{}, a, p)
	pool, err := graph.NewOp("", "MaxPool", []graph.Attr{{Name: "kernel_shape", Value: []int64{2, 2}}, {Name: "strides", Value: []int64{2, 2}}})
	if err != nil {
		tb.Fatal(err)
	}
	m := b.Add("pool", pool, s)
	e1 := b.Add("e1_relu", ops.Relu{}, conv("e1", m, ops.Conv{Group: 1}, 8, 16, 1, 1))
	e3 := b.Add("e3_relu", ops.Relu{}, conv("e3", m, ops.Conv{Group: 1}, 8, 16, 3, 3))
	cat := b.Add("concat", ops.Concat{Axis: 1}, e1, e3)
	f := b.Add("flat", ops.Flatten{Axis: 1}, cat)
	fc := b.Add("fc", ops.Gemm{Alpha: 1, Beta: 1, TransB: true}, f, weight("fc.w", 10, 16*64), weight("fc.b", 10))
	y := b.Add("softmax", ops.Softmax{Axis: -1}, fc)
	if b.Err != nil {
		tb.Fatal(b.Err)
	}
	y.Name = "y"
	g.Outputs = []*graph.Value{y}
	return g
}

func inputs(g *graph.Graph) []data.Input {
	var in []data.Input
	for _, v := range g.Inputs {
		shape, _ := v.Fixed()
		in = append(in, data.Input{Name: v.Name, DType: v.DType, Shape: shape})
	}
	return in
}

func run(tb testing.TB, g *graph.Graph, in []*tensor.Tensor, o engine.Options) []float32 {
	tb.Helper()
	p, err := engine.Compile(context.Background(), g, o)
	if err != nil {
		tb.Fatal(err)
	}
	defer p.Close()
	call := &engine.Call{In: in}
	if err := p.Run(context.Background(), call); err != nil {
		tb.Fatal(err)
	}
	return tensor.Floats(call.Out[0])
}

func sqnr(a, b []float32) float64 {
	var s, n float64
	for i := range a {
		s += float64(a[i]) * float64(a[i])
		d := float64(a[i]) - float64(b[i])
		n += d * d
	}
	return 10 * math.Log10(s/n)
}

func count(g *graph.Graph) map[string]int {
	c := map[string]int{}
	for _, n := range g.Nodes {
		c[n.OpName()]++
	}
	return c
}

// TestModes checks that what every mode makes answers as the float graph does, also after a round trip through a file,
// and holds the operators that it should.
func TestModes(t *testing.T) {
	for _, c := range []struct {
		name string
		o    quantize.Options
		db   float64 // at least
		ops  map[string]int
	}{
		{"default", quantize.Options{}, 25, map[string]int{"QuantizeLinear": 10, "Softmax": 1}},
		{"int8", quantize.Options{Activations: "int8"}, 25, nil},
		{"minmax", quantize.Options{Calibration: "minmax"}, 25, nil},
		{"percentile", quantize.Options{Calibration: "percentile"}, 20, nil},
		{"entropy", quantize.Options{Calibration: "entropy"}, 20, nil},
		{"per tensor", quantize.Options{PerTensor: true}, 20, nil},
		{"gpu", quantize.Options{Target: "gpu"}, 20, nil},
		{"qoperator", quantize.Options{Style: "qoperator"}, 25, map[string]int{"QLinearConv": 5, "com.microsoft.QGemm": 1, "Conv": 0, "Gemm": 0}},
		{"excluded", quantize.Options{Exclude: []string{"depthwise", "Gemm"}}, 25, nil},
		{"logits", quantize.Options{QuantizeLogits: true}, 25, map[string]int{"QuantizeLinear": 11}},
		{"plain rounding", quantize.Options{NoBiasCorrection: true}, 25, nil},
		{"weight-only", quantize.Options{Mode: "weight-only"}, 30, map[string]int{"QuantizeLinear": 0, "DequantizeLinear": 6}},
		{"int4", quantize.Options{Weights: "int4"}, 12, map[string]int{"DequantizeLinear": 6}},
		{"dynamic", quantize.Options{Mode: "dynamic"}, 25, map[string]int{"ConvInteger": 5, "MatMulInteger": 1, "Conv": 0, "Gemm": 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := network(t)
			before := g.String()
			r, err := quantize.Quantize(context.Background(), g, data.Random(inputs(g), 16, 1), c.o)
			if err != nil {
				t.Fatal(err)
			}
			if g.String() != before {
				t.Error("the float graph changed")
			}
			if err := r.Graph.Check(); err != nil {
				t.Error(err)
			}
			have := count(r.Graph)
			for op, n := range c.ops {
				if have[op] != n {
					t.Errorf("%d of %s, want %d", have[op], op, n)
				}
			}
			checkAnswers(t, g, r.Graph, c.db)
		})
	}
}

func checkAnswers(t *testing.T, g, q *graph.Graph, db float64) {
	t.Helper()
	b, _, err := onnx.Write(q)
	if err != nil {
		t.Fatal(err)
	}
	again, _, err := onnx.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	set := data.Random(inputs(g), 4, 9)
	for i := range set.Len() {
		s, err := set.Sample(i)
		if err != nil {
			t.Fatal(err)
		}
		want := run(t, g, s.In, engine.Options{})
		got := run(t, again, s.In, engine.Options{})
		if d := sqnr(want, got); d < db {
			t.Errorf("sample %d: %.1f dB, want %.0f", i, d, db)
		}
		ref, err := graph.Eval(context.Background(), q, s.In)
		if err != nil {
			t.Fatal(err)
		}
		if d := sqnr(tensor.Floats(ref[0]), got); d < 35 {
			t.Errorf("sample %d: the reference and the engine differ: %.1f dB", i, d)
		}
	}
}

// TestParameters checks what ONNX Runtime needs to fuse: scales of biases, scalar scales, shared parameters, names.
func TestParameters(t *testing.T) {
	g := network(t)
	r, err := quantize.Quantize(context.Background(), g, data.Random(inputs(g), 8, 1), quantize.Options{})
	if err != nil {
		t.Fatal(err)
	}
	scale := map[string]*tensor.Tensor{}
	for _, n := range r.Graph.Nodes {
		if n.OpName() == "QuantizeLinear" {
			scale[n.Out[0].Name] = n.In[1].Const
			if n.In[1].Rank() != 0 || n.Out[0].DType != tensor.Uint8 {
				t.Errorf("%s: scale of rank %d, type %s", n.Name, n.In[1].Rank(), n.Out[0].DType)
			}
		}
		if n.OpName() != "Conv" && n.OpName() != "Gemm" {
			continue
		}
		x, w, b := n.In[0].Def, n.In[1].Def, n.In[2].Def
		if b.In[0].DType != tensor.Int32 || w.In[0].DType != tensor.Int8 || w.In[0].Name != n.Name+".w" {
			t.Errorf("%s: weight %s %q, bias %s", n.Name, w.In[0].DType, w.In[0].Name, b.In[0].DType)
		}
		sx, sw, sb := tensor.Floats(x.In[1].Const)[0], tensor.Floats(w.In[1].Const), tensor.Floats(b.In[1].Const)
		for i := range sb {
			if sb[i] != sx*sw[i] {
				t.Errorf("%s: scale of bias %d is %v, want %v", n.Name, i, sb[i], sx*sw[i])
			}
		}
	}
	for _, same := range [][]string{{"add_out", "pool_out"}, {"e1_relu_out", "e3_relu_out", "concat_out", "flat_out"}} {
		for _, name := range same {
			if scale[name] == nil || !scale[name].Equal(scale[same[0]]) {
				t.Errorf("%q and %q do not share parameters", name, same[0])
			}
		}
	}
	if scale["fc_out"] != nil || r.Graph.Outputs[0].Name != "y" || r.Graph.Inputs[0].Name != "x" {
		t.Error("the logits are quantized or the graph's own names are lost")
	}
}

func TestSameBytes(t *testing.T) {
	var first []byte
	for _, o := range []quantize.Options{{Threads: 1}, {Threads: 2}, {Threads: 3, CPU: "generic"}, {CPU: "avx2"}} {
		g := network(t)
		r, err := quantize.Quantize(context.Background(), g, data.Random(inputs(g), 8, 1), o)
		if err != nil {
			if strings.Contains(err.Error(), "avx2") {
				continue // not this machine's
			}
			t.Fatal(err)
		}
		b, _, err := onnx.Write(r.Graph)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = b
		}
		if !bytes.Equal(first, b) {
			t.Errorf("%d threads, kernel set %q: other bytes", o.Threads, o.CPU)
		}
	}
}

func TestStep(t *testing.T) {
	g := network(t)
	o := quantize.Options{Step: 0.05, LayerSteps: map[string]float32{"fc": 0.01}}
	r, err := quantize.Quantize(context.Background(), g, data.Random(inputs(g), 4, 1), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range r.Layers {
		want := 0.025
		if l.Name == "fc" {
			want = 0.005
		}
		if math.Abs(l.HalfStep-want) > 1e-7 || l.Clipped == 0 && l.MaxError > want*1.00001 {
			t.Errorf("%s: half step %v, largest error %v, %v clipped, want a half step of %v", l.Name, l.HalfStep, l.MaxError, l.Clipped, want)
		}
	}
}

// TestTargetGPU checks the rules of TensorRT's parser: int8 alone before DequantizeLinear, symmetric, weights from -127 with a
// scale an output channel, activations with one, both sides of an Add quantized.
func TestTargetGPU(t *testing.T) {
	g := network(t)
	r, err := quantize.Quantize(context.Background(), g, data.Random(inputs(g), 8, 1), quantize.Options{Target: "gpu"})
	if err != nil {
		t.Fatal(err)
	}
	weights := 0
	for _, n := range r.Graph.Nodes {
		switch n.OpName() {
		case "Add":
			if n.In[0].Def.OpName() != "DequantizeLinear" || n.In[1].Def.OpName() != "Conv" {
				t.Errorf("add: sides from %s and %s, want the residual side quantized and the convolution as it is", n.In[0].Def.Name, n.In[1].Def.Name)
			}
		case "Relu", "Clip":
			if op := n.In[0].Def.OpName(); op != "Conv" {
				t.Errorf("%s: after %s, want the convolution", n.Name, op)
			}
		case "QuantizeLinear", "DequantizeLinear":
			if d := n.In[2].DType; d != tensor.Int8 || slices.ContainsFunc(tensor.Ints(n.In[2].Const), func(z int64) bool { return z != 0 }) {
				t.Errorf("%s: the zero point is not int8 0", n.Name)
			}
			channels := 0
			if c := n.In[0].Const; c != nil {
				weights++
				channels = 1
				if slices.Min(tensor.View[int8](c)) < -127 {
					t.Errorf("%s: a weight of -128", n.Name)
				}
			}
			if rank := n.In[1].Rank(); rank != channels {
				t.Errorf("%s: scale of rank %d, want %d", n.Name, rank, channels)
			}
		}
	}
	if weights != 6 {
		t.Errorf("%d weights, want 6", weights)
	}
	if _, err := quantize.Quantize(context.Background(), g, nil, quantize.Options{Target: "gpu", Style: "qoperator"}); err == nil {
		t.Error("style qoperator is taken")
	}
}

// TestIntegerIO asks for integers at both ends, of the activations' type and of the other, and runs the result: what they stand
// for is near the float answer, also where a float operator or a value with readers inside makes the output.
func TestIntegerIO(t *testing.T) {
	ctx := context.Background()
	for _, io := range []tensor.DType{tensor.Int8, tensor.Uint8} {
		for _, o := range []quantize.Options{
			{}, {Activations: "int8"}, {QuantizeLogits: true}, {Style: "qoperator"}, {Target: "gpu"}, {Exclude: []string{"Gemm"}},
		} {
			g := network(t)
			g.Outputs = append(g.Outputs, g.Value("add_out"), g.Value("relu1_out"))
			o.IO = io.String()
			set := data.Random(inputs(g), 8, 1)
			r, err := quantize.Quantize(ctx, g, set, o)
			if err != nil {
				t.Fatalf("%+v: %v", o, err)
			}
			if err := r.Graph.Check(); err != nil {
				t.Errorf("%+v: %v", o, err)
			}
			if want := len(g.Inputs) + len(g.Outputs); len(r.Ends) != want {
				t.Fatalf("%+v: %d ends are said, want %d (%q)", o, len(r.Ends), want, r.Warnings)
			}
			for i, v := range slices.Concat(r.Graph.Inputs, r.Graph.Outputs) {
				name := slices.Concat(g.Inputs, g.Outputs)[i].Name
				if e := r.Ends[i]; v.DType != io || v.Name != name || e.Name != name || e.DType != io {
					t.Errorf("%+v: %q is %s, said to be %+v: want %s under the name %q", o, v.Name, v.DType, e, io, name)
				}
			}
			nearFloat(t, g, r, set)
		}
	}
}

// nearFloat runs both graphs on a sample and compares what the integers stand for.
func nearFloat(t *testing.T, g *graph.Graph, r *quantize.Result, set *data.Set) {
	t.Helper()
	s, err := set.Sample(0)
	if err != nil {
		t.Fatal(err)
	}
	want, err := graph.Eval(context.Background(), g, s.In)
	if err != nil {
		t.Fatal(err)
	}
	in := make([]*tensor.Tensor, len(s.In))
	for i, x := range s.In {
		e := r.Ends[i]
		lo, hi := -128., 127.
		if e.DType == tensor.Uint8 {
			lo, hi = 0, 255
		}
		v := tensor.Float64s(x)
		for k := range v {
			v[k] = min(max(math.RoundToEven(v[k]/float64(e.Scale))+float64(e.Zero), lo), hi)
		}
		in[i] = tensor.New(e.DType, x.Shape...)
		if err := tensor.SetFloat64s(in[i], v); err != nil {
			t.Fatal(err)
		}
	}
	got, err := graph.Eval(context.Background(), r.Graph, in)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		e := r.Ends[len(in)+i]
		var noise, power float64
		for k, q := range tensor.Float64s(got[i]) {
			w := tensor.Float64s(want[i])[k]
			d := (q-float64(e.Zero))*float64(e.Scale) - w
			noise, power = noise+d*d, power+w*w
		}
		if db := 10 * math.Log10(power/noise); !(db >= 30) {
			t.Errorf("output %q is at %.1f dB", e.Name, db)
		}
	}
}

func TestMistakes(t *testing.T) {
	g := network(t)
	random := data.Random(inputs(g), 2, 1)
	bad := network(t)
	bad.Value("project.w").Const = tensor.From(slicesOf(16*16, float32(math.Inf(1))), 16, 16, 1, 1)
	loud := network(t)
	loud.Value("e1.w").Const = tensor.From(slicesOf(8*16, float32(3e38)), 8, 16, 1, 1)
	for _, c := range []struct {
		name string
		g    *graph.Graph
		set  *data.Set
		o    quantize.Options
		want []string
	}{
		{"no data", g, nil, quantize.Options{}, []string{"calibration data"}},
		{"mode", g, random, quantize.Options{Mode: "statik"}, []string{"statik", "weight-only"}},
		{"tpu", g, random, quantize.Options{Target: "tpu"}, []string{"TFLite"}},
		{"exclude", g, random, quantize.Options{Exclude: []string{"nobody"}}, []string{"nobody"}},
		{"all excluded", g, random, quantize.Options{Exclude: []string{"Conv", "Gemm"}}, []string{"nothing to quantize"}},
		{"infinite weight", bad, random, quantize.Options{}, []string{`"project"`, "project.w"}},
		{"infinite activation", loud, random, quantize.Options{}, []string{"sample", `"e1"`, "channel"}},
	} {
		_, err := quantize.Quantize(context.Background(), c.g, c.set, c.o)
		if err == nil {
			t.Errorf("%s: no error", c.name)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q does not say %q", c.name, err, want)
			}
		}
	}
}

func slicesOf(n int, x float32) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = x
	}
	return v
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	g := network(t)
	if _, err := quantize.Quantize(ctx, g, data.Random(inputs(g), 4, 1), quantize.Options{}); err == nil {
		t.Error("a cancelled context is no error")
	}
}

func TestPlan(t *testing.T) {
	g := network(t)
	few, err := quantize.Plan(g, data.Random(inputs(g), 4, 1), quantize.Options{})
	if err != nil {
		t.Fatal(err)
	}
	many, err := quantize.Plan(g, data.Random(inputs(g), 4000, 1), quantize.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if few.Histograms == 0 || few.Program == 0 || few.Prefetch == 0 || few.Layers != 6 {
		t.Errorf("plan %+v", few)
	}
	if few.Kept == 0 || many.Kept != 1000*few.Kept {
		t.Errorf("%d and %d bytes kept of 4 and 4000 samples", few.Kept, many.Kept)
	}
	most, err := quantize.Plan(g, data.Random(inputs(g), 1_000_000, 1), quantize.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if most.Kept != 256<<20 || most.Program != many.Program || most.Statistics != many.Statistics {
		t.Errorf("memory grows with the samples: %+v, %+v", many, most)
	}
}
