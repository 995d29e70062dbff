package ops

import (
	"math"

	"github.com/tfsopt/tfsopt/graph"
)

// choose is yes where the condition is set and no elsewhere.
func (f formula) choose(cond, yes, no *graph.Value) *graph.Value {
	return f.node(Where{}, cond, yes, no)
}

// below tells where x < v.
func (f formula) below(x *graph.Value, v float64) *graph.Value { return f.node(Less{}, x, f.num(x, v)) }

// Grad is dy, below zero dy·(y + alpha).
func (o Elu) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return slope(b, n, dOut, func(f formula, x, y *graph.Value) *graph.Value {
		return f.choose(f.below(x, 0), f.shift(y, float64(o.Alpha)), f.num(x, 1))
	})
}

// Grad is dy, below zero dy·(y/alpha + 1).
func (o Celu) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return slope(b, n, dOut, func(f formula, x, y *graph.Value) *graph.Value {
		return f.choose(f.below(x, 0), f.shift(f.scale(y, 1/float64(o.Alpha)), 1), f.num(x, 1))
	})
}

// Grad is dy·gamma, from zero down dy·(y + gamma·alpha).
func (o Selu) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	alpha, gamma := float64(o.Alpha), float64(o.Gamma)
	return slope(b, n, dOut, func(f formula, x, y *graph.Value) *graph.Value {
		return f.choose(f.node(Greater{}, x, f.num(x, 0)), f.num(x, gamma), f.shift(y, gamma*alpha))
	})
}

// Grad is dy, below zero dy·alpha.
func (o LeakyRelu) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return slope(b, n, dOut, func(f formula, x, _ *graph.Value) *graph.Value {
		return f.choose(f.below(x, 0), f.num(x, float64(o.Alpha)), f.num(x, 1))
	})
}

// Grad is dy, below zero dy·slope; for the slope the sum of dy·x where x is below zero.
func (PRelu) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	dy := dOut[0]
	if dy == nil || !dy.DType.IsFloat() {
		return none(n)
	}
	f, x := gradient(b, n), n.In[0]
	dx := f.mul(dy, f.choose(f.below(x, 0), n.In[1], f.num(x, 1)))
	ds := f.mul(dy, f.node(Min{}, x, f.num(x, 0)))
	return []*graph.Value{dx, f.sumTo(ds, f.shape(n.In[1]))}
}

// Grad is dy where x is above alpha.
func (o ThresholdedRelu) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil {
		return none(n)
	}
	f, x := gradient(b, n), n.In[0]
	above := f.node(Greater{}, x, f.num(x, float64(o.Alpha)))
	return to(n, f.choose(above, dOut[0], f.num(x, 0)))
}

// Grad is dy·alpha where y is between 0 and 1.
func (o HardSigmoid) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil {
		return none(n)
	}
	f, y := gradient(b, n), n.Out[0]
	return to(n, f.node(ClipGrad{}, f.scale(dOut[0], float64(o.Alpha)), y, f.num(y, 0), f.num(y, 1)))
}

// Grad is dy·(x/3 + 1/2) for x in (-3, 3), above dy, below 0.
func (HardSwish) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return slope(b, n, dOut, func(f formula, x, _ *graph.Value) *graph.Value {
		outside := f.node(Clip{}, x, f.num(x, 0), f.num(x, 1))
		return f.choose(f.below(f.node(Abs{}, x), 3), f.shift(f.scale(x, 1./3), 0.5), outside)
	})
}

// Grad is dy·(t + x·sigmoid(x)·(1-t²)) with t = tanh(softplus(x)).
func (Mish) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return slope(b, n, dOut, func(f formula, x, _ *graph.Value) *graph.Value {
		t := f.node(Tanh{}, f.node(Softplus{}, x))
		return f.add(t, f.mul(f.mul(x, f.node(Sigmoid{}, x)), f.less(1, f.square(t))))
	})
}

// Grad is dy·(Φ(x) + x·φ(x)), with the normal distribution function Φ or its approximation, and their derivative φ.
func (o Gelu) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	switch o.Approximate {
	case "none", "":
		return slope(b, n, dOut, func(f formula, x, _ *graph.Value) *graph.Value {
			cdf := f.scale(f.shift(f.node(Erf{}, f.scale(x, 1/math.Sqrt2)), 1), 0.5)
			pdf := f.scale(f.node(Exp{}, f.scale(f.square(x), -0.5)), 1/math.Sqrt(2*math.Pi))
			return f.add(cdf, f.mul(x, pdf))
		})
	case "tanh":
		return slope(b, n, dOut, geluTanhSlope)
	}
	return fail(b, n, "unknown approximation %q", o.Approximate)
}

// geluTanhSlope is (1+t)/2 + x/2·(1-t²)·u' with t = tanh(u), u = √(2/π)·(x + 0.044715·x³).
func geluTanhSlope(f formula, x, _ *graph.Value) *graph.Value {
	k, c := math.Sqrt(2/math.Pi), 0.044715
	x2 := f.square(x)
	t := f.node(Tanh{}, f.mul(x, f.shift(f.scale(x2, k*c), k)))
	du := f.shift(f.scale(x2, 3*k*c), k)
	sum := f.add(f.shift(t, 1), f.mul(f.mul(x, du), f.less(1, f.square(t))))
	return f.scale(sum, 0.5)
}

// Grad is that of Gelu.
func (MicrosoftGelu) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return Gelu{Approximate: "none"}.Grad(b, n, dOut)
}

// Grad is dy·(s + alpha·y·(1-s)) with s = sigmoid(alpha·x).
func (o Swish) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return slope(b, n, dOut, func(f formula, x, y *graph.Value) *graph.Value {
		s := f.node(Sigmoid{}, f.scale(x, float64(o.Alpha)))
		return f.add(s, f.mul(f.scale(y, float64(o.Alpha)), f.less(1, s)))
	})
}

// Grad is dy where |x| is above lambd.
func (o Shrink) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil || !n.In[0].DType.IsFloat() {
		return none(n)
	}
	f, x := gradient(b, n), n.In[0]
	outside := f.node(Greater{}, f.node(Abs{}, x), f.num(x, float64(o.Lambd)))
	return to(n, f.choose(outside, dOut[0], f.num(x, 0)))
}
