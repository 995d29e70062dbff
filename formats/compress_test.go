package formats_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// sparseModel multiplies by a matrix most of whose elements are zero.
func sparseModel(t *testing.T, n int) *graph.Graph {
	t.Helper()
	w := tensor.New(tensor.Float32, n, n)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range tensor.View[float32](w) {
		if rng.IntN(10) == 0 {
			tensor.View[float32](w)[i] = float32(rng.IntN(15)) - 7
		}
	}
	g := &graph.Graph{Name: "g", Opsets: map[string]int{"": 17}}
	b := graph.NewBuilder(g)
	x := graph.NewInput("x", graph.Of(tensor.Float32, graph.Named("n"), graph.Fixed(n)))
	g.Inputs = []*graph.Value{x}
	g.Outputs = []*graph.Value{b.Add("y", ops.MatMul{}, x, b.Const("w", w))}
	if b.Err != nil {
		t.Fatal(b.Err)
	}
	return g
}

func TestCompressed(t *testing.T) {
	g := sparseModel(t, 200)
	dir := t.TempDir()
	for _, ext := range []string{".zst", ".xz", ".ZST"} {
		path := filepath.Join(dir, "m.onnx"+ext)
		if _, err := formats.Save(t.Context(), g, path); err != nil {
			t.Fatal(err)
		}
		first, _ := os.ReadFile(path)
		renamed := filepath.Join(dir, "model") // found by its first bytes
		for _, p := range []string{path, renamed} {
			if err := os.WriteFile(p, first, 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := formats.Load(p)
			if err != nil {
				t.Fatal(err)
			}
			if f.Format != "ONNX" || f.Bytes != int64(len(first)) || f.Bytes > 200*200*4/7 {
				t.Errorf("%s: %s, %d bytes; the file has %d", p, f.Format, f.Bytes, len(first))
			}
			if w := f.Graph.Nodes[0].In[1].Const; !w.Equal(g.Nodes[0].In[1].Const) {
				t.Errorf("%s: the weights differ", p)
			}
			if err := errors.Join(f.Close(), f.Close()); err != nil {
				t.Error(err)
			}
		}
		if _, err := formats.Save(t.Context(), g, path); err != nil {
			t.Fatal(err)
		}
		if again, _ := os.ReadFile(path); !bytes.Equal(first, again) {
			t.Errorf("%s: other bytes the second time", ext)
		}
	}
	if err := formats.CanSave("m.doc.zst"); err == nil || !strings.Contains(err.Error(), `".doc"`) {
		t.Errorf("m.doc.zst: %v", err)
	}
	if err := formats.CanSave("m.zst"); err == nil {
		t.Error("m.zst can be saved")
	}
}

// TestCompressedDamage truncates and changes compressed models: an error names the file and the offset in it.
func TestCompressedDamage(t *testing.T) {
	g := sparseModel(t, 60)
	for _, ext := range []string{".zst", ".xz"} {
		path := filepath.Join(t.TempDir(), "m.onnx"+ext)
		if _, err := formats.Save(t.Context(), g, path); err != nil {
			t.Fatal(err)
		}
		whole, _ := os.ReadFile(path)
		flipped := bytes.Clone(whole)
		flipped[len(whole)/2] ^= 0x10
		for name, b := range map[string][]byte{"truncated": whole[:len(whole)/2], "flipped": flipped, "empty": {}, "other": []byte("text")} {
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := formats.Load(path)
			if err == nil {
				f.Close()
			}
			if err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("%s %s: %v", name, ext, err)
			}
			var s *formats.SyntaxError
			if name != "empty" && (!errors.As(err, &s) || s.Offset < 0 || s.Offset > int64(len(b))) {
				t.Errorf("%s %s: no offset in %v", name, ext, err)
			}
		}
	}
}

func packed(t testing.TB, ext string, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser
	var err error
	if ext == ".zst" {
		w, err = zstd.NewWriter(&out)
	} else {
		w, err = xz.NewWriter(&out)
	}
	if err != nil {
		t.Fatal(err)
	}
	for len(b) > 0 && err == nil {
		var n int
		n, err = w.Write(b[:min(len(b), 1<<20)])
		b = b[n:]
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestBomb refuses what unfolds beyond all proportion, without unfolding it.
func TestBomb(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.onnx.zst")
	if err := os.WriteFile(path, packed(t, ".zst", make([]byte, 300<<20)), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := formats.Load(path)
	if err == nil {
		f.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "unfolds to more than 268435456 bytes") || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}

// TestSpooled loads a model that is too large for memory's share, and leaves no file behind.
func TestSpooled(t *testing.T) {
	if testing.Short() {
		t.Skip("70 MB")
	}
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	g := sparseModel(t, 4300)
	path := filepath.Join(t.TempDir(), "m.onnx.zst")
	if _, err := formats.Save(t.Context(), g, path); err != nil {
		t.Fatal(err)
	}
	f, err := formats.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if !f.Graph.Nodes[0].In[1].Const.Equal(g.Nodes[0].In[1].Const) {
		t.Error("the weights differ")
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(tmp); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// FuzzCompressed feeds damaged compressed models to Load, which must not panic, and must name the file.
func FuzzCompressed(f *testing.F) {
	for _, ext := range []string{".zst", ".xz"} {
		f.Add(packed(f, ext, []byte("graph \"g\" {}")))
		f.Add(packed(f, ext, []byte("\x08\x08\x12\x01p:\x03\x12\x01g")))
		f.Add(packed(f, ext, make([]byte, 5000)))
	}
	path := filepath.Join(f.TempDir(), "fuzzed.onnx.zst")
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := formats.Load(path)
		if err == nil {
			err = m.Close()
		} else if strings.Contains(err.Error(), path) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	})
}
