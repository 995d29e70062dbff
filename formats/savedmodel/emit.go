package savedmodel

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/internal/tensorflow"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// emitter writes one node of the IR as nodes of TensorFlow and gives the references of its outputs.
type emitter func(w *writer, n *graph.Node) ([]string, error)

// twins have the same inputs in TensorFlow, one type T and no attributes.
var twins = map[string]string{
	"Relu": "Relu", "Selu": "Selu", "Sigmoid": "Sigmoid", "Tanh": "Tanh", "Softplus": "Softplus", "Softsign": "Softsign",
	"Exp": "Exp", "Log": "Log", "Sqrt": "Sqrt", "Neg": "Neg", "Abs": "Abs", "Sign": "Sign", "Floor": "Floor", "Ceil": "Ceil",
	"Round": "Round", "Erf": "Erf", "Sin": "Sin", "Cos": "Cos", "Tan": "Tan", "Asin": "Asin", "Acos": "Acos", "Atan": "Atan",
	"Sinh": "Sinh", "Cosh": "Cosh", "Asinh": "Asinh", "Acosh": "Acosh", "Atanh": "Atanh", "Reciprocal": "Reciprocal",
	"IsNaN": "IsNan", "Softmax": "Softmax", "LogSoftmax": "LogSoftmax", "Add": "AddV2", "Sub": "Sub", "Mul": "Mul", "Pow": "Pow",
	"Greater": "Greater", "GreaterOrEqual": "GreaterEqual", "Less": "Less", "LessOrEqual": "LessEqual", "Equal": "Equal",
	"Where": "SelectV2", "Identity": "Identity", "BitwiseAnd": "BitwiseAnd", "BitwiseOr": "BitwiseOr", "BitwiseXor": "BitwiseXor",
}

// untyped are twins without T: they take bool alone.
var untyped = map[string]string{"Not": "LogicalNot", "And": "LogicalAnd", "Or": "LogicalOr"}

var emitters = map[string]emitter{
	"Elu": emitElu, "LeakyRelu": emitLeaky, "Div": emitDiv, "Min": emitChain("Minimum"), "Max": emitChain("Maximum"), "Sum": emitChain("AddV2"),
	"Clip": emitClip, "Cast": emitCast, "MatMul": emitMatMul, "Einsum": emitEinsum, "Reshape": emitReshape, "Transpose": emitTranspose,
	"Squeeze": emitSqueeze, "Unsqueeze": emitUnsqueeze, "Concat": emitConcat, "Split": emitSplit, "Slice": emitSlice, "Gather": emitGather,
	"Pad": emitPad, "Shape": emitShape, "Expand": emitExpand, "Tile": emitTile, "Dropout": emitFirst, "ReduceMean": emitReduce,
	"ReduceSum": emitReduce, "ReduceMax": emitReduce, "ReduceMin": emitReduce, "ReduceProd": emitReduce, "ArgMax": emitArg,
	"ArgMin": emitArg, "TopK": emitTopK, "CumSum": emitCumSum, "Range": emitRange, "ConstantOfShape": emitFill, "OneHot": emitOneHot,
	"Trilu": emitBand, "Size": emitSize,
}

// typeNumber is the number of an element type in TensorFlow, 0 if it has none.
func typeNumber(d tensor.DType) int32 {
	best := int32(0)
	for n, t := range dtypes {
		if t == d && (best == 0 || n < best) {
			best = n
		}
	}
	return best
}

// emit writes a node.
func (w *writer) emit(n *graph.Node) error {
	var refs []string
	var err error
	name := n.OpName()
	switch op, isTwin := twins[name]; {
	case isTwin:
		if axis, ok := softmaxAxis(n.Op); ok && axis != -1 && axis != n.In[0].Rank()-1 {
			return graph.NodeError(n, errors.New("an axis that is not the last has no twin"))
		}
		typed := n.In[0]
		if name == "Where" {
			typed = n.In[1]
		}
		refs = w.node(n, op, attrs{"T": elements(typed.DType)}, w.inputs(n)...)
	case untyped[name] != "":
		refs = w.node(n, untyped[name], attrs{}, w.inputs(n)...)
	case emitters[name] != nil:
		refs, err = emitters[name](w, n)
	default:
		o, ok := n.Op.(graph.Opaque)
		if !ok || o.Format != Name {
			err = errors.New("TensorFlow's operators do not express it")
			break
		}
		refs, err = w.raw(n, o)
	}
	if err != nil {
		return graph.NodeError(n, err)
	}
	for i, v := range n.Out {
		if v == nil {
			continue
		}
		if i >= len(refs) {
			return graph.NodeError(n, fmt.Errorf("its output %d has no twin", i))
		}
		w.refs[v] = refs[i]
	}
	return nil
}

