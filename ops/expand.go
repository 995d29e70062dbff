package ops

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 13, Expand{}, Tile{}) }

// Expand broadcasts the input against a shape, in both directions.
type Expand struct {
	mover
	sameShaped
}

// Traits says that a few numbers ask for a result of any size.
func (Expand) Traits() graph.Traits { return graph.Traits{Grows: true} }

// Infer needs to know how many dimensions are asked for.
func (Expand) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 2); err != nil {
		return nil, err
	}
	goal := elements(in[1])
	if goal == nil || in[0].Unranked {
		return []graph.Type{graph.AnyRank(in[0].DType)}, nil
	}
	if v, ok := in[1].ConstInts(); ok {
		for _, n := range v {
			if n < 0 {
				return nil, fmt.Errorf("dimension %d in shape %v", n, v)
			}
		}
	}
	shape, err := broadcastDims(in[0].Shape, goal)
	if err != nil {
		return nil, err
	}
	return []graph.Type{graph.Of(in[0].DType, shape...)}, nil
}

// Ints repeats a single element.
func (o Expand) Ints(in []graph.Fact) []graph.Dim { return repeatedInts(o, in) }

func repeatedInts(op graph.Op, in []graph.Fact) []graph.Dim {
	e := elements(fact(in, 0))
	if len(e) == 0 {
		return nil
	}
	t, err := op.Infer(in, 1)
	if err != nil || t[0].Rank() != 1 {
		return nil
	}
	n, ok := t[0].Shape[0].Value()
	if !ok || n < 0 || n > maxElements {
		return nil
	}
	out := make([]graph.Dim, n)
	for i := range out {
		out[i] = e[i%len(e)]
	}
	return out
}

// Run repeats the data.
func (o Expand) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	shape, err := shapeOf(o, in)
	if err != nil {
		return err
	}
	dst, err := target(x, out[0], in[0].DType, shape)
	if err != nil {
		return err
	}
	dst.strided(shape, dense(shape), source(in[0]), view{step: strides(in[0].Shape, shape)})
	dst.done()
	return nil
}

// Links ties what is repeated with nothing: only the shape input knows those positions.
func (o Expand) Links(in, out []graph.Fact) []graph.Link {
	if in[0].Unranked || out[0].Unranked {
		return nil
	}
	goal := elements(in[1])
	var links []graph.Link
	for a, d := range out[0].Shape {
		at, g := a-len(out[0].Shape)+len(in[0].Shape), a-len(out[0].Shape)+len(goal)
		if in[1].Const == nil && g >= 0 && !goal[g].Is(1) {
			continue // a computed shape cannot be changed
		}
		ends := []graph.End{made(0, a)}
		if at >= 0 && in[0].Shape[at] == d {
			ends = append(ends, given(0, at))
		}
		links = append(links, tie(d, ends...)...)
	}
	return links
}

// Fit writes the sizes that are left into the shape.
func (o Expand) Fit(c graph.Cut) (graph.Op, []*tensor.Tensor, error) {
	if c.In[1].Const == nil {
		return o, nil, nil
	}
	goal := append([]int64{}, tensor.Ints(c.In[1].Const)...)
	for i, g := range goal {
		if n, ok := c.Left(true, 0, len(c.Out[0].Shape)-len(goal)+i); ok && g != 1 {
			goal[i] = int64(n)
		}
	}
	return o, []*tensor.Tensor{nil, tensor.From(goal, len(goal))}, nil
}

// Permute gives the shape in the new order.
func (o Expand) Permute(in []graph.Fact, _ int, order []int) (graph.Permuted, bool) {
	p := graph.Permuted{In: [][]int{order, nil}, Out: [][]int{order}}
	c := in[1].Const
	if in[0].Rank() != len(order) || c == nil || c.Len() != len(order) {
		return p, false
	}
	p.Const = map[int]*tensor.Tensor{1: picked(c, order)}
	return p, true
}

// Tile repeats the whole input repeats[i] times along dimension i.
type Tile struct {
	mover
	sameShaped
}

// Traits says that a few numbers ask for a result of any size.
func (Tile) Traits() graph.Traits { return graph.Traits{Grows: true} }

// Infer multiplies.
func (Tile) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 2); err != nil {
		return nil, err
	}
	if in[0].Unranked {
		return []graph.Type{graph.AnyRank(in[0].DType)}, nil
	}
	t := graph.Of(in[0].DType, make([]graph.Dim, len(in[0].Shape))...)
	e := elements(in[1])
	if e == nil {
		return []graph.Type{t}, nil
	}
	if len(e) != len(t.Shape) {
		return nil, fmt.Errorf("%d repeats for rank %d", len(e), len(t.Shape))
	}
	if v, ok := in[1].ConstInts(); ok {
		for _, n := range v {
			if n < 0 {
				return nil, fmt.Errorf("repeats %v", v)
			}
		}
	}
	for i, d := range in[0].Shape {
		t.Shape[i] = d.Mul(e[i])
	}
	return []graph.Type{t}, nil
}

// Ints repeats the elements.
func (o Tile) Ints(in []graph.Fact) []graph.Dim { return repeatedInts(o, in) }

// Run copies the input into every place.
func (o Tile) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	shape, err := shapeOf(o, in)
	if err != nil {
		return err
	}
	dst, err := target(x, out[0], in[0].DType, shape)
	if err != nil {
		return err
	}
	var both, from []int // each dimension as (repeat, position)
	step := dense(in[0].Shape).step
	for i, r := range tensor.Ints(in[1]) {
		both, from = append(both, int(r), in[0].Shape[i]), append(from, 0, step[i])
	}
	dst.strided(both, dense(both), source(in[0]), view{step: from})
	dst.done()
	return nil
}

// Permute gives the counts in the new order.
func (o Tile) Permute(in []graph.Fact, _ int, order []int) (graph.Permuted, bool) {
	p := graph.Permuted{In: [][]int{order, nil}, Out: [][]int{order}}
	c := in[1].Const
	if in[0].Rank() != len(order) || c == nil || c.Len() != len(order) {
		return p, false
	}
	p.Const = map[int]*tensor.Tensor{1: picked(c, order)}
	return p, true
}
