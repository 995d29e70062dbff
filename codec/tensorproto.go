package codec

import (
	"encoding/binary"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// TensorProto is a tensor as TensorFlow sends it (tensorflow/core/framework/tensor.proto).
type TensorProto struct {
	DType   int32 // of tensorflow/core/framework/types.proto: 1 is float, 3 int32, 7 string, 9 int64, …
	Shape   []int
	Data    []byte   // the elements, little-endian; nil for strings
	Strings []string // of type 7
}

// tfString is the number of the type of strings.
const tfString = 7

// widths are the bytes of an element, by type.
var widths = map[int32]int{
	1: 4, 2: 8, 3: 4, 4: 1, 5: 2, 6: 1, 8: 8, 9: 8, 10: 1, 11: 1, 12: 1, 13: 4, 14: 2, 15: 2, 16: 2, 17: 2, 18: 16, 19: 2, 22: 4, 23: 8,
}

// ParseTensorProto reads an encoded TensorProto, whose elements may stand as bytes or one by one; of fewer elements than the
// shape has the last one is repeated. The result has at most 64 times as many bytes as b, and 1 MiB.
func ParseTensorProto(b []byte) (TensorProto, error) {
	var p listed
	if err := eachField(b, p.field); err != nil {
		return TensorProto{}, err
	}
	if p.content == nil && p.elems == nil {
		width := widths[p.DType]
		for _, v := range p.ints {
			p.elems = append(p.elems, binary.LittleEndian.AppendUint64(nil, v)[:width]...)
		}
	}
	return p.finish(1<<20 + 64*len(b))
}

// listed is a TensorProto being read.
type listed struct {
	TensorProto
	content, elems []byte
	ints           []uint64
}

func (p *listed) field(f field) (err error) {
	switch f.num {
	case 1:
		p.DType = int32(f.bits)
		return f.want(protowire.VarintType)
	case 2:
		if err := f.want(protowire.BytesType); err != nil {
			return err
		}
		p.Shape, err = parseShape(f.bytes)
	case 4:
		p.content = f.bytes
		return f.want(protowire.BytesType)
	case 5, 9: // float_val, scomplex_val
		p.elems, err = appendFixed(p.elems, f, 4)
	case 6, 12: // double_val, dcomplex_val
		p.elems, err = appendFixed(p.elems, f, 8)
	case 7, 10, 11, 13, 16, 17: // int_val, int64_val, bool_val, half_val, uint32_val, uint64_val
		p.ints, err = appendVarints(p.ints, f)
	case 8:
		p.Strings = append(p.Strings, string(f.bytes))
		return f.want(protowire.BytesType)
	}
	return err
}

func parseShape(b []byte) ([]int, error) {
	shape := []int{}
	return shape, eachField(b, func(f field) error {
		switch f.num {
		case 3:
			if f.bits != 0 {
				return errors.New("the rank of a tensor is unknown")
			}
		case 2:
			size := uint64(0)
			err := eachField(f.bytes, func(f field) error {
				if f.num == 1 {
					size = f.bits
				}
				return nil
			})
			if err != nil {
				return err
			}
			if size > 1<<31 {
				return fmt.Errorf("dimension %d is %d", len(shape), int64(size))
			}
			shape = append(shape, int(size))
		}
		return nil
	})
}

// finish checks the elements against the shape, which may claim at most limit bytes.
func (p *listed) finish(limit int) (TensorProto, error) {
	width := widths[p.DType]
	if p.DType == tfString {
		width = 16
	}
	if width == 0 {
		return p.TensorProto, fmt.Errorf("elements of TensorFlow's type %d are not supported", p.DType)
	}
	n := 1
	for _, d := range p.Shape {
		if d > 0 && n > limit/d/width {
			return p.TensorProto, fmt.Errorf("a tensor of shape %v has more elements than the message can have", p.Shape)
		}
		n *= d
	}
	out := p.TensorProto
	if p.Shape == nil {
		out.Shape = []int{}
	}
	if p.DType == tfString {
		if len(p.Strings) > n {
			return out, fmt.Errorf("%d strings for the shape %v", len(p.Strings), p.Shape)
		}
		for len(out.Strings) < n {
			out.Strings = append(out.Strings, last(p.Strings))
		}
		return out, nil
	}
	out.Strings = nil
	if p.content != nil {
		if len(p.content) != n*width {
			return out, fmt.Errorf("%d bytes for the shape %v of %d-byte elements", len(p.content), p.Shape, width)
		}
		out.Data = p.content
		return out, nil
	}
	if len(p.elems) > n*width || len(p.elems)%width != 0 {
		return out, fmt.Errorf("%d elements for the shape %v", len(p.elems)/width, p.Shape)
	}
	out.Data = make([]byte, n*width)
	at := copy(out.Data, p.elems)
	for at > 0 && at < len(out.Data) {
		at += copy(out.Data[at:], p.elems[len(p.elems)-width:])
	}
	return out, nil
}

func last(s []string) string {
	if len(s) == 0 {
		return ""
	}
	return s[len(s)-1]
}

// Append adds the encoded message to b.
func (p TensorProto) Append(b []byte) []byte {
	b = addNumber(b, 1, uint64(p.DType))
	var shape []byte
	for _, d := range p.Shape {
		shape = addBytes(shape, 2, addNumber(nil, 1, uint64(d)))
	}
	b = addBytes(b, 2, shape)
	for _, s := range p.Strings {
		b = addBytes(b, 8, s)
	}
	if p.DType != tfString && len(p.Data) > 0 {
		b = addBytes(b, 4, p.Data)
	}
	return b
}
