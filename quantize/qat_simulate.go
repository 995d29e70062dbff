package quantize

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// simulation is a copy of the float graph in which FakeQuantize stands wherever the quantized graph will round.
type simulation struct {
	*rewriter
	weights  []*graph.Value // scales of the layers' weights, in their order
	groups   []*graph.Value // scales of the groups of activations
	zeros    []int          // and their zero points
	bounds   map[string]bounds
	pruned   map[string]bool // weights whose zeros stay
	pairs    []trainedPairs
	warnings []string
}

func newSimulation(p *placement) *simulation {
	return &simulation{rewriter: newRewriter(p), bounds: map[string]bounds{}, pruned: map[string]bool{}}
}

// layer quantizes the weight of a layer of the static mode.
func (s *simulation) layer(l *layer) {
	op := ops.FakeQuantize{Axis: l.axis, Lo: l.minInt, Hi: l.maxInt}
	scale := tensor.From(l.scale, len(l.scale))
	if s.p.o.PerTensor {
		scale = scale.Reshape()
	}
	s.weight([]graph.Use{{Node: l.node, Index: 1}}, op, scale, l.step(s.p.o) != 0)
	if l.order != nil {
		s.pairs = append(s.pairs, trainedPairs{l, s.of[l.weight].Name, s.weights[len(s.weights)-1].Name})
	}
}

// stored quantizes a weight of the mode weight-only. One with scales along several axes is rounded after training.
func (s *simulation) stored(w *stored) {
	axis, one := w.axis()
	if !one && !w.whole || w.weight.DType != tensor.Float32 {
		s.weights = append(s.weights, nil)
		return
	}
	lo, hi := w.limits()
	op := ops.FakeQuantize{Axis: axis, Lo: int(lo), Hi: int(hi)}
	s.weight(w.uses, op, tensor.From(w.scale, w.shape...), w.step != 0)
}

// weight lets nodes read their weight quantized. A fixed scale is not trained.
func (s *simulation) weight(uses []graph.Use, op ops.FakeQuantize, scale *tensor.Tensor, fixed bool) {
	old := uses[0].Node.In[uses[0].Index]
	v, by := s.scale(old.Name, scale, fixed)
	s.weights = append(s.weights, v)
	w := s.add(old.Name+"_simulated", op, s.of[old], by)
	for _, u := range uses {
		s.nodes[u.Node].In[u.Index] = w
	}
	if share := zeroShare(old.Const); share > manyZeros && !s.pruned[old.Name] {
		s.pruned[old.Name] = true
		s.warnings = append(s.warnings, fmt.Sprintf("%s: %.1f %% of its weights are zero and stay zero", uses[0].Node.Name, 100*share))
	}
}

// scale makes the constant that holds scales, and the value to read them from.
func (s *simulation) scale(name string, t *tensor.Tensor, fixed bool) (v, read *graph.Value) {
	v = s.constant(name+"_scale", t)
	if fixed {
		return v, s.fixed(v)
	}
	s.bounds[v.Name] = around(tensor.Floats(t))
	return v, v
}

// fixed keeps training from changing a constant: it is no direct operand then.
func (s *simulation) fixed(v *graph.Value) *graph.Value {
	return s.add(v.Name+"_fixed", ops.Identity{}, v)
}

func zeroShare(t *tensor.Tensor) float64 {
	zeros := 0
	for _, x := range tensor.Floats(t) {
		if x == 0 {
			zeros++
		}
	}
	return float64(zeros) / float64(max(t.Len(), 1))
}

// activations quantizes what the placement says. Scales of values that no weight stands before, the input's above all, are
// not trained: nothing before them could make up for it, and pixels make their gradients too steep.
func (s *simulation) activations() {
	for _, n := range s.p.g.Nodes {
		if s.p.roles[n] == point {
			s.operands(n)
		}
	}
	behind := s.behindWeights()
	read := map[*group][2]*graph.Value{}
	for _, g := range s.p.groups {
		fixed := false
		for _, m := range g.members {
			fixed = fixed || !behind[m.v]
		}
		name := s.of[g.members[0].v].Name
		v, scale := s.scale(name, tensor.Scalar(g.scale), fixed)
		if b, ok := s.bounds[v.Name]; ok {
			b.hi[0] = min(b.hi[0], s.p.quantizer(g.bounds).top(g.zero))
		}
		zero := s.constant(name+"_zero_point", tensor.Scalar(float32(g.zero)))
		s.groups, s.zeros = append(s.groups, v), append(s.zeros, g.zero)
		read[g] = [2]*graph.Value{scale, zero}
	}
	for _, a := range s.p.order {
		s.activation(a, read[a.group])
	}
}

// behindWeights are the values of the float graph that depend on a layer.
func (s *simulation) behindWeights() map[*graph.Value]bool {
	behind := map[*graph.Value]bool{}
	for _, n := range s.p.g.Nodes {
		before := s.p.roles[n] == weighs
		for _, v := range n.In {
			before = before || behind[v]
		}
		for _, v := range n.Out {
			if v != nil && before {
				behind[v] = true
			}
		}
	}
	return behind
}

// activation rounds a value for its readers.
func (s *simulation) activation(a *activation, by [2]*graph.Value) {
	v := s.of[a.v]
	made := a.v.Def != nil && s.integer(a.v.Def)
	end := s.p.isEnd(a.v)
	readers := s.readers(a.v, made || end && a.v.Def == nil)
	lo, hi := s.p.quantizer(a.group.bounds).ints()
	q := s.add(v.Name+"_simulated", ops.FakeQuantize{Axis: 1, Lo: lo, Hi: hi}, v, by[0], by[1])
	for _, u := range readers {
		u.Node.In[u.Index] = q
	}
	if s.p.g.IsOutput(a.v) && (made || end) {
		s.g.Replace(v, q)
		q.Def.In[0] = v
	}
}

// operands lets an operator without weights read its constants as the quantized graph will have them.
func (s *simulation) operands(node *graph.Node) {
	for _, i := range dataInputs(node) {
		c := node.In[i]
		if !c.IsConst() {
			continue
		}
		ints, p := s.p.quantizeConst(c.Const)
		v := make([]float32, len(ints))
		for k, q := range ints {
			v[k] = float32(q-int64(p.zero)) * p.scale
		}
		s.nodes[node].In[i] = s.fixed(s.constant(c.Name+"_rounded", tensor.From(v, c.Const.Shape...)))
	}
}
