package ops

import (
	"github.com/tfsopt/tfsopt/graph"
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
