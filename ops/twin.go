package ops

import (
	"math"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

const microsoft = "com.microsoft"

// triple lists a value with its parameters, as integer operators read them.
func triple(l graph.Linear) []*graph.Value { return []*graph.Value{l.Value, l.Scale, l.Zero} }

// elementTwin is the twin under ONNX Runtime's name whose operands and result are all of one 8-bit type.
func elementTwin(name string, op graph.Op, in []graph.Linear, out graph.Linear) (graph.Op, []*graph.Value) {
	var args []*graph.Value
	if !out.Single() {
		return nil, nil
	}
	for _, l := range in {
		if !l.Single() || l.Value.DType != out.Value.DType {
			return nil, nil
		}
		args = append(args, triple(l)...)
	}
	twin, err := graph.NewOp(microsoft, name, graph.AttrsOf(op))
	if err != nil { // of attributes that the twin does not have
		return nil, nil
	}
	return twin, append(args, out.Scale, out.Zero)
}

// activationTwin is elementTwin of one input that is not constant.
func activationTwin(name string, op graph.Op, in []graph.Linear, out graph.Linear) (graph.Op, []*graph.Value) {
	if !in[0].Activation() {
		return nil, nil
	}
	twin, args := elementTwin(name, op, in[:1], out)
	if twin != nil && out.Fixed && RequantOf(WithRequant(twin, RequantFixed)) == RequantFixed && !in[0].Same(out) {
		return nil, nil // a fixed-point average has no factor
	}
	return twin, args
}

// productTypes reports whether integer products take x, w and the result: their sides are of one type, or w alone is
// signed, as ONNX Runtime has it. out may stay float.
func productTypes(x, w, out graph.Linear) bool {
	return x.Activation() && w.EightBit() && (out.Value == nil || out.Single() && out.Value.DType == x.Value.DType) &&
		(w.Value.DType == x.Value.DType || w.Value.DType == tensor.Int8)
}

// withResult adds the result's parameters, if it is an integer.
func withResult(args []*graph.Value, out graph.Linear) []*graph.Value {
	if out.Value == nil {
		return args
	}
	return append(args, out.Scale, out.Zero)
}

// sumBias is the bias of n, input 2, as an int32 constant at the scale of the sums of inputs 0 and 1; nil if it is no
// constant. One that is float or stored in another scale is converted, which moves it by at most half a step of the sums;
// fixed point adds its integers as they are.
func sumBias(n *graph.Node, in []graph.Linear, out graph.Linear) *graph.Value {
	x, w, b := in[0], in[1], in[2]
	if v := n.In[2]; v.IsConst() && v.DType == tensor.Float32 {
		return roundedBias(n, x, w)
	}
	if b.Value == nil || b.Value.DType != tensor.Int32 || !b.Value.IsConst() ||
		slices.ContainsFunc(tensor.Ints(b.Zero.Const), func(z int64) bool { return z != 0 }) {
		return nil
	}
	sx, sw, sb := tensor.Floats(x.Scale.Const)[0], tensor.Floats(w.Scale.Const), tensor.Floats(b.Scale.Const)
	old := tensor.View[int32](b.Value.Const)
	if n := len(sw); n != 1 && n != len(old) || len(sb) != 1 && len(sb) != len(old) {
		return nil
	}
	moved, changed := make([]int32, len(old)), false
	for i, e := range old {
		from, to := sb[i%len(sb)], sx*sw[i%len(sw)]
		if moved[i] = e; out.Fixed || from == to {
			continue
		}
		r := math.RoundToEven(float64(e) * float64(from) / float64(to))
		if !(math.Abs(r) <= math.MaxInt32) {
			return nil
		}
		moved[i] = int32(r)
		changed = changed || moved[i] != e
	}
	if !changed {
		return b.Value
	}
	return graph.NewConst(b.Value.Name, tensor.From(moved, len(moved)))
}

// roundedBias is the float bias of n, one element an output channel, in steps of the sums of x and w.
func roundedBias(n *graph.Node, x, w graph.Linear) *graph.Value {
	old, sw := tensor.Floats(n.In[2].Const), tensor.Floats(w.Scale.Const)
	rows := n.Op.(Multiplier).Products(w.Value.Const.Shape).Rows
	if len(n.In[2].Const.Shape) != 1 || len(old) != rows || len(sw) != 1 && len(sw) != rows {
		return nil
	}
	sums := make([]int32, rows)
	for i, f := range old {
		r := math.RoundToEven(float64(f) / float64(tensor.Floats(x.Scale.Const)[0]*sw[i%len(sw)]))
		if !(math.Abs(r) <= math.MaxInt32) {
			return nil
		}
		sums[i] = int32(r)
	}
	return graph.NewConst(n.In[2].Name, tensor.From(sums, rows))
}
