package ops

import (
	"fmt"
	"math"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	graph.Register("", 7, Add{}, Sub{}, Mul{}, Div{})
	graph.Register("", 12, Pow{})
	graph.Register("", 10, Mod{})
	graph.Register("", 8, Min{}, Max{}, Sum{}, Mean{})
}

// Add is a + b.
type Add struct {
	learning
	pairwise
	allData
}

func (Add) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return arith2{add[int64], add[uint64], add[float64]}.run(x, in, out)
}

// Ints follows shape arithmetic.
func (Add) Ints(in []graph.Fact) []graph.Dim {
	return zipInts(in, func(a, b graph.Dim) graph.Dim {
		if m, n, ok := numbers(a, b); ok {
			return graph.Fixed(m + n)
		}
		switch {
		case a.Is(0):
			return b
		case b.Is(0):
			return a
		}
		return graph.Dim{}
	})
}

// Twin is QLinearAdd.
func (o Add) Twin(_ *graph.Node, in []graph.Linear, out graph.Linear) (graph.Op, []*graph.Value) {
	return elementTwin("QLinearAdd", o, in, out)
}

// Forwards holds of x+0.
func (Add) Forwards(in, out []graph.Fact) (int, bool) { return neutral(in, out, 0, true) }

type word interface{ int64 | uint64 | float64 }

func add[T word](a, b T) T { return a + b }
func sub[T word](a, b T) T { return a - b }
func mul[T word](a, b T) T { return a * b }

// Sub is a - b.
type Sub struct {
	learning
	pairwise
	allData
}

func (Sub) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return arith2{sub[int64], sub[uint64], sub[float64]}.run(x, in, out)
}

// Ints follows shape arithmetic.
func (Sub) Ints(in []graph.Fact) []graph.Dim {
	return zipInts(in, func(a, b graph.Dim) graph.Dim {
		m, n, ok := numbers(a, b)
		switch {
		case ok && m >= n:
			return graph.Fixed(m - n)
		case b.Is(0):
			return a
		case a == b && a.Known():
			return graph.Fixed(0)
		}
		return graph.Dim{}
	})
}

// Forwards holds of x-0.
func (Sub) Forwards(in, out []graph.Fact) (int, bool) { return neutral(in, out, 0, false) }

// Mul is a · b.
type Mul struct {
	learning
	pairwise
	allData
}

func (Mul) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return arith2{mul[int64], mul[uint64], mul[float64]}.run(x, in, out)
}

// Ints follows shape arithmetic.
func (Mul) Ints(in []graph.Fact) []graph.Dim { return zipInts(in, graph.Dim.Mul) }

// Twin is QLinearMul.
func (o Mul) Twin(_ *graph.Node, in []graph.Linear, out graph.Linear) (graph.Op, []*graph.Value) {
	return elementTwin("QLinearMul", o, in, out)
}

// Forwards holds of x·1.
func (Mul) Forwards(in, out []graph.Fact) (int, bool) { return neutral(in, out, 1, true) }

// Div is a / b; integers are divided toward zero, and by zero give zero as in numpy.
type Div struct {
	learning
	pairwise
	allData
}

func (Div) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return arith2{divInt[int64], divInt[uint64], func(a, b float64) float64 { return a / b }}.run(x, in, out)
}

func divInt[T int64 | uint64](a, b T) T {
	if b == 0 {
		return 0
	}
	return a / b
}

// Ints follows shape arithmetic where the division is exact or of numbers.
func (Div) Ints(in []graph.Fact) []graph.Dim {
	return zipInts(in, func(a, b graph.Dim) graph.Dim {
		if m, n, ok := numbers(a, b); ok && n != 0 {
			return graph.Fixed(m / n)
		}
		return a.Div(b)
	})
}

// Forwards holds of x/1.
func (Div) Forwards(in, out []graph.Fact) (int, bool) { return neutral(in, out, 1, false) }

// Mod is the remainder: of the floored division, with b's sign, or with fmod of the truncated one, with a's sign.
type Mod struct {
	Fmod bool `attr:"fmod"`
	pairwise
}

// Run computes the reference result; an integer modulo zero is zero as in numpy.
func (o Mod) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	if o.Fmod {
		return arith2{remainder[int64], remainder[uint64], math.Mod}.run(x, in, out)
	}
	return arith2{floorMod, remainder[uint64], floorModFloat}.run(x, in, out)
}

func remainder[T int64 | uint64](a, b T) T {
	if b == 0 {
		return 0
	}
	return a % b
}

func floorMod(a, b int64) int64 {
	r := remainder(a, b)
	if r != 0 && (r < 0) != (b < 0) {
		r += b
	}
	return r
}

func floorModFloat(a, b float64) float64 {
	r := math.Mod(a, b)
	switch {
	case r == 0:
		return math.Copysign(0, b)
	case (r < 0) != (b < 0):
		if math.IsInf(b, 0) {
			return b
		}
		return r + b
	}
	return r
}

