package graph

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tfsopt/tfsopt/tensor"
)

// everyKind has an attribute of each kind.
type everyKind struct {
	I  int            `attr:"i" default:"3"`
	B  bool           `attr:"b"`
	F  float32        `attr:"f"`
	S  string         `attr:"s"`
	IS []int          `attr:"is"`
	FS []float32      `attr:"fs"`
	SS []string       `attr:"odd name"`
	T  *tensor.Tensor `attr:"t"`
	G  *Graph         `attr:"body"`
	Ty Type           `attr:"ty"`
	PI *int           `attr:"pi"`
	PF *float32       `attr:"doc"`
}

func (everyKind) Infer(in []Fact, outs int) ([]Type, error) {
	return make([]Type, outs), nil
}

func init() {
	Register("test", 1, everyKind{})
	RegisterAs("", "TestAdd", 1, plainOp{})
	RegisterAs("odd domain", "a.b", 1, oddOp{})
}

type (
	plainOp struct{ everyInfer }
	oddOp   struct{ everyInfer }
)

type everyInfer struct{}

func (everyInfer) Infer(in []Fact, outs int) ([]Type, error) { return make([]Type, outs), nil }

// sample is a graph with everything that the text form knows.
func sample() *Graph {
	x := NewInput("x", Of(tensor.Float32, Named("batch"), Fixed(3), Dim{}))
	x.Meta = map[string]string{"doc": "an \"input\"\n", "a": ""}
	y := NewInput("y:0", SequenceOf(AnyRank(tensor.Int8)))
	w := NewConst("w", tensor.From([]float32{1, -0.1, float32(math.Inf(-1)), 1e-42}, 2, 2))
	st := NewInput("input", Of(tensor.Int64, Named("a b").Mul(Named("c")).Mul(Fixed(4))))
	n := &Node{Name: "first \"node\"", Op: plainOp{}, In: []*Value{x, nil, w, y}, Meta: map[string]string{"k": "v"}}
	a := &Value{Name: "7", Def: n, Fact: Fact{Type: Of(tensor.BFloat16)}}
	n.Out = []*Value{a, nil}
	pi, pf := -7, float32(0.1)
	body := &Graph{Name: "body", Captures: 1, Inputs: []*Value{NewInput("x", AnyRank(tensor.Undefined))}}
	body.Outputs = body.Inputs
	m := &Node{
		Op: everyKind{
			I: 4, B: true, F: float32(math.NaN()), S: "é\x00\xff", IS: []int{}, FS: []float32{1, 2.5, float32(math.Inf(1))},
			SS: []string{"a", ""}, T: tensor.From([]bool{true, false}, 2), G: body, Ty: OptionalOf(Of(tensor.String)), PI: &pi, PF: &pf,
		},
		In: []*Value{a, w},
	}
	b := &Value{Name: "b/c.d", Def: m, Fact: Fact{Type: Of(tensor.Float32, Fixed(0))}}
	m.Out = []*Value{b}
	o := &Node{Name: "o", Op: Opaque{
		Format: "tflite", Domain: "d", Type: "CUSTOM", Overload: "v2", Out: []Type{AnyRank(tensor.Float16)},
		Attrs: []Attr{
			{Name: "x", Value: []int64{}, Doc: "empty"},
			{Name: "g", Value: []*Graph{body.Clone()}},
			{Name: "t", Value: []*tensor.Tensor{tensor.FromStrings([]string{"s"}, 1)}},
			{Name: "ty", Value: []Type{AnyRank(tensor.Bool)}},
			{Name: "f", Value: []float32{}},
			{Name: "ss", Value: []string{}},
			{Name: "b", Value: true},
			{Name: "bs", Value: []bool{false, true}},
			{Name: "raw", Value: []byte{0, 255}},
			{Name: "fn", Value: Function{Name: "f", Attrs: []Attr{{Name: "n", Value: int64(1)}, {Name: "g", Value: Function{Name: "g"}}}}},
			{Name: "fns", Value: []Function{{Name: "f"}, {Name: "g"}}},
			{Name: "none", Value: []Function{}},
		}, Raw: []byte("flex"),
	}, In: []*Value{}}
	q := &Node{Name: "q", Op: oddOp{}, In: []*Value{b}}
	unused := NewConst("unused", &tensor.Tensor{DType: tensor.Sequence, Items: []*tensor.Tensor{tensor.From([]int8{1}, 1)}})
	return &Graph{
		Name: "sample", Inputs: []*Value{x, y}, Outputs: []*Value{b, w}, Nodes: []*Node{n, m, o, q}, Captures: 1,
		Opsets: map[string]int{"": 17, "test": 1}, Meta: map[string]string{"producer": "x"},
		Signatures: []Signature{{Name: "serving", Method: "predict", Inputs: []Port{{"in", x}}, Outputs: []Port{{"out", b}}, Next: []Port{{"s", a}}}},
		States:     []State{{"counter", st, tensor.Scalar[int64](9)}, {Name: "none", Value: NewInput("s2", Of(tensor.Bool))}},
		Unused:     []*Value{unused},
	}
}

