package ops

import (
	"fmt"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 13, Gather{}, GatherElements{}, GatherND{}) }

// Gather takes slices along Axis: out[i…, j…, k…] = data[i…, indices[j…], k…].
type Gather struct {
	mover
	Axis int `attr:"axis"`
}

// Infer puts the indices' shape in the place of the axis.
func (o Gather) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 2); err != nil {
		return nil, err
	}
	if in[0].Unranked {
		return []graph.Type{graph.AnyRank(in[0].DType)}, nil
	}
	a, err := o.axis(len(in[0].Shape))
	if err != nil {
		return nil, err
	}
	if in[1].Unranked {
		return []graph.Type{graph.AnyRank(in[0].DType)}, nil
	}
	return []graph.Type{graph.Of(in[0].DType, inserted(removed(in[0].Shape, a), a, in[1].Shape...)...)}, nil
}

func (o Gather) axis(r int) (int, error) {
	if r == 0 {
		return 0, fmt.Errorf("the data is a scalar")
	}
	return axis(o.Axis, r)
}

// Ints selects elements.
func (o Gather) Ints(in []graph.Fact) []graph.Dim {
	e := elements(fact(in, 0))
	at, ok := fact(in, 1).ConstInts()
	if e == nil || !ok || in[0].Rank() != 1 || in[1].Rank() > 1 || len(at) > maxElements {
		return nil
	}
	out := make([]graph.Dim, len(at))
	for i, j := range at {
		j, err := indexInto(int64(j), len(e))
		if err != nil {
			return nil
		}
		out[i] = e[j]
	}
	return out
}

// Weights says that a matrix whose rows are taken is a table, each row with a scale.
func (o Gather) Weights(in []graph.Fact) []graph.Weight {
	if in[0].Rank() != 2 || o.Axis != 0 && o.Axis != -2 {
		return nil
	}
	return []graph.Weight{{Input: 0, Axes: []int{0}, Along: 1, Rows: true}}
}

// Run fails on an index outside of the dimension.
func (o Gather) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	shape, err := shapeOf(o, in)
	if err != nil {
		return err
	}
	a, err := o.axis(len(in[0].Shape))
	if err != nil {
		return err
	}
	dst, err := target(x, out[0], in[0].DType, shape)
	if err != nil {
		return err
	}
	src, at, n := source(in[0]), tensor.Ints(in[1]), in[0].Shape[a]
	outer, inner := around(in[0].Shape, a)
	for j, v := range at {
		k, err := indexInto(v, n)
		if err != nil {
			return err
		}
		for i := range outer {
			dst.move((i*len(at)+j)*inner, src, (i*n+k)*inner, inner)
		}
	}
	dst.done()
	return nil
}

// Links ties the axes that are not indexed; along the other, if the indices are constant, what is taken with where it
// goes. A position that a scalar takes must stay.
func (o Gather) Links(in, out []graph.Fact) []graph.Link {
	if in[0].Unranked || in[1].Unranked || out[0].Unranked {
		return nil
	}
	a, err := o.axis(len(in[0].Shape))
	if err != nil {
		return nil
	}
	var links []graph.Link
	for i, d := range in[0].Shape {
		to := i
		if i > a {
			to = i - 1 + len(in[1].Shape)
		}
		if i != a {
			links = append(links, tie(d, given(0, i), made(0, to))...)
		}
	}
	n, fixed := in[0].Shape[a].Value()
	at, ok := in[1].ConstInts()
	if !ok || !fixed || len(in[1].Shape) > 1 {
		for i, d := range in[1].Shape {
			links = append(links, tie(d, given(1, i), made(0, a+i))...)
		}
		return links
	}
	taken := map[int]bool{}
	for k, v := range at {
		i, err := indexInto(int64(v), n)
		if err != nil {
			return nil
		}
		taken[i] = true
		if len(in[1].Shape) == 1 {
			l, list, to := window(a, i, 1), given(1, 0), made(0, a)
			list.From, to.From = k, k
			l.Ends = append(l.Ends, list, to)
			links = append(links, l)
		}
	}
	for i := range n {
		if !taken[i] {
			links = append(links, window(a, i, 1))
		}
	}
	return links
}

// Fit gives the indices of the same elements among those that are left.
func (o Gather) Fit(c graph.Cut) (graph.Op, []*tensor.Tensor, error) {
	a, err := o.axis(len(c.In[0].Shape))
	kept := c.Kept(false, 0, a)
	at, ok := c.In[1].ConstInts()
	n, fixed := c.In[0].Shape[a].Value()
	if err != nil || kept == nil || !ok || !fixed {
		return o, nil, err
	}
	var left []int64
	for k, v := range at {
		i, err := indexInto(int64(v), n)
		if err != nil {
			return nil, nil, err
		}
		list := []int(nil)
		if len(c.In[1].Shape) == 1 {
			list = c.Kept(false, 1, 0)
		}
		if _, stays := slices.BinarySearch(list, k); list == nil || stays {
			left = append(left, int64(between(kept, 0, i)))
		}
	}
	shape := []int{len(left)}
	if len(c.In[1].Shape) == 0 {
		shape = nil
	}
	t := tensor.New(c.In[1].DType, shape...)
	return o, []*tensor.Tensor{nil, t}, tensor.SetInts(t, left)
}

