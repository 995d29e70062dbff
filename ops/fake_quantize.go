package ops

import (
	"errors"
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("tfsopt", 1, FakeQuantize{}, FakeQuantizeGrad{}) }

// FakeQuantize is what QuantizeLinear and the DequantizeLinear after it leave of a number, in float:
// (clamp(roundeven(x/scale) + zero, Lo, Hi) - zero)·scale. Inputs: x, a scale that is a scalar or a vector with one number
// for each index of Axis, and optionally zero points in the scale's shape, floats that hold integers. In float32 the
// result has the bits of those two operators; NaN stays NaN.
type FakeQuantize struct {
	Axis int `attr:"axis" default:"1"`
	Lo   int `attr:"lo" default:"-128"`
	Hi   int `attr:"hi" default:"127"`
}

// Infer gives x's type.
func (q FakeQuantize) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 3); err != nil {
		return nil, err
	}
	if err := q.check(in); err != nil {
		return nil, err
	}
	return []graph.Type{in[0].Type}, nil
}

// check looks at x, scale and zero points.
func (q FakeQuantize) check(in []graph.Fact) error {
	if q.Lo >= q.Hi {
		return fmt.Errorf("integers from %d to %d: want a range", q.Lo, q.Hi)
	}
	if !in[0].DType.IsFloat() || in[1].DType != in[0].DType {
		return fmt.Errorf("x is %s, the scale %s: want the same float type", in[0].DType, in[1].DType)
	}
	scale, ok := in[1].Fixed()
	if !ok {
		return nil
	}
	if len(in) > 2 && in[2].DType != tensor.Undefined {
		if zero, ok := in[2].Fixed(); in[2].DType != in[0].DType || ok && !sameInts(zero, scale) {
			return fmt.Errorf("the zero points are %s, the scales %s", in[2].Type, in[1].Type)
		}
	}
	if shape, ok := in[0].Fixed(); ok {
		_, err := newBlocks(shape, scale, q.Axis, 0)
		return err
	}
	return nil
}

// fakeQuantizer is what both operators need of their inputs.
type fakeQuantizer struct {
	at          blocks
	x           []float64
	scale, zero []float64
	single      bool // float32: quotients are rounded to it
	lo, hi      float64
}

// over reads x, the scale and the zero points, in[i] and what follows.
func (q FakeQuantize) over(in []*tensor.Tensor, i int) (f fakeQuantizer, err error) {
	x, scale, zero := in[i], in[i+1], optional(in, i+2)
	if f.at, err = newBlocks(x.Shape, scale.Shape, q.Axis, 0); err != nil {
		return f, err
	}
	if f.x, err = floats(x); err != nil {
		return f, err
	}
	if f.scale, err = floats(scale); err != nil {
		return f, err
	}
	f.zero = make([]float64, len(f.scale))
	if zero != nil {
		if f.zero, err = floats(zero); err != nil {
			return f, err
		}
		if len(f.zero) != len(f.scale) {
			return f, errors.New("as many zero points as scales are needed")
		}
	}
	f.single, f.lo, f.hi = x.DType == tensor.Float32, float64(q.Lo), float64(q.Hi)
	return f, nil
}

// quotient is x/scale of element i, and the index of its scale.
func (f *fakeQuantizer) quotient(i int) (v float64, k int) {
	k = f.at.index(i)
	if f.single {
		return float64(float32(f.x[i]) / float32(f.scale[k])), k
	}
	return f.x[i] / f.scale[k], k
}

// Run divides in the type of x and rounds once more at the end.
func (q FakeQuantize) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	f, err := q.over(in, 0)
	if err != nil {
		return err
	}
	y := make([]float64, len(f.x))
	for i := range y {
		v, k := f.quotient(i)
		n := min(max(math.RoundToEven(v)+f.zero[k], f.lo), f.hi) - f.zero[k]
		y[i] = float64(n * f.scale[k])
	}
	return tensor.SetFloat64s(x.Make(out[0], in[0].DType, in[0].Shape...), y)
}

