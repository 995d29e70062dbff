package savedmodel

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

var (
	addOp graph.Op = ops.Add{}
	subOp graph.Op = ops.Sub{}
)

// plain operators mean the same in ONNX, input by input, and have no attributes.
var plain = map[string]graph.Op{
	"Relu": ops.Relu{}, "Elu": ops.Elu{Alpha: 1}, "Selu": ops.Selu{Alpha: 1.67326319217681884765625, Gamma: 1.05070102214813232421875},
	"Sigmoid": ops.Sigmoid{}, "Tanh": ops.Tanh{}, "Softplus": ops.Softplus{}, "Softsign": ops.Softsign{}, "Exp": ops.Exp{},
	"Log": ops.Log{}, "Sqrt": ops.Sqrt{}, "Neg": ops.Neg{}, "Abs": ops.Abs{}, "Sign": ops.Sign{}, "Floor": ops.Floor{},
	"Ceil": ops.Ceil{}, "Round": ops.Round{}, "Rint": ops.Round{}, "Erf": ops.Erf{}, "Sin": ops.Sin{}, "Cos": ops.Cos{},
	"Tan": ops.Tan{}, "Asin": ops.Asin{}, "Acos": ops.Acos{}, "Atan": ops.Atan{}, "Sinh": ops.Sinh{}, "Cosh": ops.Cosh{},
	"Asinh": ops.Asinh{}, "Acosh": ops.Acosh{}, "Atanh": ops.Atanh{}, "Reciprocal": ops.Reciprocal{}, "Inv": ops.Reciprocal{},
	"LogicalNot": ops.Not{}, "IsNan": ops.IsNaN{}, "IsInf": ops.IsInf{Negative: true, Positive: true},
	"Softmax": ops.Softmax{Axis: -1}, "LogSoftmax": ops.LogSoftmax{Axis: -1}, "Add": ops.Add{}, "AddV2": ops.Add{},
	"AddN": ops.Sum{}, "Sub": ops.Sub{}, "RealDiv": ops.Div{}, "Div": ops.Div{}, "TruncateDiv": ops.Div{},
	"TruncateMod": ops.Mod{Fmod: true}, "Pow": ops.Pow{}, "Maximum": ops.Max{}, "Greater": ops.Greater{},
	"GreaterEqual": ops.GreaterOrEqual{}, "Less": ops.Less{}, "LessEqual": ops.LessOrEqual{}, "Equal": ops.Equal{},
	"LogicalAnd": ops.And{}, "LogicalOr": ops.Or{}, "BitwiseAnd": ops.BitwiseAnd{}, "BitwiseOr": ops.BitwiseOr{},
	"BitwiseXor": ops.BitwiseXor{}, "Invert": ops.BitwiseNot{}, "SelectV2": ops.Where{}, "GatherNd": ops.GatherND{},
}

func init() {
	for name, op := range plain {
		convertOps(func(c *call) ([]value, error) {
			in, err := c.values(0, len(c.in))
			if err != nil {
				return nil, err
			}
			return one(c.add(op, in...)), nil
		}, name)
	}
	for name, f := range formulas {
		convertOps(func(c *call) ([]value, error) {
			in, err := c.values(0, len(c.in))
			if err != nil {
				return nil, err
			}
			v, err := f(c, in)
			if err != nil {
				return nil, err
			}
			return one(v), nil
		}, name)
	}
}

// formula builds an operator of several.
type formula func(c *call, in []*graph.Value) (*graph.Value, error)

