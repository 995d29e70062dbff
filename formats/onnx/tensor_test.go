package onnx

import (
	"math"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tfsopt/tfsopt/tensor"
)

// TestTypedData reads each element type from the field that TensorProto's comments assign to it.
func TestTypedData(t *testing.T) {
	negative := int64(-3)
	for _, c := range []struct {
		d     tensor.DType
		field protowire.Number
		v     []int64
		want  string
	}{
		{tensor.Int32, 5, []int64{negative, 2}, "\xfd\xff\xff\xff\x02\x00\x00\x00"},
		{tensor.Int16, 5, []int64{negative, 2}, "\xfd\xff\x02\x00"},
		{tensor.Int8, 5, []int64{negative, 2}, "\xfd\x02"},
		{tensor.Uint8, 5, []int64{200, 2}, "\xc8\x02"},
		{tensor.Uint16, 5, []int64{60000, 2}, "\x60\xea\x02\x00"},
		{tensor.Bool, 5, []int64{1, 0}, "\x01\x00"},
		{tensor.Float16, 5, []int64{0x3c00, 0xc000}, "\x00\x3c\x00\xc0"},
		{tensor.BFloat16, 5, []int64{0x3f80, 0xc000}, "\x80\x3f\x00\xc0"},
		{tensor.Float8E4M3FN, 5, []int64{0x38, 0xb8}, "\x38\xb8"},
		{tensor.Int4, 5, []int64{0xf1}, "\xf1"}, // two elements: 1, -1
		{tensor.Uint2, 5, []int64{0x0d}, "\x0d"},
		{tensor.Int64, 7, []int64{negative, 2}, "\xfd\xff\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x00\x00\x00"},
		{tensor.Uint32, 11, []int64{4000000000, 2}, "\x00\x28\x6b\xee\x02\x00\x00\x00"},
		{tensor.Uint64, 11, []int64{-1, 2}, "\xff\xff\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x00\x00\x00"},
	} {
		for _, packed := range []bool{true, false} {
			m := &message{}
			m.dims(1, []int{2})
			m.int(2, int64(c.d))
			var list []byte
			for _, v := range c.v {
				list = protowire.AppendVarint(list, uint64(v))
				if !packed {
					m.int(c.field, v)
				}
			}
			if packed {
				m.bytes(c.field, list)
			}
			got, err := ReadTensor(m.all())
			if err != nil || string(got.Data) != c.want || got.Len() != 2 {
				t.Errorf("%s, packed %v: got %+v, %v", c.d, packed, got, err)
			}
		}
	}
}

func TestTypedFloats(t *testing.T) {
	m := &message{}
	m.int(1, 1)
	m.int(2, int64(tensor.Complex64))
	m.grow(func(b []byte) []byte {
		for _, v := range []float32{1, -2} {
			b = protowire.AppendFixed32(protowire.AppendTag(b, 4, protowire.Fixed32Type), math.Float32bits(v))
		}
		return b
	})
	got, err := ReadTensor(m.all())
	if err != nil || tensor.View[complex64](got)[0] != complex(1, -2) {
		t.Errorf("got %v, %v", got, err)
	}
	m = &message{}
	m.int(1, 1)
	m.int(2, int64(tensor.Float64))
	m.bytes(10, []byte("\x00\x00\x00\x00\x00\x00\xf8\x3f"))
	if got, err = ReadTensor(m.all()); err != nil || tensor.Float64s(got)[0] != 1.5 {
		t.Errorf("got %v, %v", got, err)
	}
}

// TestWriteTensor writes and reads every element type.
func TestWriteTensor(t *testing.T) {
	for d := tensor.Float32; d <= tensor.Int2; d++ {
		x := tensor.New(d, 3, 5)
		for i := range x.Data {
			x.Data[i] = byte(37 * i)
		}
		for i := range x.Strings {
			x.Strings[i] = string(rune('a' + i))
		}
		b, err := WriteTensor("x", x)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ReadTensor(b); err != nil || !got.Equal(x) {
			t.Errorf("%s: got %v, %v", d, got, err)
		}
	}
}
