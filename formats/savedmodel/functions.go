package savedmodel

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/internal/tensorflow"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	convertOps(callOp, "PartitionedCall", "StatefulPartitionedCall")
	convertOps(ifOp, "If", "StatelessIf")
	convertOps(caseOp, "Case", "StatelessCase")
}

var identity = ops.Identity{}

// function finds the function that an attribute names.
func (c *call) function(attr string) (*tensorflow.FunctionCall, error) {
	a := c.attr(attr)
	if a == nil || a.Func == nil {
		return nil, &hardError{fmt.Errorf("attribute %s names no function", attr)}
	}
	return a.Func, nil
}

// run converts a function's nodes into the graph that b builds, and gives its outputs.
func (c *call) run(b *builder, f *tensorflow.FunctionCall, args []value) ([]value, error) {
	def := c.s.l.functions[f.Name]
	if def == nil {
		if converters[f.Name] != nil || strings.HasPrefix(f.Name, "Flex") {
			return nil, fmt.Errorf("calling the operator %s as a function is not supported", f.Name)
		}
		return nil, &hardError{fmt.Errorf("function %q is not in the library", f.Name)}
	}
	if slices.Contains(c.s.calls, f.Name) {
		return nil, &hardError{fmt.Errorf("function %q calls itself: %s", f.Name, strings.Join(append(c.s.calls, f.Name), " → "))}
	}
	if len(c.s.calls) >= maxCalls {
		return nil, &hardError{fmt.Errorf("calls are nested more than %d deep", maxCalls)}
	}
	s, err := newScope(c.s.l, b, def.Nodes)
	if err != nil {
		return nil, err
	}
	s.calls = append(slices.Clone(c.s.calls), f.Name)
	s.attrs = f.Attrs
	if s.args, err = bindArgs(def, args); err != nil {
		return nil, &hardError{fmt.Errorf("function %q: %w", f.Name, err)}
	}
	var edges []edge
	for _, o := range def.Signature.Outputs {
		ret, ok := def.Ret[o.Name]
		if !ok {
			return nil, &hardError{fmt.Errorf("function %q does not say what its output %q is", f.Name, o.Name)}
		}
		e, _ := parseInput(ret)
		edges = append(edges, e)
	}
	if err := s.need(edges, slices.Sorted(maps.Values(def.ControlRet))); err != nil {
		var damage *formats.SyntaxError
		if !errors.As(err, &damage) {
			err = fmt.Errorf("function %q: %w", f.Name, err)
		}
		return nil, &hardError{err}
	}
	var out []value
	for _, e := range edges {
		x, err := s.at(e)
		if err != nil {
			return nil, fmt.Errorf("function %q: %w", f.Name, err)
		}
		out = append(out, x)
	}
	return out, nil
}

func bindArgs(def *tensorflow.FunctionDef, args []value) (map[string]value, error) {
	want := def.Signature.Inputs
	if len(want) != len(args) {
		return nil, fmt.Errorf("it takes %d arguments, the call gives %d", len(want), len(args))
	}
	out := map[string]value{}
	for i, a := range want {
		if a.NumberAttr != "" || a.ListAttr != "" {
			return nil, fmt.Errorf("its argument %q is a list, which is not supported", a.Name)
		}
		out[a.Name] = args[i]
	}
	return out, nil
}

func callOp(c *call) ([]value, error) {
	f, err := c.function("f")
	if err != nil {
		return nil, err
	}
	return c.run(c.b, f, c.in)
}

// known gives a condition that is known when the model is loaded.
func (c *call) known(i int) (truth, ok bool) {
	t, err := c.constant(i)
	if err != nil || t.Len() != 1 || t.DType.Bits() == 0 {
		return false, false
	}
	return tensor.Float64s(t)[0] != 0, true
}

// condition makes a bool of rank 0 of an input, as TensorFlow's If does.
func (c *call) condition(i int) (*graph.Value, error) {
	v, err := c.value(i)
	if err == nil && v.DType != tensor.Bool {
		v = c.add(ops.Cast{To: int(tensor.Bool)}, v)
	}
	return v, err
}

func ifOp(c *call) ([]value, error) {
	then, err := c.function("then_branch")
	if err != nil {
		return nil, err
	}
	other, err := c.function("else_branch")
	if err != nil {
		return nil, err
	}
	if len(c.in) == 0 {
		return nil, &hardError{errors.New("the condition is missing")}
	}
	if truth, ok := c.known(0); ok {
		if truth {
			return c.run(c.b, then, c.in[1:])
		}
		return c.run(c.b, other, c.in[1:])
	}
	cond, err := c.condition(0)
	if err != nil {
		return nil, err
	}
	return c.choose(cond, then, other, c.in[1:])
}

