package ops

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("tfsopt", 1, SoftmaxGrad{}, LogSoftmaxGrad{}) }

// Grad is y·(dy - Σ dy·y).
func (o Softmax) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil {
		return none(n)
	}
	return to(n, gradient(b, n).node(SoftmaxGrad(o), dOut[0], n.Out[0]))
}

// Grad is dy - exp(y)·Σ dy.
func (o LogSoftmax) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil {
		return none(n)
	}
	return to(n, gradient(b, n).node(LogSoftmaxGrad(o), dOut[0], n.Out[0]))
}

// SoftmaxGrad is the gradient of Softmax: y·(dy - Σ dy·y), summed along the axis, for the gradient dy of the result,
// input 0, and the result y, input 1, of the same shape.
type SoftmaxGrad struct {
	Axis int `attr:"axis" default:"-1"`
}

// Infer gives the type of input 0.
func (o SoftmaxGrad) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	return alongAxis(o.Axis).infer2(in)
}

func (o SoftmaxGrad) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return alongAxis(o.Axis).run2(x, in, out, func(dy, y []float64) {
		sum := 0.
		for i, v := range dy {
			sum += float64(v * y[i])
		}
		for i, v := range dy {
			dy[i] = y[i] * (v - sum)
		}
	})
}

// Permute moves the axis along.
func (o SoftmaxGrad) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	p, to, ok := along(in, outs, 2, o.Axis, order)
	o.Axis = to
	p.Op = o
	return p, ok
}

// LogSoftmaxGrad is the gradient of LogSoftmax: dy - exp(y)·Σ dy, summed along the axis, for the gradient dy of the
// result, input 0, and the result y, input 1, of the same shape.
type LogSoftmaxGrad struct {
	Axis int `attr:"axis" default:"-1"`
}

// Infer gives the type of input 0.
func (o LogSoftmaxGrad) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	return alongAxis(o.Axis).infer2(in)
}

func (o LogSoftmaxGrad) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return alongAxis(o.Axis).run2(x, in, out, func(dy, y []float64) {
		sum := foldFrom(0, add[float64])(dy)
		for i, v := range dy {
			dy[i] = v - float64(math.Exp(y[i])*sum)
		}
	})
}

// Permute moves the axis along.
func (o LogSoftmaxGrad) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	p, to, ok := along(in, outs, 2, o.Axis, order)
	o.Axis = to
	p.Op = o
	return p, ok
}

// infer2 is infer for two inputs of the same type.
func (a alongAxis) infer2(in []graph.Fact) ([]graph.Type, error) {
	t, err := gatedType(in, 2)
	if err != nil {
		return nil, err
	}
	if _, err := a.infer(in[:1]); err != nil {
		return nil, err
	}
	return t, nil
}

// run2 rewrites each row of input 0 along the axis, given that of input 1.
func (a alongAxis) run2(x *graph.Exec, in, out []*tensor.Tensor, rewrite func(row, other []float64)) error {
	if !sameInts(in[0].Shape, in[1].Shape) {
		return fmt.Errorf("input 0 has shape %v, input 1 %v", in[0].Shape, in[1].Shape)
	}
	if !in[1].IsFloat() {
		return noArithmetic(in[1].DType)
	}
	var others [][]float64
	if err := a.run(x, in[1:], []*tensor.Tensor{nil}, func(row []float64) {
		others = append(others, append([]float64{}, row...))
	}); err != nil {
		return err
	}
	next := 0
	return a.run(x, in[:1], out, func(row []float64) {
		rewrite(row, others[next])
		next++
	})
}
