package prune

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// deep is a network with each kind of layer; its weights are inputs until deepNet makes them constants.
const deep = `graph "deep" {
  opset "" 17
  input x: float32[batch,3,8,8]
  input w1: float32[8,3,3,3]
  const b1: float32[8] = {0.1, 0, 0, 0, -0.1, 0.2, 0, 0}
  c1: float32[batch,8,8,8] = Conv(x, w1, b1) {pads=[1,1,1,1]} "conv1"
  r1: float32[batch,8,8,8] = Relu(c1) "relu1"
  input w2: float32[8,1,3,3]
  c2: float32[batch,8,4,4] = Conv(r1, w2) {group=8 strides=[2,2] pads=[1,1,1,1]} "depthwise"
  r2: float32[batch,8,4,4] = Relu(c2) "relu2"
  input w3: float32[8,4,2,2]
  t: float32[batch,4,8,8] = ConvTranspose(r2, w3) {strides=[2,2]} "up"
  input w4: float32[16,4,1,1]
  c4: float32[batch,16,8,8] = Conv(t, w4, _) "point"
  r4: float32[batch,16,8,8] = Relu(c4) "relu4"
  p: float32[batch,16,1,1] = GlobalAveragePool(r4) "pool"
  f: float32[batch,16] = Flatten(p) "flat"
  input w5: float32[16,12]
  const b5: float32[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
  g: float32[batch,12] = Gemm(f, w5, b5) {alpha=0.5 beta=2.0} "fc"
  s: float32[batch,12] = Sigmoid(g) "sigmoid"
  input w6: float32[12,5]
  y: float32[batch,5] = MatMul(s, w6) "logits"
  output y
}`

func deepNet(t *testing.T) *graph.Graph {
	t.Helper()
	g := parse(t, deep)
	rng := rand.New(rand.NewPCG(1, 1))
	for _, v := range g.Inputs[1:] {
		shape, _ := v.Fixed()
		v.Const = tensor.From(uniform(rng, tensor.Size(shape)), shape...)
	}
	g.Inputs = g.Inputs[:1]
	return g
}

func bytesOf(g *graph.Graph) map[string][]byte {
	out := map[string][]byte{}
	for name, v := range constants(g) {
		out[name] = slices.Clone(v.Const.Data)
	}
	return out
}

// Reconstruction keeps the layers' sparsity and loses less of every layer's output than the masks alone; the samples'
// mean output stays; the original is not touched.
func TestReconstruct(t *testing.T) {
	g := deepNet(t)
	before := bytesOf(g)
	set := samplesFor(t, g, 64)
	for _, pattern := range []string{"unstructured", "2:4", "4x1"} {
		o := Options{Pattern: pattern, Data: set}
		if pattern != "2:4" {
			o.Sparsity = 0.5
		}
		plain, err := Weights(context.Background(), g, o)
		if err != nil {
			t.Fatal(err)
		}
		o.Reconstruct = true
		r, err := Weights(context.Background(), g, o)
		if err != nil {
			t.Fatal(err)
		}
		for i, l := range r.Layers {
			p := plain.Layers[i]
			t.Logf("%-12s %-10s %.3f %6.1f dB, by masks alone %.3f %6.1f dB", pattern, l.Name, l.Sparsity, l.OutputDB, p.Sparsity, p.OutputDB)
			if l.Zeros != p.Zeros {
				t.Errorf("%s %s: %d zeros, the masks alone %d", pattern, l.Name, l.Zeros, p.Zeros)
			}
			gain := -0.1 // on white noise, magnitude is as good for the first layer
			if l.Name == "fc" || l.Name == "logits" {
				gain = 8
			}
			if p.OutputDB != 0 && !(l.OutputDB > p.OutputDB+gain) {
				t.Errorf("%s %s: %.1f dB, by masks alone %.1f", pattern, l.Name, l.OutputDB, p.OutputDB)
			}
		}
		for name, m := range r.Masks {
			for i, x := range floats(r.Graph, name) {
				if m.Keeps(i) != (x != 0) {
					t.Fatalf("%s: element %d of %s is %v, its mask keeps it: %v", pattern, i, name, x, m.Keeps(i))
				}
			}
		}
		if err := r.Graph.Check(); err != nil {
			t.Error(err)
		}
	}
	for name, data := range bytesOf(g) {
		if !slices.Equal(data, before[name]) {
			t.Errorf("the original's constant %s changed", name)
		}
	}
}

