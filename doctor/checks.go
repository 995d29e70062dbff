package doctor

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/optimize"
	"github.com/tfsopt/tfsopt/tensor"
)

func (e *examination) saturation() {
	for _, l := range e.report.Saturation.Layers {
		if l.Unsafe == 0 {
			continue
		}
		f := Finding{
			Detail:  fmt.Sprintf("%d of %d pairs can leave int16 on x86 CPUs without VNNI", l.Unsafe, l.Pairs),
			Cost:    fmt.Sprintf("a sum can be wrong by up to %d for each such pair", max(l.Worst.Sum, -l.Worst.Sum)-math.MaxInt16),
			Command: e.mend(),
		}
		if l.Largest != nil {
			f.Cost = fmt.Sprintf("measured on %d samples: %d sums leave int16, the largest is %d", e.report.Saturation.Samples, *l.Clamped, *l.Largest)
		}
		e.add(IDSaturation, l.Node, f)
	}
}

// fits7 holds of weights that session.x64quantprecision=1 leaves int8.
func fits7(w *tensor.Tensor) bool {
	for _, q := range tensor.View[int8](w) {
		if q < -64 || q > 64 {
			return false
		}
	}
	return true
}

// clashes maps the layers that share a constant with one before them, where ONNX Runtime 1.31 would make uint8 of both.
func clashes(layers []*product) map[*product]string {
	out, seen := map[*product]string{}, map[*graph.Value]*product{}
	for _, l := range layers {
		w := l.weight.constant()
		if w.DType != tensor.Int8 || fits7(w) {
			continue
		}
		for _, s := range []slot{l.weight, l.zero} {
			v := s.value()
			if v == nil {
				continue
			}
			if first := seen[v]; first == nil {
				seen[v] = l
			} else if out[l] == "" {
				out[l] = fmt.Sprintf("shares %q with %s", v.Name, first.n.Name)
			}
		}
	}
	return out
}

func (e *examination) shared() {
	found := clashes(e.layers)
	for _, l := range e.layers {
		if found[l] != "" {
			e.add(IDShared, l.n, Finding{
				Detail:  found[l],
				Cost:    "with session.x64quantprecision=1 ONNX Runtime does not load the file on CPUs without VNNI",
				Command: e.mend(),
			})
		}
	}
}

// otherScale is the largest ratio by which the stored scale of a bias misses that of the sums; 1 if it is right.
func (l *product) otherScale() float64 {
	b, worst := l.biasScale.constant(), 1.0
	if b == nil || b.Len() != 1 && b.Len() != l.p.Rows {
		return 1
	}
	s := tensor.Floats(b)
	for row := range l.p.Rows {
		want, have := float64(l.sumScale(row)), float64(s[row%len(s)])
		if want > 0 && have > 0 && want != have {
			worst = max(worst, want/have, have/want)
		}
	}
	return worst
}

func (e *examination) biases() {
	for _, l := range e.layers {
		if worst := l.otherScale(); worst > 1 {
			e.add(IDBiasScale, l.n, Finding{
				Detail: fmt.Sprintf("the scale of the bias is not float32(x·w): the ratio is up to %.4g", worst),
				Cost:   "ONNX Runtime leaves the layer float; others may add the integers as they are", Command: e.mend(),
			})
		}
		b := l.bias.constant()
		if b == nil || b.DType != tensor.Int32 {
			continue
		}
		if row, sum := l.overflow(b); row >= 0 {
			e.add(IDOverflow, l.n, Finding{
				Detail: fmt.Sprintf("channel %d: sums and bias reach %.4g, int32 ends at 2147483647", row, sum),
				Cost:   "the channel's results wrap around", Command: e.widening(l),
			})
		}
	}
}

// overflow finds the row whose sums reach farthest out of int32; -1 if none does.
func (l *product) overflow(bias *tensor.Tensor) (row int, sum float64) {
	row, sum = -1, math.MaxInt32
	if bias.Len() != l.p.Rows {
		return row, sum
	}
	for r := range l.p.Rows {
		if reach := l.reach(bias, r); reach > sum {
			row, sum = r, reach
		}
	}
	return row, sum
}

// reach is the largest magnitude that a row's sums and its int32 bias can have, whatever the activations.
func (l *product) reach(bias *tensor.Tensor, r int) float64 {
	w, zero := l.weight.constant(), l.zeroOf(r)
	reach := math.Abs(float64(tensor.View[int32](bias)[r]))
	for k := range l.p.K {
		reach += 255 * math.Abs(float64(l.at(w, r, k)-zero))
	}
	return reach
}

// widening is the command that gives rows wider steps.
func (e *examination) widening(l *product) string {
	if l.widens() {
		return e.mend()
	}
	return requantize
}

// scales looks at the parameters of every QuantizeLinear and DequantizeLinear.
func (e *examination) scales() {
	seen := map[*graph.Value]bool{}
	for _, n := range e.g.Nodes {
		if !linear(n) || !n.In[1].IsConst() || !n.In[1].DType.IsFloat() || seen[n.In[1]] {
			continue
		}
		seen[n.In[1]] = true
		if bad, text := badScale(n.In[1].Const); bad >= 0 {
			e.add(IDScaleValue, n, Finding{
				Detail: fmt.Sprintf("scale %d of %q is %s", bad, n.In[1].Name, text),
				Cost:   "what it stands for is lost or not finite", Command: requantize,
			})
		}
		if oneElement(n) {
			e.add(IDScaleShape, n, Finding{
				Detail: fmt.Sprintf("%q has the shape [1], not []", n.In[1].Name),
				Cost:   "ONNX takes it for a scale by axis, which strict readers refuse; ONNX Runtime fuses it all the same", Command: e.mend(),
			})
		}
	}
}

