package optimize

import (
	"context"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// Clip joins Relu and Clip that follow each other into one.
type Clip struct{}

// Name is "clip".
func (Clip) Name() string { return "clip" }

// Apply counts the nodes that it joined.
func (Clip) Apply(_ context.Context, g *graph.Graph) (int, error) {
	e := edit(g)
	for _, n := range g.Nodes {
		second, ok := interval(n)
		if !ok || n.In[0].Def == nil || !n.In[0].DType.IsFloat() {
			continue
		}
		first, ok := interval(n.In[0].Def)
		if !ok {
			continue
		}
		e.clip(n, first, second)
	}
	return e.finish()
}

// interval gives the bounds of a Relu or Clip, ∓infinity where there are none.
func interval(n *graph.Node) ([2]float64, bool) {
	b := [2]float64{math.Inf(-1), math.Inf(1)}
	switch n.OpName() {
	case "Relu":
		b[0] = 0
		return b, true
	case "Clip":
		for i := range b {
			v := input(n, i+1)
			if v == nil {
				continue
			}
			x, ok := scalar(v)
			if !ok {
				return b, false
			}
			b[i] = x
		}
		return b, b[0] <= b[1]
	}
	return b, false
}

// clip makes n do the work of the node in front of it: clamping to first and then to second is clamping to first's
// bounds, clamped to second.
func (e *editor) clip(n *graph.Node, first, second [2]float64) {
	x := n.In[0].Def.In[0]
	var b [2]float64
	for i := range b {
		b[i] = min(second[1], max(first[i], second[0]))
	}
	switch {
	case b == second:
		e.setIn(n, append([]*graph.Value{x}, n.In[1:]...)...)
	case b[0] == 0 && math.IsInf(b[1], 1):
		n.Op = ops.Relu{}
		e.setIn(n, x)
	default:
		in := []*graph.Value{x, nil, nil}
		for i, name := range []string{"_min", "_max"} {
			if math.IsInf(b[i], 0) {
				continue
			}
			t := tensor.New(x.DType)
			if tensor.SetFloat64s(t, b[i:i+1]) != nil {
				return
			}
			in[i+1] = e.b.Const(label(n)+name, t)
		}
		n.Op = ops.Clip{}
		e.setIn(n, in...)
	}
	e.changes++
}
