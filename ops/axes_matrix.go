package ops

import (
	"slices"

	"github.com/tfsopt/tfsopt/graph"
)

// Links ties rows, columns and what is summed over: a product's weight has input channels along one axis and output
// channels along the other.
func (MatMul) Links(in, out []graph.Fact) []graph.Link {
	ra, rb, ro := in[0].Rank(), in[1].Rank(), out[0].Rank()
	if ra < 2 || rb < 2 || ro < 2 {
		return nil
	}
	a, b, o := in[0].Shape, in[1].Shape, out[0].Shape
	links := tie(a[ra-1], given(0, ra-1), given(1, rb-2))
	links = append(links, tie(a[ra-2], given(0, ra-2), made(0, ro-2))...)
	links = append(links, tie(b[rb-1], given(1, rb-1), made(0, ro-1))...)
	for i := range ro - 2 { // the leading axes broadcast
		ends := []graph.End{made(0, i)}
		if at := i - ro + ra; at >= 0 && a[at] == o[i] {
			ends = append(ends, given(0, at))
		}
		if at := i - ro + rb; at >= 0 && b[at] == o[i] {
			ends = append(ends, given(1, at))
		}
		links = append(links, tie(o[i], ends...)...)
	}
	return links
}

// Links ties rows, columns and what is summed over, as the transpositions say.
func (g Gemm) Links(in, out []graph.Fact) []graph.Link {
	if in[0].Rank() != 2 || in[1].Rank() != 2 || out[0].Rank() != 2 {
		return nil
	}
	m, ka, kb, n := 0, 1, 0, 1
	if g.TransA {
		m, ka = 1, 0
	}
	if g.TransB {
		kb, n = 1, 0
	}
	ends := [2][]graph.End{{given(0, m), made(0, 0)}, {given(1, n), made(0, 1)}}
	if c := fact(in, 2); c.Present() {
		if c.Unranked {
			return nil
		}
		for i := range c.Shape { // the last axes of the result
			if o := 2 - len(c.Shape) + i; o >= 0 && c.Shape[i] == out[0].Shape[o] {
				ends[o] = append(ends[o], given(2, i))
			}
		}
	}
	links := tie(in[0].Shape[ka], given(0, ka), given(1, kb))
	links = append(links, tie(out[0].Shape[0], ends[0]...)...)
	return append(links, tie(out[0].Shape[1], ends[1]...)...)
}

// Links ties the axes that bear the same label. One that is summed over in a single operand stays.
func (o Einsum) Links(in, out []graph.Fact) []graph.Link {
	ranks := make([]int, len(in))
	for i, f := range in {
		if ranks[i] = f.Rank(); ranks[i] < 0 {
			return nil
		}
	}
	terms, result, err := o.terms(ranks)
	if err != nil || out[0].Rank() != len(result) {
		return nil
	}
	size, ends, order := map[rune]graph.Dim{}, map[rune][]graph.End{}, []rune(nil)
	see := func(l rune, d graph.Dim, e graph.End) {
		old, seen := size[l]
		if !seen {
			order = append(order, l)
		}
		switch {
		case !seen || old.Is(1) && d != old: // what broadcasts has no channels of its own
			size[l], ends[l] = d, []graph.End{e}
		case d == old:
			ends[l] = append(ends[l], e)
		}
	}
	for i, labels := range terms {
		for a, l := range labels {
			see(l, in[i].Shape[a], given(i, a))
		}
	}
	for a, l := range result {
		see(l, out[0].Shape[a], made(0, a))
	}
	var links []graph.Link
	for _, l := range order {
		link := tie(size[l], ends[l]...)
		if len(link) == 1 && len(ends[l]) == 1 && !slices.Contains(result, l) {
			link[0].Keep = "it reduces them to one number"
		}
		links = append(links, link...)
	}
	return links
}
