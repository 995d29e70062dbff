package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tfsopt/tfsopt/internal/wire"
)

// field is one field of an encoded protobuf message.
type field struct {
	num   protowire.Number
	typ   protowire.Type
	bytes []byte // of messages, strings and packed lists
	bits  uint64 // of numbers
}

// eachField visits the fields of a message in order; groups are skipped. Errors name the byte.
func eachField(b []byte, visit func(f field) error) error {
	for rest := b; len(rest) > 0; {
		at := len(b) - len(rest)
		num, typ, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return fmt.Errorf("byte %d: %w", at, wireError(n))
		}
		rest = rest[n:]
		f := field{num: num, typ: typ}
		f.bits, f.bytes, n = wire.Value(num, typ, rest)
		if n < 0 {
			return fmt.Errorf("byte %d: field %d: %w", at, num, wireError(n))
		}
		rest = rest[n:]
		if typ == protowire.StartGroupType {
			continue
		}
		if err := visit(f); err != nil {
			return fmt.Errorf("field %d at byte %d: %w", num, at, err)
		}
	}
	return nil
}

func wireError(n int) error {
	err := protowire.ParseError(n)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the message is cut off")
	}
	return err
}

// want checks a field's wire type.
func (f field) want(t protowire.Type) error {
	if f.typ != t {
		return fmt.Errorf("wire type %d, want %d", f.typ, t)
	}
	return nil
}

// appendVarints adds the numbers of a field that may be packed.
func appendVarints[T ~int32 | ~int64 | ~uint32 | ~uint64](dst []T, f field) ([]T, error) {
	if f.typ == protowire.VarintType {
		return append(dst, T(f.bits)), nil
	}
	if err := f.want(protowire.BytesType); err != nil {
		return nil, err
	}
	for b := f.bytes; len(b) > 0; {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return nil, fmt.Errorf("element %d: %w", len(dst), wireError(n))
		}
		dst, b = append(dst, T(v)), b[n:]
	}
	return dst, nil
}

// appendFixed adds the little-endian bytes of a field of 32- or 64-bit numbers that may be packed.
func appendFixed(dst []byte, f field, width int) ([]byte, error) {
	switch {
	case f.typ == protowire.Fixed32Type && width == 4:
		return binary.LittleEndian.AppendUint32(dst, uint32(f.bits)), nil
	case f.typ == protowire.Fixed64Type && width == 8:
		return binary.LittleEndian.AppendUint64(dst, f.bits), nil
	}
	if err := f.want(protowire.BytesType); err != nil {
		return nil, err
	}
	if len(f.bytes)%width != 0 {
		return nil, fmt.Errorf("%d bytes of packed %d-byte numbers", len(f.bytes), width)
	}
	return append(dst, f.bytes...), nil
}

func appendFloats(dst []float32, f field) ([]float32, error) {
	b, err := appendFixed(nil, f, 4)
	for ; len(b) > 0; b = b[4:] {
		dst = append(dst, math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	return dst, err
}

// addBytes appends a field of bytes.
func addBytes[T ~string | ~[]byte](b []byte, num protowire.Number, v T) []byte {
	return append(protowire.AppendVarint(protowire.AppendTag(b, num, protowire.BytesType), uint64(len(v))), v...)
}

// addNumber appends a field that is one number.
func addNumber(b []byte, num protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
}
