package ops

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	half := tensor.Scalar(float32(0.5))
	nan := float32(math.NaN())
	signed, fourBit := FakeQuantize{Axis: 1, Lo: -128, Hi: 127}, FakeQuantize{Axis: 0, Lo: -8, Hi: 7}
	unsigned := FakeQuantize{Axis: 1, Hi: 255}
	register(signed, opCase{
		name: "ties go to even, ends saturate, NaN stays",
		in:   tensors(vec[float32](0.25, 0.75, -0.2, -100, 100, nan), half), out: tensors(vec[float32](0, 1, 0, -64, 63.5, nan)),
	})
	register(unsigned, opCase{
		name: "zero point", in: tensors(vec[float32](-6, -4.8, 130), half, tensor.Scalar[float32](10)), out: tensors(vec[float32](-5, -5, 122.5)),
	})
	register(fourBit, opCase{
		name: "by axis", in: tensors(shaped([]int{2, 3}, []float32{0.6, 9, -9, 0.6, 9, -9}...), vec[float32](1, 0.5)),
		out: tensors(shaped([]int{2, 3}, []float32{1, 7, -8, 0.5, 3.5, -4}...)),
	})
	register(FakeQuantizeGrad(signed), opCase{
		name: "inside and outside",
		in:   tensors(vec[float32](1, 2, 3, 4), vec[float32](0.25, 0.75, -100, 100), half),
		out:  tensors(vec[float32](1, 2, 0, 0), tensor.Scalar(float32((-0.5+2*0.5-3*128+4*127)/(128*128.)))),
	})
	register(FakeQuantizeGrad(unsigned), opCase{
		name: "zero point", in: tensors(vec[float32](1, 2, 3), vec[float32](-6, -4.8, 130), half, tensor.Scalar[float32](10)),
		out: tensors(vec[float32](0, 2, 0), tensor.Scalar(float32((-10-2*0.4+3*245)/(245*245.)))), tol: 1e-6,
	})
	register(FakeQuantizeGrad(fourBit), opCase{
		name: "by axis",
		in:   tensors(shaped([]int{2, 2}, []float32{1, 1, 1, -1}...), shaped([]int{2, 2}, []float32{0.5, 9, 0.5, -9}...), vec[float32](1, 0.4)),
		out:  tensors(shaped([]int{2, 2}, []float32{1, 0, 1, 0}...), vec(float32(6.5/64), float32(7.75/64))), tol: 1e-6,
	})
	for _, q := range []FakeQuantize{signed, unsigned, fourBit} {
		gradCases(q,
			gradCase{name: "one scale", in: tensors(spread(1, 3, 4), tensor.Scalar(0.3)), straight: true},
			gradCase{name: "zero point", in: tensors(spread(2, 3, 4), tensor.Scalar(0.01), tensor.Scalar(7.0)), fixed: []int{2}, straight: true},
		)
	}
	gradCases(fourBit, gradCase{name: "by axis", in: tensors(spread(3, 3, 4), vec(0.3, 0.1, 0.7)), straight: true})
}

func TestFakeQuantizeFactor(t *testing.T) {
	q := FakeQuantizeGrad{Lo: -8, Hi: 7}
	for _, c := range []struct {
		n    int
		zero float64
		want float64
	}{{1, 0, 1. / 64}, {512, 0, 1. / 64}, {2048, 0, 1. / 128}, {1, -8, 1. / 225}, {1 << 12, 2, 1. / 202.38577025077627}} {
		if got := q.Factor(c.n, c.zero); math.Abs(got-c.want) > 1e-15 {
			t.Errorf("%d elements, zero point %g: %v, want %v", c.n, c.zero, got, c.want)
		}
	}
}

// TestFakeQuantizeIsQuantizeDequantize compares bits on random numbers, ties and the ends of the range.
func TestFakeQuantizeIsQuantizeDequantize(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		d      tensor.DType
		lo, hi int
		zero   float32
	}{{tensor.Uint8, 0, 255, 0}, {tensor.Uint8, 0, 255, 113}, {tensor.Int8, -128, 127, 0}, {tensor.Int8, -128, 127, -128}, {tensor.Int4, -8, 7, 0}} {
		scale := float32(math.Exp(r.NormFloat64()))
		x := []float32{0, float32(math.Copysign(0, -1)), float32(math.Inf(1)), float32(math.Inf(-1))}
		for i := range 600 {
			x = append(x, float32(i-300)*scale/2, float32(r.NormFloat64()*100)*scale)
		}
		in := vec(x...)
		zero := tensor.New(c.d)
		if err := tensor.SetFloats(zero, []float32{c.zero}); err != nil {
			t.Fatal(err)
		}
		q := eval(t, QuantizeLinear{Axis: 1, Saturate: true}, in, tensor.Scalar(scale), zero)
		want := eval(t, DequantizeLinear{Axis: 1}, q, tensor.Scalar(scale), zero)
		got := eval(t, FakeQuantize{Axis: 1, Lo: c.lo, Hi: c.hi}, in, tensor.Scalar(scale), tensor.Scalar(c.zero))
		if !got.Equal(want) {
			t.Errorf("%s, zero point %g, scale %g: differs", c.d, c.zero, scale)
		}
	}
}

// eval runs one operator with one output.
func eval(t *testing.T, op graph.Op, in ...*tensor.Tensor) *tensor.Tensor {
	t.Helper()
	out := []*tensor.Tensor{{}}
	if err := graph.RunKernel(&graph.Exec{Ctx: context.Background()}, op, in, out); err != nil {
		t.Fatal(err)
	}
	return out[0]
}

func TestFakeQuantizeRefuses(t *testing.T) {
	x, one := vec[float32](1, 2), tensor.Scalar[float32](1)
	for name, c := range map[string]struct {
		q  FakeQuantize
		in []*tensor.Tensor
	}{
		"empty range":         {FakeQuantize{Axis: 1, Lo: 3, Hi: 3}, tensors(x, one)},
		"integers":            {FakeQuantize{Hi: 1}, tensors(vec[int32](1), one)},
		"other type of scale": {FakeQuantize{Hi: 1}, tensors(x, tensor.Scalar(1.0))},
		"wrong scales":        {FakeQuantize{Hi: 1}, tensors(x, vec[float32](1, 2, 3))},
		"wrong zero points":   {FakeQuantize{Hi: 1}, tensors(x, one, vec[float32](1, 2))},
		"no such axis":        {FakeQuantize{Axis: 4, Hi: 1}, tensors(x, vec[float32](1, 2))},
	} {
		facts := make([]graph.Fact, len(c.in))
		for i, v := range c.in {
			facts[i] = graph.Fact{Type: graph.TypeOf(v)}
		}
		if _, err := c.q.Infer(facts, 1); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if _, err := FakeQuantizeGrad(c.q).Infer(append([]graph.Fact{facts[0]}, facts...), 2); err == nil {
			t.Errorf("%s: its gradient is accepted", name)
		}
	}
}