func softmaxAxis(op graph.Op) (axis int, ok bool) {
	switch o := op.(type) {
	case ops.Softmax:
		return o.Axis, true
	case ops.LogSoftmax:
		return o.Axis, true
	}
	return 0, false
}

// raw writes a node of TensorFlow's own.
func (w *writer) raw(n *graph.Node, o graph.Opaque) ([]string, error) {
	def := &tensorflow.NodeDef{}
	if err := (tensorflow.Reader{Format: Name}).Decode([]byte(o.Raw), 0, def); err != nil {
		return nil, err
	}
	first := w.node(n, def.Op, def.Attrs, w.inputs(n)...)[0]
	refs := []string{first}
	for i := 1; i < len(n.Out); i++ {
		refs = append(refs, fmt.Sprintf("%s:%d", first, i))
	}
	return refs, nil
}

func emitFirst(w *writer, n *graph.Node) ([]string, error) {
	return w.node(n, "Identity", attrs{"T": elements(n.In[0].DType)}, w.ref(n.In[0])), nil
}

func emitElu(w *writer, n *graph.Node) ([]string, error) {
	if n.Op.(ops.Elu).Alpha != 1 {
		return nil, errors.New("an alpha other than 1 has no twin")
	}
	return w.node(n, "Elu", attrs{"T": elements(n.In[0].DType)}, w.inputs(n)...), nil
}

func emitLeaky(w *writer, n *graph.Node) ([]string, error) {
	a := &tensorflow.AttrValue{Kind: tensorflow.KindF, F: n.Op.(ops.LeakyRelu).Alpha}
	return w.node(n, "LeakyRelu", attrs{"T": elements(n.In[0].DType), "alpha": a}, w.inputs(n)...), nil
}

func emitDiv(w *writer, n *graph.Node) ([]string, error) {
	op := "RealDiv"
	if n.In[0].DType.IsInt() {
		op = "TruncateDiv"
	}
	return w.node(n, op, attrs{"T": elements(n.In[0].DType)}, w.inputs(n)...), nil
}

// emitChain writes an operator of any number of inputs as several of two.
func emitChain(op string) emitter {
	return func(w *writer, n *graph.Node) ([]string, error) {
		in := w.inputs(n)
		t := attrs{"T": elements(n.In[0].DType)}
		if len(in) == 1 {
			return w.node(n, "Identity", t, in...), nil
		}
		out := in[:1]
		for _, x := range in[1:] {
			out = w.node(n, op, t, out[0], x)
		}
		return out, nil
	}
}

func emitClip(w *writer, n *graph.Node) ([]string, error) {
	t := attrs{"T": elements(n.In[0].DType)}
	is := func(i int, x float64) bool {
		return i < len(n.In) && n.In[i].IsConst() && n.In[i].Const.Len() == 1 && tensor.Float64s(n.In[i].Const)[0] == x
	}
	if is(1, 0) && is(2, 6) {
		return w.node(n, "Relu6", t, w.ref(n.In[0])), nil
	}
	out := []string{w.ref(n.In[0])}
	for i, op := range []string{"Maximum", "Minimum"} {
		if 1+i < len(n.In) && n.In[1+i] != nil {
			out = w.node(n, op, t, out[0], w.ref(n.In[1+i]))
		}
	}
	return out, nil
}

func emitCast(w *writer, n *graph.Node) ([]string, error) {
	a := attrs{"SrcT": elements(n.In[0].DType), "DstT": elements(n.Out[0].DType)}
	if n.In[0].DType == tensor.String || n.Out[0].DType == tensor.String {
		return castText(w, n)
	}
	return w.node(n, "Cast", a, w.ref(n.In[0])), nil
}

func emitMatMul(w *writer, n *graph.Node) ([]string, error) {
	a := attrs{"T": elements(n.In[0].DType)}
	if n.In[0].Rank() < 2 || n.In[1].Rank() < 2 {
		return nil, errors.New("a vector has no twin here")
	}
	if n.In[0].Rank() == 2 && n.In[1].Rank() == 2 {
		return w.node(n, "MatMul", a, w.inputs(n)...), nil
	}
	return w.node(n, "BatchMatMulV2", a, w.inputs(n)...), nil
}

