package quantize

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/formats"
	_ "github.com/tfsopt/tfsopt/formats/onnx"
	_ "github.com/tfsopt/tfsopt/formats/text"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/optimize"
	"github.com/tfsopt/tfsopt/tensor"
)

// within is the sum of squared distances to the nearest center.
func within(values, centers []float32) float64 {
	sum := 0.0
	for _, x := range values {
		d := float64(x) - float64(centers[nearest(centers, x)])
		sum += d * d
	}
	return sum
}

// TestClusters compares k-means with every partition of few values into runs.
func TestClusters(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		v := make([]float32, 2+rng.IntN(9))
		for i := range v {
			v[i] = float32(rng.NormFloat64())
		}
		for k := 1; k <= 4; k++ {
			best := math.Inf(1)
			s := slices.Sorted(slices.Values(v))
			for cuts := range 1 << (len(s) - 1) { // bit i: a run ends after element i
				var centers []float32
				sum, n := 0.0, 0
				for i, x := range s {
					sum, n = sum+float64(x), n+1
					if i == len(s)-1 || cuts>>i&1 == 1 {
						centers, sum, n = append(centers, float32(sum/float64(n))), 0, 0
					}
				}
				if len(centers) <= k {
					best = min(best, within(v, centers))
				}
			}
			got := clusters(v, k, -1)
			if c := within(v, got); c > best*1.0001+1e-12 || len(got) > k || !slices.IsSorted(got) {
				t.Errorf("%d clusters of %v: %v costs %g, the best %g", k, v, got, c, best)
			}
		}
	}
	if c := clusters(nil, 4, -1); len(c) != 0 {
		t.Errorf("nothing has clusters %v", c)
	}
	if c := clusters([]float32{2, 1, 2, 1}, 4, -1); !slices.Equal(c, []float32{1, 2}) {
		t.Errorf("two values become %v", c)
	}
	many := make([]float32, 300000) // beyond maxWork: bins
	for i := range many {
		many[i] = float32(rng.NormFloat64())
	}
	// The optimal quantizer of a normal distribution with 15 levels has a distortion of 0.01072 (Max 1960: 0.01077).
	if d := within(many, clusters(many, 15, -1)) / float64(len(many)); d < 0.0102 || d > 0.0113 {
		t.Errorf("15 clusters of a normal distribution leave %g", d)
	}
}

// pruned is a LeNet of which a share of each layer's weights is kept, those of the largest magnitude.
func pruned(t *testing.T, keep map[string]float64) *graph.Graph {
	t.Helper()
	f, err := formats.Load(filepath.Join("..", "testdata", "nets", "lenet5.tfg"))
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for _, n := range f.Graph.Nodes {
		for i, v := range n.In {
			if i == 0 || !v.IsConst() {
				continue
			}
			w := tensor.View[float32](v.Const)
			for j := range w {
				w[j] = float32(rng.NormFloat64() / 20)
			}
			if i == 2 {
				continue
			}
			size := make([]float64, len(w))
			for j, x := range w {
				size[j] = math.Abs(float64(x))
			}
			slices.Sort(size)
			least := size[int(float64(len(w))*(1-keep[n.Name]))]
			for j, x := range w {
				if math.Abs(float64(x)) < least {
					w[j] = 0
				}
			}
			delete(v.Meta, graph.MetaInit)
		}
		for i := 1; i < len(n.In); i++ {
			delete(n.In[i].Meta, graph.MetaInit)
		}
	}
	return f.Graph
}

// twelvefold keeps one weight in twelve.
var twelvefold = map[string]float64{"conv1": 0.66, "conv2": 0.12, "ip1": 0.0786, "ip2": 0.19}

func TestCodebook(t *testing.T) {
	g := pruned(t, twelvefold)
	r, err := Codebook(t.Context(), g, CodebookOptions{LayerBits: map[string]int{"conv1": 5}})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, l := range r.Layers {
		names = append(names, l.Name+" "+l.Precision)
		if l.SQNR < 19 || l.MaxError <= 0 {
			t.Errorf("%+v", l)
		}
	}
	if want := []string{"conv1 codebook5", "conv2 codebook4", "ip1 codebook4", "ip2 codebook4"}; !slices.Equal(names, want) {
		t.Errorf("layers %q, want %q", names, want)
	}

	// What the graph restores is the codebook's, and zeros are zeros.
	folded := r.Graph.Clone()
	if _, err := (optimize.Fold{Growth: 1 << 30, Codebooks: true}).Apply(t.Context(), folded); err != nil {
		t.Fatal(err)
	}
	for i, n := range g.Nodes {
		if weightOf(n) == nil {
			continue
		}
		was, is := tensor.Floats(n.In[1].Const), tensor.Floats(folded.Nodes[i].In[1].Const)
		distinct := map[float32]bool{}
		for j, x := range is {
			if (x == 0) != (was[j] == 0) || math.Abs(float64(x-was[j])) > 0.1 {
				t.Fatalf("%s: element %d is %g, was %g", n.Name, j, x, was[j])
			}
			distinct[x] = true
		}
		if limit := map[string]int{"conv1": 32}[n.Name]; len(distinct) > max(limit, 16) {
			t.Errorf("%s: %d values", n.Name, len(distinct))
		}
	}
	sameAnswers(t, r.Graph, folded)
}

