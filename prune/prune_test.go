package prune

import (
	"context"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// workers sets how many goroutines share work until the test ends.
func workers(t *testing.T, n int) {
	old := runtime.GOMAXPROCS(n)
	t.Cleanup(func() { runtime.GOMAXPROCS(old) })
}

func TestChoice(t *testing.T) {
	g := deepNet(t)
	all := []string{"w1", "w2", "w3", "w4", "w5", "w6"}
	for _, c := range []struct {
		o    Options
		want []string
	}{
		{Options{}, all},
		{Options{KeepFirst: true, KeepLast: true}, all[1:5]},
		{Options{Exclude: []string{"up", "w4", "Gemm"}}, []string{"w1", "w2", "w6"}},
		{Options{Include: []string{"Conv"}, Exclude: []string{"depthwise"}}, []string{"w1", "w4"}},
	} {
		p, err := NewPlan(g, c.o)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Tensors(); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v, want %v", c.o, got, c.want)
		}
	}
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{Exclude: []string{"conv9"}}, `exclude "conv9"`},
		{Options{Include: []string{"relu1"}}, `include "relu1"`},
		{Options{Exclude: all}, "nothing to prune"},
		{Options{Criterion: "size"}, `criterion "size"`},
		{Options{Scope: "row"}, `scope "row"`},
		{Options{MinDensity: 2}, "minimum density 2"},
		{Options{Sparsity: 1.5}, "sparsity 1.5"},
	} {
		if _, err := NewPlan(g, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want %q in it", c.o, err, c.want)
		}
	}
}

// A trainer's weights decide, not the graph's.
func TestPlanMasks(t *testing.T) {
	p, err := NewPlan(parse(t, net), Options{Include: []string{"v"}})
	if err != nil {
		t.Fatal(err)
	}
	m, err := p.Masks(Values{"v": {1, 8, 2, 7, 3, 6, 4, 5}}, nil, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	w := []float32{1, 8, 2, 7, 3, 6, 4, 5}
	m["v"].Multiply(w)
	if want := []float32{0, 8, 0, 7, 0, 6, 0, 5}; !slices.Equal(w, want) || len(m) != 1 {
		t.Errorf("masks of %v leave %v, want %v", m.Names(), w, want)
	}
	if _, err := p.Masks(Values{"v": {1}}, nil, 0.5); err == nil || !strings.Contains(err.Error(), `"v"`) {
		t.Errorf("one value for eight weights: error %v", err)
	}
	if _, err := p.Masks(nil, nil, 1); err == nil {
		t.Error("sparsity 1 is no error")
	}
}

// A weight that two products share is cut once; one that something else reads stays.
func TestSharedWeights(t *testing.T) {
	const text = `graph "shared" {
  opset "" 17
  input x: float32[2,4]
  const w: float32[4,4] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
  a: float32[2,4] = MatMul(x, w) "first"
  b: float32[2,4] = MatMul(a, w) "second"
  const e: float32[4,4] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16.5}
  const i: int64[2] = {0, 1}
  c: float32[2,4] = Gather(e, i) "embed"
  d: float32[2,4] = MatMul(b, e) "tied"
  y: float32[2,4] = Add(c, d) "sum"
  output y
}`
	g := parse(t, text)
	r, err := Weights(context.Background(), g, Options{Sparsity: 0.5, AsIs: true, Reconstruct: true, Data: samplesFor(t, g, 50)})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Layers) != 1 || r.Layers[0].Tensor != "w" || r.Layers[0].Zeros != 8 {
		t.Errorf("layers %+v", r.Layers)
	}
	if len(r.Warnings) != 2 || !strings.Contains(r.Warnings[0], `"e"`) || !strings.Contains(r.Warnings[1], "random") {
		t.Errorf("warnings %q", r.Warnings)
	}
	of := constants(r.Graph)
	first, second := r.Graph.Nodes[slices.IndexFunc(r.Graph.Nodes, named("first"))], r.Graph.Nodes[slices.IndexFunc(r.Graph.Nodes, named("second"))]
	if first.In[1] != second.In[1] || of["w"] != first.In[1] {
		t.Error("the two products no longer share their weight")
	}
}

// A layer with too many inputs for the moments is cut by its scores.
func TestLargeLayer(t *testing.T) {
	g := parse(t, "graph \"large\" {\n opset \"\" 17\n input x: float32[1,6000]\n input w: float32[6000,2]\n y: float32[1,2] = MatMul(x, w) \"wide\"\n output y\n}")
	g.Inputs[1].Const = tensor.From(uniform(rand.New(rand.NewPCG(4, 5)), 12000), 6000, 2)
	g.Inputs = g.Inputs[:1]
	r, err := Weights(context.Background(), g, Options{Sparsity: 0.5, Reconstruct: true, Data: samplesFor(t, g, 3)})
	if err != nil {
		t.Fatal(err)
	}
	if r.Layers[0].Zeros != 6000 || !strings.Contains(r.Warnings[0], "wide: it has too many inputs") {
		t.Errorf("%+v, warnings %q", r.Layers, r.Warnings)
	}
}

// Recurrent layers: W with the data, R without.
func TestRecurrent(t *testing.T) {
	const text = `graph "recurrent" {
  opset "" 17
  input x: float32[5,1,4]
  input w: float32[2,9,4]
  input r: float32[2,9,3]
  y: float32[5,2,1,3], _ = GRU(x, w, r) {direction="bidirectional" hidden_size=3} "gru"
  output y
}`
	g := parse(t, text)
	rng := rand.New(rand.NewPCG(2, 3))
	g.Inputs[1].Const = tensor.From(uniform(rng, 2*9*4), 2, 9, 4)
	g.Inputs[2].Const = tensor.From(uniform(rng, 2*9*3), 2, 9, 3)
	g.Inputs = g.Inputs[:1]
	res, err := Weights(context.Background(), g, Options{Sparsity: 0.5, Scope: "layer", Reconstruct: true, Data: samplesFor(t, g, 50)})
	if err != nil {
		t.Fatal(err)
	}
	if l := res.Layers; len(l) != 2 || l[0].Name != "gru.W" || l[1].Name != "gru.R" || l[0].Zeros != 36 || l[1].Zeros != 27 {
		t.Errorf("layers %+v", l)
	}
	if len(res.Warnings) < 1 || !strings.Contains(res.Warnings[0], "gru.R") {
		t.Errorf("warnings %q", res.Warnings)
	}
	for _, l := range res.Layers {
		if !(l.OutputDB > 3) {
			t.Errorf("%s: %.1f dB", l.Name, l.OutputDB)
		}
	}
}

func named(name string) func(*graph.Node) bool {
	return func(n *graph.Node) bool { return n.Name == name }
}
