package ops

import (
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// Links puts the inputs' channels one behind the other.
func (o Concat) Links(in, out []graph.Fact) []graph.Link {
	if out[0].Unranked {
		return nil
	}
	a, err := axis(o.Axis, len(out[0].Shape))
	if err != nil {
		return nil
	}
	links := others(a, in, out)
	from := 0
	for i, f := range in {
		if f.Rank() != len(out[0].Shape) {
			return nil
		}
		n, ok := f.Shape[a].Value()
		if !ok {
			break
		}
		whole := made(0, a)
		whole.From = from
		links = append(links, tie(f.Shape[a], given(i, a), whole)...)
		from += n
	}
	return links
}

// others ties every axis but one between all operands, which have the same rank.
func others(but int, in, out []graph.Fact) []graph.Link {
	var links []graph.Link
	for a, d := range in[0].Shape {
		if a == but {
			continue
		}
		var ends []graph.End
		for i, f := range in {
			if len(f.Shape) > a && f.Shape[a] == d {
				ends = append(ends, given(i, a))
			}
		}
		for i, f := range out {
			if len(f.Shape) > a && f.Shape[a] == d {
				ends = append(ends, made(i, a))
			}
		}
		links = append(links, tie(d, ends...)...)
	}
	return links
}

// Links gives each output its part of the channels.
func (o Split) Links(in, out []graph.Fact) []graph.Link {
	if f := fact(in, 1); in[0].Unranked || f.Present() && f.Const == nil {
		return nil
	}
	a, err := axis(o.Axis, len(in[0].Shape))
	if err != nil {
		return nil
	}
	parts, err := o.parts(in, in[0].Shape[a], len(out))
	if err != nil {
		return nil
	}
	links := others(a, in[:1], out)
	from := 0
	for i, p := range parts {
		n, ok := p.Value()
		if !ok {
			break
		}
		whole := given(0, a)
		whole.From = from
		ends := []graph.End{whole}
		if out[i].Present() {
			ends = append(ends, made(i, a))
		}
		links = append(links, tie(p, ends...)...)
		from += n
	}
	return links
}

// Fit gives the sizes of the parts that are left.
func (o Split) Fit(c graph.Cut) (graph.Op, []*tensor.Tensor, error) {
	a, err := axis(o.Axis, len(c.In[0].Shape))
	kept := c.Kept(false, 0, a)
	if err != nil || kept == nil {
		return o, nil, err
	}
	parts, err := o.parts(c.In, c.In[0].Shape[a], len(c.Out))
	if err != nil {
		return nil, nil, err
	}
	sizes, from := make([]int64, len(parts)), 0
	for i, p := range parts {
		n, _ := p.Value()
		sizes[i] = int64(between(kept, from, from+n))
		from += n
	}
	o.NumOutputs = 0
	return o, []*tensor.Tensor{nil, tensor.From(sizes, len(sizes))}, nil
}

// between counts the positions from `from` up to but not including `to`.
func between(kept []int, from, to int) int {
	i, _ := slices.BinarySearch(kept, from)
	j, _ := slices.BinarySearch(kept, max(from, to))
	return j - i
}

// Links ties what is taken with where it goes. Bounds that are not constant and steps but 1 keep an axis as it is.
func (o Slice) Links(in, out []graph.Fact) []graph.Link {
	if in[0].Unranked || out[0].Rank() != len(in[0].Shape) {
		return nil
	}
	bounds, err := sliceBounds(in, len(in[0].Shape))
	if err != nil || bounds == nil {
		return nil
	}
	sliced := map[int]sliceRange{}
	for _, b := range bounds {
		sliced[b.axis] = b
	}
	var links []graph.Link
	for a, d := range in[0].Shape {
		b, ok := sliced[a]
		n, fixed := d.Value()
		switch {
		case !ok:
			links = append(links, tie(d, given(0, a), made(0, a))...)
		case b.known && b.step == 1 && fixed:
			first, count := b.take(n)
			links = append(links, window(a, 0, first), window(a, first+count, n-first-count), window(a, first, count))
			last := &links[len(links)-1]
			last.Ends = append(last.Ends, made(0, a))
		}
	}
	return links
}

// window is the link of n positions of an axis of input 0 from `from` on.
func window(axis, from, n int) graph.Link {
	e := given(0, axis)
	e.From = from
	return graph.Link{N: n, Ends: []graph.End{e}}
}

// Fit moves the bounds to where the same elements are now.
func (o Slice) Fit(c graph.Cut) (graph.Op, []*tensor.Tensor, error) {
	bounds, err := sliceBounds(c.In, len(c.In[0].Shape))
	if err != nil || bounds == nil {
		return o, nil, err
	}
	changed := false
	starts, ends := make([]int64, len(bounds)), make([]int64, len(bounds))
	for i, b := range bounds {
		starts[i], ends[i] = int64(b.start), int64(b.end)
		kept := c.Kept(false, 0, b.axis)
		n, fixed := c.In[0].Shape[b.axis].Value()
		if kept == nil || !fixed {
			continue
		}
		first, count := b.take(n)
		at := between(kept, 0, first)
		starts[i], ends[i], changed = int64(at), int64(at+between(kept, first, first+count)), true
	}
	if !changed {
		return o, nil, nil
	}
	out := []*tensor.Tensor{nil, tensor.New(c.In[1].DType, len(starts)), tensor.New(c.In[2].DType, len(ends))}
	if err := tensor.SetInts(out[1], starts); err != nil {
		return nil, nil, err
	}
	return o, out, tensor.SetInts(out[2], ends)
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
