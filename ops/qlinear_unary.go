package ops

import (
	"errors"
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	graph.Register("com.microsoft", 1, QLinearSigmoid{}, QLinearLeakyRelu{}, QLinearConcat{}, QLinearSoftmax{})
}

// QLinearSigmoid is 1/(1+exp(-x)) on 8-bit integers: dequantize, apply, quantize in float32. Inputs: x, its scale and
// zero point, the result's scale and zero point.
type QLinearSigmoid struct{}

// QLinearLeakyRelu is x, times Alpha where negative, on 8-bit integers: dequantize, apply, quantize in float32. Inputs
// are QLinearSigmoid's.
type QLinearLeakyRelu struct {
	Alpha float32 `attr:"alpha" default:"0.01"`
}

// QLinearConcat joins 8-bit tensors along Axis. Inputs: the result's scale and zero point, then for each tensor itself,
// its scale and zero point. Tensors whose parameters differ from the result's are dequantized and quantized.
type QLinearConcat struct {
	Axis int `attr:"axis" required:"true"`
}

// QLinearSoftmax is Softmax on 8-bit integers. Inputs are QLinearSigmoid's. Below Opset 13 it goes over Axis and all
// that follow, from there over Axis alone.
type QLinearSoftmax struct {
	Axis  int `attr:"axis" default:"-1"`
	Opset int `attr:"opset" required:"true"`
}

// Infer gives x's type.
func (QLinearSigmoid) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := wantQLinear(in); err != nil {
		return nil, err
	}
	return []graph.Type{in[0].Type}, nil
}

// Infer gives x's type.
func (QLinearLeakyRelu) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := wantQLinear(in); err != nil {
		return nil, err
	}
	return []graph.Type{in[0].Type}, nil
}

// Run computes what ONNX Runtime does.
func (QLinearSigmoid) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return qlinearMap(x, in, out[0], func(v float32) float32 { return float32(1 / (1 + math.Exp(-float64(v)))) })
}

// Permute reorders data and result alike.
func (QLinearSigmoid) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, 1, order)
}

// Run computes what ONNX Runtime does.
func (l QLinearLeakyRelu) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return qlinearMap(x, in, out[0], func(v float32) float32 {
		if v >= 0 {
			return v
		}
		return float32(v * l.Alpha)
	})
}

// Permute reorders data and result alike.
func (QLinearLeakyRelu) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, 1, order)
}

func qlinearMap(x *graph.Exec, in []*tensor.Tensor, out *tensor.Tensor, f func(float32) float32) error {
	xp, err := newLinear(in[0].DType, in[1], in[2])
	if err != nil {
		return err
	}
	yp, err := newLinear(in[0].DType, in[3], optional(in, 4))
	if err != nil {
		return err
	}
	r := make([]int64, in[0].Len())
	for i, e := range tensor.Ints(in[0]) {
		r[i] = yp.quantize(f(xp.real(e)))
	}
	return tensor.SetInts(x.Make(out, in[0].DType, in[0].Shape...), r)
}

// Infer gives the joined shape.
func (c QLinearConcat) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 5, -1); err != nil {
		return nil, err
	}
	if len(in)%3 != 2 {
		return nil, fmt.Errorf("%d inputs: want 2 and 3 for each tensor", len(in))
	}
	var t graph.Type
	sum, known := 0, true
	for i := 2; i < len(in); i += 3 {
		f := in[i]
		if f.Unranked {
			return []graph.Type{graph.AnyRank(in[1].DType)}, nil
		}
		a, err := axis(c.Axis, len(f.Shape))
		if err != nil || len(f.Shape) == 0 || i > 2 && len(f.Shape) != len(t.Shape) {
			return nil, fmt.Errorf("input %d of rank %d: axis %d does not fit", i, len(f.Shape), c.Axis)
		}
		n, ok := f.Shape[a].Value()
		sum, known = sum+n, known && ok
		if i == 2 {
			t = graph.Of(in[1].DType, f.Shape...)
		}
		for d := range t.Shape {
			if !t.Shape[d].Known() {
				t.Shape[d] = f.Shape[d]
			}
		}
		if t.Shape[a] = (graph.Dim{}); known {
			t.Shape[a] = graph.Fixed(sum)
		}
	}
	return []graph.Type{t}, nil
}

