package optimize_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/tfsopt/tfsopt/formats/onnx"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/optimize"
	"github.com/tfsopt/tfsopt/tensor"
)

// models are real ones of at most 0.05 GMAC, which the plain loops can do, with the number of nodes that may be left.
var models = []struct {
	file          string
	nodes, engine int // at most, in files and in the engine
	transposes    int // at most, between nodes
}{
	{"kws_dscnn/dscnn_kws_fp32.onnx", 23, 23, 0},
	{"mnist/mnist.onnx", 8, 8, 0},
	{"magika/standard_v3_3/model.onnx", 76, 60, 1},
	{"mobilenet_v1_025/mobilenet_v1_0.25_224_fp32.onnx", 59, 59, 0},
	{"mobilenet_v2_035_flowers/mobilenet_v2_0.35_128_tfs_channel_first.onnx", 101, 101, 0},
	{"ppocr_cls/ch_ppocr_mobile_v2.0_cls_infer.onnx", 179, 125, 0},
	{"resnet8_cifar10/resnet8_cifar10_fp32.onnx", 24, 24, 0},
}

func TestModels(t *testing.T) {
	shared := os.Getenv("TFSOPT_SHARED")
	if shared == "" {
		shared = "../../shared"
	}
	for _, m := range models {
		for _, p := range []struct {
			name     string
			pipeline graph.Pipeline
			most     int
		}{{"default", optimize.Default(), m.nodes}, {"engine", optimize.ForEngine(), m.engine}} {
			t.Run(filepath.Base(m.file)+"/"+p.name, func(t *testing.T) {
				path := filepath.Join(shared, "models", m.file)
				if _, err := os.Stat(path); err != nil {
					t.Skipf("no model: %v", err)
				}
				f, err := onnx.Load(path)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				before := f.Graph.Clone()
				if _, err := p.pipeline.Run(t.Context(), f.Graph, nil); err != nil {
					t.Fatal(err)
				}
				ops := map[string]int{}
				for _, n := range f.Graph.Nodes {
					ops[n.OpName()]++
				}
				t.Logf("%d nodes of %d: %v", len(f.Graph.Nodes), len(before.Nodes), ops)
				if len(f.Graph.Nodes) > p.most {
					t.Errorf("%d nodes are left, want at most %d: %v", len(f.Graph.Nodes), p.most, ops)
				}
				if inner := between(f.Graph); inner > m.transposes {
					t.Errorf("%d transposes are left between nodes, want at most %d", inner, m.transposes)
				}
				again := before.Clone()
				if _, err := p.pipeline.Run(t.Context(), again, nil); err != nil || again.String() != f.Graph.String() {
					t.Errorf("a second run gives another graph (%v)", err)
				}
				compare(t, before, f.Graph)
			})
		}
	}
}

// between counts the transposes that neither read an input nor make an output.
func between(g *graph.Graph) (count int) {
	for _, n := range g.Nodes {
		if n.OpName() == "Transpose" && n.In[0].Def != nil && !g.IsOutput(n.Out[0]) {
			count++
		}
	}
	return count
}

// compare computes both graphs on the same random inputs. The longest sums have some thousand terms and are rounded once
// in each node, so that 1e-5 of the largest output is a few units in its last place.
func compare(t *testing.T, before, after *graph.Graph) {
	t.Helper()
	rng := rand.New(rand.NewPCG(3, 4))
	in := make([]*tensor.Tensor, len(before.Inputs))
	for i, v := range before.Inputs {
		in[i] = randomInput(rng, v.Type)
	}
	want, err := graph.Eval(t.Context(), before, in)
	if err != nil {
		t.Fatal(err)
	}
	got, err := graph.Eval(t.Context(), after, in)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if fmt.Sprint(got[i].Shape) != fmt.Sprint(want[i].Shape) || after.Outputs[i].Name != before.Outputs[i].Name {
			t.Fatalf("output %d is %q%v, want %q%v", i, after.Outputs[i].Name, got[i].Shape, before.Outputs[i].Name, want[i].Shape)
		}
		g, w := tensor.Float64s(got[i]), tensor.Float64s(want[i])
		worst, largest := 0., 0.
		for j := range w {
			worst, largest = max(worst, math.Abs(g[j]-w[j])), max(largest, math.Abs(w[j]))
		}
		if worst > 1e-5*largest || largest == 0 || worst != worst {
			t.Errorf("output %q differs by %g, its largest element is %g", after.Outputs[i].Name, worst, largest)
		}
	}
}

// randomInput has one sample; other dimensions that the model leaves open, those of images among them, are 48.
func randomInput(rng *rand.Rand, ty graph.Type) *tensor.Tensor {
	shape := make([]int, len(ty.Shape))
	for i, d := range ty.Shape {
		n, ok := d.Value()
		switch {
		case ok:
			shape[i] = n
		case i == 0:
			shape[i] = 1
		default:
			shape[i] = 48
		}
	}
	x := tensor.New(ty.DType, shape...)
	v := make([]float64, x.Len())
	for i := range v {
		v[i] = rng.NormFloat64()
		if ty.DType.IsInt() {
			v[i] = float64(rng.IntN(200))
		}
	}
	_ = tensor.SetFloat64s(x, v) // numbers fit every type that models take
	return x
}
