package ops

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 13, Squeeze{}, Unsqueeze{}) }

// Squeeze removes the dimensions of size 1 that the second input names, all of them if it is omitted.
type Squeeze struct {
	mover
	reshaping
}

// Infer needs constant axes.
func (Squeeze) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 1, 2); err != nil {
		return nil, err
	}
	t := graph.AnyRank(in[0].DType)
	if in[0].Unranked {
		return []graph.Type{t}, nil
	}
	shape := in[0].Shape
	drop := map[int]bool{}
	if f := fact(in, 1); f.Given() {
		list, ok := f.ConstInts()
		if !ok {
			if n, ok := lengthOf(f); ok && n <= len(shape) {
				t = graph.Of(in[0].DType, make([]graph.Dim, len(shape)-n)...)
			}
			return []graph.Type{t}, nil
		}
		a, err := axes(list, len(shape))
		if err != nil {
			return nil, err
		}
		for _, i := range a {
			if n, ok := shape[i].Value(); ok && n != 1 {
				return nil, fmt.Errorf("dimension %d is %d, not 1", i, n)
			}
			drop[i] = true
		}
	} else {
		for i, d := range shape {
			if _, ok := d.Value(); !ok {
				return []graph.Type{t}, nil
			}
			drop[i] = d.Is(1)
		}
	}
	var kept []graph.Dim
	for i, d := range shape {
		if !drop[i] {
			kept = append(kept, d)
		}
	}
	return []graph.Type{graph.Of(in[0].DType, kept...)}, nil
}

// Ints passes the elements on.
func (o Squeeze) Ints(in []graph.Fact) []graph.Dim { return sameElements(o, in) }

// Run copies the data.
func (o Squeeze) Run(x *graph.Exec, in, out []*tensor.Tensor) error { return runReshape(o, x, in, out) }

// Links ties the axes that hold the same elements.
func (o Squeeze) Links(in, out []graph.Fact) []graph.Link { return reshapeLinks(in[0], out[0]) }

// Fit names the axes if they were those of size 1, of which there may be more now.
func (o Squeeze) Fit(c graph.Cut) (graph.Op, []*tensor.Tensor, error) {
	if fact(c.In, 1).Given() {
		return o, nil, nil
	}
	axes := []int64{}
	for a, d := range c.In[0].Shape {
		if d.Is(1) {
			axes = append(axes, int64(a))
		}
	}
	return o, []*tensor.Tensor{nil, tensor.From(axes, len(axes))}, nil
}

// Permute moves the axes that go along; those that are left keep their order among themselves.
func (o Squeeze) Permute(in []graph.Fact, _ int, order []int) (graph.Permuted, bool) {
	f := fact(in, 1)
	list, ok := f.ConstInts()
	if !ok || in[0].Rank() != len(order) {
		return graph.Permuted{}, false
	}
	drop, err := axisSet(list, len(order), true)
	to, ok := moved(list, order)
	if err != nil || !ok {
		return graph.Permuted{}, false
	}
	return graph.Permuted{
		In: [][]int{order, nil}, Out: [][]int{left(order, drop, false)}, Const: map[int]*tensor.Tensor{1: to},
	}, true
}

// Unsqueeze inserts dimensions of size 1 at the axes of the result that the second input names.
type Unsqueeze struct {
	mover
	reshaping
}

// Infer needs constant axes.
func (Unsqueeze) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 2); err != nil {
		return nil, err
	}
	t := graph.AnyRank(in[0].DType)
	if in[0].Unranked {
		return []graph.Type{t}, nil
	}
	list, ok := in[1].ConstInts()
	if !ok {
		if n, ok := lengthOf(in[1]); ok && n <= maxElements {
			t = graph.Of(in[0].DType, make([]graph.Dim, len(in[0].Shape)+n)...)
		}
		return []graph.Type{t}, nil
	}
	r := len(in[0].Shape) + len(list)
	a, err := axes(list, r)
	if err != nil {
		return nil, err
	}
	new := make([]bool, r)
	for _, i := range a {
		new[i] = true
	}
	shape := make([]graph.Dim, r)
	next := 0
	for i := range shape {
		if new[i] {
			shape[i] = graph.Fixed(1)
		} else {
			shape[i] = in[0].Shape[next]
			next++
		}
	}
	return []graph.Type{graph.Of(in[0].DType, shape...)}, nil
}

// Ints passes the elements on.
func (o Unsqueeze) Ints(in []graph.Fact) []graph.Dim { return sameElements(o, in) }

// Run copies the data.
func (o Unsqueeze) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return runReshape(o, x, in, out)
}

// Links ties the axes that hold the same elements.
func (o Unsqueeze) Links(in, out []graph.Fact) []graph.Link { return reshapeLinks(in[0], out[0]) }
