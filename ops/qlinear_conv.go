package ops

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 10, QLinearConv{}) }

// QLinearConv is Conv on 8-bit integers, or on 16-bit x and result, as TFLite has them, with 8-bit weights. Inputs: x, its
// scale and zero point, w, its scales and zero points (one or one for each output channel), the result's scale and zero
// point, and optionally an int32 bias at scale x_scale·w_scale. The int32 sum becomes clamp(roundeven(float32(sum)·((x_scale·w_scale)/y_scale)) + y_zero_point), all
// in float32. With 16-bit x sum and bias are int64.
type QLinearConv struct {
	Conv Conv `attr:",inline"`
	Requantized
}

// Window resolves the geometry for the full shapes of the input and the weight.
func (c QLinearConv) Window(x, w []int) (Window, error) { return c.Conv.Window(x, w) }

// Infer gives Conv's shape with the type of the result's zero point.
func (c QLinearConv) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 8, 9); err != nil {
		return nil, err
	}
	if err := c.checkRequant(); err != nil {
		return nil, err
	}
	t, err := c.Conv.infer(in[0].Type, in[3].Type, in[7].DType)
	return []graph.Type{t}, err
}

// Run sums exact integers.
func (c QLinearConv) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	win, err := c.Window(in[0].Shape, in[3].Shape)
	if err != nil {
		return err
	}
	g := newConvShape(c.Conv.Group, win, in[0].Shape, in[3].Shape)
	xs, err := shifted(in[0], in[2], 0)
	if err != nil {
		return err
	}
	ws, err := shifted(in[3], in[5], 0)
	if err != nil {
		return err
	}
	sum := convolve(g, xs, ws)
	if b := optional(in, 8); b != nil {
		if b.Len() != g.m {
			return fmt.Errorf("bias has %d elements for %d output channels", b.Len(), g.m)
		}
		addBias(sum, tensor.Ints(b), g)
	}
	rq, err := c.newRequant(requantParams{in[1], in[4], in[6], in[7]}, in[0].DType, in[3].DType)
	if err != nil {
		return err
	}
	if n := in[4].Len(); n != 1 && n != g.m {
		return fmt.Errorf("%d weight scales for %d output channels", n, g.m)
	}
	for i, s := range sum {
		sum[i] = rq.apply(accumulated(s, in[0].DType), i/g.outSize%g.m)
	}
	return tensor.SetInts(x.Make(out[0], in[7].DType, g.shape()...), sum)
}

// Products runs over (tap, input channel within the group).
func (c QLinearConv) Products(w []int) Products {
	return convProducts(c.Conv.Group, w).quantizedSides()
}

// Cost counts the multiply-adds.
func (QLinearConv) Cost(in, out []graph.Type) graph.Cost { return convCost(in[3], out[0]) }
