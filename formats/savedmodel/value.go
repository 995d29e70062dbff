package savedmodel

import (
	"strconv"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// value is what an edge of TensorFlow's graph holds while it is converted: exactly one field is set, but for name.
type value struct {
	v     *graph.Value   // a tensor that is computed
	t     *tensor.Tensor // a tensor that is known
	name  string         // of t, in the model
	res   *resource      // a handle or a reference
	saved *savedTensor   // a tensor of the bundle that nobody has read yet
	list  *tensorList
}

func (x value) empty() bool { return x == value{} }

// savedTensor names a tensor of the bundle, or a box within one.
type savedTensor struct{ key, box string }

// resource is a variable or a table.
type resource struct {
	name  string // shared name, or the node's
	dtype tensor.DType
	typ   graph.Type
	init  value // what restoring or initializing left; empty: unknown
	// changes says that some signature assigns to it: it is a state then, else a constant.
	changes bool
	state   *graph.Value
	table   bool
	keyType tensor.DType // of a table, whose values have dtype
	keys    value
	values  value
}

// builder adds nodes to one graph; constants become values of it when they are first used.
type builder struct {
	*graph.Builder
	consts map[*tensor.Tensor]*graph.Value
	named  map[string]int // how often a name was asked for: the search for a free one begins there
	outer  *builder       // of a body: the builder of the graph around it
	// captures are the values from outside that a body uses, by the inputs that stand for them.
	captures []capture
}

type capture struct{ outside, inside *graph.Value }

func newBuilder(g *graph.Graph, outer *builder) *builder {
	return &builder{Builder: graph.NewBuilder(g), consts: map[*tensor.Tensor]*graph.Value{}, named: map[string]int{}, outer: outer}
}

// hint gives a name that is likely to be free.
func (b *builder) hint(base string) string {
	n := b.named[base]
	b.named[base]++
	if n == 0 {
		return base
	}
	return base + "_" + strconv.Itoa(n)
}

// Add, AddN and Const are those of the graph's builder, quicker where a name is asked for often.
func (b *builder) Add(name string, op graph.Op, in ...*graph.Value) *graph.Value {
	return b.AddN(name, 1, op, in...)[0]
}

func (b *builder) AddN(name string, outs int, op graph.Op, in ...*graph.Value) []*graph.Value {
	return b.Builder.AddN(b.hint(name), outs, op, in...)
}

func (b *builder) Const(name string, t *tensor.Tensor) *graph.Value {
	return b.Builder.Const(b.hint(name), t)
}

// constant gives the value of a known tensor in this graph.
func (b *builder) constant(t *tensor.Tensor, name string) *graph.Value {
	v := b.consts[t]
	if v == nil {
		if name == "" {
			name = "const"
		}
		v = b.Const(name, t)
		b.consts[t] = v
	}
	return v
}

// ints makes a constant of rank 1.
func (b *builder) ints(v ...int64) *graph.Value { return b.Const("const", tensor.From(v, len(v))) }

// state gives the value of a variable here: in a body it is captured.
func (b *builder) state(outside *graph.Value) *graph.Value {
	if b.outer == nil {
		return outside
	}
	outside = b.outer.state(outside)
	for _, c := range b.captures {
		if c.outside == outside {
			return c.inside
		}
	}
	in := graph.NewInput(b.Fresh(outside.Name), outside.Type)
	b.captures = append(b.captures, capture{outside, in})
	return in
}
