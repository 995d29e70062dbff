package ops

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	graph.Register("", 13, ReduceSum{})
	graph.Register("", 18, ReduceMean{}, ReduceMax{}, ReduceMin{}, ReduceProd{}, ReduceL1{}, ReduceL2{},
		ReduceLogSum{}, ReduceLogSumExp{}, ReduceSumSquare{})
}

// reduceShape infers what a reduction over the axes in input 1 leaves. Without axes all are reduced, or none with noop.
func reduceShape(in []graph.Fact, keep, noop bool) ([]graph.Type, error) {
	if err := want(in, 1, 2); err != nil {
		return nil, err
	}
	t := in[0].Type
	if len(in) < 2 || !in[1].Given() {
		return reduced(t, nil, keep, noop)
	}
	if axes, ok := in[1].ConstInts(); ok {
		return reduced(t, axes, keep, noop)
	}
	if t.Unranked {
		return []graph.Type{t}, nil
	}
	count := graph.Dim{}
	if len(in[1].Shape) == 1 && !in[1].Unranked {
		count = in[1].Shape[0]
	}
	n, known := count.Value()
	switch {
	case known && n == 0:
		return reduced(t, nil, keep, noop)
	case keep:
		return []graph.Type{graph.Of(t.DType, make([]graph.Dim, len(t.Shape))...)}, nil
	case known && n <= len(t.Shape):
		return []graph.Type{graph.Of(t.DType, make([]graph.Dim, len(t.Shape)-n)...)}, nil
	}
	return []graph.Type{graph.AnyRank(t.DType)}, nil
}

func reduced(t graph.Type, axes []int, keep, noop bool) ([]graph.Type, error) {
	if t.Unranked {
		if len(axes) == 0 && !noop && !keep {
			return []graph.Type{graph.Of(t.DType)}, nil
		}
		return []graph.Type{t}, nil
	}
	drop, err := axisSet(axes, len(t.Shape), noop)
	if err != nil {
		return nil, err
	}
	shape := []graph.Dim{}
	for i, d := range t.Shape {
		switch {
		case !drop[i]:
			shape = append(shape, d)
		case keep:
			shape = append(shape, graph.Fixed(1))
		}
	}
	t.Shape = shape
	return []graph.Type{t}, nil
}

// axisSet marks the axes to reduce.
func axisSet(axes []int, rank int, noop bool) ([]bool, error) {
	drop := make([]bool, rank)
	for i := range drop {
		drop[i] = len(axes) == 0 && !noop
	}
	for _, a := range axes {
		i, err := axis(a, rank)
		if err != nil || i >= rank {
			return nil, fmt.Errorf("axis %d is outside of rank %d", a, rank)
		}
		drop[i] = true
	}
	return drop, nil
}

// reduction computes one result from the group of elements that fall together, in row-major order. A nil field means
// that the operator has no such element types.
type reduction struct {
	i func([]int64) int64
	u func([]uint64) uint64
	f func([]float64) float64
}

func (r reduction) run(x *graph.Exec, in, out []*tensor.Tensor, keep, noop bool) error {
	t := in[0]
	var axes []int
	if len(in) > 1 && in[1] != nil {
		for _, a := range tensor.Ints(in[1]) {
			axes = append(axes, int(a))
		}
	}
	drop, err := axisSet(axes, len(t.Shape), noop)
	if err != nil {
		return err
	}
	var shape []int
	for i, d := range t.Shape {
		switch {
		case !drop[i]:
			shape = append(shape, d)
		case keep:
			shape = append(shape, 1)
		}
	}
	g := groupsOf(t.Shape, drop)
	switch {
	case t.IsFloat() && r.f != nil:
		return tensor.SetFloat64s(x.Make(out[0], t.DType, shape...), reduceGroups(tensor.Float64s(t), g, r.f))
	case t.IsSigned() && r.i != nil, t.DType == tensor.Bool && r.i != nil:
		return tensor.SetInts(x.Make(out[0], t.DType, shape...), reduceGroups(tensor.Ints(t), g, r.i))
	case t.IsInt() && !t.IsSigned() && r.u != nil:
		return setUints(x.Make(out[0], t.DType, shape...), reduceGroups(uints(t), g, r.u))
	}
	return noArithmetic(t.DType)
}

// groups says where the elements of each group stand: at each base plus each inner offset.
type groups struct{ bases, inner []int }

