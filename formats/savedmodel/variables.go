package savedmodel

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/internal/tensorflow"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	convertOps(variableHandle, "VarHandleOp", "VariableV2", "Variable")
	convertOps(readOp, "ReadVariableOp")
	convertOps(assign, "Assign", "AssignVariableOp")
	convertOps(assignMore, "AssignAdd", "AssignAddVariableOp", "AssignSub", "AssignSubVariableOp")
	convertOps(restore, "RestoreV2")
	convertOps(passOn, "Identity", "StopGradient", "PreventGradient", "Snapshot", "CheckNumerics", "DisableCopyOnRead", "EnsureShape",
		"PlaceholderWithDefault", "IdentityN", "DeepCopy", "ReadVariableXlaSplitND")
	convertOps(nothing, "NoOp", "Assert", "Print", "PrintV2", "VarIsInitializedOp", "ScalarSummary", "MergeV2Checkpoints")
	convertOps(constantOp, "Const")
	convertOps(placeholder, "Placeholder", "PlaceholderV2")
}

// resource finds or makes the resource of a node.
func (c *call) resource(table bool) *resource {
	name := c.stringAttr("shared_name", "")
	if name == "" {
		name = c.n.Name
	}
	key := c.stringAttr("container", "") + "/" + name
	r := c.s.l.resources[key]
	if r == nil {
		r = &resource{name: name, table: table}
		c.s.l.resources[key] = r
	}
	return r
}

func variableHandle(c *call) ([]value, error) {
	r := c.resource(false)
	d := c.typeAttr("dtype")
	if d == tensor.Undefined {
		return nil, errors.New("variables of this type are not supported")
	}
	var shape *tensorflow.Shape
	if a := c.attr("shape"); a != nil {
		shape = a.Shape
	}
	r.dtype, r.typ = d, typeOf(d, shape)
	return []value{{res: r}}, nil
}

// variable gives an input that is a variable.
func (c *call) variable(i int) (*resource, error) {
	if i >= len(c.in) || c.in[i].res == nil || c.in[i].res.table {
		return nil, fmt.Errorf("input %d is no variable", i)
	}
	return c.in[i].res, nil
}

func readOp(c *call) ([]value, error) {
	r, err := c.variable(0)
	if err != nil {
		return nil, err
	}
	if c.s.l.setup {
		return []value{r.init}, nil
	}
	v, err := c.s.l.readVariable(c.b, r)
	if err != nil {
		return nil, err
	}
	return one(v), nil
}

// readVariable gives what a variable holds at this point.
func (l *loader) readVariable(b *builder, r *resource) (*graph.Value, error) {
	if v := l.current[r]; v != nil {
		return b.state(v), nil
	}
	t, err := l.initial(r)
	if err != nil {
		return nil, err
	}
	if !r.changes {
		return b.constant(t, r.name), nil
	}
	if r.state == nil {
		r.state = graph.NewInput(l.b.Fresh(r.name), graph.TypeOf(t))
		l.b.G.States = append(l.b.G.States, graph.State{Name: r.name, Value: r.state, Init: t})
	}
	return b.state(r.state), nil
}

// initial gives what a variable holds before any call: what restoring left, else what the bundle has under its name.
func (l *loader) initial(r *resource) (*tensor.Tensor, error) {
	switch x := r.init; {
	case x.t != nil:
		return x.t, nil
	case x.v != nil && x.v.Const != nil:
		return x.v.Const, nil
	case x.saved != nil:
		t, err := l.savedTensor(x.saved)
		if err != nil {
			return nil, &hardError{err}
		}
		return t, nil
	}
	if l.vars == nil {
		return nil, &hardError{fmt.Errorf("variable %q has no value: the model has no variables directory", r.name)}
	}
	for _, key := range []string{l.keys[r.name], r.name} {
		if l.vars.entries[key] != nil && key != "" {
			t, err := l.vars.tensor(key)
			if err != nil {
				return nil, &hardError{err}
			}
			return t, nil
		}
	}
	return nil, &hardError{fmt.Errorf("variable %q has no value in %s", r.name, l.vars.index)}
}

// assign replaces a variable's value: the beginning of all calls while the model is set up, else of the next call.
func assign(c *call) ([]value, error) {
	r, err := c.variable(0)
	if err != nil {
		return nil, err
	}
	if len(c.in) < 2 {
		return nil, errors.New("input 1 is missing")
	}
	if c.s.l.setup {
		r.init = c.in[1]
		return []value{{res: r}}, nil
	}
	v, err := c.value(1)
	if err != nil {
		return nil, err
	}
	return c.change(r, v)
}

