package codec

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode"

	"google.golang.org/protobuf/encoding/protowire"
)

// FeatureKind is which list a feature has.
type FeatureKind int

// The kinds of features, by their field numbers; a feature may have no list.
const (
	NoFeature    FeatureKind = 0
	BytesFeature FeatureKind = 1
	FloatFeature FeatureKind = 2
	IntFeature   FeatureKind = 3
)

func (k FeatureKind) String() string {
	return [...]string{"no list", "bytes_list", "float_list", "int64_list"}[k]
}

// Feature is a list of one kind (tensorflow/core/example/feature.proto).
type Feature struct {
	Kind   FeatureKind
	Bytes  [][]byte
	Floats []float32
	Ints   []int64
}

// Len is the number of elements.
func (f Feature) Len() int { return len(f.Bytes) + len(f.Floats) + len(f.Ints) }

// Example is a tf.Example: features by their names.
type Example map[string]Feature

// ParseExample reads an encoded tf.Example; the bytes of its features alias b. Of two features of one name the last counts.
func ParseExample(b []byte) (Example, error) {
	out := Example{}
	return out, eachField(b, func(f field) error {
		if f.num != 1 {
			return nil
		}
		return out.parse(f)
	})
}

// parse reads a Features message.
func (e Example) parse(f field) error {
	return eachEntry(f, func(name string, value []byte) (err error) {
		e[name], err = parseFeature(value)
		return err
	})
}

// eachEntry visits the entries of the only map of a message, its field 1.
func eachEntry(f field, visit func(key string, value []byte) error) error {
	if err := f.want(protowire.BytesType); err != nil {
		return err
	}
	return eachField(f.bytes, func(f field) error {
		if f.num != 1 {
			return nil
		}
		return entry(f, visit)
	})
}

// entry reads one entry of a map.
func entry(f field, visit func(key string, value []byte) error) error {
	if err := f.want(protowire.BytesType); err != nil {
		return err
	}
	var key, value []byte
	err := eachField(f.bytes, func(f field) error {
		switch f.num {
		case 1:
			key = f.bytes
		case 2:
			value = f.bytes
		default:
			return nil
		}
		return f.want(protowire.BytesType)
	})
	if err != nil {
		return err
	}
	if err := visit(string(key), value); err != nil {
		return fmt.Errorf("%q: %w", key, err)
	}
	return nil
}

func parseFeature(b []byte) (out Feature, err error) {
	err = eachField(b, func(list field) error {
		kind := FeatureKind(list.num)
		if kind < BytesFeature || kind > IntFeature {
			return nil
		}
		if kind != out.Kind {
			out = Feature{Kind: kind}
		}
		if err := list.want(protowire.BytesType); err != nil {
			return err
		}
		return eachField(list.bytes, func(f field) (err error) {
			if f.num != 1 {
				return nil
			}
			switch kind {
			case BytesFeature:
				out.Bytes = append(out.Bytes, f.bytes)
				return f.want(protowire.BytesType)
			case FloatFeature:
				out.Floats, err = appendFloats(out.Floats, f)
			case IntFeature:
				out.Ints, err = appendVarints(out.Ints, f)
			}
			return err
		})
	})
	return out, err
}

// Append adds the encoded message to b, features in the order of their names.
func (e Example) Append(b []byte) []byte { return addBytes(b, 1, e.features()) }

func (e Example) features() (b []byte) {
	for _, name := range slices.Sorted(maps.Keys(e)) {
		b = addBytes(b, 1, addBytes(addBytes(nil, 1, name), 2, e[name].encode()))
	}
	return b
}

func (f Feature) encode() []byte {
	var list []byte
	switch f.Kind {
	case NoFeature:
		return nil
	case BytesFeature:
		for _, v := range f.Bytes {
			list = addBytes(list, 1, v)
		}
	case FloatFeature:
		var packed []byte
		for _, v := range f.Floats {
			packed = binary.LittleEndian.AppendUint32(packed, math.Float32bits(v))
		}
		list = addBytes(list, 1, packed)
	case IntFeature:
		var packed []byte
		for _, v := range f.Ints {
			packed = protowire.AppendVarint(packed, uint64(v))
		}
		list = addBytes(list, 1, packed)
	}
	return addBytes(nil, protowire.Number(f.Kind), list)
}

// SequenceExample is a tf.SequenceExample: features of the whole, and lists that have a feature for each step.
type SequenceExample struct {
	Context Example
	Lists   map[string][]Feature
}

// ParseSequenceExample reads an encoded tf.SequenceExample; the bytes of its features alias b.
func ParseSequenceExample(b []byte) (SequenceExample, error) {
	out := SequenceExample{Example{}, map[string][]Feature{}}
	return out, eachField(b, func(f field) error {
		switch f.num {
		case 1:
			return out.Context.parse(f)
		case 2:
			return eachEntry(f, func(name string, list []byte) error {
				var steps []Feature
				err := eachField(list, func(f field) error {
					if f.num != 1 {
						return nil
					}
					if err := f.want(protowire.BytesType); err != nil {
						return err
					}
					step, err := parseFeature(f.bytes)
					steps = append(steps, step)
					return err
				})
				out.Lists[name] = steps
				return err
			})
		}
		return nil
	})
}

// IsSequenceExample reports whether b is an encoded tf.SequenceExample that has lists with plain names: a logged Classify call, which
// has the same fields, has an encoded message where the name stands.
func IsSequenceExample(b []byte) bool {
	e, err := ParseSequenceExample(b)
	for name := range e.Lists {
		if name == "" || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return false
		}
	}
	return err == nil && len(e.Lists) > 0
}

// Append adds the encoded message to b, in the order of names.
func (e SequenceExample) Append(b []byte) []byte {
	b = addBytes(b, 1, e.Context.features())
	var lists []byte
	for _, name := range slices.Sorted(maps.Keys(e.Lists)) {
		var list []byte
		for _, step := range e.Lists[name] {
			list = addBytes(list, 1, step.encode())
		}
		lists = addBytes(lists, 1, addBytes(addBytes(nil, 1, name), 2, list))
	}
	return addBytes(b, 2, lists)
}
