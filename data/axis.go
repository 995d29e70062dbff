package data

import (
	"fmt"
	"slices"

	"github.com/tfsopt/tfsopt/tensor"
)

// scalar reports whether the input is one number for all samples of a call.
func (in Input) scalar() bool { return in.Shape != nil && len(in.Shape) == 0 }

// numeric reports whether the input takes a tensor of numbers, as all data here is.
func (in Input) numeric() bool {
	return in.DType.IsFloat() || in.DType.IsInt() || in.DType == tensor.Bool
}

// whole reports whether samples of these inputs are fed one at a time, as calls of the model: an input has its samples along
// another axis than 0, or none.
func whole(inputs []Input) bool {
	return slices.ContainsFunc(inputs, func(in Input) bool { return in.scalar() || in.Batch != 0 })
}

// one is the shape of one sample of the input: 1 along its samples, 1 for what is unknown.
func (in Input) one() []int {
	shape := slices.Clone(in.Shape)
	for i, d := range shape {
		if i == in.Batch || d < 0 {
			shape[i] = 1
		}
	}
	return shape
}

// zeros stands for an array that the data may leave out.
func (in Input) zeros() *array {
	shape := in.one()
	return &array{name: in.Name, dtype: in.DType, shape: append([]int{1}, shape...), same: true, rows: func(_, _ int) (*tensor.Tensor, error) {
		return tensor.New(in.DType, append([]int{1}, shape...)...), nil
	}}
}

// byAxis turns arrays into rows of samples: those whose samples lie along another axis than 0, those that are one scalar for all
// samples, and those that together are a single call of the model.
func byAxis(arrays []*array, inputs []Input) ([]*array, error) {
	if len(inputs) != len(arrays) {
		return arrays, nil
	}
	if single(arrays, inputs) {
		out := make([]*array, len(arrays))
		for i, a := range arrays {
			out[i] = a.alone()
		}
		return out, nil
	}
	out := slices.Clone(arrays)
	for i, a := range arrays {
		switch in := inputs[i]; {
		case a.same:
		case len(a.shape) == 0:
			out[i] = a.alone()
			out[i].same = true
		case in.Batch > 0 && len(a.shape) == len(in.Shape):
			if in.Batch >= len(a.shape) {
				return nil, fmt.Errorf("%s: there is no axis %d in the shape %v", a.name, in.Batch, a.shape)
			}
			moved, err := a.along(in.Batch)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", a.name, err)
			}
			out[i] = moved
		}
	}
	return out, nil
}

// single reports whether arrays that disagree about the number of samples are the model's inputs as they stand.
func single(arrays []*array, inputs []Input) bool {
	n := -1
	agreed := true
	for i, a := range arrays {
		if a.same {
			continue
		}
		if !agree(a.shape, inputs[i].Shape) {
			return false
		}
		if len(a.shape) > 0 {
			agreed = agreed && (n < 0 || n == a.shape[0])
			n = a.shape[0]
		}
	}
	return !agreed && slices.ContainsFunc(inputs, func(in Input) bool { return in.Batch < 0 })
}

// alone is an array as one sample.
func (a *array) alone() *array {
	return &array{name: a.name, dtype: a.dtype, shape: append([]int{1}, a.shape...), rows: func(_, _ int) (*tensor.Tensor, error) {
		n := 0
		if len(a.shape) > 0 {
			n = a.shape[0]
		}
		t, err := a.rows(0, n)
		if err != nil {
			return nil, err
		}
		return t.Reshape(append([]int{1}, a.shape...)...), nil
	}}
}

// along is an array whose samples lie along an axis; each keeps that axis, with one position.
func (a *array) along(axis int) (*array, error) {
	t, err := a.rows(0, a.shape[0])
	if err != nil {
		return nil, err
	}
	outer, inner := tensor.Size(a.shape[:axis]), tensor.Size(a.shape[axis+1:])
	n := a.shape[axis]
	one := append([]int{1}, a.shape...)
	one[1+axis] = 1
	return &array{name: a.name, dtype: a.dtype, shape: append([]int{n}, one[1:]...), rows: func(from, count int) (*tensor.Tensor, error) {
		if count != 1 {
			return nil, fmt.Errorf("%d samples at once along axis %d", count, axis)
		}
		out := tensor.New(a.dtype, one...)
		size := a.dtype.Bytes(inner)
		for o := range outer {
			if a.dtype == tensor.String {
				copy(out.Strings[o*inner:(o+1)*inner], t.Strings[(o*n+from)*inner:])
			} else {
				copy(out.Data[o*size:(o+1)*size], t.Data[(o*n+from)*size:])
			}
		}
		return out, nil
	}}, nil
}
