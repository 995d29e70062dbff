package graph

import "github.com/tfsopt/tfsopt/tensor"

// Builder adds nodes and constants to a graph under fresh names. The first failed inference is kept in Err and later
// calls go on, so that callers check once.
type Builder struct {
	G     *Graph
	Err   error
	names Namer
}

// NewBuilder makes a builder for g.
func NewBuilder(g *Graph) *Builder { return &Builder{G: g} }

// Fresh gives an unused name.
func (b *Builder) Fresh(base string) string {
	if b.names == nil {
		b.names = b.G.Names()
	}
	return b.names.Fresh(base)
}

// Const makes a constant value.
func (b *Builder) Const(name string, t *tensor.Tensor) *Value { return NewConst(b.Fresh(name), t) }

// Add appends a node with one output, which has the node's name, and returns that output.
func (b *Builder) Add(name string, op Op, in ...*Value) *Value { return b.AddN(name, 1, op, in...)[0] }

// AddN appends a node with several outputs.
func (b *Builder) AddN(name string, outs int, op Op, in ...*Value) []*Value {
	n := &Node{Name: b.Fresh(name), Op: op, In: in}
	for range outs {
		n.Out = append(n.Out, &Value{Name: b.Fresh(name + "_out"), Def: n, Fact: Fact{Type: AnyRank(tensor.Undefined)}})
	}
	if err := InferNode(n); err != nil && b.Err == nil {
		b.Err = err
	}
	b.G.Nodes = append(b.G.Nodes, n)
	return n.Out
}
