package graph

import (
	"fmt"
	"reflect"
	"sort"
	"strconv"
	"strings"
)

// Attr is an attribute as files hold it. Value is one of int64, float32, bool, string, []byte, *tensor.Tensor, *Graph, Type,
// Function, or a list of them but for []byte; ONNX has neither bool nor []byte nor Function.
type Attr struct {
	Name  string
	Value any
	Doc   string
}

// Function is an attribute that names a function of the model, with attributes for its call.
type Function struct {
	Name  string
	Attrs []Attr
}

type opKey struct{ domain, name string }

type opInfo struct {
	key    opKey
	typ    reflect.Type
	since  int
	fields []field
}

type field struct {
	name, def string
	required  bool
	index     []int
}

var (
	byName = map[opKey]*opInfo{}
	byType = map[reflect.Type]*opInfo{}
)

// Register makes an operator known by its struct's name in an ONNX domain ("" is ONNX's own). since is the opset from
// which its present form is valid; a file that holds the operator is saved with at least that. Fields tagged
// `attr:"axis" default:"-1"` are attributes; `required:"true"` makes one obligatory. Kinds: int, bool, float32,
// string, []int, []float32, []string, *tensor.Tensor, *Graph, Type, and *int, *float32 for optional numbers without
// default. It panics on a malformed struct.
func Register(domain string, since int, ops ...Op) {
	for _, op := range ops {
		RegisterAs(domain, reflect.TypeOf(op).Name(), since, op)
	}
}

// RegisterAs is Register under a name that differs from the struct's.
func RegisterAs(domain, name string, since int, op Op) {
	t := reflect.TypeOf(op)
	info := &opInfo{key: opKey{domain, name}, typ: t, since: since}
	if t.Kind() != reflect.Struct {
		panic(fmt.Sprintf("graph.Register(%s): not a struct", name))
	}
	info.fields = attrFields(t, nil)
	if byName[info.key] != nil || byType[t] != nil {
		panic(fmt.Sprintf("graph.Register(%s): registered twice", name))
	}
	byName[info.key], byType[t] = info, info
	if _, err := NewOp(domain, name, nil); err != nil && !isMissing(err) {
		panic(err)
	}
}

// inlineFields tags a field whose own fields are attributes, as those of an embedded struct are, but whose methods are not the
// operator's.
const inlineFields = ",inline"

func attrFields(t reflect.Type, at []int) []field {
	var out []field
	for i := range t.NumField() {
		f := t.Field(i)
		index := append(append([]int{}, at...), i)
		if name, ok := f.Tag.Lookup("attr"); ok && name != inlineFields {
			out = append(out, field{name: name, def: f.Tag.Get("default"), required: f.Tag.Get("required") != "", index: index})
		} else if (f.Anonymous || name == inlineFields) && f.Type.Kind() == reflect.Struct {
			out = append(out, attrFields(f.Type, index)...)
		}
	}
	return out
}

// Registered lists the operators of a domain by name.
func Registered(domain string) []string {
	var out []string
	for k := range byName {
		if k.domain == domain {
			out = append(out, k.name)
		}
	}
	sort.Strings(out)
	return out
}

// Domains lists the domains that have operators.
func Domains() []string {
	seen := map[string]bool{}
	var out []string
	for k := range byName {
		if !seen[k.domain] {
			seen[k.domain] = true
			out = append(out, k.domain)
		}
	}
	sort.Strings(out)
	return out
}

// Zero is an operator whose attributes are all Go's zero values, to ask which interfaces it has; nil if the name is
// not registered.
func Zero(domain, name string) Op {
	info := byName[opKey{domain, name}]
	if info == nil {
		return nil
	}
	return reflect.Zero(info.typ).Interface().(Op)
}

// Attributes lists the names of an operator's attributes in the order of its fields; nil if the name is not registered.
func Attributes(domain, name string) []string {
	info := byName[opKey{domain, name}]
	if info == nil {
		return nil
	}
	var out []string
	for _, f := range info.fields {
		out = append(out, f.name)
	}
	return out
}

// NameOf is an operator's domain and name.
func NameOf(op Op) (domain, name string) {
	if o, ok := op.(Opaque); ok {
		return o.Domain, o.Type
	}
	if info := byType[reflect.TypeOf(op)]; info != nil {
		return info.key.domain, info.key.name
	}
	return "?", reflect.TypeOf(op).Name()
}

// Since is the lowest opset of its domain in which the operator is valid as it stands; 0 for unknown operators.
func Since(op Op) int {
	if info := byType[reflect.TypeOf(op)]; info != nil {
		return info.since
	}
	return 0
}

type missingError struct{ error }

func isMissing(err error) bool { _, ok := err.(missingError); return ok }

// UnknownOpError tells that no operator of that name is registered.
type UnknownOpError struct{ Domain, Name string }

func (e UnknownOpError) Error() string {
	return fmt.Sprintf("unknown operator %s %s", e.Domain, e.Name)
}

