package onnx

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// upgradeStep rewrites a node of an operator set below `to` as that set has it. The facts are those of ONNX's
// "Operator Changelog" (docs/Changelog.md) and, where that is silent, of ONNX Runtime's kernels for the old form.
type upgradeStep struct {
	domain, op string
	to         int
	apply      func(c *call) error
	becomes    string // another operator, if the step makes one of it
}

// upgradeSteps is in order of `to`; a step may change the operator, later steps then see the new one.
var upgradeSteps = sortedSteps(
	steps(4, concat4, "Concat"),
	steps(2, split2, "Split"),
	[]upgradeStep{{domain: "ai.onnx.ml", op: "LabelEncoder", to: 2, apply: labelEncoder2}},
	steps(2, rename("paddings", "pads"), "Pad"),
	steps(2, intP, "LpPool", "GlobalLpPool"),
	steps(3, fixDirection, "GRU"),
	steps(5, attrInput("shape", 1), "Reshape"),
	steps(6, cast6, "Cast"),
	steps(6, tile6, "Tile"),
	steps(6, selu6, "Selu"),
	steps(6, drop("consumed_inputs"), legacyInPlace...),
	steps(7, broadcast7, "Add", "Sub", "Mul", "Div", "Pow", "And", "Or", "Xor", "Equal", "Greater", "Less"),
	steps(7, drop("broadcast"), "Gemm"),
	steps(7, prelu7, "PRelu"),
	steps(7, drop("is_test"), "BatchNormalization", "Dropout"),
	steps(7, drop("output_sequence"), "RNN", "GRU", "LSTM"),
	steps(7, upsample7, "Upsample"),
	steps(9, whole(batchNorm9), "BatchNormalization"),
	steps(9, attrInput("scales", 1), "Upsample"),
	steps(9, scan9, "Scan"),
	replaced(10, "Upsample", "Resize"),
	steps(10, whole(dropoutMask10), "Dropout"),
	steps(10, slice10, "Slice"),
	steps(10, topK10, "TopK"),
	replaced(11, "Scatter", "ScatterElements"),
	steps(11, clip11, "Clip"),
	steps(11, pad11, "Pad"),
	steps(11, resize11, "Resize"),
	steps(12, dropout12, "Dropout"),
	steps(13, resize13, "Resize"),
	steps(13, whole(softmax13), "Softmax", "LogSoftmax", "Hardmax"),
	steps(13, attrInput("axes", 1), "Squeeze", "Unsqueeze", "ReduceSum"),
	steps(13, attrInput("split", 1), "Split"),
	steps(14, whole(batchNorm14), "BatchNormalization"),
	steps(16, roiAlign16, "RoiAlign"),
	steps(18, split18, "Split"),
	steps(18, attrInput("axes", 1), "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean",
		"ReduceMin", "ReduceProd", "ReduceSumSquare"),
	steps(20, gridSample20, "GridSample"),
	steps(20, dft20, "DFT"),
	steps(21, whole(groupNorm21), "GroupNormalization"),
)

// legacyInPlace lists the operators that took "consumed_inputs", a hint to compute in place, before opset 6.
var legacyInPlace = []string{
	"Abs", "Add", "BatchNormalization", "Ceil", "Clip", "Div", "Dropout", "Elu", "Exp", "Floor", "HardSigmoid",
	"InstanceNormalization", "LeakyRelu", "Log", "Max", "Mean", "Min", "Mul", "Neg", "PRelu", "Reciprocal", "Relu",
	"Reshape", "Selu", "Sigmoid", "Sqrt", "Sub", "Sum", "Tanh",
}

func steps(to int, apply func(*call) error, ops ...string) (out []upgradeStep) {
	for _, op := range ops {
		out = append(out, upgradeStep{op: op, to: to, apply: apply})
	}
	return out
}

// replaced is the step from an operator to its successor, which differs in nothing else.
func replaced(to int, op, successor string) []upgradeStep {
	apply := func(c *call) error {
		c.op = successor
		return nil
	}
	return []upgradeStep{{op: op, to: to, apply: apply, becomes: successor}}
}

func sortedSteps(groups ...[]upgradeStep) []upgradeStep {
	all := slices.Concat(groups...)
	slices.SortStableFunc(all, func(a, b upgradeStep) int { return a.to - b.to })
	return all
}

// upgrade brings the node into its newest form.
func (c *call) upgrade() error {
	if c.domain == "" && c.opset > newestOpset {
		c.l.note("opset %d is newer than %d, the newest that is known here", c.opset, newestOpset)
	}
	for _, s := range upgradeSteps {
		if s.to <= c.opset || s.op != c.op || s.domain != c.domain {
			continue
		}
		if err := s.apply(c); err != nil {
			return err
		}
		if c.err != nil {
			return c.err
		}
	}
	return nil
}

