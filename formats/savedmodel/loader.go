package savedmodel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/internal/tensorflow"
	"github.com/tfsopt/tfsopt/tensor"
)

// loader turns one meta graph, or a frozen graph, into a graph.
type loader struct {
	format, path string
	budget       *budget
	def          *tensorflow.GraphDef
	functions    map[string]*tensorflow.FunctionDef
	vars         *bundle           // nil: no variables
	keys         map[string]string // of variables in the bundle, by full name
	dir          string

	b         *builder
	resources map[string]*resource
	setup     bool // the nodes that restore and initialize are being run: assignments say how variables begin
	again     bool // an assignment was met to a variable that counted as constant
	current   map[*resource]*graph.Value
	// turnedWeights are the weights in ONNX's order of axes.
	turnedWeights map[turnedKey]*tensor.Tensor
	restored      map[*graph.Value]restored
	converted     int // nodes
	maxNodes      int
	notes         []string
}

// maxCalls bounds the nesting of calls.
const maxCalls = 64

func newLoader(format, path string, size int, def *tensorflow.GraphDef) *loader {
	l := &loader{
		format: format, path: path, budget: newBudget(size), def: def, functions: map[string]*tensorflow.FunctionDef{},
		resources: map[string]*resource{}, current: map[*resource]*graph.Value{}, turnedWeights: map[turnedKey]*tensor.Tensor{},
	}
	total := len(def.Nodes)
	if def.Library != nil {
		for _, f := range def.Library.Functions {
			if f.Signature != nil {
				l.functions[f.Signature.Name] = f
			}
			total += len(f.Nodes)
		}
	}
	l.maxNodes = 4096 + 256*total
	l.reset()
	return l
}

// reset begins a new graph.
func (l *loader) reset() {
	l.b = newBuilder(&graph.Graph{Name: "main", Opsets: map[string]int{"": opset}}, nil)
	l.converted, l.restored = 0, map[*graph.Value]restored{}
}

// opset is the version of ONNX's operators that graphs are built of.
const opset = 24

func (l *loader) failAt(off int64, format string, args ...any) error {
	return &formats.SyntaxError{Format: l.format, Path: l.path, Offset: off, Err: fmt.Errorf(format, args...)}
}

// wrap adds a node's name and place in the file, once.
func (l *loader) wrap(n *tensorflow.NodeDef, err error) error {
	var s *formats.SyntaxError
	if errors.As(err, &s) {
		return err
	}
	return l.failAt(n.Offset, "node %q (%s): %w", n.Name, n.Op, err)
}

// charge counts nodes, so that a small file's functions cannot unfold to many.
func (l *loader) charge(n *tensorflow.NodeDef) error {
	if l.converted++; l.converted > l.maxNodes {
		return l.wrap(n, errors.New("the model's functions unfold to too many nodes"))
	}
	return nil
}

func (l *loader) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(l.notes, text) {
		l.notes = append(l.notes, text)
	}
}

// valueOf makes a value of the graph that b builds.
func (l *loader) valueOf(b *builder, x value) (*graph.Value, error) {
	switch {
	case x.v != nil:
		return x.v, nil
	case x.t != nil:
		return b.constant(x.t, x.name), nil
	case x.saved != nil:
		t, err := l.savedTensor(x.saved)
		if err != nil {
			return nil, &hardError{err}
		}
		return b.constant(t, x.name), nil
	case x.res != nil && !x.res.table:
		return l.readVariable(b, x.res)
	case x.list != nil && x.list.v != nil:
		return x.list.v, nil
	}
	return nil, errors.New("a handle stands where a tensor is needed")
}

// fold computes a node whose inputs are known integers or single numbers, or whose result inference knows; nil: it stays.
func (l *loader) fold(n *graph.Node) *tensor.Tensor {
	const most = 4096
	out := n.Out[0]
	if t := knownInts(out); t != nil {
		return t
	}
	if t := l.reshaped(n); t != nil {
		return t
	}
	if _, ok := n.Op.(graph.Kernel); !ok || graph.TraitsOf(n.Op).Random || len(graph.Bodies(n.Op)) > 0 {
		return nil
	}
	in := make([]*tensor.Tensor, len(n.In))
	for i, v := range n.In {
		if v == nil {
			continue
		}
		if !v.IsConst() || v.Const.Len() > most || v.Const.IsFloat() && v.Const.Len() > 1 || v.DType == tensor.String {
			return nil
		}
		in[i] = v.Const
	}
	shape, ok := out.Fixed()
	if !ok || tensor.Size(shape) > most || out.DType.IsFloat() && tensor.Size(shape) > 1 {
		return nil
	}
	t := &tensor.Tensor{}
	if graph.RunKernel(&graph.Exec{Ctx: context.Background(), Node: n}, n.Op, in, []*tensor.Tensor{t}) != nil {
		return nil
	}
	return t
}

// reshaped is a constant in another shape, which shares its elements; nil: the node does more. All entry points get the
// same tensor.
func (l *loader) reshaped(n *graph.Node) *tensor.Tensor {
	if !graph.TraitsOf(n.Op).InOrder || n.In[0] == nil || !n.In[0].IsConst() {
		return nil
	}
	shape, ok := n.Out[0].Fixed()
	t := n.In[0].Const
	if !ok || tensor.Size(shape) != t.Len() || n.Out[0].DType != t.DType {
		return nil
	}
	key := turnedKey{t, fmt.Sprint(shape)}
	if l.turnedWeights[key] == nil {
		l.turnedWeights[key] = t.Reshape(shape...)
	}
	return l.turnedWeights[key]
}

