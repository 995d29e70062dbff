package ops

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// formula adds the nodes of one operator's gradient to a graph, under names made from that operator's node.
type formula struct {
	b    *graph.Builder
	name string
}

// gradient starts the gradient of n.
func gradient(b *graph.Builder, n *graph.Node) formula { return formula{b, n.Name + "_grad"} }

// none is the gradient of a node through which nothing flows.
func none(n *graph.Node) []*graph.Value { return make([]*graph.Value, len(n.In)) }

// to is the gradient of a node whose first input alone has one.
func to(n *graph.Node, dx *graph.Value) []*graph.Value {
	d := none(n)
	d[0] = dx
	return d
}

// fail keeps the first reason why n has no gradient, and gives none.
func fail(b *graph.Builder, n *graph.Node, format string, args ...any) []*graph.Value {
	if b.Err == nil {
		b.Err = graph.NodeError(n, fmt.Errorf("no gradient: "+format, args...))
	}
	return none(n)
}

// node adds an operator with one output.
func (f formula) node(op graph.Op, in ...*graph.Value) *graph.Value {
	return f.b.Add(f.name, op, in...)
}

// The four operations broadcast; their inputs have the same element type.
func (f formula) add(x, y *graph.Value) *graph.Value { return f.node(Add{}, x, y) }
func (f formula) sub(x, y *graph.Value) *graph.Value { return f.node(Sub{}, x, y) }
func (f formula) mul(x, y *graph.Value) *graph.Value { return f.node(Mul{}, x, y) }
func (f formula) div(x, y *graph.Value) *graph.Value { return f.node(Div{}, x, y) }
func (f formula) neg(x *graph.Value) *graph.Value    { return f.node(Neg{}, x) }

// square is x·x.
func (f formula) square(x *graph.Value) *graph.Value { return f.mul(x, x) }

// num is the scalar constant v of the element type of `like`.
func (f formula) num(like *graph.Value, v float64) *graph.Value {
	t := tensor.New(like.DType)
	if err := tensor.SetFloat64s(t, []float64{v}); err != nil && f.b.Err == nil {
		f.b.Err = fmt.Errorf("%s: %w", f.name, err)
	}
	return f.b.Const(f.name+"_c", t)
}

// scale is v·x.
func (f formula) scale(x *graph.Value, v float64) *graph.Value {
	if v == 1 {
		return x
	}
	return f.mul(x, f.num(x, v))
}

// shift is x + v.
func (f formula) shift(x *graph.Value, v float64) *graph.Value { return f.add(x, f.num(x, v)) }

// less is v - x.
func (f formula) less(v float64, x *graph.Value) *graph.Value { return f.sub(f.num(x, v), x) }

// zeros is a constant of zeros like v.
func (f formula) zeros(v *graph.Value) *graph.Value {
	return f.b.Const(f.name+"_zeros", tensor.New(v.DType, f.shape(v)...))
}

// ints is a constant vector of int64.
func (f formula) ints(v ...int) *graph.Value {
	return f.b.Const(f.name+"_i", tensor.From(mapSlice(v, func(n int) int64 { return int64(n) }), len(v)))
}

// shape is v's shape, which must be fixed where gradients are built.
func (f formula) shape(v *graph.Value) []int {
	s, ok := v.Fixed()
	if !ok && f.b.Err == nil {
		f.b.Err = fmt.Errorf("%s: no gradient: the shape of %q is not fixed: %s", f.name, v.Name, v.Type)
	}
	return s
}

// reshape gives v another shape.
func (f formula) reshape(v *graph.Value, shape []int) *graph.Value {
	if s := f.shape(v); sameInts(s, shape) {
		return v
	}
	return f.node(Reshape{AllowZero: true}, v, f.ints(shape...))
}

// like gives v the shape of `other`.
func (f formula) like(v, other *graph.Value) *graph.Value { return f.reshape(v, f.shape(other)) }

// sum adds up over axes.
func (f formula) sum(v *graph.Value, keep bool, axes ...int) *graph.Value {
	if len(axes) == 0 {
		return v
	}
	return f.node(ReduceSum{Keepdims: keep}, v, f.ints(axes...))
}

// sumTo undoes broadcasting: it adds up what of v came from the same element of a tensor of the given shape.
func (f formula) sumTo(v *graph.Value, shape []int) *graph.Value {
	from := f.shape(v)
	lead := len(from) - len(shape)
	var axes []int
	inside := false
	for i, n := range from {
		if i < lead || shape[i-lead] == 1 && n != 1 {
			axes = append(axes, i)
			inside = inside || i >= lead
		}
	}
	return f.reshape(f.sum(v, inside, axes...), shape)
}