func emitEinsum(w *writer, n *graph.Node) ([]string, error) {
	a := attrs{"T": elements(n.In[0].DType), "N": number64(len(n.In)), "equation": text(n.Op.(ops.Einsum).Equation)}
	return w.node(n, "Einsum", a, w.inputs(n)...), nil
}

// emitReshape writes sizes that are copied (0) as what they are.
func emitReshape(w *writer, n *graph.Node) ([]string, error) {
	a := attrs{"T": elements(n.In[0].DType), "Tshape": elements(tensor.Int64)}
	sizes, ok := n.In[1].ConstInts()
	if !ok || n.Op.(ops.Reshape).AllowZero || !slices.Contains(sizes, 0) {
		return w.node(n, "Reshape", a, w.inputs(n)...), nil
	}
	shape, free := make([]int64, len(sizes)), slices.Contains(sizes, -1)
	for i, s := range sizes {
		shape[i] = int64(s)
		if s != 0 {
			continue
		}
		if i >= n.In[0].Rank() {
			return nil, fmt.Errorf("the sizes %v copy what its input %s does not have", sizes, n.In[0].Type)
		}
		if d, ok := n.In[0].Shape[i].Value(); ok {
			shape[i] = int64(d)
			continue
		}
		if free {
			return w.reshapeCopied(n, sizes, a), nil
		}
		shape[i], free = -1, true
	}
	return w.node(n, "Reshape", a, w.ref(n.In[0]), w.ints(shape...)), nil
}

// reshapeCopied takes sizes that are copied from the input's shape while it runs.
func (w *writer) reshapeCopied(n *graph.Node, sizes []int, a attrs) []string {
	in := w.node(n, "Shape", attrs{"T": elements(n.In[0].DType), "out_type": elements(tensor.Int64)}, w.ref(n.In[0]))[0]
	parts := make([]string, 0, len(sizes)+1)
	for i, s := range sizes {
		if s != 0 {
			parts = append(parts, w.ints(int64(s)))
			continue
		}
		parts = append(parts, w.node(n, "Slice", attrs{"T": elements(tensor.Int64), "Index": elements(tensor.Int64)}, in, w.ints(int64(i)), w.ints(1))[0])
	}
	shape := w.node(n, "ConcatV2", attrs{"T": elements(tensor.Int64), "Tidx": elements(tensor.Int32), "N": number64(len(parts))},
		append(parts, w.int32(0))...)
	return w.node(n, "Reshape", a, w.ref(n.In[0]), shape[0])
}

func emitTranspose(w *writer, n *graph.Node) ([]string, error) {
	perm := n.Op.(ops.Transpose).Perm
	if perm == nil {
		for i := n.In[0].Rank() - 1; i >= 0; i-- {
			perm = append(perm, i)
		}
	}
	return w.node(n, "Transpose", attrs{"T": elements(n.In[0].DType), "Tperm": elements(tensor.Int64)}, w.ref(n.In[0]), w.ints(wide(perm)...)), nil
}

// axesOf gives the axes of an operator's input 1, or all of input 0 if it is left out.
func axesOf(n *graph.Node, at int) ([]int, error) {
	if at >= len(n.In) || n.In[at] == nil {
		if n.In[0].Rank() < 0 {
			return nil, errors.New("the rank of its input is not known")
		}
		out := make([]int, n.In[0].Rank())
		for i := range out {
			out[i] = i
		}
		return out, nil
	}
	axes, ok := n.In[at].ConstInts()
	if !ok {
		return nil, errors.New("its axes are computed")
	}
	return axes, nil
}

func emitSqueeze(w *writer, n *graph.Node) ([]string, error) {
	a := attrs{"T": elements(n.In[0].DType)}
	if len(n.In) > 1 && n.In[1] != nil {
		axes, err := axesOf(n, 1)
		if err != nil {
			return nil, err
		}
		a["squeeze_dims"] = intList(axes...)
	}
	return w.node(n, "Squeeze", a, w.ref(n.In[0])), nil
}

func emitUnsqueeze(w *writer, n *graph.Node) ([]string, error) {
	axes, err := axesOf(n, 1)
	if err != nil {
		return nil, err
	}
	if n.In[0].Rank() < 0 {
		return nil, errors.New("the rank of its input is not known")
	}
	for i, a := range axes {
		if a < 0 {
			axes[i] += n.In[0].Rank() + len(axes)
		}
	}
	slices.Sort(axes)
	out := []string{w.ref(n.In[0])}
	for _, a := range axes {
		out = w.node(n, "ExpandDims", attrs{"T": elements(n.In[0].DType), "Tdim": elements(tensor.Int32)}, out[0], w.int32(int32(a)))
	}
	return out, nil
}

