package ops

import (
	"errors"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 12, ArgMax{}, ArgMin{}) }

// extreme is what ArgMax and ArgMin share.
type extreme struct {
	Axis     int
	Keepdims bool
	Last     bool
}

func (o extreme) infer(in []graph.Fact) ([]graph.Type, error) {
	if err := want(in, 1, 1); err != nil {
		return nil, err
	}
	t := in[0].Type
	t.DType = tensor.Int64
	if t.Unranked || len(t.Shape) == 0 {
		return []graph.Type{t}, nil
	}
	return reduced(t, []int{o.Axis}, o.Keepdims, false)
}

// index finds the element that beats all others; NaN beats everything.
func index[T word](beats func(a, b T) bool, last bool) func([]T) int64 {
	return func(v []T) int64 {
		best := 0
		for i := 1; i < len(v); i++ {
			if better(beats, v[i], v[best]) || last && !better(beats, v[best], v[i]) {
				best = i
			}
		}
		return int64(best)
	}
}

func better[T word](beats func(a, b T) bool, a, b T) bool { return beats(a, b) || a != a && b == b }

func (o extreme) run(x *graph.Exec, in, out []*tensor.Tensor, c comparison) error {
	t := in[0]
	a, err := axis(o.Axis, len(t.Shape))
	if err != nil {
		return err
	}
	shape := append([]int{}, t.Shape...)
	drop := make([]bool, len(shape))
	if len(shape) > 0 {
		drop[a] = true
		if shape[a] = 1; !o.Keepdims {
			shape = append(shape[:a], shape[a+1:]...)
		}
	}
	var r []int64
	g := groupsOf(t.Shape, drop)
	if len(g.inner) == 0 && len(g.bases) > 0 {
		return errors.New("the axis is empty")
	}
	switch {
	case t.IsFloat():
		r = reduceGroups(tensor.Float64s(t), g, index(c.f, o.Last))
	case t.IsSigned():
		r = reduceGroups(tensor.Ints(t), g, index(c.i, o.Last))
	case t.IsInt():
		r = reduceGroups(uints(t), g, index(c.u, o.Last))
	default:
		return noArithmetic(t.DType)
	}
	copy(tensor.View[int64](x.Make(out[0], tensor.Int64, shape...)), r)
	return nil
}

// ArgMax is the position of the largest element along an axis.
type ArgMax struct {
	Axis     int  `attr:"axis" default:"0"`
	Keepdims bool `attr:"keepdims" default:"1"`
	Last     bool `attr:"select_last_index"` // of several, the last
}

// Infer gives Int64 of the shape without the axis.
func (o ArgMax) Infer(in []graph.Fact, _ int) ([]graph.Type, error) { return extreme(o).infer(in) }

func (o ArgMax) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return extreme(o).run(x, in, out, comparison{i: isMore[int64], u: isMore[uint64], f: isMore[float64]})
}

// Permute moves the axis along.
func (o ArgMax) Permute(in []graph.Fact, _ int, order []int) (graph.Permuted, bool) {
	p, to, ok := extremeOrder(in, o.Axis, o.Keepdims, order)
	o.Axis = to
	p.Op = o
	return p, ok
}

// ArgMin is the position of the smallest element along an axis.
type ArgMin struct {
	Axis     int  `attr:"axis" default:"0"`
	Keepdims bool `attr:"keepdims" default:"1"`
	Last     bool `attr:"select_last_index"` // of several, the last
}

// Infer gives Int64 of the shape without the axis.
func (o ArgMin) Infer(in []graph.Fact, _ int) ([]graph.Type, error) { return extreme(o).infer(in) }

func (o ArgMin) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return extreme(o).run(x, in, out, comparison{i: isLess[int64], u: isLess[uint64], f: isLess[float64]})
}

// Permute moves the axis along.
func (o ArgMin) Permute(in []graph.Fact, _ int, order []int) (graph.Permuted, bool) {
	p, to, ok := extremeOrder(in, o.Axis, o.Keepdims, order)
	o.Axis = to
	p.Op = o
	return p, ok
}

// extremeOrder permutes ArgMax and ArgMin.
func extremeOrder(in []graph.Fact, at int, keep bool, order []int) (graph.Permuted, int, bool) {
	p := graph.Permuted{In: [][]int{order}}
	a, err := axis(at, len(order))
	if in[0].Rank() != len(order) || err != nil {
		return p, 0, false
	}
	drop := make([]bool, len(order))
	drop[a] = true
	p.Out = [][]int{left(order, drop, keep)}
	return p, slices.Index(order, a), true
}
