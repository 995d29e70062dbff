package ops

import (
	"slices"

	"github.com/tfsopt/tfsopt/graph"
)

// given is an end at an axis of an input, made one at an axis of an output.
func given(index, axis int) graph.End { return graph.End{Index: index, Axis: axis} }
func made(index, axis int) graph.End  { return graph.End{Out: true, Index: index, Axis: axis} }

// tie links ends that have the same n channels; no link if n is not a number.
func tie(n graph.Dim, ends ...graph.End) []graph.Link {
	if v, ok := n.Value(); ok {
		return []graph.Link{{N: v, Ends: ends}}
	}
	return nil
}

// pin keeps every position of an axis of input 0, for a reason.
func pin(in []graph.Fact, axis int, why string) []graph.Link {
	links := tie(in[0].Shape[axis], given(0, axis))
	for i := range links {
		links[i].MustStay = why
	}
	return links
}

// pointwise links the operands of an operator that treats each element alone and broadcasts: an axis of an output with
// the axes of the inputs that have its size.
func pointwise(in, out []graph.Fact) []graph.Link {
	var links []graph.Link
	if len(out) == 0 || out[0].Unranked {
		return nil
	}
	for a, d := range out[0].Shape {
		var ends []graph.End
		for i, f := range in {
			at := a - len(out[0].Shape) + len(f.Shape)
			switch {
			case !f.Given() || at < 0:
			case f.Unranked:
				return nil
			case f.Shape[at] == d:
				ends = append(ends, given(i, at))
			}
		}
		for i, f := range out {
			if f.Given() && len(f.Shape) == len(out[0].Shape) {
				ends = append(ends, made(i, a))
			}
		}
		links = append(links, tie(d, ends...)...)
	}
	return links
}

// normalised ties the axes of input 0 and the output; channels along `along` stay.
func normalised(in, out []graph.Fact, along int, why string) []graph.Link {
	if in[0].Unranked {
		return nil
	}
	a, err := axis(along, len(in[0].Shape))
	if err != nil {
		return nil
	}
	links := pointwise(in[:1], out)
	for i, l := range links {
		if l.Ends[0].Axis == a {
			links[i].MustStay = why
		}
	}
	return links
}

// spaced makes an end hold n channels in several places: once in each of outer blocks, inner positions at a time.
func spaced(e graph.End, outer, inner int) graph.End {
	e.Outer, e.Inner = outer, inner
	return e
}

// present keeps the ends whose operand is given.
func present(in []graph.Fact, ends ...graph.End) []graph.End {
	var out []graph.End
	for _, e := range ends {
		if e.Out || fact(in, e.Index).Given() {
			out = append(out, e)
		}
	}
	return out
}

// channelwise ties axis 1, and axis 0, of input 0 and output 0; params are inputs of one number for each channel.
func channelwise(in, out []graph.Fact, params ...int) []graph.Link {
	if in[0].Rank() < 2 || out[0].Rank() < 2 {
		return nil
	}
	ends := []graph.End{given(0, 1), made(0, 1)}
	for _, p := range params {
		ends = append(ends, given(p, 0))
	}
	return append(tie(in[0].Shape[0], given(0, 0), made(0, 0)), tie(in[0].Shape[1], ends...)...)
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

// between counts the positions from `from` up to but not including `to`.
func between(kept []int, from, to int) int {
	i, _ := slices.BinarySearch(kept, from)
	j, _ := slices.BinarySearch(kept, max(from, to))
	return j - i
}

// window is the link of n positions of an axis of input 0 from `from` on.
func window(axis, from, n int) graph.Link {
	e := given(0, axis)
	e.From = from
	return graph.Link{N: n, Ends: []graph.End{e}}
}

// quantizedAxes ties the axes of input 0 and the result, and those of the parameters with the axis along which they go.
func quantizedAxes(in, out []graph.Fact, along, block int) []graph.Link {
	if block != 0 || in[0].Rank() < 0 {
		return nil
	}
	links := pointwise(in[:1], out[:1])
	a, err := axis(along, len(in[0].Shape))
	if err != nil || in[1].Rank() != 1 {
		return links
	}
	for i, l := range links {
		for p := 1; p < len(in); p++ {
			if l.Ends[0].Axis == a && in[p].Rank() == 1 && in[p].Shape[0].Is(l.N) {
				links[i].Ends = append(links[i].Ends, given(p, 0))
			}
		}
	}
	return links
}