// groupsOf groups a tensor's elements by their position in the axes that are not dropped.
func groupsOf(shape []int, drop []bool) groups {
	kept, gone := append([]int{}, shape...), append([]int{}, shape...)
	for i := range shape {
		if drop[i] {
			kept[i] = 1
		} else {
			gone[i] = 1
		}
	}
	step := make([]int, len(shape))
	for i, n := len(shape)-1, 1; i >= 0; i-- {
		step[i] = n
		n *= shape[i]
	}
	offsets := func(part []int) []int {
		o := make([]int, tensor.Size(part))
		walk(part, step, step, func(i, a, _ int) { o[i] = a })
		return o
	}
	return groups{offsets(kept), offsets(gone)}
}

func reduceGroups[T, R any](v []T, g groups, f func([]T) R) []R {
	r := make([]R, len(g.bases))
	group := make([]T, len(g.inner))
	for i, base := range g.bases {
		for j, off := range g.inner {
			group[j] = v[base+off]
		}
		r[i] = f(group)
	}
	return r
}

// foldFrom reduces from a first value by f.
func foldFrom[T any](first T, f func(a, b T) T) func([]T) T {
	return func(v []T) T {
		r := first
		for _, e := range v {
			r = f(r, e)
		}
		return r
	}
}

// ReduceSum is the sum over the axes in input 1.
type ReduceSum struct {
	Keepdims bool `attr:"keepdims" default:"1"`
	Noop     bool `attr:"noop_with_empty_axes"`
}

// Infer gives the shape without the reduced axes.
func (o ReduceSum) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	return reduceShape(in, o.Keepdims, o.Noop)
}

// Run computes the reference result; integers wrap, floats are rounded once.
func (o ReduceSum) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return reduction{foldFrom(0, add[int64]), foldFrom(0, add[uint64]), foldFrom(0, add[float64])}.run(x, in, out, o.Keepdims, o.Noop)
}

// Links keeps what is reduced and lets the other axes go on.
func (o ReduceSum) Links(in, out []graph.Fact) []graph.Link {
	return reducedAxes(in, out, o.Keepdims, o.Noop)
}

// Permute moves the axes along.
func (o ReduceSum) Permute(in []graph.Fact, _ int, order []int) (graph.Permuted, bool) {
	return reduceOrder(in, o.Keepdims, o.Noop, order)
}

// ReduceMean is the mean over the axes in input 1; that of integers is cut off toward zero.
type ReduceMean struct {
	Keepdims bool `attr:"keepdims" default:"1"`
	Noop     bool `attr:"noop_with_empty_axes"`
}

// Infer gives the shape without the reduced axes.
func (o ReduceMean) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	return reduceShape(in, o.Keepdims, o.Noop)
}

func (o ReduceMean) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return reduction{meanInt[int64], meanInt[uint64], mean}.run(x, in, out, o.Keepdims, o.Noop)
}

// Quant tells that ReduceMean has an integer twin.
func (ReduceMean) Quant() graph.Quant { return graph.Quant{} }

// Links keeps what is reduced and lets the other axes go on.
func (o ReduceMean) Links(in, out []graph.Fact) []graph.Link {
	return reducedAxes(in, out, o.Keepdims, o.Noop)
}

// Permute moves the axes along.
func (o ReduceMean) Permute(in []graph.Fact, _ int, order []int) (graph.Permuted, bool) {
	return reduceOrder(in, o.Keepdims, o.Noop, order)
}

// mean of no floats is NaN, of no integers zero.
func mean(v []float64) float64 { return foldFrom(0, add[float64])(v) / float64(len(v)) }

func meanInt[T int64 | uint64](v []T) T { return divInt(foldFrom(0, add[T])(v), T(len(v))) }

// ReduceMax is the largest element over the axes in input 1, for Bool their disjunction; NaN wins.
type ReduceMax struct {
	Keepdims bool `attr:"keepdims" default:"1"`
	Noop     bool `attr:"noop_with_empty_axes"`
}

// Infer gives the shape without the reduced axes.
func (o ReduceMax) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	return reduceShape(in, o.Keepdims, o.Noop)
}

// Run computes the reference result; of nothing it is the smallest value of the type.
func (o ReduceMax) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	least, _ := bounds(in[0].DType)
	return reduction{
		foldFrom(least, higher[int64]), foldFrom(0, higher[uint64]), foldFrom(math.Inf(-1), higher[float64]),
	}.run(x, in, out, o.Keepdims, o.Noop)
}

// Links keeps what is reduced and lets the other axes go on.
func (o ReduceMax) Links(in, out []graph.Fact) []graph.Link {
	return reducedAxes(in, out, o.Keepdims, o.Noop)
}

