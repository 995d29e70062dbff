package formats_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/formats"
	_ "github.com/tfsopt/tfsopt/formats/onnx"
	"github.com/tfsopt/tfsopt/graph"
)

func write(t *testing.T, name string, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o640); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDetect(t *testing.T) {
	model := "\x08\x08\x12\x01p:\x03\x12\x01g" // ir_version, producer_name, graph
	for name, content := range map[string]string{"m.onnx": "", "M.ONNX": model, "no extension": model, "m.bin": model} {
		if f, err := formats.Detect(write(t, name, content)); err != nil || f.Name != "ONNX" {
			t.Errorf("%s: %v, %v", name, f, err)
		}
	}
	for name, content := range map[string]string{"m.txt": "some text", "empty": "", "m.png": "\x89PNG"} {
		if f, err := formats.Detect(write(t, name, content)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, %v", name, f, err)
		}
	}
	if _, err := formats.Detect(t.TempDir()); err == nil {
		t.Error("an empty directory is a model")
	}
	if _, err := formats.Load(filepath.Join(t.TempDir(), "gone.onnx")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

func TestSaveByExtension(t *testing.T) {
	_, err := formats.Save(t.Context(), &graph.Graph{}, "model.doc")
	if err == nil || !strings.Contains(err.Error(), ".onnx") {
		t.Errorf("got %v", err)
	}
	if err := formats.CanSave("model.doc"); err == nil {
		t.Error("model.doc can be saved")
	}
	if err := formats.CanSave("dir/M.ONNX"); err != nil {
		t.Error(err)
	}
}

func TestAtomic(t *testing.T) {
	path := write(t, "out", "earlier")
	ctx, cancel := context.WithCancel(t.Context())
	for name, fail := range map[string]func(w io.Writer) error{
		"failing":   func(w io.Writer) error { return errors.Join(fill(w), io.ErrShortWrite) },
		"cancelled": func(w io.Writer) error { cancel(); return fill(w) },
	} {
		if err := formats.Atomic(ctx, path, fail); err == nil {
			t.Errorf("%s: no error", name)
		}
		if b, _ := os.ReadFile(path); string(b) != "earlier" {
			t.Errorf("%s: the earlier file is %q", name, b)
		}
	}
	if err := formats.Atomic(t.Context(), path, fill); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(path); len(b) != 100000 {
		t.Errorf("%d bytes", len(b))
	}
	if st, _ := os.Stat(path); st.Mode().Perm() != 0o640 {
		t.Errorf("permissions became %v", st.Mode())
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("left in the directory: %v", left)
	}
}

func fill(w io.Writer) error {
	_, err := w.Write(make([]byte, 100000))
	return err
}

// TestDiskFull writes to a device without room.
func TestDiskFull(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full")
	}
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	path := write(t, "out", "earlier")
	err = formats.Atomic(t.Context(), path, func(w io.Writer) error {
		_, err := io.Copy(io.MultiWriter(w, f), strings.NewReader("data"))
		return err
	})
	if b, _ := os.ReadFile(path); err == nil || string(b) != "earlier" {
		t.Errorf("%v; the earlier file is %q", err, b)
	}
}

func TestMap(t *testing.T) {
	m, err := formats.Map(write(t, "f", "content"))
	if err != nil || string(m.Data) != "content" {
		t.Fatalf("%q, %v", m.Data, err)
	}
	if err := errors.Join(m.Close(), m.Close()); err != nil {
		t.Error(err)
	}
	if m, err := formats.Map(write(t, "f", "")); err != nil || len(m.Data) != 0 {
		t.Errorf("empty file: %v", err)
	}
	if _, err := formats.Map(t.TempDir()); err == nil {
		t.Error("a directory maps")
	}
}