// whole makes a step that needs the first input and output fail without them.
func whole(apply func(*call) error) func(*call) error {
	return func(c *call) error {
		if c.input(0) == nil || len(c.out) == 0 || c.out[0] == nil {
			return errors.New("the first input or output is missing")
		}
		return apply(c)
	}
}

// newestForm is the opset from which the form that upgrade gives is valid; 0 if it gives every form back as it is.
func newestForm(domain, op string) (to int) {
	for _, s := range upgradeSteps {
		if (s.op == op || s.becomes == op) && s.domain == domain {
			to = max(to, s.to)
		}
	}
	return to
}

// take removes an attribute and gives its value, or def without one. An attribute of another kind is kept in c.err.
func take[T any](c *call, name string, def T) T {
	for i, a := range c.attrs {
		if a.Name != name {
			continue
		}
		c.attrs = slices.Delete(slices.Clone(c.attrs), i, i+1)
		v, ok := a.Value.(T)
		if !ok {
			c.err = fmt.Errorf("attribute %s: want %T, got %T", name, def, a.Value)
			return def
		}
		return v
	}
	return def
}

func (c *call) has(name string) bool {
	return slices.ContainsFunc(c.attrs, func(a graph.Attr) bool { return a.Name == name })
}

func (c *call) set(name string, v any) { c.attrs = append(c.attrs, graph.Attr{Name: name, Value: v}) }

// input gives input i, nil if it is omitted.
func (c *call) input(i int) *graph.Value {
	if i < len(c.in) {
		return c.in[i]
	}
	return nil
}

// setInput makes v input i.
func (c *call) setInput(i int, v *graph.Value) {
	for len(c.in) <= i {
		c.in = append(c.in, nil)
	}
	c.in[i] = v
}

// rank is the rank of input i if it is known.
func (c *call) rank(i int) (int, bool) {
	v := c.input(i)
	if v == nil || v.Unranked {
		return 0, false
	}
	return len(v.Shape), true
}

func drop(attr string) func(*call) error {
	return func(c *call) error {
		c.attrs = slices.DeleteFunc(slices.Clone(c.attrs), func(a graph.Attr) bool { return a.Name == attr })
		return nil
	}
}

func rename(old, name string) func(*call) error {
	return func(c *call) error {
		c.attrs = slices.Clone(c.attrs)
		for i := range c.attrs {
			if c.attrs[i].Name == old {
				c.attrs[i].Name = name
			}
		}
		return nil
	}
}

// attrInput makes input i of a list attribute; an empty list of axes means all of them, as does no input.
func attrInput(attr string, i int) func(*call) error {
	return func(c *call) error {
		if !c.has(attr) || c.input(i) != nil {
			return nil
		}
		if attr == "scales" {
			v := take(c, attr, []float32{})
			c.setInput(i, c.constOf(attr, tensor.From(v, len(v))))
			return nil
		}
		if v := take(c, attr, []int64{}); len(v) > 0 || attr == "shape" {
			c.setInput(i, c.ints(attr, v))
		}
		return nil
	}
}

func (c *call) ints(suffix string, v []int64) *graph.Value {
	return c.constOf(suffix, tensor.From(v, len(v)))
}

// number makes a scalar constant of the same element type as v, float32 if that is not known.
func (c *call) number(suffix string, x float32, like *graph.Value) (*graph.Value, error) {
	d := tensor.Float32
	if like != nil && like.DType != tensor.Undefined {
		d = like.DType
	}
	t, err := tensor.FromFloats(d, []float32{x})
	if err != nil {
		return nil, err
	}
	return c.constOf(suffix, t), nil
}

// unsqueeze inserts dimensions of size 1: in a constant's shape, or by a node.
func (c *call) unsqueeze(v *graph.Value, axes ...int64) (*graph.Value, error) {
	if v.IsConst() && !v.Unranked {
		shape := slices.Clone(v.Const.Shape)
		for _, a := range axes {
			shape = slices.Insert(shape, int(a), 1)
		}
		return c.constOf("unsqueezed", v.Const.Reshape(shape...)), nil
	}
	return c.add("Unsqueeze", nil, v, c.ints("axes", axes))
}

// axesFrom lists the integers from..to-1.
func axesFrom(from, to int) []int64 {
	var out []int64
	for a := from; a < to; a++ {
		out = append(out, int64(a))
	}
	return out
}
