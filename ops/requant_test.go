package ops

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	cell := func(v ...int8) *tensor.Tensor { return shaped([]int{1, 1, len(v)}, v...) }
	zero, one := tensor.Scalar(int8(0)), tensor.Scalar(float32(1))
	register(QLinearConv{Conv: Conv{AutoPad: "NOTSET", Group: 1}, Requantized: Requantized{RequantFixed}}, opCase{
		name: "half goes up, where float goes to even",
		in: tensors(cell(1, 5, -5, 15, 127), one, zero, shaped([]int{1, 1, 1}, int8(1)), tensor.Scalar(float32(0.5)), zero,
			one, zero, vec[int32](0)),
		out: tensors(cell(1, 3, -2, 8, 64)),
	})
	register(QLinearAdd{Requantized{RequantFixed}}, opCase{
		name: "fixed", in: tensors(vec[int8](1, 3, -128), one, zero, vec[int8](0, 0, 127), one, zero, tensor.Scalar(float32(2)), zero),
		out: tensors(vec[int8](1, 2, -1)),
	})
	register(QLinearMul{Requantized{RequantFixed}}, opCase{
		name: "fixed", in: tensors(vec[int8](1, 3, -3), one, zero, vec[int8](1, 1, 1), one, zero, tensor.Scalar(float32(2)), zero),
		out: tensors(vec[int8](1, 2, -1)),
	})
	register(QLinearGlobalAveragePool{Requantized: Requantized{RequantFixed}}, opCase{
		name: "fixed", in: tensors(shaped([]int{1, 2, 2}, int8(1), 2, -1, -2), one, zero, one, zero),
		out: tensors(shaped([]int{1, 2, 1}, int8(2), -2)),
	})
	register(QLinearMatMul{Requantized{RequantFixed}}, opCase{
		name: "fixed", in: tensors(shaped([]int{1, 1}, int8(5)), one, zero, shaped([]int{1, 1}, int8(1)), tensor.Scalar(float32(0.5)), zero, one, zero),
		out: tensors(shaped([]int{1, 1}, int8(3))),
	})
}

// TestFixedScale compares with exact arithmetic: the factor to 2^-31 of itself, each product to one and a half units.
func TestFixedScale(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	for range 2000 {
		factor := math.Exp(rng.Float64()*24 - 22) // up to e^2
		f := NewFixedScale(factor)
		if got := math.Ldexp(float64(f.Multiplier), f.Shift-31); math.Abs(got-factor) > factor*math.Ldexp(1, -31) {
			t.Fatalf("%g became %+v = %g", factor, f, got)
		}
		x := int32(rng.Uint32()) >> (3 + rng.IntN(20))
		exact, _ := new(big.Float).Mul(big.NewFloat(float64(x)), big.NewFloat(math.Ldexp(float64(f.Multiplier), f.Shift-31))).Float64()
		if got := f.Apply(x); math.Abs(float64(got)-exact) > 1 {
			t.Errorf("%d times %+v is %d, exactly %g", x, f, got, exact)
		}
	}
}

func TestFixedScaleEdges(t *testing.T) {
	for _, c := range []struct {
		factor float64
		want   FixedScale
	}{
		{0, FixedScale{}},
		{math.Ldexp(1, -40), FixedScale{}},
		{0.5, FixedScale{1 << 30, 0}},
		{1, FixedScale{1 << 30, 1}},
		{1 - math.Ldexp(1, -40), FixedScale{1 << 30, 1}}, // rounds up to the next power of two
	} {
		if got := NewFixedScale(c.factor); got != c.want {
			t.Errorf("%g: %+v, want %+v", c.factor, got, c.want)
		}
	}
	half := NewFixedScale(0.5)
	for x, want := range map[int32]int32{1: 1, -1: 0, 3: 2, -3: -1, math.MaxInt32: 1 << 30, math.MinInt32: -1 << 30} {
		if got := half.Apply(x); got != want {
			t.Errorf("half of %d is %d, want %d", x, got, want)
		}
	}
}
