package ops

import "github.com/tfsopt/tfsopt/graph"

// fusedSlopes take the gradient of FusedConv's result back in front of the activation, by the result y.
var fusedSlopes = map[string]func(f formula, dy, y *graph.Value, p []float32) *graph.Value{
	"":     func(_ formula, dy, _ *graph.Value, _ []float32) *graph.Value { return dy },
	"Relu": func(f formula, dy, y *graph.Value, _ []float32) *graph.Value { return f.node(ReluGrad{}, dy, y) },
	"Tanh": func(f formula, dy, y *graph.Value, _ []float32) *graph.Value {
		return f.mul(dy, f.less(1, f.square(y)))
	},
	"Sigmoid": func(f formula, dy, y *graph.Value, _ []float32) *graph.Value {
		return f.mul(dy, f.mul(y, f.less(1, y)))
	},
	"LeakyRelu": func(f formula, dy, y *graph.Value, p []float32) *graph.Value {
		if p[0] < 0 {
			return nil // y has not the sign of its argument
		}
		return f.choose(f.below(y, 0), f.scale(dy, float64(p[0])), dy)
	},
	"Clip": func(f formula, dy, y *graph.Value, p []float32) *graph.Value {
		return f.node(ClipGrad{}, dy, y, f.num(y, float64(p[0])), f.num(y, float64(p[1])))
	},
	"HardSigmoid": func(f formula, dy, y *graph.Value, p []float32) *graph.Value {
		return f.scale(f.node(ClipGrad{}, dy, y, f.num(y, 0), f.num(y, 1)), float64(p[0]))
	},
}

// Grad is Conv's after that of the activation; the sum's other input has the latter.
func (c FusedConv) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil {
		return none(n)
	}
	if err := c.check(); err != nil {
		return fail(b, n, "%w", err)
	}
	dz := fusedSlopes[c.Activation](gradient(b, n), dOut[0], n.Out[0], c.ActivationParams)
	if dz == nil {
		return fail(b, n, "through %s with %v", c.Activation, c.ActivationParams)
	}
	inner := &graph.Node{Name: n.Name, Op: c.conv(), In: n.In[:min(len(n.In), 3)]}
	d := none(n)
	copy(d, c.conv().Grad(b, inner, []*graph.Value{dz}))
	if len(n.In) > 3 && n.In[3] != nil {
		d[3] = dz
	}
	return d
}
