package ops

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	graph.Register("", 7, And{}, Or{}, Xor{})
	graph.Register("", 1, Not{})
	graph.Register("", 18, BitwiseAnd{}, BitwiseOr{}, BitwiseXor{}, BitwiseNot{})
	graph.Register("", 11, BitShift{})
}

// logic applies f to two Bool tensors with broadcasting.
func logic(x *graph.Exec, in, out []*tensor.Tensor, f func(a, b bool) bool) error {
	a, b := in[0], in[1]
	if a.DType != tensor.Bool || b.DType != tensor.Bool {
		return fmt.Errorf("want bool, got %s and %s", a.DType, b.DType)
	}
	shape, err := broadcastShape(a.Shape, b.Shape)
	if err != nil {
		return err
	}
	o := tensor.View[bool](x.Make(out[0], tensor.Bool, shape...))
	s := zipShape{shape, a.Shape, b.Shape}
	zip(o, tensor.View[uint8](a), tensor.View[uint8](b), s, func(a, b uint8) bool { return f(a != 0, b != 0) })
	return nil
}

// And is the conjunction of two Bool tensors.
type And struct{ predicate }

func (And) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return logic(x, in, out, func(a, b bool) bool { return a && b })
}

// Or is the disjunction of two Bool tensors.
type Or struct{ predicate }

func (Or) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return logic(x, in, out, func(a, b bool) bool { return a || b })
}

// Xor tells where two Bool tensors differ.
type Xor struct{ predicate }

func (Xor) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return logic(x, in, out, func(a, b bool) bool { return a != b })
}

// Not is the negation of a Bool tensor.
type Not struct{ unary }

func (Not) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	if in[0].DType != tensor.Bool {
		return noArithmetic(in[0].DType)
	}
	o := tensor.View[bool](x.Make(out[0], tensor.Bool, in[0].Shape...))
	for i, v := range tensor.View[uint8](in[0]) {
		o[i] = v == 0
	}
	return nil
}

// BitwiseAnd is a & b of integers.
type BitwiseAnd struct{ pairwise }

func (BitwiseAnd) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return arith2{i: and[int64], u: and[uint64]}.run(x, in, out)
}

func and[T int64 | uint64](a, b T) T { return a & b }
func or[T int64 | uint64](a, b T) T  { return a | b }
func xor[T int64 | uint64](a, b T) T { return a ^ b }
func not[T int64 | uint64](a T) T    { return ^a }

// BitwiseOr is a | b of integers.
type BitwiseOr struct{ pairwise }

func (BitwiseOr) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return arith2{i: or[int64], u: or[uint64]}.run(x, in, out)
}

// BitwiseXor is a ^ b of integers.
type BitwiseXor struct{ pairwise }

func (BitwiseXor) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return arith2{i: xor[int64], u: xor[uint64]}.run(x, in, out)
}

// BitwiseNot inverts the bits of integers.
type BitwiseNot struct{ unary }

func (BitwiseNot) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return arith1{i: not[int64], u: not[uint64]}.run(x, in, out)
}

// BitShift shifts the bits of a by b places; a right shift of a signed number copies its sign. Shifting by the width
// of the type or more, or by a negative number, leaves nothing but copies of the sign.
type BitShift struct {
	Direction string `attr:"direction" required:"true"` // LEFT or RIGHT
	pairwise
}

func (o BitShift) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	bits := uint64(in[0].Bits())
	switch o.Direction {
	case "LEFT":
		return arith2{
			i: func(a, b int64) int64 { return shift(a, uint64(b), bits) },
			u: func(a, b uint64) uint64 { return shift(a, b, bits) },
		}.run(x, in, out)
	case "RIGHT":
		return arith2{
			i: func(a, b int64) int64 { return a >> min(uint64(b), 64) },
			u: func(a, b uint64) uint64 { return a >> min(b, 64) },
		}.run(x, in, out)
	}
	return fmt.Errorf("direction %q is neither LEFT nor RIGHT", o.Direction)
}

func shift[T int64 | uint64](a T, by, bits uint64) T {
	if by >= bits {
		return 0
	}
	return a << by
}
