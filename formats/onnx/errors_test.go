package onnx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func relu() *testModel {
	return newModel(17).input("x", vec2).node("Relu", []string{"x"}, []string{"y"}).output("y")
}

func tensorMessage(dims []int64, dtype int64, more func(m *message)) *message {
	m := &message{}
	for _, d := range dims {
		m.int(1, d)
	}
	m.int(2, dtype)
	m.string(8, "w")
	more(m)
	return m
}

func withInitializer(p *message) []byte {
	m := relu()
	m.graph.message(5, p)
	return m.bytes()
}

func nothing(*message) {}

// nested is an If inside an If, depth times.
func nested(depth int) *message {
	b := &message{}
	b.string(2, "b")
	b.message(12, encodeValue("r", &graph.Value{}))
	if depth == 0 {
		b.message(1, nodeMessage("", "Relu", []string{"x"}, []string{"r"}))
		return b
	}
	b.message(1, nodeMessage("", "If", []string{"c"}, []string{"r"}, attr("then_branch", nested(depth-1))))
	return b
}

func TestBadModels(t *testing.T) {
	twice := relu()
	twice.node("Neg", []string{"x"}, []string{"y"})
	cycle := newModel(17).node("Add", []string{"b", "b"}, []string{"a"}).node("Neg", []string{"a"}, []string{"b"}).output("a")
	calls := newModel(17).input("x", vec2)
	calls.graph.message(1, nodeMessage("own", "F", []string{"x"}, []string{"y"}))
	calls.output("y").rest.message(25, function("F", []string{"a"}, []string{"b"}, nodeMessage("own", "F", []string{"a"}, []string{"b"})))
	deep := newModel(17).input("x", vec2).input("c", graph.Of(tensor.Bool))
	deep.graph.message(1, nodeMessage("", "If", []string{"c"}, []string{"y"}, attr("then_branch", nested(maxDepth+1))))
	deep.output("y")
	full := relu().bytes()
	for want, b := range map[string][]byte{
		"holds no graph":                           {},
		"bad field tag":                            {0x80},
		"field 7: unexpected EOF":                  full[:len(full)/2],
		"imports no operator set":                  appendBytes(nil, 7, appendString(nil, 2, "g")),
		"negative dimension":                       withInitializer(tensorMessage([]int64{-1}, 1, nothing)),
		"is too large":                             withInitializer(tensorMessage([]int64{1 << 40, 1 << 40}, 1, nothing)),
		"needs 4000000000 bytes":                   withInitializer(tensorMessage([]int64{1000000000}, 1, func(m *message) { m.bytes(9, []byte("abc")) })),
		"needs 8 bytes":                            withInitializer(tensorMessage([]int64{2}, 1, nothing)),
		"needs 2 strings":                          withInitializer(tensorMessage([]int64{2}, 8, nothing)),
		"unknown element type 99":                  withInitializer(tensorMessage([]int64{2}, 99, nothing)),
		"does not hold float32":                    withInitializer(tensorMessage([]int64{1}, 1, func(m *message) { m.int(7, 1) })),
		"external data is not":                     withInitializer(tensorMessage([]int64{1}, 1, func(m *message) { m.int(14, 1) })),
		`"y" is defined twice`:                     twice.bytes(),
		"cycle":                                    cycle.bytes(),
		"calls itself":                             calls.bytes(),
		"nested more than 64 deep":                 deep.bytes(),
		`reads "q", which nothing`:                 newModel(17).node("Relu", []string{"q"}, []string{"y"}).output("y").bytes(),
		`output "y" is made by no`:                 newModel(17).output("y").bytes(),
		"unknown attribute beta":                   newModel(17).input("x", vec2).node("Relu", []string{"x"}, []string{"y"}, attr("beta", int64(1))).output("y").bytes(),
		"node \"Concat\" (Concat): attribute axis": newModel(17).input("x", vec2).node("Concat", []string{"x"}, []string{"y"}).output("y").bytes(),
	} {
		_, _, err := Read(b)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// TestErrorsNameThePlace wants the file, the offset and the node.
func TestErrorsNameThePlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bad.onnx")
	m := newModel(17).input("x", vec2).input("y", graph.Of(tensor.Float32, graph.Fixed(3)))
	n := nodeMessage("", "Add", []string{"x", "y"}, []string{"z"})
	n.string(3, "sum")
	m.graph.message(1, n)
	b := m.output("z").bytes()
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := formats.Load(path)
	var syntax *formats.SyntaxError
	var op *graph.OpError
	if !errors.As(err, &syntax) || !errors.As(err, &op) || syntax.Path != path || op.Node != "sum" {
		t.Fatalf("got %v", err)
	}
	if at := strings.Index(string(b), string(n.all())); int64(at) != syntax.Offset {
		t.Errorf("offset %d, the node is at %d", syntax.Offset, at)
	}
	if _, err := formats.Load(filepath.Join(t.TempDir(), "missing.onnx")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

func externalModel(location, offset, length string) []byte {
	return withInitializer(tensorMessage([]int64{2}, 1, func(m *message) {
		m.message(13, entries("location", location))
		m.message(13, entries("offset", offset))
		m.message(13, entries("length", length))
		m.int(14, 1)
	}))
}

func TestExternalData(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.onnx")
	if err := os.WriteFile(filepath.Join(dir, "w.bin"), []byte("....\x00\x00\x80\x3f\x00\x00\x00\x40"), 0o644); err != nil {
		t.Fatal(err)
	}
	load := func(location, offset, length string) (*formats.File, error) {
		if err := os.WriteFile(path, externalModel(location, offset, length), 0o644); err != nil {
			t.Fatal(err)
		}
		return Load(path)
	}
	f, err := load("w.bin", "4", "8")
	if err != nil {
		t.Fatal(err)
	}
	if w := f.Graph.Unused[0]; !near(w.Const, floatsOf([]int{2}, 1, 2)) {
		t.Errorf("got %v", tensor.Floats(w.Const))
	}
	if st, _ := os.Stat(path); f.Bytes != st.Size()+12 {
		t.Errorf("%d bytes in all", f.Bytes)
	}
	f.Close()
	for want, kv := range map[string][3]string{
		"is outside of":              {"w.bin", "8", "8"},
		"out of the model's":         {"../w.bin", "0", "8"},
		`location "/etc/passwd"`:     {"/etc/passwd", "0", "8"},
		"no such file":               {"gone.bin", "0", "8"},
		"needs 8 bytes, the file":    {"w.bin", "4", "4"},
		"external data offset":       {"w.bin", "x", "4"},
		"at 9223372036854775807":     {"w.bin", "9223372036854775807", "8"},
		"at -1":                      {"w.bin", "-1", "8"},
		`tensor "w": external data:`: {"", "0", "8"},
	} {
		if _, err := load(kv[0], kv[1], kv[2]); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %q", kv, err, want)
		}
	}
}

func TestSaveExternal(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "big.onnx")
	m := newModel(17).input("x", graph.Of(tensor.Float32, graph.Fixed(1000)))
	m.constant("a", ramp(1000)).constant("b", ramp(1, 1000)).constant("c", floatsOf([]int{1}, 2))
	m.node("Sum", []string{"x", "a", "b", "c"}, []string{"y"}).output("y")
	g := m.read(t)
	if _, err := SaveWith(t.Context(), g, path, Options{ExternalAbove: 5000}); err != nil {
		t.Fatal(err)
	}
	f, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Bytes < 8000 || withoutVersions(f.Graph) != withoutVersions(g) {
		t.Errorf("%d bytes; graph\n%s", f.Bytes, describe(f.Graph))
	}
	if st, err := os.Stat(path); err != nil || st.Size() > 5000 {
		t.Errorf("the model itself: %v, %v", st.Size(), err)
	}
	names, _ := os.ReadDir(dir)
	if len(names) != 2 {
		t.Errorf("left in the directory: %v", names)
	}
}

// TestSaveIsAtomic lets saving fail in several ways: the earlier file stays, nothing else does.
func TestSaveIsAtomic(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.onnx")
	g := relu().read(t)
	if _, err := formats.Save(t.Context(), g, path); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(path)
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Save(done, g, path); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := SaveWith(done, g, path, Options{ExternalAbove: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	err := formats.Atomic(t.Context(), path, func(w io.Writer) error {
		fmt.Fprint(w, "half")
		return errors.New("disk full")
	})
	if err == nil {
		t.Error("no error")
	}
	own := relu().read(t)
	own.Nodes[0].Op = graph.Opaque{Format: "tflite", Type: "RELU"}
	var op *graph.OpError
	if _, err := Save(t.Context(), own, path); !errors.As(err, &op) || op.Node != own.Nodes[0].Name {
		t.Errorf("foreign operator: %v", err)
	}
	if _, err := Save(t.Context(), g, filepath.Join(dir, "no", "such", "m.onnx")); err == nil {
		t.Error("a missing directory is no error")
	}
	if after, _ := os.ReadFile(path); string(after) != string(before) {
		t.Error("the earlier file changed")
	}
	if names, _ := os.ReadDir(dir); len(names) != 1 {
		t.Errorf("left in the directory: %v", names)
	}
}

// TestUnfoldingIsBounded has functions that each call the one before twice, 40 deep.
func TestUnfoldingIsBounded(t *testing.T) {
	m := newModel(17).input("x", vec2)
	m.graph.message(1, nodeMessage("own", "F40", []string{"x"}, []string{"y"}))
	m.output("y")
	m.rest.message(25, function("F0", []string{"a"}, []string{"b"}, nodeMessage("", "Relu", []string{"a"}, []string{"b"})))
	for i := range 40 {
		op := fmt.Sprintf("F%d", i)
		m.rest.message(25, function(fmt.Sprintf("F%d", i+1), []string{"a"}, []string{"c"},
			nodeMessage("own", op, []string{"a"}, []string{"b"}), nodeMessage("own", op, []string{"b"}, []string{"c"})))
	}
	if _, _, err := Read(m.bytes()); err == nil || !strings.Contains(err.Error(), "unfold to too many nodes") {
		t.Errorf("got %v", err)
	}
}
