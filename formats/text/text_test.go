package text

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/graph"
)

// TestNets loads the networks that come with the project and saves them again.
func TestNets(t *testing.T) {
	nets := filepath.Join("..", "..", "testdata", "nets")
	for name, parameters := range map[string]int64{"lenet5": 430500 + 580, "lenet300": 266200 + 410, "fashion5": 61470 + 236} {
		f, err := formats.Load(filepath.Join(nets, name+".tfg"))
		if err != nil {
			t.Fatal(err)
		}
		if n := graph.Parameters(f.Graph); n != parameters || f.Format != Name || f.Graph.Outputs[0].Type.String() != "float32[batch,10]" {
			t.Errorf("%s: %s with %d parameters, output %s", name, f.Format, n, f.Graph.Outputs[0].Type)
		}
		if len(f.Warnings) != 1 || !strings.Contains(f.Warnings[0], "have no values before train draws them") {
			t.Errorf("%s: warnings %q", name, f.Warnings)
		}
		for _, out := range []string{"copy.tfg", "copy.tfg.zst", "copy.tfg.xz"} {
			path := filepath.Join(t.TempDir(), out)
			if _, err := formats.Save(t.Context(), f.Graph, path); err != nil {
				t.Fatal(err)
			}
			again, err := formats.Load(path)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(f.Graph.String(), again.Graph.String()); d != "" {
				t.Errorf("%s: %s", out, d)
			}
			if st, _ := os.Stat(path); again.Bytes != st.Size() {
				t.Errorf("%s: %d bytes, has %d", out, again.Bytes, st.Size())
			}
			if err := again.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestErrors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.tfg")
	for text, want := range map[string]string{
		"graph \"m\" {\n  input x float32[]\n}":                                      "line 2, column 11: want ':', got 'float32'",
		"graph \"m\" {\n  input x: float32[2]\n  y = MatMul(x) \"m\"\n  output y\n}": `MatMul`,
		"": "line 1, column 1: want 'graph'",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := formats.Load(path)
		var place *graph.ParseError
		var node *graph.OpError
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v", text, err)
		} else if !errors.As(err, &place) && !errors.As(err, &node) {
			t.Errorf("%q: a %T without a place: %v", text, err, err)
		}
	}
}

func TestDetect(t *testing.T) {
	for head, want := range map[string]bool{
		"# what\n\n  # it is\ngraph \"m\" {": true, "graph \"": true, "": false, "# graph": false, "#": false, "graphic": false,
	} {
		if got := detect("m.txt", []byte(head)); got != want {
			t.Errorf("%q: %v", head, got)
		}
	}
}

// FuzzRead feeds damaged texts to the reader; what it takes must come back from the writer.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"lenet5", "fashion5"} {
		b, err := os.ReadFile(filepath.Join("..", "..", "testdata", "nets", name+".tfg"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<13 {
			return
		}
		g, _, err := Read(b)
		if err != nil {
			return
		}
		var text bytes.Buffer
		if _, err := Write(&text, g); err != nil {
			t.Fatal(err)
		}
		if text.Len() > 1<<20 {
			return
		}
		if _, _, err := Read(text.Bytes()); err != nil {
			t.Fatalf("%v in\n%s", err, text.Bytes())
		}
	})
}
