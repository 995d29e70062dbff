// Package wire reads single fields of protobuf messages, for readers that say where in a file something is wrong.
package wire

import "google.golang.org/protobuf/encoding/protowire"

// Value reads the value at the start of rest of a field whose tag was read: num holds varints and numbers of fixed size,
// b, which aliases rest, the bytes of strings, messages and packed lists. n is the length of the value; a negative one is
// an error of protowire.ParseError. Groups are skipped.
func Value(id protowire.Number, typ protowire.Type, rest []byte) (num uint64, b []byte, n int) {
	switch typ {
	case protowire.VarintType:
		num, n = protowire.ConsumeVarint(rest)
	case protowire.Fixed32Type:
		var v uint32
		v, n = protowire.ConsumeFixed32(rest)
		num = uint64(v)
	case protowire.Fixed64Type:
		num, n = protowire.ConsumeFixed64(rest)
	case protowire.BytesType:
		b, n = protowire.ConsumeBytes(rest)
	default:
		n = protowire.ConsumeFieldValue(id, typ, rest)
	}
	return num, b, n
}
