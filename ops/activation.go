package ops

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	graph.Register("", 6, Elu{}, Selu{}, LeakyRelu{}, HardSigmoid{})
	graph.Register("", 7, PRelu{})
	graph.Register("", 9, Shrink{})
	graph.Register("", 10, ThresholdedRelu{})
	graph.Register("", 12, Celu{})
	graph.Register("", 14, HardSwish{})
	graph.Register("", 18, Mish{})
	graph.Register("", 20, Gelu{})
}

// Elu is x, below zero alpha·(exp(x)-1) (Clevert et al., arXiv 1511.07289).
type Elu struct {
	Alpha float32 `attr:"alpha" default:"1"`
	unary
}

func (o Elu) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	alpha := float64(o.Alpha)
	return mapUnary(x, in[0], out[0], func(v float64) float64 {
		if v < 0 {
			return alpha * math.Expm1(v)
		}
		return v
	})
}

// Permute reorders data and result alike.
func (Elu) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, 1, order)
}

// Links ties each axis of the result with those of the inputs.
func (Elu) Links(in, out []graph.Fact) []graph.Link { return pointwise(in, out) }

// Celu is max(0,x) + min(0, alpha·(exp(x/alpha)-1)) (Barron, arXiv 1704.07483).
type Celu struct {
	Alpha float32 `attr:"alpha" default:"1"`
	unary
}

func (o Celu) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	alpha := float64(o.Alpha)
	return mapUnary(x, in[0], out[0], func(v float64) float64 {
		return max(v, 0) + min(0, alpha*math.Expm1(v/alpha))
	})
}

// Permute reorders data and result alike.
func (Celu) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, 1, order)
}

// Links ties each axis of the result with those of the inputs.
func (Celu) Links(in, out []graph.Fact) []graph.Link { return pointwise(in, out) }

// Selu is gamma·x, from zero down gamma·alpha·(exp(x)-1) (Klambauer et al., arXiv 1706.02515).
type Selu struct {
	Alpha float32 `attr:"alpha" default:"1.67326319217681884765625"`
	Gamma float32 `attr:"gamma" default:"1.05070102214813232421875"`
	unary
}

func (o Selu) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	alpha, gamma := float64(o.Alpha), float64(o.Gamma)
	return mapUnary(x, in[0], out[0], func(v float64) float64 {
		if v <= 0 {
			return gamma * alpha * math.Expm1(v)
		}
		return gamma * v
	})
}

// Permute reorders data and result alike.
func (Selu) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, 1, order)
}

// Links ties each axis of the result with those of the inputs.
func (Selu) Links(in, out []graph.Fact) []graph.Link { return pointwise(in, out) }

// LeakyRelu is x, below zero alpha·x.
type LeakyRelu struct {
	Alpha float32 `attr:"alpha" default:"0.01"`
	unary
	quantData
}

func (o LeakyRelu) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	alpha := float64(o.Alpha)
	return mapUnary(x, in[0], out[0], func(v float64) float64 {
		if v < 0 {
			return alpha * v
		}
		return v
	})
}

// Twin is QLinearLeakyRelu.
func (o LeakyRelu) Twin(_ *graph.Node, in []graph.Linear, out graph.Linear) (graph.Op, []*graph.Value) {
	return activationTwin("QLinearLeakyRelu", o, in, out)
}

// Permute reorders data and result alike.
func (LeakyRelu) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, 1, order)
}

// Links ties each axis of the result with those of the inputs.
func (LeakyRelu) Links(in, out []graph.Fact) []graph.Link { return pointwise(in, out) }

// PRelu is x, below zero slope·x; slope broadcasts to x.
type PRelu struct{ quantData }

// Infer gives the type of the input.
func (PRelu) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 2); err != nil {
		return nil, err
	}
	if err := sameType(in); err != nil {
		return nil, err
	}
	if !in[0].Unranked && !in[1].Unranked && len(in[1].Shape) > len(in[0].Shape) {
		return nil, fmt.Errorf("slope of rank %d does not broadcast to rank %d", len(in[1].Shape), len(in[0].Shape))
	}
	return []graph.Type{in[0].Type}, nil
}

func (PRelu) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return arith2{
		i: leak[int64],
		u: func(a, _ uint64) uint64 { return a },
		f: leak[float64],
	}.run(x, in, out)
}

// Permute reorders all operands alike.
func (PRelu) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, len(in), order)
}

