package ops

import (
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	graph.Register("", 6, Abs{}, Neg{}, Ceil{}, Floor{}, Exp{}, Log{}, Reciprocal{}, Sqrt{}, Sigmoid{}, Tanh{})
	graph.Register("", 7, Sin{}, Cos{}, Tan{}, Asin{}, Acos{}, Atan{})
	graph.Register("", 9, Sinh{}, Cosh{}, Asinh{}, Acosh{}, Atanh{}, Erf{}, Sign{})
	graph.Register("", 11, Round{})
	graph.Register("", 1, Softplus{}, Softsign{})
}

// Abs is |x|; the smallest signed integer stays itself.
type Abs struct{ unary }

func (Abs) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return arith1{i: func(v int64) int64 { return max(v, -v) }, u: same[uint64], f: math.Abs}.run(x, in, out)
}

// Neg is -x.
type Neg struct{ unary }

func (Neg) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return arith1{i: func(v int64) int64 { return -v }, f: func(v float64) float64 { return -v }}.run(x, in, out)
}

// Sign is -1, 0 or 1; NaN stays NaN.
type Sign struct{ unary }

func (Sign) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return arith1{i: sign[int64], u: func(v uint64) uint64 { return min(v, 1) }, f: sign[float64]}.run(x, in, out)
}

func sign[T int64 | float64](v T) T {
	switch {
	case v > 0:
		return 1
	case v < 0:
		return -1
	case v == 0:
		return 0
	}
	return v
}

// Ceil rounds up to a whole number.
type Ceil struct{ unary }

func (Ceil) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return mapUnary(x, in[0], out[0], math.Ceil)
}

// Floor rounds down to a whole number.
type Floor struct{ unary }

func (Floor) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return mapUnary(x, in[0], out[0], math.Floor)
}

// Round rounds to the nearest whole number, halves to even.
type Round struct{ unary }

func (Round) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return mapUnary(x, in[0], out[0], math.RoundToEven)
}

// Exp is e to the power x.
type Exp struct{ unary }

func (Exp) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return mapUnary(x, in[0], out[0], math.Exp)
}

// Log is the natural logarithm.
type Log struct{ unary }

func (Log) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return mapUnary(x, in[0], out[0], math.Log)
}

// Reciprocal is 1/x.
type Reciprocal struct{ unary }

func (Reciprocal) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return mapUnary(x, in[0], out[0], func(v float64) float64 { return 1 / v })
}

// Sqrt is the square root.
type Sqrt struct{ unary }

func (Sqrt) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return mapUnary(x, in[0], out[0], math.Sqrt)
}

// Erf is the error function.
type Erf struct{ unary }

func (Erf) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return mapUnary(x, in[0], out[0], math.Erf)
}

// Sin is the sine.
type Sin struct{ unary }

func (Sin) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return mapUnary(x, in[0], out[0], math.Sin)
}

// Cos is the cosine.
type Cos struct{ unary }

func (Cos) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return mapUnary(x, in[0], out[0], math.Cos)
}

// Tan is the tangent.
type Tan struct{ unary }

func (Tan) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return mapUnary(x, in[0], out[0], math.Tan)
}

// Asin is the inverse sine.
type Asin struct{ unary }

func (Asin) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return mapUnary(x, in[0], out[0], math.Asin)
}

// Acos is the inverse cosine.
type Acos struct{ unary }

func (Acos) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return mapUnary(x, in[0], out[0], math.Acos)
}

// Atan is the inverse tangent.
type Atan struct{ unary }

func (Atan) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return mapUnary(x, in[0], out[0], math.Atan)
}

// Sinh is the hyperbolic sine.
type Sinh struct{ unary }

func (Sinh) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return mapUnary(x, in[0], out[0], math.Sinh)
}

// Cosh is the hyperbolic cosine.
type Cosh struct{ unary }

func (Cosh) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return mapUnary(x, in[0], out[0], math.Cosh)
}

// Asinh is the inverse hyperbolic sine.
type Asinh struct{ unary }

func (Asinh) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return mapUnary(x, in[0], out[0], math.Asinh)
}

// Acosh is the inverse hyperbolic cosine.
type Acosh struct{ unary }

func (Acosh) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return mapUnary(x, in[0], out[0], math.Acosh)
}

// Atanh is the inverse hyperbolic tangent.
type Atanh struct{ unary }

func (Atanh) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return mapUnary(x, in[0], out[0], math.Atanh)
}

// Tanh is the hyperbolic tangent.
type Tanh struct {
	unary
	quantData
}

func (Tanh) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return mapUnary(x, in[0], out[0], math.Tanh)
}

// Sigmoid is 1/(1+exp(-x)).
type Sigmoid struct {
	unary
	quantData
}

func (Sigmoid) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return mapUnary(x, in[0], out[0], sigmoid)
}

// Twin is QLinearSigmoid.
func (o Sigmoid) Twin(_ *graph.Node, in []graph.Linear, out graph.Linear) (graph.Op, []*graph.Value) {
	return activationTwin("QLinearSigmoid", o, in, out)
}

func sigmoid(v float64) float64 { return 1 / (1 + math.Exp(-v)) }

// Softplus is log(exp(x)+1).
type Softplus struct{ unary }

func (Softplus) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return mapUnary(x, in[0], out[0], softplus)
}

func softplus(v float64) float64 { return max(v, 0) + math.Log1p(math.Exp(-math.Abs(v))) }

// Softsign is x/(1+|x|).
type Softsign struct{ unary }

func (Softsign) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return mapUnary(x, in[0], out[0], func(v float64) float64 { return v / (1 + math.Abs(v)) })
}
