package onnx

import (
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// testModel builds models message by message, so that tests can write what the writer would not.
type testModel struct {
	ir, opset int64
	domains   map[string]int64
	graph     message
	rest      message // further fields of the ModelProto
}

func newModel(opset int64) *testModel { return &testModel{ir: 8, opset: opset} }

func attr(name string, v any) graph.Attr { return graph.Attr{Name: name, Value: v} }

func nodeMessage(domain, op string, in, out []string, attrs ...graph.Attr) *message {
	n := &message{}
	n.strings(1, in)
	n.strings(2, out)
	n.string(4, op)
	n.string(7, domain)
	for _, a := range attrs {
		if raw, ok := a.Value.(*message); ok { // a body
			p := &message{}
			p.string(1, a.Name)
			p.int(20, attrGraph)
			p.message(6, raw)
			n.message(5, p)
			continue
		}
		p, err := (&writer{}).encodeAttr(a, nil)
		if err != nil {
			panic(err)
		}
		n.message(5, p)
	}
	return n
}

func (m *testModel) node(op string, in, out []string, attrs ...graph.Attr) *testModel {
	m.graph.message(1, nodeMessage("", op, in, out, attrs...))
	return m
}

func (m *testModel) input(name string, t graph.Type) *testModel {
	m.graph.message(11, encodeValue(name, &graph.Value{Fact: graph.Fact{Type: t}}))
	return m
}

func (m *testModel) output(names ...string) *testModel {
	for _, name := range names {
		m.graph.message(12, encodeValue(name, &graph.Value{}))
	}
	return m
}

func (m *testModel) constant(name string, t *tensor.Tensor) *testModel {
	p, err := encodeTensor(name, t, nil)
	if err != nil {
		panic(err)
	}
	m.graph.message(5, p)
	return m
}

func (m *testModel) bytes() []byte {
	out := &message{}
	out.int(1, m.ir)
	g := m.graph
	g.string(2, "test")
	out.message(7, &g)
	o := &message{}
	o.int(2, m.opset)
	out.message(8, o)
	for _, d := range sortedKeys(m.domains) {
		o := &message{}
		o.string(1, d)
		o.int(2, m.domains[d])
		out.message(8, o)
	}
	return append(out.all(), m.rest.all()...)
}

// read decodes the model and evaluates it.
func (m *testModel) read(t *testing.T) *graph.Graph {
	t.Helper()
	g, _, err := Read(m.bytes())
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func eval(t *testing.T, g *graph.Graph, in ...*tensor.Tensor) []*tensor.Tensor {
	t.Helper()
	out, err := graph.Eval(t.Context(), g, in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func floatsOf(shape []int, v ...float32) *tensor.Tensor { return tensor.From(v, shape...) }

// ramp is 0, 1, 2, … in a shape.
func ramp(shape ...int) *tensor.Tensor {
	v := make([]float32, tensor.Size(shape))
	for i := range v {
		v[i] = float32(i)
	}
	return tensor.From(v, shape...)
}
