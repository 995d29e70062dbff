package ops

import (
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 24, Swish{}) }

// Swish is x·sigmoid(alpha·x) (Ramachandran et al., arXiv 1710.05941); alpha 1 is SiLU.
type Swish struct {
	quantData
	unary
	Alpha float32 `attr:"alpha" default:"1"`
}

func (o Swish) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return mapUnary(x, in[0], out[0], func(v float64) float64 { return swish(v, float64(o.Alpha)) })
}

// Permute reorders data and result alike.
func (Swish) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, 1, order)
}

// Links ties each axis of the result with those of the inputs.
func (Swish) Links(in, out []graph.Fact) []graph.Link { return pointwise(in, out) }

func swish(v, alpha float64) float64 { return v / (1 + math.Exp(-alpha*v)) }
