package optimize

import (
	"context"
	"math"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// QLinear turns each operator that stands between DequantizeLinear and QuantizeLinear into its integer twin
// (graph.Twinned), as ONNX Runtime does. A Relu or Clip in between becomes a Clip of the integers, which is the same
// because quantization is monotone. Operators that only move data move the integers.
type QLinear struct{}

// Name is "qlinear".
func (QLinear) Name() string { return "qlinear" }

// Apply rewrites every sandwich that it finds.
func (QLinear) Apply(_ context.Context, g *graph.Graph) (int, error) {
	e := edit(g)
	for _, n := range slices.Clone(g.Nodes) {
		if len(n.Out) == 0 || n.Out[0] == nil || len(n.In) == 0 {
			continue
		}
		if op, ok := n.Op.(graph.Twinned); ok {
			e.twin(n, op)
		} else if moves(n) {
			e.moveIntegers(n)
		}
	}
	return e.finish()
}

// twin puts n's integer twin in the place of n, with the clamp and the quantization after it.
func (e *editor) twin(n *graph.Node, op graph.Twinned) {
	in := make([]graph.Linear, len(n.In))
	for i, v := range n.In {
		in[i] = e.integers(v)
	}
	s, quantized := e.sink(n.Out[0])
	twin, args := op.Twin(n, in, s.Linear)
	if twin == nil && quantized {
		s = sink{}
		twin, args = op.Twin(n, in, s.Linear)
	}
	if twin == nil {
		return
	}
	for _, v := range args {
		if v.IsConst() && !slices.ContainsFunc(append(in, s.Linear), func(l graph.Linear) bool { return v == l.Value || v == l.Scale || v == l.Zero }) {
			v.Name = e.b.Fresh(v.Name)
		}
	}
	e.integer(n, twin, args, s)
}

// integers gives what a DequantizeLinear with constant parameters reads, the zero Linear if v is made otherwise.
func (e *editor) integers(v *graph.Value) graph.Linear {
	if v == nil || v.Def == nil {
		return graph.Linear{}
	}
	dq, ok := v.Def.Op.(ops.DequantizeLinear)
	if !ok || dq.BlockSize != 0 || !v.Def.In[1].IsConst() || v.DType != tensor.Float32 {
		return graph.Linear{}
	}
	l := graph.Linear{Value: v.Def.In[0], Scale: v.Def.In[1], Zero: input(v.Def, 2), Axis: dq.Axis}
	if l.Zero == nil {
		l.Zero = e.zeroPoint(l.Value.DType, l.Scale.Const.Shape)
	}
	if !l.Zero.IsConst() {
		return graph.Linear{}
	}
	return l
}

// zeroPoint makes the zeros that an omitted zero point stands for.
func (e *editor) zeroPoint(d tensor.DType, shape []int) *graph.Value {
	return e.b.Const("zero_point", tensor.New(d, shape...))
}

// sink is the quantization after a value and the clamp before it.
type sink struct {
	graph.Linear
	node   *graph.Node // the QuantizeLinear; nil: the result stays float
	lo, hi float64     // of the Relu or Clip in between
}

// sink follows a value to its only reader, a QuantizeLinear to 8 bits with one scale, through at most one Relu or Clip.
func (e *editor) sink(v *graph.Value) (sink, bool) {
	s := sink{lo: math.Inf(-1), hi: math.Inf(1)}
	n := e.reader(v)
	if n != nil {
		if b, ok := interval(n); ok && n.In[0] == v {
			s.lo, s.hi = b[0], b[1]
			n = e.reader(n.Out[0])
		}
	}
	if n == nil {
		return sink{}, false
	}
	op, ok := n.Op.(ops.QuantizeLinear)
	if !ok || op.BlockSize != 0 || !n.In[1].IsConst() || n.In[1].DType != tensor.Float32 {
		return sink{}, false
	}
	s.node, s.Linear = n, graph.Linear{
		Value: n.Out[0], Scale: n.In[1], Zero: input(n, 2), Fixed: ops.RequantOf(op) == ops.RequantFixed,
	}
	if s.Zero == nil {
		s.Zero = e.zeroPoint(n.Out[0].DType, []int{})
	}
	if !s.Zero.IsConst() || !s.Single() {
		return sink{}, false
	}
	return s, true
}

// integer adds the integer operator in n's place, and a Clip where the clamp is narrower than the type.
func (e *editor) integer(n *graph.Node, op graph.Op, in []*graph.Value, s sink) {
	last, out := n, n.Out[0]
	if s.node != nil {
		last, out = s.node, s.node.Out[0]
		op = ops.WithRequant(op, ops.RequantOf(s.node.Op))
	}
	v := e.add(n.Name, op, in...)
	v.Def.Name = n.Name
	if s.node != nil {
		if lo, hi, narrow := s.limits(); narrow {
			v = e.add(n.Name+"_clip", ops.Clip{}, v, e.b.Const("lo", lo), e.b.Const("hi", hi))
		}
	}
	e.setIn(last)
	last.Out = nil
	v.Def.Out[0], out.Def = out, v.Def
	e.changes++
}

// limits quantizes the clamp.
func (s sink) limits() (lo, hi *tensor.Tensor, narrow bool) {
	scale, zero := float64(tensor.Floats(s.Scale.Const)[0]), float64(tensor.Ints(s.Zero.Const)[0])
	a, b := 0.0, 255.0
	if s.Zero.DType == tensor.Int8 {
		a, b = -128, 127
	}
	at := func(x float64) float64 {
		return min(max(math.RoundToEven(float64(float32(x)/float32(scale)))+zero, a), b)
	}
	l, h := at(s.lo), at(s.hi)
	lo, hi = tensor.New(s.Zero.DType), tensor.New(s.Zero.DType)
	_ = tensor.SetFloat64s(lo, []float64{l}) // an 8-bit integer takes any number
	_ = tensor.SetFloat64s(hi, []float64{h})
	return lo, hi, l > a || h < b
}

// moves reports whether an operator only moves its first input's elements to one output.
func moves(n *graph.Node) bool {
	op, ok := n.Op.(graph.Quantizable)
	if !ok || n.In[0] == nil || !single(n) {
		return false
	}
	traits, quant := graph.TraitsOf(op), op.Quant()
	return traits.Fill == graph.FillNone && !traits.FloatOnly && quant.Moves && !quant.All && len(quant.Data) == 0
}

// moveIntegers lets an operator that only moves data, with the same parameters before and after it, move the integers.
func (e *editor) moveIntegers(n *graph.Node) {
	x := e.integers(n.In[0])
	if !x.Activation() {
		return
	}
	if s, ok := e.sink(n.Out[0]); ok && s.Same(x) {
		e.integer(n, n.Op, append([]*graph.Value{x.Value}, n.In[1:]...), s)
	}
}
