package ops

import (
	"math"

	"github.com/tfsopt/tfsopt/graph"
)

// slope is the gradient of an operator on single elements: that of the result times the derivative, which d gives from
// input and result.
func slope(b *graph.Builder, n *graph.Node, dOut []*graph.Value, d func(f formula, x, y *graph.Value) *graph.Value) []*graph.Value {
	if dOut[0] == nil || !n.In[0].DType.IsFloat() {
		return none(n)
	}
	f := gradient(b, n)
	return to(n, f.mul(dOut[0], d(f, n.In[0], n.Out[0])))
}

// Grad is nothing: the result is constant but for steps.
func (Sign) Grad(_ *graph.Builder, n *graph.Node, _ []*graph.Value) []*graph.Value { return none(n) }

// Grad is nothing: the result is constant but for steps.
func (Ceil) Grad(_ *graph.Builder, n *graph.Node, _ []*graph.Value) []*graph.Value { return none(n) }

// Grad is nothing: the result is constant but for steps.
func (Floor) Grad(_ *graph.Builder, n *graph.Node, _ []*graph.Value) []*graph.Value { return none(n) }

// Grad is nothing: the result is constant but for steps.
func (Round) Grad(_ *graph.Builder, n *graph.Node, _ []*graph.Value) []*graph.Value { return none(n) }

// Grad is dy·sign(x).
func (Abs) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return slope(b, n, dOut, func(f formula, x, _ *graph.Value) *graph.Value { return f.node(Sign{}, x) })
}

// Grad is -dy.
func (Neg) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil {
		return none(n)
	}
	return to(n, gradient(b, n).neg(dOut[0]))
}

// Grad is dy·y.
func (Exp) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return slope(b, n, dOut, func(_ formula, _, y *graph.Value) *graph.Value { return y })
}

// Grad is dy/x.
func (Log) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return slope(b, n, dOut, func(f formula, x, _ *graph.Value) *graph.Value { return f.node(Reciprocal{}, x) })
}

// Grad is -dy·y².
func (Reciprocal) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return slope(b, n, dOut, func(f formula, _, y *graph.Value) *graph.Value { return f.neg(f.square(y)) })
}

// Grad is dy/2y.
func (Sqrt) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return slope(b, n, dOut, func(f formula, _, y *graph.Value) *graph.Value { return f.div(f.num(y, 0.5), y) })
}

// Grad is dy·2/√π·exp(-x²).
func (Erf) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return slope(b, n, dOut, func(f formula, x, _ *graph.Value) *graph.Value {
		return f.scale(f.node(Exp{}, f.neg(f.square(x))), 2/math.Sqrt(math.Pi))
	})
}

// Grad is dy·cos(x).
func (Sin) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return slope(b, n, dOut, func(f formula, x, _ *graph.Value) *graph.Value { return f.node(Cos{}, x) })
}

// Grad is -dy·sin(x).
func (Cos) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return slope(b, n, dOut, func(f formula, x, _ *graph.Value) *graph.Value { return f.neg(f.node(Sin{}, x)) })
}

// Grad is dy·(1 + y²).
func (Tan) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return slope(b, n, dOut, func(f formula, _, y *graph.Value) *graph.Value { return f.shift(f.square(y), 1) })
}

// root is 1/√v.
func (f formula) root(v *graph.Value) *graph.Value {
	return f.node(Reciprocal{}, f.node(Sqrt{}, v))
}

// Grad is dy/√(1-x²).
func (Asin) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return slope(b, n, dOut, func(f formula, x, _ *graph.Value) *graph.Value { return f.root(f.less(1, f.square(x))) })
}

// Grad is -dy/√(1-x²).
func (Acos) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return slope(b, n, dOut, func(f formula, x, _ *graph.Value) *graph.Value { return f.neg(f.root(f.less(1, f.square(x)))) })
}

// Grad is dy/(1+x²).
func (Atan) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return slope(b, n, dOut, func(f formula, x, _ *graph.Value) *graph.Value {
		return f.node(Reciprocal{}, f.shift(f.square(x), 1))
	})
}

// Grad is dy·cosh(x).
func (Sinh) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return slope(b, n, dOut, func(f formula, x, _ *graph.Value) *graph.Value { return f.node(Cosh{}, x) })
}

// Grad is dy·sinh(x).
func (Cosh) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return slope(b, n, dOut, func(f formula, x, _ *graph.Value) *graph.Value { return f.node(Sinh{}, x) })
}

// Grad is dy/√(x²+1).
func (Asinh) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return slope(b, n, dOut, func(f formula, x, _ *graph.Value) *graph.Value { return f.root(f.shift(f.square(x), 1)) })
}

// Grad is dy/√(x²-1).
func (Acosh) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return slope(b, n, dOut, func(f formula, x, _ *graph.Value) *graph.Value { return f.root(f.shift(f.square(x), -1)) })
}

// Grad is dy/(1-x²).
func (Atanh) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return slope(b, n, dOut, func(f formula, x, _ *graph.Value) *graph.Value {
		return f.node(Reciprocal{}, f.less(1, f.square(x)))
	})
}

// Grad is dy·(1-y²).
func (Tanh) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return slope(b, n, dOut, func(f formula, _, y *graph.Value) *graph.Value { return f.less(1, f.square(y)) })
}

// Grad is dy·y·(1-y).
func (Sigmoid) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return slope(b, n, dOut, func(f formula, _, y *graph.Value) *graph.Value { return f.mul(y, f.less(1, y)) })
}

// Grad is dy·sigmoid(x).
func (Softplus) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return slope(b, n, dOut, func(f formula, x, _ *graph.Value) *graph.Value { return f.node(Sigmoid{}, x) })
}

// Grad is dy·(1-|y|)².
func (Softsign) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return slope(b, n, dOut, func(f formula, _, y *graph.Value) *graph.Value { return f.square(f.less(1, f.node(Abs{}, y))) })
}

// Grad is dy.
func (Identity) Grad(_ *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return to(n, dOut[0])
}

// Grad is dy in the input's type.
func (Cast) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil || !n.In[0].DType.IsFloat() {
		return none(n)
	}
	return to(n, gradient(b, n).cast(dOut[0], n.In[0]))
}

// Grad is dy in the input's type.
func (CastLike) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return Cast{}.Grad(b, n, dOut)
}

// cast gives v the element type of `like`.
func (f formula) cast(v, like *graph.Value) *graph.Value {
	if v.DType == like.DType {
		return v
	}
	return f.node(Cast{To: int(like.DType), Saturate: true, RoundMode: "up"}, v)
}
