package graph

import "github.com/tfsopt/tfsopt/tensor"

// Mapped is an operator that says which positions along the axes of its operands are one and the same channel, so that
// they can be cut together: the output channels of a convolution are axis 1 of its result, axis 0 of its weight and its
// bias. Every position of an axis that no link names must stay. Union-find over the links of all nodes gives the groups
// of channels that pruning may cut (package prune).
type Mapped interface {
	Op
	// Links lists them for operands of these facts. It names only axes of fixed size and returns nil where it does
	// not know the operands well enough.
	Links(in, out []Fact) []Link
}

// Link says that N channels run along several axes: channel c of each end is the same one.
type Link struct {
	N    int
	Ends []End
	// MustStay, if it is not empty, says why these channels must stay.
	MustStay string
	// Alternative, if it is not 0, numbers alternatives within the operator: of its links with the same Alternative only one can
	// hold, and the axes that only the others name must stay. A Reshape that merges [heads, size] into one axis can be
	// cut by heads or by places within a head, not by both.
	Alternative int
}

// End is one axis of an operand as a link sees it: Outer·N·Inner positions from From on, of which channel c has
// From + (o·N + c)·Inner + i for o < Outer, i < Inner. Outer and Inner of 0 stand for 1.
type End struct {
	Out          bool // an output, else an input
	Index        int  // of the operand
	Axis         int
	From         int
	Outer, Inner int
}

// Positions lists where channel c of n lies along the end's axis, ascending.
func (e End) Positions(n, c int) []int {
	outer, inner := max(e.Outer, 1), max(e.Inner, 1)
	out := make([]int, 0, outer*inner)
	for o := range outer {
		for i := range inner {
			out = append(out, e.From+(o*n+c)*inner+i)
		}
	}
	return out
}

// Size is the number of positions that the end has for n channels.
func (e End) Size(n int) int { return n * max(e.Outer, 1) * max(e.Inner, 1) }

// Sized is a Mapped operator that holds sizes or positions of what it maps in attributes or constant inputs: the
// group of a depthwise convolution, the shape of a Reshape, the bounds of a Slice.
type Sized interface {
	Mapped
	// Fit gives the operator for the operands that c leaves, and by index the constants that become its inputs; nil
	// where an input stays as it is.
	Fit(c Cut) (Op, []*tensor.Tensor, error)
}

// Cut says what is left of a node's operands.
type Cut struct {
	In, Out []Fact // before
	// Kept lists the positions that stay along an axis, ascending; nil: all of them.
	Kept func(out bool, index, axis int) []int
}

// Left is how many positions of an axis stay, all of them where it is of fixed size and nothing is cut.
func (c Cut) Left(out bool, index, axis int) (n int, known bool) {
	if kept := c.Kept(out, index, axis); kept != nil {
		return len(kept), true
	}
	facts := c.In
	if out {
		facts = c.Out
	}
	return facts[index].Shape[axis].Value()
}
