package engine_test

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/formats/onnx"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// randomInputs makes float inputs in [-1,1) for a graph, with 1 for every dimension that is not fixed.
func randomInputs(tb testing.TB, g *graph.Graph) []*tensor.Tensor {
	tb.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	var in []*tensor.Tensor
	for _, v := range g.Inputs {
		shape := make([]int, len(v.Shape))
		for i, d := range v.Shape {
			shape[i] = 1
			if n, ok := d.Value(); ok {
				shape[i] = n
			}
		}
		t := tensor.New(v.DType, shape...)
		data := make([]float32, t.Len())
		for i := range data {
			data[i] = rng.Float32()*2 - 1
		}
		if err := tensor.SetFloats(t, data); err != nil {
			tb.Fatal(err)
		}
		in = append(in, t)
	}
	return in
}

// BenchmarkModels times one inference with one thread of every ONNX file in the folder TFSOPT_BENCH.
func BenchmarkModels(b *testing.B) {
	dir := os.Getenv("TFSOPT_BENCH")
	if dir == "" {
		b.Skip("TFSOPT_BENCH names no folder of models")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.onnx"))
	if err != nil {
		b.Fatal(err)
	}
	for _, path := range files {
		b.Run(strings.TrimSuffix(filepath.Base(path), ".onnx"), func(b *testing.B) {
			f, err := onnx.Load(path)
			if err != nil {
				b.Fatal(err)
			}
			in := randomInputs(b, f.Graph)
			p, err := engine.Compile(context.Background(), f.Graph, engine.Options{Threads: 1})
			if err != nil {
				b.Fatal(err)
			}
			defer p.Close()
			if err := f.Close(); err != nil {
				b.Fatal(err)
			}
			call := &engine.Call{In: in}
			for b.Loop() {
				if err := p.Run(context.Background(), call); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
