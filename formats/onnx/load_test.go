package onnx

import (
	"os"
	"path/filepath"
	"testing"
)

// sharedDir is where the large test data lies: models and conformance cases that are not part of the project.
func sharedDir(t testing.TB, sub string) string {
	dir := os.Getenv("TFSOPT_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	dir = filepath.Join(dir, sub)
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no test data: %v", err)
	}
	return dir
}

func sharedModels(t testing.TB) []string {
	var paths []string
	for _, pattern := range []string{"conformance/onnx/*/*/model.onnx", "conformance/onnx/light/*.onnx", "models/*/*.onnx", "models/*/*/*.onnx"} {
		m, err := filepath.Glob(filepath.Join(sharedDir(t, ""), pattern))
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, m...)
	}
	return paths
}

// incomplete tells of minilm's skeleton.onnx, whose weights come from elsewhere.
func incomplete(path string) bool { return filepath.Base(path) == "skeleton.onnx" }

func TestLoadShared(t *testing.T) {
	for _, path := range sharedModels(t) {
		if incomplete(path) {
			continue
		}
		f, err := Load(path)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if len(f.Graph.Outputs) == 0 {
			t.Errorf("%s: no outputs", path)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}
