package optimize

import (
	"context"
	"math"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// Gelu finds x·½·(1 + erf(x/√2)) and its approximation x·½·(1 + tanh(√(2/π)·(x + 0.044715·x³))) (arXiv 1606.08415), in
// whatever order the factors stand, and makes it one Gelu, which needs opset 20.
type Gelu struct{}

// Name is "gelu".
func (Gelu) Name() string { return "gelu" }

// Apply counts the functions that it found.
func (Gelu) Apply(_ context.Context, g *graph.Graph) (int, error) {
	e := edit(g)
	for _, n := range slices.Backward(slices.Clone(g.Nodes)) { // the last Mul of a product comes first
		if n.OpName() != "Mul" || !single(n) {
			continue
		}
		x, kind := e.gelu(n)
		if x == nil || x.DType != n.Out[0].DType || x.Rank() != n.Out[0].Rank() {
			continue
		}
		n.Op = ops.Gelu{Approximate: kind}
		e.setIn(n, x)
		e.changes++
	}
	return e.finish()
}

// term is a number times some values.
type term struct {
	c       float64
	factors []*graph.Value
}

// is reports whether t is c·xⁿ.
func (t term) is(c float64, x *graph.Value, n int) bool {
	return math.Abs(t.c-c) <= 2e-6*math.Abs(c) && slices.Equal(t.factors, slices.Repeat([]*graph.Value{x}, n))
}

// factor takes v apart into its factors, through nodes that nothing else reads.
func (e *editor) factor(v *graph.Value) term {
	if c, ok := scalar(v); ok {
		return term{c: c}
	}
	if v.Def == nil || e.reader(v) == nil {
		return term{1, []*graph.Value{v}}
	}
	return e.factors(v.Def)
}

func (e *editor) factors(n *graph.Node) term {
	whole := term{1, []*graph.Value{n.Out[0]}}
	switch n.OpName() {
	case "Mul":
		a, b := e.factor(n.In[0]), e.factor(n.In[1])
		return term{a.c * b.c, slices.Concat(a.factors, b.factors)}
	case "Div":
		if c, ok := scalar(n.In[1]); ok {
			a := e.factor(n.In[0])
			return term{a.c / c, a.factors}
		}
	case "Pow":
		if !n.In[1].IsConst() || n.In[1].Const.Len() != 1 {
			break
		}
		if p := tensor.Float64s(n.In[1].Const); len(p) == 1 && (p[0] == 2 || p[0] == 3) {
			return term{1, slices.Repeat([]*graph.Value{n.In[0]}, int(p[0]))}
		}
	}
	return whole
}

// gelu matches a product that ends in n.
func (e *editor) gelu(n *graph.Node) (x *graph.Value, kind string) {
	t := e.factors(n)
	if len(t.factors) != 2 || math.Abs(t.c-0.5) > 1e-6 {
		return nil, ""
	}
	for i, f := range t.factors {
		x := t.factors[1-i]
		inner := onePlus(f)
		if erf := made(inner, "Erf"); erf != nil && e.factor(erf.In[0]).is(math.Sqrt2/2, x, 1) {
			return x, "none"
		}
		if tanh := made(inner, "Tanh"); tanh != nil && e.cubic(tanh.In[0], x) {
			return x, "tanh"
		}
	}
	return nil, ""
}

// onePlus gives y if v is 1 + y.
func onePlus(v *graph.Value) *graph.Value {
	add := made(v, "Add")
	if add == nil {
		return nil
	}
	for i := range 2 {
		if c, ok := scalar(add.In[i]); ok && c == 1 {
			return add.In[1-i]
		}
	}
	return nil
}

// cubic reports whether v is √(2/π)·(x + 0.044715·x³), also as √(2/π)·x·(1 + 0.044715·x²).
func (e *editor) cubic(v, x *graph.Value) bool {
	const third = 0.044715
	t := e.factor(v)
	k := math.Sqrt(2 / math.Pi)
	if math.Abs(t.c-k) > 2e-6*k {
		return false
	}
	switch len(t.factors) {
	case 1:
		add := made(t.factors[0], "Add")
		if add == nil {
			return false
		}
		return add.In[0] == x && e.factor(add.In[1]).is(third, x, 3) || add.In[1] == x && e.factor(add.In[0]).is(third, x, 3)
	case 2:
		i := slices.Index(t.factors, x)
		if i < 0 {
			return false
		}
		rest := onePlus(t.factors[1-i])
		return rest != nil && e.factor(rest).is(third, x, 2)
	}
	return false
}
