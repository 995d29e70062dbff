package ops

import (
	"errors"
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	graph.Register("", 14, Reshape{})
	graph.Register("", 13, Flatten{})
}

// Reshape gives the elements another shape. In the shape input -1 stands for what is left and 0, unless AllowZero is
// set, for the input's dimension at that place.
type Reshape struct {
	reshaping
	mover
	AllowZero bool `attr:"allowzero"`
}

// Infer solves for -1 also when other dimensions are symbols.
func (o Reshape) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 2); err != nil {
		return nil, err
	}
	if err := o.check(in[1]); err != nil {
		return nil, err
	}
	goal := elements(in[1])
	if goal == nil {
		return []graph.Type{graph.AnyRank(in[0].DType)}, nil
	}
	shape := append([]graph.Dim{}, goal...)
	left, given := graph.Fixed(1), graph.Fixed(1) // of the dimensions that are not copied
	copied := map[int]bool{}
	open := -1
	for i, d := range shape {
		switch {
		case d.Is(0) && !o.AllowZero:
			shape[i] = graph.Dim{}
			if !in[0].Unranked {
				if i >= len(in[0].Shape) {
					return nil, fmt.Errorf("dimension %d is to be copied from an input of rank %d", i, len(in[0].Shape))
				}
				shape[i], copied[i] = in[0].Shape[i], true
			}
		case d.Known():
			given = given.Mul(d)
		case open < 0:
			open = i
		default:
			open = len(shape)
		}
	}
	if in[0].Unranked || open == len(shape) {
		return []graph.Type{graph.Of(in[0].DType, shape...)}, nil
	}
	for i, d := range in[0].Shape {
		if !copied[i] {
			left = left.Mul(d)
		}
	}
	return only(o.solve(graph.Of(in[0].DType, shape...), open, left, given))
}

// solve fills the open dimension, if there is one, and compares the sizes.
func (o Reshape) solve(t graph.Type, open int, left, given graph.Dim) (graph.Type, error) {
	l, lok := left.Value()
	g, gok := given.Value()
	bad := fmt.Errorf("%d elements do not fit the shape %s", l, t)
	if open < 0 {
		if lok && gok && l != g {
			return t, bad
		}
		return t, nil
	}
	if lok && gok && (g == 0 && l != 0 || g != 0 && l%g != 0) {
		return t, bad
	}
	t.Shape[open] = left.Div(given)
	if given.Is(0) && left.Is(0) {
		t.Shape[open] = graph.Fixed(0)
	}
	return t, nil
}

func (o Reshape) check(shape graph.Fact) error {
	if shape.Unranked || shape.Const == nil {
		return nil
	}
	if len(shape.Shape) != 1 {
		return errors.New("the shape input must have rank 1")
	}
	v, ok := shape.ConstInts()
	if !ok {
		return fmt.Errorf("the shape is of type %s", shape.DType)
	}
	open, zero := 0, false
	for _, n := range v {
		if n < -1 {
			return fmt.Errorf("dimension %d in shape %v", n, v)
		}
		if n == -1 {
			open++
		}
		zero = zero || n == 0
	}
	if open > 1 || open == 1 && zero && o.AllowZero {
		return fmt.Errorf("shape %v is ambiguous", v)
	}
	return nil
}

// Ints passes the elements on.
func (o Reshape) Ints(in []graph.Fact) []graph.Dim { return sameElements(o, in) }

// sameElements follows the elements through an operator that changes the shape alone.
func sameElements(op graph.Op, in []graph.Fact) []graph.Dim {
	t, err := op.Infer(in, 1)
	if err != nil || t[0].Unranked || len(t[0].Shape) > 1 || len(in) == 0 {
		return nil
	}
	return elements(in[0])
}

// Run copies the data.
func (o Reshape) Run(x *graph.Exec, in, out []*tensor.Tensor) error { return runReshape(o, x, in, out) }

// Links ties the axes that hold the same elements, if the new shape is constant or follows from the old one.
func (o Reshape) Links(in, out []graph.Fact) []graph.Link {
	if _, ok := o.goal(in, out[0]); !ok {
		return nil
	}
	return reshapeLinks(in[0], out[0])
}

