package engine

import (
	"fmt"
	"math"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// gate is ReluGrad or ClipGrad: a gradient where the result lay inside the bounds. Inputs: dy, y, the bounds.
type gate struct {
	graph.Op
	relu bool
}

func (g gate) source() graph.Op { return g.Op }

func wrapGate(op graph.Op) graph.Op {
	_, name := graph.NameOf(op)
	return gate{op, name == "ReluGrad"}
}

func (g gate) exec(x *exec, in, out []*tensor.Tensor) error {
	if in[0].DType != tensor.Float32 {
		return x.kernel(g.Op, in, out)
	}
	if !slices.Equal(in[0].Shape, in[1].Shape) {
		return fmt.Errorf("gradient of shape %v for a result of %v", in[0].Shape, in[1].Shape)
	}
	y := x.Make(out[0], tensor.Float32, in[0].Shape...)
	dst, dy, v := tensor.View[float32](y), tensor.View[float32](in[0]), tensor.View[float32](in[1])
	if g.relu {
		blocks(x, len(dst), func(a, b int) { x.p.set.ReluGrad(dst[a:b], dy[a:b], v[a:b]) })
		return nil
	}
	bounds := [2]float32{float32(math.Inf(-1)), float32(math.Inf(1))}
	for i := range bounds {
		if len(in) > 2+i && in[2+i] != nil {
			if in[2+i].Len() != 1 || in[2+i].DType != tensor.Float32 {
				return x.kernel(g.Op, in, out)
			}
			bounds[i] = tensor.View[float32](in[2+i])[0]
		}
	}
	blocks(x, len(dst), func(a, b int) { x.p.set.ClipGrad(dst[a:b], dy[a:b], v[a:b], bounds[0], bounds[1]) })
	return nil
}

// relations are the comparisons of float32 numbers.
var relations = map[string]func(dst []byte, a, b []float32){
	"Less":           compareWith(func(a, b float32) bool { return a < b }),
	"LessOrEqual":    compareWith(func(a, b float32) bool { return a <= b }),
	"Greater":        compareWith(func(a, b float32) bool { return a > b }),
	"GreaterOrEqual": compareWith(func(a, b float32) bool { return a >= b }),
	"Equal":          compareWith(func(a, b float32) bool { return a == b }),
}

// compareWith applies a relation; one number on the right stands for many.
func compareWith(is func(a, b float32) bool) func(dst []byte, a, b []float32) {
	return func(dst []byte, a, b []float32) {
		for i, v := range a {
			w := b[0]
			if len(b) > 1 {
				w = b[i]
			}
			dst[i] = 0
			if is(v, w) {
				dst[i] = 1
			}
		}
	}
}

// relation is a comparison of tensors.
type relation struct {
	standIn
	f func(dst []byte, a, b []float32)
}

func wrapRelation(op graph.Op) graph.Op {
	_, name := graph.NameOf(op)
	return relation{standIn{op}, relations[name]}
}

func (r relation) exec(x *exec, in, out []*tensor.Tensor) error {
	if in[0].DType != tensor.Float32 || in[1].DType != tensor.Float32 {
		return x.kernel(r.Op, in, out)
	}
	shape, err := broadcast(in[0].Shape, in[1].Shape)
	if err != nil {
		return err
	}
	y := x.Make(out[0], tensor.Bool, shape...)
	a, b := f32(whole(in[0], shape)), tensor.View[float32](in[1])
	if len(b) > 1 {
		b = f32(whole(in[1], shape))
	}
	blocks(x, len(a), func(i, j int) {
		if len(b) > 1 {
			r.f(y.Data[i:j], a[i:j], b[i:j])
		} else {
			r.f(y.Data[i:j], a[i:j], b)
		}
	})
	return nil
}

// whole gives the data of a tensor broadcast to a shape: its own where it has that size already.
func whole(t *tensor.Tensor, shape []int) []byte {
	if n := tensor.Size(shape); n != t.Len() {
		data := tensor.Aligned(n * t.DType.Bits() / 8)
		spread(data, t.Data, spreadSpec{to: shape, from: t.Shape, size: t.DType.Bits() / 8})
		return data
	}
	return t.Data
}

// where is Where on elements of 4 bytes.
type where struct{ standIn }

func wrapWhere(op graph.Op) graph.Op { return where{standIn{op}} }

func (w where) exec(x *exec, in, out []*tensor.Tensor) error {
	if in[0].DType != tensor.Bool || in[1].DType != in[2].DType || in[1].DType.Bits() != 32 {
		return x.kernel(w.Op, in, out)
	}
	shape, err := broadcast(in[1].Shape, in[2].Shape)
	if err == nil {
		shape, err = broadcast(in[0].Shape, shape)
	}
	if err != nil {
		return err
	}
	y := x.Make(out[0], in[1].DType, shape...)
	cond, dst := whole(in[0], shape), words(y.Data)
	yes, no := words(whole(in[1], shape)), words(whole(in[2], shape))
	blocks(x, len(dst), func(a, b int) {
		d, c, p, q := dst[a:b], cond[a:b], yes[a:b], no[a:b]
		for i := range d {
			v := q[i]
			if c[i] != 0 {
				v = p[i]
			}
			d[i] = v
		}
	})
	return nil
}

// words shows aligned bytes as 32-bit words.
func words(b []byte) []uint32 {
	return tensor.View[uint32](&tensor.Tensor{DType: tensor.Uint32, Data: b})
}
