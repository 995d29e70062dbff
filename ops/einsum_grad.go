package ops

import (
	"slices"
	"strings"

	"github.com/tfsopt/tfsopt/graph"
)

// Grad is, for each input, the Einsum of dy and the other inputs over the labels that the input lacks. A label twice in
// one term (a diagonal) has none.
func (o Einsum) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	dy := dOut[0]
	if dy == nil || !dy.DType.IsFloat() {
		return none(n)
	}
	f := gradient(b, n)
	ranks, shapes := make([]int, len(n.In)), make([][]int, len(n.In))
	for i, v := range n.In {
		shapes[i] = f.shape(v)
		ranks[i] = len(shapes[i])
	}
	terms, out, err := o.terms(ranks)
	if err != nil || b.Err != nil {
		return fail(b, n, "%v", err)
	}
	all := append(slices.Clone(terms), out)
	if !spellOut(all) {
		return fail(b, n, "too many labels")
	}
	d := none(n)
	for i, labels := range terms {
		sorted := slices.Sorted(slices.Values(labels))
		if len(slices.Compact(sorted)) != len(labels) {
			return fail(b, n, "of a diagonal, as in %q", o.Equation)
		}
		d[i] = f.einsumInput(n, einsumGrad{terms: all, shapes: append(slices.Clone(shapes), f.shape(dy)), dy: dy}, i)
	}
	return d
}

// einsumGrad is an equation spelt out in letters: its terms and shapes, the result's last, and the result's gradient.
type einsumGrad struct {
	terms  [][]rune
	shapes [][]int
	dy     *graph.Value
}

// spellOut gives the dimensions of ellipses letters that the equation does not use.
func spellOut(terms [][]rune) bool {
	used := map[rune]bool{}
	for _, t := range terms {
		for _, l := range t {
			used[l] = true
		}
	}
	var free []rune
	for l := rune('A'); l <= 'z'; l++ {
		if (l <= 'Z' || l >= 'a') && !used[l] {
			free = append(free, l)
		}
	}
	for _, t := range terms {
		for i, l := range t {
			if l >= dots {
				if int(l-dots) >= len(free) {
					return false
				}
				t[i] = free[l-dots]
			}
		}
	}
	return true
}

// einsumInput is the gradient of input i.
func (f formula) einsumInput(n *graph.Node, e einsumGrad, i int) *graph.Value {
	last := len(e.terms) - 1
	terms, in := []string{string(e.terms[last])}, []*graph.Value{e.dy}
	size := map[rune]int{}
	for k, t := range e.terms {
		if k == i {
			continue
		}
		if k != last {
			terms, in = append(terms, string(t)), append(in, n.In[k])
		}
		for d, l := range t {
			size[l] = max(size[l], e.shapes[k][d])
		}
	}
	var kept []rune
	flat := slices.Clone(e.shapes[i]) // with 1 for labels that only this input has: they were summed
	for d, l := range e.terms[i] {
		switch other, ok := size[l]; {
		case ok && other == flat[d]:
			kept = append(kept, l)
		case ok && flat[d] == 1: // was repeated
		case ok && other == 1: // the others were
			kept = append(kept, l)
			flat[d] = 1
		default:
			flat[d] = 1
		}
	}
	sum := f.reshape(f.node(Einsum{Equation: strings.Join(terms, ",") + "->" + string(kept)}, in...), flat)
	if sameInts(flat, e.shapes[i]) {
		return sum
	}
	return f.node(Expand{}, sum, f.ints(e.shapes[i]...))
}
