package savedmodel

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/internal/tensorflow"
	"github.com/tfsopt/tfsopt/tensor"
)

// converter turns one node into nodes of the IR and gives its outputs.
type converter func(c *call) ([]value, error)

// converters holds one converter for each operator of TensorFlow; files of operators add theirs in init.
var converters = map[string]converter{}

// convertOps adds a converter under the names of operators.
func convertOps(f converter, names ...string) {
	for _, name := range names {
		if converters[name] != nil {
			panic("savedmodel: two converters for " + name)
		}
		converters[name] = f
	}
}

// call is a node being converted.
type call struct {
	s  *scope
	b  *builder
	n  *tensorflow.NodeDef
	in []value // data inputs
}

// convert converts one node, whose inputs are converted.
func (s *scope) convert(n *tensorflow.NodeDef) error {
	if err := s.l.charge(n); err != nil {
		return err
	}
	c := &call{s: s, b: s.b, n: n}
	for _, in := range n.Inputs {
		e, control := parseInput(in)
		if control {
			continue
		}
		x, err := s.at(e)
		if err != nil {
			return s.l.wrap(n, err)
		}
		c.in = append(c.in, x)
	}
	f := converters[n.Op]
	if f == nil {
		s.done[n.Name] = c.opaque("")
		return nil
	}
	outs, err := f(c)
	if c.b.Err != nil {
		err, c.b.Err = errors.Join(err, c.b.Err), nil
	}
	var hard *hardError
	if errors.As(err, &hard) {
		return s.l.wrap(n, hard.err)
	}
	if err != nil {
		reason := err.Error()
		if c.unknown() { // it follows from another node that is not supported
			reason = ""
		}
		s.done[n.Name] = c.opaque(reason)
		return nil
	}
	s.done[n.Name] = &outputs{values: outs}
	return nil
}

// unknown reports whether nothing is known of an input because an operator that we do not know makes it.
func (c *call) unknown() bool {
	return slices.ContainsFunc(c.in, func(x value) bool { return x.v != nil && x.v.DType == tensor.Undefined })
}

// hardError is damage in the model, as opposed to what we do not know.
type hardError struct{ err error }

func (e *hardError) Error() string { return e.err.Error() }

// opaqueNode is a node that we cannot convert; it survives as graph.Opaque if a signature needs it.
type opaqueNode struct {
	node  *graph.Node
	b     *builder
	ports map[edge]*graph.Value
}

// metaReason is the key under which a node's Meta says why it was not converted.
const metaReason = "tensorflow.unsupported"

// opaque adds the node as it is.
func (c *call) opaque(reason string) *outputs {
	n := &graph.Node{Name: c.b.Fresh(c.n.Name), Op: graph.Opaque{
		Format: Name, Domain: "tensorflow", Type: c.n.Op, Raw: tensorflow.Encode(c.n),
	}}
	if reason != "" {
		n.Meta = map[string]string{metaReason: reason}
	}
	for i := range c.in {
		v, err := c.value(i)
		if err != nil {
			v = nil
		}
		n.In = append(n.In, v)
	}
	c.b.Err = nil
	c.b.G.Nodes = append(c.b.G.Nodes, n)
	return &outputs{opaque: &opaqueNode{n, c.b, map[edge]*graph.Value{}}}
}

// output gives the output of an edge, in the order in which edges ask.
func (o *opaqueNode) output(e edge) *graph.Value {
	v := o.ports[e]
	if v == nil {
		v = &graph.Value{Name: o.b.Fresh(o.node.Name + "_out"), Def: o.node, Fact: graph.Fact{Type: graph.AnyRank(tensor.Undefined)}}
		o.node.Out = append(o.node.Out, v)
		o.ports[e] = v
	}
	return v
}

// value gives an input as a value of the graph.
func (c *call) value(i int) (*graph.Value, error) {
	if i >= len(c.in) {
		return nil, fmt.Errorf("input %d is missing", i)
	}
	return c.s.l.valueOf(c.b, c.in[i])
}