// choose runs one of two functions.
func (c *call) choose(cond *graph.Value, then, other *tensorflow.FunctionCall, args []value) ([]value, error) {
	bodies := make([]*body, 2)
	for i, f := range []*tensorflow.FunctionCall{then, other} {
		var err error
		if bodies[i], err = c.body(f, args, nil); err != nil {
			return nil, err
		}
	}
	shareCaptures(bodies)
	if len(bodies[0].g.Outputs) != len(bodies[1].g.Outputs) {
		return nil, &hardError{errors.New("the branches give different numbers of results")}
	}
	in := append([]*graph.Value{cond}, bodies[0].captured...)
	if len(bodies[0].g.Outputs) == 0 {
		return nil, nil
	}
	return several(c.b.AddN(c.n.Name, len(bodies[0].g.Outputs), ops.If{Then: bodies[0].g, Else: bodies[1].g}, in...)), nil
}

// caseOp is a chain of If: the last branch is also that of numbers out of range.
func caseOp(c *call) ([]value, error) {
	a := c.attr("branches")
	if a == nil || a.List == nil || len(a.List.Func) == 0 || len(c.in) == 0 {
		return nil, &hardError{errors.New("there are no branches")}
	}
	if t, err := c.constant(0); err == nil && t.IsInt() && t.Len() == 1 {
		i := int(tensor.Ints(t)[0])
		if i < 0 || i >= len(a.List.Func) {
			i = len(a.List.Func) - 1
		}
		return c.run(c.b, a.List.Func[i], c.in[1:])
	}
	which, err := c.value(0)
	if err != nil {
		return nil, err
	}
	return c.branch(which, a.List.Func, 0)
}

func (c *call) branch(which *graph.Value, list []*tensorflow.FunctionCall, at int) ([]value, error) {
	if at == len(list)-1 {
		return c.run(c.b, list[at], c.in[1:])
	}
	cond := c.add(ops.Equal{}, which, c.b.constant(tensor.Scalar(int32(at)), ""))
	args := c.in[1:]
	then, err := c.body(list[at], args, nil)
	if err != nil {
		return nil, err
	}
	// The rest is a body of its own, in which the choice goes on.
	inner, b := c.enter(append([]value{{v: which}}, args...))
	rest := &call{s: c.s, b: b, n: c.n, in: inner}
	outs, err := rest.branch(inner[0].v, list, at+1)
	if err != nil {
		return nil, err
	}
	other, err := c.leave(b, outs, nil)
	if err != nil {
		return nil, err
	}
	bodies := []*body{then, other}
	shareCaptures(bodies)
	in := append([]*graph.Value{cond}, bodies[0].captured...)
	return several(c.b.AddN(c.n.Name, len(then.g.Outputs), ops.If{Then: then.g, Else: other.g}, in...)), nil
}

// body is a function as an operator's body, with the values from outside that its last inputs stand for.
type body struct {
	g        *graph.Graph
	captured []*graph.Value
}

// enter begins a body in which args are visible: what is computed outside is captured when it is used, what is known and
// handles stay as they are.
func (c *call) enter(args []value) ([]value, *builder) {
	b := newBuilder(&graph.Graph{Name: c.n.Name, Opsets: c.b.G.Opsets}, c.b)
	inner := make([]value, len(args))
	for i, x := range args {
		inner[i] = b.visible(x)
	}
	return inner, b
}

// leave ends a body that has results; own are the inputs that come before what it captures.
func (c *call) leave(b *builder, outs []value, own []*graph.Value) (*body, error) {
	g := b.G
	g.Inputs = own
	out := &body{g: g}
	for _, x := range b.captures {
		g.Inputs = append(g.Inputs, x.inside)
		out.captured = append(out.captured, x.outside)
	}
	taken := map[*graph.Value]bool{}
	for _, x := range outs {
		v, err := c.s.l.valueOf(b, x)
		if err != nil {
			return nil, err
		}
		if v.Def == nil || taken[v] {
			v = b.Add("out", identity, v)
		}
		taken[v] = true
		g.Outputs = append(g.Outputs, v)
	}
	g.Captures = len(out.captured)
	prune(g)
	return out, b.Err
}

// body converts a function into a body whose inputs are all captured; extra are values it takes first.
func (c *call) body(f *tensorflow.FunctionCall, args []value, own []*graph.Value) (*body, error) {
	inner, b := c.enter(args)
	outs, err := c.run(b, f, inner)
	if err != nil {
		return nil, err
	}
	return c.leave(b, outs, own)
}

// shareCaptures gives bodies the same captures in the same order.
func shareCaptures(bodies []*body) {
	var all []*graph.Value
	for _, b := range bodies {
		for _, v := range b.captured {
			if !slices.Contains(all, v) {
				all = append(all, v)
			}
		}
	}
	for _, b := range bodies {
		own := len(b.g.Inputs) - len(b.captured)
		inputs, names := slices.Clone(b.g.Inputs[:own]), b.g.Names()
		for _, v := range all {
			if i := slices.Index(b.captured, v); i >= 0 {
				inputs = append(inputs, b.g.Inputs[own+i])
			} else {
				inputs = append(inputs, graph.NewInput(names.Fresh(v.Name), v.Type))
			}
		}
		b.g.Inputs, b.captured, b.g.Captures = inputs, all, len(all)
	}
}