// goal is the shape input's elements. If they are computed it is an input that gives the same: 0 for what is copied
// from the same place, -1 for another unknown size.
func (o Reshape) goal(in []graph.Fact, out graph.Fact) ([]int64, bool) {
	if c := in[1].Const; c != nil {
		return tensor.Ints(c), true
	}
	if o.AllowZero || out.Unranked || in[0].Unranked {
		return nil, false
	}
	goal := make([]int64, len(out.Shape))
	open := 0
	for i, d := range out.Shape {
		n, ok := d.Value()
		switch {
		case ok && n > 0:
			goal[i] = int64(n)
		case d.Known() && i < len(in[0].Shape) && in[0].Shape[i] == d:
		default:
			goal[i] = -1
			open++
		}
	}
	return goal, open <= 1
}

// Fit writes the sizes that are left into the shape.
func (o Reshape) Fit(c graph.Cut) (graph.Op, []*tensor.Tensor, error) {
	goal, _ := o.goal(c.In, c.Out[0])
	goal = append([]int64{}, goal...)
	for i, g := range goal {
		if n, ok := c.Left(true, 0, i); ok && g > 0 {
			goal[i] = int64(n)
		}
	}
	return o, []*tensor.Tensor{nil, tensor.From(goal, len(goal))}, nil
}

// Permute gives the shape in another order of axes: that of the data if it has the rank, else that of the result. Axes that
// merge must stay neighbours.
func (o Reshape) Permute(in []graph.Fact, _ int, order []int) (graph.Permuted, bool) {
	types, err := o.Infer(in, 1)
	if err != nil || in[0].Unranked || types[0].Unranked || o.AllowZero || in[1].Const == nil {
		return graph.Permuted{}, false
	}
	from, to := in[0].Shape, types[0].Shape
	runs, ok := reshapeRuns(from, to)
	if !ok {
		return graph.Permuted{}, false
	}
	orders := [2][]int{order, nil}
	if len(from) == len(order) {
		orders[1], ok = followed(runs, order, len(to))
	} else if len(to) == len(order) {
		orders[1] = order
		orders[0], ok = followed(swapped(runs), order, len(from))
	} else {
		return graph.Permuted{}, false
	}
	shape, open := make([]int64, len(to)), 0
	for i := range shape {
		if !ok || orders[1][i] >= len(to) {
			return graph.Permuted{}, false
		}
		n, fixed := to[orders[1][i]].Value()
		if shape[i] = int64(n); !fixed {
			shape[i] = -1
			open++
		}
		if fixed && n == 0 {
			return graph.Permuted{}, false
		}
	}
	return graph.Permuted{
		In: [][]int{orders[0], nil}, Out: [][]int{orders[1]}, Const: map[int]*tensor.Tensor{1: tensor.From(shape, len(shape))},
	}, open <= 1
}

func runReshape(op graph.Op, x *graph.Exec, in, out []*tensor.Tensor) error {
	shape, err := shapeOf(op, in)
	if err != nil {
		return err
	}
	if n, err := tensor.CheckedSize(shape); err != nil || n != in[0].Len() {
		return fmt.Errorf("shape %v does not hold %d elements", shape, in[0].Len())
	}
	copyTo(x, out[0], in[0], shape)
	return nil
}

// Flatten makes a matrix: the dimensions before Axis, and the others.
type Flatten struct {
	reshaping
	mover
	Axis int `attr:"axis" default:"1"`
}

// Infer gives two dimensions.
func (o Flatten) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 1, 1); err != nil {
		return nil, err
	}
	if in[0].Unranked {
		return []graph.Type{graph.Of(in[0].DType, graph.Dim{}, graph.Dim{})}, nil
	}
	r := len(in[0].Shape)
	a := o.Axis
	if a < -r || a > r {
		return nil, fmt.Errorf("axis %d is outside of rank %d", a, r)
	}
	if a < 0 {
		a += r
	}
	return []graph.Type{graph.Of(in[0].DType, graph.SizeOf(in[0].Shape[:a]), graph.SizeOf(in[0].Shape[a:]))}, nil
}

// Run copies the data.
func (o Flatten) Run(x *graph.Exec, in, out []*tensor.Tensor) error { return runReshape(o, x, in, out) }

// Links ties the axes that hold the same elements.
func (o Flatten) Links(in, out []graph.Fact) []graph.Link { return reshapeLinks(in[0], out[0]) }
