package savedmodel

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/internal/tensorflow"
	"github.com/tfsopt/tfsopt/tensor"
)

// The numbers of DataType that are spoken of by name; a reference to a variable has refType more.
const (
	dtString   = 7
	dtInt32    = 3
	dtResource = 20
	dtVariant  = 21
	refType    = 100
)

// dtypes maps the numbers of tensorflow/core/framework/types.proto.
var dtypes = map[int32]tensor.DType{
	1: tensor.Float32, 2: tensor.Float64, 3: tensor.Int32, 4: tensor.Uint8, 5: tensor.Int16, 6: tensor.Int8, 7: tensor.String,
	8: tensor.Complex64, 9: tensor.Int64, 10: tensor.Bool, 11: tensor.Int8, 12: tensor.Uint8, 13: tensor.Int32, 14: tensor.BFloat16,
	15: tensor.Int16, 16: tensor.Uint16, 17: tensor.Uint16, 18: tensor.Complex128, 19: tensor.Float16, 22: tensor.Uint32,
	23: tensor.Uint64,
}

func dtypeOf(n int32) (tensor.DType, error) {
	if n > refType {
		n -= refType
	}
	if d, ok := dtypes[n]; ok {
		return d, nil
	}
	return 0, fmt.Errorf("elements of TensorFlow's type %d are not supported", n)
}

// fixedShape gives the sizes of a shape that has all of them; nil is rank 0.
func fixedShape(s *tensorflow.Shape) ([]int, error) {
	out := []int{}
	if s == nil {
		return out, nil
	}
	if s.UnknownRank {
		return nil, errors.New("its rank is unknown")
	}
	for _, d := range s.Dims {
		out = append(out, int(d.Size))
	}
	_, err := tensor.CheckedSize(out)
	return out, err
}

// typeOf is the type of declared elements and shape; nil is an unknown rank.
func typeOf(d tensor.DType, s *tensorflow.Shape) graph.Type {
	if s == nil || s.UnknownRank {
		return graph.AnyRank(d)
	}
	t := graph.Of(d)
	for _, dim := range s.Dims {
		if dim.Size < 0 {
			t.Shape = append(t.Shape, graph.Dim{})
		} else {
			t.Shape = append(t.Shape, graph.Fixed(int(dim.Size)))
		}
	}
	return t
}

// budget bounds how much more memory constants may take than the file has bytes.
type budget struct{ left int }

func newBudget(fileSize int) *budget { return &budget{left: 4<<20 + 64*fileSize} }

func (b *budget) take(n int) error {
	if n > b.left {
		return errors.New("the model's constants unfold to too many bytes")
	}
	b.left -= n
	return nil
}

// constant makes a tensor of a message; content is not copied.
func (b *budget) constant(p *tensorflow.TensorProto) (*tensor.Tensor, error) {
	d, err := dtypeOf(p.DType)
	if err != nil {
		return nil, err
	}
	shape, err := fixedShape(p.Shape)
	if err != nil {
		return nil, err
	}
	n := tensor.Size(shape)
	if d == tensor.String {
		return b.strings(p.Strings, n, shape)
	}
	size := d.Bytes(n)
	if len(p.Content) > 0 {
		if len(p.Content) != size {
			return nil, fmt.Errorf("%s%v takes %d bytes, not %d", d, shape, size, len(p.Content))
		}
		return &tensor.Tensor{DType: d, Shape: shape, Data: p.Content}, nil
	}
	elems := elementsOf(p, d)
	width := d.Bits() / 8
	if len(elems) > size || width > 0 && len(elems)%width != 0 {
		return nil, fmt.Errorf("%s%v has %d elements, not %d", d, shape, n, len(elems)/max(width, 1))
	}
	if err := b.take(size); err != nil {
		return nil, err
	}
	t := tensor.New(d, shape...)
	copy(t.Data, elems)
	if len(elems) > 0 { // the last element is repeated
		last := elems[len(elems)-width:]
		for at := len(elems); at < size; at += width {
			copy(t.Data[at:], last)
		}
	}
	return t, nil
}

func (b *budget) strings(s []string, n int, shape []int) (*tensor.Tensor, error) {
	if len(s) > n {
		return nil, fmt.Errorf("%d strings for shape %v", len(s), shape)
	}
	if err := b.take(16 * n); err != nil {
		return nil, err
	}
	out := make([]string, n)
	copy(out, s)
	for i := len(s); i < n && len(s) > 0; i++ {
		out[i] = s[len(s)-1]
	}
	return tensor.FromStrings(out, shape...), nil
}

// elementsOf gives the little-endian bytes of the elements that a message lists one by one.
func elementsOf(p *tensorflow.TensorProto, d tensor.DType) (out []byte) {
	le := binary.LittleEndian
	var list any
	switch d {
	case tensor.Float32:
		list = p.Floats
	case tensor.Complex64:
		list = p.Complex
	case tensor.Float64:
		list = p.Doubles
	case tensor.Complex128:
		list = p.Complex2
	case tensor.Int64:
		list = p.Int64s
	case tensor.Uint64:
		list = p.Uint64s
	case tensor.Uint32:
		list = p.Uint32s
	case tensor.Bool:
		list = p.Bools
	case tensor.Float16, tensor.BFloat16:
		for _, v := range p.Halves {
			out = le.AppendUint16(out, uint16(v))
		}
		return out
	default:
		for _, v := range p.Ints {
			switch d.Bits() {
			case 8:
				out = append(out, byte(v))
			case 16:
				out = le.AppendUint16(out, uint16(v))
			case 32:
				out = le.AppendUint32(out, uint32(v))
			}
		}
		return out
	}
	out, _ = binary.Append(nil, le, list) // numbers and bools always have a size
	return out
}