func linear(n *graph.Node) bool {
	switch n.Op.(type) {
	case ops.QuantizeLinear, ops.DequantizeLinear:
		return len(n.In) > 1 && n.In[1] != nil
	}
	return false
}

// oneElement holds of activations whose only scale has a dimension.
func oneElement(n *graph.Node) bool {
	s := n.In[1].Const
	return s != nil && len(s.Shape) == 1 && s.Shape[0] == 1 && !n.In[0].IsConst()
}

// badScale finds an element that is no positive normal number; -1 if all are.
func badScale(s *tensor.Tensor) (int, string) {
	for i, x := range tensor.Float64s(s) {
		switch {
		case math.IsNaN(x) || math.IsInf(x, 0):
			return i, "not finite"
		case x == 0:
			return i, "zero"
		case x < 0:
			return i, fmt.Sprintf("negative: %g", x)
		case s.DType == tensor.Float32 && x < 0x1p-126:
			return i, fmt.Sprintf("denormal: %g", x)
		}
	}
	return -1, ""
}

func (e *examination) dead() {
	for _, l := range e.layers {
		w, dead := l.weight.constant(), 0
		for r := range l.p.Rows {
			zero, live := l.zeroOf(r), false
			for k := 0; k < l.p.K && !live; k++ {
				live = l.at(w, r, k) != zero
			}
			if !live {
				dead++
			}
		}
		if dead > 0 {
			e.add(IDDead, l.n, Finding{
				Detail:  fmt.Sprintf("the weights of %d of %d output channels are all zero", dead, l.p.Rows),
				Cost:    fmt.Sprintf("%.1f %% of the layer's work and bytes", 100*float64(dead)/float64(l.p.Rows)),
				Command: "tfsopt prune FLOAT_MODEL -o OUT --pattern channel --sparsity S",
			})
		}
	}
}

// float finds what runtimes will compute in float: operators that have an integer twin and read integers but do not become
// it, and layers with float weights.
func (e *examination) float() error {
	integers := len(e.layers) > 0
	c, values := e.g.CloneMap()
	if _, err := (optimize.QLinear{}).Apply(e.ctx, c); err != nil {
		return err
	}
	left := map[*graph.Value]bool{}
	for _, n := range c.Nodes {
		if _, ok := n.Op.(graph.Twinned); ok && n.Out[0] != nil {
			left[n.Out[0]] = true
		}
	}
	total := 0
	for _, p := range graph.Constants(e.g) {
		total += len(p.Tensor.Data)
	}
	for _, n := range e.g.Nodes {
		if s, ok := n.Op.(graph.Stored); ok && integers {
			e.floatWeights(n, s, total)
		}
		if _, ok := n.Op.(graph.Twinned); !ok || len(n.Out) == 0 || !left[values[n.Out[0]]] {
			continue
		}
		if why := e.why(n); why != "" {
			e.add(IDUnfused, n, Finding{Detail: why, Cost: "the operator runs in float, with a conversion on each side", Command: requantize})
		}
	}
	return nil
}

// floatWeights reports the float weights of a node that are a twentieth of all constants' bytes or more.
func (e *examination) floatWeights(n *graph.Node, s graph.Stored, total int) {
	facts := make([]graph.Fact, len(n.In))
	for i, v := range n.In {
		if v != nil {
			facts[i] = v.Fact
		}
	}
	for _, w := range s.Weights(facts) {
		v := n.In[w.Input]
		if v.IsConst() && v.DType.IsFloat() && 20*len(v.Const.Data) >= total {
			e.add(IDFloat, n, Finding{
				Detail:  fmt.Sprintf("the weight %q is %s", v.Name, v.DType),
				Cost:    fmt.Sprintf("%.1f %% of the bytes of all constants", 100*float64(len(v.Const.Data))/float64(total)),
				Command: requantize,
			})
			return
		}
	}
}

// why says what keeps a float operator that reads integers from becoming one of integers; "" if it reads none.
func (e *examination) why(n *graph.Node) string {
	dequantized, float := 0, ""
	types := map[tensor.DType]bool{}
	for i, v := range n.In {
		if q := dequantizer(v); q != nil {
			dequantized++
			if q.In[0].DType == tensor.Int8 || q.In[0].DType == tensor.Uint8 {
				types[q.In[0].DType] = true
			}
		} else if v != nil && v.DType == tensor.Float32 && float == "" {
			float = fmt.Sprintf("input %d, %q, has no DequantizeLinear", i, v.Name)
		}
	}
	readers := e.uses[n.Out[0]]
	switch {
	case dequantized == 0:
		return ""
	case float != "":
		return float
	case e.g.IsOutput(n.Out[0]) || len(readers) == 0:
		return ""
	case len(readers) > 1:
		return fmt.Sprintf("%d operators read its float result", len(readers))
	case len(types) > 1:
		return "its operands are of types that no integer operator takes together"
	}
	if r := readers[0].Node; r == nil || !linear(r) {
		return "no QuantizeLinear follows"
	}
	return "its parameters fit no integer operator: " + optimizeHint
}

const optimizeHint = "scales by channel where one is needed, a bias that is not int32, or a scale that is no constant"
