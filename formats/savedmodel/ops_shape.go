package savedmodel

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	for name, f := range map[string]converter{
		"Shape": shapeOp, "ShapeN": shapeOp, "Size": sizeOp, "Rank": rankOp, "Reshape": reshape, "Squeeze": squeeze,
		"ExpandDims": expandDims, "Transpose": transpose, "ConcatV2": concat, "Concat": concat, "Pack": pack, "Unpack": unpack,
		"Split": split, "SplitV": splitV, "Slice": sliceOp, "StridedSlice": stridedSlice, "Pad": pad, "PadV2": pad,
		"MirrorPad": pad, "Tile": tile, "GatherV2": gather, "Gather": gather, "ResourceGather": gather, "OneHot": oneHot,
		"Range": rangeOp, "Fill": fill, "ReverseV2": reverse, "Where": where, "TopKV2": topK, "TopK": topK, "ArgMax": argMax,
		"ArgMin": argMax, "Cumsum": cumulative, "Cumprod": cumulative, "BroadcastTo": broadcastTo, "ScatterNd": scatterND,
	} {
		convertOps(f, name)
	}
	for _, name := range []string{"Mean", "Sum", "Max", "Min", "Prod", "All", "Any"} {
		convertOps(reduce, name)
	}
}

// wide gives an input as int64, which is what ONNX wants of shapes and axes.
func (c *call) wide(i int) (*graph.Value, error) {
	if t, err := c.constant(i); err == nil && t.IsInt() {
		return c.b.constant(tensor.From(slices.Clone(tensor.Ints(t)), t.Shape...), ""), nil
	}
	v, err := c.value(i)
	if err != nil {
		return nil, err
	}
	return c.cast(v, tensor.Int64), nil
}

// wideList is wide for an input that may have rank 0 where a list of one is meant.
func (c *call) wideList(i int) (*graph.Value, error) {
	v, err := c.wide(i)
	if err == nil && v.Rank() == 0 {
		v = c.add(ops.Reshape{}, v, c.b.ints(1))
	}
	return v, err
}

func shapeOp(c *call) ([]value, error) {
	in, err := c.values(0, len(c.in))
	if err != nil {
		return nil, err
	}
	var out []value
	for _, v := range in {
		out = append(out, one(c.narrow(c.add(ops.Shape{}, v), "out_type"))...)
	}
	return out, nil
}

// narrow casts an int64 to the type that an attribute names, int32 if it names none.
func (c *call) narrow(v *graph.Value, attr string) *graph.Value {
	d := c.typeAttr(attr)
	if d == tensor.Undefined {
		d = tensor.Int32
	}
	return c.cast(v, d)
}

func sizeOp(c *call) ([]value, error) {
	v, err := c.value(0)
	if err != nil {
		return nil, err
	}
	return one(c.narrow(c.add(ops.Size{}, v), "out_type")), nil
}

func rankOp(c *call) ([]value, error) {
	v, err := c.value(0)
	if err != nil {
		return nil, err
	}
	if r := v.Rank(); r >= 0 {
		return []value{{t: tensor.Scalar(int32(r))}}, nil
	}
	return one(c.cast(c.add(ops.Size{}, c.add(ops.Shape{}, v)), tensor.Int32)), nil
}

func reshape(c *call) ([]value, error) {
	v, shape, err := c.valueAndList(0, 1)
	if err != nil {
		return nil, err
	}
	sizes, known := shape.ConstInts()
	return one(c.add(ops.Reshape{AllowZero: known && slices.Contains(sizes, 0)}, v, shape)), nil
}

func squeeze(c *call) ([]value, error) {
	v, err := c.value(0)
	if err != nil {
		return nil, err
	}
	axes := c.intsAttr("squeeze_dims")
	if axes == nil {
		axes = c.intsAttr("axis")
	}
	if len(axes) == 0 {
		return one(c.add(ops.Squeeze{}, v)), nil
	}
	return one(c.add(ops.Squeeze{}, v, c.b.ints(wide(axes)...))), nil
}

func wide(list []int) []int64 {
	out := make([]int64, len(list))
	for i, x := range list {
		out[i] = int64(x)
	}
	return out
}

func expandDims(c *call) ([]value, error) {
	v, err := c.value(0)
	if err != nil {
		return nil, err
	}
	axis, err := c.axis(1)
	if err != nil {
		return nil, err
	}
	return one(c.add(ops.Unsqueeze{}, v, c.b.ints(int64(axis)))), nil
}

// axis gives an input that is one known number.
func (c *call) axis(i int) (int, error) {
	list, err := c.ints(i)
	if err != nil {
		return 0, err
	}
	if len(list) != 1 {
		return 0, fmt.Errorf("input %d is %d numbers, want one", i, len(list))
	}
	return list[0], nil
}

func transpose(c *call) ([]value, error) {
	v, perm, err := c.valueAndInts(0, 1)
	if err != nil {
		return nil, err
	}
	for i, p := range perm {
		if p < 0 {
			perm[i] += len(perm)
		}
	}
	return one(c.add(ops.Transpose{Perm: perm}, v)), nil
}

