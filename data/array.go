package data

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tfsopt/tfsopt/codec"
	"github.com/tfsopt/tfsopt/tensor"
)

// array is a tensor whose first dimension counts samples, perhaps still in its file.
type array struct {
	name  string
	dtype tensor.DType
	shape []int
	rows  func(from, n int) (*tensor.Tensor, error) // of shape [n, …]
	same  bool                                      // all samples have row 0
}

// inMemory wraps a tensor. A scalar has no rows: only byAxis knows what to do with it.
func inMemory(name string, t *tensor.Tensor) (*array, error) {
	if len(t.Shape) == 0 {
		return &array{name: name, dtype: t.DType, rows: func(_, _ int) (*tensor.Tensor, error) { return t, nil }}, nil
	}
	size := 1
	for _, d := range t.Shape[1:] {
		size *= d
	}
	return &array{name: name, dtype: t.DType, shape: t.Shape, rows: func(from, n int) (*tensor.Tensor, error) {
		out := &tensor.Tensor{DType: t.DType, Shape: append([]int{n}, t.Shape[1:]...)}
		if t.DType == tensor.String {
			out.Strings = t.Strings[from*size : (from+n)*size]
			return out, nil
		}
		bytes := t.DType.Bytes(size)
		out.Data = t.Data[from*bytes : (from+n)*bytes]
		return out, nil
	}}, nil
}

// arraySource makes a source of features and, perhaps, labels.
func arraySource(features []*array, labels *array, inputs []Input) (*source, error) {
	features, err := byAxis(features, inputs)
	if err != nil {
		return nil, err
	}
	lead := slices.IndexFunc(features, func(a *array) bool { return !a.same && len(a.shape) > 0 })
	if lead < 0 {
		return nil, errors.New("there is no array of features")
	}
	hollow := true
	src := &source{n: features[lead].shape[0], arrays: features, name: func(i int) string { return fmt.Sprintf("sample %d", i) }}
	for _, a := range features {
		if a.same {
			continue
		}
		if len(a.shape) == 0 {
			return nil, fmt.Errorf("%s: a scalar holds no samples", a.name)
		}
		hollow = hollow && slices.Contains(a.shape[1:], 0)
		if a.shape[0] != src.n {
			return nil, fmt.Errorf("%s has %d samples, %s has %d", a.name, a.shape[0], features[lead].name, src.n)
		}
	}
	if hollow { // such files can claim any number of samples
		return nil, fmt.Errorf("%s has the shape %v: its samples are empty", features[lead].name, features[lead].shape)
	}
	if labels == nil {
		return src, nil
	}
	if src.labels, err = readLabels(labels); err != nil {
		return nil, fmt.Errorf("%s: %w", labels.name, err)
	}
	if len(src.labels) != src.n {
		return nil, fmt.Errorf("%s has %d labels for %d samples", labels.name, len(src.labels), src.n)
	}
	return src, nil
}

// readLabels takes [N] or [N, 1] whole numbers.
func readLabels(a *array) ([]int, error) {
	if len(a.shape) > 2 || len(a.shape) == 2 && a.shape[1] != 1 {
		return nil, fmt.Errorf("labels of shape %v: want [N], the index of each sample's class", a.shape)
	}
	t, err := a.rows(0, a.shape[0])
	if err != nil {
		return nil, err
	}
	if !t.DType.IsInt() && !t.DType.IsFloat() && t.DType != tensor.Bool {
		return nil, fmt.Errorf("labels are %s: want integers", t.DType)
	}
	ints, reals := tensor.Ints(t), tensor.Float64s(t)
	out := make([]int, len(ints))
	for i, v := range ints {
		if reals[i] != float64(v) || v > 1<<31 || v < -1<<31 {
			return nil, fmt.Errorf("sample %d: label %v is no class index", i, reals[i])
		}
		out[i] = int(v)
	}
	return out, nil
}

// planArrays matches arrays to inputs and chooses how their rows are shaped.
func (s *Set) planArrays(p Preprocess, o Options) error {
	arrays, err := match(s.source.arrays, o.Inputs)
	if err != nil {
		return err
	}
	fits := make([]func(*tensor.Tensor) (*tensor.Tensor, error), len(arrays))
	for i, a := range arrays {
		in := Input{Name: a.name, DType: a.dtype}
		if p.normalises() || p.DType != tensor.Undefined {
			in.DType = tensor.Undefined
		}
		if len(o.Inputs) > 0 {
			in = o.Inputs[i]
		}
		if a.same && in.Zeros {
			s.warn(fmt.Sprintf("the data has no array for input %q: zeros are fed", in.Name))
		}
		if fits[i], err = newFit(p, in, a, s.warn); err != nil {
			return fmt.Errorf("%s: %w", a.name, err)
		}
	}
	s.prepare = func(at int) ([]*tensor.Tensor, error) {
		out := make([]*tensor.Tensor, len(arrays))
		for i, a := range arrays {
			row := at
			if a.same {
				row = 0
			}
			t, err := a.rows(row, 1)
			if err == nil {
				err = finite(t)
			}
			if err == nil {
				out[i], err = fits[i](t)
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", a.name, err)
			}
		}
		return out, nil
	}
	return nil
}

