package ops

import (
	"errors"
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	graph.Register("com.microsoft", 1, QGemm{}, DynamicQuantizeMatMul{}, MatMulIntegerToFloat{})
}

// QGemm is Gemm on 8-bit integers. Inputs: a, its scale and zero point, b, its scales and zero points (one or one for
// each column), optionally an int32 c at scale Alpha·a_scale·b_scale, and optionally the result's scale and zero point,
// without which the result is float32. The int32 sum is multiplied by (Alpha·a_scale·b_scale)/y_scale in float32.
type QGemm struct {
	Alpha  float32 `attr:"alpha" default:"1"`
	TransA bool    `attr:"transA"`
	TransB bool    `attr:"transB"`
	Requantized
}

// DynamicQuantizeMatMul is MatMul of float32 a, quantized to uint8 over its own range (DynamicQuantizeLinear), and
// integer b. Inputs: a, b, b's scales and zero points (one or one for each column), optional bias.
type DynamicQuantizeMatMul struct{}

// MatMulIntegerToFloat is MatMulInteger whose sums are multiplied by a_scale·b_scale. Inputs: a, b, a's scale, b's
// scales, a's zero point, b's zero points, optional bias; the result has the type of the scales.
type MatMulIntegerToFloat struct{}

func (q QGemm) gemm() Gemm { return Gemm{TransA: q.TransA, TransB: q.TransB} }

// Infer gives [M,N].
func (q QGemm) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := errors.Join(want(in, 2, 9), q.checkRequant()); err != nil {
		return nil, err
	}
	if len(in) < 6 || !in[3].Given() || !in[4].Given() {
		return nil, fmt.Errorf("want two matrices with scale and zero point each")
	}
	t, err := q.gemm().infer(in, 0, 3)
	t.DType = tensor.Float32
	if len(in) > 8 && in[8].Given() {
		t.DType = in[8].DType
	}
	return []graph.Type{t}, err
}

// Run sums exact integers.
func (q QGemm) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	s, err := q.gemm().matrices(in[0].Shape, in[3].Shape)
	if err != nil {
		return err
	}
	a, err := shifted(in[0], in[2], 0)
	if err != nil {
		return fmt.Errorf("left side: %w", err)
	}
	cols := 1
	if q.TransB {
		cols = 0
	}
	b, err := shifted(in[3], in[5], cols)
	if err != nil {
		return fmt.Errorf("right side: %w", err)
	}
	sum := gemm(q.gemm(), s, a, b)
	if c := optional(in, 6); c != nil {
		if shape, err := broadcastShape(s.out, c.Shape); err != nil || !sameInts(shape, s.out) {
			return fmt.Errorf("input 6 of shape %v does not broadcast to %v", c.Shape, s.out)
		}
		cv := tensor.Ints(c)
		walk(s.out, strides(c.Shape, s.out), []int{0, 0}, func(i, j, _ int) { sum[i] += cv[j] })
	}
	sa, sb := tensor.Floats(in[1]), tensor.Floats(in[4])
	if len(sa) != 1 || len(sb) != 1 && len(sb) != s.n {
		return fmt.Errorf("%d and %d scales for %d columns", len(sa), len(sb), s.n)
	}
	scales := make([]float32, len(sb))
	for i, v := range sb {
		scales[i] = float32(float32(q.Alpha*sa[0]) * v)
	}
	ys, yz := optional(in, 7), optional(in, 8)
	if ys == nil || yz == nil {
		r := make([]float32, len(sum))
		for i, v := range sum {
			r[i] = float32(int32(v)) * scales[i%s.n%len(scales)]
		}
		return tensor.SetFloats(x.Make(out[0], tensor.Float32, s.out...), r)
	}
	p, err := newLinear(yz.DType, ys, yz)
	if err != nil {
		return err
	}
	for i, v := range sum {
		if q.fixed() {
			f := ProductScale(float32(q.Alpha*sa[0]), sb[i%s.n%len(sb)], p.scale, in[3].DType)
			sum[i] = min(max(int64(f.Apply(int32(v)))+p.zero, p.lo), p.hi)
			continue
		}
		scale := scales[i%s.n%len(scales)] / p.scale
		sum[i] = saturate(float32(float32(int32(v))*scale), p.zero, p.lo, p.hi)
	}
	return tensor.SetInts(x.Make(out[0], yz.DType, s.out...), sum)
}