var formulas = map[string]formula{
	"Relu6": func(c *call, in []*graph.Value) (*graph.Value, error) {
		return c.add(ops.Clip{}, in[0], c.number(in[0], 0), c.number(in[0], 6)), nil
	},
	"LeakyRelu": func(c *call, in []*graph.Value) (*graph.Value, error) {
		return c.add(ops.LeakyRelu{Alpha: c.floatAttr("alpha", 0.2)}, in[0]), nil
	},
	"ClipByValue": func(c *call, in []*graph.Value) (*graph.Value, error) {
		return c.add(ops.Min{}, c.add(ops.Max{}, in[0], in[1]), in[2]), nil
	},
	"Rsqrt": func(c *call, in []*graph.Value) (*graph.Value, error) {
		return c.add(ops.Reciprocal{}, c.add(ops.Sqrt{}, in[0])), nil
	},
	"Minimum": func(c *call, in []*graph.Value) (*graph.Value, error) {
		for i, most := range in { // what is at least n and at most n is n
			n := in[1-i].Def
			if !most.IsConst() || most.Const.Len() != 1 || !most.Const.IsInt() || n == nil || n.OpName() != "Max" {
				continue
			}
			for _, least := range n.In {
				if least.IsConst() && least.Const.Len() == 1 && tensor.Ints(least.Const)[0] >= tensor.Ints(most.Const)[0] && in[1-i].Rank() == 0 {
					return most, nil
				}
			}
		}
		return c.add(ops.Min{}, in...), nil
	},
	"Square": func(c *call, in []*graph.Value) (*graph.Value, error) { return c.add(ops.Mul{}, in[0], in[0]), nil },
	"SquaredDifference": func(c *call, in []*graph.Value) (*graph.Value, error) {
		d := c.add(ops.Sub{}, in...)
		return c.add(ops.Mul{}, d, d), nil
	},
	"Erfc": func(c *call, in []*graph.Value) (*graph.Value, error) {
		return c.add(ops.Sub{}, c.number(in[0], 1), c.add(ops.Erf{}, in[0])), nil
	},
	"Log1p": func(c *call, in []*graph.Value) (*graph.Value, error) {
		return c.add(ops.Log{}, c.add(ops.Add{}, in[0], c.number(in[0], 1))), nil
	},
	"Expm1": func(c *call, in []*graph.Value) (*graph.Value, error) {
		return c.add(ops.Sub{}, c.add(ops.Exp{}, in[0]), c.number(in[0], 1)), nil
	},
	"NotEqual": func(c *call, in []*graph.Value) (*graph.Value, error) {
		return c.add(ops.Not{}, c.add(ops.Equal{}, in...)), nil
	},
	"FloorDiv": func(c *call, in []*graph.Value) (*graph.Value, error) {
		q := c.add(ops.Div{}, in...)
		if in[0].DType.IsFloat() {
			return c.add(ops.Floor{}, q), nil
		}
		if !in[0].DType.IsSigned() {
			return q, nil
		}
		// Div rounds to zero: one less where the remainder is not zero and the signs differ.
		zero := c.number(in[0], 0)
		less := c.add(ops.And{}, c.add(ops.Not{}, c.add(ops.Equal{}, c.add(ops.Mod{}, in...), zero)),
			c.add(ops.Xor{}, c.add(ops.Less{}, in[0], zero), c.add(ops.Less{}, in[1], zero)))
		return c.add(ops.Sub{}, q, c.add(ops.Cast{To: int(in[0].DType), RoundMode: "up", Saturate: true}, less)), nil
	},
	"FloorMod": func(c *call, in []*graph.Value) (*graph.Value, error) {
		if !in[0].DType.IsFloat() {
			return c.add(ops.Mod{}, in...), nil // has the divisor's sign
		}
		q := c.add(ops.Floor{}, c.add(ops.Div{}, in...))
		return c.add(ops.Sub{}, in[0], c.add(ops.Mul{}, q, in[1])), nil
	},
	"DivNoNan": func(c *call, in []*graph.Value) (*graph.Value, error) {
		zero := c.number(in[0], 0)
		return c.add(ops.Where{}, c.add(ops.Equal{}, in[1], zero), zero, c.add(ops.Div{}, in...)), nil
	},
	"MulNoNan": func(c *call, in []*graph.Value) (*graph.Value, error) {
		zero := c.number(in[0], 0)
		return c.add(ops.Where{}, c.add(ops.Equal{}, in[1], zero), zero, c.add(ops.Mul{}, in...)), nil
	},
	"Mul":       multiply,
	"ZerosLike": func(c *call, in []*graph.Value) (*graph.Value, error) { return c.filled(in[0], 0) },
	"OnesLike":  func(c *call, in []*graph.Value) (*graph.Value, error) { return c.filled(in[0], 1) },
	"Select":    selectRows,
	"Cast": func(c *call, in []*graph.Value) (*graph.Value, error) {
		d := c.typeAttr("DstT")
		if d == tensor.Undefined {
			return nil, fmt.Errorf("a cast to a type that is not supported")
		}
		return c.castTo(in[0], d), nil
	},
	"MatMul": func(c *call, in []*graph.Value) (*graph.Value, error) {
		return c.product(in[0], in[1], c.boolAttr("transpose_a", false), c.boolAttr("transpose_b", false))
	},
	"BatchMatMul": batchProduct, "BatchMatMulV2": batchProduct, "BatchMatMulV3": batchProduct,
	"Einsum": func(c *call, in []*graph.Value) (*graph.Value, error) {
		return c.add(ops.Einsum{Equation: c.stringAttr("equation", "")}, in...), nil
	},
	"L2Loss": func(c *call, in []*graph.Value) (*graph.Value, error) {
		s := c.add(ops.ReduceSumSquare{Keepdims: false}, in[0])
		return c.add(ops.Mul{}, s, c.number(s, 0.5)), nil
	},
}

