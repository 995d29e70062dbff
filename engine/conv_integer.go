package engine

import (
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// integerConv is ConvInteger with channels last, packed constant weights and one zero point for the activations.
// Inputs: x and, optionally, its zero point.
type integerConv struct {
	ops.ConvInteger
	qconv
	sums []int32 // of each output channel's weights
}

func (c integerConv) source() graph.Op { return c.ConvInteger }

// Infer gives the channels-last int32 type.
func (c integerConv) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	t, err := inferLast(ops.Conv(c.ConvInteger), in[:1], c.wshape)
	if err == nil {
		t[0].DType = tensor.Int32
	}
	return t, err
}

// lowerConvInteger packs the weights of x, w, x_zero, w_zero.
func lowerConvInteger(l *lowering, n *graph.Node) bool {
	c := n.Op.(ops.ConvInteger)
	in := append(append([]*graph.Value{}, n.In...), nil, nil)
	w, ok := l.convWeights8(in[1], in[3])
	if !ok || !spatial(in[0]) || len(in[1].Shape) != in[0].Rank() || c.Group < 1 || in[2] != nil && !single(in[2]) {
		return false
	}
	op := integerConv{ConvInteger: c, qconv: qconv{wshape: in[1].Const.Shape}}
	op.QLinearConv = ops.QLinearConv{Conv: ops.Conv(c)}
	if op.wshape[0]%c.Group != 0 {
		return false
	}
	op.x.signed = in[0].DType == tensor.Int8
	op.sums = w.sums
	op.pack(l, w)
	args := []*graph.Value{l.lastOf(in[0])}
	if in[2] != nil {
		args = append(args, l.plainOf(in[2]))
	}
	l.set(l.last, n, l.emit(n, op, args))
	return true
}

func (c integerConv) exec(x *exec, in, out []*tensor.Tensor) error {
	g, shape, err := geometry(in[0].Shape, func(first []int) (ops.Window, error) { return c.qconv.Window(first, c.wshape) })
	if err != nil {
		return err
	}
	q := c.qconv
	if len(in) > 1 && in[1] != nil {
		q.x.zero = int32(tensor.Ints(in[1])[0])
	}
	zero := int32(q.zeroByte())
	m := q.wshape[0]
	y := x.Make(out[0], tensor.Int32, append(shape, m)...)
	dst, src := tensor.View[int32](y), q.unsigned(x, in[0])
	bias := make([]int32, m)
	for i, sum := range c.sums {
		bias[i] = -zero * sum
	}
	q.sum(x, g, src, dst, bias)
	return nil
}
