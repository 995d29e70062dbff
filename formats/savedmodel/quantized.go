package savedmodel

import (
	"context"
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// restored says of a value that it is (q - zero)·scale of an integer tensor q: a cast, a difference, a product, as Save writes
// a DequantizeLinear. Scale and zero are float32, as they are stretched over q; zero is nil if there is none.
type restored struct {
	q           *graph.Value
	scale, zero *tensor.Tensor
}

// restoredBy matches a product. An integer that is an input of the model is not taken: what feeds it is no quantized number
// for all we know.
func restoredBy(in []*graph.Value) (r restored, ok bool) {
	for i, v := range in {
		if !in[1-i].IsConst() || in[1-i].DType != tensor.Float32 {
			continue
		}
		r = restored{scale: in[1-i].Const}
		if n := made(v, "Sub"); n != nil && n.In[1].IsConst() {
			v, r.zero = n.In[0], n.In[1].Const
		}
		if n := made(v, "Cast"); n != nil && n.In[0].DType.IsInt() && (n.In[0].IsConst() || n.In[0].Def != nil) {
			r.q = n.In[0]
			return r, r.q.Rank() >= 0 && len(r.scale.Shape) <= r.q.Rank() && r.zeroFits()
		}
	}
	return r, false
}

// zeroFits reports whether the zero points are numbers of q's type, laid out as the scales are.
func (r restored) zeroFits() bool {
	if r.zero == nil {
		return true
	}
	low, high, ok := integerRange(r.q.DType)
	for _, z := range tensor.Float64s(r.zero) {
		ok = ok && z == math.Trunc(z) && z >= low && z <= high
	}
	return ok && r.zero.Len() == r.scale.Len()
}

// axisOf finds the only axis of q along which a stretched tensor varies; -1: it has one element.
func axisOf(t *tensor.Tensor, rank int) (axis int, ok bool) {
	axis = -1
	for i, n := range t.Shape {
		if n == 1 {
			continue
		}
		if axis >= 0 {
			return 0, false
		}
		axis = rank - len(t.Shape) + i
	}
	return axis, true
}

// dequantize adds a DequantizeLinear; ok is false where it cannot say the same.
func (c *call) dequantize(name string, r restored) (v *graph.Value, ok bool) {
	axis, ok := axisOf(r.scale, r.q.Rank())
	if !ok {
		return nil, false
	}
	shape := []int{}
	op := ops.DequantizeLinear{Axis: 1}
	if axis >= 0 {
		shape, op.Axis = []int{r.scale.Len()}, axis
	}
	in := []*graph.Value{r.q, c.b.Const(name+"/scale", r.scale.Reshape(shape...))}
	if r.zero != nil {
		zero := tensor.New(r.q.DType, shape...)
		if tensor.SetFloat64s(zero, tensor.Float64s(r.zero)) != nil {
			return nil, false
		}
		in = append(in, c.b.Const(name+"/zero", zero))
	}
	return c.b.Add(name, op, in...), true
}

// multiply is a product, or the end of what restores quantized numbers.
func multiply(c *call, in []*graph.Value) (*graph.Value, error) {
	if len(in) != 2 {
		return nil, fmt.Errorf("%d inputs, want 2", len(in))
	}
	r, ok := restoredBy(in)
	if !ok {
		return c.add(ops.Mul{}, in...), nil
	}
	v, ok := c.dequantize(c.n.Name, r)
	if !ok {
		v = c.add(ops.Mul{}, in...)
	}
	c.s.l.restored[v] = r
	return v, nil
}

// turnedRestored turns a quantized weight with its scales; ok is false if v is none.
func (c *call) turnedRestored(v *graph.Value, perm []int, shape func(s []int) []int) (out *graph.Value, ok bool, err error) {
	r, ok := c.s.l.restored[v]
	if !ok || !r.q.IsConst() {
		return nil, false, nil
	}
	q, err := c.turned(r.q, perm, shape)
	if err != nil {
		return nil, false, err
	}
	turn := func(t *tensor.Tensor) *tensor.Tensor {
		if t == nil || t.Len() == 1 || err != nil {
			return t
		}
		if len(t.Shape) != len(perm) {
			err = fmt.Errorf("the scales of a weight have shape %v", t.Shape)
			return nil
		}
		op, made := ops.Transpose{Perm: perm}, &tensor.Tensor{}
		x := &graph.Exec{Ctx: context.Background(), Node: &graph.Node{Op: op}}
		if err = graph.RunKernel(x, op, []*tensor.Tensor{t}, []*tensor.Tensor{made}); err == nil && shape != nil {
			made = made.Reshape(shape(made.Shape)...)
		}
		return made
	}
	turned := restored{q, turn(r.scale), turn(r.zero)}
	if err != nil {
		return nil, false, err
	}
	out, ok = c.dequantize(c.n.Name+"/weight", turned)
	return out, ok, nil
}

// castTo is a cast, or the end of what quantizes: round(x / scale) + zero, clamped to the range of integers.
func (c *call) castTo(v *graph.Value, d tensor.DType) *graph.Value {
	low, high, ok := integerRange(d)
	if !ok || v.DType != tensor.Float32 {
		return c.cast(v, d)
	}
	x, okHigh := clamped(v, "Min", high)
	x, okLow := clamped(x, "Max", low)
	if !okHigh || !okLow {
		return c.cast(v, d)
	}
	var zero *tensor.Tensor
	if n := made(x, "Add"); n != nil && n.In[1].IsConst() {
		x, zero = n.In[0], n.In[1].Const
	}
	n := made(x, "Round")
	if n == nil {
		return c.cast(v, d)
	}
	div := made(n.In[0], "Div")
	if div == nil || !div.In[1].IsConst() || div.In[0].Rank() < len(div.In[1].Const.Shape) {
		return c.cast(v, d)
	}
	scale := div.In[1].Const
	axis, ok := axisOf(scale, div.In[0].Rank())
	fits := restored{q: graph.NewInput("", graph.Of(d)), scale: scale, zero: zero}.zeroFits()
	if !ok || !fits {
		return c.cast(v, d)
	}
	shape, op := []int{}, ops.QuantizeLinear{Axis: 1, Saturate: true}
	if axis >= 0 {
		shape, op.Axis = []int{scale.Len()}, axis
	}
	typed := tensor.New(d, shape...)
	if zero != nil && tensor.SetFloat64s(typed, tensor.Float64s(zero)) != nil {
		return c.cast(v, d)
	}
	return c.b.Add(c.n.Name, op, div.In[0], c.b.Const(c.n.Name+"/scale", scale.Reshape(shape...)), c.b.Const(c.n.Name+"/zero", typed))
}

// clamped matches a bound on a value.
func clamped(v *graph.Value, op string, bound float64) (x *graph.Value, ok bool) {
	n := made(v, op)
	if n == nil || len(n.In) != 2 || !n.In[1].IsConst() || n.In[1].Const.Len() != 1 || tensor.Float64s(n.In[1].Const)[0] != bound {
		return v, false
	}
	return n.In[0], true
}

// biased adds a bias to a convolution that has none: ok is false if x is none, or something else reads it already.
func (c *call) biased(x, bias *graph.Value) (v *graph.Value, ok bool) {
	last := made(x, "Transpose")
	if last == nil || bias.Rank() != 1 {
		return nil, false
	}
	n := made(last.In[0], "Conv")
	if n == nil || len(n.In) != 2 {
		return nil, false
	}
	y := c.b.Add(n.Name, n.Op, n.In[0], n.In[1], bias)
	return c.b.Add(c.n.Name+"/channels_last", last.Op, y), true
}
