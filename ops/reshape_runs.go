package ops

import (
	"slices"

	"github.com/tfsopt/tfsopt/graph"
)

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

// below reports whether a needs more factors to become b.
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
		links = append(links, graph.Link{N: n, Ends: []graph.End{x, y}, Alternative: choice})
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

// swapped gives the runs of the reshape back.
func swapped(runs []run) []run {
	out := make([]run, len(runs))
	for i, r := range runs {
		out[i] = run{in: r.out, out: r.in}
	}
	return out
}

// followed gives the order of the axes after a reshape, of which there are n, that puts each run where it comes in the order of the axes
// before. An axis of size 1 follows the one before it. ok is false if the order takes a run's axes apart.
func followed(runs []run, order []int, n int) (out []int, ok bool) {
	of := map[int]int{} // axis before -> its run
	for i, r := range runs {
		for _, a := range r.in {
			of[a] = i
		}
	}
	ones := trailing(runs, n)
	out = append(out, ones[-1]...)
	var rest []int // of the run that is under way
	for _, a := range order {
		i, is := of[a]
		switch {
		case !is: // of size 1
		case len(rest) > 0:
			if a != rest[0] {
				return nil, false
			}
			rest = rest[1:]
		case a != runs[i].in[0]:
			return nil, false
		default:
			rest = runs[i].in[1:]
			for _, b := range runs[i].out {
				out = append(append(out, b), ones[b]...)
			}
		}
	}
	return out, len(out) == n
}

// trailing lists the axes of size 1 after each axis of a run, and those before all, under -1.
func trailing(runs []run, n int) map[int][]int {
	in := map[int]bool{}
	for _, r := range runs {
		for _, b := range r.out {
			in[b] = true
		}
	}
	out, last := map[int][]int{}, -1
	for b := range n {
		if in[b] {
			last = b
		} else {
			out[last] = append(out[last], b)
		}
	}
	return out
}
