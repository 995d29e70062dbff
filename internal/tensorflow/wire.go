// Package tensorflow holds the messages of TensorFlow's model files as Go structs, and reads and writes them in protobuf's
// wire format. Field numbers are those of TensorFlow's .proto files (https://github.com/tensorflow/tensorflow,
// tensorflow/core/protobuf and tensorflow/core/framework). Byte fields alias what they are read from.
package tensorflow

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/internal/wire"
)

// A struct's field is a message's field if it has a tag `pb:"NUMBER"`; `pb:"NUMBER,fixed"` is an integer of fixed size. Two
// tags have no number: "offset", an int64, is where the message starts in the file, and "oneof", an int, is the number
// of the last field read, which is written even if its value is zero.
type fieldInfo struct {
	index int
	num   protowire.Number
	fixed bool
}

type structInfo struct {
	byNumber      map[protowire.Number]fieldInfo
	fields        []fieldInfo // in the order of their numbers' appearance
	offset, oneof int         // index of the field; -1: none
}

var infos sync.Map // reflect.Type -> *structInfo

func infoOf(t reflect.Type) *structInfo {
	if i, ok := infos.Load(t); ok {
		return i.(*structInfo)
	}
	info := &structInfo{byNumber: map[protowire.Number]fieldInfo{}, offset: -1, oneof: -1}
	for i := range t.NumField() {
		tag, ok := t.Field(i).Tag.Lookup("pb")
		switch {
		case !ok:
		case tag == "offset":
			info.offset = i
		case tag == "oneof":
			info.oneof = i
		default:
			num, opt, _ := strings.Cut(tag, ",")
			n, err := strconv.Atoi(num)
			if err != nil {
				panic(fmt.Sprintf("%s.%s: bad tag %q", t, t.Field(i).Name, tag))
			}
			f := fieldInfo{i, protowire.Number(n), opt == "fixed"}
			info.byNumber[f.num] = f
			info.fields = append(info.fields, f)
		}
	}
	infos.Store(t, info)
	return info
}

// maxDepth bounds the nesting of messages.
const maxDepth = 100

// Reader says where the bytes of a message come from, for errors.
type Reader struct {
	Format, Path string
}

// Decode fills the struct that m points to from the message b, which starts at offset off of the file. Unknown fields are
// left out. Damage is a *formats.SyntaxError.
func (r Reader) Decode(b []byte, off int64, m any) error {
	return r.message(b, off, reflect.ValueOf(m).Elem(), 0)
}

func (r Reader) fail(off int64, format string, args ...any) error {
	return &formats.SyntaxError{Format: r.Format, Path: r.Path, Offset: off, Err: fmt.Errorf(format, args...)}
}

// wireField is one field of a message: num holds varints and fixed numbers, b the rest, off is where the value starts.
type wireField struct {
	id  protowire.Number
	typ protowire.Type
	num uint64
	b   []byte
	off int64
}

func (r Reader) message(b []byte, off int64, dst reflect.Value, depth int) error {
	if depth > maxDepth {
		return r.fail(off, "messages are nested more than %d deep", maxDepth)
	}
	info := infoOf(dst.Type())
	if info.offset >= 0 {
		dst.Field(info.offset).SetInt(off)
	}
	for len(b) > 0 {
		f, n, err := r.next(b, off)
		if err != nil {
			return err
		}
		b, off = b[n:], off+int64(n)
		fi, ok := info.byNumber[f.id]
		if !ok {
			continue
		}
		if err := r.set(dst.Field(fi.index), f, depth); err != nil {
			return err
		}
		if info.oneof >= 0 {
			dst.Field(info.oneof).SetInt(int64(f.id))
		}
	}
	return nil
}

// next reads the first field of b and says how long it is.
func (r Reader) next(b []byte, off int64) (f wireField, n int, err error) {
	id, typ, n := protowire.ConsumeTag(b)
	if n < 0 {
		return f, 0, r.fail(off, "bad field tag: %w", protowire.ParseError(n))
	}
	f = wireField{id: id, typ: typ, off: off + int64(n)}
	var m int
	if f.num, f.b, m = wire.Value(id, typ, b[n:]); m < 0 {
		return f, 0, r.fail(off, "field %d: %w", id, protowire.ParseError(m))
	}
	if typ == protowire.BytesType {
		f.off += int64(m - len(f.b))
	}
	return f, n + m, nil
}