// NewOp makes an operator from its attributes. It fails on an unknown operator (UnknownOpError), an unknown attribute, a
// value of the wrong kind or a missing required one.
func NewOp(domain, name string, attrs []Attr) (Op, error) {
	info := byName[opKey{domain, name}]
	if info == nil {
		return nil, UnknownOpError{domain, name}
	}
	v := reflect.New(info.typ).Elem()
	given := map[string]Attr{}
	for _, a := range attrs {
		given[a.Name] = a
	}
	for _, f := range info.fields {
		dst := v.FieldByIndex(f.index)
		a, ok := given[f.name]
		delete(given, f.name)
		switch {
		case ok:
			if err := setAttr(dst, a.Value); err != nil {
				return nil, fmt.Errorf("attribute %s: %w", f.name, err)
			}
		case f.required:
			return nil, missingError{fmt.Errorf("attribute %s is missing", f.name)}
		case f.def != "":
			if err := setDefault(dst, f.def); err != nil {
				panic(fmt.Sprintf("%s.%s: default %q: %v", name, f.name, f.def, err))
			}
		}
	}
	for _, a := range attrs {
		if _, left := given[a.Name]; left {
			return nil, fmt.Errorf("unknown attribute %s", a.Name)
		}
	}
	return v.Interface().(Op), nil
}

func setDefault(dst reflect.Value, def string) error {
	switch dst.Kind() {
	case reflect.Int, reflect.Bool:
		n, err := strconv.ParseInt(def, 10, 64)
		if err != nil {
			return err
		}
		return setAttr(dst, n)
	case reflect.Float32:
		f, err := strconv.ParseFloat(def, 32)
		if err != nil {
			return err
		}
		return setAttr(dst, float32(f))
	case reflect.String:
		return setAttr(dst, def)
	case reflect.Slice:
		if dst.Type().Elem().Kind() == reflect.Int {
			var ints []int64
			for _, s := range strings.Split(def, ",") {
				n, err := strconv.ParseInt(s, 10, 64)
				if err != nil {
					return err
				}
				ints = append(ints, n)
			}
			return setAttr(dst, ints)
		}
		if dst.Type().Elem().Kind() == reflect.String {
			return setAttr(dst, strings.Split(def, ","))
		}
	}
	return fmt.Errorf("no default possible for %s", dst.Type())
}

func setAttr(dst reflect.Value, value any) error {
	bad := fmt.Errorf("want %s, got %T", dst.Type(), value)
	switch x := value.(type) {
	case int64:
		switch {
		case dst.Kind() == reflect.Int:
			dst.SetInt(x)
		case dst.Kind() == reflect.Bool:
			dst.SetBool(x != 0)
		case dst.Type() == reflect.TypeFor[*int]():
			n := int(x)
			dst.Set(reflect.ValueOf(&n))
		case dst.Kind() == reflect.Float32:
			dst.SetFloat(float64(x))
		default:
			return bad
		}
		return nil
	case float32:
		if dst.Type() == reflect.TypeFor[*float32]() {
			dst.Set(reflect.ValueOf(&x))
			return nil
		}
		if dst.Kind() != reflect.Float32 {
			return bad
		}
		dst.SetFloat(float64(x))
		return nil
	case []int64:
		if dst.Type() != reflect.TypeFor[[]int]() {
			if len(x) == 0 && dst.Kind() == reflect.Slice { // an empty list has no kind in files
				return nil
			}
			return bad
		}
		ints := make([]int, len(x))
		for i, n := range x {
			ints[i] = int(n)
		}
		dst.Set(reflect.ValueOf(ints))
		return nil
	}
	v := reflect.ValueOf(value)
	if !v.IsValid() || !v.Type().AssignableTo(dst.Type()) {
		return bad
	}
	dst.Set(v)
	return nil
}

// AttrsOf gives an operator's attributes in the order of its fields, leaving out those at their default and optional
// ones that are unset. It is the inverse of NewOp.
func AttrsOf(op Op) []Attr {
	if o, ok := op.(Opaque); ok {
		return o.Attrs
	}
	info := byType[reflect.TypeOf(op)]
	if info == nil {
		return nil
	}
	v := reflect.ValueOf(op)
	var out []Attr
	for _, f := range info.fields {
		x := v.FieldByIndex(f.index)
		if !f.required && atDefault(x, f.def) {
			continue
		}
		out = append(out, Attr{Name: f.name, Value: attrValue(x)})
	}
	return out
}

func atDefault(x reflect.Value, def string) bool {
	if def == "" {
		return x.IsZero()
	}
	d := reflect.New(x.Type()).Elem()
	if err := setDefault(d, def); err != nil {
		return false
	}
	return reflect.DeepEqual(x.Interface(), d.Interface())
}

func attrValue(x reflect.Value) any {
	switch v := x.Interface().(type) {
	case int:
		return int64(v)
	case bool:
		if v {
			return int64(1)
		}
		return int64(0)
	case *int:
		return int64(*v)
	case *float32:
		return *v
	case []int:
		out := make([]int64, len(v))
		for i, n := range v {
			out[i] = int64(n)
		}
		return out
	}
	return x.Interface()
}

// Bodies gives the subgraphs that an operator holds, in the order of its attributes.
func Bodies(op Op) []*Graph {
	var out []*Graph
	info := byType[reflect.TypeOf(op)]
	if o, ok := op.(Opaque); ok {
		for _, a := range o.Attrs {
			switch g := a.Value.(type) {
			case *Graph:
				out = append(out, g)
			case []*Graph:
				out = append(out, g...)
			}
		}
		return out
	}
	if info == nil {
		return nil
	}
	v := reflect.ValueOf(op)
	for _, f := range info.fields {
		if g, ok := v.FieldByIndex(f.index).Interface().(*Graph); ok && g != nil {
			out = append(out, g)
		}
	}
	return out
}
