package ops

import (
	"errors"
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	graph.Register("", 10, MatMulInteger{}, QLinearMatMul{})
}

// MatMulInteger is MatMul on 8-bit integers with an int32 result. Inputs: a, b, a's zero point (one, or one for each
// row) and b's (one, or one for each column); both may be omitted.
type MatMulInteger struct{}

// QLinearMatMul is MatMul on 8-bit integers. Inputs: a, its scale and zero point, b, its scale and zero point, the
// result's scale and zero point; those of a may be one for each row, those of b one for each column. The int32 sum
// becomes clamp(roundeven(float32(sum)·((a_scale·b_scale)/y_scale)) + y_zero_point), all in float32. With 16-bit a the sum
// is int64.
type QLinearMatMul struct{ Requantized }

// Infer gives MatMul's shape as int32.
func (MatMulInteger) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 4); err != nil {
		return nil, err
	}
	t, err := inferMatMul(in[0].Type, in[1].Type, tensor.Int32)
	return []graph.Type{t}, err
}

// Infer gives MatMul's shape with the type of the result's zero point.
func (q QLinearMatMul) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := errors.Join(want(in, 8, 8), q.checkRequant()); err != nil {
		return nil, err
	}
	t, err := inferMatMul(in[0].Type, in[3].Type, in[7].DType)
	return []graph.Type{t}, err
}

// Run sums exact integers, which wrap in int32.
func (MatMulInteger) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	s, sum, err := integerProduct(in[0], optional(in, 2), in[1], optional(in, 3))
	if err != nil {
		return err
	}
	return tensor.SetInts(x.Make(out[0], tensor.Int32, s.out...), sum)
}

// Run sums exact integers.
func (q QLinearMatMul) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	s, sum, err := integerProduct(in[0], in[2], in[3], in[5])
	if err != nil {
		return err
	}
	lo, hi, ok := intRange(in[7].DType)
	if !ok || in[6].Len() != 1 || in[7].Len() != 1 {
		return fmt.Errorf("want one scale and integer zero point for the result, got %s%v", in[7].DType, in[7].Shape)
	}
	zero, sy := tensor.Ints(in[7])[0], tensor.Floats(in[6])[0]
	err = s.eachScaled(in[1], in[4], func(i int, sa, sb float32) {
		if sum[i] = accumulated(sum[i], in[0].DType); q.fixed() {
			f := ProductScale(sa, sb, sy, in[3].DType)
			sum[i] = min(max(f.sum(sum[i], in[0].DType.Bits() > 8)+zero, lo), hi)
			return
		}
		sum[i] = saturate(float32(float32(sum[i])*(float32(sa*sb)/sy)), zero, lo, hi)
	})
	if err != nil {
		return err
	}
	return tensor.SetInts(x.Make(out[0], in[7].DType, s.out...), sum)
}

// eachScaled visits the elements of a product with the scales of their row and column, where a's scales are one or one for each row, and
// b's one or one for each column.
func (s matShape) eachScaled(a, b *tensor.Tensor, visit func(i int, sa, sb float32)) error {
	full := append(append([]int{}, s.batch...), s.m, s.n)
	rows, cols := rowShape(a), colShape(b)
	all, err := broadcastShape(full, rows, cols)
	if err != nil || !sameInts(all, full) {
		return fmt.Errorf("scales of shapes %v and %v do not fit the result %v", a.Shape, b.Shape, full)
	}
	sa, sb := tensor.Floats(a), tensor.Floats(b)
	walk(full, strides(rows, full), strides(cols, full), func(i, j, k int) { visit(i, sa[j], sb[k]) })
	return nil
}

// rowShape is the shape with which parameters for each row broadcast.
func rowShape(t *tensor.Tensor) []int {
	if len(t.Shape) == 1 && t.Shape[0] != 1 {
		return []int{t.Shape[0], 1}
	}
	return colShape(t)
}

// colShape is the shape with which parameters for each column broadcast.
func colShape(t *tensor.Tensor) []int {
	if t.Len() == 1 {
		return nil
	}
	return t.Shape
}

// integerProduct gives the product of integer matrices less their zero points, which may be nil.
func integerProduct(a, za, b, zb *tensor.Tensor) (matShape, []int64, error) {
	s, err := newMatShape(a.Shape, b.Shape)
	if err != nil {
		return s, nil, err
	}
	var rows, cols []int
	if za != nil {
		rows = rowShape(za)
	}
	if zb != nil {
		cols = colShape(zb)
	}
	av, err := shiftedBy(a, za, rows)
	if err != nil {
		return s, nil, fmt.Errorf("left side: %w", err)
	}
	bv, err := shiftedBy(b, zb, cols)
	if err != nil {
		return s, nil, fmt.Errorf("right side: %w", err)
	}
	return s, multiply(s, av, bv), nil
}

// Products runs over the rows of the right side.
func (MatMulInteger) Products(w []int) Products { return matProducts(w, false) }

// Products runs over the rows of the right side.
func (QLinearMatMul) Products(w []int) Products { return matProducts(w, false).quantizedSides() }

// Cost counts the multiply-adds.
func (MatMulInteger) Cost(in, out []graph.Type) graph.Cost { return matCost(in[0], out[0]) }

// Cost counts the multiply-adds.
func (QLinearMatMul) Cost(in, out []graph.Type) graph.Cost { return matCost(in[0], out[0]) }
