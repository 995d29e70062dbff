package ops

import (
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

var (
	nan32 = float32(math.NaN())
	inf32 = float32(math.Inf(1))
	neg0  = float32(math.Copysign(0, -1))
)

// maps makes a float32 case from pairs of input and output.
func maps(pairs ...float32) opCase {
	var in, out []float32
	for i := 0; i < len(pairs); i += 2 {
		in, out = append(in, pairs[i]), append(out, pairs[i+1])
	}
	return opCase{in: tensors(vec(in...)), out: tensors(vec(out...)), tol: 1e-6}
}

// exactly makes a case without tolerance.
func exactly(in, out *tensor.Tensor) opCase { return opCase{in: tensors(in), out: tensors(out)} }

func init() {
	register(Abs{},
		exactly(vec[float32](-1.5, neg0, nan32), vec[float32](1.5, 0, nan32)),
		exactly(vec[int8](-128, -5, 7), vec[int8](-128, 5, 7)),
		exactly(vec[int64](-1<<62-1), vec[int64](1<<62+1)),
		exactly(vec[uint64](1<<63+1), vec[uint64](1<<63+1)),
		exactly(typed(tensor.Float16, -2), typed(tensor.Float16, 2)))
	register(Neg{},
		exactly(vec[float32](0, -inf32), vec(neg0, inf32)),
		exactly(vec[int32](math.MinInt32, 3), vec[int32](math.MinInt32, -3)))
	register(Sign{},
		exactly(vec[float32](-3, 0, 2, nan32), vec[float32](-1, 0, 1, nan32)),
		exactly(vec[uint8](0, 200), vec[uint8](0, 1)))
	register(Ceil{}, exactly(vec[float32](-1.5, 1.2, 2), vec[float32](-1, 2, 2)))
	register(Floor{}, exactly(vec[float32](-1.5, 1.7, 2), vec[float32](-2, 1, 2)))
	register(Round{}, exactly(vec[float64](0.5, 1.5, -2.5, 2.7), vec[float64](0, 2, -2, 3)))
	register(Exp{}, maps(0, 1, 1, math.E, -inf32, 0, nan32, nan32))
	register(Log{}, maps(1, 0, math.E, 1, 0, -inf32, -1, nan32))
	register(Reciprocal{}, maps(4, 0.25, neg0, -inf32))
	register(Sqrt{}, maps(2.25, 1.5, -1, nan32))
	register(Erf{}, maps(0, 0, 1, 0.8427007929497149, -inf32, -1))
	register(Sin{}, maps(0, 0, math.Pi/6, 0.5, inf32, nan32))
	register(Cos{}, maps(0, 1, math.Pi/3, 0.5))
	register(Tan{}, maps(0, 0, math.Pi/4, 1))
	register(Asin{}, maps(0.5, math.Pi/6, 2, nan32))
	register(Acos{}, maps(0.5, math.Pi/3, -1, math.Pi))
	register(Atan{}, maps(1, math.Pi/4, -inf32, -math.Pi/2))
	register(Sinh{}, maps(math.Ln2, 0.75, 0, 0))
	register(Cosh{}, maps(math.Ln2, 1.25, 0, 1))
	register(Asinh{}, maps(0.75, math.Ln2))
	register(Acosh{}, maps(1.25, math.Ln2, 0.5, nan32))
	register(Atanh{}, maps(0.6, math.Ln2, 1, inf32))
	register(Tanh{}, maps(math.Ln2, 0.6, inf32, 1))
	register(Sigmoid{}, maps(0, 0.5, math.Ln2, 2./3, -inf32, 0, -200, 0))
	register(Softplus{}, maps(0, math.Ln2, 1000, 1000, -inf32, 0))
	register(Softsign{}, maps(-3, -0.75, 1, 0.5))
	register(Elu{Alpha: 2}, maps(-math.Ln2, -1, 3, 3))
	register(Celu{Alpha: 2}, maps(-2*math.Ln2, -1, 3, 3))
	register(Selu{Alpha: 3, Gamma: 2}, maps(-math.Ln2, -3, 1.5, 3))
	register(LeakyRelu{Alpha: 0.01}, maps(-100, -1, 5, 5))
	register(PRelu{},
		opCase{
			in:  tensors(shaped([]int{2, 2}, []float32{-1, 2, -3, -4}...), vec[float32](0.5, 2)),
			out: tensors(shaped([]int{2, 2}, []float32{-0.5, 2, -1.5, -8}...)),
		},
		opCase{in: tensors(vec[int64](-3, 4), vec[int64](2)), out: tensors(vec[int64](-6, 4))})
	register(ThresholdedRelu{Alpha: 1}, maps(1, 0, 1.5, 1.5, -3, 0, nan32, 0))
	register(HardSigmoid{Alpha: 0.25, Beta: 0.5}, maps(1, 0.75, -9, 0, 9, 1))
	register(HardSwish{}, maps(-4, 0, 4, 4, 1, 2./3))
	register(Mish{}, maps(0, 0, 1, 0.8650983882673103))
	register(Gelu{Approximate: "none"}, maps(1, 0.8413447460685429, -1, -0.15865525393145707))
	register(Gelu{Approximate: "tanh"}, maps(1, 0.8411919906082768, 0, 0))
	register(Shrink{Lambd: 1.5, Bias: 1.5},
		maps(-2, -0.5, 2, 0.5, 1, 0),
		exactly(vec[int8](-3, 1, 3), vec[int8](-1, 0, 1)))
	register(Swish{Alpha: 2}, maps(math.Ln2/2, math.Ln2/3, 0, 0))
}

var _ graph.Quantizable = Relu{}
