package onnx

import "google.golang.org/protobuf/encoding/protowire"

// The structs below hold messages of onnx-ml.proto as the file has them, strings and numbers decoded, tensor data not.

type modelProto struct {
	irVersion, modelVersion                    int64
	producerName, producerVersion, domain, doc string
	opsets                                     []opsetID
	graph                                      *graphProto
	meta                                       [][2]string
	functions                                  []*functionProto
	training, configuration                    []string // kept as bytes
}

type opsetID struct {
	domain  string
	version int64
}

type graphProto struct {
	span
	name, doc              string
	nodes                  []*nodeProto
	initializers           []*tensorProto
	sparse                 []*sparseProto
	inputs, outputs, infos []*valueProto
	meta                   [][2]string
	annotations            []string // TensorAnnotation messages
}

type nodeProto struct {
	span
	name, op, domain, overload, doc string
	in, out                         []string
	attrs                           []*attrProto
	meta                            [][2]string
	devices                         []string
}

type valueProto struct {
	span
	name, doc string
	typ       *span
	meta      [][2]string
}

type attrProto struct {
	span
	name, ref, doc string
	typ            int64
	f              float32
	i              int64
	s              string
	floats         []float32
	ints           []int64
	strings        []string
	tensors        []*tensorProto // t and tensors
	graphs         []*graphProto  // g and graphs
	sparse         []*sparseProto
	types          []span
	seen           int64 // the kind that the fields present suggest
}

type functionProto struct {
	name, domain, overload, doc string
	in, out, attrs              []string
	defaults                    []*attrProto
	nodes                       []*nodeProto
	opsets                      []opsetID
	infos                       []*valueProto
}

// maxDepth bounds the nesting of graphs, types and function calls.
const maxDepth = 64

func decodeModel(s span) (*modelProto, error) {
	m := &modelProto{}
	err := s.fields(func(f field) error {
		switch f.id {
		case 1:
			return f.int(&m.irVersion)
		case 2:
			return f.string(&m.producerName)
		case 3:
			return f.string(&m.producerVersion)
		case 4:
			return f.string(&m.domain)
		case 5:
			return f.int(&m.modelVersion)
		case 6:
			return f.string(&m.doc)
		case 7:
			return f.graph(&m.graph, 0)
		case 8:
			return f.opset(&m.opsets)
		case 14:
			return f.entry(&m.meta)
		case 20:
			return f.strings(&m.training)
		case 25:
			return f.function(&m.functions)
		case 26:
			return f.strings(&m.configuration)
		}
		return nil
	})
	return m, err
}

func (f field) opset(dst *[]opsetID) error {
	var o opsetID
	s, err := f.message()
	if err != nil {
		return err
	}
	err = s.fields(func(f field) error {
		switch f.id {
		case 1:
			return f.string(&o.domain)
		case 2:
			return f.int(&o.version)
		}
		return nil
	})
	*dst = append(*dst, o)
	return err
}

func (f field) graph(dst **graphProto, depth int) error {
	s, err := f.message()
	if err != nil {
		return err
	}
	if depth > maxDepth {
		return s.fail("graphs are nested more than %d deep", maxDepth)
	}
	if *dst == nil {
		*dst = &graphProto{span: s}
	}
	g := *dst
	return s.fields(func(f field) error {
		switch f.id {
		case 1:
			return f.node(&g.nodes, depth)
		case 2:
			return f.string(&g.name)
		case 5:
			return f.tensor(&g.initializers)
		case 10:
			return f.string(&g.doc)
		case 11:
			return f.value(&g.inputs)
		case 12:
			return f.value(&g.outputs)
		case 13:
			return f.value(&g.infos)
		case 14:
			return f.strings(&g.annotations)
		case 15:
			return f.sparse(&g.sparse)
		case 16:
			return f.entry(&g.meta)
		}
		return nil
	})
}