// Run computes what ONNX Runtime does.
func (c QLinearConcat) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	d := in[1].DType
	yp, err := newLinear(d, in[0], in[1])
	if err != nil {
		return err
	}
	a, err := axis(c.Axis, len(in[2].Shape))
	if err != nil {
		return err
	}
	shape := append([]int{}, in[2].Shape...)
	if len(shape) == 0 {
		return errors.New("scalars cannot be joined")
	}
	shape[a] = 0
	for i := 2; i < len(in); i += 3 {
		s := append([]int{}, in[i].Shape...)
		if len(s) != len(shape) {
			return fmt.Errorf("input %d has rank %d, others %d", i, len(s), len(shape))
		}
		n := s[a]
		if s[a] = shape[a]; !sameInts(s, shape) {
			return fmt.Errorf("input %d of shape %v does not fit %v", i, in[i].Shape, shape)
		}
		shape[a] += n
	}
	outer, row := tensor.Size(shape[:a]), tensor.Size(shape[a:])
	r := make([]int64, outer*row)
	at := 0
	for i := 2; i < len(in); i += 3 {
		xp, err := newLinear(in[i].DType, in[i+1], optional(in, i+2))
		if err != nil {
			return fmt.Errorf("input %d: %w", i, err)
		}
		width := tensor.Size(in[i].Shape[a:])
		for j, e := range tensor.Ints(in[i]) {
			if xp != yp {
				e = yp.quantize(xp.real(e))
			}
			r[j/width*row+at+j%width] = e
		}
		at += width
	}
	return tensor.SetInts(x.Make(out[0], d, shape...), r)
}

// Permute moves the axis along.
func (o QLinearConcat) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	data := make([]graph.Fact, len(in)) // after the result's scale and zero point: x, scale, zero point of each
	for i := 2; i < len(in); i += 3 {
		if data[i] = in[i]; in[i].Rank() != len(order) {
			return graph.Permuted{}, false
		}
	}
	p, to, ok := along(data, outs, len(in), o.Axis, order)
	o.Axis = to
	p.Op = o
	return p, ok
}

// Infer gives x's type.
func (s QLinearSoftmax) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := wantQLinear(in); err != nil {
		return nil, err
	}
	if !in[0].Unranked {
		if _, err := axis(s.Axis, len(in[0].Shape)); err != nil {
			return nil, err
		}
	}
	return []graph.Type{in[0].Type}, nil
}

// Run computes what ONNX Runtime does: exp from a table in float32, their sum in order, one division.
func (s QLinearSoftmax) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	xp, err := newLinear(in[0].DType, in[1], in[2])
	if err != nil {
		return err
	}
	yp, err := newLinear(in[0].DType, in[3], optional(in, 4))
	if err != nil {
		return err
	}
	shape := in[0].Shape
	a, err := axis(s.Axis, len(shape))
	if err != nil {
		return err
	}
	if len(shape) == 0 {
		shape = []int{1}
	}
	length, inner := shape[a], tensor.Size(shape[a+1:])
	if s.Opset < 13 {
		length, inner = length*inner, 1
	}
	v := tensor.Ints(in[0])
	r := make([]int64, len(v))
	row := make([]int64, length)
	for i := range len(v) / max(length, 1) {
		first := i/inner*length*inner + i%inner
		for k := range row {
			row[k] = v[first+k*inner]
		}
		for k, q := range qlinearSoftmaxRow(row, xp.scale, yp) {
			r[first+k*inner] = q
		}
	}
	return tensor.SetInts(x.Make(out[0], in[0].DType, in[0].Shape...), r)
}

// qlinearSoftmaxRow gives the quantized softmax of a row of integers.
func qlinearSoftmaxRow(row []int64, scale float32, y linear) []int64 {
	top := row[0]
	for _, e := range row {
		top = max(top, e)
	}
	e := make([]float32, len(row))
	var sum float32
	for i, q := range row {
		e[i] = float32(math.Exp(float64(q-top) * float64(scale)))
		sum += e[i]
	}
	out := make([]int64, len(row))
	per := float32(math.Floor(float64(1 / y.scale)))
	for i, v := range e {
		out[i] = saturate(float32(v*per)/sum, y.zero, y.lo, y.hi)
	}
	return out
}