func emitConcat(w *writer, n *graph.Node) ([]string, error) {
	in := w.inputs(n)
	t := elements(n.In[0].DType)
	if len(in) == 1 {
		return w.node(n, "Identity", attrs{"T": t}, in...), nil
	}
	a := attrs{"T": t, "N": number64(len(in)), "Tidx": elements(tensor.Int32)}
	return w.node(n, "ConcatV2", a, append(in, w.int32(int32(n.Op.(ops.Concat).Axis)))...), nil
}

func emitSplit(w *writer, n *graph.Node) ([]string, error) {
	axis, t := w.int32(int32(n.Op.(ops.Split).Axis)), elements(n.In[0].DType)
	var first string
	if len(n.In) > 1 && n.In[1] != nil {
		a := attrs{"T": t, "Tlen": elements(tensor.Int64), "num_split": number64(len(n.Out))}
		first = w.node(n, "SplitV", a, w.ref(n.In[0]), w.ref(n.In[1]), axis)[0]
	} else {
		at := n.Op.(ops.Split).Axis
		if at < 0 {
			at += n.In[0].Rank()
		}
		if n.In[0].Rank() <= at || at < 0 {
			return nil, errors.New("the rank of its input is not known")
		}
		if size, ok := n.In[0].Shape[at].Value(); !ok || size%len(n.Out) != 0 {
			return nil, errors.New("its parts may differ in size")
		}
		first = w.node(n, "Split", attrs{"T": t, "num_split": number64(len(n.Out))}, axis, w.ref(n.In[0]))[0]
	}
	refs := []string{first}
	for i := 1; i < len(n.Out); i++ {
		refs = append(refs, fmt.Sprintf("%s:%d", first, i))
	}
	return refs, nil
}

// emitSlice writes known ranges as a StridedSlice over all axes.
func emitSlice(w *writer, n *graph.Node) ([]string, error) {
	rank := n.In[0].Rank()
	lists := [4][]int{}
	for i := range lists {
		if 1+i < len(n.In) && n.In[1+i] != nil {
			v, ok := n.In[1+i].ConstInts()
			if !ok {
				return nil, errors.New("its ranges are computed")
			}
			lists[i] = v
		}
	}
	if rank < 0 {
		return nil, errors.New("the rank of its input is not known")
	}
	begin, end, step := make([]int64, rank), make([]int64, rank), slices.Repeat([]int64{1}, rank)
	open := 1<<rank - 1 // axes that begin and end where the input does
	openEnd := open
	for i, from := range lists[0] {
		axis := i
		if lists[2] != nil {
			axis = lists[2][i]
		}
		if axis < 0 {
			axis += rank
		}
		begin[axis], end[axis] = clamp32(from), clamp32(lists[1][i])
		if lists[3] != nil {
			step[axis] = int64(lists[3][i])
		}
		open &^= 1 << axis
		if int64(lists[1][i]) == end[axis] { // what lies beyond is the end
			openEnd &^= 1 << axis
		}
		if int64(from) != begin[axis] {
			open |= 1 << axis
		}
	}
	a := attrs{"T": elements(n.In[0].DType), "Index": elements(tensor.Int64), "begin_mask": number64(open), "end_mask": number64(openEnd)}
	return w.node(n, "StridedSlice", a, w.ref(n.In[0]), w.ints(begin...), w.ints(end...), w.ints(step...)), nil
}

// clamp32 keeps an index within what any tensor has.
func clamp32(n int) int64 { return int64(min(max(n, -1<<31), 1<<31-1)) }

func emitGather(w *writer, n *graph.Node) ([]string, error) {
	a := attrs{"Tparams": elements(n.In[0].DType), "Tindices": elements(n.In[1].DType), "Taxis": elements(tensor.Int32)}
	index := w.ref(n.In[1])
	if list, ok := n.In[1].ConstInts(); ok && slices.ContainsFunc(list, func(i int) bool { return i < 0 }) {
		index = w.fromEnd(n, index) // counts from the end, which TensorFlow does not
	}
	return w.node(n, "GatherV2", a, w.ref(n.In[0]), index, w.int32(int32(n.Op.(ops.Gather).Axis))), nil
}
