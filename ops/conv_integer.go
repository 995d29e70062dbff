package ops

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 10, ConvInteger{}) }

// ConvInteger is Conv on 8-bit integers with an int32 result. Inputs: x, w, x's zero point and w's, one or one for each
// output channel; both may be omitted.
type ConvInteger Conv

// Window resolves the geometry for the full shapes of the input and the weight.
func (c ConvInteger) Window(x, w []int) (Window, error) { return Conv(c).Window(x, w) }

// Infer gives Conv's shape as int32.
func (c ConvInteger) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 4); err != nil {
		return nil, err
	}
	t, err := Conv(c).infer(in[0].Type, in[1].Type, tensor.Int32)
	return []graph.Type{t}, err
}

// Run sums exact integers, which wrap in int32.
func (c ConvInteger) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	win, err := c.Window(in[0].Shape, in[1].Shape)
	if err != nil {
		return err
	}
	xs, err := shifted(in[0], optional(in, 2), 0)
	if err != nil {
		return fmt.Errorf("input 0: %w", err)
	}
	ws, err := shifted(in[1], optional(in, 3), 0)
	if err != nil {
		return fmt.Errorf("input 1: %w", err)
	}
	g := newConvShape(c.Group, win, in[0].Shape, in[1].Shape)
	return tensor.SetInts(x.Make(out[0], tensor.Int32, g.shape()...), convolve(g, xs, ws))
}

// Products runs over (tap, input channel within the group). ONNX Runtime has the weights on the left side of its product,
// where int8 is exact.
func (c ConvInteger) Products(w []int) Products {
	p := convProducts(c.Group, w)
	p.Wide = true
	return p
}

// Cost counts the multiply-adds.
func (ConvInteger) Cost(in, out []graph.Type) graph.Cost { return convCost(in[1], out[0]) }

// shifted gives t's integers less the zero points, which are one number or one for each index of the axis; a nil zero
// is none.
func shifted(t, zero *tensor.Tensor, at int) ([]int64, error) {
	if zero == nil || zero.Len() == 1 {
		return shiftedBy(t, zero, nil)
	}
	a, err := axis(at, len(t.Shape))
	if err != nil {
		return nil, err
	}
	shape := []int{zero.Len()}
	for range t.Shape[a+1:] {
		shape = append(shape, 1)
	}
	return shiftedBy(t, zero, shape)
}

// shiftedBy is shifted for zero points that broadcast to t from the given shape.
func shiftedBy(t, zero *tensor.Tensor, shape []int) ([]int64, error) {
	if !t.IsInt() {
		return nil, fmt.Errorf("want integers, got %s", t.DType)
	}
	v := append([]int64(nil), tensor.Ints(t)...)
	if zero == nil {
		return v, nil
	}
	all, err := broadcastShape(t.Shape, shape)
	if err != nil || !sameInts(all, t.Shape) || !zero.IsInt() {
		return nil, fmt.Errorf("zero points %s%v do not fit %v", zero.DType, zero.Shape, t.Shape)
	}
	z := tensor.Ints(zero)
	walk(t.Shape, strides(shape, t.Shape), make([]int, len(t.Shape)), func(i, j, _ int) { v[i] -= z[j] })
	return v, nil
}
