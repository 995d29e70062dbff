// Package gorgonia converts tensors to and from gorgonia.org/tensor, for programs that compute with Gorgonia, and for
// tests, which take Gorgonia's operators as a second opinion.
package gorgonia

import (
	"fmt"
	"slices"

	gt "gorgonia.org/tensor"

	"github.com/tfsopt/tfsopt/tensor"
)

// kind converts one element type both ways.
type kind struct {
	to   func(t *tensor.Tensor) any
	from func(d *gt.Dense, shape []int) (*tensor.Tensor, error)
}

var kinds = map[tensor.DType]kind{
	tensor.Float32:    kindOf[float32](),
	tensor.Float64:    kindOf[float64](),
	tensor.Int8:       kindOf[int8](),
	tensor.Int16:      kindOf[int16](),
	tensor.Int32:      kindOf[int32](),
	tensor.Int64:      kindOf[int64](),
	tensor.Uint8:      kindOf[uint8](),
	tensor.Uint16:     kindOf[uint16](),
	tensor.Uint32:     kindOf[uint32](),
	tensor.Uint64:     kindOf[uint64](),
	tensor.Bool:       kindOf[bool](),
	tensor.Complex64:  kindOf[complex64](),
	tensor.Complex128: kindOf[complex128](),
	tensor.String: {
		to: func(t *tensor.Tensor) any { return slices.Clone(t.Strings) },
		from: func(d *gt.Dense, shape []int) (*tensor.Tensor, error) {
			s, err := elements[string](d)
			return tensor.FromStrings(s, shape...), err
		},
	},
}

func kindOf[T tensor.Native]() kind {
	return kind{
		to: func(t *tensor.Tensor) any { return slices.Clone(tensor.View[T](t)) },
		from: func(d *gt.Dense, shape []int) (*tensor.Tensor, error) {
			v, err := elements[T](d)
			if err != nil {
				return nil, err
			}
			return tensor.From(v, shape...), nil
		},
	}
}

// elements copies a tensor's elements in row-major order, whatever its strides are.
func elements[T any](d *gt.Dense) ([]T, error) {
	if v, ok := d.Data().(T); ok {
		return []T{v}, nil
	}
	data, ok := d.Data().([]T)
	if !ok {
		return nil, fmt.Errorf("gorgonia tensor of %v holds %T", d.Dtype(), d.Data())
	}
	if !d.RequiresIterator() && !d.DataOrder().IsColMajor() {
		return slices.Clone(data), nil
	}
	shape, strides := d.Shape(), d.Strides()
	at := make([]int, len(shape))
	out := make([]T, 0, shape.TotalSize())
	for range shape.TotalSize() {
		i := 0
		for k, x := range at {
			i += x * strides[k]
		}
		out = append(out, data[i])
		for k := len(at) - 1; k >= 0; k-- {
			if at[k]++; at[k] < shape[k] {
				break
			}
			at[k] = 0
		}
	}
	return out, nil
}

// To copies t into a Dense of the same shape and element type. It fails for what Gorgonia cannot hold: 16-bit and
// smaller floats, sub-byte integers, sequences, and tensors without elements.
func To(t *tensor.Tensor) (*gt.Dense, error) {
	k, ok := kinds[t.DType]
	switch {
	case !ok:
		return nil, fmt.Errorf("gorgonia has no %s tensors", t.DType)
	case t.Len() == 0:
		return nil, fmt.Errorf("gorgonia has no empty tensors, such as shape %v", t.Shape)
	}
	shape := t.Shape
	if len(shape) == 0 {
		shape = []int{1}
	}
	d := gt.New(gt.WithShape(shape...), gt.WithBacking(k.to(t)))
	if len(t.Shape) == 0 {
		return d, d.Reshape()
	}
	return d, nil
}

// From copies a Gorgonia tensor, dense and without a mask, in row-major order; views and transposed tensors are
// followed through their strides. Go's int becomes Int64.
func From(t gt.Tensor) (*tensor.Tensor, error) {
	d, ok := t.(*gt.Dense)
	if !ok {
		return nil, fmt.Errorf("a %T is not dense", t)
	}
	if d.IsMasked() {
		return nil, fmt.Errorf("a masked tensor has no counterpart")
	}
	if d.Dtype() == gt.Int { // positions, as Argmax gives them
		at, err := elements[int](d)
		wide := make([]int64, len(at))
		for i, x := range at {
			wide[i] = int64(x)
		}
		return tensor.From(wide, append([]int{}, d.Shape()...)...), err
	}
	for dtype, k := range kinds {
		if dtype.String() == d.Dtype().Name() {
			return k.from(d, append([]int{}, d.Shape()...))
		}
	}
	return nil, fmt.Errorf("a gorgonia tensor of %v has no counterpart", d.Dtype())
}
