package savedmodel_test

import (
	"archive/tar"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// unpack writes the files of an archive that testdata/interop/tensorflow_check.py made.
func unpack(t *testing.T, name string) string {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name+".tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return dir
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		path := filepath.Join(dir, filepath.Clean("/"+h.Name))
		if err == nil {
			err = os.MkdirAll(filepath.Dir(path), 0o700)
		}
		if err == nil {
			err = os.WriteFile(path, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestFixtures runs models that TensorFlow wrote and compares with its answers: loops, branches, recurrent layers, tables,
// partitioned variables, and what comes before a network.
func TestFixtures(t *testing.T) {
	for name, has := range map[string]string{
		"recurrent": "LSTM GRU Loop", "tf_module": "If Loop TopK", "hash_table": "LabelEncoder", "partitioned_tf1": "Concat MatMul", "cond_tf1": "Where",
		"strings": "StringChange StringReplace StringHash StringLength StringConcat RegexFullMatch", "splits": "SparseSplit RaggedToDense ScatterND",
		"parse_example": "ParseExample SparseFillEmptyRows SparseReshape", "embeddings": "SparseSegment Unique", "ragged": "RaggedToDense",
		"sound": "DecodeWav AudioSpectrogram Mfcc",
	} {
		t.Run(name, func(t *testing.T) {
			dir := unpack(t, name)
			f, err := formats.LoadWith(filepath.Join(dir, "model"), formats.Options{Signature: "serving_default"})
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			for key, text := range f.Graph.Meta { // other formats keep it as text
				if !utf8.ValidString(text) {
					t.Errorf("Meta[%q] is no text", key)
				}
			}
			found := map[string]bool{}
			for _, n := range f.Graph.Nodes {
				found[n.OpName()[strings.LastIndexByte(n.OpName(), '.')+1:]] = true
			}
			for _, op := range strings.Fields(has) {
				if !found[op] {
					t.Errorf("there is no %s among %v", op, found)
				}
			}
			var in []*tensor.Tensor
			for _, v := range f.Graph.Inputs {
				in = append(in, readFixture(t, filepath.Join(dir, "in_"+v.Name)))
			}
			answers(t, f.Graph, in, dir)
		})
	}
}

// answers compares what a graph gives with TensorFlow's answers.
func answers(t *testing.T, g *graph.Graph, in []*tensor.Tensor, dir string) {
	t.Helper()
	out, err := graph.Eval(t.Context(), g, in)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range g.Outputs {
		if err := near(out[i], readFixture(t, filepath.Join(dir, "out_"+v.Name))); err != nil {
			t.Errorf("%s: %v", v.Name, err)
		}
	}
}

// TestFixturesWritten writes what comes before a network as a SavedModel; read again, it gives TensorFlow's answers still.
func TestFixturesWritten(t *testing.T) {
	for _, name := range []string{"strings", "splits", "parse_example", "embeddings", "ragged", "sound", "hash_table"} {
		t.Run(name, func(t *testing.T) {
			dir := unpack(t, name)
			f, err := formats.LoadWith(filepath.Join(dir, "model"), formats.Options{Signature: "serving_default"})
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			again := saveAndLoad(t, f.Graph)
			var in []*tensor.Tensor
			for _, v := range again.Graph.Inputs {
				in = append(in, readFixture(t, filepath.Join(dir, "in_"+v.Name)))
			}
			answers(t, again.Graph, in, dir)
		})
	}
}

func readFixture(t *testing.T, stem string) *tensor.Tensor {
	t.Helper()
	for _, ext := range []string{".npy", ".json"} {
		if _, err := os.Stat(stem + ext); err == nil {
			x, err := data.LoadTensor(stem + ext)
			if err != nil {
				t.Fatal(err)
			}
			return x
		}
	}
	t.Fatalf("%s is not in the archive", stem)
	return nil
}