// sameAnswers runs both graphs in the engine.
func sameAnswers(t *testing.T, a, b *graph.Graph) {
	t.Helper()
	x := tensor.New(tensor.Float32, 2, 1, 28, 28)
	rng := rand.New(rand.NewPCG(5, 6))
	for i := range tensor.View[float32](x) {
		tensor.View[float32](x)[i] = rng.Float32()
	}
	var out []*tensor.Tensor
	for _, g := range []*graph.Graph{a, b} {
		p, err := engine.Compile(t.Context(), g, engine.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		c := &engine.Call{In: []*tensor.Tensor{x}}
		if err := p.Run(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		out = append(out, c.Out[0])
	}
	if !out[0].Equal(out[1]) {
		t.Errorf("answers differ: %v and %v", tensor.Floats(out[0]), tensor.Floats(out[1]))
	}
}

// saved is the size of a graph as a file, whose loaded form must be the same.
func saved(t *testing.T, g *graph.Graph, ext string) int64 {
	t.Helper()
	path := filepath.Join(t.TempDir(), "m.onnx"+ext)
	if _, err := formats.Save(t.Context(), g, path); err != nil {
		t.Fatal(err)
	}
	f, err := formats.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sameAnswers(t, g, f.Graph)
	return f.Bytes
}

// TestCodebookBytes keeps the size of the worst case, weights at random places, against the dense float32 file's.
func TestCodebookBytes(t *testing.T) {
	g := pruned(t, twelvefold)
	for _, c := range []struct {
		o    CodebookOptions
		ext  string
		most int64
	}{
		{CodebookOptions{}, "", 76500},
		{CodebookOptions{}, ".zst", 42000},
		{CodebookOptions{}, ".xz", 45500},
		{CodebookOptions{SQNR: 25}, ".zst", 4 * 431080 / 42},
		{CodebookOptions{Bits: 3}, ".zst", 38000},
	} {
		r, err := Codebook(t.Context(), g, c.o)
		if err != nil {
			t.Fatal(err)
		}
		n := saved(t, r.Graph, c.ext)
		t.Logf("%+v%s: %d bytes, %.1f times smaller than float32", c.o, c.ext, n, 4*431080/float64(n))
		if n > c.most {
			t.Errorf("%+v%s: %d bytes, more than %d", c.o, c.ext, n, c.most)
		}
		for _, l := range r.Layers {
			if l.Name != "conv1" && l.SQNR < c.o.SQNR { // conv1 is too dense to reach it
				t.Errorf("%s: %.1f dB", l.Name, l.SQNR)
			}
		}
	}
}

// TestCodebookStaysCoded optimizes a coded model: the file's passes leave the codes alone, those of the engine do not.
func TestCodebookStaysCoded(t *testing.T) {
	for _, keep := range []map[string]float64{twelvefold, {"conv1": 1, "conv2": 1, "ip1": 1, "ip2": 1}} {
		r, err := Codebook(t.Context(), pruned(t, keep), CodebookOptions{})
		if err != nil {
			t.Fatal(err)
		}
		before := saved(t, r.Graph, "")
		for _, p := range optimize.Default() {
			if _, err := p.Apply(t.Context(), r.Graph); err != nil {
				t.Fatal(err)
			}
		}
		if after := saved(t, r.Graph, ""); float64(after) > 1.1*float64(before) {
			t.Errorf("%d bytes become %d", before, after)
		}
		for _, p := range optimize.ForEngine() {
			if _, err := p.Apply(t.Context(), r.Graph); err != nil {
				t.Fatal(err)
			}
		}
		for _, n := range r.Graph.Nodes {
			if op := n.OpName(); op == "Gather" || op == "ScatterElements" || op == "Cast" {
				t.Errorf("the engine is left with %s %q", op, n.Name)
			}
		}
	}
}

// TestCodebookForms restores weights with long gaps, of few values, of none, and refuses what it cannot take.
func TestCodebookForms(t *testing.T) {
	for name, set := range map[string]func(w []float32){
		"gaps":     func(w []float32) { w[0], w[255], w[511], w[len(w)-1] = 1, 2, 3, 1e-30 },
		"late":     func(w []float32) { w[len(w)/2] = -1 },
		"none":     func([]float32) {},
		"negative": func(w []float32) { w[7] = float32(math.Copysign(0, -1)) },
	} {
		g := pruned(t, map[string]float64{"conv1": 0.1, "conv2": 0.1, "ip1": 0.1, "ip2": 0.1})
		ip1 := g.Nodes[slices.IndexFunc(g.Nodes, func(n *graph.Node) bool { return n.Name == "ip1" })]
		w := tensor.View[float32](ip1.In[1].Const)
		clear(w)
		set(w)
		want := slices.Clone(w)
		r, err := Codebook(t.Context(), g, CodebookOptions{Exclude: []string{"Conv", "ip2"}})
		if err != nil {
			t.Fatal(err)
		}
		saved(t, r.Graph, "")
		if _, err := (optimize.Fold{Growth: 1 << 30, Codebooks: true}).Apply(t.Context(), r.Graph); err != nil {
			t.Fatal(err)
		}
		for _, n := range r.Graph.Nodes {
			if n.Name == "ip1" && !slices.Equal(tensor.Floats(n.In[1].Const), want) {
				t.Errorf("%s: not what it was", name)
			}
		}
		w[0] = float32(math.Inf(1))
		if _, err := Codebook(t.Context(), g, CodebookOptions{}); err == nil {
			t.Errorf("%s: an infinite weight is taken", name)
		}
		for _, o := range []CodebookOptions{{Bits: 1}, {Bits: 9}, {LayerBits: map[string]int{"ip7": 4}}, {LayerBits: map[string]int{"ip1": 0}}, {SQNR: -1}} {
			if _, err := Codebook(t.Context(), g, o); err == nil {
				t.Errorf("%+v is taken", o)
			}
		}
		if _, err := Codebook(t.Context(), g, CodebookOptions{Exclude: []string{"Conv", "Gemm"}}); err == nil {
			t.Error("nothing to do is no error")
		}
	}
}