const sampleText = `graph "sample" {
  opset "" 17
  opset "test" 1
  meta "producer" = "x"
  captures 1
  input x: float32[batch,3,?] @{"a" = "", "doc" = "an \"input\"\n"}
  input "y:0": sequence(int8[...])
  state "counter" "input": int64[4*"a b"*c] = int64[] {9}
  state "none" s2: bool[]
  const w: float32[2,2] = {1, -0.1, -inf, 1e-42}
  "7": bfloat16[], _ = TestAdd(x, _, w, "y:0") "first \"node\"" @{"k" = "v"}
  b/c.d: float32[0] = test.everyKind("7", w) {i=4 b=1 f=nan_7fc00000 s="é\x00\xff" is=ints[] fs=[1.0,2.5,inf] "odd name"=["a",""] t=tensor bool[2] {true, false} body=graph "body" {
    captures 1
    input x: undefined[...]
    output x
  } ty=type optional(string[]) pi=-7 doc=0.1}
  = opaque "tflite" "d" "CUSTOM" "v2" base64 "ZmxleA=="() {x=ints[] doc "empty" g=[graph "body" {
    captures 1
    input x: undefined[...]
    output x
  }] t=[tensor string[1] {"s"}] ty=[type bool[...]] f=floats[] ss=strings[] b=true bs=[false,true] raw=base64 "AP8=" fn=function "f" {n=1 g=function "g"} fns=[function "f",function "g"] none=functions[]} -> float16[...] "o"
  = "odd domain" "a.b"(b/c.d) "q"
  const "unused": sequence(int8[1]) = sequence(int8[1] {1})
  output b/c.d
  output w
  unused "unused"
  signature "serving" "predict" {
    input "in" = x
    output "out" = b/c.d
    next "s" = "7"
  }
}
`

func TestPrint(t *testing.T) {
	if diff := cmp.Diff(sampleText, sample().String()); diff != "" {
		t.Error(diff)
	}
}

