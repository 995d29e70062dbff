package ops

import (
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// flowsTo reports whether n's input i is there and may have a gradient.
func flowsTo(n *graph.Node, i int) bool {
	return i < len(n.In) && n.In[i] != nil && n.In[i].DType.IsFloat()
}

// toInputs sums each gradient, which has the shape of n's result, to the shape of its input.
func (f formula) toInputs(n *graph.Node, d ...*graph.Value) []*graph.Value {
	out := none(n)
	for i, v := range d {
		if v != nil && flowsTo(n, i) {
			out[i] = f.sumTo(v, f.shape(n.In[i]))
		}
	}
	return out
}

// Grad is dy for both.
func (Add) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return gradient(b, n).toInputs(n, dOut[0], dOut[0])
}

// Grad is dy and -dy.
func (Sub) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	f := gradient(b, n)
	d := f.toInputs(n, dOut[0], dOut[0])
	if d[1] != nil {
		d[1] = f.neg(d[1])
	}
	return d
}

// Grad is dy·b and dy·a.
func (Mul) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil {
		return none(n)
	}
	f := gradient(b, n)
	return f.toInputs(n, f.mul(dOut[0], n.In[1]), f.mul(dOut[0], n.In[0]))
}

// Grad is dy/b and -dy/b·y.
func (Div) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil {
		return none(n)
	}
	f := gradient(b, n)
	da := f.div(dOut[0], n.In[1])
	d := f.toInputs(n, da, f.mul(da, n.Out[0]))
	if d[1] != nil {
		d[1] = f.neg(d[1])
	}
	return d
}

// Grad is dy and, as y = a - b·q with a whole number q, -dy·q.
func (Mod) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil {
		return none(n)
	}
	f := gradient(b, n)
	q := f.node(Round{}, f.div(f.sub(n.Out[0], n.In[0]), n.In[1])) // -q
	return f.toInputs(n, dOut[0], f.mul(dOut[0], q))
}

// Grad is dy·b·a^(b-1) and dy·y·log(a); the latter is 0 where a is not positive.
func (Pow) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	dy := dOut[0]
	if dy == nil || !dy.DType.IsFloat() {
		return none(n)
	}
	f, x := gradient(b, n), n.In[0]
	d := f.toInputs(n, f.mul(dy, f.powSlope(x, n.In[1])))
	if !flowsTo(n, 1) {
		return d
	}
	zero := f.num(x, 0)
	log := f.choose(f.node(Greater{}, x, zero), f.node(Log{}, x), zero)
	d[1] = f.cast(f.sumTo(f.mul(f.mul(dy, n.Out[0]), log), f.shape(n.In[1])), n.In[1])
	return d
}

// powSlope is e·x^(e-1), 0 where e is 0 whatever x is.
func (f formula) powSlope(x, e *graph.Value) *graph.Value {
	if e.IsConst() && e.Const.Len() == 1 {
		switch v := tensor.Float64s(e.Const)[0]; v {
		case 0, 1:
			return f.num(x, v)
		case 2:
			return f.scale(x, 2)
		default:
			return f.scale(f.node(Pow{}, x, f.num(x, v-1)), v)
		}
	}
	e = f.cast(e, x)
	zero := f.num(x, 0)
	return f.choose(f.node(Equal{}, e, zero), zero, f.mul(e, f.node(Pow{}, x, f.shift(e, -1))))
}

// Grad is dy for the first of the inputs that are the smallest.
func (Min) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return gradient(b, n).toFirst(n, dOut[0])
}

// Grad is dy for the first of the inputs that are the largest.
func (Max) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return gradient(b, n).toFirst(n, dOut[0])
}

// toFirst gives each element of dy to the first input that equals the result there.
func (f formula) toFirst(n *graph.Node, dy *graph.Value) []*graph.Value {
	if dy == nil || !dy.DType.IsFloat() {
		return none(n)
	}
	if len(n.In) == 1 {
		return to(n, dy)
	}
	d, zero := none(n), f.num(dy, 0)
	for i, x := range n.In {
		takes := f.node(Equal{}, x, n.Out[0])
		d[i] = f.choose(takes, dy, zero)
		dy = f.choose(takes, zero, dy)
	}
	return f.toInputs(n, d...)
}

// Grad is dy for each input.
func (Sum) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return gradient(b, n).toAll(n, dOut[0], 1)
}

// Grad is dy for each input, divided by their number.
func (Mean) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return gradient(b, n).toAll(n, dOut[0], 1/float64(len(n.In)))
}

func (f formula) toAll(n *graph.Node, dy *graph.Value, share float64) []*graph.Value {
	if dy == nil {
		return none(n)
	}
	d := none(n)
	dy = f.scale(dy, share)
	for i := range d {
		d[i] = dy
	}
	return f.toInputs(n, d...)
}

// Grad is dy where the condition is set for input 1, elsewhere for input 2.
func (Where) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	dy := dOut[0]
	if dy == nil || !dy.DType.IsFloat() {
		return none(n)
	}
	f := gradient(b, n)
	zero := f.num(dy, 0)
	return f.toInputs(n, nil, f.choose(n.In[0], dy, zero), f.choose(n.In[0], zero, dy))
}
