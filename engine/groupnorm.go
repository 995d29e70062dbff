package engine

import (
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// groupNorm is GroupNormalization, or InstanceNormalization with a group for each channel, of float32 [N,C,spatial…].
type groupNorm struct {
	graph.Op
	groups int // 0: as many as channels
	eps    float32
}

func (g groupNorm) source() graph.Op { return g.Op }

func (g groupNorm) exec(x *exec, in, out []*tensor.Tensor) error {
	shape := in[0].Shape
	if in[0].DType != tensor.Float32 || len(shape) < 2 || in[0].Len() == 0 {
		return x.kernel(g.Op, in, out)
	}
	c, groups := shape[1], g.groups
	if groups == 0 {
		groups = c
	}
	if groups < 0 || c%groups != 0 || in[1].Len() != c || in[2].Len() != c {
		return x.kernel(g.Op, in, out) // which says what does not fit
	}
	size, each := tensor.Size(shape[2:]), c/groups
	src, scale, bias := tensor.View[float32](in[0]), tensor.View[float32](in[1]), tensor.View[float32](in[2])
	dst := tensor.View[float32](x.Make(out[0], tensor.Float32, shape...))
	rows(x, len(src), each*size, func(a, b int) {
		mean, inv := x.p.set.Moments(src[a:b], g.eps)
		first := a / size % c
		for i := range each {
			d := dst[a+i*size : a+(i+1)*size]
			x.p.set.AddS(d, src[a+i*size:], -mean)
			x.p.set.MulAddS(d, d, inv*scale[first+i], bias[first+i])
		}
	})
	return nil
}

func lowerGroupNorm(l *lowering, n *graph.Node) bool {
	switch o := n.Op.(type) {
	case ops.GroupNormalization:
		l.keep(n, groupNorm{o, o.NumGroups, o.Epsilon})
	case ops.InstanceNormalization:
		l.keep(n, groupNorm{o, 0, o.Epsilon})
	default:
		return false
	}
	return true
}
