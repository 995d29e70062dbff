package engine

import (
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/kernels"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// rows runs f on each row of n elements, several rows a task.
func rows(x *exec, total, n int, f func(a, b int)) {
	if n == 0 {
		return
	}
	count, per := total/n, max(1, grain/n)
	x.p.pool.run(x.scratch, (count+per-1)/per, func(_ *scratch, t int) {
		for i := t * per; i < min((t+1)*per, count); i++ {
			f(i*n, (i+1)*n)
		}
	})
}

// layerNorm is LayerNormalization of float32 data whose scale and bias have all the normalised dimensions.
type layerNorm struct{ ops.LayerNormalization }

func (s layerNorm) source() graph.Op { return s.LayerNormalization }

func (s layerNorm) exec(x *exec, in, out []*tensor.Tensor) error {
	shape, axis := in[0].Shape, s.Axis
	if axis < 0 {
		axis += len(shape)
	}
	single := len(out) == 1 || out[1] == nil && (len(out) == 2 || out[2] == nil)
	if in[0].DType != tensor.Float32 || axis < 0 || axis >= len(shape) || !single || in[1].Len() != tensor.Size(shape[axis:]) {
		return x.kernel(s.LayerNormalization, in, out)
	}
	n := in[1].Len()
	norm := kernels.Norm{Scale: tensor.View[float32](in[1]), Eps: s.Epsilon}
	if len(in) > 2 && in[2] != nil {
		if in[2].Len() != n {
			return x.kernel(s.LayerNormalization, in, out)
		}
		norm.Bias = tensor.View[float32](in[2])
	}
	y := x.Make(out[0], tensor.Float32, shape...)
	src, dst := tensor.View[float32](in[0]), tensor.View[float32](y)
	rows(x, len(src), n, func(a, b int) { x.p.set.LayerNorm(dst[a:b], src[a:b], norm) })
	return nil
}

func lowerLayerNorm(l *lowering, n *graph.Node) bool {
	op, ok := n.Op.(ops.LayerNormalization)
	if ok {
		l.keep(n, layerNorm{op})
	}
	return ok
}
