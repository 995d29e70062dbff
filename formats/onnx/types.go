package onnx

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// The keys of Meta under which values, nodes and graphs keep what the IR has no place for.
const (
	metaDoc        = "doc_string"
	metaType       = "onnx.type"        // a value: its TypeProto, where graph.Type cannot say it (maps, sparse tensors, denotations)
	metaListed     = "onnx.listed"      // a value: "input", an initializer that is also an input; "value_info", has a declared type
	metaPrefix     = "onnx."            // a graph: ir_version, producer_name, …
	metaProp       = "onnx.prop."       // a value or node: its metadata_props; a graph: the graph's own
	metaModelProp  = "onnx.model_prop." // a graph: the model's metadata_props whose keys begin with "onnx." or are "doc_string"
	metaAnnotation = "onnx.annotation"  // a graph: TensorAnnotation messages, .0, .1, …

	metaTraining      = "onnx.training_info" // a graph: messages as bytes, .0, .1, …
	metaConfiguration = "onnx.configuration"
	metaDevice        = "onnx.device" // a node, the same
)

// What metaListed may say.
const (
	listedInput = "input"
	listedInfo  = "value_info"
	listedBare  = "untyped" // an output of a body whose type the file leaves out
)

// decodeType reads a TypeProto. exact is false if graph.Type cannot express all of it.
func decodeType(s span, depth int) (t graph.Type, exact bool, err error) {
	t, exact = graph.AnyRank(tensor.Undefined), false
	if depth > maxDepth {
		return t, false, s.fail("types are nested more than %d deep", maxDepth)
	}
	denoted := false
	err = s.fields(func(f field) (err error) {
		switch f.id {
		case 1:
			t, exact, err = decodeTensorType(f.span)
		case 4, 9:
			t, exact, err = decodeElemType(f, depth)
		case 6:
			denoted = len(f.b) > 0
		}
		return err
	})
	return t, exact && !denoted, err
}

func decodeElemType(f field, depth int) (graph.Type, bool, error) {
	elem, exact := graph.AnyRank(tensor.Undefined), false
	err := f.fields(func(g field) (err error) {
		if g.id == 1 {
			elem, exact, err = decodeType(g.span, depth+1)
		}
		return err
	})
	if f.id == 4 {
		return graph.SequenceOf(elem), exact, err
	}
	return graph.OptionalOf(elem), exact, err
}

func decodeTensorType(s span) (t graph.Type, exact bool, err error) {
	t, exact = graph.AnyRank(tensor.Undefined), true
	err = s.fields(func(f field) error {
		switch f.id {
		case 1:
			if f.num >= uint64(tensor.Sequence) || f.num != 0 && !tensor.DType(f.num).Valid() {
				return f.fail("unknown element type %d", f.num)
			}
			t.DType = tensor.DType(f.num)
		case 2:
			t.Unranked, t.Shape = false, []graph.Dim{}
			return f.fields(func(f field) error {
				if f.id != 1 {
					return nil
				}
				d, plain, err := decodeDim(f.span)
				t.Shape = append(t.Shape, d)
				exact = exact && plain
				return err
			})
		}
		return nil
	})
	return t, exact && t.DType != tensor.Undefined, err
}

func decodeDim(s span) (d graph.Dim, plain bool, err error) {
	plain = true
	err = s.fields(func(f field) error {
		switch f.id {
		case 1:
			if n := int64(f.num); n >= 0 {
				d = graph.Fixed(int(n))
			}
		case 2:
			d = dimOf(string(f.b))
		case 3:
			plain = len(f.b) == 0
		}
		return nil
	})
	return d, plain, err
}

var (
	simpleProduct = regexp.MustCompile(`^([0-9]{1,9}\*)*[A-Za-z_][\w.]*(\*([A-Za-z_][\w.]*|[0-9]{1,9}))*$`)
	escaped       = regexp.MustCompile(`%[0-9A-F]{2}`)
)

// dimOf reads a dim_param. Products such as "2*seq" are products; in other names the characters that mean something
// to graph.Dim are escaped as %2A.
func dimOf(param string) graph.Dim {
	if param == "" {
		return graph.Dim{}
	}
	if simpleProduct.MatchString(param) {
		if d, err := graph.ParseDim(param); err == nil {
			return d
		}
	}
	var b strings.Builder
	for i := range len(param) {
		c := param[i]
		if strings.IndexByte("*,[]()%?\" \\", c) >= 0 || c < ' ' || i == 0 && c >= '0' && c <= '9' || i == 0 && (c == '-' || c == '+') {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return graph.Named(b.String())
}

// dimParam is the inverse of dimOf.
func dimParam(d graph.Dim) string {
	return escaped.ReplaceAllStringFunc(d.String(), func(s string) string {
		c, _ := strconv.ParseUint(s[1:], 16, 8)
		return string([]byte{byte(c)})
	})
}

// encodeType writes a TypeProto; nil for an unknown type.
func encodeType(t graph.Type) []byte {
	switch {
	case t.DType == tensor.Undefined:
		return nil
	case t.DType == tensor.Sequence || t.DType == tensor.Optional:
		num := protowire.Number(4)
		if t.DType == tensor.Optional {
			num = 9
		}
		var inner []byte
		if t.Elem != nil {
			if e := encodeType(*t.Elem); e != nil {
				inner = appendBytes(nil, 1, e)
			}
		}
		return appendBytes(nil, num, inner)
	}
	body := appendInt(nil, 1, int64(t.DType))
	if !t.Unranked {
		var shape []byte
		for _, d := range t.Shape {
			var dim []byte
			if n, ok := d.Value(); ok {
				dim = appendInt(nil, 1, int64(n))
			} else if d.Known() {
				dim = appendBytes(nil, 2, []byte(dimParam(d)))
			}
			shape = appendBytes(shape, 1, dim)
		}
		body = appendBytes(body, 2, shape)
	}
	return appendBytes(nil, 1, body)
}

func appendInt(b []byte, num protowire.Number, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), uint64(v))
}

func appendBytes(b []byte, num protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), v)
}

func appendString(b []byte, num protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, num, protowire.BytesType), s)
}
