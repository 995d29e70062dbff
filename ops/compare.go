package ops

import (
	"cmp"
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	graph.Register("", 11, Equal{})
	graph.Register("", 9, Greater{}, Less{}, IsNaN{})
	graph.Register("", 12, GreaterOrEqual{}, LessOrEqual{})
	graph.Register("", 10, IsInf{})
}

// predicate is what operators with two broadcast inputs of one type and a Bool result share.
type predicate struct{}

// Infer gives the broadcast type; both inputs must have the same element type.
func (predicate) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 2); err != nil {
		return nil, err
	}
	if err := sameType(in); err != nil {
		return nil, err
	}
	t, err := broadcastType(tensor.Bool, in...)
	return []graph.Type{t}, err
}

// Permute reorders all operands alike.
func (predicate) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, len(in), order)
}

// Links ties each axis of the result with those of the inputs.
func (predicate) Links(in, out []graph.Fact) []graph.Link { return pointwise(in, out) }

// comparison is a relation in each number system.
type comparison struct {
	i func(a, b int64) bool
	u func(a, b uint64) bool
	f func(a, b float64) bool
	s func(a, b string) bool
}

func (c comparison) run(x *graph.Exec, in, out []*tensor.Tensor) error {
	a, b := in[0], in[1]
	if a.DType != b.DType {
		return fmt.Errorf("cannot compare %s with %s", a.DType, b.DType)
	}
	shape, err := broadcastShape(a.Shape, b.Shape)
	if err != nil {
		return err
	}
	o := tensor.View[bool](x.Make(out[0], tensor.Bool, shape...))
	s := zipShape{shape, a.Shape, b.Shape}
	switch {
	case a.DType == tensor.String && c.s != nil:
		zip(o, a.Strings, b.Strings, s, c.s)
	case a.IsFloat():
		zip(o, tensor.Float64s(a), tensor.Float64s(b), s, c.f)
	case a.DType == tensor.Bool || a.IsSigned():
		zip(o, tensor.Ints(a), tensor.Ints(b), s, c.i)
	case a.IsInt():
		zip(o, uints(a), uints(b), s, c.u)
	default:
		return noArithmetic(a.DType)
	}
	return nil
}

func isEqual[T comparable](a, b T) bool        { return a == b }
func isLess[T cmp.Ordered](a, b T) bool        { return a < b }
func isMore[T cmp.Ordered](a, b T) bool        { return a > b }
func isLessEqual[T cmp.Ordered](a, b T) bool   { return a <= b }
func isMoreOrEqual[T cmp.Ordered](a, b T) bool { return a >= b }

// Equal is a == b, for strings too.
type Equal struct{ predicate }

func (Equal) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return comparison{isEqual[int64], isEqual[uint64], isEqual[float64], isEqual[string]}.run(x, in, out)
}

// Ints tells, as 0 and 1, where shape arithmetic knows the answer: exporters ask whether a shape holds -1.
func (Equal) Ints(in []graph.Fact) []graph.Dim {
	if len(in) != 2 {
		return nil
	}
	a, b := signedElements(in[0]), signedElements(in[1])
	if a == nil || b == nil || len(a) != len(b) && len(a) != 1 && len(b) != 1 {
		return nil
	}
	n := len(a)
	if n == 1 {
		n = len(b)
	}
	r := make([]graph.Dim, n)
	for i := range r {
		x, y := a[min(i, len(a)-1)], b[min(i, len(b)-1)]
		m, k, fixed := numbers(x.Dim, y.Dim)
		switch {
		case x.below != 0 || y.below != 0:
			r[i] = graph.Fixed(0)
			if x.below == y.below {
				r[i] = graph.Fixed(1)
			}
		case x.Known() && x.Dim == y.Dim:
			r[i] = graph.Fixed(1)
		case fixed && m != k:
			r[i] = graph.Fixed(0)
		}
	}
	return r
}

// Less is a < b.
type Less struct{ predicate }

func (Less) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return comparison{isLess[int64], isLess[uint64], isLess[float64], nil}.run(x, in, out)
}

// LessOrEqual is a <= b.
type LessOrEqual struct{ predicate }

func (LessOrEqual) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return comparison{isLessEqual[int64], isLessEqual[uint64], isLessEqual[float64], nil}.run(x, in, out)
}

// Greater is a > b.
type Greater struct{ predicate }

func (Greater) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return comparison{isMore[int64], isMore[uint64], isMore[float64], nil}.run(x, in, out)
}

// GreaterOrEqual is a >= b.
type GreaterOrEqual struct{ predicate }

func (GreaterOrEqual) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return comparison{isMoreOrEqual[int64], isMoreOrEqual[uint64], isMoreOrEqual[float64], nil}.run(x, in, out)
}

// test is what operators that ask something of each element share.
type test struct{}

// Infer gives Bool of the input's shape.
func (test) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 1, 1); err != nil {
		return nil, err
	}
	t := in[0].Type
	t.DType = tensor.Bool
	return []graph.Type{t}, nil
}

// Permute reorders all operands alike.
func (test) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, len(in), order)
}

// Links ties each axis of the result with those of the inputs.
func (test) Links(in, out []graph.Fact) []graph.Link { return pointwise(in, out) }

func ask(x *graph.Exec, in, out *tensor.Tensor, f func(float64) bool) error {
	if !in.IsFloat() {
		return noArithmetic(in.DType)
	}
	o := tensor.View[bool](x.Make(out, tensor.Bool, in.Shape...))
	for i, v := range tensor.Float64s(in) {
		o[i] = f(v)
	}
	return nil
}

// IsNaN tells which elements are not a number.
type IsNaN struct{ test }

func (IsNaN) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return ask(x, in[0], out[0], math.IsNaN)
}

// IsInf tells which elements are infinite, of the signs asked for.
type IsInf struct {
	Negative bool `attr:"detect_negative" default:"1"`
	Positive bool `attr:"detect_positive" default:"1"`
	test
}

func (o IsInf) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return ask(x, in[0], out[0], func(v float64) bool {
		return o.Positive && math.IsInf(v, 1) || o.Negative && math.IsInf(v, -1)
	})
}
