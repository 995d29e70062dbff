package optimize

import (
	"context"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// LayerNorm finds (x - mean)/√(mean((x - mean)²) + ε)·γ + β over the last axes, as frameworks write it out, and makes it
// one LayerNormalization, which needs opset 17.
type LayerNorm struct{}

// Name is "layernorm".
func (LayerNorm) Name() string { return "layernorm" }

// Apply counts the normalizations that it found.
func (LayerNorm) Apply(_ context.Context, g *graph.Graph) (int, error) {
	e := edit(g)
	for _, n := range g.Nodes {
		if n.OpName() != "Mul" || !single(n) {
			continue
		}
		for i := range 2 {
			if m, ok := normalized(n.In[i]); ok && m.scale(n.In[1-i]) {
				e.layerNorm(n, m, n.In[1-i])
				break
			}
		}
	}
	return e.finish()
}

// moments is a value brought to mean 0 and variance 1 along its last axes.
type moments struct {
	x       *graph.Value
	axes    int // how many
	epsilon float64
}

// normalized matches d/√(mean(d²) + ε) where d = x - mean(x).
func normalized(v *graph.Value) (m moments, ok bool) {
	var d, root *graph.Value
	if n := made(v, "Div"); n != nil {
		d, root = n.In[0], n.In[1]
	} else if n := made(v, "Mul"); n != nil {
		for i := range 2 {
			if r := made(n.In[i], "Reciprocal"); r != nil {
				d, root = n.In[1-i], r.In[0]
			}
		}
	}
	sub, sqrt := made(d, "Sub"), made(root, "Sqrt")
	if sub == nil || sqrt == nil {
		return m, false
	}
	add := made(sqrt.In[0], "Add")
	if add == nil {
		return m, false
	}
	variance := add.In[0]
	if m.epsilon, ok = scalar(add.In[1]); !ok {
		variance = add.In[1]
		if m.epsilon, ok = scalar(add.In[0]); !ok {
			return m, false
		}
	}
	m.x = sub.In[0]
	mean := made(sub.In[1], "ReduceMean")
	meanSquare := made(variance, "ReduceMean")
	if mean == nil || meanSquare == nil || mean.In[0] != m.x || !square(meanSquare.In[0], d) {
		return m, false
	}
	m.axes = lastAxes(mean)
	return m, m.axes > 0 && m.axes == lastAxes(meanSquare) && m.x.DType == tensor.Float32
}

func square(v, d *graph.Value) bool {
	if n := made(v, "Mul"); n != nil {
		return n.In[0] == d && n.In[1] == d
	}
	n := made(v, "Pow")
	if n == nil || n.In[0] != d || !n.In[1].IsConst() || n.In[1].Const.Len() != 1 {
		return false
	}
	e := tensor.Float64s(n.In[1].Const)
	return len(e) == 1 && e[0] == 2
}

// lastAxes is how many axes a ReduceMean reduces if they are the last ones and stay as size 1, else 0.
func lastAxes(n *graph.Node) int {
	r := n.In[0].Rank()
	axes := input(n, 1)
	if r < 1 || axes == nil || !n.Op.(ops.ReduceMean).Keepdims {
		return 0
	}
	list, ok := axes.ConstInts()
	if !ok {
		return 0
	}
	list = slices.Clone(list)
	for i, a := range list {
		if a < 0 {
			list[i] = a + r
		}
	}
	slices.Sort(list)
	for i, a := range list {
		if a != r-len(list)+i {
			return 0
		}
	}
	return len(list)
}

// scale reports whether v is a constant with a number for each normalized element.
func (m moments) scale(v *graph.Value) bool {
	if !v.IsConst() || m.x.Unranked || v.DType != m.x.DType || len(v.Const.Shape) != m.axes {
		return false
	}
	last := m.x.Shape[len(m.x.Shape)-m.axes:]
	return slices.Equal(graph.Dims(v.Const.Shape...), last)
}

func (e *editor) layerNorm(n *graph.Node, m moments, gamma *graph.Value) {
	in := []*graph.Value{m.x, gamma}
	if add := e.reader(n.Out[0]); add != nil && add.OpName() == "Add" {
		beta := add.In[0]
		if beta == n.Out[0] {
			beta = add.In[1]
		}
		if m.scale(beta) {
			e.absorb(n, add)
			in = append(in, beta)
		}
	}
	n.Op = ops.LayerNormalization{Axis: -m.axes, Epsilon: float32(m.epsilon), StashType: 1}
	e.setIn(n, in...)
	e.changes++
}
