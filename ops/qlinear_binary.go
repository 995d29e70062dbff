package ops

import (
	"errors"
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/kernels"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("com.microsoft", 1, QLinearAdd{}, QLinearMul{}) }

// QLinearAdd adds 8-bit integers. Inputs: a, its scale and zero point, b, its scale and zero point, the result's scale
// and zero point; a and b broadcast. This is not dequantize, add, quantize in float32: with r = scale/scale_c of each
// operand and f = z_c - (r_a·z_a + r_b·z_b) the result is roundeven(fma(a, r_a, fma(b, r_b, f))), clamped, as ONNX
// Runtime computes it with AVX2. Where a is the operand that repeats along the innermost dimension, a and b change
// places.
type QLinearAdd struct{ Requantized }

// QLinearMul multiplies 8-bit integers. Inputs are QLinearAdd's. The result is
// roundeven(float32((a-z_a)·(b-z_b))·(scale_a·scale_b/scale_c) + z_c), clamped: the zero point is added before rounding.
type QLinearMul struct{ Requantized }

// Infer gives the broadcast shape in a's type.
func (q QLinearAdd) Infer(in []graph.Fact, _ int) ([]graph.Type, error) { return q.inferBinary(in) }

// Infer gives the broadcast shape in a's type.
func (q QLinearMul) Infer(in []graph.Fact, _ int) ([]graph.Type, error) { return q.inferBinary(in) }

func (r Requantized) inferBinary(in []graph.Fact) ([]graph.Type, error) {
	if err := errors.Join(want(in, 2, 8), r.checkRequant()); err != nil {
		return nil, err
	}
	if len(in) < 7 || !in[3].Given() || !in[4].Given() || !in[6].Given() {
		return nil, fmt.Errorf("want two operands and three scales in 7 or 8 inputs")
	}
	t, err := broadcastType(in[0].DType, in[0], in[3])
	return []graph.Type{t}, err
}

// linear are the parameters of a tensor quantized as a whole.
type linear struct {
	scale  float32
	zero   int64
	lo, hi int64 // of the element type
}

// newLinear reads the parameters of a tensor of type d; a nil zero point is 0.
func newLinear(d tensor.DType, scale, zero *tensor.Tensor) (linear, error) {
	var p linear
	var ok bool
	if p.lo, p.hi, ok = intRange(d); !ok {
		return p, fmt.Errorf("want integers, got %s", d)
	}
	if scale == nil || scale.Len() != 1 || !scale.IsFloat() {
		return p, fmt.Errorf("want one scale for the whole tensor")
	}
	p.scale = tensor.Floats(scale)[0]
	if zero != nil {
		if zero.Len() != 1 || zero.DType != d {
			return p, fmt.Errorf("zero point %s%v: want one %s", zero.DType, zero.Shape, d)
		}
		p.zero = tensor.Ints(zero)[0]
	}
	return p, nil
}

// real is the number that q stands for, in float32.
func (p linear) real(q int64) float32 { return float32(float32(q-p.zero) * p.scale) }

// quantize is the integer for v: roundeven(v/scale) + zero, clamped.
func (p linear) quantize(v float32) int64 { return saturate(v/p.scale, p.zero, p.lo, p.hi) }

// clamp is roundeven(v), clamped.
func (p linear) clamp(v float32) int64 { return saturate(v, 0, p.lo, p.hi) }

// qlinearBinary is the operands and parameters of a binary operator.
type qlinearBinary struct {
	a, b, c linear
	out     []int
}

func newQLinearBinary(in []*tensor.Tensor) (qlinearBinary, error) {
	var q qlinearBinary
	var err error
	d := in[0].DType
	if q.a, err = newLinear(d, in[1], in[2]); err != nil {
		return q, fmt.Errorf("left side: %w", err)
	}
	if q.b, err = newLinear(in[3].DType, in[4], in[5]); err != nil {
		return q, fmt.Errorf("right side: %w", err)
	}
	if q.c, err = newLinear(d, in[6], optional(in, 7)); err != nil {
		return q, fmt.Errorf("result: %w", err)
	}
	q.out, err = broadcastShape(in[0].Shape, in[3].Shape)
	return q, err
}

// Run computes what ONNX Runtime does, or TensorFlow Lite.
func (o QLinearAdd) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	q, err := newQLinearBinary(in)
	if err != nil {
		return err
	}
	if o.fixed() {
		return q.each(x, in, out[0], q.fixedSum())
	}
	ra, rb := q.a.scale/q.c.scale, q.b.scale/q.c.scale
	fixed := float32(q.c.zero) - float32(float32(ra*float32(q.a.zero))+float32(rb*float32(q.b.zero)))
	swap := repeatsInside(in[0].Shape, in[3].Shape)
	r := make([]int64, tensor.Size(q.out))
	zip(r, tensor.Ints(in[0]), tensor.Ints(in[3]), zipShape{q.out, in[0].Shape, in[3].Shape}, func(a, b int64) int64 {
		if swap {
			return q.c.clamp(kernels.FMA32(float32(b), rb, kernels.FMA32(float32(a), ra, fixed)))
		}
		return q.c.clamp(kernels.FMA32(float32(a), ra, kernels.FMA32(float32(b), rb, fixed)))
	})
	return tensor.SetInts(x.Make(out[0], in[0].DType, q.out...), r)
}

