package doctor

import (
	"context"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/optimize"
	"github.com/tfsopt/tfsopt/tensor"
)

// pairLimit is what the magnitudes of two neighbouring weights of one sign may add up to: 255·128 fits int16.
const pairLimit = 128

// mender changes a copy of a graph.
type mender struct {
	g      *graph.Graph
	names  graph.Namer
	layers []*product
	inputs map[*graph.Node]*moments
}

// Mend gives a copy of a graph in which everything is right that needs no float model: pairs that saturate, shared
// constants, scales of biases, shapes of scales. With samples, what a layer's weights lose is given back to its bias on
// average. g stays as it is.
func Mend(ctx context.Context, g *graph.Graph, s Samples) (*graph.Graph, error) {
	c, values := g.CloneMap()
	m := &mender{g: c, names: c.Names(), layers: products(c)}
	if s.Set != nil {
		if err := m.watch(ctx, g, values, s); err != nil {
			return nil, err
		}
	}
	m.shapes()
	m.separate()
	for _, l := range m.layers {
		m.rescaleBias(l)
	}
	unsafe := map[*graph.Node]bool{}
	for _, f := range optimize.CheckSaturation(c).Layers {
		unsafe[f.Node] = unsafe[f.Node] || f.Unsafe > 0
	}
	for _, l := range m.layers {
		if unsafe[l.n] || l.overflows() && l.widens() {
			m.project(l)
		}
	}
	if err := c.Sort(); err != nil {
		return nil, err
	}
	return c, c.Infer()
}

// put gives a slot a constant of its own, under the old name if nobody else reads the old one.
func (m *mender) put(s slot, t *tensor.Tensor) {
	name := s.value().Name
	if len(m.g.Uses()[s.value()]) > 1 {
		name = m.names.Fresh(name)
	}
	s.n.In[s.i] = graph.NewConst(name, t)
}

// shapes makes scalars of scales and zero points of shape [1].
func (m *mender) shapes() {
	for _, n := range m.g.Nodes {
		if !linear(n) || !n.In[1].IsConst() || !oneElement(n) {
			continue
		}
		for i := 1; i < min(len(n.In), 3); i++ {
			if t := (slot{n, i}).constant(); t != nil && t.Len() == 1 && len(t.Shape) == 1 {
				scalar := *t
				scalar.Shape = []int{}
				m.put(slot{n, i}, &scalar)
			}
		}
	}
}

// separate gives layers that share a weight or its zero point their own.
func (m *mender) separate() {
	for range m.layers { // a layer may share both
		found := clashes(m.layers)
		if len(found) == 0 {
			return
		}
		for _, l := range m.layers {
			if found[l] == "" {
				continue
			}
			m.own(l)
			for _, s := range []slot{l.weight, l.zero} {
				if t := s.constant(); t != nil {
					m.put(s, t)
				}
			}
		}
	}
}

// own gives a layer a DequantizeLinear of its own.
func (m *mender) own(l *product) {
	if q := l.dequantizer; q != nil {
		n := m.copyOf(q, slot{l.n, l.p.Weight})
		l.dequantizer, l.weight.n, l.scale.n, l.zero.n = n, n, n, n
	}
}

func (m *mender) ownBias(l *product) {
	if q := l.biasDequantizer; q != nil {
		n := m.copyOf(q, slot{l.n, l.n.Op.(graph.Quantizable).Quant().Bias})
		l.biasDequantizer, l.bias.n, l.biasScale.n = n, n, n
	}
}

// copyOf makes a copy of q for a slot if others read q too, else it gives q.
func (m *mender) copyOf(q *graph.Node, s slot) *graph.Node {
	if uses := m.g.Uses()[q.Out[0]]; len(uses) < 2 && !m.g.IsOutput(q.Out[0]) {
		return q
	}
	n := &graph.Node{Name: m.names.Fresh(q.Name), Op: q.Op, In: append([]*graph.Value{}, q.In...)}
	v := &graph.Value{Name: m.names.Fresh(q.Out[0].Name), Def: n, Fact: q.Out[0].Fact}
	n.Out = []*graph.Value{v}
	m.g.Nodes = append(m.g.Nodes, n)
	s.n.In[s.i] = v
	return n
}

// rescaleBias stores a bias at the scale of the sums.
func (m *mender) rescaleBias(l *product) {
	b, s := l.bias.constant(), l.biasScale.constant()
	if l.otherScale() == 1 || b == nil || b.DType != tensor.Int32 || b.Len() != l.p.Rows {
		return
	}
	m.ownBias(l)
	scales, old := tensor.Floats(s), tensor.View[int32](b)
	ints, steps := make([]int32, l.p.Rows), make([]float32, l.p.Rows)
	for r, x := range old {
		steps[r] = l.sumScale(r)
		q := math.RoundToEven(float64(x) * float64(scales[r%len(scales)]) / float64(steps[r]))
		if !(math.Abs(q) <= math.MaxInt32) {
			return // it stays and is found again
		}
		ints[r] = int32(q)
	}
	if l.scale.constant().Len() == 1 {
		steps = steps[:1]
	}
	m.put(l.bias, tensor.From(ints, b.Shape...))
	m.put(l.biasScale, tensor.From(steps, scaleShape(len(steps), s)...))
	if q, ok := l.biasDequantizer.Op.(ops.DequantizeLinear); ok && len(steps) > 1 {
		q.Axis = 0
		l.biasDequantizer.Op = q
	}
	if z := (slot{l.biasDequantizer, 2}); z.constant() != nil { // zeros, in the scale's shape
		m.put(z, tensor.New(tensor.Int32, scaleShape(len(steps), s)...))
	}
}