// match finds each input's array by its name, or takes the only array for the only input.
func match(arrays []*array, inputs []Input) ([]*array, error) {
	if len(inputs) == len(arrays) && slices.EqualFunc(inputs, arrays, func(in Input, a *array) bool { return in.Name == a.name }) {
		return arrays, nil // matched before
	}
	if len(inputs) == 0 || len(inputs) == 1 && len(arrays) == 1 {
		return arrays, nil
	}
	var out []*array
	var names []string
	for _, a := range arrays {
		names = append(names, a.name)
	}
	for _, in := range inputs {
		i := slices.Index(names, in.Name)
		if i < 0 {
			i = slices.Index(names, strings.TrimSuffix(in.Name, ":0"))
		}
		if i < 0 && in.Zeros {
			out = append(out, in.zeros())
			continue
		}
		if i < 0 && !in.numeric() {
			return nil, fmt.Errorf("the model's input %q takes %s, which an array of numbers cannot be", in.Name, in.DType)
		}
		if i < 0 {
			return nil, fmt.Errorf("the model's input %q has no array of its name: there is %s", in.Name, strings.Join(names, ", "))
		}
		out = append(out, arrays[i])
	}
	return out, nil
}

// newFit chooses how rows [1, …] of an array become the model's input: taken as they are, transposed between channels
// first and last, handled as an image, or reshaped, in this order of preference.
func newFit(p Preprocess, in Input, a *array, warn func(string)) (func(*tensor.Tensor) (*tensor.Tensor, error), error) {
	row := a.shape[1:]
	picture := a.dtype == tensor.Uint8 && pictureOf(row) != nil
	if p.resizes() || p.BGR {
		if !picture {
			return nil, fmt.Errorf("resize, crop and channels=bgr are for images; this is %s %v", a.dtype, row)
		}
		return pictureFit(p, in, row, warn)
	}
	if in.Shape == nil {
		if p.Layout != "" && picture {
			return pictureFit(p, in, row, warn)
		}
		return convert(p, in, a.dtype, append([]int{1}, row...))
	}
	if in.scalar() {
		if tensor.Size(row) != 1 {
			return nil, fmt.Errorf("samples of shape %v do not fit the model's input %q, which is one number", row, in.Name)
		}
		return convert(p, in, a.dtype, row[:0])
	}
	want := in.Shape[1:]
	switch {
	case in.Batch != 0 && agree(row, in.Shape):
		return convert(p, in, a.dtype, row) // whole inputs
	case agree(row, want) && (in.Batch == 0 || in.Batch < 0 && in.Shape[0] == 1):
		return convert(p, in, a.dtype, append([]int{1}, row...))
	case agree(row, in.Shape) && row[0] == 1:
		return convert(p, in, a.dtype, row)
	case in.Batch != 0:
		return nil, fmt.Errorf("samples of shape %v do not fit the model's input %q of shape %v", row, in.Name, in.Shape)
	}
	if len(row) == 3 && len(want) == 3 {
		for _, perm := range [][3]int{{2, 0, 1}, {1, 2, 0}} {
			turned := []int{row[perm[0]], row[perm[1]], row[perm[2]]}
			if agree(turned, want) {
				f, err := convert(p, in, a.dtype, append([]int{1}, turned...))
				return func(t *tensor.Tensor) (*tensor.Tensor, error) { return f(transpose(t, perm)) }, err
			}
		}
	}
	if to := reshape(row, want); to != nil {
		return convert(p, in, a.dtype, append([]int{1}, to...))
	}
	if picture && (len(in.Shape) == 3 || len(in.Shape) == 4) {
		return pictureFit(p, in, row, warn)
	}
	return nil, fmt.Errorf("samples of shape %v do not fit the model's input %q of shape %v", row, in.Name, in.Shape)
}

// pictureOf gives height, width, channels and whether the channels come first; nil if the shape is no image's.
func pictureOf(shape []int) []int {
	channels := func(d int) bool { return d == 1 || d == 3 }
	switch {
	case slices.Contains(shape, 0):
	case len(shape) == 2:
		return []int{shape[0], shape[1], 1, 0}
	case len(shape) == 3 && channels(shape[2]):
		return []int{shape[0], shape[1], shape[2], 0}
	case len(shape) == 3 && channels(shape[0]):
		return []int{shape[1], shape[2], shape[0], 1}
	}
	return nil
}