// Infer gives MatMul's type.
func (DynamicQuantizeMatMul) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 3, 5); err != nil {
		return nil, err
	}
	t, err := inferMatMul(in[0].Type, in[1].Type, in[0].DType)
	return []graph.Type{t}, err
}

// Run quantizes a, sums exact integers and scales them in float32.
func (DynamicQuantizeMatMul) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	if in[0].DType != tensor.Float32 {
		return fmt.Errorf("want float32, got %s", in[0].DType)
	}
	q, scale, zero := dynamicUint8(tensor.Floats(in[0]))
	a := tensor.From(q, in[0].Shape...)
	s, sum, err := integerProduct(a, tensor.Scalar(zero), in[1], optional(in, 3))
	if err != nil {
		return err
	}
	r, err := s.real(sum, []*tensor.Tensor{tensor.Scalar(scale), in[2], optional(in, 4)})
	if err != nil {
		return err
	}
	return tensor.SetFloats(x.Make(out[0], tensor.Float32, s.out...), r)
}

// Infer gives MatMul's shape in the type of the scales.
func (MatMulIntegerToFloat) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 4, 7); err != nil {
		return nil, err
	}
	t, err := inferMatMul(in[0].Type, in[1].Type, in[2].DType)
	return []graph.Type{t}, err
}

// Run sums exact integers and scales them in float32.
func (MatMulIntegerToFloat) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	s, sum, err := integerProduct(in[0], optional(in, 4), in[1], optional(in, 5))
	if err != nil {
		return err
	}
	r, err := s.real(sum, []*tensor.Tensor{in[2], in[3], optional(in, 6)})
	if err != nil {
		return err
	}
	return tensor.SetFloats(x.Make(out[0], in[2].DType, s.out...), r)
}

// real multiplies integer sums by a's and b's scales and adds the bias: p lists the three, the bias may be nil.
func (s matShape) real(sum []int64, p []*tensor.Tensor) ([]float32, error) {
	var bias []float32
	if p[2] != nil {
		if bias = tensor.Floats(p[2]); len(bias) != s.n {
			return nil, fmt.Errorf("bias has %d elements for %d columns", len(bias), s.n)
		}
	}
	r := make([]float32, len(sum))
	err := s.eachScaled(p[0], p[1], func(i int, sa, sb float32) {
		r[i] = float32(float32(int32(sum[i])) * float32(sa*sb))
		if bias != nil {
			r[i] += bias[i%s.n]
		}
	})
	return r, err
}

// Products runs over the rows of the right side, over its columns if it is transposed.
func (q QGemm) Products(w []int) Products { return matProducts(w, q.TransB).quantizedSides() }

// Products runs over the rows of the right side.
func (DynamicQuantizeMatMul) Products(w []int) Products {
	p := matProducts(w, false)
	p.Dynamic = true
	return p
}

// Products runs over the rows of the right side.
func (MatMulIntegerToFloat) Products(w []int) Products { return matProducts(w, false) }

// Cost counts the multiply-adds.
func (q QGemm) Cost(in, out []graph.Type) graph.Cost { return q.gemm().Cost(in, out) }

// Cost counts the multiply-adds.
func (DynamicQuantizeMatMul) Cost(in, out []graph.Type) graph.Cost { return matCost(in[0], out[0]) }

// Cost counts the multiply-adds.
func (MatMulIntegerToFloat) Cost(in, out []graph.Type) graph.Cost { return matCost(in[0], out[0]) }
