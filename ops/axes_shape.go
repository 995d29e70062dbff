package ops

import (
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// Links follows the permutation.
func (o Transpose) Links(in, out []graph.Fact) []graph.Link {
	perm, err := o.perm(in[0].Rank())
	if in[0].Unranked || err != nil || out[0].Rank() != len(perm) {
		return nil
	}
	var links []graph.Link
	for i, p := range perm {
		links = append(links, tie(in[0].Shape[p], given(0, p), made(0, i))...)
	}
	return links
}

// run is a group of axes of a reshaped tensor that hold the same elements before and after.
type run struct{ in, out []int }

// reshapeRuns pairs the axes before with those after, as finely as it can; axes of size 1 are left out. ok is false if
// unknown sizes hide which belong together.
func reshapeRuns(in, out []graph.Dim) (runs []run, ok bool) {
	in, inAt := withoutOnes(in)
	out, outAt := withoutOnes(out)
	i, j := 0, 0
	for i < len(in) && j < len(out) {
		r := run{[]int{inAt[i]}, []int{outAt[j]}}
		a, b := in[i], out[j]
		i, j = i+1, j+1
		for a != b {
			switch {
			case below(a, b) && i < len(in):
				a, r.in, i = a.Mul(in[i]), append(r.in, inAt[i]), i+1
			case below(b, a) && j < len(out):
				b, r.out, j = b.Mul(out[j]), append(r.out, outAt[j]), j+1
			default:
				return nil, false
			}
		}
		runs = append(runs, r)
	}
	return runs, i == len(in) && j == len(out)
}

func withoutOnes(shape []graph.Dim) (dims []graph.Dim, at []int) {
	for i, d := range shape {
		if !d.Is(1) {
			dims, at = append(dims, d), append(at, i)
		}
	}
	return dims, at
}

// below tells whether a needs more factors to become b.
func below(a, b graph.Dim) bool {
	m, n, ok := numbers(a, b)
	return ok && m < n && m > 0 || !ok && b.Div(a).Known()
}

// reshapeLinks ties the axes of a tensor with those of the same elements in another shape. Where axes are merged, split
// or both, any of the factors that they share could be the one whose channels are cut.
func reshapeLinks(in, out graph.Fact) []graph.Link {
	if in.Unranked || out.Unranked || unknowns(in.Shape) > 1 || unknowns(out.Shape) > 1 {
		return nil
	}
	runs, ok := reshapeRuns(in.Shape, out.Shape)
	if !ok {
		return nil
	}
	var links []graph.Link
	for i, r := range runs {
		if len(r.in) == 1 && len(r.out) == 1 {
			links = append(links, tie(in.Shape[r.in[0]], given(0, r.in[0]), made(0, r.out[0]))...)
		} else {
			links = append(links, r.factors(in.Shape, out.Shape, i+1)...)
		}
	}
	return links
}

func unknowns(shape []graph.Dim) (n int) {
	for _, d := range shape {
		if !d.Known() {
			n++
		}
	}
	return n
}

// factors gives the alternatives of a run, one for each factor that its axes before and after share: 512 and 4·64 are
// 512·4 and 64 with the factors 512, 4 and 64. There are none if a size is not a number or the axes share no factors.
func (r run) factors(in, out []graph.Dim, choice int) []graph.Link {
	type part struct{ axis, rest, inner int } // of the axis: what is left to factor, and the product of what was
	parts := func(shape []graph.Dim, axes []int) []part {
		var list []part
		for _, a := range axes {
			n, _ := shape[a].Value()
			list = append(list, part{a, n, 1})
		}
		return list
	}
	a, b := parts(in, r.in), parts(out, r.out)
	var links []graph.Link
	for i, j := len(a)-1, len(b)-1; i >= 0 && j >= 0; { // innermost first
		n := min(a[i].rest, b[j].rest)
		if n <= 1 || a[i].rest%n != 0 || b[j].rest%n != 0 {
			return nil
		}
		x := spaced(given(0, a[i].axis), a[i].rest/n, a[i].inner)
		y := spaced(made(0, b[j].axis), b[j].rest/n, b[j].inner)
		links = append(links, graph.Link{N: n, Ends: []graph.End{x, y}, Choice: choice})
		for _, p := range []*part{&a[i], &b[j]} {
			p.rest, p.inner = p.rest/n, p.inner*n
		}
		if a[i].rest == 1 {
			i--
		}
		if b[j].rest == 1 {
			j--
		}
	}
	slices.Reverse(links)
	return links
}

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

// Links ties the axes that hold the same elements.
func (o Flatten) Links(in, out []graph.Fact) []graph.Link   { return reshapeLinks(in[0], out[0]) }
func (o Squeeze) Links(in, out []graph.Fact) []graph.Link   { return reshapeLinks(in[0], out[0]) }
func (o Unsqueeze) Links(in, out []graph.Fact) []graph.Link { return reshapeLinks(in[0], out[0]) }

// Fit names the axes if they were those of size 1, of which there may be more now.
func (o Squeeze) Fit(c graph.Cut) (graph.Op, []*tensor.Tensor, error) {
	if fact(c.In, 1).Present() {
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

// Links ties the new channels with the places in the old ones that they are made of.
func (o DepthToSpace) Links(in, out []graph.Fact) []graph.Link {
	return blockLinks(o.BlockSize, o.Mode, made(0, 1), given(0, 1), out[0])
}

// Links ties the old channels with the places in the new ones that they become.
func (o SpaceToDepth) Links(in, out []graph.Fact) []graph.Link {
	return blockLinks(o.BlockSize, o.Mode, given(0, 1), made(0, 1), in[0])
}

// blockLinks ties the few channels of shallow with the BlockSize² times as many of deep.
func blockLinks(block int, mode string, few, many graph.End, shallow graph.Fact) []graph.Link {
	if shallow.Rank() != 4 {
		return nil
	}
	if mode == "CRD" {
		return tie(shallow.Shape[1], few, spaced(many, 1, block*block))
	}
	return tie(shallow.Shape[1], few, spaced(many, block*block, 1))
}

// Links ties the axes that are not padded.
func (o Pad) Links(in, out []graph.Fact) []graph.Link {
	if in[0].Unranked || out[0].Rank() != len(in[0].Shape) {
		return nil
	}
	pads, err := padding(in, len(in[0].Shape))
	if err != nil || pads == nil {
		return nil
	}
	var links []graph.Link
	for a, p := range pads {
		if p == [2]int{} {
			links = append(links, tie(in[0].Shape[a], given(0, a), made(0, a))...)
		}
	}
	return links
}

// Links ties the axes that keep their size.
func (o Resize) Links(in, out []graph.Fact) []graph.Link {
	if in[0].Unranked || out[0].Rank() != len(in[0].Shape) || o.KeepAspectRatioPolicy != "stretch" {
		return nil
	}
	if sizes := fact(in, 3); sizes.Present() && sizes.Const == nil {
		return nil
	}
	var links []graph.Link
	for a, d := range in[0].Shape {
		if d == out[0].Shape[a] {
			links = append(links, tie(d, given(0, a), made(0, a))...)
		}
	}
	return links
}

// Fit writes the sizes that are left into the input of that name.
func (o Resize) Fit(c graph.Cut) (graph.Op, []*tensor.Tensor, error) {
	sizes := fact(c.In, 3)
	if !sizes.Present() {
		return o, nil, nil
	}
	at, err := o.axes(len(c.In[0].Shape))
	if err != nil {
		return nil, nil, err
	}
	v := append([]int64{}, tensor.Ints(sizes.Const)...)
	for i, a := range at[:min(len(at), len(v))] {
		if n, ok := c.Left(true, 0, a); ok {
			v[i] = int64(n)
		}
	}
	return o, []*tensor.Tensor{nil, nil, nil, tensor.From(v, len(v))}, nil
}
