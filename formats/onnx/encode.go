package onnx

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// encodeTensor writes a TensorProto; place, if not nil, may move the data to an external file.
func encodeTensor(name string, t *tensor.Tensor, place *placement) (*message, error) {
	m := &message{}
	m.dims(1, t.Shape)
	m.int(2, int64(t.DType))
	m.string(8, name)
	switch {
	case t.DType == tensor.String:
		m.strings(6, t.Strings)
	case t.DType >= tensor.Sequence || !t.DType.Valid():
		return nil, fmt.Errorf("tensor %q: a %s cannot be an initializer or attribute", name, t.DType)
	case place != nil && len(t.Data) >= externalMin:
		m.entry(13, "location", place.location)
		m.entry(13, "offset", strconv.FormatInt(place.add(t.Data), 10))
		m.entry(13, "length", strconv.Itoa(len(t.Data)))
		m.int(14, 1)
	default:
		m.alias(9, t.Data)
	}
	return m, nil
}

func (m *message) dims(id protowire.Number, shape []int) {
	var packed []byte
	for _, d := range shape {
		packed = protowire.AppendVarint(packed, uint64(d))
	}
	if packed != nil {
		m.bytes(id, packed)
	}
}

// WriteTensor encodes a TensorProto, as the .pb files of ONNX's test data hold it.
func WriteTensor(name string, t *tensor.Tensor) ([]byte, error) {
	m, err := encodeTensor(name, t, nil)
	if err != nil {
		return nil, err
	}
	return m.all(), nil
}

// encodeValue writes a ValueInfoProto.
func encodeValue(name string, v *graph.Value) *message {
	m := &message{}
	m.string(1, name)
	if t := typeBytes(v); t != nil {
		m.bytes(2, t)
	}
	m.string(3, v.Meta[metaDoc])
	m.props(4, v.Meta)
	return m
}

// typeBytes prefers the file's own words if they still say the same.
func typeBytes(v *graph.Value) []byte {
	if v.Meta[metaListed] == listedBare {
		return nil
	}
	zip, maps := zipMapOf(v)
	if raw := v.Meta[metaType]; raw != "" {
		t, _, err := decodeType(span{[]byte(raw), 0}, 0)
		if err == nil && (maps && !isTensor(t) || v.DType == tensor.Undefined || t.String() == v.Type.String()) {
			return []byte(raw)
		}
	}
	if maps {
		return mapsType(zip)
	}
	return encodeType(v.Type)
}

// props writes metadata_props kept under metaProp.
func (m *message) props(id protowire.Number, meta map[string]string) {
	for _, k := range sortedKeys(meta) {
		if rest, ok := strings.CutPrefix(k, metaProp); ok {
			m.entry(id, rest, meta[k])
		}
	}
}

// encodeAttr writes an AttributeProto; bodies are written inside the scope s.
func (w *writer) encodeAttr(a graph.Attr, s *nameScope) (*message, error) {
	m := &message{}
	m.string(1, a.Name)
	m.string(13, a.Doc)
	switch v := a.Value.(type) {
	case float32:
		m.int(20, attrFloat)
		m.grow(func(b []byte) []byte {
			return protowire.AppendFixed32(protowire.AppendTag(b, 2, protowire.Fixed32Type), math.Float32bits(v))
		})
	case int64:
		m.int(20, attrInt)
		m.int(3, v)
	case string:
		m.int(20, attrString)
		m.bytes(4, []byte(v))
	case []float32:
		m.int(20, attrFloats)
		for _, f := range v {
			m.grow(func(b []byte) []byte {
				return protowire.AppendFixed32(protowire.AppendTag(b, 7, protowire.Fixed32Type), math.Float32bits(f))
			})
		}
	case []int64:
		m.int(20, attrInts)
		for _, i := range v {
			m.int(8, i)
		}
	case []string:
		m.int(20, attrStrings)
		m.strings(9, v)
	case graph.Type:
		m.int(20, attrType)
		m.bytes(14, encodeType(v))
	case []graph.Type:
		m.int(20, attrTypes)
		for _, t := range v {
			m.bytes(15, encodeType(t))
		}
	default:
		return m, w.encodeLarge(m, a, s)
	}
	return m, nil
}

// encodeLarge writes tensors and graphs.
func (w *writer) encodeLarge(m *message, a graph.Attr, s *nameScope) error {
	single := func(id protowire.Number) func(sub *message, err error) error {
		return func(sub *message, err error) error {
			if err == nil {
				m.message(id, sub)
			}
			return err
		}
	}
	switch v := a.Value.(type) {
	case *tensor.Tensor:
		m.int(20, attrTensor)
		return single(5)(encodeTensor("", v, nil))
	case []*tensor.Tensor:
		m.int(20, attrTensors)
		for _, t := range v {
			if err := single(10)(encodeTensor("", t, nil)); err != nil {
				return err
			}
		}
		return nil
	case *graph.Graph:
		m.int(20, attrGraph)
		return single(6)(w.encodeGraph(v, s))
	case []*graph.Graph:
		m.int(20, attrGraphs)
		for _, g := range v {
			if err := single(11)(w.encodeGraph(g, s)); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("attribute %s: ONNX has no place for a %T", a.Name, a.Value)
}
