package ops

import "github.com/tfsopt/tfsopt/graph"

// Multiplier is an operator that adds up products of its left side, the activations, and its right side, the weights.
// CPUs that lack VNNI multiply uint8 by int8 with VPMADDUBSW, which adds two neighbours in saturating int16: there the order
// of the products matters.
type Multiplier interface {
	graph.Op
	// Products describes the sums for a right side of shape w; K is 0 if the shape is unknown or wrong.
	Products(w []int) Products
}

// Products says which products an operator adds up, and in what order.
type Products struct {
	X, Weight int  // the inputs that are multiplied
	Dynamic   bool // the operator itself makes uint8 of float activations
	Wide      bool // runtimes add in 32 bits: no neighbours
	Rows, K   int  // sums that have weights of their own, and products in each
	// At is the place in the weight, row-major, of a row's k-th factor: products 2j and 2j+1 are neighbours.
	At func(row, k int) int
}

// convProducts runs over (tap, input channel within the group), channel fastest. A depthwise convolution with one output
// channel a group has kernels of its own, which are exact.
func convProducts(group int, w []int) Products {
	if len(w) < 3 {
		return Products{Weight: 1}
	}
	channels, taps := w[1], 1
	for _, n := range w[2:] {
		taps *= n
	}
	k := channels * taps
	return Products{
		Weight: 1, Wide: channels == 1 && w[0] == group, Rows: w[0], K: k,
		At: func(row, i int) int { return row*k + i%channels*taps + i/channels },
	}
}

// matProducts runs over the rows of each matrix [k,n], or over the columns of [n,k] if it is transposed.
func matProducts(w []int, transposed bool) Products {
	if len(w) == 0 {
		return Products{Weight: 1}
	}
	if len(w) == 1 {
		return Products{Weight: 1, Rows: 1, K: w[0], At: func(_, i int) int { return i }}
	}
	k, n, batch := w[len(w)-2], w[len(w)-1], 1
	for _, d := range w[:len(w)-2] {
		batch *= d
	}
	if transposed {
		k, n = n, k
		return Products{Weight: 1, Rows: batch * n, K: k, At: func(row, i int) int { return row*k + i }}
	}
	return Products{Weight: 1, Rows: batch * n, K: k, At: func(row, i int) int { return (row/n*k+i)*n + row%n }}
}

// quantizedSides are the inputs of the QLinear operators: x, its scale and zero point, then w.
func (p Products) quantizedSides() Products {
	p.Weight = 3
	return p
}

// SaturatingDot is the sum of x[i]·w[i] as VPMADDUBSW makes it: products 2j and 2j+1 are added and clamped to int16.
func SaturatingDot(x []uint8, w []int8) int32 {
	var sum int32
	for i, a := range x {
		if i%2 == 1 {
			continue
		}
		pair := int32(a) * int32(w[i])
		if i+1 < len(x) {
			pair += int32(x[i+1]) * int32(w[i+1])
		}
		sum += min(max(pair, -1<<15), 1<<15-1)
	}
	return sum
}
