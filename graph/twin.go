package graph

import "github.com/tfsopt/tfsopt/tensor"

// Linear is an integer value with its constant scale and zero point: what DequantizeLinear reads, or what QuantizeLinear
// makes. The zero Linear stands for a float.
type Linear struct {
	Value, Scale, Zero *Value
	Axis               int  // of the scale, if it has several elements
	Fixed              bool // of a result: it is to be rounded in fixed-point arithmetic
}

// Twinned is an operator with an integer twin: one operator that computes on 8-bit integers what this one computes
// between DequantizeLinear and QuantizeLinear.
type Twinned interface {
	Op
	// Twin gives the twin of n and its inputs, which may include new constants. in are n's operands; out is the zero Linear where the result stays
	// float. A nil Op says that there is no twin for these.
	Twin(n *Node, in []Linear, out Linear) (Op, []*Value)
}

// Single holds of 8-bit integers with one scale.
func (l Linear) Single() bool { return l.EightBit() && l.Scale.Const.Len() == 1 }

// EightBit holds of 8-bit integers.
func (l Linear) EightBit() bool {
	return l.Value != nil && (l.Value.DType == tensor.Uint8 || l.Value.DType == tensor.Int8)
}

// Activation holds of 8-bit integers with one scale that are not constant.
func (l Linear) Activation() bool { return l.Single() && !l.Value.IsConst() }

// Same reports whether two values with one scale have the same type and parameters.
func (l Linear) Same(m Linear) bool {
	return l.Value.DType == m.Value.DType && l.Scale.Const.Len() == m.Scale.Const.Len() &&
		tensor.Floats(l.Scale.Const)[0] == tensor.Floats(m.Scale.Const)[0] &&
		tensor.Ints(l.Zero.Const)[0] == tensor.Ints(m.Zero.Const)[0]
}
