package savedmodel

import (
	"errors"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

func emitPad(w *writer, n *graph.Node) ([]string, error) {
	pads, ok := n.In[1].ConstInts()
	rank := n.In[0].Rank()
	if !ok || rank < 0 || len(n.In) > 3 && n.In[3] != nil {
		return nil, errors.New("its pads are computed, or for some axes alone")
	}
	table := tensor.New(tensor.Int64, rank, 2)
	v := tensor.View[int64](table)
	for i := range rank {
		v[2*i], v[2*i+1] = int64(pads[i]), int64(pads[rank+i])
		if v[2*i] < 0 || v[2*i+1] < 0 {
			return nil, errors.New("pads below zero have no twin")
		}
	}
	a := attrs{"T": elements(n.In[0].DType), "Tpaddings": elements(tensor.Int64)}
	in := []string{w.ref(n.In[0]), w.constant("paddings", table)}
	switch mode := n.Op.(ops.Pad).Mode; {
	case mode == "reflect":
		a["mode"] = text("REFLECT")
		return w.node(n, "MirrorPad", a, in...), nil
	case mode != "constant" && mode != "":
		return nil, errors.New("the mode " + mode + " has no twin")
	case len(n.In) > 2 && n.In[2] != nil:
		return w.node(n, "PadV2", a, append(in, w.ref(n.In[2]))...), nil
	}
	return w.node(n, "Pad", a, in...), nil
}

func emitShape(w *writer, n *graph.Node) ([]string, error) {
	o := n.Op.(ops.Shape)
	out := w.node(n, "Shape", attrs{"T": elements(n.In[0].DType), "out_type": elements(tensor.Int64)}, w.ref(n.In[0]))
	if o.Start == 0 && o.End == nil {
		return out, nil
	}
	end, mask := int64(0), 1
	if o.End != nil {
		end, mask = int64(*o.End), 0
	}
	a := attrs{"T": elements(tensor.Int64), "Index": elements(tensor.Int64), "begin_mask": number64(0), "end_mask": number64(mask)}
	return w.node(n, "StridedSlice", a, out[0], w.ints(int64(o.Start)), w.ints(end), w.ints(1)), nil
}

// fromEnd takes indices modulo the size of the axis that they are for.
func (w *writer) fromEnd(n *graph.Node, index string) string {
	d := n.In[1].DType
	shape := w.node(n, "Shape", attrs{"T": elements(n.In[0].DType), "out_type": elements(d)}, w.ref(n.In[0]))
	at := int64(n.Op.(ops.Gather).Axis)
	begin, end, mask := at, at+1, 0
	if at == -1 {
		mask = 1
	}
	a := attrs{
		"T": elements(d), "Index": elements(tensor.Int64), "end_mask": number64(mask), "shrink_axis_mask": number64(1),
	}
	size := w.node(n, "StridedSlice", a, shape[0], w.ints(begin), w.ints(end), w.ints(1))
	return w.node(n, "FloorMod", attrs{"T": elements(d)}, index, size[0])[0]
}

func emitSize(w *writer, n *graph.Node) ([]string, error) {
	return w.node(n, "Size", attrs{"T": elements(n.In[0].DType), "out_type": elements(tensor.Int64)}, w.ref(n.In[0])), nil
}

// emitBand keeps what lies above or below a diagonal.
func emitBand(w *writer, n *graph.Node) ([]string, error) {
	k := 0
	if len(n.In) > 1 && n.In[1] != nil {
		list, ok := n.In[1].ConstInts()
		if !ok || len(list) != 1 {
			return nil, errors.New("its diagonal is computed")
		}
		k = list[0]
	}
	lower, upper := int64(-1), int64(k)
	if n.Op.(ops.Trilu).Upper {
		lower, upper = int64(-k), -1
	}
	if lower < -1 || upper < -1 || lower == -1 && upper == -1 {
		return nil, errors.New("a diagonal on the other side of the main one has no twin")
	}
	a := attrs{"T": elements(n.In[0].DType), "Tindex": elements(tensor.Int64)}
	return w.node(n, "MatrixBandPart", a, w.ref(n.In[0]), w.constant("lower", tensor.Scalar(lower)), w.constant("upper", tensor.Scalar(upper))), nil
}

// emitExpand multiplies by ones: both operands may be stretched, which BroadcastTo does not do.
func emitExpand(w *writer, n *graph.Node) ([]string, error) {
	d := n.In[0].DType
	if d == tensor.Bool { // "or" with false
		no := w.node(n, "Fill", attrs{"T": elements(d), "index_type": elements(n.In[1].DType)}, w.ref(n.In[1]), w.constant("no", tensor.New(d)))
		return w.node(n, "LogicalOr", attrs{}, w.ref(n.In[0]), no[0]), nil
	}
	if d == tensor.String && n.In[0].Rank() == 0 {
		return w.node(n, "Fill", attrs{"T": elements(d), "index_type": elements(n.In[1].DType)}, w.ref(n.In[1]), w.ref(n.In[0])), nil
	}
	if !d.IsFloat() && !d.IsInt() {
		return nil, errors.New("stretching " + d.String() + " has no twin")
	}
	one := tensor.New(d)
	if err := tensor.SetFloat64s(one, []float64{1}); err != nil {
		return nil, err
	}
	ones := w.node(n, "Fill", attrs{"T": elements(d), "index_type": elements(n.In[1].DType)}, w.ref(n.In[1]), w.constant("one", one))
	return w.node(n, "Mul", attrs{"T": elements(d)}, w.ref(n.In[0]), ones[0]), nil
}

func emitTile(w *writer, n *graph.Node) ([]string, error) {
	return w.node(n, "Tile", attrs{"T": elements(n.In[0].DType), "Tmultiples": elements(tensor.Int64)}, w.inputs(n)...), nil
}

func emitReduce(w *writer, n *graph.Node) ([]string, error) {
	attr := map[string]any{}
	for _, a := range graph.AttrsOf(n.Op) {
		attr[a.Name] = a.Value
	}
	axes, err := axesOf(n, 1)
	if err != nil {
		return nil, err
	}
	if len(axes) == 0 && attr["noop_with_empty_axes"] != int64(1) {
		if axes, err = axesOf(&graph.Node{In: n.In[:1]}, 1); err != nil {
			return nil, err
		}
	}
	op := map[string]string{"ReduceMean": "Mean", "ReduceSum": "Sum", "ReduceMax": "Max", "ReduceMin": "Min", "ReduceProd": "Prod"}[n.OpName()]
	a := attrs{"T": elements(n.In[0].DType), "Tidx": elements(tensor.Int64), "keep_dims": truth(attr["keepdims"] != int64(0))}
	return w.node(n, op, a, w.ref(n.In[0]), w.ints(wide(axes)...)), nil
}

func emitArg(w *writer, n *graph.Node) ([]string, error) {
	axis, keep := int64(0), true
	for _, a := range graph.AttrsOf(n.Op) {
		switch a.Name {
		case "axis":
			axis = a.Value.(int64)
		case "keepdims":
			keep = a.Value != int64(0)
		default:
			return nil, errors.New("its attribute " + a.Name + " has no twin")
		}
	}
	a := attrs{"T": elements(n.In[0].DType), "Tidx": elements(tensor.Int32), "output_type": elements(tensor.Int64)}
	out := w.node(n, n.OpName(), a, w.ref(n.In[0]), w.int32(int32(axis)))
	if keep {
		if axis < 0 {
			axis += int64(n.In[0].Rank())
		}
		out = w.node(n, "ExpandDims", attrs{"T": elements(tensor.Int64), "Tdim": elements(tensor.Int32)}, out[0], w.int32(int32(axis)))
	}
	return out, nil
}

func emitTopK(w *writer, n *graph.Node) ([]string, error) {
	o := n.Op.(ops.TopK)
	k, ok := n.In[1].ConstInts()
	if !ok || len(k) != 1 || !o.Largest || o.Axis != -1 && o.Axis != n.In[0].Rank()-1 {
		return nil, errors.New("only a known number of the greatest along the last axis has a twin")
	}
	v := w.node(n, "TopKV2", attrs{"T": elements(n.In[0].DType), "sorted": truth(true)}, w.ref(n.In[0]), w.int32(int32(k[0])))
	i := w.node(n, "Cast", attrs{"SrcT": elements(tensor.Int32), "DstT": elements(tensor.Int64)}, v[0]+":1")
	return []string{v[0], i[0]}, nil
}

func emitCumSum(w *writer, n *graph.Node) ([]string, error) {
	o := n.Op.(ops.CumSum)
	a := attrs{"T": elements(n.In[0].DType), "Tidx": elements(n.In[1].DType), "exclusive": truth(o.Exclusive), "reverse": truth(o.Reverse)}
	return w.node(n, "Cumsum", a, w.inputs(n)...), nil
}

func emitRange(w *writer, n *graph.Node) ([]string, error) {
	return w.node(n, "Range", attrs{"Tidx": elements(n.In[0].DType)}, w.inputs(n)...), nil
}

func emitFill(w *writer, n *graph.Node) ([]string, error) {
	t := n.Op.(ops.ConstantOfShape).Value
	if t == nil {
		t = tensor.New(tensor.Float32, 1)
	}
	a := attrs{"T": elements(t.DType), "index_type": elements(tensor.Int64)}
	return w.node(n, "Fill", a, w.ref(n.In[0]), w.constant("value", t.Reshape())), nil
}

func emitOneHot(w *writer, n *graph.Node) ([]string, error) {
	var depth string
	if known, ok := n.In[1].ConstInts(); ok && len(known) == 1 {
		depth = w.int32(int32(known[0]))
	} else {
		narrow := w.node(n, "Cast", attrs{"SrcT": elements(n.In[1].DType), "DstT": elements(tensor.Int32)}, w.ref(n.In[1]))
		none := w.constant("scalar", tensor.New(tensor.Int64, 0))
		depth = w.node(n, "Reshape", attrs{"T": elements(tensor.Int32), "Tshape": elements(tensor.Int64)}, narrow[0], none)[0]
	}
	size := n.In[2].DType.Bits() / 8
	pick := func(i int) string { // of off and on
		if !n.In[2].IsConst() {
			a := attrs{"Tparams": elements(n.In[2].DType), "Tindices": elements(tensor.Int32), "Taxis": elements(tensor.Int32)}
			return w.node(n, "GatherV2", a, w.ref(n.In[2]), w.int32(int32(i)), w.int32(0))[0]
		}
		t := &tensor.Tensor{DType: n.In[2].DType, Shape: []int{}, Data: n.In[2].Const.Data[i*size : (i+1)*size]}
		return w.constant("value", t)
	}
	a := attrs{"T": elements(n.In[2].DType), "TI": elements(n.In[0].DType), "axis": number64(n.Op.(ops.OneHot).Axis)}
	return w.node(n, "OneHot", a, w.ref(n.In[0]), depth, pick(1), pick(0)), nil
}
