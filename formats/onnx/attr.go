package onnx

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

type constTensor = tensor.Tensor

// attrs decodes a node's attributes; inside a function, references to the function's own are resolved.
func (l *loader) attrs(c *call) ([]graph.Attr, error) {
	s := c.s
	var out []graph.Attr
	seen := map[string]bool{}
	for _, a := range c.at.attrs {
		in := s
		name := a.name
		if a.ref != "" {
			if s.call == nil {
				return nil, a.fail("attribute %q refers to %q outside of a function", name, a.ref)
			}
			if a, in = s.call.attr(a.ref); a == nil {
				continue // an optional attribute that the caller leaves out
			}
		}
		if seen[name] {
			return nil, a.fail("attribute %q is given twice", name)
		}
		seen[name] = true
		v, err := c.attrValue(a, in)
		if err != nil {
			return nil, err
		}
		out = append(out, graph.Attr{Name: name, Value: v, Doc: a.doc})
	}
	return out, nil
}

// attrValue decodes one attribute by its type or, in files from before there was one, by the field that is present.
func (c *call) attrValue(a *attrProto, s *scope) (any, error) {
	kind := a.typ
	if kind == 0 {
		kind = a.seen
	}
	switch kind {
	case attrFloat:
		return a.f, nil
	case attrInt:
		return a.i, nil
	case attrString:
		return a.s, nil
	case attrFloats:
		return append([]float32{}, a.floats...), nil
	case attrInts:
		return append([]int64{}, a.ints...), nil
	case attrStrings:
		return append([]string{}, a.strings...), nil
	case attrTensor, attrTensors, attrSparse, attrSparses:
		return c.l.attrTensors(a, kind)
	case attrGraph, attrGraphs:
		return c.attrGraphs(a, kind, s)
	case attrType, attrTypes:
		return attrTypesOf(a, kind)
	}
	return nil, a.fail("attribute %q has the unknown type %d", a.name, kind)
}

func one[T any](a *attrProto, list []T, single bool) (any, error) {
	if !single {
		return list, nil
	}
	if len(list) != 1 {
		return nil, a.fail("attribute %q: want one value, the file has %d", a.name, len(list))
	}
	return list[0], nil
}

func (l *loader) attrTensors(a *attrProto, kind int64) (any, error) {
	list := []*tensor.Tensor{}
	for _, p := range a.tensors {
		t, err := p.build(l.src)
		if err != nil {
			return nil, fmt.Errorf("attribute %s: %w", a.name, err)
		}
		list = append(list, t)
	}
	for _, p := range a.sparse {
		t, err := p.build(l.src)
		if err != nil {
			return nil, fmt.Errorf("attribute %s: %w", a.name, err)
		}
		list = append(list, t)
	}
	return one(a, list, kind == attrTensor || kind == attrSparse)
}

// attrGraphs converts bodies; what they read from outside is collected in their scopes for attachBodies.
func (c *call) attrGraphs(a *attrProto, kind int64, s *scope) (any, error) {
	list := []*graph.Graph{}
	for _, p := range a.graphs {
		b := &scope{g: &graph.Graph{Name: graphName(p.name)}, values: map[string]*graph.Value{}, outer: s, opsets: s.opsets, call: s.call}
		if err := c.l.body(p, b); err != nil {
			return nil, err
		}
		bodyMeta(p, b.g)
		c.bodies = append(c.bodies, b)
		list = append(list, b.g)
	}
	return one(a, list, kind == attrGraph)
}

func bodyMeta(p *graphProto, g *graph.Graph) {
	if p.doc != "" {
		setMeta(&g.Meta, metaDoc, p.doc)
	}
	for _, kv := range p.meta {
		setMeta(&g.Meta, metaProp+kv[0], kv[1])
	}
}

func attrTypesOf(a *attrProto, kind int64) (any, error) {
	list := []graph.Type{}
	for _, s := range a.types {
		t, _, err := decodeType(s, 0)
		if err != nil {
			return nil, err
		}
		list = append(list, t)
	}
	return one(a, list, kind == attrType)
}

// shareCaptures gives every body of a node the same trailing inputs and returns the values that feed them.
func shareCaptures(bodies []*scope) []*graph.Value {
	var outside []*graph.Value
	at := map[*graph.Value]int{}
	for _, b := range bodies {
		for _, c := range b.captured {
			if _, ok := at[c.outside]; !ok {
				at[c.outside] = len(outside)
				outside = append(outside, c.outside)
			}
		}
	}
	for _, b := range bodies {
		tail := make([]*graph.Value, len(outside))
		for _, c := range b.captured {
			tail[at[c.outside]] = c.inside
		}
		for i, v := range tail {
			if v == nil {
				tail[i] = graph.NewInput(b.free(outside[i].Name), outside[i].Type)
			}
		}
		b.g.Inputs = append(b.g.Inputs, tail...)
		b.g.Captures = len(tail)
	}
	return outside
}
