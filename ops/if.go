package ops

import (
	"errors"
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 16, If{}) }

// If runs one of two bodies. Inputs: the condition, then what the bodies capture.
type If struct {
	Then *graph.Graph `attr:"then_branch" required:"true"`
	Else *graph.Graph `attr:"else_branch" required:"true"`
}

// Infer gives what both results have in common. A body whose inference fails is left out if the other's does not: it
// may stand there for inputs of other shapes.
func (o If) Infer(in []graph.Fact, outs int) ([]graph.Type, error) {
	if err := want(in, 1, -1); err != nil {
		return nil, err
	}
	then, errThen := inferBody(o.Then, nil, in[1:], outs)
	other, errElse := inferBody(o.Else, nil, in[1:], outs)
	taken, known := 0, false
	if c := in[0].Const; c != nil && c.DType == tensor.Bool && c.Len() == 1 {
		known, taken = true, int(tensor.Ints(c)[0])
	}
	switch {
	case known && taken != 0:
		return then, errThen
	case known:
		return other, errElse
	case errThen != nil && errElse != nil:
		return nil, errors.Join(errThen, errElse)
	case errThen != nil:
		return other, nil
	case errElse != nil:
		return then, nil
	}
	for i := range then {
		then[i] = eitherType(then[i], other[i])
	}
	return then, nil
}

// inferBody infers a body whose first inputs have the given types and whose last inputs are the node's last ones.
func inferBody(b *graph.Graph, own []graph.Type, in []graph.Fact, outs int) ([]graph.Type, error) {
	if err := checkBody(b, len(own), len(in)); err != nil {
		return nil, err
	}
	if len(b.Outputs) < outs {
		return nil, fmt.Errorf("body %q has %d outputs, not %d", b.Name, len(b.Outputs), outs)
	}
	for i, t := range own {
		if t.DType == tensor.Undefined { // the body's own declaration says more
			t = b.Inputs[i].Type
		}
		b.Inputs[i].Fact = graph.Fact{Type: t}
	}
	for i, f := range in[len(in)-b.Captures:] {
		v := b.Inputs[len(own)+i]
		if f.Given() {
			v.Fact = graph.Fact{Type: f.Type}
		}
		if f.Given() && f.Rank() >= 0 && f.Rank() <= 1 {
			v.Ints = elements(f)
		}
	}
	if err := b.Infer(); err != nil {
		return nil, fmt.Errorf("body %q: %w", b.Name, err)
	}
	types := make([]graph.Type, len(b.Outputs))
	for i, v := range b.Outputs {
		types[i] = v.Type
	}
	return types, nil
}

// checkBody compares a body's inputs with those of its node: `own` and then the captures.
func checkBody(b *graph.Graph, own, in int) error {
	if b == nil {
		return errors.New("a body is missing")
	}
	if b.Captures < 0 || b.Captures > in || own+b.Captures != len(b.Inputs) {
		return fmt.Errorf("body %q takes %d inputs, %d of them captured: it should take %d more than those, and the node has %d",
			b.Name, len(b.Inputs), b.Captures, own, in)
	}
	return nil
}

// runBody runs a body on its own inputs and the captured ones.
func runBody(x *graph.Exec, b *graph.Graph, own, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	if err := checkBody(b, len(own), len(in)); err != nil {
		return nil, err
	}
	if err := x.Ctx.Err(); err != nil {
		return nil, err
	}
	return x.Body(b, append(append([]*tensor.Tensor{}, own...), in[len(in)-b.Captures:]...))
}

// copyOuts copies a body's results to a node's outputs.
func copyOuts(x *graph.Exec, out, from []*tensor.Tensor) error {
	if len(from) < len(out) {
		return fmt.Errorf("%d results for %d outputs", len(from), len(out))
	}
	for i, t := range out {
		if t != nil {
			copyTo(x, t, from[i], from[i].Shape)
		}
	}
	return nil
}

// truth reads a condition of one element.
func truth(t *tensor.Tensor) (bool, error) {
	if t.DType != tensor.Bool || t.Len() != 1 {
		return false, fmt.Errorf("a condition of type %s", graph.TypeOf(t))
	}
	return t.Data[0] != 0, nil
}

// Run runs one body.
func (o If) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	c, err := truth(in[0])
	if err != nil {
		return err
	}
	b := o.Else
	if c {
		b = o.Then
	}
	r, err := runBody(x, b, nil, in[1:])
	if err != nil {
		return err
	}
	return copyOuts(x, out, r)
}
