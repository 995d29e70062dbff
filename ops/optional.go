package ops

import (
	"errors"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	graph.Register("", 15, Optional{})
	graph.Register("", 18, OptionalGetElement{}, OptionalHasElement{})
}

// Optional wraps its input or, without one, makes an empty optional of Type.
type Optional struct {
	Type graph.Type `attr:"type"`
}

// Infer wraps the type.
func (o Optional) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 0, 1); err != nil {
		return nil, err
	}
	if f := fact(in, 0); f.Given() {
		return []graph.Type{graph.OptionalOf(f.Type)}, nil
	}
	if o.Type.DType == tensor.Undefined {
		return nil, errors.New("neither an input nor a type is given")
	}
	return []graph.Type{graph.OptionalOf(o.Type)}, nil
}

// Run copies the input.
func (Optional) Run(_ *graph.Exec, in, out []*tensor.Tensor) error {
	*out[0] = tensor.Tensor{DType: tensor.Optional}
	if t := optional(in, 0); t != nil {
		out[0].Items = []*tensor.Tensor{t.Clone()}
	}
	return nil
}

// OptionalGetElement gives what an optional holds; another value is given as it is.
type OptionalGetElement struct{}

// Infer unwraps the type.
func (OptionalGetElement) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 1, 1); err != nil {
		return nil, err
	}
	t := in[0].Type
	if t.DType == tensor.Optional {
		if t.Elem == nil {
			return []graph.Type{graph.AnyRank(tensor.Undefined)}, nil
		}
		t = *t.Elem
	}
	return []graph.Type{t}, nil
}

// Run fails on an empty optional.
func (OptionalGetElement) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	t := in[0]
	if t.DType == tensor.Optional {
		if len(t.Items) == 0 {
			return errors.New("the optional is empty")
		}
		t = t.Items[0]
	}
	copyTo(x, out[0], t, t.Shape)
	return nil
}

// OptionalHasElement reports whether an optional holds something; another value does, an omitted input does not.
type OptionalHasElement struct{}

// Infer gives a scalar.
func (OptionalHasElement) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	return only(graph.Of(tensor.Bool), want(in, 0, 1))
}

// Run looks.
func (OptionalHasElement) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	t := optional(in, 0)
	has := t != nil && (t.DType != tensor.Optional || len(t.Items) > 0)
	tensor.View[bool](x.Make(out[0], tensor.Bool))[0] = has
	return nil
}
