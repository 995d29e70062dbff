package ops

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 18, Split{}) }

// Split cuts a tensor along Axis: into the sizes that the second input gives, or into NumOutputs parts of equal size,
// the last of which may be smaller. With neither, there are as many parts as outputs.
type Split struct {
	mover
	Axis       int `attr:"axis"`
	NumOutputs int `attr:"num_outputs"`
}

// Infer gives one type for each part.
func (o Split) Infer(in []graph.Fact, outs int) ([]graph.Type, error) {
	if err := want(in, 1, 2); err != nil {
		return nil, err
	}
	if o.NumOutputs > 0 && !fact(in, 1).Given() && outs > o.NumOutputs {
		return nil, fmt.Errorf("%d outputs, num_outputs is %d", outs, o.NumOutputs)
	}
	types := make([]graph.Type, outs)
	if in[0].Unranked {
		for i := range types {
			types[i] = graph.AnyRank(in[0].DType)
		}
		return types, nil
	}
	if len(in[0].Shape) == 0 {
		return nil, fmt.Errorf("a scalar cannot be split")
	}
	a, err := axis(o.Axis, len(in[0].Shape))
	if err != nil {
		return nil, err
	}
	parts, err := o.parts(in, in[0].Shape[a], outs)
	if err != nil {
		return nil, err
	}
	for i := range types {
		types[i] = graph.Of(in[0].DType, in[0].Shape...)
		types[i].Shape[a] = parts[i]
	}
	return types, nil
}

func (o Split) parts(in []graph.Fact, whole graph.Dim, outs int) ([]graph.Dim, error) {
	n, fixed := whole.Value()
	if f := fact(in, 1); f.Given() {
		if v, ok := f.ConstInts(); ok {
			sum := 0
			for _, p := range v {
				if p < 0 {
					return nil, fmt.Errorf("split %v has a negative part", v)
				}
				sum += p
			}
			if len(v) != outs || fixed && sum != n {
				return nil, fmt.Errorf("split %v of a dimension of %s into %d outputs", v, whole, outs)
			}
		}
		if e := elements(f); len(e) == outs {
			return e, nil
		}
		return make([]graph.Dim, outs), nil
	}
	count := o.NumOutputs
	if count <= 0 {
		count = outs
	}
	parts := make([]graph.Dim, outs)
	for i := range parts {
		if !fixed {
			parts[i] = whole.Div(graph.Fixed(count))
			continue
		}
		size := ceilDiv(n, count)
		parts[i] = graph.Fixed(max(0, min(size, n-i*size)))
	}
	return parts, nil
}

// Ints gives the elements of the first part.
func (o Split) Ints(in []graph.Fact) []graph.Dim {
	e := elements(fact(in, 0))
	if e == nil || in[0].Rank() != 1 {
		return nil
	}
	outs := o.NumOutputs
	if n, ok := lengthOf(fact(in, 1)); ok {
		outs = n
	}
	if outs <= 0 || outs > maxElements {
		return nil
	}
	parts, err := o.parts(in, graph.Fixed(len(e)), outs)
	if err != nil || len(parts) == 0 {
		return nil
	}
	if n, ok := parts[0].Value(); ok && n <= len(e) {
		return e[:n]
	}
	return nil
}

// Run copies each part.
func (o Split) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	shapes, err := shapesOf(o, in, len(out))
	if err != nil {
		return err
	}
	a, err := axis(o.Axis, len(in[0].Shape))
	if err != nil {
		return err
	}
	src := source(in[0])
	outer, inner := around(in[0].Shape, a)
	row, at := in[0].Shape[a]*inner, 0
	for i, t := range out {
		n := shapes[i][a] * inner
		if t != nil {
			dst, err := target(x, t, in[0].DType, shapes[i])
			if err != nil {
				return err
			}
			for j := range outer {
				dst.move(j*n, src, j*row+at, n)
			}
			dst.done()
		}
		at += n
	}
	return nil
}

// Links gives each output its part of the channels.
func (o Split) Links(in, out []graph.Fact) []graph.Link {
	if f := fact(in, 1); in[0].Unranked || f.Given() && f.Const == nil {
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
		if out[i].Given() {
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

// Permute moves the axis along.
func (o Split) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	p, to, ok := along(in, outs, 1, o.Axis, order)
	o.Axis = to
	p.Op = o
	return p, ok
}
