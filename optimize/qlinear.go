package optimize

import (
	"context"
	"math"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

const microsoft = "com.microsoft"

// QLinear turns each operator that stands between DequantizeLinear and QuantizeLinear into its integer operator, as
// ONNX Runtime does: QLinearConv, QLinearMatMul and com.microsoft's QGemm, QLinearAdd and so on. A Relu or Clip in
// between becomes a Clip of the integers, which is the same because quantization is monotone. Operators that only move
// data move the integers.
type QLinear struct{}

// Name is "qlinear".
func (QLinear) Name() string { return "qlinear" }

// Apply rewrites every sandwich that it finds and drops what is then dead.
func (QLinear) Apply(_ context.Context, g *graph.Graph) (int, error) {
	q := &qlinear{b: graph.NewBuilder(g), uses: g.Uses()}
	for _, n := range slices.Clone(g.Nodes) {
		if f := sandwiches[n.OpName()]; f != nil && len(n.Out) > 0 && n.Out[0] != nil && f(q, n) {
			q.changes++
		} else if f == nil && moves(n) && q.move(n) {
			q.changes++
		}
	}
	removeDead(g)
	return q.changes, q.b.Err
}

type qlinear struct {
	b       *graph.Builder
	uses    map[*graph.Value][]graph.Use
	changes int
}

var sandwiches = map[string]func(q *qlinear, n *graph.Node) bool{
	"Conv":              (*qlinear).conv,
	"Gemm":              (*qlinear).gemm,
	"MatMul":            (*qlinear).matMul,
	"Add":               func(q *qlinear, n *graph.Node) bool { return q.binary(n, "QLinearAdd") },
	"Mul":               func(q *qlinear, n *graph.Node) bool { return q.binary(n, "QLinearMul") },
	"GlobalAveragePool": func(q *qlinear, n *graph.Node) bool { return q.pool(n, "QLinearGlobalAveragePool") },
	"AveragePool":       func(q *qlinear, n *graph.Node) bool { return q.pool(n, "QLinearAveragePool") },
	"Sigmoid":           func(q *qlinear, n *graph.Node) bool { return q.pool(n, "QLinearSigmoid") },
	"LeakyRelu":         func(q *qlinear, n *graph.Node) bool { return q.pool(n, "QLinearLeakyRelu") },
	"Concat":            (*qlinear).concat,
}

// quantized is an integer value with its parameters.
type quantized struct {
	v, scale, zero *graph.Value
	axis           int
}

// in gives the integers behind a dequantized value.
func (q *qlinear) in(v *graph.Value) (quantized, bool) {
	if v == nil || v.Def == nil {
		return quantized{}, false
	}
	dq, ok := v.Def.Op.(ops.DequantizeLinear)
	if !ok || dq.BlockSize != 0 || !v.Def.In[1].IsConst() || v.DType != tensor.Float32 {
		return quantized{}, false
	}
	z := quantized{v: v.Def.In[0], scale: v.Def.In[1], axis: dq.Axis}
	if len(v.Def.In) > 2 && v.Def.In[2] != nil {
		z.zero = v.Def.In[2]
	} else {
		z.zero = q.b.Const("zero_point", tensor.New(z.v.DType, z.scale.Const.Shape...))
	}
	return z, z.zero.IsConst()
}

// activation is in for 8-bit values with one scale.
func (q *qlinear) activation(v *graph.Value) (quantized, bool) {
	z, ok := q.in(v)
	return z, ok && z.scalar() && !z.v.IsConst()
}

// weight is in for 8-bit values, activations or constants, whose scale may go along an axis.
func (q *qlinear) weight(v *graph.Value) (quantized, bool) {
	z, ok := q.in(v)
	return z, ok && z.eightBit()
}

func (z quantized) scalar() bool { return z.scale.Const.Len() == 1 && z.eightBit() }

func (z quantized) eightBit() bool { return z.v.DType == tensor.Uint8 || z.v.DType == tensor.Int8 }

// sink is the quantization behind a value and the clamp before it.
type sink struct {
	quantized
	node   *graph.Node // the QuantizeLinear
	lo, hi float64     // of the Relu or Clip in between
}

// out follows a value to its only reader, a QuantizeLinear, through at most one Relu or Clip.
func (q *qlinear) out(v *graph.Value) (sink, bool) {
	s := sink{lo: math.Inf(-1), hi: math.Inf(1)}
	n := q.reader(v)
	if n != nil && (n.OpName() == "Relu" || n.OpName() == "Clip") {
		if !s.clamp(n) {
			return s, false
		}
		n = q.reader(n.Out[0])
	}
	if n == nil {
		return s, false
	}
	op, ok := n.Op.(ops.QuantizeLinear)
	if !ok || op.BlockSize != 0 || !n.In[1].IsConst() || n.In[1].DType != tensor.Float32 {
		return s, false
	}
	s.node, s.quantized = n, quantized{v: n.Out[0], scale: n.In[1]}
	if len(n.In) > 2 && n.In[2] != nil {
		s.zero = n.In[2]
	} else {
		s.zero = q.b.Const("zero_point", tensor.New(n.Out[0].DType))
	}
	return s, s.zero.IsConst() && s.scalar()
}

// fixed tells whether the QuantizeLinear after n asks for fixed-point arithmetic.
func (q *qlinear) fixed(n *graph.Node) bool {
	s, ok := q.out(n.Out[0])
	return ok && ops.RequantOf(s.node.Op) == ops.RequantFixed
}

// reader is the only node that reads v; nil if there are more or v leaves the graph.
func (q *qlinear) reader(v *graph.Value) *graph.Node {
	if u := q.uses[v]; len(u) == 1 && !q.b.G.IsOutput(v) {
		return u[0].Node
	}
	return nil
}

func (s *sink) clamp(n *graph.Node) bool {
	if n.OpName() == "Relu" {
		s.lo = 0
		return true
	}
	for i, bound := range []*float64{&s.lo, &s.hi} {
		if len(n.In) <= i+1 || n.In[i+1] == nil {
			continue
		}
		if !n.In[i+1].IsConst() || n.In[i+1].Const.Len() != 1 {
			return false
		}
		*bound = tensor.Doubles(n.In[i+1].Const)[0]
	}
	return s.lo <= s.hi
}

// finish adds the integer operator, and a Clip where the clamp is narrower than the type, in place of s's node.
func (q *qlinear) finish(n *graph.Node, op graph.Op, in []*graph.Value, s sink) bool {
	v := q.b.Add(n.Name, ops.WithRequant(op, ops.RequantOf(s.node.Op)), in...)
	made := v.Def
	made.Name = n.Name
	if lo, hi, narrow := s.limits(); narrow {
		v = q.b.Add(n.Name+"_clip", ops.Clip{}, v, q.b.Const("lo", lo), q.b.Const("hi", hi))
		made = v.Def
	}
	out := s.node.Out[0]
	made.Out[0], out.Def = out, made
	q.b.G.Remove(func(m *graph.Node) bool { return m == s.node })
	q.uses[v] = nil
	return true
}

// limits quantizes the clamp.
func (s sink) limits() (lo, hi *tensor.Tensor, narrow bool) {
	scale, zero := float64(tensor.Floats(s.scale.Const)[0]), float64(tensor.Ints(s.zero.Const)[0])
	a, b := 0.0, 255.0
	if s.zero.DType == tensor.Int8 {
		a, b = -128, 127
	}
	at := func(x float64) float64 {
		return min(max(math.RoundToEven(float64(float32(x)/float32(scale)))+zero, a), b)
	}
	l, h := at(s.lo), at(s.hi)
	lo, hi = tensor.New(s.zero.DType), tensor.New(s.zero.DType)
	_ = tensor.SetDoubles(lo, []float64{l}) // an 8-bit integer takes any number
	_ = tensor.SetDoubles(hi, []float64{h})
	return lo, hi, l > a || h < b
}

func (q *qlinear) conv(n *graph.Node) bool {
	x, okx := q.activation(n.In[0])
	w, okw := q.weight(n.In[1])
	if !okx || !okw || !w.v.IsConst() || w.axis != 0 && w.scale.Const.Len() != 1 {
		return false
	}
	s, ok := q.out(n.Out[0])
	if !ok {
		return false
	}
	in := []*graph.Value{x.v, x.scale, x.zero, w.v, w.scale, w.zero, s.scale, s.zero}
	if len(n.In) > 2 && n.In[2] != nil {
		b, ok := q.bias(n.In[2], x, w, q.fixed(n))
		if !ok {
			return false
		}
		in = append(in, b)
	}
	return q.finish(n, ops.QLinearConv{Conv: n.Op.(ops.Conv)}, in, s)
}

// bias gives the int32 bias in the scale of the sums. One that the file stores in another scale is converted, which moves it by at
// most half a step of the sums; fixed point adds its integers as they are, whatever scale they were given.
func (q *qlinear) bias(v *graph.Value, x, w quantized, fixed bool) (*graph.Value, bool) {
	b, ok := q.in(v)
	if !ok || b.v.DType != tensor.Int32 || !b.v.IsConst() || slices.ContainsFunc(tensor.Ints(b.zero.Const), func(z int64) bool { return z != 0 }) {
		return nil, false
	}
	sx, sw, sb := tensor.Floats(x.scale.Const)[0], tensor.Floats(w.scale.Const), tensor.Floats(b.scale.Const)
	old := tensor.View[int32](b.v.Const)
	if n := len(sw); n != 1 && n != len(old) || len(sb) != 1 && len(sb) != len(old) {
		return nil, false
	}
	moved, changed := make([]int32, len(old)), false
	for i, e := range old {
		from, to := sb[i%len(sb)], sx*sw[i%len(sw)]
		if moved[i] = e; fixed || from == to {
			continue
		}
		r := math.RoundToEven(float64(e) * float64(from) / float64(to))
		if !(math.Abs(r) <= math.MaxInt32) {
			return nil, false
		}
		moved[i] = int32(r)
		changed = changed || moved[i] != e
	}
	if !changed {
		return b.v, true
	}
	return q.b.Const(b.v.Name, tensor.From(moved, len(moved))), true
}

func (q *qlinear) gemm(n *graph.Node) bool {
	op := n.Op.(ops.Gemm)
	x, okx := q.activation(n.In[0])
	w, okw := q.weight(n.In[1])
	if !okx || !okw || !w.v.IsConst() || op.Beta != 1 || op.Alpha != 1 || op.TransA || !w.column(op) {
		return false
	}
	in := []*graph.Value{x.v, x.scale, x.zero, w.v, w.scale, w.zero, nil}
	if len(n.In) > 2 && n.In[2] != nil {
		b, ok := q.bias(n.In[2], x, w, q.fixed(n))
		if !ok {
			return false
		}
		in[6] = b
	}
	fused := ops.QGemm{Alpha: 1, TransB: op.TransB}
	if s, ok := q.out(n.Out[0]); ok {
		return q.finish(n, fused, append(in, s.scale, s.zero), s)
	}
	return q.replace(n, fused, in)
}

// column tells whether the scale goes along the output columns.
func (z quantized) column(op ops.Gemm) bool {
	if z.scale.Const.Len() == 1 {
		return true
	}
	if op.TransB {
		return z.axis == 0
	}
	return z.axis == 1 || z.axis == -1
}

// replace puts a new operator in n's place, with the same output.
func (q *qlinear) replace(n *graph.Node, op graph.Op, in []*graph.Value) bool {
	v := q.b.Add(n.Name, op, in...)
	made := v.Def
	made.Name = n.Name
	made.Out[0], n.Out[0].Def = n.Out[0], made
	q.b.G.Remove(func(m *graph.Node) bool { return m == n })
	return true
}

func (q *qlinear) matMul(n *graph.Node) bool {
	a, oka := q.activation(n.In[0])
	b, okb := q.weight(n.In[1])
	rank := n.In[1].Rank()
	if !oka || !okb || b.scale.Const.Len() != 1 && (rank != 2 || b.axis != -1 && b.axis != rank-1) {
		return false
	}
	s, ok := q.out(n.Out[0])
	if !ok {
		return q.matrices(n, a, b)
	}
	return q.finish(n, ops.QLinearMatMul{}, []*graph.Value{a.v, a.scale, a.zero, b.v, b.scale, b.zero, s.scale, s.zero}, s)
}

// matrices lets a product of two matrices whose result is not quantized give a float, as ONNX has no operator for that.
func (q *qlinear) matrices(n *graph.Node, a, b quantized) bool {
	if n.In[0].Rank() != 2 || n.In[1].Rank() != 2 || !b.v.IsConst() {
		return false
	}
	return q.replace(n, ops.QGemm{Alpha: 1}, []*graph.Value{a.v, a.scale, a.zero, b.v, b.scale, b.zero, nil})
}

func (q *qlinear) binary(n *graph.Node, name string) bool {
	a, oka := q.in(n.In[0])
	b, okb := q.in(n.In[1])
	if !oka || !okb || !a.scalar() || !b.scalar() {
		return false
	}
	op, err := graph.NewOp(microsoft, name, nil)
	if err != nil {
		return false
	}
	s, ok := q.out(n.Out[0])
	if !ok {
		return false
	}
	return q.finish(n, op, []*graph.Value{a.v, a.scale, a.zero, b.v, b.scale, b.zero, s.scale, s.zero}, s)
}

func (q *qlinear) pool(n *graph.Node, name string) bool {
	x, ok := q.activation(n.In[0])
	if !ok {
		return false
	}
	op, err := graph.NewOp(microsoft, name, graph.AttrsOf(n.Op))
	if err != nil {
		return false
	}
	s, ok := q.out(n.Out[0])
	if !ok {
		return false
	}
	if op = ops.WithRequant(op, ops.RequantOf(s.node.Op)); ops.RequantOf(op) == ops.RequantFixed && !x.same(s.quantized) {
		return false // a fixed-point average has no factor
	}
	return q.finish(n, op, []*graph.Value{x.v, x.scale, x.zero, s.scale, s.zero}, s)
}

// moves tells whether an operator only moves its first input's elements to one output.
func moves(n *graph.Node) bool {
	op, ok := n.Op.(graph.Quantizable)
	if !ok || len(n.In) == 0 || n.In[0] == nil || !single(n) {
		return false
	}
	traits, quant := graph.TraitsOf(op), op.Quant()
	return traits.Fill == graph.FillNone && !traits.FloatOnly && quant.Moves && !quant.All && len(quant.Data) == 0
}

// move lets an operator that only moves data, with the same parameters before and behind it, move the integers.
func (q *qlinear) move(n *graph.Node) bool {
	x, ok := q.activation(n.In[0])
	if !ok {
		return false
	}
	s, ok := q.out(n.Out[0])
	if !ok || !s.same(x) {
		return false
	}
	return q.finish(n, n.Op, append([]*graph.Value{x.v}, n.In[1:]...), s)
}

// same tells whether two values have the same type and parameters.
func (z quantized) same(y quantized) bool {
	return z.v.DType == y.v.DType && z.scale.Const.Len() == y.scale.Const.Len() &&
		tensor.Floats(z.scale.Const)[0] == tensor.Floats(y.scale.Const)[0] &&
		tensor.Ints(z.zero.Const)[0] == tensor.Ints(y.zero.Const)[0]
}

func (q *qlinear) concat(n *graph.Node) bool {
	s, ok := q.out(n.Out[0])
	if !ok {
		return false
	}
	var ints, all []*graph.Value
	same := true
	for _, v := range n.In {
		x, ok := q.activation(v)
		if !ok {
			return false
		}
		same = same && s.same(x)
		ints = append(ints, x.v)
		all = append(all, x.v, x.scale, x.zero)
	}
	if same {
		return q.finish(n, n.Op, ints, s)
	}
	op, err := graph.NewOp(microsoft, "QLinearConcat", graph.AttrsOf(n.Op))
	if err != nil {
		return false
	}
	return q.finish(n, op, append([]*graph.Value{s.scale, s.zero}, all...), s)
}
