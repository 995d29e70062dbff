package ops

import (
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	for i, op := range []graph.Op{
		Abs{},
		Neg{},
		Exp{},
		Reciprocal{},
		Erf{},
		Sin{},
		Cos{},
		Atan{},
		Sinh{},
		Cosh{},
		Asinh{},
		Tanh{},
		Sigmoid{},
		Softplus{},
		Softsign{},
		Identity{},
		Cast{To: int(tensor.Float64), Saturate: true, RoundMode: "up"},
		Elu{Alpha: 1},
		Elu{Alpha: 0.3},
		Celu{Alpha: 1},
		Celu{Alpha: 0.7},
		Selu{Alpha: 1.67, Gamma: 1.05},
		LeakyRelu{Alpha: 0.01},
		LeakyRelu{Alpha: 0.2},
		ThresholdedRelu{Alpha: 1},
		ThresholdedRelu{Alpha: -1},
		Shrink{Bias: 0.1, Lambd: 1},
		Mish{},
		Gelu{Approximate: "none"},
		Gelu{Approximate: "tanh"},
		MicrosoftGelu{},
		Swish{Alpha: 1},
		Swish{Alpha: 1.5},
	} {
		gradCases(op, gradCase{in: tensors(spread(uint64(i), 2, 7))}, gradCase{name: "scalar", in: tensors(spread(uint64(i)))})
	}
	for i, op := range []graph.Op{Log{}, Sqrt{}} {
		gradCases(op, gradCase{in: tensors(within(uint64(i), 0.1, 4, 9))})
	}
	for i, op := range []graph.Op{Asin{}, Acos{}, Atanh{}, Tan{}} {
		gradCases(op, gradCase{in: tensors(within(uint64(i), -0.8, 0.8, 9))})
	}
	gradCases(Acosh{}, gradCase{in: tensors(within(1, 1.2, 4, 9))})
	for i, op := range []graph.Op{HardSigmoid{Alpha: 0.2, Beta: 0.5}, HardSigmoid{Alpha: 0.3, Beta: 0.4}, HardSwish{}} {
		gradCases(op, gradCase{in: tensors(within(uint64(i), -4.05, 4, 23))})
	}
	for _, op := range []graph.Op{Sign{}, Ceil{}, Floor{}, Round{}} {
		gradCases(op, gradCase{in: tensors(vec(-1.7, -0.3, 0.2, 1.8))})
	}
	gradCases(CastLike{Saturate: true, RoundMode: "up"}, gradCase{in: tensors(spread(3, 4), vec(1.5)), fixed: []int{1}})
	gradCases(PRelu{},
		gradCase{name: "channels", in: tensors(spread(1, 2, 3, 4), spread(2, 3, 1))},
		gradCase{name: "one", in: tensors(spread(1, 2, 3), spread(2, 1))},
		gradCase{name: "each", in: tensors(spread(1, 2, 3), spread(2, 2, 3))},
	)
}
