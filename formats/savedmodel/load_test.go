package savedmodel

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/internal/tensorflow"
	"github.com/tfsopt/tfsopt/tensor"
)

// The attributes of test nodes.
func typeOfAttr(d int32) *tensorflow.AttrValue {
	return &tensorflow.AttrValue{Kind: tensorflow.KindType, Type: d}
}

func funcAttr(name string) *tensorflow.AttrValue {
	return &tensorflow.AttrValue{Kind: tensorflow.KindFunc, Func: &tensorflow.FunctionCall{Name: name}}
}

func node(name, op string, in ...string) *tensorflow.NodeDef {
	return &tensorflow.NodeDef{Name: name, Op: op, Inputs: in, Attrs: map[string]*tensorflow.AttrValue{}}
}

func (n nodes) attr(key string, a *tensorflow.AttrValue) nodes {
	n[len(n)-1].Attrs[key] = a
	return n
}

type nodes []*tensorflow.NodeDef

func (n nodes) add(name, op string, in ...string) nodes { return append(n, node(name, op, in...)) }

// placeholder adds a float32 input of shape [-1, 2].
func (n nodes) placeholder(name string) nodes {
	shape := &tensorflow.AttrValue{Kind: tensorflow.KindShape, Shape: shapeOf(-1, 2)}
	return n.add(name, "Placeholder").attr("dtype", typeOfAttr(1)).attr("shape", shape)
}

func (n nodes) constant(name string, t *tensorflow.TensorProto) nodes {
	return n.add(name, "Const").attr("value", &tensorflow.AttrValue{Kind: tensorflow.KindTensor, Tensor: t})
}

func (n nodes) call(name, op, function string, in ...string) nodes {
	return n.add(name, op, in...).attr("f", funcAttr(function))
}

// function takes x and gives y, which is the output of a node.
func function(name string, body nodes, ret string) *tensorflow.FunctionDef {
	arg := func(name string) []*tensorflow.Arg { return []*tensorflow.Arg{{Name: name, DType: 1}} }
	return &tensorflow.FunctionDef{
		Signature: &tensorflow.OpDef{Name: name, Inputs: arg("x"), Outputs: arg("y")}, Nodes: body, Ret: map[string]string{"y": ret},
	}
}

func graphDef(n nodes, functions ...*tensorflow.FunctionDef) *tensorflow.GraphDef {
	return &tensorflow.GraphDef{Nodes: n, Library: &tensorflow.FunctionLibrary{Functions: functions}, Versions: &tensorflow.Versions{Producer: 1000}}
}

func readTest(g *tensorflow.GraphDef) (*graph.Graph, error) {
	out, _, err := readGraph("m.pb", tensorflow.Encode(g), formats.Options{})
	return out, err
}

// small is a constant of shape [2].
func small() *tensorflow.TensorProto {
	return &tensorflow.TensorProto{DType: 1, Shape: shapeOf(2), Floats: []float32{1, -2}}
}

func TestFunctions(t *testing.T) {
	inner := function("inner", nodes{}.add("r", "Relu", "x"), "r:activations:0")
	outer := function("outer", nodes{}.call("c", "PartitionedCall", "inner", "x").add("n", "Neg", "c:output:0"), "n:y:0")
	g, err := readTest(graphDef(nodes{}.placeholder("x").call("a", "StatefulPartitionedCall", "outer", "x").
		call("b", "PartitionedCall", "outer", "a"), inner, outer))
	if err != nil {
		t.Fatal(err)
	}
	x := tensor.From([]float32{1, -2}, 1, 2)
	out, err := graph.Eval(t.Context(), g, []*tensor.Tensor{x})
	if err != nil || len(g.Nodes) != 4 {
		t.Fatalf("%v, %d nodes", err, len(g.Nodes))
	}
	// y = -relu(-relu(x)) is zero everywhere.
	if got := tensor.Floats(out[0]); got[0] != 0 || got[1] != 0 || g.Outputs[0].Name != "b" {
		t.Errorf("%s is %v", g.Outputs[0].Name, got)
	}
}

