package onnx

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tfsopt/tfsopt/tensor"
)

// tensorProto is a TensorProto whose data fields are not decoded yet.
type tensorProto struct {
	span
	name, doc string
	dims      []int64
	dtype     int64
	raw       *span
	typed     []field // float_data, int32_data, …
	external  [][2]string
	location  int64
	meta      [][2]string
}

func (f field) tensor(dst *[]*tensorProto) error {
	s, err := f.message()
	if err != nil {
		return err
	}
	t, err := decodeTensor(s)
	*dst = append(*dst, t)
	return err
}

func decodeTensor(s span) (*tensorProto, error) {
	t := &tensorProto{span: s}
	return t, s.fields(func(f field) error {
		switch f.id {
		case 1:
			return f.ints(&t.dims)
		case 2:
			return f.int(&t.dtype)
		case 3:
			return f.fail("segmented tensors are not supported by any ONNX release")
		case 4, 5, 6, 7, 10, 11:
			t.typed = append(t.typed, f)
		case 8:
			return f.string(&t.name)
		case 9:
			t.raw = &f.span
			return f.want(protowire.BytesType)
		case 12:
			return f.string(&t.doc)
		case 13:
			return f.entry(&t.external)
		case 14:
			return f.int(&t.location)
		case 16:
			return f.entry(&t.meta)
		}
		return nil
	})
}

// shape checks dims and gives the number of elements.
func (s span) shape(dims []int64) (shape []int, n int, err error) {
	shape = make([]int, len(dims))
	for i, d := range dims {
		if d > math.MaxInt {
			return nil, 0, s.fail("dimension %d is too large", d)
		}
		shape[i] = int(d)
	}
	n, err = tensor.CheckedSize(shape)
	if err != nil {
		return nil, 0, s.fail("%w", err)
	}
	return shape, n, nil
}

// dataSource finds the bytes of external data.
type dataSource interface {
	external(t *tensorProto) ([]byte, error)
}

// build makes the tensor; raw data is aliased, typed fields are decoded. src may be nil: then external data fails.
func (t *tensorProto) build(src dataSource) (*tensor.Tensor, error) {
	if t.dtype < 0 || t.dtype >= int64(tensor.Sequence) || !tensor.DType(t.dtype).Valid() {
		return nil, t.fail("tensor %q: unknown element type %d", t.name, t.dtype)
	}
	shape, n, err := t.shape(t.dims)
	if err != nil {
		return nil, err
	}
	out := &tensor.Tensor{DType: tensor.DType(t.dtype), Shape: shape}
	if out.DType == tensor.String {
		return out, t.strings(out, n)
	}
	size := out.DType.Bytes(n)
	switch {
	case t.location == 1:
		if src == nil {
			return nil, t.fail("tensor %q: external data is not possible here", t.name)
		}
		out.Data, err = src.external(t)
	case t.raw != nil:
		out.Data = t.raw.b
	case n > 0:
		out.Data, err = t.decode(out.DType)
	}
	if err != nil {
		return nil, err
	}
	if len(out.Data) != size {
		return nil, t.fail("tensor %q: %s%v needs %d bytes, the file has %d", t.name, out.DType, shape, size, len(out.Data))
	}
	return out, nil
}

func (t *tensorProto) strings(out *tensor.Tensor, n int) error {
	for _, f := range t.typed {
		if f.id != 6 {
			continue
		}
		if err := f.strings(&out.Strings); err != nil {
			return err
		}
	}
	if len(out.Strings) != n {
		return t.fail("tensor %q: shape %v needs %d strings, the file has %d", t.name, out.Shape, n, len(out.Strings))
	}
	if out.Strings == nil {
		out.Strings = []string{}
	}
	return nil
}

// typedField says which field of TensorProto holds the elements of each type; all others are in int32_data.
var typedField = map[tensor.DType]protowire.Number{
	tensor.Float32: 4, tensor.Complex64: 4, tensor.Int64: 7, tensor.Float64: 10, tensor.Complex128: 10,
	tensor.Uint32: 11, tensor.Uint64: 11,
}

// decode gives the bytes of the typed fields. They are at most eight times as long as the fields themselves.
func (t *tensorProto) decode(d tensor.DType) ([]byte, error) {
	want := typedField[d]
	if want == 0 {
		want = 5
	}
	var floats []float32
	var doubles []float64
	var ints []int64
	for _, f := range t.typed {
		var err error
		switch {
		case f.id != want:
			err = f.fail("tensor %q: field %d does not hold %s", t.name, f.id, d)
		case want == 4:
			err = f.floats(&floats)
		case want == 10:
			err = f.doubles(&doubles)
		default:
			err = f.ints(&ints)
		}
		if err != nil {
			return nil, err
		}
	}
	switch want {
	case 4:
		return tensor.From(floats, len(floats)).Data, nil
	case 10:
		return tensor.From(doubles, len(doubles)).Data, nil
	}
	return narrow(ints, max(d.Bits()/8, 1)), nil
}

// narrow stores each integer in width bytes, little endian. Types below a byte come packed, one byte an entry.
func narrow(v []int64, width int) []byte {
	out := tensor.Aligned(len(v) * width)
	for i, x := range v {
		for j := range width {
			out[i*width+j] = byte(x >> (8 * j))
		}
	}
	return out
}

// ReadTensor decodes a TensorProto, as the .pb files of ONNX's test data hold it. Its raw data is aliased.
func ReadTensor(b []byte) (*tensor.Tensor, error) {
	p, err := decodeTensor(span{b, 0})
	if err != nil {
		return nil, err
	}
	return p.build(nil)
}

// ReadSequence decodes a SequenceProto into a tensor of type Sequence.
func ReadSequence(b []byte) (*tensor.Tensor, error) { return readItems(span{b, 0}, tensor.Sequence, 0) }

// ReadOptional decodes an OptionalProto into a tensor of type Optional.
func ReadOptional(b []byte) (*tensor.Tensor, error) { return readItems(span{b, 0}, tensor.Optional, 0) }

// readItems decodes SequenceProto and OptionalProto, whose field numbers agree: 3 tensors, 5 sequences, 7 optionals.
func readItems(s span, kind tensor.DType, depth int) (*tensor.Tensor, error) {
	if depth > maxDepth {
		return nil, s.fail("values are nested more than %d deep", maxDepth)
	}
	out := &tensor.Tensor{DType: kind}
	err := s.fields(func(f field) error {
		var it *tensor.Tensor
		var err error
		switch {
		case f.id == 3:
			var p *tensorProto
			if p, err = decodeTensor(f.span); err == nil {
				it, err = p.build(nil)
			}
		case f.id == 5:
			it, err = readItems(f.span, tensor.Sequence, depth+1)
		case f.id == 6 && kind == tensor.Optional, f.id == 7 && kind == tensor.Sequence:
			it, err = readItems(f.span, tensor.Optional, depth+1)
		case f.id == 4 || f.id > 5:
			err = f.fail("sparse tensors and maps in a %s are not supported", kind)
		default:
			return nil
		}
		out.Items = append(out.Items, it)
		return err
	})
	if err == nil && kind == tensor.Optional && len(out.Items) > 1 {
		err = s.fail("an optional with %d values", len(out.Items))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	return out, nil
}