// Ints follows shape arithmetic.
func (Mod) Ints(in []graph.Fact) []graph.Dim {
	return zipInts(in, func(a, b graph.Dim) graph.Dim {
		if m, n, ok := numbers(a, b); ok && n > 0 {
			return graph.Fixed(m % n)
		}
		return graph.Dim{}
	})
}

// Pow is a to the power b; the result has a's type, b may be of any other.
type Pow struct {
	learning
}

// Infer gives the broadcast type.
func (Pow) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 2); err != nil {
		return nil, err
	}
	t, err := broadcastType(in[0].DType, in...)
	return []graph.Type{t}, err
}

// Run computes the reference result; powers of integers by integers wrap.
func (Pow) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	a, b := in[0], in[1]
	shape, err := broadcastShape(a.Shape, b.Shape)
	if err != nil {
		return err
	}
	if !a.IsInt() && !a.IsFloat() || !b.IsInt() && !b.IsFloat() {
		return fmt.Errorf("no power of %s by %s", a.DType, b.DType)
	}
	s, n := zipShape{shape, a.Shape, b.Shape}, tensor.Size(shape)
	if a.IsInt() && b.IsInt() {
		r := make([]int64, n)
		zip(r, tensor.Ints(a), tensor.Ints(b), s, powInt)
		if a.DType == tensor.Uint64 {
			return setUints(x.Make(out[0], a.DType, shape...), mapSlice(r, func(v int64) uint64 { return uint64(v) }))
		}
		return tensor.SetInts(x.Make(out[0], a.DType, shape...), r)
	}
	r := make([]float64, n)
	zip(r, tensor.Float64s(a), tensor.Float64s(b), s, math.Pow)
	return conversion{saturate: true, round: "up"}.fromFloats(x.Make(out[0], a.DType, shape...), r)
}

// Permute reorders all operands alike.
func (Pow) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, len(in), order)
}

// Forwards holds of x to the power of 1.
func (Pow) Forwards(in, out []graph.Fact) (int, bool) { return neutral(in, out, 1, false) }

// Links ties each axis of the result with those of the inputs.
func (Pow) Links(in, out []graph.Fact) []graph.Link { return pointwise(in, out) }

// powInt multiplies modulo 2^64; a negative exponent gives the truncated fraction.
func powInt(a, b int64) int64 {
	if b < 0 {
		switch {
		case a == 1, a == -1 && b%2 == 0:
			return 1
		case a == -1:
			return -1
		}
		return 0
	}
	r := int64(1)
	for ; b > 0; b >>= 1 {
		if b&1 != 0 {
			r *= a
		}
		a *= a
	}
	return r
}

// Min is the smallest of its inputs; NaN wins.
type Min struct {
	alone
	variadic
	allData
}

func (Min) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return arith2{lower[int64], lower[uint64], lower[float64]}.fold(x, in, out, 0)
}

func lower[T word](a, b T) T  { return min(a, b) }
func higher[T word](a, b T) T { return max(a, b) }

// Ints follows shape arithmetic.
func (Min) Ints(in []graph.Fact) []graph.Dim { return pick(in, lesser) }

// Max is the largest of its inputs; NaN wins.
type Max struct {
	alone
	variadic
	allData
}

func (Max) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return arith2{higher[int64], higher[uint64], higher[float64]}.fold(x, in, out, 0)
}

// Ints follows shape arithmetic.
func (Max) Ints(in []graph.Fact) []graph.Dim { return pick(in, greater) }

func lesser(a, b int) int  { return min(a, b) }
func greater(a, b int) int { return max(a, b) }

func pick(in []graph.Fact, f func(int, int) int) []graph.Dim {
	return zipInts(in, func(a, b graph.Dim) graph.Dim {
		if m, n, ok := numbers(a, b); ok {
			return graph.Fixed(f(m, n))
		}
		if a == b {
			return a
		}
		return graph.Dim{}
	})
}

// Sum is the sum of its inputs, rounded once.
type Sum struct {
	alone
	variadic
	allData
}

func (Sum) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return arith2{f: add[float64]}.fold(x, in, out, 0)
}

// Mean is the mean of its inputs, rounded once.
type Mean struct {
	alone
	variadic
	allData
}

func (Mean) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return arith2{f: add[float64]}.fold(x, in, out, float64(len(in)))
}

// neutral finds the constant whose elements are all value in input 1, or in any of two, and gives the other input if
// that has the result's shape. x + 0 makes a zero positive, which does not count as a change.
func neutral(in, out []graph.Fact, value float64, any bool) (int, bool) {
	for i := 1; i >= 0 && (any || i == 1); i-- {
		c := in[i].Const
		if c == nil || c.Len() == 0 || c.Len() > maxNeutral || !graph.EqualShapes(in[1-i].Type, out[0].Type) {
			continue
		}
		v := tensor.Float64s(c)
		if v != nil && !slices.ContainsFunc(v, func(e float64) bool { return e != value }) {
			return 1 - i, true
		}
	}
	return 0, false
}

// maxNeutral bounds the constants that neutral reads.
const maxNeutral = 1 << 16
