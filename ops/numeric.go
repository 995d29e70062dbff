package ops

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// Elementwise arithmetic happens in three number systems: signed integers in int64, unsigned ones in uint64, floats in
// float64. Storing wraps an integer to its width and rounds a float once, so that integers are exact and float32 sums,
// products and quotients are those of float32 arithmetic (53 bits are more than twice 24 and two).

// arith1 is a function of one number; a nil field means that the operator has no such element types.
type arith1 struct {
	i func(int64) int64
	u func(uint64) uint64
	f func(float64) float64
}

// arith2 is a function of two numbers.
type arith2 struct {
	i func(a, b int64) int64
	u func(a, b uint64) uint64
	f func(a, b float64) float64
}

func same[T any](v T) T { return v }

func noArithmetic(d tensor.DType) error { return fmt.Errorf("the operator is not defined on %s", d) }

// run applies the function to each element of input 0.
func (a arith1) run(x *graph.Exec, in, out []*tensor.Tensor) error {
	t := in[0]
	switch {
	case t.IsFloat() && a.f != nil:
		return tensor.SetFloat64s(x.Make(out[0], t.DType, t.Shape...), mapSlice(tensor.Float64s(t), a.f))
	case t.IsSigned() && a.i != nil:
		return tensor.SetInts(x.Make(out[0], t.DType, t.Shape...), mapSlice(tensor.Ints(t), a.i))
	case t.IsInt() && !t.IsSigned() && a.u != nil:
		return setUints(x.Make(out[0], t.DType, t.Shape...), mapSlice(uints(t), a.u))
	}
	return noArithmetic(t.DType)
}

func mapSlice[T, R any](v []T, f func(T) R) []R {
	r := make([]R, len(v))
	for i, e := range v {
		r[i] = f(e)
	}
	return r
}

// run applies the function to inputs 0 and 1 with broadcasting.
func (a arith2) run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return a.fold(x, in[:2], out, 0)
}

// fold applies the function from left to right to all inputs with broadcasting. divide, if not 0, divides the result of
// a float fold before it is rounded.
func (a arith2) fold(x *graph.Exec, in, out []*tensor.Tensor, divide float64) error {
	d := in[0].DType
	shapes := make([][]int, len(in))
	for i, t := range in {
		if t.DType != d {
			return fmt.Errorf("input %d is %s, input 0 is %s", i, t.DType, d)
		}
		shapes[i] = t.Shape
	}
	shape, err := broadcastShape(shapes...)
	if err != nil {
		return err
	}
	switch {
	case d.IsFloat() && a.f != nil:
		r := folded(in, shape, tensor.Float64s, a.f)
		if divide != 0 {
			r = mapSlice(r, func(v float64) float64 { return v / divide })
		}
		return tensor.SetFloat64s(x.Make(out[0], d, shape...), r)
	case d.IsSigned() && a.i != nil:
		return tensor.SetInts(x.Make(out[0], d, shape...), folded(in, shape, tensor.Ints, a.i))
	case d.IsInt() && !d.IsSigned() && a.u != nil:
		return setUints(x.Make(out[0], d, shape...), folded(in, shape, uints, a.u))
	}
	return noArithmetic(d)
}

func folded[T any](in []*tensor.Tensor, shape []int, load func(*tensor.Tensor) []T, f func(a, b T) T) []T {
	r := make([]T, tensor.Size(shape))
	if len(in) == 1 {
		copy(r, load(in[0]))
		return r
	}
	zip(r, load(in[0]), load(in[1]), zipShape{shape, in[0].Shape, in[1].Shape}, f)
	for _, t := range in[2:] {
		zip(r, r, load(t), zipShape{shape, shape, t.Shape}, f)
	}
	return r
}

// uints gives the elements of an unsigned tensor exactly.
func uints(t *tensor.Tensor) []uint64 {
	if t.DType == tensor.Uint64 {
		return tensor.View[uint64](t)
	}
	return mapSlice(tensor.Ints(t), func(v int64) uint64 { return uint64(v) })
}

// setUints stores into a tensor of integers, wrapping where it is narrower.
func setUints(t *tensor.Tensor, v []uint64) error {
	if t.DType == tensor.Uint64 {
		copy(tensor.View[uint64](t), v)
		return nil
	}
	return tensor.SetInts(t, mapSlice(v, func(v uint64) int64 { return int64(v) }))
}

// unary is what operators with one input and one output of the same type and shape share.
type unary struct{}

// Infer gives the type of the input.
func (unary) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 1, 1); err != nil {
		return nil, err
	}
	return []graph.Type{in[0].Type}, nil
}

// Permute reorders all operands alike.
func (unary) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, len(in), order)
}

