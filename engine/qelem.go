package engine

import (
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/kernels"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// quantize is QuantizeLinear to 8 bits with constant per-tensor parameters, dequantize its inverse.
type quantize struct {
	ops.QuantizeLinear
	params
}

func (q quantize) source() graph.Op { return q.QuantizeLinear }

// Infer gives the input's shape with the integer type.
func (q quantize) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	t := in[0].Type
	t.DType = q.dtype()
	return []graph.Type{t}, nil
}

func (q quantize) exec(x *exec, in, out []*tensor.Tensor) error {
	y := x.Make(out[0], q.dtype(), in[0].Shape...)
	src := tensor.View[float32](in[0])
	lo, hi := q.limits()
	blocks(x, len(src), func(a, b int) { x.p.set.QuantizeF32(y.Data[a:b], src[a:b], q.scale, q.zero, lo, hi) })
	return nil
}

type dequantize struct {
	ops.DequantizeLinear
	params
}

func (q dequantize) source() graph.Op { return q.DequantizeLinear }

// Infer gives the input's shape as float32.
func (q dequantize) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	t := in[0].Type
	t.DType = tensor.Float32
	return []graph.Type{t}, nil
}

func (q dequantize) exec(x *exec, in, out []*tensor.Tensor) error {
	y := x.Make(out[0], tensor.Float32, in[0].Shape...)
	dst := tensor.View[float32](y)
	f := x.p.set.DequantizeU8
	if q.signed {
		f = x.p.set.DequantizeS8
	}
	blocks(x, len(dst), func(a, b int) { f(dst[a:b], in[0].Data[a:b], q.scale, q.zero) })
	return nil
}

// lowerQuantize lowers the two operators between float and 8-bit integers.
func lowerQuantize(l *lowering, n *graph.Node) bool {
	var zero *graph.Value
	if len(n.In) > 2 {
		zero = n.In[2]
	}
	p, ok := paramsOf(n.In[1], zero)
	if !ok {
		return false
	}
	one := *n
	one.In = n.In[:1]
	switch op := n.Op.(type) {
	case ops.QuantizeLinear:
		if !isFloat(n.In[0]) || zero == nil && n.Out[0].DType != tensor.Uint8 {
			return false
		}
		return elementwise(func(graph.Op) graph.Op { return quantize{op, p} })(l, &one)
	case ops.DequantizeLinear:
		if !isByte(n.In[0]) || n.Out[0].DType != tensor.Float32 {
			return false
		}
		p.signed = n.In[0].DType == tensor.Int8
		return elementwise(func(graph.Op) graph.Op { return dequantize{op, p} })(l, &one)
	}
	return false
}

// qbinary is QLinearAdd or QLinearMul on two tensors of one shape.
type qbinary struct {
	graph.Op
	a, b, y params
	mul     bool
}

func (q qbinary) source() graph.Op { return q.Op }

// Infer gives the first operand's type.
func (q qbinary) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	t := in[0].Type
	t.DType = q.y.dtype()
	return []graph.Type{t}, nil
}

func (q qbinary) exec(x *exec, in, out []*tensor.Tensor) error {
	y := x.Make(out[0], q.y.dtype(), in[0].Shape...)
	lo, hi := q.y.limits()
	f := x.p.set.AddU8
	if q.mul {
		f = x.p.set.MulU8
	}
	blocks(x, len(y.Data), func(i, j int) {
		f(&kernels.AddQ{
			A: in[0].Data[i:j], B: in[1].Data[i:j], C: y.Data[i:j], Signed: q.y.signed,
			ScaleA: q.a.scale, ScaleB: q.b.scale, ScaleC: q.y.scale,
			ZeroA: q.a.zero, ZeroB: q.b.zero, ZeroC: q.y.zero, Lo: lo, Hi: hi,
		})
	})
	return nil
}

// lowerQBinary lowers QLinearAdd and QLinearMul. Inputs: a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero.
func lowerQBinary(l *lowering, n *graph.Node) bool {
	in := append(append([]*graph.Value{}, n.In...), nil)
	a, oka := paramsOf(in[1], in[2])
	b, okb := paramsOf(in[4], in[5])
	y, oky := paramsOf(in[6], in[7])
	if !oka || !okb || !oky || ops.RequantOf(n.Op) != "" || !sameType(in[0], in[3]) || in[0].IsConst() || in[3].IsConst() || a.signed != y.signed {
		return false
	}
	_, name := graph.NameOf(n.Op)
	two := *n
	two.In = []*graph.Value{in[0], in[3]}
	return elementwise(func(op graph.Op) graph.Op {
		return qbinary{Op: op, a: a, b: b, y: y, mul: name == "QLinearMul"}
	})(l, &two)
}

// lookup is any function of one 8-bit value, as a table.
type lookup struct {
	graph.Op
	out   tensor.DType
	table *[256]byte
}

func (k lookup) source() graph.Op { return k.Op }

// Infer gives the input's shape.
func (k lookup) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	t := in[0].Type
	t.DType = k.out
	return []graph.Type{t}, nil
}

func (k lookup) exec(x *exec, in, out []*tensor.Tensor) error {
	y := x.Make(out[0], k.out, in[0].Shape...)
	blocks(x, len(y.Data), func(a, b int) { x.p.set.Lookup(y.Data[a:b], in[0].Data[a:b], k.table) })
	return nil
}

// lowerLookup makes a table of an operator whose other inputs are constant, by running its kernel on all 256 values.
func lowerLookup(l *lowering, n *graph.Node) bool {
	if !isByte(n.In[0]) || n.Out[0].DType.Bits() != 8 {
		return false
	}
	all := tensor.New(n.In[0].DType, 256)
	for i := range all.Data {
		all.Data[i] = byte(i)
	}
	args := []*tensor.Tensor{all}
	for _, v := range n.In[1:] {
		switch {
		case v == nil:
			args = append(args, nil)
		case v.IsConst() && v.Const.Len() == 1:
			args = append(args, v.Const)
		default:
			return false
		}
	}
	res := &tensor.Tensor{}
	if err := graph.RunKernel(&graph.Exec{}, n.Op, args, []*tensor.Tensor{res}); err != nil || len(res.Data) != 256 {
		return false
	}
	one := *n
	one.In = n.In[:1]
	return elementwise(func(op graph.Op) graph.Op { return lookup{op, res.DType, (*[256]byte)(res.Data)} })(l, &one)
}