// The biases make up for what the mean of a layer's output loses.
func TestReconstructMeans(t *testing.T) {
	g := deepNet(t)
	set := samplesFor(t, g, 32)
	mean := func(g *graph.Graph, name string) []float64 {
		s := &session{ctx: context.Background(), o: Options{Data: set}}
		p, err := s.prefix(g, []*graph.Value{g.Value(name)})
		if err != nil {
			t.Fatal(err)
		}
		defer p.close()
		sum := make([]float64, 12)
		for i := range 32 {
			b, err := set.Sample(i)
			if err != nil {
				t.Fatal(err)
			}
			y, err := graph.EvalObserve(context.Background(), g, b.In, func(v *graph.Value, y *tensor.Tensor) {
				if v.Name == name {
					for j, x := range tensor.Floats(y) {
						sum[j] += float64(x) / 32
					}
				}
			})
			if err != nil || len(y) == 0 {
				t.Fatal(err)
			}
		}
		return sum
	}
	want := mean(g, "g")
	for _, keep := range []bool{false, true} {
		r, err := Weights(context.Background(), g, Options{Sparsity: 0.6, Data: set, Reconstruct: true, KeepBias: keep, AsIs: true})
		if err != nil {
			t.Fatal(err)
		}
		worst := 0.0
		for i, x := range mean(r.Graph, "g") {
			worst = max(worst, math.Abs(x-want[i]))
		}
		if (worst < 1e-3) == keep {
			t.Errorf("biases kept: %v, means move by up to %g", keep, worst)
		}
		if b := r.Graph.Value("b1"); keep && !slices.Equal(tensor.Floats(b.Const), floats(g, "b1")) {
			t.Error("a bias that was to be kept changed")
		}
	}
}

// The same bytes for any number of threads and every kernel set.
func TestReconstructThreads(t *testing.T) {
	g := deepNet(t)
	set := samplesFor(t, g, 16)
	var first map[string][]byte
	for _, o := range []Options{{Threads: 1}, {Threads: 3}, {CPU: "generic"}} {
		o.Sparsity, o.Data, o.Reconstruct = 0.5, set, true
		r, err := Weights(context.Background(), g, o)
		if err != nil {
			t.Fatal(err)
		}
		now := bytesOf(r.Graph)
		if first == nil {
			first = now
		}
		for name, data := range now {
			if !slices.Equal(data, first[name]) {
				t.Errorf("threads %d, CPU %q: constant %s differs", o.Threads, o.CPU, name)
			}
		}
	}
}

// Work is dealt out without a trace: one worker and many give the same numbers.
func TestSolveWorkers(t *testing.T) {
	const rows, k = 64, 96
	rng := rand.New(rand.NewPCG(16, 17))
	h := definite(rng, k)
	w := make([]float64, rows*k)
	for i := range w {
		w[i] = rng.NormFloat64()
	}
	var first []float64
	for _, n := range []int{1, 4} {
		workers(t, n)
		s := newSolver(plainMatrix(rows, k), pattern{block: 1}, []system{given(h, h, k)}, w)
		s.solve(rows * k / 2)
		if first == nil {
			first = s.w
		}
		if !slices.Equal(first, s.w) {
			t.Errorf("%d workers give other weights than one", n)
		}
	}
}

func TestReconstructErrors(t *testing.T) {
	g := deepNet(t)
	if _, err := Weights(context.Background(), g, Options{Sparsity: 0.5, Reconstruct: true}); !errors.Is(err, ErrNoData) {
		t.Errorf("without data: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Weights(ctx, g, Options{Sparsity: 0.5, Reconstruct: true, Data: samplesFor(t, g, 4)}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	w := slices.Clone(floats(g, "w4"))
	w[3] = float32(math.NaN())
	bad := replaced(g, map[string]*tensor.Tensor{"w4": tensor.From(w, 16, 4, 1, 1)})
	if _, err := Weights(context.Background(), bad, Options{Sparsity: 0.5}); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q: element 3", "w4")) {
		t.Errorf("a weight that is NaN: %v", err)
	}
}
