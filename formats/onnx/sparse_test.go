package onnx

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// sparseMessage is a SparseTensorProto of values 5, 6, … at the given indices.
func sparseMessage(dims []int, indices []int64, shape ...int) *message {
	values := ramp(shape[0])
	for i := range tensor.View[float32](values) {
		tensor.View[float32](values)[i] += 5
	}
	v, _ := encodeTensor("w", values, nil)
	v.string(12, "why")
	v.message(16, entries("key", "prop"))
	i, _ := encodeTensor("", tensor.From(indices, shape...), nil)
	m := &message{}
	m.message(1, v)
	m.message(2, i)
	m.dims(3, dims)
	return m
}

func addSparse(sp *message) *testModel {
	m := newModel(17).input("x", graph.Of(tensor.Float32, graph.Fixed(16))).node("Add", []string{"x", "w"}, []string{"y"}).output("y")
	m.graph.message(15, sp)
	return m
}

func TestSparse(t *testing.T) {
	for name, sp := range map[string]*message{
		"coordinates":          sparseMessage([]int{2, 16}, []int64{0, 1, 1, 15}, 2, 2),
		"linear":               sparseMessage([]int{2, 16}, []int64{1, 31}, 2),
		"coordinates unsorted": sparseMessage([]int{2, 1, 16}, []int64{1, 0, 15, 0, 0, 1, 1, 0, 0}, 3, 3),
	} {
		_, g := written(t, addSparse(sp).bytes())
		w := g.Value("w")
		v := tensor.Floats(w.Const)
		if len(v) != 32 || v[1]+v[31] != 11 || v[1] == 0 || w.Meta[metaDoc] != "why" || w.Meta[metaProp+"key"] != "prop" {
			t.Errorf("%s: got %v with %v", name, v, w.Meta)
		}
	}
	for want, sp := range map[string]*message{
		"two values for element 3":                 sparseMessage([]int{16}, []int64{3, 1, 3}, 3),
		"index 16 of value 1 is outside of 16":     sparseMessage([]int{16}, []int64{3, 16}, 2),
		"index -1 of value 0 is outside of 2":      sparseMessage([]int{2, 8}, []int64{-1, 0}, 1, 2),
		"do not fit 3 values of rank 2":            sparseMessage([]int{2, 8}, []int64{1, 2, 3}, 3, 1),
		"is too large for its 1 values":            sparseMessage([]int{1 << 20, 1 << 20}, []int64{1}, 1),
		"shape [1099511627776 1048576] is too lar": sparseMessage([]int{1 << 40, 1 << 20}, []int64{1}, 1),
	} {
		_, _, err := Read(addSparse(sp).bytes())
		var s *formats.SyntaxError
		if !errors.As(err, &s) || s.Offset <= 0 || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

// TestSparseWhereItPays writes constants with many zeros as sparse initializers, but not those that a reader may want
// dense.
func TestSparseWhereItPays(t *testing.T) {
	zeros := func(n, nonzero int) *tensor.Tensor {
		c := tensor.New(tensor.Float32, 16, n/16)
		for i := range nonzero {
			tensor.View[float32](c)[i*(n/nonzero)] = float32(i + 1)
		}
		tensor.View[float32](c)[n/nonzero] = float32(math.Copysign(0, -1)) // not zero bits: must survive
		return c
	}
	vec16 := graph.Of(tensor.Float32, graph.Fixed(16))
	body := func() *message { // an If's branch with a constant of its own
		b := &message{}
		b.message(1, nodeMessage("", "MatMul", []string{"x", "own"}, []string{"r"}))
		b.string(2, "branch")
		p, _ := encodeTensor("own", zeros(4096, 64), nil)
		b.message(5, p)
		b.message(12, encodeValue("r", &graph.Value{}))
		return b
	}
	for name, c := range map[string]struct {
		model *testModel
		want  int
	}{
		"90 % zeros":  {newModel(17).constant("w", zeros(4096, 400)), 1},
		"60 % zeros":  {newModel(17).constant("w", zeros(4096, 1600)), 0},
		"small":       {newModel(17).constant("w", zeros(256, 8)), 0},
		"old IR":      {&testModel{ir: 4, opset: 9}, 0},
		"also output": {newModel(17).constant("w", zeros(4096, 400)).output("w"), 0},
		"also input":  {newModel(17).constant("w", zeros(4096, 400)).input("w", graph.Of(tensor.Float32, graph.Fixed(16), graph.Fixed(256))), 0},
	} {
		if name == "old IR" {
			c.model.constant("w", zeros(4096, 400))
		}
		m := c.model.input("x", vec16).node("MatMul", []string{"x", "w"}, []string{"y"}).output("y")
		p, g := written(t, m.bytes())
		if len(p.graph.sparse) != c.want || len(p.graph.initializers) != 1-c.want {
			t.Errorf("%s: %d sparse, %d dense initializers", name, len(p.graph.sparse), len(p.graph.initializers))
			continue
		}
		out, _, err := Write(g)
		if err != nil {
			t.Fatal(err)
		}
		again, _, err := Read(out)
		if err != nil {
			t.Fatal(err)
		}
		if !again.Value("w").Const.Equal(g.Value("w").Const) {
			t.Errorf("%s: the constant differs", name)
		}
	}
	m := newModel(17).input("x", vec16).input("c", graph.Of(tensor.Bool)).node("If", []string{"c"}, []string{"y"},
		attr("then_branch", body()), attr("else_branch", body())).output("y")
	if p, _ := written(t, m.bytes()); len(p.graph.nodes[0].attrs[0].graphs[0].sparse) != 0 {
		t.Error("a body has a sparse initializer")
	}
}

// TestSparseIntegers: with 8-bit elements an index takes eight times what it saves.
// TestSparseInRaisedFile: below IR version 4 initializers are inputs too, which ends when the version rises.
func TestSparseInRaisedFile(t *testing.T) {
	c := tensor.New(tensor.Float32, 16, 256)
	tensor.View[float32](c)[7] = 1
	m := newModel(7).input("x", graph.Of(tensor.Float32, graph.Dims(2, 16)...)).
		input("w", graph.Of(tensor.Float32, graph.Dims(16, 256)...)).constant("w", c).
		node("MatMul", []string{"x", "w"}, []string{"h"}).node("Softmax", []string{"h"}, []string{"y"}).output("y")
	m.ir = 3
	g, _, err := Read(m.bytes())
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
	if p.irVersion < sparseSince || len(p.graph.sparse) != 1 || len(p.graph.inputs) != 1 {
		t.Errorf("IR %d: %d sparse initializers, %d inputs", p.irVersion, len(p.graph.sparse), len(p.graph.inputs))
	}
}

func TestSparseIntegers(t *testing.T) {
	for nonzero, want := range map[int]int{800: 0, 300: 1} {
		c := tensor.New(tensor.Int8, 8192)
		for i := range nonzero {
			c.Data[i*10] = byte(i | 1)
		}
		m := newModel(17).input("x", graph.Of(tensor.Int8, graph.Fixed(8192))).constant("w", c).
			node("Add", []string{"x", "w"}, []string{"y"}).output("y")
		if p, _ := written(t, m.bytes()); len(p.graph.sparse) != want {
			t.Errorf("%d of 8192: %d sparse initializers", nonzero, len(p.graph.sparse))
		}
	}
}