// Permute moves the axis along, if one position of it is taken; the result loses it.
func (o Gather) Permute(in []graph.Fact, _ int, order []int) (graph.Permuted, bool) {
	p := graph.Permuted{In: [][]int{order, nil}}
	if in[0].Rank() != len(order) || in[1].Rank() < 0 || in[1].Rank() > 1 {
		return p, false
	}
	a, err := o.axis(len(order))
	if err != nil {
		return p, false
	}
	drop := make([]bool, len(order))
	drop[a] = true
	p.Out = [][]int{left(order, drop, in[1].Rank() == 1)}
	o.Axis = slices.Index(order, a)
	p.Op = o
	return p, true
}

// GatherElements takes out[i,j,k] = data[indices[i,j,k], j, k] for axis 0, and likewise for the others.
type GatherElements struct {
	mover
	Axis int `attr:"axis"`
}

// Infer gives the indices' shape.
func (o GatherElements) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 2); err != nil {
		return nil, err
	}
	t := in[1].Type
	if t.Unranked {
		t = in[0].Type
		t.Shape = make([]graph.Dim, len(t.Shape))
	}
	if !t.Unranked {
		if _, err := axis(o.Axis, len(t.Shape)); err != nil {
			return nil, err
		}
	}
	t.DType = in[0].DType
	return []graph.Type{t}, nil
}

// Run fails on an index outside of the dimension.
func (o GatherElements) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	dst, err := target(x, out[0], in[0].DType, in[1].Shape)
	if err != nil {
		return err
	}
	src := source(in[0])
	err = elementPairs(in[0].Shape, in[1], o.Axis, func(i, at int) { dst.move(i, src, at, 1) })
	dst.done()
	return err
}

// elementPairs visits each index i of a GatherElements or ScatterElements with the offset in the data that it means.
func elementPairs(data []int, indices *tensor.Tensor, ax int, visit func(i, at int)) error {
	if len(indices.Shape) != len(data) || len(data) == 0 {
		return fmt.Errorf("indices of shape %v for data of shape %v", indices.Shape, data)
	}
	a, err := axis(ax, len(data))
	if err != nil {
		return err
	}
	for i, d := range indices.Shape {
		if i != a && d > data[i] {
			return fmt.Errorf("indices of shape %v for data of shape %v", indices.Shape, data)
		}
	}
	step := dense(data).step
	along := step[a]
	step[a] = 0
	idx := tensor.Ints(indices)
	walk(indices.Shape, step, step, func(i, at, _ int) {
		k, e := indexInto(idx[i], data[a])
		if e != nil {
			err = e
			return
		}
		visit(i, at+k*along)
	})
	return err
}

// GatherND takes slices by index tuples, which are the last dimension of the indices. The first BatchDims dimensions
// of data and indices run in parallel.
type GatherND struct {
	mover
	BatchDims int `attr:"batch_dims"`
}

// Infer needs the length of the tuples.
func (o GatherND) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 2); err != nil {
		return nil, err
	}
	if in[0].Unranked || in[1].Unranked {
		return []graph.Type{graph.AnyRank(in[0].DType)}, nil
	}
	d, idx := in[0].Shape, in[1].Shape
	if len(idx) == 0 || o.BatchDims < 0 || o.BatchDims >= min(len(d), len(idx)) {
		return nil, fmt.Errorf("batch_dims %d, data of rank %d, indices of rank %d", o.BatchDims, len(d), len(idx))
	}
	k, ok := idx[len(idx)-1].Value()
	if !ok {
		return []graph.Type{graph.AnyRank(in[0].DType)}, nil
	}
	if k > len(d)-o.BatchDims {
		return nil, fmt.Errorf("index tuples of %d for data of rank %d", k, len(d))
	}
	return []graph.Type{graph.Of(in[0].DType, append(append([]graph.Dim{}, idx[:len(idx)-1]...), d[o.BatchDims+k:]...)...)}, nil
}

// Run fails on an index outside of the data.
func (o GatherND) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	shape, err := shapeOf(o, in)
	if err != nil {
		return err
	}
	dst, err := target(x, out[0], in[0].DType, shape)
	if err != nil {
		return err
	}
	src := source(in[0])
	err = tuplePairs(in[0].Shape, in[1], o.BatchDims, func(i, at, n int) error {
		dst.move(i*n, src, at, n)
		return nil
	})
	dst.done()
	return err
}

// tuplePairs visits each index tuple i with the offset in the data that it means and the size of the slice there.
func tuplePairs(data []int, indices *tensor.Tensor, batch int, visit func(i, at, n int) error) error {
	last := len(indices.Shape) - 1
	k := indices.Shape[last]
	for i, d := range data[:batch] {
		if indices.Shape[i] != d {
			return fmt.Errorf("batch dimension %d: %d in the indices, %d in the data", i, indices.Shape[i], d)
		}
	}
	dims, step := data[batch:batch+k], dense(data).step[batch:]
	inner, each := tensor.Size(data[batch+k:]), tensor.Size(data[batch:])
	tuples, idx := tensor.Size(indices.Shape[batch:last]), tensor.Ints(indices)
	for b := range tensor.Size(data[:batch]) {
		for t := range tuples {
			i, at := b*tuples+t, b*each
			for j, d := range dims {
				v, err := indexInto(idx[i*k+j], d)
				if err != nil {
					return err
				}
				at += v * step[j]
			}
			if err := visit(i, at, inner); err != nil {
				return err
			}
		}
	}
	return nil
}
