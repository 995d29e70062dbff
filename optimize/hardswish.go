package optimize

import (
	"context"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
)

// HardSwish finds x·clamp(x + 3, 0, 6)/6 (arXiv 1905.02244), also with HardSigmoid, and makes it one HardSwish, which
// needs opset 14.
type HardSwish struct{}

// Name is "hardswish".
func (HardSwish) Name() string { return "hardswish" }

// Apply counts the functions that it found.
func (HardSwish) Apply(_ context.Context, g *graph.Graph) (int, error) {
	e := edit(g)
	for _, n := range g.Nodes {
		if name := n.OpName(); name != "Mul" && name != "Div" || !single(n) {
			continue
		}
		t := e.factors(n)
		if len(t.factors) != 2 {
			continue
		}
		for i, f := range t.factors {
			x := t.factors[1-i]
			if c, ok := gate(f, x); ok && math.Abs(t.c-c) <= 2e-6*c && x.DType == n.Out[0].DType && x.Rank() == n.Out[0].Rank() {
				n.Op = ops.HardSwish{}
				e.setIn(n, x)
				e.changes++
				break
			}
		}
	}
	return e.finish()
}

// gate matches clamp(x + 3, 0, 6), of which HardSwish takes a sixth, and the HardSigmoid that is a sixth of it.
func gate(v, x *graph.Value) (c float64, ok bool) {
	if n := made(v, "HardSigmoid"); n != nil {
		op := n.Op.(ops.HardSigmoid)
		return 1, n.In[0] == x && math.Abs(float64(op.Alpha)-1./6) < 1e-7 && op.Beta == 0.5
	}
	clip := made(v, "Clip")
	if clip == nil {
		return 0, false
	}
	add := made(clip.In[0], "Add")
	if b, ok := interval(clip); add == nil || !ok || b != [2]float64{0, 6} {
		return 0, false
	}
	for i := range 2 {
		if three, ok := scalar(add.In[i]); ok && three == 3 && add.In[1-i] == x {
			return 1. / 6, true
		}
	}
	return 0, false
}
