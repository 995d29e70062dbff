package ops

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("tfsopt", 1, ReluGrad{}, ClipGrad{}) }

// Grad passes the gradient on where the result is positive.
func (Relu) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil {
		return none(n)
	}
	return to(n, gradient(b, n).node(ReluGrad{}, dOut[0], n.Out[0]))
}

// Grad passes the gradient on where the result is between the bounds, which are held to be constant.
func (Clip) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil {
		return none(n)
	}
	return to(n, gradient(b, n).node(ClipGrad{}, append([]*graph.Value{dOut[0], n.Out[0]}, n.In[1:]...)...))
}

// ReluGrad is the gradient of Relu: input 0, the gradient of the result, where input 1, the result, is positive, and 0
// elsewhere. Both have the same shape.
type ReluGrad struct{}

// Infer gives the type of input 0.
func (ReluGrad) Infer(in []graph.Fact, _ int) ([]graph.Type, error) { return gatedType(in, 2) }

// gatedType is the inference of operators that keep input 0 where input 1, of the same type, says so.
func gatedType(in []graph.Fact, most int) ([]graph.Type, error) {
	if err := want(in, 2, most); err != nil {
		return nil, err
	}
	if err := sameType(in[:2]); err != nil {
		return nil, err
	}
	a, ok := in[0].Fixed()
	if b, known := in[1].Fixed(); ok && known && !sameInts(a, b) {
		return nil, fmt.Errorf("input 0 is %s, input 1 is %s", in[0].Type, in[1].Type)
	}
	return []graph.Type{in[0].Type}, nil
}

func (ReluGrad) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return runGated(x, in, out, func(y float64) bool { return y > 0 })
}

// Permute reorders the gradient, the result and what comes of them alike.
func (ReluGrad) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return together(in, outs, 2, order)
}

// runGated keeps the elements of input 0 where input 1 is open.
func runGated(x *graph.Exec, in, out []*tensor.Tensor, open func(y float64) bool) error {
	if !sameInts(in[0].Shape, in[1].Shape) {
		return fmt.Errorf("input 0 has shape %v, input 1 %v", in[0].Shape, in[1].Shape)
	}
	return arith2{f: func(dy, y float64) float64 {
		if open(y) {
			return dy
		}
		return 0
	}}.run(x, in, out)
}

// ClipGrad is the gradient of Clip: input 0, the gradient of the result, where input 1, the result, is greater than
// input 2 and less than input 3, and 0 elsewhere. The bounds are scalars; an omitted one bounds nothing.
type ClipGrad struct{}

// Infer gives the type of input 0.
func (ClipGrad) Infer(in []graph.Fact, _ int) ([]graph.Type, error) { return gatedType(in, 4) }

func (ClipGrad) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	bounds := [2]float64{math.Inf(-1), math.Inf(1)}
	for i := range bounds {
		t := optional(in, 2+i)
		if t == nil {
			continue
		}
		if t.Len() != 1 || !t.IsFloat() {
			return fmt.Errorf("a bound is %s, want a scalar %s", graph.TypeOf(t), in[0].DType)
		}
		bounds[i] = tensor.Float64s(t)[0]
	}
	return runGated(x, in, out, func(y float64) bool { return y > bounds[0] && y < bounds[1] })
}

// Permute reorders the gradient, the result and what comes of them alike.
func (ClipGrad) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return together(in, outs, 2, order)
}