// portOf splits "x:0".
func portOf(name string) edge {
	e, _ := parseInput(name)
	return e
}

// entryPoint is a signature with its ports in order.
type entryPoint struct {
	name, method    string
	inputs, outputs []port
}

type port struct {
	name string
	info *tensorflow.TensorInfo
}

func entryPointOf(name string, def *tensorflow.Signature) entryPoint {
	return entryPoint{name, def.Method, portsOf(def.Inputs), portsOf(def.Outputs)}
}

func portsOf(m map[string]*tensorflow.TensorInfo) (out []port) {
	for _, name := range sorted(m) {
		out = append(out, port{name, m[name]})
	}
	return out
}

// signature converts one entry point on its own; weights are shared with the others.
func (l *loader) signature(def entryPoint) (graph.Signature, error) {
	out := graph.Signature{Name: def.name, Method: def.method}
	fail := func(err error) (graph.Signature, error) {
		var s *formats.SyntaxError
		if errors.As(err, &s) {
			return out, err
		}
		return out, fmt.Errorf("signature %q: %w", def.name, err)
	}
	s, err := newScope(l, l.b, l.def.Nodes)
	if err != nil {
		return out, err
	}
	l.current = map[*resource]*graph.Value{}
	for _, p := range def.inputs {
		v, err := l.feed(s, p)
		if err != nil {
			return fail(err)
		}
		out.Inputs = append(out.Inputs, graph.Port{Name: p.name, Value: v})
	}
	var edges []edge
	for _, p := range def.outputs {
		if p.info.Name == "" {
			return fail(fmt.Errorf("output %q is no single tensor, which is not supported", p.name))
		}
		edges = append(edges, portOf(p.info.Name))
	}
	if err := s.need(edges, nil); err != nil {
		return fail(err)
	}
	taken := map[*graph.Value]bool{}
	for i, e := range edges {
		v, err := l.result(s, e)
		if err != nil {
			return fail(fmt.Errorf("output %q: %w", def.outputs[i].name, err))
		}
		if v.Def == nil || taken[v] { // what the graph does not compute, or twice
			v = l.b.Add(def.outputs[i].name, identity, v)
		}
		taken[v] = true
		out.Outputs = append(out.Outputs, graph.Port{Name: def.outputs[i].name, Value: v})
	}
	for _, key := range sorted(l.resources) {
		if v := l.current[l.resources[key]]; v != nil {
			out.Next = append(out.Next, graph.Port{Name: l.resources[key].name, Value: v})
		}
	}
	return out, nil
}

// result gives what an edge holds, as a value of the main graph.
func (l *loader) result(s *scope, e edge) (*graph.Value, error) {
	x, err := s.at(e)
	if err != nil {
		return nil, err
	}
	return l.valueOf(l.b, x)
}

// feed makes an input of the graph for the tensor that a signature feeds. The tensor's own node knows its type better than
// the signature: TensorFlow does not enforce what signatures declare.
func (l *loader) feed(s *scope, p port) (*graph.Value, error) {
	info := p.info
	if info.Name == "" {
		return nil, fmt.Errorf("input %q is no single tensor, which is not supported", p.name)
	}
	e := portOf(info.Name)
	n := s.nodes[e.node]
	if n == nil {
		return nil, fmt.Errorf("input %q feeds %q, which is not in the graph", p.name, info.Name)
	}
	if _, twice := s.fed[e]; twice {
		return nil, fmt.Errorf("input %q feeds %q, as another does", p.name, info.Name)
	}
	c := &call{s: s, b: l.b, n: n}
	d := fedType(c)
	if d == tensor.Undefined {
		var err error
		if d, err = dtypeOf(info.DType); err != nil {
			return nil, fmt.Errorf("input %q: %w", p.name, err)
		}
	}
	shape := info.Shape
	if a := c.attr("shape"); a != nil && a.Shape != nil && (shape == nil || shape.UnknownRank) {
		shape = a.Shape
	}
	if shape != nil && len(shape.Dims) == 0 && (l.oldScalars() || n.Op != "Placeholder") {
		shape = nil // before version 24 the shape [] said nothing
	}
	v := graph.NewInput(l.b.Fresh(p.name), typeOf(d, shape))
	l.b.G.Inputs = append(l.b.G.Inputs, v)
	s.fed[e] = value{v: v}
	return v, nil
}

// fedType is the type of a node's output 0, if its attributes tell.
func fedType(c *call) tensor.DType {
	switch c.n.Op {
	case "Placeholder", "PlaceholderV2", "PlaceholderWithDefault":
		return c.typeAttr("dtype")
	case "Identity", "Reshape", "Squeeze", "ExpandDims", "Transpose":
		return c.typeAttr("T")
	case "Cast":
		return c.typeAttr("DstT")
	}
	return tensor.Undefined
}

func (l *loader) oldScalars() bool { return l.def.Versions == nil || l.def.Versions.Producer < 24 }

// nameBatch names the unknown leading sizes of an entry point's inputs. Where there are several inputs, only what
// nothing contradicts is said: each has its own.
func nameBatch(inputs []*graph.Value) {
	free := 0
	for _, v := range inputs {
		if v.Rank() > 0 && !v.Shape[0].Known() {
			free++
		}
	}
	for _, v := range inputs {
		if v.Rank() > 0 && !v.Shape[0].Known() {
			name := "batch"
			if free > 1 {
				name = "batch_" + strings.NewReplacer(":", "_", "*", "_", " ", "_").Replace(v.Name)
			}
			v.Shape[0] = graph.Named(name)
		}
	}
}
