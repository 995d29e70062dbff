// Package onnx reads and writes ONNX models. It speaks protobuf's wire format itself, over the mapped file, so that
// weights are never copied; field numbers are those of onnx-ml.proto (https://github.com/onnx/onnx).
package onnx

import (
	"encoding/binary"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/internal/wire"
)

// Name is the format's name in errors and reports.
const Name = "ONNX"

// span is a piece of the file; off is where it starts, so that errors can say where they are.
type span struct {
	b   []byte
	off int64
}

// field is one field of a message: num holds varints and fixed numbers, span the rest.
type field struct {
	span
	id  protowire.Number
	typ protowire.Type
	num uint64
}

func (s span) fail(format string, args ...any) error {
	return &formats.SyntaxError{Format: Name, Offset: s.off, Err: fmt.Errorf(format, args...)}
}

// fields visits the fields of a message in order.
func (s span) fields(visit func(f field) error) error {
	for at := 0; at < len(s.b); {
		here := span{s.b[at:], s.off + int64(at)}
		id, typ, n := protowire.ConsumeTag(here.b)
		if n < 0 {
			return here.fail("bad field tag: %w", protowire.ParseError(n))
		}
		f := field{id: id, typ: typ, span: span{here.b[n:], here.off + int64(n)}}
		m, err := f.consume()
		if err != nil {
			return err
		}
		at += n + m
		if err := visit(f); err != nil {
			return err
		}
	}
	return nil
}

// consume reads the field's value and says how long it is.
func (f *field) consume() (n int, err error) {
	num, b, n := wire.Value(f.id, f.typ, f.b)
	if n < 0 {
		return 0, f.fail("field %d: %w", f.id, protowire.ParseError(n))
	}
	if f.num = num; f.typ == protowire.BytesType {
		f.span = span{b[:len(b):len(b)], f.off + int64(n-len(b))}
	}
	return n, nil
}

func (f field) want(t protowire.Type) error {
	if f.typ != t {
		return f.fail("field %d has wire type %d, want %d", f.id, f.typ, t)
	}
	return nil
}

func (f field) string(dst *string) error {
	if err := f.want(protowire.BytesType); err != nil {
		return err
	}
	*dst = string(f.b)
	return nil
}

func (f field) strings(dst *[]string) error {
	*dst = append(*dst, "")
	return f.string(&(*dst)[len(*dst)-1])
}

func (f field) int(dst *int64) error {
	if err := f.want(protowire.VarintType); err != nil {
		return err
	}
	*dst = int64(f.num)
	return nil
}

// ints appends a repeated integer, packed or not.
func (f field) ints(dst *[]int64) error {
	if f.typ == protowire.VarintType {
		*dst = append(*dst, int64(f.num))
		return nil
	}
	if err := f.want(protowire.BytesType); err != nil {
		return err
	}
	for b := f.b; len(b) > 0; {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return f.fail("packed field %d: %w", f.id, protowire.ParseError(n))
		}
		*dst = append(*dst, int64(v))
		b = b[n:]
	}
	return nil
}

// floats appends a repeated float, packed or not.
func (f field) floats(dst *[]float32) error {
	if f.typ == protowire.Fixed32Type {
		*dst = append(*dst, math.Float32frombits(uint32(f.num)))
		return nil
	}
	if err := f.want(protowire.BytesType); err != nil {
		return err
	}
	if len(f.b)%4 != 0 {
		return f.fail("packed floats take %d bytes, not a multiple of 4", len(f.b))
	}
	for b := f.b; len(b) > 0; b = b[4:] {
		*dst = append(*dst, math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	return nil
}

// doubles appends a repeated double, packed or not.
func (f field) doubles(dst *[]float64) error {
	if f.typ == protowire.Fixed64Type {
		*dst = append(*dst, math.Float64frombits(f.num))
		return nil
	}
	if err := f.want(protowire.BytesType); err != nil {
		return err
	}
	if len(f.b)%8 != 0 {
		return f.fail("packed doubles take %d bytes, not a multiple of 8", len(f.b))
	}
	for b := f.b; len(b) > 0; b = b[8:] {
		*dst = append(*dst, math.Float64frombits(binary.LittleEndian.Uint64(b)))
	}
	return nil
}

// entry appends a StringStringEntryProto.
func (f field) entry(dst *[][2]string) error {
	if err := f.want(protowire.BytesType); err != nil {
		return err
	}
	var e [2]string
	err := f.fields(func(f field) error {
		if f.id == 1 || f.id == 2 {
			return f.string(&e[f.id-1])
		}
		return nil
	})
	*dst = append(*dst, e)
	return err
}

// message checks that the field is one and gives its span.
func (f field) message() (span, error) { return f.span, f.want(protowire.BytesType) }
