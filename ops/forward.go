package ops

import (
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// sameShaped is part of operators that keep the elements and their order if they keep the shape.
type sameShaped struct{}

// Forwards holds where the result surely has the input's shape.
func (sameShaped) Forwards(in, out []graph.Fact) (int, bool) {
	return 0, graph.EqualShapes(in[0].Type, out[0].Type)
}

// reshaping is part of operators that change nothing but the shape.
type reshaping struct{ sameShaped }

// Traits says that the elements keep their order.
func (reshaping) Traits() graph.Traits { return graph.Traits{InOrder: true} }

// alone is part of operators that join any number of inputs.
type alone struct{}

// Forwards holds of a single input.
func (alone) Forwards(in, _ []graph.Fact) (int, bool) { return 0, len(in) == 1 }

// learning is part of operators that may do nothing only until their constants learn.
type learning struct{}

// Traits says so.
func (learning) Traits() graph.Traits { return graph.Traits{Learns: true} }

// maxNeutral bounds the constants that neutral reads.
const maxNeutral = 1 << 16

// neutral finds the constant whose elements are all value in input 1, or in any of two, and gives the other input if
// that has the result's shape. x + 0 makes a zero positive, which does not count as a change.
func neutral(in, out []graph.Fact, value float64, any bool) (int, bool) {
	for i := 1; i >= 0 && (any || i == 1); i-- {
		c := in[i].Const
		if c == nil || c.Len() == 0 || c.Len() > maxNeutral || !graph.EqualShapes(in[1-i].Type, out[0].Type) {
			continue
		}
		v := tensor.Doubles(c)
		if v != nil && !slices.ContainsFunc(v, func(e float64) bool { return e != value }) {
			return 1 - i, true
		}
	}
	return 0, false
}

// Forwards holds always.
func (Identity) Forwards(_, _ []graph.Fact) (int, bool) { return 0, true }

// Forwards holds outside of training.
func (Dropout) Forwards(in, _ []graph.Fact) (int, bool) {
	if len(in) < 3 || !in[2].Present() {
		return 0, true
	}
	mode := in[2].Const
	return 0, mode != nil && mode.Len() == 1 && tensor.Ints(mode)[0] == 0
}

// Forwards holds of a cast to the same type.
func (o Cast) Forwards(in, _ []graph.Fact) (int, bool) { return 0, in[0].DType == tensor.DType(o.To) }

// Forwards holds of a cast to the same type.
func (CastLike) Forwards(in, _ []graph.Fact) (int, bool) {
	return 0, in[0].DType != tensor.Undefined && in[0].DType == in[1].DType
}

// Forwards holds of a slice of the full size that does not go backwards.
func (Slice) Forwards(in, out []graph.Fact) (int, bool) {
	if len(in) > 4 && in[4].Present() {
		s, ok := in[4].ConstInts()
		if !ok || slices.ContainsFunc(s, func(i int) bool { return i < 1 }) {
			return 0, false
		}
	}
	return 0, graph.EqualShapes(in[0].Type, out[0].Type)
}

// Forwards holds where every pad is 0.
func (Pad) Forwards(in, _ []graph.Fact) (int, bool) {
	pads, ok := in[1].ConstInts()
	return 0, ok && !slices.ContainsFunc(pads, func(p int) bool { return p != 0 })
}

// Forwards holds where each axis stays where it is.
func (o Transpose) Forwards(in, _ []graph.Fact) (int, bool) {
	if o.Perm == nil {
		return 0, in[0].Rank() == 0 || in[0].Rank() == 1
	}
	return 0, graph.InPlace(o.Perm)
}

// Forwards holds of x·1.
func (Mul) Forwards(in, out []graph.Fact) (int, bool) { return neutral(in, out, 1, true) }

// Forwards holds of x/1.
func (Div) Forwards(in, out []graph.Fact) (int, bool) { return neutral(in, out, 1, false) }

// Forwards holds of x+0.
func (Add) Forwards(in, out []graph.Fact) (int, bool) { return neutral(in, out, 0, true) }

// Forwards holds of x-0.
func (Sub) Forwards(in, out []graph.Fact) (int, bool) { return neutral(in, out, 0, false) }

// Forwards holds of x to the power of 1.
func (Pow) Forwards(in, out []graph.Fact) (int, bool) { return neutral(in, out, 1, false) }
