package ops

import (
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 1, Identity{}) }

// Identity is its input, of any type.
type Identity struct{ unary }

// Run copies the input.
func (Identity) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	t := in[0]
	switch t.DType {
	case tensor.Sequence, tensor.Optional:
		if out[0] != nil {
			*out[0] = *t.Clone()
		}
	case tensor.String:
		copy(x.Make(out[0], t.DType, t.Shape...).Strings, t.Strings)
	default:
		copy(x.Make(out[0], t.DType, t.Shape...).Data, t.Data)
	}
	return nil
}

// Ints gives the input's elements.
func (Identity) Ints(in []graph.Fact) []graph.Dim { return elementsOf(in, 0) }

// Quant tells that Identity only moves data.
func (Identity) Quant() graph.Quant { return graph.Quant{Moves: true} }

// Forwards holds always.
func (Identity) Forwards(_, _ []graph.Fact) (int, bool) { return 0, true }