// scaleShape keeps the form of a single scale.
func scaleShape(n int, old *tensor.Tensor) []int {
	if n == 1 && old.Len() == 1 {
		return old.Shape
	}
	if n == 1 {
		return []int{}
	}
	return []int{n}
}

// project makes a layer's pairs safe: by wider steps of a row or by moving pairs to the nearest safe ones, whichever changes
// the weights less. Rows whose sums can leave int32 get steps so wide that they cannot. What a row loses on average goes to
// its bias.
func (m *mender) project(l *product) {
	w := l.weight.constant()
	if w.DType != tensor.Int8 {
		return
	}
	m.own(l)
	m.ownBias(l)
	t, scale := w.Clone(), l.scale.constant()
	v, old := tensor.View[int8](t), tensor.View[int8](w)
	wide, widens := make([]float64, l.p.Rows), l.widens()
	for r := range wide {
		wide[r] = 1
		if widens {
			wide[r] = max(l.widen(old, r), l.fitting(r))
		}
		l.store(v, l.safeRow(old, r, wide[r]), r)
	}
	m.put(l.weight, t)
	if widens {
		steps := append([]float32{}, tensor.Floats(scale)...)
		for r := range steps {
			steps[r] *= float32(wide[r])
		}
		m.put(l.scale, tensor.From(steps, scale.Shape...))
		m.rescaleBias(l)
	}
	m.compensate(l, old, wide)
}

// widens holds if each row has a step that can be changed, and the bias with it.
func (l *product) widens() bool {
	for r := range l.p.Rows {
		if l.zeroOf(r) != 0 {
			return false
		}
	}
	w, scale := l.weight.constant(), l.scale.constant()
	return w.DType == tensor.Int8 && scale != nil && scale.DType == tensor.Float32 && scale.Len() == l.p.Rows && l.byRow(w) &&
		(l.bias.n == nil || l.biasDequantizer != nil)
}

func (l *product) overflows() bool {
	b := l.bias.constant()
	if b == nil || b.DType != tensor.Int32 {
		return false
	}
	row, _ := l.overflow(b)
	return row >= 0
}

// fitting is how much wider the steps of a row must be at least for its sums to stay in int32.
func (l *product) fitting(r int) float64 {
	b := l.bias.constant()
	if b == nil || b.DType != tensor.Int32 || b.Len() != l.p.Rows {
		return 1
	}
	rounding := float64(255*l.p.K + 1) // of the weights, and what their bias gets back for it
	return max(1, l.reach(b, r)/(math.MaxInt32-rounding))
}

// byRow holds if the weight's scales lie along its rows.
func (l *product) byRow(w *tensor.Tensor) bool {
	if l.dequantizer == nil {
		return true
	}
	q, ok := l.n.Op.(graph.Quantizable)
	axis := l.dequantizer.Op.(ops.DequantizeLinear).Axis
	if axis < 0 {
		axis += len(w.Shape)
	}
	return ok && axis == q.Quant().Axis
}

// safeRow is a row in steps that are wide times as large, each unsafe pair moved to the nearest safe one.
func (l *product) safeRow(w []int8, r int, wide float64) []int8 {
	q := make([]int8, l.p.K)
	for k := range q {
		q[k] = int8(math.RoundToEven(float64(w[l.p.At(r, k)]) / wide))
	}
	for k := 0; k+1 < len(q); k += 2 {
		if !optimize.SafePair(q[k], q[k+1]) {
			q[k], q[k+1] = nearest(q[k], q[k+1])
		}
	}
	return q
}

func (l *product) store(v, q []int8, r int) {
	for k, x := range q {
		v[l.p.At(r, k)] = x
	}
}

// widen chooses, for a row, steps of one to two times the size, by the squared error of the weights.
func (l *product) widen(w []int8, r int) float64 {
	best, least := 1.0, math.Inf(1)
	for i := range 17 {
		wide, e := 1+float64(i)/16, 0.0
		for k, q := range l.safeRow(w, r, wide) {
			d := float64(w[l.p.At(r, k)]) - wide*float64(q)
			e += d * d
		}
		if e < least {
			best, least = wide, e
		}
	}
	return best
}

// compensate gives a layer's int32 bias what its rows lose on average.
func (m *mender) compensate(l *product, old []int8, wide []float64) {
	mean, b := m.inputs[l.n], l.bias.constant()
	if mean == nil || b == nil || b.DType != tensor.Int32 || b.Len() != l.p.Rows {
		return
	}
	v := tensor.View[int8](l.weight.constant())
	ints := append([]int32{}, tensor.View[int32](b)...)
	for r := range ints {
		lost := 0.0
		for k := range l.p.K {
			i := l.p.At(r, k)
			lost += (float64(old[i])/wide[r] - float64(v[i])) * mean.at(l, r, k)
		}
		ints[r] = int32(min(max(float64(ints[r])+math.RoundToEven(lost), -math.MaxInt32), math.MaxInt32))
	}
	m.put(l.bias, tensor.From(ints, b.Shape...))
}

// nearest is the pair on the border of the safe ones that is nearest to a, b, which have one sign.
func nearest(a, b int8) (int8, int8) {
	x, y, sign := int(a), int(b), 1
	if x < 0 {
		x, y, sign = -x, -y, -1
	}
	over := x + y - pairLimit
	x -= over / 2
	if y -= over - over/2; y < 0 {
		x, y = x+y, 0
	}
	return int8(sign * x), int8(sign * y)
}
