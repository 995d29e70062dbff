package graph

import (
	"maps"
	"reflect"
	"slices"

	"github.com/tfsopt/tfsopt/tensor"
)

// Clone copies all that a pass may change: nodes, values with their types, attributes, bodies, metadata, entry points.
// Only tensors are shared, since they never change.
func (g *Graph) Clone() *Graph {
	c, _ := g.CloneMap()
	return c
}

// CloneMap is Clone, with the map from old values to new ones (of this graph, not of its bodies).
func (g *Graph) CloneMap() (*Graph, map[*Value]*Value) {
	c := cloner{values: map[*Value]*Value{}, nodes: make(map[*Node]*Node, len(g.Nodes))}
	return c.graph(g), c.values
}

// cloner copies one graph; bodies have cloners of their own.
type cloner struct {
	values map[*Value]*Value
	nodes  map[*Node]*Node
}

func (c cloner) graph(g *Graph) *Graph {
	out := *g
	out.index = Index{}
	out.Nodes = make([]*Node, len(g.Nodes))
	for i, n := range g.Nodes {
		out.Nodes[i] = &Node{Name: n.Name, Op: CloneOp(n.Op), In: c.list(n.In), Out: c.list(n.Out), Meta: maps.Clone(n.Meta)}
		c.nodes[n] = out.Nodes[i]
	}
	out.Inputs, out.Outputs, out.Unused = c.list(g.Inputs), c.list(g.Outputs), c.list(g.Unused)
	out.Opsets, out.Meta = maps.Clone(g.Opsets), maps.Clone(g.Meta)
	out.States = slices.Clone(g.States)
	for i := range out.States {
		out.States[i].Value = c.value(out.States[i].Value)
	}
	out.Signatures = slices.Clone(g.Signatures)
	for i, s := range out.Signatures {
		out.Signatures[i].Inputs, out.Signatures[i].Outputs, out.Signatures[i].Next = c.ports(s.Inputs), c.ports(s.Outputs), c.ports(s.Next)
	}
	for old, v := range c.values {
		if old.Def != nil {
			v.Def = c.nodes[old.Def]
		}
	}
	return &out
}

func (c cloner) value(v *Value) *Value {
	if v == nil {
		return nil
	}
	if w := c.values[v]; w != nil {
		return w
	}
	w := *v
	w.Type, w.Ints, w.Meta = v.Type.clone(), slices.Clone(v.Ints), maps.Clone(v.Meta)
	c.values[v] = &w
	return &w
}

func (c cloner) list(in []*Value) []*Value {
	out := slices.Clone(in)
	for i, v := range in {
		out[i] = c.value(v)
	}
	return out
}

func (c cloner) ports(in []Port) []Port {
	out := slices.Clone(in)
	for i := range out {
		out[i].Value = c.value(out[i].Value)
	}
	return out
}

func (t Type) clone() Type {
	t.Shape = slices.Clone(t.Shape)
	if t.Elem != nil {
		e := t.Elem.clone()
		t.Elem = &e
	}
	return t
}

// CloneOp copies an operator with its attributes; bodies become copies of their own, tensors are shared.
func CloneOp(op Op) Op { return WithBodies(op, (*Graph).Clone) }

// WithBodies is a copy of op in which change replaces every body.
func WithBodies(op Op, change func(*Graph) *Graph) Op { return copyOp(op, copier{graph: change}) }

// Own is a copy of op, with its bodies, that shares no tensor with it: the file that they alias may be closed.
func Own(op Op) Op {
	own := copier{tensor: (*tensor.Tensor).Clone}
	own.graph = func(g *Graph) *Graph {
		c := g.Clone()
		for _, v := range c.Values() {
			if v.Const != nil {
				v.Const = v.Const.Clone()
			}
		}
		for i, s := range c.States {
			if s.Init != nil {
				c.States[i].Init = s.Init.Clone()
			}
		}
		for _, n := range c.Nodes {
			n.Op = copyOp(n.Op, own)
		}
		return c
	}
	return copyOp(op, own)
}

// copier says what becomes of the graphs and tensors that an operator holds; tensors stay shared without a function.
type copier struct {
	graph  func(*Graph) *Graph
	tensor func(*tensor.Tensor) *tensor.Tensor
}

func copyOp(op Op, how copier) Op {
	t := reflect.TypeOf(op)
	if !holdsPointers(t) {
		return op
	}
	c := reflect.New(t).Elem()
	c.Set(reflect.ValueOf(op))
	copyDeep(c, how)
	return c.Interface().(Op)
}

// holdsPointers reports whether a copy of a struct of this type may share anything with the original.
func holdsPointers(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Struct:
		return slices.ContainsFunc(reflect.VisibleFields(t), func(f reflect.StructField) bool { return holdsPointers(f.Type) })
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
		return true
	}
	return false
}

// copyDeep replaces what v refers to by copies. v is addressable; what a package keeps to itself stays shared.
func copyDeep(v reflect.Value, how copier) {
	if !v.CanSet() {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			copyDeep(v.Field(i), how)
		}
	case reflect.Slice:
		if v.IsNil() {
			return
		}
		c := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(c, v)
		v.Set(c)
		for i := 0; i < v.Len() && holdsPointers(v.Type().Elem()); i++ {
			copyDeep(v.Index(i), how)
		}
	case reflect.Pointer:
		copyPointer(v, how)
	case reflect.Interface:
		if v.IsNil() {
			return
		}
		c := reflect.New(v.Elem().Type()).Elem()
		c.Set(v.Elem())
		copyDeep(c, how)
		v.Set(c)
	}
}

func copyPointer(v reflect.Value, how copier) {
	switch p := v.Interface().(type) {
	case *Graph:
		if p != nil {
			v.Set(reflect.ValueOf(how.graph(p)))
		}
	case *tensor.Tensor:
		if p != nil && how.tensor != nil {
			v.Set(reflect.ValueOf(how.tensor(p)))
		}
	default:
		if v.IsNil() {
			return
		}
		c := reflect.New(v.Type().Elem())
		c.Elem().Set(v.Elem())
		copyDeep(c.Elem(), how)
		v.Set(c)
	}
}