// Links ties each axis of the result with those of the inputs.
func (PRelu) Links(in, out []graph.Fact) []graph.Link { return pointwise(in, out) }

func leak[T int64 | float64](v, slope T) T {
	if v < 0 {
		return v * slope
	}
	return v
}

// ThresholdedRelu is x above alpha, else 0, also for NaN.
type ThresholdedRelu struct {
	Alpha float32 `attr:"alpha" default:"1"`
	unary
}

func (o ThresholdedRelu) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	alpha := float64(o.Alpha)
	return mapUnary(x, in[0], out[0], func(v float64) float64 {
		if v > alpha {
			return v
		}
		return 0
	})
}

// Permute reorders data and result alike.
func (ThresholdedRelu) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, 1, order)
}

// Links ties each axis of the result with those of the inputs.
func (ThresholdedRelu) Links(in, out []graph.Fact) []graph.Link { return pointwise(in, out) }

// HardSigmoid is alpha·x + beta, between 0 and 1.
type HardSigmoid struct {
	Alpha float32 `attr:"alpha" default:"0.2"`
	Beta  float32 `attr:"beta" default:"0.5"`
	unary
	quantData
}

func (o HardSigmoid) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return mapUnary(x, in[0], out[0], func(v float64) float64 {
		return max(0, min(1, float64(float64(o.Alpha)*v)+float64(o.Beta)))
	})
}

// Permute reorders data and result alike.
func (HardSigmoid) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, 1, order)
}

// Links ties each axis of the result with those of the inputs.
func (HardSigmoid) Links(in, out []graph.Fact) []graph.Link { return pointwise(in, out) }

// HardSwish is x times HardSigmoid with alpha 1/6 and beta 1/2 (Howard et al., arXiv 1905.02244).
type HardSwish struct {
	unary
	quantData
}

func (HardSwish) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return mapUnary(x, in[0], out[0], func(v float64) float64 { return v * max(0, min(1, v/6+0.5)) })
}

// Permute reorders data and result alike.
func (HardSwish) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, 1, order)
}

// Links ties each axis of the result with those of the inputs.
func (HardSwish) Links(in, out []graph.Fact) []graph.Link { return pointwise(in, out) }

// Mish is x·tanh(softplus(x)) (Misra, arXiv 1908.08681).
type Mish struct{ unary }

func (Mish) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return mapUnary(x, in[0], out[0], func(v float64) float64 { return v * math.Tanh(softplus(v)) })
}

// Gelu is x times the normal distribution function of x, or its tanh approximation (Hendrycks and Gimpel,
// arXiv 1606.08415).
type Gelu struct {
	Approximate string `attr:"approximate" default:"none"` // or "tanh"
	unary
	quantData
}

func (o Gelu) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	switch o.Approximate {
	case "none":
		return mapUnary(x, in[0], out[0], func(v float64) float64 { return 0.5 * v * math.Erfc(-v/math.Sqrt2) })
	case "tanh":
		k := math.Sqrt(2 / math.Pi)
		return mapUnary(x, in[0], out[0], func(v float64) float64 {
			return 0.5 * v * (1 + math.Tanh(k*(v+0.044715*v*v*v)))
		})
	}
	return fmt.Errorf("unknown approximation %q", o.Approximate)
}

// Permute reorders data and result alike.
func (Gelu) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, 1, order)
}

// Links ties each axis of the result with those of the inputs.
func (Gelu) Links(in, out []graph.Fact) []graph.Link { return pointwise(in, out) }

// Shrink is x+bias below -lambd, x-bias above lambd, 0 between.
type Shrink struct {
	Bias  float32 `attr:"bias" default:"0"`
	Lambd float32 `attr:"lambd" default:"0.5"`
	unary
}

// Run computes the reference result; integers, which may be of any width, are computed in float64.
func (o Shrink) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	bias, lambd := float64(o.Bias), float64(o.Lambd)
	f := func(v float64) float64 {
		switch {
		case v < -lambd:
			return v + bias
		case v > lambd:
			return v - bias
		}
		return 0
	}
	return arith1{
		i: func(v int64) int64 { return truncate(f(float64(v)), math.MinInt64) },
		u: func(v uint64) uint64 { return truncateUnsigned(f(float64(v))) },
		f: f,
	}.run(x, in, out)
}

// Permute reorders data and result alike.
func (Shrink) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, 1, order)
}

// Links ties each axis of the result with those of the inputs.
func (Shrink) Links(in, out []graph.Fact) []graph.Link { return pointwise(in, out) }
