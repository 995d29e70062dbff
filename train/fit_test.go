package train

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/formats"
	_ "github.com/tfsopt/tfsopt/formats/onnx"
	"github.com/tfsopt/tfsopt/graph"
)

func fashion(t testing.TB, part, slice string) *data.Set {
	t.Helper()
	dir := filepath.Join("..", "testdata", "data", "fashion-"+part)
	s, err := data.Open(data.Options{
		Path: dir + "-images.gz," + dir + "-labels.gz" + slice, Preprocess: "unit",
		Inputs: []data.Input{{Name: "x", DType: 1, Shape: []int{-1, 1, 28, 28}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func lenet(t testing.TB) *graph.Graph {
	t.Helper()
	f, err := formats.Load(filepath.Join("..", "testdata", "models", "fashion_lenet5.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f.Graph
}

func TestFit(t *testing.T) {
	g, err := Init(lenet(t), 1, true)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Fit(context.Background(), g, fashion(t, "train", ""), Options{
		Epochs: 4, Rate: 0.02, Batch: 32, Held: fashion(t, "test", ""), Progress: func(p Progress) {
			if p.Step%20 == 0 {
				t.Logf("%+v", p)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range r.Curve {
		t.Logf("%+v", e)
	}
}