func TestParse(t *testing.T) {
	g, err := Parse(strings.NewReader("# a comment\n" + sampleText + "# the end"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sampleText, g.String()); diff != "" {
		t.Error(diff)
	}
	want := sample()
	for i, n := range want.Nodes {
		attrs := AttrsOf(n.Op)
		for j, a := range AttrsOf(g.Nodes[i].Op) {
			switch v := a.Value.(type) { // compared by the text alone
			case float32:
				if v != v {
					continue
				}
			case *Graph, []*Graph:
				continue
			}
			if !reflect.DeepEqual(a, attrs[j]) {
				t.Errorf("node %d, attribute %q: %#v, want %#v", i, a.Name, a.Value, attrs[j].Value)
			}
		}
	}
	if g.Nodes[1].In[1] != g.Nodes[0].In[2] || g.Nodes[0].Out[0].Def != g.Nodes[0] {
		t.Error("values are not shared between their readers")
	}
}

// TestParseTensors reads back every element type, short and long, bit by bit.
func TestParseTensors(t *testing.T) {
	for d := tensor.Float32; d <= tensor.Int2; d++ {
		for _, n := range []int{0, 1, 5, inlineElements + 1} {
			c := tensor.New(d, n)
			for i := range c.Data {
				c.Data[i] = byte(i*37 + 11)
			}
			if d == tensor.Bool {
				for i := range c.Data {
					c.Data[i] &= 1
				}
			}
			for i := range c.Strings {
				c.Strings[i] = strings.Repeat("x\"", i%4) + "\x80"
			}
			g := &Graph{Name: "t", Outputs: []*Value{NewConst("c", c)}}
			var b bytes.Buffer
			if err := Print(&b, g, PrintOptions{Data: true}); err != nil {
				t.Fatal(err)
			}
			back, err := Parse(&b)
			if err != nil {
				t.Errorf("%d elements of %s: %v", n, d, err)
			} else if !back.Outputs[0].Const.Equal(c) {
				t.Errorf("%d elements of %s come back as %v, want %v", n, d, back.Outputs[0].Const, c)
			}
		}
	}
}

// drawn has constants that wait for their values, and results without types.
const drawn = `graph "drawn" {
  input x: float32[n,2]
  const w: float32[2,40] @{"doc" = "why"} init=he
  const g: bfloat16[3] init=one
  const given: float32[2] @{"init" = "one"} = {1, 2}
  const unruly: float32[1] @{"init" = "fixed"} = {0}
  y: undefined[...] = TestAdd(x, w, g, given, unruly)
  z: undefined[...] = TestAdd(y)
  output z
}
`

func TestParseInit(t *testing.T) {
	g, err := Parse(strings.NewReader(strings.ReplaceAll(drawn, ": undefined[...]", "")))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(drawn, g.String()); d != "" {
		t.Error(d)
	}
	w, one, given := g.Nodes[0].In[1], g.Nodes[0].In[2], g.Nodes[0].In[3]
	if !w.Const.Equal(tensor.New(tensor.Float32, 2, 40)) || w.Meta[MetaInit] != "he" || w.Meta["doc"] != "why" {
		t.Errorf("w is %v with %v", w.Const, w.Meta)
	}
	if v := tensor.Floats(one.Const); !reflect.DeepEqual(v, []float32{1, 1, 1}) {
		t.Errorf("init=one gives %v", v)
	}
	if given.Meta[MetaInit] != "one" || tensor.Floats(given.Const)[1] != 2 {
		t.Errorf("a value beside a rule becomes %v with %v", given.Const, given.Meta)
	}
	tensor.View[float32](w.Const)[7] = 0.5 // a value that was drawn is not lost
	if s := g.String(); !strings.Contains(s, `const w: float32[2,40] @{"doc" = "why", "init" = "he"} = sha256`) {
		t.Error(s)
	}
}

func TestPrintWithoutData(t *testing.T) {
	g := &Graph{Name: "t", Outputs: []*Value{NewConst("c", tensor.New(tensor.Uint8, 100))}}
	const hash = "cd00e292c5970d3c5e2f0ffa5171e555bc46bfc4faddfb4a418b6840b86e79a3" // of 100 zero bytes
	if s := g.String(); !strings.Contains(s, `const c: uint8[100] = sha256 "`+hash+`"`) {
		t.Errorf("got %s", s)
	}
	if _, err := Parse(strings.NewReader(g.String())); err == nil || !strings.Contains(err.Error(), "without the data") {
		t.Errorf("parsing it gives %v", err)
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct {
		text, want string
	}{
		{"", "line 1, column 1: want 'graph', got the end of the text"},
		{"graph \"a\" {\n  input x float32[]\n}", "line 2, column 11: want ':', got 'float32'"},
		{"graph \"a\" {\n  output x\n}", "line 2, column 10: \"x\" is not defined in graph \"a\""},
		{"graph \"a\" {\n  input x: int8[]\n  input x: int8[]\n}", "line 3, column 9: \"x\" is defined twice"},
		{"graph \"a\" {\n  y: int8[] = NoSuchOp()\n}", "line 2, column 15: unknown operator  NoSuchOp"},
		{"graph \"a\" {\n  y: int8[] = TestAdd() {axis=1}\n}", "line 2, column 15: unknown attribute axis"},
		{"graph \"a\" {\n  y: int9[] = TestAdd()\n}", "line 2, column 6: unknown element type \"int9\""},
		{"graph \"a\" {\n  const c: int8[2] = {1}\n}", "line 2, column 22: 1 elements for shape [2]"},
		{"graph \"a\" {\n  const c: int8[1] = {200}\n}", "line 2, column 22: element 0: \"200\" is no element of this type"},
		{"graph \"a\" {\n  const c: int8[?] = {}\n}", "line 2, column 22: a constant of type int8[?]"},
		{"graph \"a\" {\n  const c: float64[99999999999,99999999999] = base64 \"\"\n}", "line 2, column 47: shape [99999999999 99999999999] is too large"},
		{"graph \"a\" {\n  const c: int8[2] = base64 \"AA==\"\n}", "line 2, column 22: 1 bytes for int8[2]"},
		{"graph \"a\" {\n  meta \"k\" = \"v\n}", "line 2, column 14: a string without end, or with a wrong escape"},
		{"graph \"a\" {\n  ;\n}", "line 2, column 3: unexpected character ';'"},
		{"graph \"a\" {} x", "line 1, column 14: 'x' behind the graph"},
		{"graph \"a\" { input x: int8[-1] }", "line 1, column 27: want a symbol, got '-1'"},
		{"graph \"a\" { = opaque \"\" \"\" \"\" \"\"() {a=[1,2.5]} }", "line 1, column 39: a list of different or nested values"},
		{"graph \"a\" {\n  const c: float32[2] init=hee\n}", "line 2, column 28: no rule 'hee': there are glorot, he, one and zero"},
		{"graph \"a\" {\n  const c: float32[n] init=he\n}", "line 2, column 28: a constant of type float32[n] cannot be drawn: want floats of a fixed shape"},
		{"graph \"a\" {\n  const c: int8[2] init=zero\n}", "line 2, column 25: a constant of type int8[2] cannot be drawn: want floats of a fixed shape"},
		{"graph \"a\" { const c: float32[20000,20000] init=he }", "line 1, column 48: more than 268435456 elements are left to rules"},
		{"graph \"a\" { const c: float32[1] @{\"init\" = \"one\"} init=he }", "line 1, column 56: \"c\" has a rule already"},
		{"graph \"a\" { captures 2 }", "line 1, column 1: 2 captures of 0 inputs"},
		{"graph \"a\" { input x: " + strings.Repeat("sequence(", 200), "line 1, column 913: nested more than 100 deep"},
	} {
		_, err := Parse(strings.NewReader(c.text))
		var pe *ParseError
		if !errors.As(err, &pe) || err.Error() != c.want {
			t.Errorf("%.60q: got %v, want %s", c.text, err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sampleText)
	f.Add(drawn)
	f.Add("graph \"\" { const c: sequence(int8[1]) = sequence(int8[1] {1}, optional()) output c }")
	f.Fuzz(func(t *testing.T, text string) {
		g, err := Parse(strings.NewReader(text))
		if err != nil {
			return
		}
		print := func(g *Graph) string {
			var b strings.Builder
			if err := Print(&b, g, PrintOptions{Data: true}); err != nil {
				t.Fatal(err)
			}
			return b.String()
		}
		first := print(g)
		again, err := Parse(strings.NewReader(first))
		if err != nil {
			t.Fatalf("%v in\n%s", err, first)
		}
		if second := print(again); second != first {
			t.Fatal(cmp.Diff(first, second))
		}
	})
}

func TestDOT(t *testing.T) {
	g := sample()
	got, err := DOT(g)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{
		"digraph \"sample\"", `label="x"`, `label="TestAdd\nfirst \"node\"\nw: float32[2,2]"`, `shape=box`,
		`label="7: bfloat16[]"`, "graph body: 0 nodes", `label="b/c.d: float32[0]"`,
	} {
		if !strings.Contains(string(got), want) {
			t.Errorf("%d: no %s in\n%s", i, want, got)
		}
	}
	again, err := DOT(g)
	if err != nil || !bytes.Equal(got, again) {
		t.Error("a second drawing differs")
	}
}