// change notes the new value of a variable.
func (c *call) change(r *resource, v *graph.Value) ([]value, error) {
	l := c.s.l
	if c.b.outer != nil {
		return nil, errors.New("assigning to a variable within a loop or branch is not supported")
	}
	if len(c.s.inputSides(c.n.Name)) > 0 {
		return nil, errors.New("assigning to a variable in one branch alone is not supported")
	}
	if !r.changes {
		r.changes, l.again = true, true
	}
	if v.Def == nil {
		v = c.b.Add(c.n.Name, identity, v)
	}
	l.current[r] = v
	if strings.HasSuffix(c.n.Op, "VariableOp") {
		return nil, nil
	}
	return []value{{v: v}}, nil
}

func assignMore(c *call) ([]value, error) {
	r, err := c.variable(0)
	if err != nil {
		return nil, err
	}
	by, err := c.value(1)
	if err != nil || c.s.l.setup {
		return nil, err
	}
	now, err := c.s.l.readVariable(c.b, r)
	if err != nil {
		return nil, err
	}
	op := addOp
	if strings.HasPrefix(c.n.Op, "AssignSub") {
		op = subOp
	}
	return c.change(r, c.b.Add(c.n.Name, op, now, by))
}

// restore names tensors of the bundle; they are read when they are needed.
func restore(c *call) ([]value, error) {
	names, err := c.constant(1)
	if err != nil {
		return nil, err
	}
	boxes, err := c.constant(2)
	if err != nil {
		return nil, err
	}
	if names.DType != tensor.String || len(boxes.Strings) != len(names.Strings) {
		return nil, errors.New("the names of tensors and their slices differ in number")
	}
	var out []value
	for i, name := range names.Strings {
		out = append(out, value{saved: &savedTensor{name, boxes.Strings[i]}, name: name})
	}
	return out, nil
}

// savedTensor reads a tensor of the bundle, or the box of it that "10 20 0,5:-" describes: the whole shape, then for each axis
// beginning and length, or all.
func (l *loader) savedTensor(s *savedTensor) (*tensor.Tensor, error) {
	if l.vars == nil {
		return nil, fmt.Errorf("the model has no variables directory with %q", s.key)
	}
	if s.box == "" {
		return l.vars.tensor(s.key)
	}
	key := s.key + "\x00" + s.box
	if t := l.vars.read[key]; t != nil {
		return t, nil
	}
	t, err := l.vars.tensor(s.key)
	if err != nil {
		return nil, err
	}
	start, size, err := parseBox(s.box, t.Shape)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", s.key, err)
	}
	part, err := cutBox(t, start, size)
	if err == nil {
		l.vars.read[key] = part
	}
	return part, err
}

func parseBox(box string, shape []int) (start, size []int, err error) {
	words := strings.Fields(box)
	bad := fmt.Errorf("slice %q of shape %v", box, shape)
	if len(words) != len(shape)+1 {
		return nil, nil, bad
	}
	axes := strings.Split(words[len(words)-1], ":")
	if len(axes) != len(shape) {
		return nil, nil, bad
	}
	for i, a := range axes {
		at, n := 0, shape[i]
		if a != "-" {
			from, length, ok := strings.Cut(a, ",")
			at, err = strconv.Atoi(from)
			var err2 error
			n, err2 = strconv.Atoi(length)
			if !ok || err != nil || err2 != nil || at < 0 || n < 0 || at > shape[i] || n > shape[i]-at {
				return nil, nil, bad
			}
		}
		start, size = append(start, at), append(size, n)
	}
	return start, size, nil
}

// cutBox copies a box out of a tensor of numbers.
func cutBox(t *tensor.Tensor, start, size []int) (*tensor.Tensor, error) {
	bits := t.DType.Bits()
	if bits == 0 || bits%8 != 0 {
		return nil, fmt.Errorf("a slice of %s", t.DType)
	}
	out := tensor.New(t.DType, size...)
	eachRow(start, out, func(at []int, from, n int) {
		to := 0
		for i, x := range at {
			to = to*t.Shape[i] + x
		}
		copy(out.Data[from:from+n], t.Data[to*bits/8:])
	})
	return out, nil
}

func constantOp(c *call) ([]value, error) {
	a := c.attr("value")
	if a == nil || a.Tensor == nil {
		return nil, &hardError{errors.New("the constant has no value")}
	}
	if a.Tensor.DType == dtResource || a.Tensor.DType == dtVariant {
		return nil, errors.New("constants of this type are not supported")
	}
	t, err := c.s.l.budget.constant(a.Tensor)
	if err != nil {
		return nil, &hardError{err}
	}
	return []value{{t: t, name: c.n.Name}}, nil
}

func placeholder(c *call) ([]value, error) {
	if c.s.l.setup {
		return []value{{t: tensor.FromStrings([]string{""})}}, nil
	}
	return nil, &hardError{errors.New("the signature needs this placeholder, but does not feed it")}
}

// passOn gives the inputs as they are.
func passOn(c *call) ([]value, error) { return c.in, nil }

func nothing(*call) ([]value, error) { return nil, nil }
