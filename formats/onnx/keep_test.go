package onnx

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

var vec2 = graph.Of(tensor.Float32, graph.Fixed(2))

func entries(kv ...string) *message {
	m := &message{}
	m.string(1, kv[0])
	m.bytes(2, []byte(kv[1]))
	return m
}

// written is a model after reading and writing it, decoded again message by message.
func written(t *testing.T, b []byte) (*modelProto, *graph.Graph) {
	t.Helper()
	g, _, err := Read(b)
	if err != nil {
		t.Fatal(err)
	}
	out, _, err := Write(g)
	if err != nil {
		t.Fatal(err)
	}
	p, err := decodeModel(span{out, 0})
	if err != nil {
		t.Fatal(err)
	}
	again, _, err := Read(out)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(withoutVersions(g), withoutVersions(again)); d != "" {
		t.Errorf("differs after writing:\n%s", d)
	}
	return p, g
}

func TestKeepsMetadata(t *testing.T) {
	m := newModel(17).input("x", vec2)
	n := nodeMessage("", "Relu", []string{"x"}, []string{"y"})
	n.string(3, "the node")
	n.string(6, "node doc")
	n.message(9, entries("node key", "1"))
	m.graph.message(1, n)
	info := encodeValue("h", graph.NewInput("h", vec2))
	info.string(3, "value doc")
	info.message(4, entries("value key", "2"))
	m.graph.message(1, nodeMessage("", "Relu", []string{"y"}, []string{"h"}))
	m.graph.message(1, nodeMessage("", "Relu", []string{"h"}, []string{"z"}))
	m.graph.message(13, info)
	m.graph.string(10, "graph doc")
	m.graph.message(16, entries("graph key", "3"))
	m.graph.string(14, "an annotation")
	m.output("z")
	m.rest.string(2, "producer")
	m.rest.string(3, "v1")
	m.rest.string(4, "org.example")
	m.rest.int(5, 42)
	m.rest.string(6, "model doc")
	m.rest.message(14, entries("model key", "4"))
	m.rest.message(14, entries("onnx.infer", "ours?"))
	m.rest.message(14, entries("doc_string", "a key"))
	m.rest.string(20, "training")
	p, _ := written(t, m.bytes())

	got := []any{
		p.producerName, p.producerVersion, p.domain, p.modelVersion, p.doc, p.meta, p.training, p.graph.name, p.graph.doc,
		p.graph.meta, p.graph.annotations, p.graph.nodes[0].name, p.graph.nodes[0].doc, p.graph.nodes[0].meta,
		len(p.graph.infos), p.graph.infos[0].name, p.graph.infos[0].doc, p.graph.infos[0].meta,
	}
	want := []any{
		"producer", "v1", "org.example", int64(42), "model doc",
		[][2]string{{"model key", "4"}, {"doc_string", "a key"}, {"onnx.infer", "ours?"}},
		[]string{"training"},
		"test", "graph doc",
		[][2]string{{"graph key", "3"}},
		[]string{"an annotation"},
		"the node", "node doc",
		[][2]string{{"node key", "1"}},
		1, "h", "value doc",
		[][2]string{{"value key", "2"}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestKeepsUnknownOperators(t *testing.T) {
	m := newModel(17)
	m.domains = map[string]int64{"org.example": 3}
	n := nodeMessage("org.example", "Magic", []string{"x", "", "w"}, []string{"y", ""}, attr("i", int64(1)), attr("f", float32(2)),
		attr("s", "text"), attr("is", []int64{1, 2}), attr("fs", []float32{3}), attr("ss", []string{"a", "b"}), attr("t", ramp(2)),
		attr("ts", []*tensor.Tensor{ramp(1)}), attr("tp", vec2), attr("tps", []graph.Type{vec2}), attr("none", []int64{}))
	n.string(8, "overload")
	m.graph.message(1, n)
	m.input("x", graph.Of(tensor.Float32, graph.Named("batch"), graph.Dim{})).constant("w", ramp(3)).constant("nobody reads this", ramp(1))
	m.node("Relu", []string{"y"}, []string{"z"}).output("z")
	p, g := written(t, m.bytes())
	if got := graph.Unsupported(g); len(got) != 1 || got[0] != "org.example.Magic" {
		t.Errorf("unsupported: %v", got)
	}
	node := p.graph.nodes[0]
	if node.overload != "overload" || node.domain != "org.example" || len(node.attrs) != 11 || len(node.in) != 3 || len(node.out) != 2 {
		t.Errorf("got %+v", node)
	}
	if len(g.Unused) != 1 || len(p.graph.initializers) != 2 {
		t.Errorf("%d unused, %d initializers", len(g.Unused), len(p.graph.initializers))
	}
	if got := opsetMap(p.opsets)["org.example"]; got != 3 {
		t.Errorf("opset of org.example: %d", got)
	}
}

// TestCaptures has an If whose branches read different values from two levels further out.
func TestCaptures(t *testing.T) {
	inner := func(op, from string) *message {
		b := &message{}
		b.message(1, nodeMessage("", op, []string{from, "w"}, []string{"r"}))
		b.string(2, "branch")
		b.message(12, encodeValue("r", &graph.Value{}))
		return b
	}
	middle := &message{}
	middle.message(1, nodeMessage("", "If", []string{"cond"}, []string{"q"}, attr("then_branch", inner("Add", "x")), attr("else_branch", inner("Mul", "y"))))
	middle.string(2, "middle")
	middle.message(12, encodeValue("q", &graph.Value{}))
	m := newModel(17).input("cond", graph.Of(tensor.Bool)).input("x", vec2).input("y", vec2).constant("w", floatsOf([]int{2}, 10, 20))
	m.graph.message(1, nodeMessage("", "If", []string{"cond"}, []string{"z"}, attr("then_branch", middle), attr("else_branch", middle)))
	m.output("z")
	p, g := written(t, m.bytes())
	n := g.Nodes[0]
	if body := graph.Bodies(n.Op)[0]; body.Captures != len(n.In)-1 || body.Captures != 4 {
		t.Errorf("%d captures for %d inputs", body.Captures, len(n.In))
	}
	if got := p.graph.nodes[0].in; len(got) != 1 || len(p.graph.nodes[0].attrs[0].graphs[0].inputs) != 0 {
		t.Errorf("captures are written: %v", got)
	}
	x, y := floatsOf([]int{2}, 1, 2), floatsOf([]int{2}, 3, 4)
	for cond, want := range map[bool]*tensor.Tensor{true: floatsOf([]int{2}, 11, 22), false: floatsOf([]int{2}, 30, 80)} {
		if got := eval(t, g, tensor.Scalar(cond), x, y)[0]; !near(got, want) {
			t.Errorf("%v: got %v", cond, tensor.Floats(got))
		}
	}
}

// TestShadowing renames a value of the outer graph to a name that the body uses itself, as a pass may.
func TestShadowing(t *testing.T) {
	branch := &message{}
	branch.message(1, nodeMessage("", "Relu", []string{"x"}, []string{"inner"}))
	branch.message(1, nodeMessage("", "Neg", []string{"inner"}, []string{"r"}))
	branch.string(2, "branch")
	branch.message(12, encodeValue("r", &graph.Value{}))
	m := newModel(17).input("cond", graph.Of(tensor.Bool)).input("x0", vec2).node("Neg", []string{"x0"}, []string{"x"})
	m.graph.message(1, nodeMessage("", "If", []string{"cond"}, []string{"z"}, attr("then_branch", branch), attr("else_branch", branch)))
	g := m.output("z").read(t)
	g.Value("x").Name = "inner"
	b, _, err := Write(g)
	if err != nil {
		t.Fatal(err)
	}
	g, _, err = Read(b)
	if err != nil {
		t.Fatal(err)
	}
	if got := eval(t, g, tensor.Scalar(true), floatsOf([]int{2}, -1, 2))[0]; !near(got, floatsOf([]int{2}, -1, 0)) {
		t.Errorf("got %v", tensor.Floats(got))
	}
}

func function(name string, in, out []string, nodes ...*message) *message {
	f := &message{}
	f.string(1, name)
	f.strings(4, in)
	f.strings(5, out)
	for _, n := range nodes {
		f.message(7, n)
	}
	o := &message{}
	o.int(2, 11)
	f.message(9, o)
	o = &message{}
	o.string(1, "own")
	o.int(2, 1)
	f.message(9, o)
	f.string(10, "own")
	return f
}

func TestFunctions(t *testing.T) {
	ref := &message{} // Softmax with the function's axis, in the function's own opset, where it works on a matrix
	ref.strings(1, []string{"a"})
	ref.strings(2, []string{"h"})
	ref.string(4, "Softmax")
	axis := &message{}
	axis.string(1, "axis")
	axis.string(21, "along")
	axis.int(20, attrInt)
	ref.message(5, axis)
	f := function("Scaled", []string{"a", "b"}, []string{"c", "a2"}, ref, nodeMessage("", "Mul", []string{"h", "b"}, []string{"c"}),
		nodeMessage("", "Identity", []string{"a"}, []string{"a2"}))
	f.strings(6, []string{"along"})
	twice := function("Twice", []string{"p"}, []string{"q"}, nodeMessage("own", "Scaled", []string{"p", "p"}, []string{"q"}, attr("along", int64(1))))
	m := newModel(17)
	m.domains = map[string]int64{"own": 1}
	m.rest.message(25, f)
	m.rest.message(25, twice)
	m.rest.message(25, function("Idle", []string{"a"}, []string{"a"}))
	m.graph.message(1, nodeMessage("own", "Twice", []string{"x"}, []string{"y"}))
	m.graph.message(1, nodeMessage("own", "Twice", []string{"y"}, []string{"z"}))
	m.input("x", graph.Of(tensor.Float32, graph.Fixed(1), graph.Fixed(2), graph.Fixed(2))).output("z")
	_, g := written(t, m.bytes())
	_, warnings, _ := Read(m.bytes())
	want := []string{"function own.Idle is called by no node and dropped", "function own.Scaled is inlined (2 times)", "function own.Twice is inlined (2 times)"}
	if d := cmp.Diff(want, warnings); d != "" {
		t.Error(d)
	}
	x := floatsOf([]int{1, 2, 2}, 4, 4, 4, 4)
	if got := eval(t, g, x)[0]; !near(got, floatsOf([]int{1, 2, 2}, .25, .25, .25, .25)) {
		t.Errorf("got %v", tensor.Floats(got))
	}
}

func TestInitializersAmongInputs(t *testing.T) {
	for ir, listed := range map[int64]int{3: 2, 8: 2} {
		m := newModel(7).input("x", vec2).input("w", vec2).constant("w", ramp(2)).node("Add", []string{"x", "w"}, []string{"y"}).output("y")
		m.ir = ir
		p, g := written(t, m.bytes())
		if len(g.Inputs) != 1 || len(p.graph.inputs) != listed || p.irVersion != ir {
			t.Errorf("IR %d: %d inputs in the graph, %d in the file of IR %d", ir, len(g.Inputs), len(p.graph.inputs), p.irVersion)
		}
	}
}

func TestUnsortedNodes(t *testing.T) {
	m := newModel(17).input("x", vec2).node("Neg", []string{"h"}, []string{"y"}).node("Relu", []string{"x"}, []string{"h"}).output("y")
	_, g := written(t, m.bytes())
	if got := g.Outputs[0].Type.String(); got != "float32[2]" {
		t.Errorf("output is %s", got)
	}
}

func TestTypes(t *testing.T) {
	mapType := appendBytes(nil, 5, appendInt(nil, 1, 7))
	for _, raw := range [][]byte{
		encodeType(graph.SequenceOf(graph.OptionalOf(vec2))), mapType, appendBytes(encodeType(vec2), 6, []byte("IMAGE")),
		encodeType(graph.Of(tensor.Float32, dimOf("2*s0"), dimOf("floor(N/2, 3)*[%x]"), dimOf("10"), graph.Dim{}, graph.Fixed(0))),
	} {
		v := &message{}
		v.string(1, "x")
		v.bytes(2, raw)
		m := newModel(17)
		m.domains = map[string]int64{"own": 1}
		m.graph.message(11, v)
		m.graph.message(1, nodeMessage("own", "Any", []string{"x"}, []string{"y"}))
		m.output("y")
		p, g := written(t, m.bytes())
		if got := p.graph.inputs[0].typ; got == nil || string(got.b) != string(raw) {
			t.Errorf("type %s: wrote %q, read %q", g.Inputs[0].Type, got.b, raw)
		}
	}
}

// TestBranchForOtherShapes loads an If of which only one branch fits the shapes.
func TestBranchForOtherShapes(t *testing.T) {
	branch := func(op, other string) *message {
		b := &message{}
		b.message(1, nodeMessage("", op, []string{"x", other}, []string{"r"}))
		b.string(2, "branch")
		b.message(12, encodeValue("r", &graph.Value{}))
		return b
	}
	m := newModel(17).input("cond", graph.Of(tensor.Bool)).input("x", vec2).constant("w", ramp(2)).constant("w3", ramp(3))
	m.graph.message(1, nodeMessage("", "If", []string{"cond"}, []string{"z"}, attr("then_branch", branch("Add", "w")), attr("else_branch", branch("Add", "w3"))))
	_, g := written(t, m.output("z").bytes())
	if got := eval(t, g, tensor.Scalar(true), floatsOf([]int{2}, 1, 1))[0]; !near(got, floatsOf([]int{2}, 1, 2)) {
		t.Errorf("got %v", tensor.Floats(got))
	}
}
