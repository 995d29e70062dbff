package optimize

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tfsopt/tfsopt/graph"
	_ "github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

var update = flag.Bool("update", false, "write what the passes give into testdata/*.txt")

const divider = "----\n"

// TestGoldens runs the pass that a file of testdata is named for (the part before "_") on the graph above the divider.
// The result must print as below it, give the same names at inputs and outputs, and compute the same on random inputs.
//
//	go test ./optimize -run TestGoldens/pad -update
func TestGoldens(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no goldens: %v", err)
	}
	tested := map[string]bool{}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		pass, _, _ := strings.Cut(name, "_")
		tested[pass] = true
		t.Run(name, func(t *testing.T) { runGolden(t, file, pass) })
	}
	for _, s := range steps {
		if !tested[s.pass.Name()] {
			t.Errorf("pass %s has no golden", s.pass.Name())
		}
	}
}

func runGolden(t *testing.T, file, pass string) {
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, want, _ := strings.Cut(string(b), divider)
	g := parse(t, before)
	pipeline := graph.Pipeline{passNamed(t, pass)}
	optimized := g.Clone()
	results, err := pipeline.Run(t.Context(), optimized, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := optimized.String()
	if *update {
		if err := os.WriteFile(file, []byte(before+divider+got), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if changed := got != g.String(); changed != (results[0].Changes > 0) {
		t.Errorf("%d changes are reported; the graph changed: %v", results[0].Changes, changed)
	}
	sameMeaning(t, g, optimized, tolerances[pass])
	watchAll(t, g, pipeline, tolerances[pass])
	again := optimized.Clone()
	if results, err = pipeline.Run(t.Context(), again, nil); err != nil || again.String() != got {
		t.Errorf("a second run changes the graph again (%d changes, %v):\n%s", results[0].Changes, err, cmp.Diff(got, again.String()))
	}
}

// watchAll runs the passes on a graph that gives every value: none may vanish, change its name or its numbers.
func watchAll(t *testing.T, g *graph.Graph, p graph.Pipeline, tolerance float64) {
	t.Helper()
	all := g.Clone()
	for _, n := range all.Nodes {
		for _, v := range n.Out {
			if v != nil && !slices.Contains(all.Outputs, v) {
				all.Outputs = append(all.Outputs, v)
			}
		}
	}
	optimized := all.Clone()
	if _, err := p.Run(t.Context(), optimized, nil); err != nil {
		t.Fatal(err)
	}
	sameMeaning(t, all, optimized, tolerance)
}

func parse(t *testing.T, text string) *graph.Graph {
	t.Helper()
	g, err := graph.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Infer(); err != nil {
		t.Fatal(err)
	}
	return g
}

func passNamed(t *testing.T, name string) graph.Pass {
	for _, s := range steps {
		if s.pass.Name() == name {
			return s.pass
		}
	}
	t.Fatalf("there is no pass named %q", name)
	return nil
}

// tolerances of the passes that round differently, relative to the largest element; the others must give the same numbers.
var tolerances = map[string]float64{"batchnorm": 1e-6, "gemm": 1e-6, "splitnorm": 1e-6, "gelu": 1e-6, "layernorm": 1e-6, "hardswish": 1e-6}

// sameMeaning compares two graphs' interfaces and results on random inputs.
func sameMeaning(t *testing.T, a, b *graph.Graph, tolerance float64) {
	t.Helper()
	if x, y := names(a), names(b); x != y {
		t.Errorf("inputs and outputs are %s, were %s", y, x)
	}
	if len(graph.Unsupported(a)) > 0 {
		return
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 3 {
		in := make([]*tensor.Tensor, len(a.Inputs))
		for i, v := range a.Inputs {
			in[i] = randomTensor(rng, v.Type)
		}
		want, err := graph.Eval(t.Context(), a, in)
		if err != nil {
			t.Fatal(err)
		}
		got, err := graph.Eval(t.Context(), b, in)
		if err != nil {
			t.Fatalf("the optimized graph fails: %v", err)
		}
		for i := range want {
			if err := differ(got[i], want[i], tolerance); err != nil {
				t.Errorf("output %q: %v", a.Outputs[i].Name, err)
			}
		}
	}
}

func names(g *graph.Graph) string {
	var in, out []string
	for _, v := range g.Inputs {
		in = append(in, v.Name)
	}
	for _, v := range g.Outputs {
		out = append(out, v.Name)
	}
	return fmt.Sprint(in, out)
}

// randomTensor fills a type, with 3 for each symbol in its shape.
func randomTensor(rng *rand.Rand, ty graph.Type) *tensor.Tensor {
	shape := make([]int, len(ty.Shape))
	for i, d := range ty.Shape {
		n := 1
		if v, ok := d.Value(); ok {
			n = v
		} else {
			for range max(1, len(d.Names())) {
				n *= 3
			}
		}
		shape[i] = n
	}
	x := tensor.New(ty.DType, shape...)
	v := make([]float64, x.Len())
	for i := range v {
		switch {
		case ty.DType.IsFloat():
			v[i] = rng.NormFloat64() * 2
		case ty.DType == tensor.Uint8 || ty.DType == tensor.Int8:
			v[i] = float64(rng.IntN(256))
		default:
			v[i] = float64(rng.IntN(2))
		}
	}
	_ = tensor.SetFloat64s(x, v)
	return x
}

// differ allows the tolerance times the largest element; integers must be equal.
func differ(got, want *tensor.Tensor, tolerance float64) error {
	if got.DType != want.DType || !slices.Equal(got.Shape, want.Shape) {
		return fmt.Errorf("got %s, want %s", graph.TypeOf(got), graph.TypeOf(want))
	}
	if !want.IsFloat() {
		if !got.Equal(want) {
			return fmt.Errorf("got %v, want %v", tensor.Ints(got), tensor.Ints(want))
		}
		return nil
	}
	g, w := tensor.Float64s(got), tensor.Float64s(want)
	scale := 1.0
	for _, x := range w {
		scale = max(scale, math.Abs(x))
	}
	for i := range w {
		if math.Abs(g[i]-w[i]) > tolerance*scale || math.IsNaN(g[i]) != math.IsNaN(w[i]) {
			return fmt.Errorf("element %d is %v, want %v", i, g[i], w[i])
		}
	}
	return nil
}
