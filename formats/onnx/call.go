package onnx

import (
	"errors"
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// FormatName marks this format's unknown operators (graph.Opaque.Format).
const FormatName = "onnx"

// call is a node on its way from the file into a graph. Upgrades change it step by step.
type call struct {
	l          *loader
	s          *scope
	at         *nodeProto
	domain, op string
	name       string
	opset      int
	attrs      []graph.Attr
	in, out    []*graph.Value
	meta       map[string]string
	bodies     []*scope
	after      []func() error // emit what follows the node, last added first
	err        error          // of the attributes that an upgrade took
}

func (c *call) opName() string {
	if c.domain == "" {
		return c.op
	}
	return c.domain + "." + c.op
}

func (c *call) errorf(format string, args ...any) error {
	return &graph.OpError{Node: c.name, Op: c.opName(), Err: fmt.Errorf(format, args...)}
}

// trim drops omitted inputs at the end: a file does not say that they are there.
func (c *call) trim() {
	for len(c.in) > 0 && c.in[len(c.in)-1] == nil {
		c.in = c.in[:len(c.in)-1]
	}
}

// convert upgrades the node and puts it into the graph.
func (c *call) convert() error {
	c.trim()
	if err := c.upgrade(); err != nil {
		var op *graph.OpError
		if errors.As(err, &op) {
			return err
		}
		return c.errorf("opset %d: %w", c.opset, err)
	}
	c.trim()
	if c.domain == "" && c.op == "Constant" {
		return c.constant()
	}
	if c.domain == "" && c.op == "Loop" {
		for len(c.in) < 2 {
			c.in = append(c.in, nil)
		}
	}
	c.in = append(c.in, shareCaptures(c.bodies)...)
	if err := c.emit(&graph.Node{Name: c.name, In: c.in, Out: c.out, Meta: c.meta}, c.domain, c.op, c.attrs); err != nil {
		return err
	}
	for i := len(c.after) - 1; i >= 0; i-- {
		if err := c.after[i](); err != nil {
			return err
		}
	}
	return nil
}

// emit decodes the attributes into n.Op, infers, and appends n to the graph.
func (c *call) emit(n *graph.Node, domain, op string, attrs []graph.Attr) error {
	var unknown graph.UnknownOpError
	made, err := graph.NewOp(domain, op, attrs)
	switch {
	case errors.As(err, &unknown):
		o := graph.Opaque{Format: FormatName, Domain: domain, Type: op, Attrs: attrs, Overload: c.at.overload}
		for _, v := range n.Out {
			t := graph.AnyRank(tensor.Undefined)
			if v != nil {
				t = v.Type
			}
			o.Out = append(o.Out, t)
		}
		n.Op = o
	case err != nil:
		return &graph.OpError{Node: n.Name, Op: c.opName(), Err: err}
	default:
		n.Op = made
		c.noteMaps(made)
	}
	for _, v := range n.Out {
		if v != nil {
			v.Def = n
			delete(c.l.pending, v)
		}
	}
	c.s.g.Nodes = append(c.s.g.Nodes, n)
	if c.l.unsorted { // types are inferred once the nodes are in order
		return nil
	}
	err = graph.InferNode(n)
	if c.s.outer != nil { // the operator that holds the body judges it: a branch may be there for other shapes
		return nil
	}
	if err != nil && !certain(n) {
		c.l.note("%v (its inputs are of unknown type, so it is kept as it is)", err)
		return nil
	}
	return err
}

// certain reports whether inference knew enough of the inputs to be believed.
func certain(n *graph.Node) bool {
	for _, v := range n.In {
		if v != nil && v.DType == tensor.Undefined {
			return false
		}
	}
	return true
}

// add emits a node with one output ahead of this one and returns the output.
func (c *call) add(op string, attrs []graph.Attr, in ...*graph.Value) (*graph.Value, error) {
	v := c.fresh(op)
	n := &graph.Node{Name: c.l.freshNode(c.name + "_" + op), In: in, Out: []*graph.Value{v}}
	return v, c.emit(n, "", op, attrs)
}

// fresh makes a value for a node to come.
func (c *call) fresh(suffix string) *graph.Value {
	return graph.NewInput(c.l.values.Fresh(c.name+"_"+suffix), graph.AnyRank(tensor.Undefined))
}

// constOf makes a constant value that the upgraded node reads.
func (c *call) constOf(suffix string, t *tensor.Tensor) *graph.Value {
	return graph.NewConst(c.l.values.Fresh(c.name+"_"+suffix), t)
}

// constant makes the output of a Constant node a constant value.
func (c *call) constant() error {
	if len(c.attrs) != 1 || len(c.out) != 1 || c.out[0] == nil {
		return c.errorf("want one value and one output, got %d and %d", len(c.attrs), len(c.out))
	}
	t, err := constantOf(c.attrs[0])
	if err != nil {
		return c.errorf("%w", err)
	}
	v := c.out[0]
	v.Fact = graph.FactOf(t)
	delete(v.Meta, metaListed)
	delete(v.Meta, metaType)
	for k, s := range c.meta {
		setMeta(&v.Meta, k, s)
	}
	delete(c.l.pending, v)
	return nil
}

func constantOf(a graph.Attr) (*tensor.Tensor, error) {
	switch v := a.Value.(type) {
	case *tensor.Tensor:
		return v, nil
	case float32:
		return tensor.Scalar(v), nil
	case int64:
		return tensor.Scalar(v), nil
	case string:
		return tensor.FromStrings([]string{v}), nil
	case []float32:
		return tensor.From(v, len(v)), nil
	case []int64:
		return tensor.From(v, len(v)), nil
	case []string:
		return tensor.FromStrings(v, len(v)), nil
	}
	return nil, fmt.Errorf("attribute %s has the wrong type %T", a.Name, a.Value)
}