func concat(c *call) ([]value, error) {
	n := len(c.in)
	if n < 2 {
		return nil, errors.New("there is nothing to concatenate")
	}
	axis, first, last := n-1, 0, n-1
	if c.n.Op == "Concat" {
		axis, first, last = 0, 1, n
	}
	at, err := c.axis(axis)
	if err != nil {
		return nil, err
	}
	in, err := c.values(first, last)
	if err != nil {
		return nil, err
	}
	if len(in) == 1 {
		return one(in[0]), nil
	}
	return one(c.add(ops.Concat{Axis: at}, in...)), nil
}

func pack(c *call) ([]value, error) {
	in, err := c.values(0, len(c.in))
	if err != nil {
		return nil, err
	}
	axis := c.intAttr("axis", 0)
	at := c.b.ints(int64(axis))
	for i, v := range in {
		in[i] = c.add(ops.Unsqueeze{}, v, at)
	}
	if len(in) == 1 {
		return one(in[0]), nil
	}
	return one(c.add(ops.Concat{Axis: axis}, in...)), nil
}

func unpack(c *call) ([]value, error) {
	v, err := c.value(0)
	if err != nil {
		return nil, err
	}
	n, axis := c.intAttr("num", 0), c.intAttr("axis", 0)
	if n < 1 || n > len(c.s.l.def.Nodes)*64+4096 {
		return nil, fmt.Errorf("unpacking %d parts", n)
	}
	var out []value
	for i := range n { // an index each: shape arithmetic goes through Gather
		out = append(out, one(c.add(ops.Gather{Axis: axis}, v, c.b.constant(tensor.Scalar(int64(i)), "")))...)
	}
	return out, nil
}

func split(c *call) ([]value, error) {
	axis, err := c.axis(0)
	if err != nil {
		return nil, err
	}
	v, err := c.value(1)
	if err != nil {
		return nil, err
	}
	n := c.intAttr("num_split", 1)
	if n < 1 || n > len(c.s.l.def.Nodes)*64+4096 {
		return nil, fmt.Errorf("splitting into %d parts", n)
	}
	return several(c.addN(n, ops.Split{Axis: axis, NumOutputs: n}, v)), nil
}

func splitV(c *call) ([]value, error) {
	v, sizes, err := c.valueAndInts(0, 1)
	if err != nil {
		return nil, err
	}
	axis, err := c.axis(2)
	if err != nil {
		return nil, err
	}
	if i := slices.Index(sizes, -1); i >= 0 {
		at := axis
		if at < 0 {
			at += v.Rank()
		}
		if v.Rank() < 0 || at < 0 || at >= v.Rank() {
			return nil, errors.New("the size of a part is not known")
		}
		total, ok := v.Shape[at].Value()
		if !ok {
			return nil, errors.New("the size of a part is not known")
		}
		for j, s := range sizes {
			if j != i {
				total -= s
			}
		}
		sizes[i] = total
	}
	return several(c.addN(len(sizes), ops.Split{Axis: axis}, v, c.b.ints(wide(sizes)...))), nil
}

func tile(c *call) ([]value, error) {
	v, times, err := c.valueAndList(0, 1)
	if err != nil {
		return nil, err
	}
	return one(c.add(ops.Tile{}, v, times)), nil
}

func gather(c *call) ([]value, error) {
	in, err := c.values(0, 2)
	if err != nil {
		return nil, err
	}
	axis, batch := 0, c.intAttr("batch_dims", 0)
	if c.n.Op == "GatherV2" {
		if axis, err = c.axis(2); err != nil {
			return nil, err
		}
	}
	if batch == 0 {
		return one(c.add(ops.Gather{Axis: axis}, in...)), nil
	}
	if batch < 0 {
		batch += in[1].Rank()
	}
	if in[1].Rank() < 0 || batch != axis {
		return nil, fmt.Errorf("gathering with batch_dims %d along axis %d is not supported", batch, axis)
	}
	index := c.add(ops.Unsqueeze{}, c.cast(in[1], tensor.Int64), c.b.ints(-1))
	return one(c.add(ops.GatherND{BatchDims: batch}, in[0], index)), nil
}

func oneHot(c *call) ([]value, error) {
	in, err := c.values(0, 4)
	if err != nil {
		return nil, err
	}
	depth, err := c.wide(1)
	if err != nil {
		return nil, err
	}
	// TensorFlow's indices below zero choose nothing, ONNX's count from the end.
	index := c.cast(in[0], tensor.Int64)
	zero := c.b.constant(tensor.Scalar(int64(0)), "")
	index = c.add(ops.Where{}, c.add(ops.Less{}, index, zero), depth, index)
	both := make([]*graph.Value, 2)
	for i, v := range []*graph.Value{in[3], in[2]} {
		both[i] = c.add(ops.Reshape{}, v, c.b.ints(1))
	}
	return one(c.add(ops.OneHot{Axis: c.intAttr("axis", -1)}, index, depth, c.add(ops.Concat{}, both...))), nil
}

