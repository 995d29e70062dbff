package ops

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	graph.Register("", 18, ScatterElements{}, ScatterND{})
	graph.Register("", 24, TensorScatter{})
}

// likeData is the inference of operators that change elements of their first input.
type likeData struct{}

// Infer gives the type of the data.
func (likeData) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 3, 3); err != nil {
		return nil, err
	}
	return []graph.Type{in[0].Type}, nil
}

// scatter is a copy of data into which updates are written or, with a reduction, folded: pairs calls put for each
// run of n updates.
type scatter struct {
	data, updates *tensor.Tensor
	reduction     string
	pairs         func(put func(to, from, n int)) error
}

func (s scatter) run(x *graph.Exec, out *tensor.Tensor) error {
	if s.data.DType != s.updates.DType {
		return fmt.Errorf("updates are %s, data %s", s.updates.DType, s.data.DType)
	}
	switch {
	case s.reduction == "none" || s.reduction == "":
		dst, err := target(x, out, s.data.DType, s.data.Shape)
		if err != nil {
			return err
		}
		u := source(s.updates)
		dst.move(0, source(s.data), 0, s.data.Len())
		err = s.pairs(func(to, from, n int) { dst.move(to, u, from, n) })
		dst.done()
		return err
	case s.data.DType == tensor.String || s.data.Bits() > 64:
		return fmt.Errorf("no reduction of %s", s.data.DType)
	case s.data.IsFloat():
		v := append([]float64{}, tensor.Float64s(s.data)...)
		if err := fold(s, v, tensor.Float64s(s.updates), rounder(s.data.DType)); err != nil {
			return err
		}
		return tensor.SetFloat64s(x.Make(out, s.data.DType, s.data.Shape...), v)
	}
	v := append([]int64{}, tensor.Ints(s.data)...)
	if err := fold(s, v, tensor.Ints(s.updates), func(v int64) int64 { return v }); err != nil {
		return err
	}
	return tensor.SetInts(x.Make(out, s.data.DType, s.data.Shape...), v)
}

// rounder rounds to float32 where the type is no wider.
func rounder(d tensor.DType) func(float64) float64 {
	if d == tensor.Float64 {
		return func(v float64) float64 { return v }
	}
	return func(v float64) float64 { return float64(float32(v)) }
}

func fold[T int64 | float64](s scatter, v, u []T, round func(T) T) error {
	less := func(a, b T) bool { return a < b }
	if s.data.DType == tensor.Uint64 {
		less = func(a, b T) bool { return uint64(int64(a)) < uint64(int64(b)) }
	}
	f := map[string]func(a, b T) T{
		"add": func(a, b T) T { return round(a + b) },
		"mul": func(a, b T) T { return round(a * b) },
		"max": func(a, b T) T {
			if less(a, b) || b != b {
				return b
			}
			return a
		},
		"min": func(a, b T) T {
			if less(b, a) || b != b {
				return b
			}
			return a
		},
	}[s.reduction]
	if f == nil {
		return fmt.Errorf("unknown reduction %q", s.reduction)
	}
	return s.pairs(func(to, from, n int) {
		for i := range n {
			v[to+i] = f(v[to+i], u[from+i])
		}
	})
}

// ScatterElements writes data[indices[i,j,k], j, k] = updates[i,j,k] for axis 0, and likewise for the others.
// Reduction is none, add, mul, max or min.
type ScatterElements struct {
	likeData
	Axis      int    `attr:"axis"`
	Reduction string `attr:"reduction" default:"none"`
}

// Quant says that data and updates share the output's parameters; a reduction computes with the values.
func (o ScatterElements) Quant() graph.Quant {
	return graph.Quant{Moves: o.Reduction == "none" || o.Reduction == "", Data: []int{0, 2}}
}

// Run fails on an index outside of the dimension.
func (o ScatterElements) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	if in[1].Len() != in[2].Len() {
		return fmt.Errorf("updates of shape %v for indices of shape %v", in[2].Shape, in[1].Shape)
	}
	return scatter{in[0], in[2], o.Reduction, func(put func(to, from, n int)) error {
		return elementPairs(in[0].Shape, in[1], o.Axis, func(i, at int) { put(at, i, 1) })
	}}.run(x, out[0])
}

// ScatterND writes the slices of updates to where the index tuples, the last dimension of the indices, say. Reduction
// is none, add, mul, max or min.
type ScatterND struct {
	likeData
	Reduction string `attr:"reduction" default:"none"`
}

// Quant says that data and updates share the output's parameters; a reduction computes with the values.
func (o ScatterND) Quant() graph.Quant {
	return graph.Quant{Moves: o.Reduction == "none" || o.Reduction == "", Data: []int{0, 2}}
}

// Run fails on an index outside of the data.
func (o ScatterND) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	last := len(in[1].Shape) - 1
	if last < 0 || in[1].Shape[last] > len(in[0].Shape) {
		return fmt.Errorf("indices of shape %v for data of shape %v", in[1].Shape, in[0].Shape)
	}
	k := in[1].Shape[last]
	if n := tensor.Size(in[1].Shape[:last]) * tensor.Size(in[0].Shape[k:]); n != in[2].Len() {
		return fmt.Errorf("updates of shape %v where %d elements are needed", in[2].Shape, n)
	}
	return scatter{in[0], in[2], o.Reduction, func(put func(to, from, n int)) error {
		return tuplePairs(in[0].Shape, in[1], 0, func(i, at, n int) error {
			put(at, i*n, n)
			return nil
		})
	}}.run(x, out[0])
}

// TensorScatter writes an update into a cache, at the position of the sequence axis that write_indices (default 0)
// gives for each batch element. Mode circular wraps around.
type TensorScatter struct {
	Axis int    `attr:"axis" default:"-2"`
	Mode string `attr:"mode" default:"linear"`
}

// Infer gives the type of the cache.
func (TensorScatter) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 3); err != nil {
		return nil, err
	}
	return []graph.Type{in[0].Type}, nil
}

// Quant says that cache and update share the output's parameters.
func (TensorScatter) Quant() graph.Quant { return graph.Quant{Moves: true, Data: []int{0, 1}} }

// Run fails if a linear write leaves the cache.
func (o TensorScatter) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	cache, update, at := in[0], in[1], optional(in, 2)
	a, err := axis(o.Axis, len(cache.Shape))
	if err != nil {
		return err
	}
	if a == 0 || len(update.Shape) != len(cache.Shape) ||
		!sameInts(removed(update.Shape, a), removed(cache.Shape, a)) || update.Shape[a] > cache.Shape[a] {
		return fmt.Errorf("an update of shape %v along axis %d of a cache of shape %v", update.Shape, a, cache.Shape)
	}
	start := make([]int64, cache.Shape[0])
	if at != nil {
		if start = tensor.Ints(at); len(start) != cache.Shape[0] {
			return fmt.Errorf("%d write indices for a batch of %d", len(start), cache.Shape[0])
		}
	}
	n, size := update.Shape[a], cache.Shape[a]
	outer, inner := around(cache.Shape, a)
	return scatter{cache, update, "", func(put func(to, from, n int)) error {
		for i := range outer {
			w := start[i/(outer/cache.Shape[0])]
			if o.Mode == "circular" && size > 0 {
				w = (w%int64(size) + int64(size)) % int64(size)
			} else if w < 0 || w > int64(size-n) {
				return fmt.Errorf("%d positions written at %d into %d", n, w, size)
			}
			for j := range n {
				put((i*size+(int(w)+j)%size)*inner, (i*n+j)*inner, inner)
			}
		}
		return nil
	}}.run(x, out[0])
}