func (r Reader) want(f wireField, t protowire.Type) error {
	if f.typ != t {
		return r.fail(f.off, "field %d has wire type %d, want %d", f.id, f.typ, t)
	}
	return nil
}

// set stores a field's value, appending to lists.
func (r Reader) set(dst reflect.Value, f wireField, depth int) error {
	switch dst.Kind() {
	case reflect.Pointer:
		if err := r.want(f, protowire.BytesType); err != nil {
			return err
		}
		if dst.IsNil() {
			dst.Set(reflect.New(dst.Type().Elem()))
		}
		return r.message(f.b, f.off, dst.Elem(), depth+1)
	case reflect.Map:
		return r.setEntry(dst, f, depth)
	case reflect.String:
		dst.SetString(string(f.b))
		return r.want(f, protowire.BytesType)
	case reflect.Slice:
		if dst.Type().Elem().Kind() == reflect.Uint8 {
			dst.SetBytes(f.b[:len(f.b):len(f.b)])
			return r.want(f, protowire.BytesType)
		}
		return r.add(dst, f, depth)
	}
	if f.typ == protowire.BytesType {
		return r.fail(f.off, "field %d is not a number", f.id)
	}
	setNumber(dst, f.typ, f.num)
	return nil
}

func setNumber(dst reflect.Value, typ protowire.Type, n uint64) {
	switch dst.Kind() {
	case reflect.Bool:
		dst.SetBool(n != 0)
	case reflect.Float32, reflect.Float64:
		if typ == protowire.Fixed32Type {
			dst.SetFloat(float64(math.Float32frombits(uint32(n))))
		} else {
			dst.SetFloat(math.Float64frombits(n))
		}
	case reflect.Uint32, reflect.Uint64:
		dst.SetUint(n)
	default:
		dst.SetInt(int64(n))
	}
}

func (r Reader) setEntry(dst reflect.Value, f wireField, depth int) error {
	if err := r.want(f, protowire.BytesType); err != nil {
		return err
	}
	if dst.IsNil() {
		dst.Set(reflect.MakeMap(dst.Type()))
	}
	key, value := reflect.New(dst.Type().Key()).Elem(), reflect.New(dst.Type().Elem()).Elem()
	if value.Kind() == reflect.Pointer {
		value.Set(reflect.New(value.Type().Elem()))
	}
	for b, off := f.b, f.off; len(b) > 0; {
		part, n, err := r.next(b, off)
		if err != nil {
			return err
		}
		b, off = b[n:], off+int64(n)
		switch part.id {
		case 1:
			err = r.set(key, part, depth)
		case 2:
			err = r.set(value, part, depth)
		}
		if err != nil {
			return err
		}
	}
	dst.SetMapIndex(key, value)
	return nil
}

// add appends to a list of messages, strings or numbers; numbers may be packed.
func (r Reader) add(dst reflect.Value, f wireField, depth int) error {
	elem := dst.Type().Elem()
	switch elem.Kind() {
	case reflect.Pointer, reflect.String, reflect.Slice:
		v := reflect.New(elem).Elem()
		if err := r.set(v, f, depth); err != nil {
			return err
		}
		dst.Set(reflect.Append(dst, v))
		return nil
	}
	if f.typ != protowire.BytesType {
		v := reflect.New(elem).Elem()
		setNumber(v, f.typ, f.num)
		dst.Set(reflect.Append(dst, v))
		return nil
	}
	typ := packedType(elem.Kind())
	dst.Set(reflect.AppendSlice(dst, reflect.MakeSlice(dst.Type(), 0, 0)))
	for b, off := f.b, f.off; len(b) > 0; {
		var n int
		var num uint64
		switch typ {
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(b)
			num = uint64(v)
		case protowire.Fixed64Type:
			num, n = protowire.ConsumeFixed64(b)
		default:
			num, n = protowire.ConsumeVarint(b)
		}
		if n < 0 {
			return r.fail(off, "packed field %d: %w", f.id, protowire.ParseError(n))
		}
		v := reflect.New(elem).Elem()
		setNumber(v, typ, num)
		dst.Set(reflect.Append(dst, v))
		b, off = b[n:], off+int64(n)
	}
	return nil
}

func packedType(k reflect.Kind) protowire.Type {
	switch k {
	case reflect.Float32:
		return protowire.Fixed32Type
	case reflect.Float64:
		return protowire.Fixed64Type
	}
	return protowire.VarintType
}