func pictureFit(p Preprocess, in Input, row []int, warn func(string)) (func(*tensor.Tensor) (*tensor.Tensor, error), error) {
	f, err := newFramer(p, in, warn)
	if err != nil {
		return nil, err
	}
	d := pictureOf(row)
	return func(t *tensor.Tensor) (*tensor.Tensor, error) {
		if d[3] == 1 {
			t = transpose(t, [3]int{1, 2, 0})
		}
		return f.frame(&codec.Image{H: d[0], W: d[1], C: d[2], Pix: t.Data})
	}, nil
}

// agree reports whether a shape is what is wanted, where -1 is anything.
func agree(shape, want []int) bool {
	if len(shape) != len(want) {
		return false
	}
	for i, d := range want {
		if d >= 0 && d != shape[i] {
			return false
		}
	}
	return true
}

// reshape fills in the wanted shape so that it has as many elements as the given one; nil if it cannot.
func reshape(shape, want []int) []int {
	n, known, unknown := 1, 1, -1
	for _, d := range shape {
		n *= d
	}
	out := slices.Clone(want)
	for i, d := range want {
		if d >= 0 {
			known *= d
		} else if unknown >= 0 {
			return nil
		} else {
			unknown = i
		}
	}
	if unknown >= 0 {
		if known == 0 || n%known != 0 {
			return nil
		}
		out[unknown] = n / known
		return out
	}
	if n != known {
		return nil
	}
	return out
}

// transpose permutes the three dimensions of a row [1, a, b, c] of whole-byte elements.
func transpose(t *tensor.Tensor, perm [3]int) *tensor.Tensor {
	in := t.Shape[1:]
	strides := [3]int{in[1] * in[2], in[2], 1}
	shape := []int{1, in[perm[0]], in[perm[1]], in[perm[2]]}
	out, size, at := tensor.New(t.DType, shape...), t.DType.Bytes(1), 0
	for i := range shape[1] {
		for j := range shape[2] {
			for k := range shape[3] {
				from := i*strides[perm[0]] + j*strides[perm[1]] + k*strides[perm[2]]
				if t.DType == tensor.String {
					out.Strings[at] = t.Strings[from]
				} else {
					copy(out.Data[at*size:(at+1)*size], t.Data[from*size:])
				}
				at++
			}
		}
	}
	return out
}

// convert normalises the elements of a sample, gives them the model's type and the sample its shape.
func convert(p Preprocess, in Input, from tensor.DType, shape []int) (func(*tensor.Tensor) (*tensor.Tensor, error), error) {
	c, err := newCell(p, in, from)
	if err != nil {
		return nil, err
	}
	if !p.normalises() && c.scale == 0 {
		return func(t *tensor.Tensor) (*tensor.Tensor, error) {
			t = &tensor.Tensor{DType: t.DType, Shape: shape, Data: t.Data, Strings: t.Strings}
			if t.DType.IsFloat() && c.dtype.IsInt() {
				out := tensor.New(c.dtype, shape...)
				return out, store(out, tensor.Float64s(t), c)
			}
			return As(t, c.dtype)
		}, nil
	}
	if !from.IsInt() && !from.IsFloat() && from != tensor.Bool {
		return nil, fmt.Errorf("%s cannot be normalised", from)
	}
	axis, channels, err := channelAxis(p, shape)
	if err != nil {
		return nil, err
	}
	mean, std, err := p.norm(channels)
	if err != nil {
		return nil, err
	}
	inner := 1
	for _, d := range shape[min(axis+1, len(shape)):] {
		inner *= d
	}
	return func(t *tensor.Tensor) (*tensor.Tensor, error) {
		v := slices.Clone(tensor.Float64s(t))
		for i := range v {
			ch := i / inner % channels
			v[i] = (v[i] - mean[ch]) / std[ch]
		}
		out := tensor.New(c.dtype, shape...)
		return out, store(out, v, c)
	}, nil
}

// channelAxis is the dimension that mean and std go by: where their lists have its length, the last one or the first
// after the batch (which goes before the last under layout=nchw).
func channelAxis(p Preprocess, shape []int) (axis, size int, err error) {
	n := max(len(p.Mean), len(p.Std))
	if n <= 1 && len(shape) == 0 {
		return 0, 1, nil
	}
	if n <= 1 {
		return len(shape) - 1, shape[len(shape)-1], nil
	}
	axes := []int{len(shape) - 1, 1}
	if p.Layout == "nchw" {
		slices.Reverse(axes)
	}
	for _, a := range axes {
		if a > 0 && a < len(shape) && shape[a] == n {
			return a, n, nil
		}
	}
	return 0, 0, fmt.Errorf("mean or std has %d values, but samples have the shape %v", n, shape[1:])
}
