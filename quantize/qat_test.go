package quantize_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/formats/onnx"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/quantize"
	"github.com/tfsopt/tfsopt/tensor"
	"github.com/tfsopt/tfsopt/train"
)

const stripedClasses = 6

// striped are noisy images of stripes in several directions, in the units of pixels.
func striped(tb testing.TB, seed uint64, n int) *data.Set {
	tb.Helper()
	r := rand.New(rand.NewPCG(seed, 6))
	x, y := make([]float32, n*64), make([]int64, n)
	for i := range n {
		y[i] = int64(i % stripedClasses)
		phase := r.Float64() * 2 * math.Pi
		for p := range 64 {
			row, col := float64(p/8), float64(p%8)
			angle := math.Pi * float64(y[i]) / stripedClasses
			wave := math.Sin(1.9*(row*math.Cos(angle)+col*math.Sin(angle)) + phase)
			x[i*64+p] = float32(math.Round(128 + 60*wave + 35*r.NormFloat64()))
		}
	}
	dir := tb.TempDir()
	for name, v := range map[string]*tensor.Tensor{"x.npy": tensor.From(x, n, 1, 8, 8), "y.npy": tensor.From(y, n)} {
		if err := data.SaveTensor(filepath.Join(dir, name), v); err != nil {
			tb.Fatal(err)
		}
	}
	s, err := data.Open(data.Options{
		Path:   filepath.Join(dir, "x.npy") + "," + filepath.Join(dir, "y.npy"),
		Inputs: []data.Input{{Name: "x", DType: tensor.Float32, Shape: []int{-1, 1, 8, 8}}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

// stripedNet is two convolutions with a Clip and a residual sum, and a Gemm.
func stripedNet(tb testing.TB) *graph.Graph {
	tb.Helper()
	zeros := func(n int) string { return "{0" + strings.Repeat(", 0", n-1) + "}" }
	text := fmt.Sprintf(`graph "striped" {
	opset "" 17
	input x: float32[batch,1,8,8]
	const w1: float32[8,1,3,3] = %s
	const b1: float32[8] = %s
	const w2: float32[8,8,3,3] = %s
	const b2: float32[8] = %s
	const w3: float32[128,%d] = %s
	const b3: float32[%d] = %s
	const low: float32[] = {0}
	const high: float32[] = {6}
	c: float32[batch,8,8,8] = Conv(x, w1, b1) {pads=[1,1,1,1]} "conv1"
	r: float32[batch,8,8,8] = Clip(c, low, high) "clip"
	d: float32[batch,8,8,8] = Conv(r, w2, b2) {pads=[1,1,1,1]} "conv2"
	s: float32[batch,8,8,8] = Add(r, d) "sum"
	t: float32[batch,8,8,8] = Relu(s) "relu"
	m: float32[batch,8,4,4] = AveragePool(t) {kernel_shape=[2,2] strides=[2,2]} "pool"
	f: float32[batch,128] = Flatten(m) "flatten"
	z: float32[batch,%d] = Gemm(f, w3, b3) "dense"
	y: float32[batch,%d] = Softmax(z) "softmax"
	output y
}`, zeros(72), zeros(8), zeros(576), zeros(8), stripedClasses, zeros(128*stripedClasses), stripedClasses, zeros(stripedClasses), stripedClasses, stripedClasses)
	g, err := graph.Parse(strings.NewReader(text))
	if err != nil {
		tb.Fatal(err)
	}
	if err := g.Infer(); err != nil {
		tb.Fatal(err)
	}
	if g, err = train.Init(g, 3, true); err != nil {
		tb.Fatal(err)
	}
	for _, n := range g.Nodes {
		if n.Name == "conv1" { // of pixels
			w := tensor.View[float32](n.In[1].Const)
			for i := range w {
				w[i] /= 64
			}
		}
	}
	return g
}

// learned trains stripedNet once for all tests.
func learned(tb testing.TB) *graph.Graph {
	tb.Helper()
	learnOnce.Do(func() {
		r, err := train.Fit(context.Background(), stripedNet(tb), striped(tb, 1, 960), train.Options{Epochs: 10, Rate: 0.02, Batch: 32, Clip: 1, Warmup: 1})
		if err != nil {
			tb.Fatal(err)
		}
		learnedGraph = r.Graph
	})
	if learnedGraph == nil {
		tb.Fatal("the float net could not be trained")
	}
	return learnedGraph
}

var (
	learnOnce    sync.Once
	learnedGraph *graph.Graph
)

// outputsOf are the outputs for each sample of a set.
func outputsOf(tb testing.TB, g *graph.Graph, set *data.Set) [][]float32 {
	tb.Helper()
	p, err := engine.Compile(context.Background(), g, engine.Options{Threads: 1})
	if err != nil {
		tb.Fatal(err)
	}
	defer p.Close()
	var out [][]float32
	for i := range set.Len() {
		s, err := set.Sample(i)
		if err != nil {
			tb.Fatal(err)
		}
		call := engine.Call{In: s.In}
		if err := p.Run(context.Background(), &call); err != nil {
			tb.Fatal(err)
		}
		out = append(out, slices.Clone(tensor.Floats(call.Out[0])))
	}
	return out
}

// lossOn is the mean cross entropy on a set.
func lossOn(tb testing.TB, g *graph.Graph, set *data.Set) float64 {
	tb.Helper()
	sum := 0.0
	for i, p := range outputsOf(tb, g, set) {
		sum -= math.Log(max(float64(p[set.Label(i)]), 1e-7))
	}
	return sum / float64(set.Len())
}

// percent is the accuracy on a set.
func percent(tb testing.TB, g *graph.Graph, set *data.Set) float64 {
	tb.Helper()
	right := 0
	for i, p := range outputsOf(tb, g, set) {
		if slices.Index(p, slices.Max(p)) == set.Label(i) {
			right++
		}
	}
	return 100 * float64(right) / float64(set.Len())
}

// TestTrainRecovers has weights so coarse that rounding costs much, which training wins back on samples that it never saw: in
// accuracy where that fell, and in loss always.
func TestTrainRecovers(t *testing.T) {
	if testing.Short() {
		t.Skip("it trains several nets: too slow under the race detector")
	}
	g, set, held := learned(t), striped(t, 1, 960), striped(t, 2, 300)
	before := percent(t, g, held)
	for _, c := range []struct {
		name string
		o    quantize.Options
		gain float64 // points over rounding alone, at least
	}{
		{"static, coarse steps", quantize.Options{Step: 0.45, LayerSteps: map[string]float32{"conv1": 0.005}}, 5},
		{"static, int4", quantize.Options{Mode: "static", Weights: "int4"}, 0},
		{"static, int8 activations, one scale", quantize.Options{Activations: "int8", PerTensor: true}, 0},
		{"weight-only, int4", quantize.Options{Weights: "int4", BlockSize: quantize.PerChannel}, 0},
		{"weight-only, coarse steps", quantize.Options{Mode: "weight-only", Step: 0.3, LayerSteps: map[string]float32{"conv1": 0.005}}, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			plain, err := quantize.Quantize(t.Context(), g, set, c.o)
			if err != nil {
				t.Fatal(err)
			}
			r, err := quantize.Train(t.Context(), g, c.o, quantize.Training{
				Set: set, Calibration: set, Options: train.Options{Epochs: 4, Rate: 0.01, Batch: 32, Clip: 1, Held: held},
			})
			if err != nil {
				t.Fatal(err)
			}
			rounded, trained := percent(t, plain.Graph, held), percent(t, r.Graph, held)
			t.Logf("float %.1f, rounded %.1f, trained %.1f, simulated %.1f", before, rounded, trained, float64(r.Curve[3].Held))
			lossy, learnt := lossOn(t, plain.Graph, held), lossOn(t, r.Graph, held)
			t.Logf("loss: float %.4f, rounded %.4f, trained %.4f", lossOn(t, g, held), lossy, learnt)
			if learnt > 0.8*lossy {
				t.Errorf("loss %.4f by rounding alone, %.4f after training", lossy, learnt)
			}
			if trained < rounded+c.gain || trained < before-8 {
				t.Errorf("float %.1f %%, rounded %.1f %%, trained %.1f %%", before, rounded, trained)
			}
			if d := math.Abs(trained - float64(r.Curve[3].Held)); d > 0.5 {
				t.Errorf("what was written has %.2f %%, the simulation had %.2f %%", trained, float64(r.Curve[3].Held))
			}
			checkWritten(t, plain.Graph, r.Graph)
		})
	}
}

// checkWritten wants the operators of the graph that rounding alone gives, also after a round trip through a file.
func checkWritten(t *testing.T, plain, trained *graph.Graph) {
	t.Helper()
	if a, b := count(plain), count(trained); fmt.Sprint(a) != fmt.Sprint(b) {
		t.Errorf("operators %v, without training %v", b, a)
	}
	b, _, err := onnx.Write(trained)
	if err != nil {
		t.Fatal(err)
	}
	again, _, err := onnx.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := count(trained), count(again); fmt.Sprint(a) != fmt.Sprint(b) {
		t.Errorf("the file has the operators %v, want %v", b, a)
	}
}

// TestSimulationIsWhatIsWritten compares logits: biases are rounded to int32 and sums in float are rounded, which moves single integers by one.
func TestSimulationIsWhatIsWritten(t *testing.T) {
	set := striped(t, 4, 60)
	for _, o := range []quantize.Options{
		{}, {Activations: "int8"}, {Target: "gpu"}, {PerTensor: true}, {Mode: "static", Weights: "int4"}, {QuantizeLogits: true},
	} {
		for _, g := range []*graph.Graph{learned(t), network(t)} {
			data := set
			if g.Name == "net" {
				data = noisy(t, g)
			}
			sim, written, err := quantize.Simulate(t.Context(), g, data, o)
			if err != nil {
				t.Fatal(err)
			}
			if n := count(sim)["tfsopt.FakeQuantize"]; n < 5 {
				t.Errorf("%+v: %d roundings are simulated", o, n)
			}
			a, b := outputsOf(t, sim, data), outputsOf(t, written, data)
			if r := sqnr(slices.Concat(a...), slices.Concat(b...)); !(r > 35) {
				t.Errorf("%s, %+v: the written graph differs by %.1f dB", g.Name, o, r)
			}
		}
	}
}

// noisy are random samples for network.
func noisy(tb testing.TB, g *graph.Graph) *data.Set {
	tb.Helper()
	s, err := data.Open(data.Options{Path: "random", Samples: 16, Inputs: inputs(g)})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

// TestTrainKeepsZeros trains a pruned net.
func TestTrainKeepsZeros(t *testing.T) {
	g, set := learned(t).Clone(), striped(t, 1, 240)
	for _, n := range g.Nodes {
		if n.Name == "conv2" {
			w := n.In[1].Const.Clone()
			for i, v := range tensor.View[float32](w) {
				if i%2 == 0 || v < 0.02 && v > -0.02 {
					tensor.View[float32](w)[i] = 0
				}
			}
			n.In[1].Fact = graph.FactOf(w)
		}
	}
	for _, o := range []quantize.Options{{}, {Weights: "int4"}} {
		r, err := quantize.Train(t.Context(), g, o, quantize.Training{Set: set, Calibration: set, Options: train.Options{Epochs: 1, Batch: 32, Clip: 1}})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(r.Warnings, func(s string) bool { return strings.HasPrefix(s, "conv2: 5") }) {
			t.Errorf("warnings %q", r.Warnings)
		}
		moved := false
		for _, n := range r.Graph.Nodes {
			if n.Name != "conv2" {
				continue
			}
			for i, q := range tensor.Ints(n.In[1].Def.In[0].Const) {
				if i%2 == 0 && q != 0 {
					t.Fatalf("%+v: element %d is %d", o, i, q)
				}
				moved = moved || q != 0
			}
		}
		if !moved {
			t.Errorf("%+v: all weights are zero", o)
		}
	}
}

// TestTrainIsDeterministic wants the same bytes for any number of threads.
func TestTrainIsDeterministic(t *testing.T) {
	g, set := learned(t), striped(t, 1, 200)
	for _, o := range []quantize.Options{{}, {Weights: "int4"}} {
		var first []byte
		for _, threads := range []int{1, 3} {
			o.Threads = threads
			r, err := quantize.Train(t.Context(), g, o, quantize.Training{
				Set: set, Calibration: set, Options: train.Options{Epochs: 1, Batch: 32, Clip: 1, Threads: threads, Augment: train.Augment{Shift: 1}},
			})
			if err != nil {
				t.Fatal(err)
			}
			b, _, err := onnx.Write(r.Graph)
			if err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = b
			} else if !slices.Equal(first, b) {
				t.Errorf("%+v: other bytes", o)
			}
		}
	}
}

func TestTrainRefuses(t *testing.T) {
	g, set := learned(t), striped(t, 1, 60)
	bare, err := data.Open(data.Options{Path: "random", Inputs: inputs(network(t))})
	if err != nil {
		t.Fatal(err)
	}
	defer bare.Close()
	some := quantize.Training{Set: set, Calibration: set, Options: train.Options{Epochs: 1}}
	for want, c := range map[string]struct {
		o quantize.Options
		t quantize.Training
	}{
		"needs data":            {quantize.Options{}, quantize.Training{}},
		"needs labels":          {quantize.Options{}, quantize.Training{Set: bare}},
		"needs the mode static": {quantize.Options{Mode: "dynamic"}, some},
		"block size 32":         {quantize.Options{Weights: "int4", BlockSize: 32}, some},
		"calibration data":      {quantize.Options{}, quantize.Training{Set: set}},
		"no such node":          {quantize.Options{Exclude: []string{"nothing"}}, some},
		"learning rate":         {quantize.Options{}, quantize.Training{Set: set, Calibration: set, Options: train.Options{Rate: -1}}},
		"nothing to quantize":   {quantize.Options{Mode: "weight-only", Exclude: []string{"Conv", "Gemm"}}, some},
	} {
		if _, err := quantize.Train(t.Context(), g, c.o, c.t); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