func rangeOp(c *call) ([]value, error) {
	in, err := c.values(0, 3)
	if err != nil {
		return nil, err
	}
	return one(c.add(ops.Range{StashType: 1}, in...)), nil
}

func fill(c *call) ([]value, error) {
	v, shape, err := c.valueAndList(1, 0)
	if err != nil {
		return nil, err
	}
	return one(c.add(ops.Expand{}, v, shape)), nil
}

func broadcastTo(c *call) ([]value, error) {
	v, shape, err := c.valueAndList(0, 1)
	if err != nil {
		return nil, err
	}
	return one(c.add(ops.Expand{}, v, shape)), nil
}

func reverse(c *call) ([]value, error) {
	v, axes, err := c.valueAndInts(0, 1)
	if err != nil {
		return nil, err
	}
	if len(axes) == 0 {
		return one(v), nil
	}
	fill := func(x int64) *graph.Value { return c.b.ints(slices.Repeat([]int64{x}, len(axes))...) }
	const least = -1 << 62
	return one(c.add(ops.Slice{}, v, fill(-1), fill(least), c.b.ints(wide(axes)...), fill(-1))), nil
}

func where(c *call) ([]value, error) {
	v, err := c.value(0)
	if err != nil {
		return nil, err
	}
	if v.DType != tensor.Bool {
		v = c.add(ops.Not{}, c.add(ops.Equal{}, v, c.number(v, 0)))
	}
	return one(c.add(ops.Transpose{Perm: []int{1, 0}}, c.add(ops.NonZero{}, v))), nil
}

func topK(c *call) ([]value, error) {
	v, err := c.value(0)
	if err != nil {
		return nil, err
	}
	var k *graph.Value
	if c.n.Op == "TopK" {
		k = c.b.ints(int64(c.intAttr("k", 1)))
	} else if k, err = c.wideList(1); err != nil {
		return nil, err
	}
	out := c.addN(2, ops.TopK{Axis: -1, Largest: true, Sorted: c.boolAttr("sorted", true)}, v, k)
	return several([]*graph.Value{out[0], c.narrow(out[1], "index_type")}), nil
}

func argMax(c *call) ([]value, error) {
	v, err := c.value(0)
	if err != nil {
		return nil, err
	}
	axis, err := c.axis(1)
	if err != nil {
		return nil, err
	}
	name := "ArgMax"
	if c.n.Op == "ArgMin" {
		name = "ArgMin"
	}
	op, err := graph.NewOp("", name, []graph.Attr{{Name: "axis", Value: int64(axis)}, {Name: "keepdims", Value: int64(0)}})
	if err != nil {
		return nil, err
	}
	out := c.add(op, v)
	if d := c.typeAttr("output_type"); d != tensor.Undefined {
		out = c.cast(out, d)
	}
	return one(out), nil
}

func cumulative(c *call) ([]value, error) {
	v, err := c.value(0)
	if err != nil {
		return nil, err
	}
	axis, err := c.wide(1)
	if err != nil {
		return nil, err
	}
	exclusive, back := c.boolAttr("exclusive", false), c.boolAttr("reverse", false)
	if c.n.Op == "Cumprod" {
		return one(c.add(ops.CumProd{Exclusive: exclusive, Reverse: back}, v, axis)), nil
	}
	return one(c.add(ops.CumSum{Exclusive: exclusive, Reverse: back}, v, axis)), nil
}

func scatterND(c *call) ([]value, error) {
	in, err := c.values(0, 2)
	if err != nil {
		return nil, err
	}
	shape, err := c.wideList(2)
	if err != nil {
		return nil, err
	}
	zeros := c.add(ops.Expand{}, c.number(in[1], 0), shape)
	return one(c.add(ops.ScatterND{Reduction: "add"}, zeros, c.cast(in[0], tensor.Int64), in[1])), nil
}

var reducers = map[string]string{
	"Mean": "ReduceMean", "Sum": "ReduceSum", "Max": "ReduceMax", "Min": "ReduceMin", "Prod": "ReduceProd", "All": "ReduceMin", "Any": "ReduceMax",
}

func reduce(c *call) ([]value, error) {
	v, err := c.value(0)
	if err != nil {
		return nil, err
	}
	keep := int64(0)
	if c.boolAttr("keep_dims", false) {
		keep = 1
	}
	axes, err := c.ints(1)
	attrs := []graph.Attr{{Name: "keepdims", Value: keep}}
	if len(axes) == 0 { // none, which is not all
		attrs = append(attrs, graph.Attr{Name: "noop_with_empty_axes", Value: int64(1)})
	}
	op, err2 := graph.NewOp("", reducers[c.n.Op], attrs)
	if err = errors.Join(err, err2); err != nil {
		return nil, err
	}
	d := v.DType
	if d == tensor.Bool {
		v = c.cast(v, tensor.Uint8)
	}
	return one(c.cast(c.add(op, v, c.b.ints(wide(axes)...)), d)), nil
}