// Links ties each axis of the result with those of the inputs.
func (unary) Links(in, out []graph.Fact) []graph.Link { return pointwise(in, out) }

// mapUnary applies f to each element of a float tensor in float64 and rounds once to its type.
func mapUnary(x *graph.Exec, in, out *tensor.Tensor, f func(float64) float64) error {
	return arith1{f: f}.run(x, []*tensor.Tensor{in}, []*tensor.Tensor{out})
}

// pairwise is what operators with two broadcast inputs and a result of the first's type share.
type pairwise struct{}

// Infer gives the broadcast type; both inputs must have the same element type.
func (pairwise) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 2); err != nil {
		return nil, err
	}
	return variadic{}.Infer(in, 1)
}

// Permute reorders all operands alike.
func (pairwise) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, len(in), order)
}

// Links ties each axis of the result with those of the inputs.
func (pairwise) Links(in, out []graph.Fact) []graph.Link { return pointwise(in, out) }

// variadic is what operators with any number of broadcast inputs of one type share.
type variadic struct{}

// Infer gives the broadcast type; all inputs must have the same element type.
func (variadic) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, max(len(in), 1), -1); err != nil {
		return nil, err
	}
	if err := sameType(in); err != nil {
		return nil, err
	}
	t, err := broadcastType(in[0].DType, in...)
	return []graph.Type{t}, err
}

// Permute reorders all operands alike.
func (variadic) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, len(in), order)
}

// Links ties each axis of the result with those of the inputs.
func (variadic) Links(in, out []graph.Fact) []graph.Link { return pointwise(in, out) }

func sameType(in []graph.Fact) error {
	for i, f := range in {
		if f.DType != in[0].DType {
			return fmt.Errorf("input %d is %s, input 0 is %s", i, f.DType, in[0].DType)
		}
	}
	return nil
}

// allData tells the quantizer that every input is data.
type allData struct{}

// Quant tells that the operator has an integer twin whose inputs are all activations.
func (allData) Quant() graph.Quant { return graph.Quant{All: true} }

// quantData tells the quantizer that input 0 and output 0 are data.
type quantData struct{}

// Quant tells that the operator has an integer twin.
func (quantData) Quant() graph.Quant { return graph.Quant{} }

// elementsOf is Fact.Elements of input i, which need not be there; nil if nothing is known.
func elementsOf(in []graph.Fact, i int) []graph.Dim {
	if i >= len(in) {
		return nil
	}
	elems, _ := in[i].Elements()
	return elems
}

// zipInts follows a binary operator on small tensors of int32 or int64, as long as no number can leave the type.
func zipInts(in []graph.Fact, f func(a, b graph.Dim) graph.Dim) []graph.Dim {
	if len(in) != 2 || in[0].DType != tensor.Int64 && in[0].DType != tensor.Int32 {
		return nil
	}
	a, ok := in[0].Elements()
	b, ok2 := in[1].Elements()
	if !ok || !ok2 || len(a) != len(b) && len(a) != 1 && len(b) != 1 || !fits32(a) || !fits32(b) {
		return nil
	}
	n := len(a)
	if n == 1 {
		n = len(b)
	}
	r := make([]graph.Dim, n)
	for i := range r {
		r[i] = f(a[min(i, len(a)-1)], b[min(i, len(b)-1)])
	}
	if in[0].DType == tensor.Int32 && !fits32(r) {
		return nil
	}
	return r
}

// signed is an element of a small integer tensor: a dimension or, if below is not 0, that negative number.
type signed struct {
	graph.Dim
	below int
}

// signedElements is Fact.Elements for constants that may be negative; nil if nothing is known.
func signedElements(f graph.Fact) []signed {
	if elems, ok := f.Elements(); ok {
		return mapSlice(elems, func(d graph.Dim) signed { return signed{Dim: d} })
	}
	v, ok := f.ConstInts()
	if !ok || len(f.Const.Shape) > 1 || len(v) > maxFollowed {
		return nil
	}
	return mapSlice(v, func(n int) signed {
		if n < 0 {
			return signed{below: n}
		}
		return signed{Dim: graph.Fixed(n)}
	})
}

// maxFollowed bounds the tensors whose elements shape arithmetic follows.
const maxFollowed = 64

// fits32 reports whether int32 can hold all the numbers.
func fits32(elems []graph.Dim) bool {
	for _, d := range elems {
		if n, ok := d.Value(); ok && n > math.MaxInt32 {
			return false
		}
	}
	return true
}

// numbers gives two dimensions as numbers, if they are.
func numbers(a, b graph.Dim) (m, n int, ok bool) {
	m, okA := a.Value()
	n, okB := b.Value()
	return m, n, okA && okB
}