// Grad is that of FakeQuantizeGrad. The zero points have none.
func (q FakeQuantize) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil {
		return none(n)
	}
	d := none(n)
	g := b.AddN(n.Name+"_grad", 2, FakeQuantizeGrad(q), append([]*graph.Value{dOut[0]}, n.In...)...)
	d[0], d[1] = g[0], g[1]
	return d
}

// Permute moves the axis of the scales along.
func (q FakeQuantize) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	p, to, ok := scaleAxis(in, outs, q.Axis, order)
	q.Axis = to
	p.Op = q
	return p, ok
}

// FakeQuantizeGrad is the gradient of FakeQuantize as quantization-aware training wants it: for the gradient dy of the
// result, x, scale and zero points it gives dx and, in the scale's shape, dscale. With v = x/scale, L = Lo - zero and
// H = Hi - zero, rounding counts as the identity: dx is dy where L ≤ v ≤ H and 0 elsewhere (Bengio et al., arXiv 1308.3432);
// dscale is Σ dy·(roundeven(v) - v) over the elements inside plus Σ dy·L below and Σ dy·H above (learned step size, Esser
// et al., arXiv 1902.08153), times Factor.
type FakeQuantizeGrad struct {
	Axis int `attr:"axis" default:"1"`
	Lo   int `attr:"lo" default:"-128"`
	Hi   int `attr:"hi" default:"127"`
}

// Infer gives the types of x and of the scale.
func (q FakeQuantizeGrad) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 3, 4); err != nil {
		return nil, err
	}
	if _, err := gatedType(in[:2], 2); err != nil {
		return nil, err
	}
	if err := FakeQuantize(q).check(in[1:]); err != nil {
		return nil, err
	}
	return []graph.Type{in[1].Type, in[2].Type}, nil
}

// Run sums in float64 and rounds once.
func (q FakeQuantizeGrad) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	f, err := FakeQuantize(q).over(in, 1)
	if err != nil {
		return err
	}
	dy, err := floats(in[0])
	if err != nil {
		return err
	}
	if !sameInts(in[0].Shape, in[1].Shape) {
		return fmt.Errorf("input 0 has shape %v, input 1 %v", in[0].Shape, in[1].Shape)
	}
	sums := make([]float64, len(f.scale))
	for i, d := range dy {
		v, k := f.quotient(i)
		lo, hi := f.lo-f.zero[k], f.hi-f.zero[k]
		slope := math.RoundToEven(v) - v
		switch {
		case v < lo:
			slope, dy[i] = lo, 0
		case v > hi:
			slope, dy[i] = hi, 0
		}
		sums[k] += float64(d * slope)
	}
	for k := range sums {
		sums[k] *= q.Factor(len(dy)/max(len(sums), 1), f.zero[k])
	}
	if out[0] != nil {
		if err := tensor.SetFloat64s(x.Make(out[0], in[1].DType, in[1].Shape...), dy); err != nil {
			return err
		}
	}
	if len(out) < 2 || out[1] == nil {
		return nil
	}
	return tensor.SetFloat64s(x.Make(out[1], in[2].DType, in[2].Shape...), sums)
}

// Factor is what dscale is multiplied by, with Q = max(Hi - zero, zero - Lo) and n elements a scale: the 1/√(n·Q) of the
// paper, but at most 1/Q². With that a step of the scale moves the end of the range, Q·scale, as far as a step of an
// element moves that element; where a scale has few elements, as one of an output channel, more makes training diverge.
func (q FakeQuantizeGrad) Factor(n int, zero float64) float64 {
	most := max(float64(q.Hi)-zero, zero-float64(q.Lo), 1)
	return 1 / max(math.Sqrt(float64(n)*most), most*most)
}

// Permute reorders both inputs and their gradient alike; with scales along an axis it does not, since they have a gradient too.
func (q FakeQuantizeGrad) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	p, ok := together(in, outs, 2, order)
	for i := 1; i < len(p.Out); i++ {
		p.Out[i] = nil
	}
	return p, ok && in[2].Rank() == 0
}
