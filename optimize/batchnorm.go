package optimize

import (
	"cmp"
	"context"
	"math"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// BatchNorm folds what scales and shifts channels (BatchNormalization, and Mul, Add, Sub, Div by constants) into the
// weights and bias of the Conv, ConvTranspose, Gemm or MatMul in front of it: with y = s·(W·x + b) + t the new weights are
// s·W and the new bias s·b + t, computed in float64 and rounded once. Weights that something else reads too stay.
type BatchNorm struct{}

// Name is "batchnorm".
func (BatchNorm) Name() string { return "batchnorm" }

// Apply counts the nodes that it folded.
func (BatchNorm) Apply(_ context.Context, g *graph.Graph) (int, error) {
	e := edit(g)
	for _, n := range g.Nodes {
		p, ok := productOf(n)
		for ok {
			next := e.reader(n.Out[0])
			if next == nil || !single(next) || !equalShapes(n.Out[0], next.Out[0]) && next.OpName() != "BatchNormalization" {
				break
			}
			a, fits := affineOf(next, n.Out[0], p)
			if !fits || !e.foldInto(n, next, p, a) {
				break
			}
			p, ok = productOf(n)
		}
	}
	return e.finish()
}

// product describes a node that multiplies its input by constant weights.
type product struct {
	axis, channels int             // of the output
	channel        func(i int) int // the output channel that weight element i belongs to
	bias           int             // its input; -1: the operator has none
}

// productOf is ok for float products with constant weights and bias.
func productOf(n *graph.Node) (p product, ok bool) {
	op, stores := n.Op.(graph.Stored)
	q, ok := n.Op.(graph.Quantizable)
	if !ok || !stores || q.Quant().Weight != 1 || !single(n) || !n.In[1].IsConst() || n.Out[0].Rank() < 2 {
		return p, false
	}
	d, w := q.Quant(), n.In[1].Const
	if w.DType != tensor.Float32 && w.DType != tensor.Float64 || w.Len() == 0 {
		return p, false
	}
	in := make([]graph.Fact, len(n.In))
	for i, v := range n.In {
		if v != nil {
			in[i] = v.Fact
		}
	}
	weights := op.Weights(in)
	at := slices.IndexFunc(weights, func(w graph.Weight) bool { return w.Input == 1 })
	if at < 0 {
		return p, false
	}
	p.channels, p.channel = channelsOf(weights[at], w.Shape)
	p.axis, p.bias = d.Out, cmp.Or(d.Bias, -1)
	if r := n.Out[0].Rank(); d.Out < 0 {
		p.axis += r
	}
	if _, ok := n.Op.(ops.MatMul); ok {
		if len(w.Shape) != 2 {
			return p, false
		}
		if n.Out[0].Rank() == 2 {
			p.bias = 2 // as a Gemm
		}
	}
	if p.bias < 0 {
		return p, true
	}
	b := input(n, p.bias)
	return p, b == nil || b.IsConst()
}

// channelsOf counts the channels of a weight of the given shape and gives the channel of its i-th element.
func channelsOf(w graph.Weight, shape []int) (int, func(i int) int) {
	if w.View != nil {
		shape = w.View
	}
	if len(w.Axes) == 1 {
		size, each := shape[w.Axes[0]], tensor.Size(shape[w.Axes[0]+1:])
		return size, func(i int) int { return i / each % size }
	}
	count := 1
	for _, a := range w.Axes {
		count *= shape[a]
	}
	return count, func(i int) int {
		c := 0
		for _, a := range w.Axes {
			c = c*shape[a] + i/tensor.Size(shape[a+1:])%shape[a]
		}
		return c
	}
}

// affine is x·scale + shift with a number for each channel.
type affine struct{ scale, shift []float64 }

// affineOf reads a node that scales and shifts the channels of x.
func affineOf(n *graph.Node, x *graph.Value, p product) (affine, bool) {
	a := affine{slices.Repeat([]float64{1}, p.channels), make([]float64, p.channels)}
	if bn, ok := n.Op.(ops.BatchNormalization); ok {
		return a, p.axis == 1 && n.In[0] == x && a.batchNorm(bn, n)
	}
	name := n.OpName()
	at := 0 // where x stands
	switch {
	case name != "Add" && name != "Sub" && name != "Mul" && name != "Div":
		return a, false
	case n.In[0] != x && (name == "Add" || name == "Mul"):
		at = 1
	case n.In[0] != x:
		return a, false
	}
	v, ok := perChannel(n.In[1-at], x.Rank(), p)
	if !ok {
		return a, false
	}
	for c := range v {
		switch name {
		case "Add":
			a.shift[c] = v[c]
		case "Sub":
			a.shift[c] = -v[c]
		case "Mul":
			a.scale[c] = v[c]
		case "Div":
			a.scale[c] = 1 / v[c]
		}
	}
	return a, true
}

func (a affine) batchNorm(bn ops.BatchNormalization, n *graph.Node) bool {
	if bn.TrainingMode {
		return false
	}
	var v [4][]float64
	for i := range v {
		if !n.In[i+1].IsConst() {
			return false
		}
		if v[i] = tensor.Float64s(n.In[i+1].Const); len(v[i]) != len(a.scale) {
			return false
		}
	}
	for c := range a.scale {
		a.scale[c] = v[0][c] / math.Sqrt(v[3][c]+float64(bn.Epsilon))
		a.shift[c] = v[1][c] - v[2][c]*a.scale[c]
	}
	return true
}

// perChannel gives a constant's number for each channel of a tensor of rank r, to which it must broadcast without varying
// along other axes.
func perChannel(v *graph.Value, r int, p product) ([]float64, bool) {
	if !v.IsConst() || !v.Const.IsFloat() || len(v.Const.Shape) > r {
		return nil, false
	}
	for i, d := range v.Const.Shape {
		if axis := r - len(v.Const.Shape) + i; d != 1 && (axis != p.axis || d != p.channels) {
			return nil, false
		}
	}
	e := tensor.Float64s(v.Const)
	if len(e) == 1 {
		e = slices.Repeat(e, p.channels)
	}
	return e, len(e) == p.channels
}

// foldInto changes n's weights and bias so that n gives what next gave.
func (e *editor) foldInto(n, next *graph.Node, p product, a affine) bool {
	weight := n.In[1]
	scaled := slices.ContainsFunc(a.scale, func(s float64) bool { return s != 1 })
	if scaled && (e.reader(weight) == nil || p.bias < 0 && !allZero(a.shift)) || p.bias < 0 && !scaled {
		return false
	}
	w := weight.Const
	if scaled {
		v := slices.Clone(tensor.Float64s(w))
		for i := range v {
			v[i] *= a.scale[p.channel(i)]
		}
		var ok bool
		if w, ok = finite(v, w.DType, w.Shape); !ok {
			return false
		}
	}
	in := []*graph.Value{n.In[0], weight}
	op := n.Op
	if p.bias >= 0 {
		old := input(n, p.bias)
		b, ok := newBias(n, old, p, a)
		if !ok {
			return false
		}
		if gemm, ok := op.(ops.Gemm); ok {
			gemm.Beta = 1
			op = gemm
		} else if n.OpName() == "MatMul" {
			op = ops.Gemm{Alpha: 1, Beta: 1}
		}
		if old != nil || !allZero(tensor.Float64s(b)) {
			in = append(in, e.revise(old, label(n)+"_bias", b))
		} else {
			op = n.Op
		}
	}
	if scaled {
		in[1] = graph.NewConst(weight.Name, w)
	}
	n.Op = op
	e.setIn(n, in...)
	e.absorb(n, next)
	return true
}

// newBias is the bias of n, scaled and shifted.
func newBias(n *graph.Node, old *graph.Value, p product, a affine) (*tensor.Tensor, bool) {
	v := slices.Clone(a.shift)
	if old != nil {
		rank := 1
		beta := 1.0
		if gemm, ok := n.Op.(ops.Gemm); ok {
			rank, beta = 2, float64(gemm.Beta)
		}
		b, ok := perChannel(old, rank, product{axis: rank - 1, channels: p.channels})
		if !ok {
			return nil, false
		}
		for c := range v {
			v[c] += b[c] * beta * a.scale[c]
		}
	}
	return finite(v, n.In[1].DType, []int{p.channels})
}

func allZero(v []float64) bool {
	return !slices.ContainsFunc(v, func(e float64) bool { return e != 0 })
}

// finite makes a tensor unless a number leaves the type's range.
func finite(v []float64, d tensor.DType, shape []int) (*tensor.Tensor, bool) {
	t := tensor.New(d, shape...)
	if tensor.SetFloat64s(t, v) != nil {
		return nil, false
	}
	return t, !slices.ContainsFunc(tensor.Float64s(t), func(e float64) bool { return math.IsInf(e, 0) || math.IsNaN(e) })
}

// SplitNorm makes a Mul and an Add of each BatchNormalization that found no product in front of it.
type SplitNorm struct{}

// Name is "splitnorm".
func (SplitNorm) Name() string { return "splitnorm" }

// Apply counts the nodes that it split.
func (SplitNorm) Apply(_ context.Context, g *graph.Graph) (int, error) {
	e := edit(g)
	for _, n := range slices.Clone(g.Nodes) {
		bn, ok := n.Op.(ops.BatchNormalization)
		if !ok || !single(n) || n.In[0].Rank() < 2 || n.In[0].DType != tensor.Float32 || !n.In[1].IsConst() {
			continue
		}
		channels := n.In[1].Const.Len()
		a := affine{make([]float64, channels), make([]float64, channels)}
		if !a.batchNorm(bn, n) {
			continue
		}
		shape := slices.Repeat([]int{1}, n.In[0].Rank()-1)
		shape[0] = channels
		scale, okScale := finite(a.scale, tensor.Float32, shape)
		shift, okShift := finite(a.shift, tensor.Float32, shape)
		if !okScale || !okShift {
			continue
		}
		scaled := e.add(label(n)+"_scaled", ops.Mul{}, n.In[0], e.b.Const(label(n)+"_scale", scale))
		n.Op = ops.Add{}
		e.setIn(n, scaled, e.b.Const(label(n)+"_shift", shift))
		e.changes++
	}
	return e.finish()
}
