package engine

import (
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// cast is Cast, fast from integers and truth values to float32: what follows integer products, images and masks.
type cast struct{ ops.Cast }

func (c cast) source() graph.Op { return c.Cast }

func wrapCast(op graph.Op) graph.Op { return cast{op.(ops.Cast)} }

func (c cast) exec(x *exec, in, out []*tensor.Tensor) error {
	convert := toFloat32(in[0])
	if convert == nil || c.To != int(tensor.Float32) {
		return x.kernel(c.Cast, in, out)
	}
	dst := tensor.View[float32](x.Make(out[0], tensor.Float32, in[0].Shape...))
	blocks(x, len(dst), func(a, b int) { convert(dst[a:b], a) })
	return nil
}

// toFloat32 gives a function that converts the elements from i on; nil for other types.
func toFloat32(t *tensor.Tensor) func(dst []float32, i int) {
	switch t.DType {
	case tensor.Int32:
		return floatsOf(tensor.View[int32](t))
	case tensor.Int8:
		return floatsOf(tensor.View[int8](t))
	case tensor.Uint8:
		return floatsOf(t.Data)
	case tensor.Bool:
		return func(dst []float32, i int) {
			for j, v := range t.Data[i : i+len(dst)] {
				dst[j] = float32(min(v, 1))
			}
		}
	}
	return nil
}

func floatsOf[T int8 | uint8 | int32](v []T) func(dst []float32, i int) {
	return func(dst []float32, i int) {
		for j, e := range v[i : i+len(dst)] {
			dst[j] = float32(e)
		}
	}
}