func TestBadGraphs(t *testing.T) {
	self := function("f", nodes{}.call("c", "PartitionedCall", "f", "x"), "c:output:0")
	ping := function("f", nodes{}.call("c", "PartitionedCall", "g", "x"), "c:output:0")
	pong := function("g", nodes{}.call("c", "PartitionedCall", "f", "x"), "c:output:0")
	var wide []*tensorflow.FunctionDef // each calls the one before twice
	for i := range 40 {
		body := nodes{}.add("c", "Relu", "x")
		if i > 0 {
			before := wide[i-1].Signature.Name
			body = nodes{}.call("b", "PartitionedCall", before, "x").call("c", "PartitionedCall", before, "b:output:0")
		}
		wide = append(wide, function("w"+string(rune('A'+i)), body, "c:output:0"))
	}
	x := nodes{}.placeholder("x")
	huge := &tensorflow.TensorProto{DType: 1, Shape: shapeOf(1<<14, 1<<14), Floats: []float32{1}}
	for name, c := range map[string]struct {
		g    *tensorflow.GraphDef
		want string
	}{
		"recursion":      {graphDef(x.call("a", "PartitionedCall", "f", "x"), self), `function "f" calls itself: f → f`},
		"two functions":  {graphDef(x.call("a", "PartitionedCall", "f", "x"), ping, pong), `calls itself: f → g → f`},
		"explosion":      {graphDef(x.call("a", "PartitionedCall", wide[39].Signature.Name, "x"), wide...), "unfold to too many nodes"},
		"no function":    {graphDef(x.call("a", "PartitionedCall", "f", "x")), `function "f" is not in the library`},
		"cycle":          {graphDef(x.add("a", "Add", "x", "b").add("b", "Relu", "a").add("c", "Neg", "b")), "depends on itself"},
		"missing node":   {graphDef(x.add("a", "Add", "x", "b")), `reads "b", which is not in the graph`},
		"twice":          {graphDef(x.add("a", "Relu", "x").add("a", "Neg", "x")), `two nodes are named "a"`},
		"huge constant":  {graphDef(x.constant("k", huge).add("a", "Add", "x", "k")), "unfold to too many bytes"},
		"short constant": {graphDef(x.constant("k", &tensorflow.TensorProto{DType: 1, Shape: shapeOf(3), Content: make([]byte, 8)}).add("a", "Add", "x", "k")), "takes 12 bytes, not 8"},
		"no inputs":      {graphDef(nodes{}.constant("k", small())), "say with --inputs and --outputs"},
		"variable":       {graphDef(x.add("v", "VariableV2").attr("dtype", typeOfAttr(1)).add("a", "Add", "x", "v")), `variable "v" has no value`},
		"arguments":      {graphDef(x.call("a", "PartitionedCall", "f", "x", "x"), self), "takes 1 arguments, the call gives 2"},
	} {
		_, err := readTest(c.g)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestUnknown keeps operators that we do not know where an output needs them, and reports them by name.
func TestUnknown(t *testing.T) {
	g, err := readTest(graphDef(nodes{}.placeholder("x").add("a", "FlexThing", "x").add("b", "Relu", "a").add("c", "Other", "x").add("d", "Neg", "x")))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(graph.Unsupported(g), " "); !strings.Contains(got, "tensorflow.FlexThing") || !strings.Contains(got, "tensorflow.Other") {
		t.Errorf("unsupported: %s", got)
	}
}

// TestAssets refuses paths that leave the directory.
func TestAssets(t *testing.T) {
	l := newLoader(Name, "m", 0, &tensorflow.GraphDef{})
	s, err := newScope(l, l.b, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"../x", "/etc/passwd", "a/../../x"} {
		asset := []*tensorflow.AssetFile{{Filename: name, Tensor: &tensorflow.TensorInfo{Name: "a:0"}}}
		if err := l.feedAssets(s, asset); err == nil || !strings.Contains(err.Error(), "outside the model's directory") {
			t.Errorf("%s: %v", name, err)
		}
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, assetsDir), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/hostname", filepath.Join(dir, assetsDir, "link")); err != nil {
		t.Skip(err)
	}
	l.dir = dir
	if text, err := l.asset("link"); err == nil {
		t.Errorf("a link out of the model gave %q", text)
	}
}

// TestKeras refuses Keras's own files and says what to do.
func TestKeras(t *testing.T) {
	for name, head := range map[string]string{"m.keras": "PK\x03\x04", "m.h5": "\x89HDF\r\n\x1a\n", "m.bin": "\x89HDF\r\n\x1a\n"} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(head), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := formats.Load(path); err == nil || !strings.Contains(err.Error(), `.export("saved_model")`) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzGraph(f *testing.F) {
	inner := function("f", nodes{}.add("r", "Relu", "x"), "r:activations:0")
	x := nodes{}.placeholder("x")
	f.Add(tensorflow.Encode(graphDef(x.call("a", "PartitionedCall", "f", "x"), inner)))
	f.Add(tensorflow.Encode(graphDef(x.constant("k", small()).add("a", "MatMul", "x", "k").add("b", "BiasAdd", "a", "k"))))
	axis := &tensorflow.TensorProto{DType: dtInt32, Shape: shapeOf(1), Ints: []int64{1}}
	f.Add(tensorflow.Encode(graphDef(x.constant("k", axis).add("a", "Mean", "x", "k").add("s", "Shape", "a").add("b", "StridedSlice", "s", "k", "k", "k"))))
	f.Add(tensorflow.Encode(graphDef(x.constant("k", small()).add("a", "Conv2D", "x", "k").add("b", "Pad", "a", "k"))))
	f.Fuzz(func(t *testing.T, b []byte) {
		if g, _, err := readGraph("m.pb", b, formats.Options{}); err == nil && g.Check() != nil {
			t.Error(g.Check())
		}
	})
}
