package savedmodel

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// along reshapes a vector so that it lies along one axis of a tensor of some rank.
func (l *lowering) along(v *graph.Value, axis, rank int) *graph.Value {
	if v.Rank() == 0 || v.Rank() == 1 && v.Shape[0].Is(1) || rank == 1 {
		return v
	}
	shape := slices.Repeat([]int64{1}, rank)
	shape[axis] = -1
	if v.IsConst() {
		sizes := slices.Repeat([]int{1}, rank)
		sizes[axis] = v.Const.Len()
		return l.b.Const(v.Name, v.Const.Reshape(sizes...))
	}
	return l.add(ops.Reshape{}, v, l.ints(shape...))
}

// batchNorm is x·s + b, with s and b computed here if they are known.
func (l *lowering) batchNorm() (*graph.Value, error) {
	o, n := l.n.Op.(ops.BatchNormalization), l.n
	if o.TrainingMode || n.In[0].Rank() < 2 || n.In[0].DType != tensor.Float32 {
		return nil, errors.New("only inference in float32 has a twin")
	}
	known := !slices.ContainsFunc(n.In[1:5], func(v *graph.Value) bool { return !v.IsConst() })
	if !known {
		return nil, errors.New("its moments are computed")
	}
	p := make([][]float32, 4)
	for i := range p {
		p[i] = tensor.Floats(n.In[1+i].Const)
	}
	scale, shift := make([]float32, len(p[0])), make([]float32, len(p[0]))
	for i := range scale {
		s := float64(p[0][i]) / math.Sqrt(float64(p[3][i])+float64(o.Epsilon))
		scale[i], shift[i] = float32(s), float32(float64(p[1][i])-float64(p[2][i])*s)
	}
	rank := n.In[0].Rank()
	vector := func(v []float32) *graph.Value { return l.along(l.b.Const(n.Name, tensor.From(v, len(v))), 1, rank) }
	return l.add(ops.Add{}, l.add(ops.Mul{}, n.In[0], vector(scale)), vector(shift)), nil
}

func (l *lowering) layerNorm() (*graph.Value, error) {
	x := l.n.In[0]
	attr := map[string]any{}
	for _, a := range graph.AttrsOf(l.n.Op) {
		attr[a.Name] = a.Value
	}
	axis, eps := -1, 1e-5
	if a, ok := attr["axis"].(int64); ok {
		axis = int(a)
	}
	if e, ok := attr["epsilon"].(float32); ok {
		eps = float64(e)
	}
	if x.Rank() < 1 || len(l.n.Out) > 1 {
		return nil, fmt.Errorf("its input is %s, or its moments are read", x.Type)
	}
	if axis < 0 {
		axis += x.Rank()
	}
	var axes []int64
	for i := axis; i < x.Rank(); i++ {
		axes = append(axes, int64(i))
	}
	at := l.ints(axes...)
	d := l.add(ops.Sub{}, x, l.add(ops.ReduceMean{Keepdims: true}, x, at))
	variance := l.add(ops.ReduceMean{Keepdims: true}, l.add(ops.Mul{}, d, d), at)
	y := l.add(ops.Div{}, d, l.add(ops.Sqrt{}, l.add(ops.Add{}, variance, l.number(x.DType, eps))))
	y = l.add(ops.Mul{}, y, l.n.In[1])
	if len(l.n.In) > 2 && l.n.In[2] != nil {
		y = l.add(ops.Add{}, y, l.n.In[2])
	}
	return y, nil
}

// steps gives the scale and the zero point of a quantization, as they lie along x, in float32; no zero point is nil.
func (l *lowering) steps(x *graph.Value, axis int) (scale, zero *graph.Value, err error) {
	n := l.n
	if x.Rank() < 0 {
		return nil, nil, errors.New("the rank of its input is not known")
	}
	if n.In[1].Rank() > 1 {
		return nil, nil, errors.New("scales by block have no twin")
	}
	if axis < 0 {
		axis += x.Rank()
	}
	scale = l.along(n.In[1], axis, x.Rank())
	if len(n.In) < 3 || n.In[2] == nil {
		return scale, nil, nil
	}
	if z := n.In[2]; z.IsConst() {
		f, err := tensor.FromFloats(tensor.Float32, tensor.Floats(z.Const), z.Const.Shape...)
		if err != nil || f.Zeros() == f.Len() {
			return scale, nil, err
		}
		return scale, l.along(l.b.Const(z.Name, f), axis, x.Rank()), nil
	}
	return scale, l.along(l.add(ops.Cast{To: int(tensor.Float32)}, n.In[2]), axis, x.Rank()), nil
}

// quantize is cast(clip(round(x / scale) + zero)): round goes to even in both.
func (l *lowering) quantize() (*graph.Value, error) {
	o, x := l.n.Op.(ops.QuantizeLinear), l.n.In[0]
	d := l.n.Out[0].DType
	low, high, ok := integerRange(d)
	if !ok || o.BlockSize != 0 || x.DType != tensor.Float32 {
		return nil, fmt.Errorf("quantizing %s to %s has no twin", x.DType, d)
	}
	scale, zero, err := l.steps(x, o.Axis)
	if err != nil {
		return nil, err
	}
	y := l.add(ops.Round{}, l.add(ops.Div{}, x, scale))
	if zero != nil {
		y = l.add(ops.Add{}, y, zero)
	}
	y = l.add(ops.Clip{}, y, l.number(tensor.Float32, low), l.number(tensor.Float32, high))
	return l.add(ops.Cast{To: int(d)}, y), nil
}