// Permute moves the axes along.
func (o ReduceMax) Permute(in []graph.Fact, _ int, order []int) (graph.Permuted, bool) {
	return reduceOrder(in, o.Keepdims, o.Noop, order)
}

// bounds gives the range of a signed type or Bool.
func bounds(d tensor.DType) (least, most int64) {
	if d == tensor.Bool {
		return 0, 1
	}
	least = math.MinInt64 >> (64 - max(d.Bits(), 1))
	return least, -(least + 1)
}

// ReduceMin is the smallest element over the axes in input 1, for Bool their conjunction; NaN wins.
type ReduceMin struct {
	Keepdims bool `attr:"keepdims" default:"1"`
	Noop     bool `attr:"noop_with_empty_axes"`
}

// Infer gives the shape without the reduced axes.
func (o ReduceMin) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	return reduceShape(in, o.Keepdims, o.Noop)
}

// Run computes the reference result; of nothing it is the largest value of the type.
func (o ReduceMin) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	_, most := bounds(in[0].DType)
	return reduction{
		foldFrom(most, lower[int64]), foldFrom(math.MaxUint64, lower[uint64]), foldFrom(math.Inf(1), lower[float64]),
	}.run(x, in, out, o.Keepdims, o.Noop)
}

// Links keeps what is reduced and lets the other axes go on.
func (o ReduceMin) Links(in, out []graph.Fact) []graph.Link {
	return reducedAxes(in, out, o.Keepdims, o.Noop)
}

// Permute moves the axes along.
func (o ReduceMin) Permute(in []graph.Fact, _ int, order []int) (graph.Permuted, bool) {
	return reduceOrder(in, o.Keepdims, o.Noop, order)
}

// ReduceProd is the product over the axes in input 1.
type ReduceProd struct {
	Keepdims bool `attr:"keepdims" default:"1"`
	Noop     bool `attr:"noop_with_empty_axes"`
}

// Infer gives the shape without the reduced axes.
func (o ReduceProd) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	return reduceShape(in, o.Keepdims, o.Noop)
}

// Run computes the reference result; integers wrap, floats are rounded once.
func (o ReduceProd) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return reduction{foldFrom(1, mul[int64]), foldFrom(1, mul[uint64]), foldFrom(1, mul[float64])}.run(x, in, out, o.Keepdims, o.Noop)
}

// Ints gives the size of a shape.
func (o ReduceProd) Ints(in []graph.Fact) []graph.Dim {
	elems := elementsOf(in, 0)
	if elems == nil || o.Noop || in[0].DType != tensor.Int64 {
		return nil
	}
	n := 1.
	for _, d := range elems {
		if v, ok := d.Value(); ok {
			n *= float64(v)
		}
	}
	if n > 1<<53 {
		return nil
	}
	return []graph.Dim{graph.SizeOf(elems)}
}

// reducedAxes ties the axes that are not reduced with those of the result; the channels of the others stay.
func reducedAxes(in, out []graph.Fact, keep, noop bool) []graph.Link {
	if in[0].Unranked || out[0].Unranked {
		return nil
	}
	var list []int
	if f := fact(in, 1); f.Given() {
		var ok bool
		if list, ok = f.ConstInts(); !ok {
			return nil
		}
	}
	drop, err := axisSet(list, len(in[0].Shape), noop)
	if err != nil {
		return nil
	}
	var links []graph.Link
	at := 0
	for a, d := range in[0].Shape {
		switch {
		case drop[a]:
			links = append(links, pin(in, a, "it reduces them to one number")...)
			if keep {
				at++
			}
		default:
			links = append(links, tie(d, given(0, a), made(0, at))...)
			at++
		}
	}
	return links
}

// reduceOrder permutes a reduction: its axes move, and without keepdims what is left of the order is the result's.
func reduceOrder(in []graph.Fact, keep, noop bool, order []int) (graph.Permuted, bool) {
	p := graph.Permuted{In: make([][]int, len(in))}
	if in[0].Rank() != len(order) {
		return p, false
	}
	p.In[0] = order
	var list []int
	if f := fact(in, 1); f.Given() {
		var ok bool
		if list, ok = f.ConstInts(); !ok {
			return p, false
		}
		to, ok := moved(list, order)
		if !ok {
			return p, false
		}
		p.Const = map[int]*tensor.Tensor{1: to}
	}
	drop, err := axisSet(list, len(order), noop)
	if err != nil {
		return p, false
	}
	p.Out = [][]int{left(order, drop, keep)}
	return p, true
}
