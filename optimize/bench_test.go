package optimize_test

import (
	"os"
	"testing"

	"github.com/tfsopt/tfsopt/formats/onnx"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/optimize"
)

// BenchmarkPasses runs the pipelines on the ONNX model that TFSOPT_BENCH_MODEL names, such as BERT-base of
// ../shared/bench/gen_models.py.
func BenchmarkPasses(b *testing.B) {
	path := os.Getenv("TFSOPT_BENCH_MODEL")
	if path == "" {
		b.Skip("TFSOPT_BENCH_MODEL names no model")
	}
	f, err := onnx.Load(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	for _, p := range []struct {
		name string
		graph.Pipeline
	}{{"default", optimize.Default()}, {"engine", optimize.ForEngine()}} {
		b.Run(p.name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				b.StopTimer()
				g := f.Graph.Clone()
				b.StartTimer()
				if _, err := p.Run(b.Context(), g, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
