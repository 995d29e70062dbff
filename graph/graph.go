// Package graph is the intermediate representation that every verb works on: values, nodes, operators with typed
// attributes, symbolic shapes, subgraphs, passes, a text form, and the reference interpreter.
package graph

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tfsopt/tfsopt/tensor"
)

// Graph is a computation. Nodes need not be sorted; Sort orders them. A graph that is an operator's body is closed:
// its last Captures inputs stand for values from outside, which are the trailing inputs of the node that holds it.
type Graph struct {
	Name       string
	Inputs     []*Value
	Outputs    []*Value
	Nodes      []*Node
	Captures   int
	Opsets     map[string]int // by domain, as the file says
	Meta       map[string]string
	Signatures []Signature
	States     []State
	Unused     []*Value // initializers that nothing reads: kept so that a round trip loses nothing

	index Index // kept while a Pipeline runs
}

// Signature is an entry point. Next gives what each State becomes after a call.
type Signature struct {
	Name, Method          string
	Inputs, Outputs, Next []Port
}

// Port binds a public name ("x" for the value "x:0") to a value.
type Port struct {
	Name  string
	Value *Value
}

// State is a variable that lives between calls.
type State struct {
	Name  string
	Value *Value
	Init  *tensor.Tensor
}

// Node applies an operator. An omitted optional input or output is nil.
type Node struct {
	Name    string
	Op      Op
	In, Out []*Value
	Meta    map[string]string
}

// Value is an edge: a graph input (Def nil), a constant (Def nil, Const set) or a node's output.
type Value struct {
	Name string
	Fact
	Def  *Node
	Meta map[string]string
}

// Type is what is known of a value before it has elements. Unranked means that Shape says nothing.
type Type struct {
	DType    tensor.DType
	Shape    []Dim
	Unranked bool
	Elem     *Type // of a Sequence or Optional
}

// Fact is what shape inference knows: the type, the constant if it is one, and for small integer tensors of rank 0 or
// 1 their elements as dimensions.
type Fact struct {
	Type
	Const *tensor.Tensor
	Ints  []Dim
}

// Of makes the type of a tensor with a known rank.
func Of(d tensor.DType, shape ...Dim) Type { return Type{DType: d, Shape: append([]Dim{}, shape...)} }

// AnyRank makes the type of a tensor of unknown rank.
func AnyRank(d tensor.DType) Type { return Type{DType: d, Unranked: true} }

// SequenceOf makes the type of a sequence.
func SequenceOf(elem Type) Type { return Type{DType: tensor.Sequence, Elem: &elem, Unranked: true} }

// OptionalOf makes the type of an optional.
func OptionalOf(elem Type) Type { return Type{DType: tensor.Optional, Elem: &elem, Unranked: true} }

// Rank is the number of dimensions, -1 if unknown.
func (t Type) Rank() int {
	if t.Unranked {
		return -1
	}
	return len(t.Shape)
}

// Fixed gives the shape if it is fully known.
func (t Type) Fixed() ([]int, bool) {
	if t.Unranked {
		return nil, false
	}
	return FixedShape(t.Shape)
}

// EqualShapes reports whether two types surely have the same shape.
func EqualShapes(a, b Type) bool {
	return !a.Unranked && !b.Unranked && slices.Equal(a.Shape, b.Shape) &&
		!slices.ContainsFunc(a.Shape, func(d Dim) bool { return !d.Known() })
}

// String prints "float32[batch,3,224,224]", "int64[...]" when unranked, "sequence(float32[?])".
func (t Type) String() string {
	if t.Elem != nil {
		return fmt.Sprintf("%s(%s)", t.DType, t.Elem)
	}
	if t.Unranked {
		return t.DType.String() + "[...]"
	}
	s := make([]string, len(t.Shape))
	for i, d := range t.Shape {
		s[i] = d.String()
	}
	return t.DType.String() + "[" + strings.Join(s, ",") + "]"
}

// TypeOf is the type of a tensor that exists; items that differ have no known rank.
func TypeOf(t *tensor.Tensor) Type {
	if t.DType == tensor.Sequence || t.DType == tensor.Optional {
		ty := Type{DType: t.DType, Unranked: true, Elem: &Type{Unranked: true}}
		for i, item := range t.Items {
			e := TypeOf(item)
			if i > 0 && e.String() != ty.Elem.String() {
				e = Type{DType: e.DType, Unranked: true, Elem: elemOf(e)}
			}
			ty.Elem = &e
		}
		return ty
	}
	return Of(t.DType, Dims(t.Shape...)...)
}

// elemOf is what is known of a container's items when containers differ: nothing; nil if t is none.
func elemOf(t Type) *Type {
	if t.Elem == nil {
		return nil
	}
	return &Type{Unranked: true}
}

// FactOf is the fact of a constant.
func FactOf(t *tensor.Tensor) Fact { return Fact{Type: TypeOf(t), Const: t} }

// maxInts bounds the integer tensors whose elements inference follows.
const maxInts = 64

// Elements gives the elements of a small integer tensor as dimensions, from Ints or the constant; negative elements
// (as in Reshape's -1) cannot be dimensions and make ok false, as does anything unknown about the length.
func (f Fact) Elements() (elems []Dim, ok bool) {
	if f.Ints != nil {
		return f.Ints, true
	}
	if f.Const == nil || !f.Const.IsInt() || len(f.Const.Shape) > 1 || f.Const.Len() > maxInts {
		return nil, false
	}
	for _, v := range tensor.Ints(f.Const) {
		if v < 0 {
			return nil, false
		}
		elems = append(elems, Fixed(int(v)))
	}
	if elems == nil {
		elems = []Dim{}
	}
	return elems, true
}

// Value numbers: ConstInts gives a constant's integers, if it is one.
func (f Fact) ConstInts() ([]int, bool) {
	if f.Const == nil || !f.Const.IsInt() {
		return nil, false
	}
	v := tensor.Ints(f.Const)
	out := make([]int, len(v))
	for i, x := range v {
		out[i] = int(x)
	}
	return out, true
}

// Given reports whether the fact belongs to an input that is given: an omitted one has the zero Fact, one of unknown
// type is unranked.
func (f Fact) Given() bool { return f.DType != tensor.Undefined || f.Unranked }

// NewConst makes a constant value.
func NewConst(name string, t *tensor.Tensor) *Value { return &Value{Name: name, Fact: FactOf(t)} }

// NewInput makes a value without a definition; the caller puts it into Inputs.
func NewInput(name string, t Type) *Value { return &Value{Name: name, Fact: Fact{Type: t}} }

// IsConst reports whether the value is a constant.
func (v *Value) IsConst() bool { return v != nil && v.Def == nil && v.Const != nil }