func (f field) node(dst *[]*nodeProto, depth int) error {
	s, err := f.message()
	if err != nil {
		return err
	}
	n := &nodeProto{span: s}
	*dst = append(*dst, n)
	return s.fields(func(f field) error {
		switch f.id {
		case 1:
			return f.strings(&n.in)
		case 2:
			return f.strings(&n.out)
		case 3:
			return f.string(&n.name)
		case 4:
			return f.string(&n.op)
		case 5:
			return f.attr(&n.attrs, depth)
		case 6:
			return f.string(&n.doc)
		case 7:
			return f.string(&n.domain)
		case 8:
			return f.string(&n.overload)
		case 9:
			return f.entry(&n.meta)
		case 10:
			return f.strings(&n.devices)
		}
		return nil
	})
}

func (f field) value(dst *[]*valueProto) error {
	s, err := f.message()
	if err != nil {
		return err
	}
	v := &valueProto{span: s}
	*dst = append(*dst, v)
	return s.fields(func(f field) error {
		switch f.id {
		case 1:
			return f.string(&v.name)
		case 2:
			v.typ = &f.span
			return f.want(protowire.BytesType)
		case 3:
			return f.string(&v.doc)
		case 4:
			return f.entry(&v.meta)
		}
		return nil
	})
}

// The numbers of AttributeProto.AttributeType.
const (
	attrFloat = 1 + iota
	attrInt
	attrString
	attrTensor
	attrGraph
	attrFloats
	attrInts
	attrStrings
	attrTensors
	attrGraphs
	attrSparse
	attrSparses
	attrType
	attrTypes
)

// attrKinds maps the field numbers of AttributeProto that hold a value to its type.
var attrKinds = map[protowire.Number]int64{
	2: attrFloat, 3: attrInt, 4: attrString, 5: attrTensor, 6: attrGraph, 7: attrFloats, 8: attrInts, 9: attrStrings,
	10: attrTensors, 11: attrGraphs, 14: attrType, 15: attrTypes, 22: attrSparse, 23: attrSparses,
}

func (f field) attr(dst *[]*attrProto, depth int) error {
	s, err := f.message()
	if err != nil {
		return err
	}
	a := &attrProto{span: s}
	*dst = append(*dst, a)
	return s.fields(func(f field) error {
		if k := attrKinds[f.id]; k != 0 {
			a.seen = k
			return f.attrValue(a, depth)
		}
		switch f.id {
		case 1:
			return f.string(&a.name)
		case 13:
			return f.string(&a.doc)
		case 20:
			return f.int(&a.typ)
		case 21:
			return f.string(&a.ref)
		}
		return nil
	})
}

func (f field) attrValue(a *attrProto, depth int) error {
	switch f.id {
	case 2:
		var v []float32
		if err := f.floats(&v); err != nil || len(v) != 1 {
			return f.fail("attribute %q: bad float", a.name)
		}
		a.f = v[0]
	case 3:
		return f.int(&a.i)
	case 4:
		return f.string(&a.s)
	case 5, 10:
		return f.tensor(&a.tensors)
	case 6, 11:
		var g *graphProto
		err := f.graph(&g, depth+1)
		a.graphs = append(a.graphs, g)
		return err
	case 7:
		return f.floats(&a.floats)
	case 8:
		return f.ints(&a.ints)
	case 9:
		return f.strings(&a.strings)
	case 14, 15:
		a.types = append(a.types, f.span)
		return f.want(protowire.BytesType)
	case 22, 23:
		return f.sparse(&a.sparse)
	}
	return nil
}

func (f field) function(dst *[]*functionProto) error {
	s, err := f.message()
	if err != nil {
		return err
	}
	fn := &functionProto{}
	*dst = append(*dst, fn)
	return s.fields(func(f field) error {
		switch f.id {
		case 1:
			return f.string(&fn.name)
		case 4:
			return f.strings(&fn.in)
		case 5:
			return f.strings(&fn.out)
		case 6:
			return f.strings(&fn.attrs)
		case 7:
			return f.node(&fn.nodes, 0)
		case 8:
			return f.string(&fn.doc)
		case 9:
			return f.opset(&fn.opsets)
		case 10:
			return f.string(&fn.domain)
		case 11:
			return f.attr(&fn.defaults, 0)
		case 12:
			return f.value(&fn.infos)
		case 13:
			return f.string(&fn.overload)
		}
		return nil
	})
}
