package prune_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/formats/onnx"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/prune"
	"github.com/tfsopt/tfsopt/tensor"
)

func shared(tb testing.TB) string {
	dir := os.Getenv("TFSOPT_SHARED")
	if dir == "" {
		dir = "../../shared"
	}
	if _, err := os.Stat(filepath.Join(dir, "models")); err != nil {
		tb.Skipf("no models: %v", err)
	}
	return dir
}

func loadShared(tb testing.TB, model string) *graph.Graph {
	tb.Helper()
	f, err := onnx.Load(filepath.Join(shared(tb), "models", model))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := f.Close(); err != nil {
			tb.Error(err)
		}
	})
	return f.Graph
}

// openShared opens a data set for a model.
func openShared(tb testing.TB, g *graph.Graph, path string, o data.Options) *data.Set {
	tb.Helper()
	for _, v := range g.Inputs {
		in := data.Input{Name: v.Name, DType: v.DType}
		for _, d := range v.Shape {
			n, ok := d.Value()
			if !ok {
				n = -1
			}
			in.Shape = append(in.Shape, n)
		}
		o.Inputs = append(o.Inputs, in)
	}
	o.Path = filepath.Join(shared(tb), "data", path)
	set, err := data.Open(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := set.Close(); err != nil {
			tb.Error(err)
		}
	})
	return set
}

// answers gives each graph's best class for each sample, and the labels.
func answers(tb testing.TB, set *data.Set, graphs ...*graph.Graph) (best [][]int, labels []int) {
	tb.Helper()
	var programs []*engine.Program
	for _, g := range graphs {
		p, err := engine.Compile(context.Background(), g, engine.Options{})
		if err != nil {
			tb.Fatal(err)
		}
		defer p.Close()
		programs = append(programs, p)
	}
	best = make([][]int, len(graphs))
	for b, err := range set.Stream(context.Background(), 1, 0) {
		if err != nil {
			tb.Fatal(err)
		}
		labels = append(labels, b.Labels[0])
		for i, p := range programs {
			call := &engine.Call{In: b.In}
			if err := p.Run(context.Background(), call); err != nil {
				tb.Fatal(err)
			}
			v := tensor.Floats(call.Out[0])
			best[i] = append(best[i], slices.Index(v, slices.Max(v)))
		}
	}
	return best, labels
}

// agreement is the percentage of equal elements.
func agreement(a, b []int) float64 {
	same := 0
	for i, x := range a {
		if x == b[i] {
			same++
		}
	}
	return 100 * float64(same) / float64(len(a))
}

// weights prunes with the samples or fails.
func weights(tb testing.TB, g *graph.Graph, o prune.Options) *prune.Result {
	tb.Helper()
	begun := time.Now()
	r, err := prune.Weights(context.Background(), g, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Logf("%.1f s, sparsity %.4f", time.Since(begun).Seconds(), r.Sparsity)
	return r
}

func table(r *prune.Result) string {
	var b strings.Builder
	for _, l := range r.Layers {
		fmt.Fprintf(&b, "%-48s %-6s %8d %.3f lost %.4f %6.1f dB\n", l.Name, l.Op, l.Elements, l.Sparsity, l.NormLost, l.OutputDB)
	}
	return b.String()
}

// TestMobileNetAgreement is the short form of TestMobileNetScores: 20 images, and another 60 on which both pruned models
// are compared with the original.
func TestMobileNetAgreement(t *testing.T) {
	if testing.Short() {
		t.Skip("long: a real model")
	}
	g := loadShared(t, "mobilenet_v1_025/mobilenet_v1_0.25_224_fp32.onnx")
	o := data.Options{Preprocess: "tf:crop=224", LabelOffset: 1}
	plain := weights(t, g, prune.Options{Sparsity: 0.5})
	solved := weights(t, g, prune.Options{Sparsity: 0.5, Data: openShared(t, g, "imagenet-500#::25", o), Reconstruct: true})
	a, _ := answers(t, openShared(t, g, "imagenet-500#3:300:5", o), g, plain.Graph, solved.Graph)
	by, with := agreement(a[0], a[1]), agreement(a[0], a[2])
	t.Logf("agreement with the original on %d images: magnitude %.1f %%, reconstruction %.1f %%", len(a[0]), by, with)
	if 100-with > (100-by)/2 {
		t.Errorf("reconstruction changes %.1f %% of the answers, want at most half of magnitude's %.1f", 100-with, 100-by)
	}
}

// TestMobileNetScores judges reconstruction on 100 unlabelled images by the other 400: half of the weights go, at most
// half as much accuracy as with magnitude alone.
func TestMobileNetScores(t *testing.T) {
	if os.Getenv("TFSOPT_SCORES") == "" {
		t.Skip("slow: set TFSOPT_SCORES=1")
	}
	g := loadShared(t, "mobilenet_v1_025/mobilenet_v1_0.25_224_fp32.onnx")
	o := data.Options{Preprocess: "tf:crop=224", LabelOffset: 1}
	samples := openShared(t, g, "imagenet-500#::5", o)
	plain := weights(t, g, prune.Options{Sparsity: 0.5, Data: samples})
	solved := weights(t, g, prune.Options{Sparsity: 0.5, Data: samples, Reconstruct: true})
	t.Logf("magnitude\n%s", table(plain))
	t.Logf("reconstruction\n%s", table(solved))
	if plain.Sparsity < 0.4999 || solved.Sparsity < 0.4999 {
		t.Errorf("sparsities %.4f and %.4f, want 0.5", plain.Sparsity, solved.Sparsity)
	}
	judge := openShared(t, g, "imagenet-500#!::5", o)
	a, labels := answers(t, judge, g, plain.Graph, solved.Graph)
	float, by, with := agreement(labels, a[0]), agreement(labels, a[1]), agreement(labels, a[2])
	t.Logf("top-1 %.2f, magnitude %.2f, reconstruction %.2f", float, by, with)
	if lost, bar := float-with, (float-by)/2; lost > bar {
		t.Errorf("reconstruction loses %.2f points, want at most %.2f", lost, bar)
	}
}
