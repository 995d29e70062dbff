package ops

import (
	"errors"
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	graph.Register("", 13, Constant{})
	graph.Register("", 9, ConstantOfShape{})
}

// Constant gives the value of the one attribute that is set; with none it is the empty string, which value_string
// cannot be told from.
type Constant struct {
	Value   *tensor.Tensor `attr:"value"`
	Float   *float32       `attr:"value_float"`
	Floats  []float32      `attr:"value_floats"`
	Int     *int           `attr:"value_int"`
	IntList []int          `attr:"value_ints"`
	String  string         `attr:"value_string"`
	Strings []string       `attr:"value_strings"`
}

// Tensor is the constant.
func (o Constant) Tensor() *tensor.Tensor {
	switch {
	case o.Value != nil:
		return o.Value
	case o.Float != nil:
		return tensor.Scalar(*o.Float)
	case o.Floats != nil:
		return tensor.From(o.Floats, len(o.Floats))
	case o.Int != nil:
		return tensor.Scalar(int64(*o.Int))
	case o.IntList != nil:
		v := make([]int64, len(o.IntList))
		for i, n := range o.IntList {
			v[i] = int64(n)
		}
		return tensor.From(v, len(v))
	case o.Strings != nil:
		return tensor.FromStrings(o.Strings, len(o.Strings))
	}
	return tensor.FromStrings([]string{o.String})
}

// Infer gives the type of the constant.
func (o Constant) Infer([]graph.Fact, int) ([]graph.Type, error) {
	return []graph.Type{graph.TypeOf(o.Tensor())}, nil
}

// Ints gives the elements.
func (o Constant) Ints([]graph.Fact) []graph.Dim { return elements(graph.FactOf(o.Tensor())) }

// Run copies the constant.
func (o Constant) Run(x *graph.Exec, _, out []*tensor.Tensor) error {
	t := o.Tensor()
	copyTo(x, out[0], t, t.Shape)
	return nil
}

// ConstantOfShape makes a tensor of the shape that the input gives, filled with the one element of Value (default
// float32 0).
type ConstantOfShape struct {
	Value *tensor.Tensor `attr:"value"`
}

// Traits says that a few numbers ask for a result of any size.
func (ConstantOfShape) Traits() graph.Traits { return graph.Traits{Grows: true} }

func (o ConstantOfShape) value() (*tensor.Tensor, error) {
	if o.Value == nil {
		return tensor.Scalar(float32(0)), nil
	}
	if o.Value.Len() != 1 {
		return nil, fmt.Errorf("the value has %d elements, not 1", o.Value.Len())
	}
	return o.Value, nil
}

// Infer needs to know how many dimensions are asked for.
func (o ConstantOfShape) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 1, 1); err != nil {
		return nil, err
	}
	v, err := o.value()
	if err != nil {
		return nil, err
	}
	if c, ok := in[0].ConstInts(); ok {
		for _, n := range c {
			if n < 0 {
				return nil, fmt.Errorf("dimension %d in shape %v", n, c)
			}
		}
	}
	e := elements(in[0])
	if e == nil {
		return []graph.Type{graph.AnyRank(v.DType)}, nil
	}
	if r := in[0].Rank(); r >= 0 && r != 1 {
		return nil, errors.New("the shape input must have rank 1")
	}
	return []graph.Type{graph.Of(v.DType, e...)}, nil
}

// Ints repeats the value.
func (o ConstantOfShape) Ints(in []graph.Fact) []graph.Dim {
	t, err := o.Infer(in, 1)
	v, errValue := o.value()
	if err != nil || errValue != nil || !v.IsInt() || t[0].Unranked || len(t[0].Shape) > 1 {
		return nil
	}
	n, ok := graph.SizeOf(t[0].Shape).Value()
	if !ok || n > maxElements {
		return nil
	}
	out := make([]graph.Dim, n)
	if k := int(tensor.Ints(v)[0]); k >= 0 {
		for i := range out {
			out[i] = graph.Fixed(k)
		}
	}
	return out
}

// Run fills.
func (o ConstantOfShape) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	v, err := o.value()
	if err != nil {
		return err
	}
	shape, err := shapeOf(o, in)
	if err != nil {
		return err
	}
	dst, err := target(x, out[0], v.DType, shape)
	if err != nil {
		return err
	}
	dst.fill(source(v), 0)
	dst.done()
	return nil
}
