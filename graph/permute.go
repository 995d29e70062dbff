package graph

import "github.com/tfsopt/tfsopt/tensor"

// Permuter is an operator that also computes on transposed operands: an elementwise one in any order of axes, a Concat
// along whichever axis its channels have come to be. A convolution, whose axes have fixed places, is none. Layouts of
// whole regions change through it (optimize.Layout).
type Permuter interface {
	Op
	// Permute describes the node when axis i of its data is what was axis order[i]; data are the operands of rank
	// len(order). ok is false where there is no such operator or the facts, which are those before, do not tell.
	Permute(in []Fact, outs int, order []int) (p Permuted, ok bool)
}

// Permuted is what becomes of a node whose data comes in another order.
type Permuted struct {
	Op Op // nil: as before
	// In and Out give the order of each operand; nil: as before. An input of lower rank than its order is first
	// broadcast to it, with leading dimensions of 1.
	In, Out [][]int
	// Const replaces an input by a constant: axes, pads, sizes.
	Const map[int]*tensor.Tensor
}

// Inverse is the order that undoes another.
func Inverse(order []int) []int {
	inverse := make([]int, len(order))
	for i, p := range order {
		inverse[p] = i
	}
	return inverse
}

// Compose is the order of reordering by first, then by second.
func Compose(first, second []int) []int {
	out := make([]int, len(second))
	for i, p := range second {
		out[i] = first[p]
	}
	return out
}

// InPlace reports whether an order leaves every axis where it is.
func InPlace(order []int) bool {
	for i, p := range order {
		if i != p {
			return false
		}
	}
	return true
}
