package engine

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// concat joins tensors of whole-byte elements.
type concat struct{ ops.Concat }

func (c concat) source() graph.Op { return c.Concat }

func (c concat) exec(x *exec, in, out []*tensor.Tensor) error {
	first := in[0]
	size := first.DType.Bits() / 8
	if size*8 != first.DType.Bits() || size == 0 {
		return x.kernel(c.Concat, in, out)
	}
	axis := c.Axis
	if axis < 0 {
		axis += len(first.Shape)
	}
	if axis < 0 || axis >= len(first.Shape) {
		return fmt.Errorf("axis %d of rank %d", c.Axis, len(first.Shape))
	}
	shape := append([]int{}, first.Shape...)
	shape[axis] = 0
	for i, t := range in {
		if len(t.Shape) != len(shape) || tensor.Size(t.Shape[:axis]) != tensor.Size(shape[:axis]) {
			return fmt.Errorf("input %d: shape %v does not go with %v", i, t.Shape, first.Shape)
		}
		shape[axis] += t.Shape[axis]
	}
	y := x.Make(out[0], first.DType, shape...)
	outer, inner := tensor.Size(shape[:axis]), tensor.Size(shape[axis+1:])*size
	row := shape[axis] * inner
	at := 0
	for _, t := range in {
		run := t.Shape[axis] * inner
		if len(t.Data) > 0 {
			copyBox(x, y.Data[at:], t.Data, []boxDim{{outer, row, run}}, run)
		}
		at += run
	}
	return nil
}

func lowerConcat(l *lowering, n *graph.Node) bool {
	op, ok := n.Op.(ops.Concat)
	if !ok || n.Out[0].DType == tensor.String {
		return false
	}
	l.keep(n, concat{op})
	return true
}