func integerRange(d tensor.DType) (low, high float64, ok bool) {
	bits := d.Bits()
	switch {
	case !d.IsInt() || bits < 8 || bits > 16:
		return 0, 0, false
	case d.IsSigned():
		return -math.Ldexp(1, bits-1), math.Ldexp(1, bits-1) - 1, true
	}
	return 0, math.Ldexp(1, bits) - 1, true
}

// dequantize is (cast(x) - zero)·scale.
func (l *lowering) dequantize() (*graph.Value, error) {
	o, x := l.n.Op.(ops.DequantizeLinear), l.n.In[0]
	if o.BlockSize != 0 || x.DType.Bits() < 8 || l.n.Out[0].DType != tensor.Float32 {
		return nil, fmt.Errorf("dequantizing %s has no twin", x.Type)
	}
	scale, zero, err := l.steps(x, o.Axis)
	if err != nil {
		return nil, err
	}
	y := l.add(ops.Cast{To: int(tensor.Float32)}, x)
	if zero != nil {
		y = l.add(ops.Sub{}, y, zero)
	}
	return l.add(ops.Mul{}, y, scale), nil
}

func (l *lowering) gemm() (*graph.Value, error) {
	o, n := l.n.Op.(ops.Gemm), l.n
	a := attrs{"T": elements(n.In[0].DType), "transpose_a": truth(o.TransA), "transpose_b": truth(o.TransB)}
	y := l.native("MatMul", a, n.Out[0].Type, n.In[0], n.In[1])
	if o.Alpha != 1 {
		y = l.add(ops.Mul{}, y, l.number(y.DType, float64(o.Alpha)))
	}
	if len(n.In) < 3 || n.In[2] == nil {
		return y, nil
	}
	bias := n.In[2]
	if o.Beta != 1 {
		bias = l.add(ops.Mul{}, bias, l.number(y.DType, float64(o.Beta)))
	}
	return l.add(ops.Add{}, y, bias), nil
}

func (l *lowering) flatten() (*graph.Value, error) {
	o, x := l.n.Op.(ops.Flatten), l.n.In[0]
	axis := o.Axis
	if axis < 0 {
		axis += x.Rank()
	}
	if x.Rank() < 1 {
		return nil, errors.New("the rank of its input is not known")
	}
	if n, ok := graph.SizeOf(x.Shape[axis:]).Value(); ok {
		return l.add(ops.Reshape{}, x, l.ints(-1, int64(n))), nil
	}
	if n, ok := graph.SizeOf(x.Shape[:axis]).Value(); ok {
		return l.add(ops.Reshape{}, x, l.ints(int64(n), -1)), nil
	}
	if axis == 1 {
		return l.add(ops.Reshape{}, x, l.ints(0, -1)), nil
	}
	return nil, fmt.Errorf("the size of its input %s is not known", x.Type)
}

func (l *lowering) hardSwish() (*graph.Value, error) {
	x := l.n.In[0]
	y := l.add(ops.Clip{}, l.add(ops.Add{}, x, l.number(x.DType, 3)), l.number(x.DType, 0), l.number(x.DType, 6))
	return l.add(ops.Mul{}, l.add(ops.Mul{}, x, y), l.number(x.DType, 1.0/6)), nil
}

func (l *lowering) hardSigmoid() (*graph.Value, error) {
	o, x := l.n.Op.(ops.HardSigmoid), l.n.In[0]
	y := l.add(ops.Add{}, l.add(ops.Mul{}, x, l.number(x.DType, float64(o.Alpha))), l.number(x.DType, float64(o.Beta)))
	return l.add(ops.Clip{}, y, l.number(x.DType, 0), l.number(x.DType, 1)), nil
}

func (l *lowering) prelu() (*graph.Value, error) {
	x, zero := l.n.In[0], l.number(l.n.In[0].DType, 0)
	down := l.add(ops.Mul{}, l.add(ops.Min{}, x, zero), l.n.In[1])
	return l.add(ops.Add{}, l.add(ops.Max{}, x, zero), down), nil
}

func (l *lowering) gelu() (*graph.Value, error) {
	o, x := l.n.Op.(ops.Gelu), l.n.In[0]
	if o.Approximate != "none" && o.Approximate != "" {
		return nil, errors.New("its approximation has no twin")
	}
	y := l.add(ops.Erf{}, l.add(ops.Mul{}, x, l.number(x.DType, math.Sqrt(0.5))))
	return l.add(ops.Mul{}, l.add(ops.Mul{}, x, l.number(x.DType, 0.5)), l.add(ops.Add{}, y, l.number(x.DType, 1))), nil
}

// softmax stays if it goes along the last axis.
func (l *lowering) softmax() (*graph.Value, error) {
	o, x := l.n.Op.(ops.Softmax), l.n.In[0]
	if o.Axis == -1 || o.Axis == x.Rank()-1 {
		return nil, nil
	}
	at := l.ints(int64(o.Axis))
	e := l.add(ops.Exp{}, l.add(ops.Sub{}, x, l.add(ops.ReduceMax{Keepdims: true}, x, at)))
	return l.add(ops.Div{}, e, l.add(ops.ReduceSum{Keepdims: true}, e, at)), nil
}
