package tensorflow

import (
	"cmp"
	"math"
	"reflect"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// Encode writes the struct that m points to as a message: fields in the order in which the struct has them, maps sorted by
// their keys, so that equal messages have equal bytes.
func Encode(m any) []byte { return appendMessage(nil, reflect.ValueOf(m).Elem()) }

func appendMessage(b []byte, m reflect.Value) []byte {
	info := infoOf(m.Type())
	for _, f := range info.fields {
		v := m.Field(f.index)
		chosen := info.oneof >= 0 && m.Field(info.oneof).Int() == int64(f.num)
		if v.IsZero() && !chosen {
			continue
		}
		b = appendField(b, f, v)
	}
	return b
}

func appendField(b []byte, f fieldInfo, v reflect.Value) []byte {
	switch v.Kind() {
	case reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, compareKeys)
		for _, k := range keys {
			entry := appendField(nil, fieldInfo{num: 1}, k)
			entry = appendField(entry, fieldInfo{num: 2}, v.MapIndex(k))
			b = protowire.AppendBytes(protowire.AppendTag(b, f.num, protowire.BytesType), entry)
		}
		return b
	case reflect.Slice:
		switch v.Type().Elem().Kind() {
		case reflect.Uint8:
			return protowire.AppendBytes(protowire.AppendTag(b, f.num, protowire.BytesType), v.Bytes())
		case reflect.Pointer, reflect.String, reflect.Slice:
			for i := range v.Len() {
				b = appendField(b, f, v.Index(i))
			}
			return b
		}
		var packed []byte
		for i := range v.Len() {
			packed = appendNumber(packed, f, v.Index(i))
		}
		return protowire.AppendBytes(protowire.AppendTag(b, f.num, protowire.BytesType), packed)
	case reflect.Pointer:
		var inner []byte
		if !v.IsNil() {
			inner = appendMessage(nil, v.Elem())
		}
		return protowire.AppendBytes(protowire.AppendTag(b, f.num, protowire.BytesType), inner)
	case reflect.String:
		return protowire.AppendString(protowire.AppendTag(b, f.num, protowire.BytesType), v.String())
	}
	typ := packedType(v.Kind())
	if f.fixed {
		typ = protowire.Fixed32Type
	}
	return appendNumber(protowire.AppendTag(b, f.num, typ), f, v)
}

func compareKeys(a, b reflect.Value) int {
	if a.Kind() == reflect.String {
		return cmp.Compare(a.String(), b.String())
	}
	return cmp.Compare(a.Int(), b.Int())
}

func appendNumber(b []byte, f fieldInfo, v reflect.Value) []byte {
	switch v.Kind() {
	case reflect.Bool:
		return protowire.AppendVarint(b, protowire.EncodeBool(v.Bool()))
	case reflect.Float32:
		return protowire.AppendFixed32(b, math.Float32bits(float32(v.Float())))
	case reflect.Float64:
		return protowire.AppendFixed64(b, math.Float64bits(v.Float()))
	case reflect.Uint32, reflect.Uint64:
		if f.fixed {
			return protowire.AppendFixed32(b, uint32(v.Uint()))
		}
		return protowire.AppendVarint(b, v.Uint())
	}
	return protowire.AppendVarint(b, uint64(v.Int()))
}