// number makes a constant of rank 0 in the element type of like.
func (c *call) number(like *graph.Value, x float64) *graph.Value {
	t := tensor.New(like.DType)
	if like.DType == tensor.Undefined || like.DType.Bits() == 0 {
		t = tensor.New(tensor.Float32)
	}
	if err := tensor.SetFloat64s(t, []float64{x}); err != nil && c.b.Err == nil {
		c.b.Err = err
	}
	return c.b.constant(t, "")
}

// filled makes a tensor of v's shape and type with one number in it.
func (c *call) filled(v *graph.Value, x float64) (*graph.Value, error) {
	n := c.number(v, x)
	if shape, ok := v.Fixed(); ok && tensor.Size(shape) == 1 {
		t := n.Const.Reshape(shape...)
		return c.b.constant(t, ""), nil
	}
	return c.add(ops.Expand{}, n, c.add(ops.Shape{}, v)), nil
}

func (c *call) cast(v *graph.Value, d tensor.DType) *graph.Value {
	if v.DType == d {
		return v
	}
	return c.add(ops.Cast{To: int(d), RoundMode: "up", Saturate: true}, v)
}

// selectRows is Where, but for a condition of rank 1, which chooses whole rows.
func selectRows(c *call, in []*graph.Value) (*graph.Value, error) {
	cond, x := in[0], in[1]
	if cond.Rank() < 0 || x.Rank() < 0 {
		return nil, fmt.Errorf("the ranks of its inputs are not known")
	}
	if cond.Rank() == 1 && x.Rank() > 1 {
		axes := make([]int64, x.Rank()-1)
		for i := range axes {
			axes[i] = int64(i + 1)
		}
		cond = c.add(ops.Unsqueeze{}, cond, c.b.ints(axes...))
	}
	return c.add(ops.Where{}, cond, x, in[2]), nil
}

// product multiplies matrices, transposed first where that is said.
func (c *call) product(a, b *graph.Value, flipA, flipB bool) (*graph.Value, error) {
	for _, x := range []struct {
		v    **graph.Value
		flip bool
	}{{&a, flipA}, {&b, flipB}} {
		if !x.flip {
			continue
		}
		r := (*x.v).Rank()
		if r < 2 {
			return nil, fmt.Errorf("a matrix of unknown rank is transposed")
		}
		perm := make([]int, r)
		for i := range perm {
			perm[i] = i
		}
		perm[r-2], perm[r-1] = r-1, r-2
		if v, ok, err := c.turnedRestored(*x.v, perm, nil); ok || err != nil {
			*x.v = v
			if err != nil {
				return nil, err
			}
			continue
		}
		*x.v = c.add(ops.Transpose{Perm: perm}, *x.v)
	}
	return c.add(ops.MatMul{}, a, b), nil
}

func batchProduct(c *call, in []*graph.Value) (*graph.Value, error) {
	return c.product(in[0], in[1], c.boolAttr("adj_x", false), c.boolAttr("adj_y", false))
}
