package prune

import (
	"errors"
	"fmt"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// reconstruct cuts the layers of f from the first to the last. Each is fitted to give, on what the already pruned layers
// before it make of the samples, what the original layer gives on what the original ones make of them. How much goes of
// each layer is what the cuts say; which weights, the samples say. It changes the masks of c.
func reconstruct(s *session, f *graph.Graph, p *Plan, c cuts) (*graph.Graph, []string, error) {
	if len(f.States) > 0 {
		return nil, nil, errors.New("a model with states cannot be reconstructed from single samples")
	}
	g, of := f.CloneMap()
	twin := map[*graph.Node]*graph.Node{}
	for i, n := range f.Nodes {
		twin[n] = g.Nodes[i]
	}
	var warnings []string
	for i := range c {
		x := &c[i]
		o, err := s.observe(f, g, x.m, of)
		switch {
		case errors.Is(err, errShape), errors.Is(err, errLarge):
			warnings = append(warnings, fmt.Sprintf("%s: %v", x.m.label(), err))
			t, err := x.mask.apply(of[x.m.value].Const)
			if err != nil {
				return nil, nil, err
			}
			of[x.m.value].Const = t
			continue
		case err != nil:
			return nil, nil, fmt.Errorf("reconstruct %s: %w", x.m.label(), err)
		}
		s.o.progress("reconstruct", i+1, len(c))
		if err := x.fit(o, p, g, twin[x.m.node]); err != nil {
			return nil, nil, fmt.Errorf("reconstruct %s: %w", x.m.label(), err)
		}
	}
	return g, warnings, g.Infer()
}

// observe takes the moments of a layer's inputs, over all nodes that use the weight. f and g have the same structure.
func (s *session) observe(f, g *graph.Graph, m *matrix, of map[*graph.Value]*graph.Value) (*moments, error) {
	o, err := s.newMoments(m, s.o.Data.Len())
	if err != nil {
		return nil, err
	}
	defer o.close()
	var plain, pruned []*graph.Value
	for _, n := range m.nodes {
		plain, pruned = append(plain, n.In[0]), append(pruned, of[n.In[0]])
	}
	a, err := s.prefix(f, plain)
	if err != nil {
		return nil, err
	}
	defer a.close()
	b, err := s.prefix(g, pruned)
	if err != nil {
		return nil, err
	}
	defer b.close()
	return o, s.each(f, 0, func(_ int, batch data.Batch) error {
		x, err := a.run(s.ctx, batch)
		if err != nil {
			return err
		}
		y, err := b.run(s.ctx, batch)
		if err != nil {
			return err
		}
		for i, n := range m.nodes {
			if err := o.add(s.ctx, n, x[i], y[i]); err != nil {
				return fmt.Errorf("%s: %w", batch.Names[0], err)
			}
		}
		return nil
	})
}

// fit cuts a layer of g and solves for what stays.
func (c *cut) fit(o *moments, p *Plan, g *graph.Graph, n *graph.Node) error {
	m := c.m
	bias, canBias := c.bias(n)
	canBias = canBias && !p.o.KeepBias && !c.keepBias
	w := m.gather(tensor.Floats(m.value.Const))
	s := newSolver(m, p.p, o.systems(canBias), w)
	if c.fixed {
		s.solveFor(c.mask)
	} else {
		c.mask = s.solve(c.units)
	}
	out := make([]float32, m.len())
	for e, v := range s.w {
		if !s.gone[e] {
			out[m.row[e/m.k()]+m.col[e%m.k()]] = float32(v)
		}
	}
	t, err := tensor.FromFloats(m.value.Const.DType, out, m.shape...)
	if err != nil {
		return err
	}
	n.In[m.input].Const = t
	if !canBias {
		return nil
	}
	after := m.gather(tensor.Floats(t))
	scale := 1.0
	if op, ok := n.Op.(ops.Gemm); ok {
		scale = float64(op.Alpha) / float64(op.Beta)
	}
	k := m.k()
	for r := range bias {
		at := r / m.run % o.groups * k
		shift := dot(w[r*k:(r+1)*k], o.sy[at:at+k]) - dot(after[r*k:(r+1)*k], o.sx[at:at+k])
		bias[r] += scale * shift / float64(max(o.count, 1))
	}
	return setBias(g, n, m.value.Const.DType, bias)
}

// bias gives a node's bias, zeros if it has none, and whether another can be set.
func (c *cut) bias(n *graph.Node) ([]float64, bool) {
	q, ok := n.Op.(graph.Quantizable)
	if !ok || q.Quant().Bias == 0 || len(c.m.nodes) > 1 {
		return nil, false
	}
	if op, ok := n.Op.(ops.Gemm); ok && op.Beta == 0 {
		return nil, false
	}
	out := make([]float64, c.m.rows())
	at := q.Quant().Bias
	if at >= len(n.In) || n.In[at] == nil {
		return out, true
	}
	if !n.In[at].IsConst() || !isFloat(n.In[at].Const) {
		return nil, false
	}
	b, shape := tensor.Float64s(n.In[at].Const), n.In[at].Const.Shape
	switch {
	case len(b) == 1:
		for i := range out {
			out[i] = b[0]
		}
	case len(b) == len(out) && shape[len(shape)-1] == len(out):
		copy(out, b)
	default:
		return nil, false
	}
	return out, true
}

// setBias gives a node a bias of its own, under the old one's name if nobody else reads that.
func setBias(g *graph.Graph, n *graph.Node, d tensor.DType, b []float64) error {
	at := n.Op.(graph.Quantizable).Quant().Bias
	for len(n.In) <= at {
		n.In = append(n.In, nil)
	}
	t := tensor.New(d, len(b))
	if err := tensor.SetFloat64s(t, b); err != nil {
		return err
	}
	old := n.In[at]
	if old != nil && len(g.Uses()[old]) == 1 && !g.IsOutput(old) {
		n.In[at] = graph.NewConst(old.Name, t)
		return nil
	}
	n.In[at] = graph.NewConst(g.Names().Fresh(n.Name+"_bias"), t)
	return nil
}
