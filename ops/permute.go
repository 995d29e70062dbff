package ops

import (
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// alike reorders the first `data` inputs and every output in one way: the operator has no axes of its own. Inputs of
// lower rank broadcast; those after `data` are parameters and stay.
func alike(in []graph.Fact, outs, data int, order []int) (graph.Permuted, bool) {
	p := graph.Permuted{In: make([][]int, len(in)), Out: slices.Repeat([][]int{order}, outs)}
	full := false
	for i, f := range in[:min(data, len(in))] {
		switch r := f.Rank(); {
		case !f.Given() || r == 0:
		case r < 0 || r > len(order):
			return p, false
		default:
			p.In[i] = order
			full = full || r == len(order)
		}
	}
	return p, full
}

// along is alike for an operator with one axis, which it gives at its new place.
func along(in []graph.Fact, outs, data, at int, order []int) (p graph.Permuted, to int, ok bool) {
	if p, ok = alike(in, outs, data, order); !ok {
		return p, 0, false
	}
	a, err := axis(at, len(order))
	if err != nil {
		return p, 0, false
	}
	return p, slices.Index(order, a), true
}

// scaleAxis is along where input 1 has a scale for each position of the axis, else alike: one scale needs no axis.
func scaleAxis(in []graph.Fact, outs, at int, order []int) (graph.Permuted, int, bool) {
	if in[1].Rank() == 0 || in[1].Rank() == 1 && in[1].Shape[0].Is(1) {
		p, ok := alike(in, outs, 1, order)
		return p, at, ok
	}
	p, to, ok := along(in, outs, 1, at, order)
	return p, to, ok && in[1].Rank() == 1
}

// moved gives the places of a list of axes in another order, as a constant.
func moved(list, order []int) (*tensor.Tensor, bool) {
	at, err := axes(list, len(order))
	if err != nil {
		return nil, false
	}
	to := make([]int64, len(at))
	for i, a := range at {
		to[i] = int64(slices.Index(order, a))
	}
	return tensor.From(to, len(to)), true
}

// picked gives the elements of a vector at the given places.
func picked(t *tensor.Tensor, index []int) *tensor.Tensor {
	out, size := tensor.New(t.DType, len(index)), t.DType.Bits()/8
	for i, at := range index {
		copy(out.Data[i*size:(i+1)*size], t.Data[at*size:])
	}
	return out
}

// left is the order of a result that lost the axes in drop, or has 1 in their place.
func left(order []int, drop []bool, keep bool) []int {
	if keep {
		return order
	}
	place, n := make([]int, len(order)), 0 // of each axis in the result
	for a := range order {
		if place[a] = n; !drop[a] {
			n++
		}
	}
	out := []int{}
	for _, a := range order {
		if !drop[a] {
			out = append(out, place[a])
		}
	}
	return out
}

// together is alike where the first `data` inputs must have the full rank.
func together(in []graph.Fact, outs, data int, order []int) (graph.Permuted, bool) {
	p, ok := alike(in, outs, data, order)
	return p, ok && !slices.ContainsFunc(in[:data], func(f graph.Fact) bool { return f.Rank() != len(order) })
}
