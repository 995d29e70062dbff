package engine

import (
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/kernels"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// rowOp is an operator on whole rows of float32, the last dimension: one input, or two of the same shape.
type rowOp struct {
	graph.Op
	axis int
	one  func(s *kernels.Set, dst, x []float32)
	two  func(s *kernels.Set, dst, x, y []float32)
}

func (r rowOp) source() graph.Op { return r.Op }

func (r rowOp) exec(x *exec, in, out []*tensor.Tensor) error {
	shape := in[0].Shape
	last := len(shape) - 1
	if in[0].DType != tensor.Float32 || last < 0 || r.axis != -1 && r.axis != last || len(in) > 1 && in[1].Len() != in[0].Len() {
		return x.kernel(r.Op, in, out)
	}
	y := x.Make(out[0], tensor.Float32, shape...)
	dst, a := tensor.View[float32](y), tensor.View[float32](in[0])
	if r.two == nil {
		rows(x, len(a), shape[last], func(i, j int) { r.one(x.p.set, dst[i:j], a[i:j]) })
		return nil
	}
	b := tensor.View[float32](in[1])
	rows(x, len(a), shape[last], func(i, j int) { r.two(x.p.set, dst[i:j], a[i:j], b[i:j]) })
	return nil
}

// lowerRows runs along the last dimension.
func lowerRows(l *lowering, n *graph.Node) bool {
	r := rowOp{Op: n.Op}
	switch o := n.Op.(type) {
	case ops.Softmax:
		r.axis, r.one = o.Axis, (*kernels.Set).Softmax
	case ops.LogSoftmax:
		r.axis, r.one = o.Axis, (*kernels.Set).LogSoftmax
	case ops.SoftmaxGrad:
		r.axis, r.two = o.Axis, (*kernels.Set).SoftmaxGrad
	case ops.LogSoftmaxGrad:
		r.axis, r.two = o.Axis, (*kernels.Set).LogSoftmaxGrad
	default:
		return false
	}
	l.keep(n, r)
	return true
}

// layerNormGrad is LayerNormalizationGrad where all normalised dimensions have a scale of their own.
type layerNormGrad struct{ ops.LayerNormalizationGrad }

func (g layerNormGrad) source() graph.Op { return g.LayerNormalizationGrad }

func (g layerNormGrad) exec(x *exec, in, out []*tensor.Tensor) error {
	shape, axis := in[1].Shape, g.Axis
	if axis < 0 {
		axis += len(shape)
	}
	if in[1].DType != tensor.Float32 || axis < 0 || axis >= len(shape) || in[0].Len() != in[1].Len() || in[1].Len() == 0 ||
		in[2].Len() != tensor.Size(shape[axis:]) {
		return x.kernel(g.LayerNormalizationGrad, in, out)
	}
	c := in[2].Len()
	k := columnsOf(in[1].Len()/c, c)
	dx := tensor.View[float32](x.Make(out[0], tensor.Float32, shape...))
	dy, v := tensor.View[float32](in[0]), tensor.View[float32](in[1])
	scale, set := tensor.View[float32](in[2]), x.p.set
	sums := make([]float32, 2*c)
	k.reduce(x, sums, columnSum{sums: 2, extra: 1, chunk: func(acc [][]float32, hat []float32, a, b int) {
		for i := a; i < b; i += c {
			set.LayerNormGrad(&kernels.NormGrad{
				DY: dy[i : i+c], X: v[i : i+c], Scale: scale, Eps: g.Epsilon, Hat: hat[i-a:][:c], DX: dx[i : i+c],
			})
		}
		n := b - a
		set.MulAdd(acc[0][:n], dy[a:b], hat[:n], acc[0][:n])
		set.Add(acc[1][:n], acc[1][:n], dy[a:b])
	}})
	copyParts(x, out[1:], in[2].Shape, sums)
	return nil
}

// copyParts copies consecutive parts of v to the outputs that are wanted.
func copyParts(x *exec, out []*tensor.Tensor, shape []int, v []float32) {
	n := tensor.Size(shape)
	for i, t := range out {
		if t != nil {
			copy(tensor.View[float32](x.Make(t, tensor.Float32, shape...)), v[i*n:(i+1)*n])
		}
	}
}

func lowerLayerNormGrad(l *lowering, n *graph.Node) bool {
	op, ok := n.Op.(ops.LayerNormalizationGrad)
	if ok {
		l.keep(n, layerNormGrad{op})
	}
	return ok
}
