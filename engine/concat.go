package engine

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// concat joins tensors of whole-byte elements; axis is that of the layout it runs in.
type concat struct {
	ops.Concat
	src graph.Op
}

func (c concat) source() graph.Op { return c.src }

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

// lowerConcat keeps channels last if an operand has them so.
func lowerConcat(l *lowering, n *graph.Node) bool {
	op, ok := n.Op.(ops.Concat)
	if !ok || n.Out[0].DType == tensor.String {
		return false
	}
	in, last := l.elementwise(n)
	for _, v := range n.In {
		last = last && v.Rank() == n.Out[0].Rank() && !v.IsConst()
	}
	if !last {
		l.keep(n, concat{op, op})
		return true
	}
	moved := op
	moved.Axis = axisLast(op.Axis, n.Out[0].Rank())
	l.set(l.last, n, l.emit(n, concat{moved, op}, in))
	return true
}

// axisLast is where an axis goes when channels move last.
func axisLast(axis, rank int) int {
	if axis < 0 {
		axis += rank
	}
	switch axis {
	case 0:
		return 0
	case 1:
		return rank - 1
	}
	return axis - 1
}
