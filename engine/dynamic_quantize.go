package engine

import (
	"math"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// dynamicQuantize is DynamicQuantizeLinear in two passes: the range, then the integers.
type dynamicQuantize struct{ ops.DynamicQuantizeLinear }

func (q dynamicQuantize) source() graph.Op { return q.DynamicQuantizeLinear }

func lowerDynamicQuantize(l *lowering, n *graph.Node) bool {
	if !isFloat(n.In[0]) {
		return false
	}
	switch op := n.Op.(type) {
	case ops.DynamicQuantizeLinear:
		l.keep(n, dynamicQuantize{op})
	case ops.DynamicQuantizeRows:
		l.keep(n, dynamicRows{op})
	default:
		return false
	}
	return true
}

func (q dynamicQuantize) exec(x *exec, in, out []*tensor.Tensor) error {
	src := tensor.View[float32](in[0])
	scale, zero := q.Params(extremes(x, src))
	for i := range out {
		switch {
		case out[i] == nil:
		case i == 0:
			y := x.Make(out[0], tensor.Uint8, in[0].Shape...)
			blocks(x, len(src), func(a, b int) {
				x.p.set.QuantizeF32(y.Data[a:b], src[a:b], scale, int32(zero), 0, math.MaxUint8)
			})
		case i == 1:
			tensor.View[float32](x.Make(out[1], tensor.Float32))[0] = scale
		case i == 2:
			x.Make(out[2], tensor.Uint8).Data[0] = zero
		}
	}
	return nil
}

// extremes is the smallest and the largest number of src; without any, lo is above hi.
func extremes(x *exec, src []float32) (lo, hi float32) {
	ends := make([][2]float32, (len(src)+grain-1)/grain)
	blocks(x, len(src), func(a, b int) { ends[a/grain][0], ends[a/grain][1] = x.p.set.MinMaxF32(src[a:b]) })
	lo, hi = float32(math.Inf(1)), float32(math.Inf(-1))
	for _, e := range ends {
		lo, hi = min(lo, e[0]), max(hi, e[1])
	}
	return lo, hi
}

// dynamicRows is DynamicQuantizeRows.
type dynamicRows struct{ ops.DynamicQuantizeRows }

func (q dynamicRows) source() graph.Op { return q.DynamicQuantizeRows }

func (q dynamicRows) exec(x *exec, in, out []*tensor.Tensor) error {
	shape := in[0].Shape
	if len(shape) == 0 || in[0].Len() == 0 {
		return x.kernel(q.DynamicQuantizeRows, in, out)
	}
	src, k := tensor.View[float32](in[0]), shape[len(shape)-1]
	params := append(slices.Clone(shape[:len(shape)-1]), 1)
	var made [3]*tensor.Tensor // y, scale, zero point; what nobody reads goes to the heap
	copy(made[:], out)
	y := x.Make(made[0], tensor.Uint8, shape...)
	scales := tensor.View[float32](x.Make(made[1], tensor.Float32, params...))
	zeros := x.Make(made[2], tensor.Uint8, params...).Data
	rows(x, len(src), k, func(a, b int) {
		lo, hi := x.p.set.MinMaxF32(src[a:b])
		scale, zero := ops.DynamicQuantizeLinear{}.Params(lo, hi)
		scales[a/k], zeros[a/k] = scale, zero
		x.p.set.QuantizeF32(y.Data[a:b], src[a:b], scale, int32(zero), 0, math.MaxUint8)
	})
	return nil
}