// values gives the inputs from i on.
func (c *call) values(from, to int) ([]*graph.Value, error) {
	if to > len(c.in) || from > to {
		return nil, fmt.Errorf("%d inputs, want %d", len(c.in), to)
	}
	out := make([]*graph.Value, 0, to-from)
	for i := from; i < to; i++ {
		v, err := c.value(i)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// valueAndList gives one input as a value and another as a list of int64.
func (c *call) valueAndList(i, list int) (v, l *graph.Value, err error) {
	if v, err = c.value(i); err == nil {
		l, err = c.wideList(list)
	}
	return v, l, err
}

// valueAndInts gives one input as a value and another as numbers that must be known.
func (c *call) valueAndInts(i, ints int) (v *graph.Value, n []int, err error) {
	if v, err = c.value(i); err == nil {
		n, err = c.ints(ints)
	}
	return v, n, err
}

// constant gives an input that must be known.
func (c *call) constant(i int) (*tensor.Tensor, error) {
	if i >= len(c.in) {
		return nil, fmt.Errorf("input %d is missing", i)
	}
	x := c.in[i]
	if x.saved != nil || x.res != nil && !x.res.changes {
		v, err := c.value(i)
		if err != nil {
			return nil, err
		}
		return v.Const, nil
	}
	if x.t != nil {
		return x.t, nil
	}
	if x.v != nil {
		if x.v.Const != nil {
			return x.v.Const, nil
		}
		if t := knownInts(x.v); t != nil {
			return t, nil
		}
	}
	return nil, fmt.Errorf("input %d is not known when the model is loaded", i)
}

// knownInts gives the elements of a small integer tensor that inference knows.
func knownInts(v *graph.Value) *tensor.Tensor {
	if v.Ints == nil || v.Unranked || len(v.Shape) > 1 {
		return nil
	}
	sizes, ok := graph.FixedShape(v.Ints)
	if !ok || len(v.Shape) == 0 && len(sizes) != 1 {
		return nil
	}
	t := tensor.New(v.DType, len(sizes))
	if len(v.Shape) == 0 {
		t.Shape = []int{}
	}
	list := make([]int64, len(sizes))
	for i, n := range sizes {
		list[i] = int64(n)
	}
	if !v.DType.IsInt() || tensor.SetInts(t, list) != nil {
		return nil
	}
	return t
}

// ints gives an input that must be known integers.
func (c *call) ints(i int) ([]int, error) {
	t, err := c.constant(i)
	if err != nil {
		return nil, err
	}
	if !t.IsInt() {
		return nil, fmt.Errorf("input %d is %s, want integers", i, t.DType)
	}
	out := make([]int, t.Len())
	for j, v := range tensor.Ints(t) {
		out[j] = int(v)
	}
	return out, nil
}

func (c *call) attr(name string) *tensorflow.AttrValue {
	a := c.n.Attrs[name]
	if a != nil && a.Kind == tensorflow.KindPlaceholder {
		return c.s.attrs[a.Placeholder]
	}
	return a
}

func (c *call) intAttr(name string, def int) int {
	if a := c.attr(name); a != nil && a.Kind == tensorflow.KindI {
		return int(a.I)
	}
	return def
}

func (c *call) floatAttr(name string, def float32) float32 {
	if a := c.attr(name); a != nil && a.Kind == tensorflow.KindF {
		return a.F
	}
	return def
}

func (c *call) boolAttr(name string, def bool) bool {
	if a := c.attr(name); a != nil && a.Kind == tensorflow.KindB {
		return a.B
	}
	return def
}

func (c *call) stringAttr(name, def string) string {
	if a := c.attr(name); a != nil && a.Kind == tensorflow.KindS {
		return string(a.S)
	}
	return def
}

func (c *call) intsAttr(name string) []int {
	a := c.attr(name)
	if a == nil || a.List == nil {
		return nil
	}
	out := make([]int, len(a.List.I))
	for i, v := range a.List.I {
		out[i] = int(v)
	}
	return out
}

// typeAttr gives an attribute that is a type of elements; tensor.Undefined if there is none.
func (c *call) typeAttr(name string) tensor.DType {
	if a := c.attr(name); a != nil && a.Kind == tensorflow.KindType {
		if d, err := dtypeOf(a.Type); err == nil {
			return d
		}
	}
	return tensor.Undefined
}

// add appends a node. If all of its inputs are known and small integers, its result is computed at once: shape
// arithmetic vanishes that way.
func (c *call) add(op graph.Op, in ...*graph.Value) *graph.Value { return c.addN(1, op, in...)[0] }

func (c *call) addN(outs int, op graph.Op, in ...*graph.Value) []*graph.Value {
	out := c.b.AddN(c.n.Name, outs, op, in...)
	if outs == 1 {
		if t := c.s.l.fold(out[0].Def); t != nil {
			c.b.G.Nodes = c.b.G.Nodes[:len(c.b.G.Nodes)-1]
			return []*graph.Value{c.b.constant(t, c.n.Name)}
		}
	}
	return out
}

// one wraps a single output; a known one stays known.
func one(v *graph.Value) []value {
	if v.IsConst() {
		return []value{{t: v.Const, name: v.Name}}
	}
	return []value{{v: v}}
}

func several(vs []*graph.Value) []value {
	var out []value
	for _, v := range vs {
		out = append(out, one(v)...)
	}
	return out
}