// Permute reorders both summands and the result alike; each has one scale.
func (QLinearAdd) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return binaryOrder(in, outs, order)
}

// fixedSum adds as TensorFlow Lite does: both operands move up by 20 bits (15 for int16), at the scale of twice the larger one.
func (q qlinearBinary) fixedSum() func(a, b int64) int64 {
	shift := 20
	if q.c.hi > math.MaxUint8 {
		shift = 15
	}
	twice := 2 * max(float64(q.a.scale), float64(q.b.scale))
	fa, fb := NewFixedScale(float64(q.a.scale)/twice), NewFixedScale(float64(q.b.scale)/twice)
	fc := NewFixedScale(twice / (float64(int64(1)<<shift) * float64(q.c.scale)))
	return func(a, b int64) int64 {
		sum := fa.Apply(int32((a-q.a.zero)<<shift)) + fb.Apply(int32((b-q.b.zero)<<shift))
		return int64(fc.Apply(sum)) + q.c.zero
	}
}

// each sets the result to f of its operands, clamped to its type.
func (q qlinearBinary) each(x *graph.Exec, in []*tensor.Tensor, out *tensor.Tensor, f func(a, b int64) int64) error {
	r := make([]int64, tensor.Size(q.out))
	zip(r, tensor.Ints(in[0]), tensor.Ints(in[3]), zipShape{q.out, in[0].Shape, in[3].Shape}, func(a, b int64) int64 {
		return min(max(f(a, b), q.c.lo), q.c.hi)
	})
	return tensor.SetInts(x.Make(out, in[0].DType, q.out...), r)
}

// repeatsInside reports whether a is one element along the innermost dimension in which a or b is more.
func repeatsInside(a, b []int) bool {
	for i := 1; i <= max(len(a), len(b)); i++ {
		da, db := 1, 1
		if i <= len(a) {
			da = a[len(a)-i]
		}
		if i <= len(b) {
			db = b[len(b)-i]
		}
		if da != 1 || db != 1 {
			return da == 1
		}
	}
	return false
}

// Run computes what ONNX Runtime does, or TensorFlow Lite.
func (o QLinearMul) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	q, err := newQLinearBinary(in)
	if err != nil {
		return err
	}
	if o.fixed() {
		f := NewFixedScale(float64(q.a.scale) * float64(q.b.scale) / float64(q.c.scale))
		return q.each(x, in, out[0], func(a, b int64) int64 {
			return int64(f.Apply(int32((a-q.a.zero)*(b-q.b.zero)))) + q.c.zero
		})
	}
	scale := float32(q.a.scale*q.b.scale) / q.c.scale
	r := make([]int64, tensor.Size(q.out))
	zip(r, tensor.Ints(in[0]), tensor.Ints(in[3]), zipShape{q.out, in[0].Shape, in[3].Shape}, func(a, b int64) int64 {
		p := float32(float32((a-q.a.zero)*(b-q.b.zero)) * scale)
		return q.c.clamp(p + float32(q.c.zero))
	})
	return tensor.SetInts(x.Make(out[0], in[0].DType, q.out...), r)
}

// Permute reorders both factors and the result alike; each has one scale.
func (QLinearMul) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return binaryOrder(in, outs, order)
}

// binaryOrder is alike for the operands 0 and 3 of a quantized sum or product.
func binaryOrder(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	data := make([]graph.Fact, len(in))
	data[0], data[3] = in[0], in[3]
	return alike(data, outs, 4, order)
}
