package savedmodel

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/internal/tensorflow"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// lowering rewrites a graph into operators that TensorFlow has one for one. Those that know images become TensorFlow's own,
// with channels last, between Transposes, which cancel where layers follow each other.
type lowering struct {
	g    *graph.Graph
	b    *graph.Builder
	n    *graph.Node // being rewritten
	errs []error
}

// rewriter gives what a node becomes; nil: it stays.
type rewriter func(l *lowering) (*graph.Value, error)

var rewriters = map[string]rewriter{
	"Conv": (*lowering).conv, "ConvTranspose": (*lowering).convTranspose, "MaxPool": (*lowering).pool, "AveragePool": (*lowering).pool,
	"GlobalAveragePool": (*lowering).globalPool, "GlobalMaxPool": (*lowering).globalPool, "Resize": (*lowering).resize,
	"DepthToSpace": (*lowering).depthSpace, "SpaceToDepth": (*lowering).depthSpace, "BatchNormalization": (*lowering).batchNorm,
	"LayerNormalization": (*lowering).layerNorm, "QuantizeLinear": (*lowering).quantize, "DequantizeLinear": (*lowering).dequantize,
	"Gemm": (*lowering).gemm, "Flatten": (*lowering).flatten, "HardSwish": (*lowering).hardSwish, "HardSigmoid": (*lowering).hardSigmoid,
	"PRelu": (*lowering).prelu, "Gelu": (*lowering).gelu, "Softmax": (*lowering).softmax,
}

// lower rewrites g; the errors name the nodes that TensorFlow has nothing for.
func lower(g *graph.Graph, rewriters map[string]rewriter) error {
	l := &lowering{g: g, b: graph.NewBuilder(g)}
	if err := g.Sort(); err != nil {
		return err
	}
	drop := map[*graph.Node]bool{}
	for _, n := range slices.Clone(g.Nodes) {
		f := rewriters[n.OpName()]
		if f == nil {
			continue
		}
		l.n = n
		v, err := f(l)
		if l.b.Err != nil {
			err, l.b.Err = errors.Join(err, l.b.Err), nil
		}
		if err != nil {
			l.errs = append(l.errs, graph.NodeError(n, err))
		} else if v != nil {
			g.Replace(n.Out[0], v)
			drop[n] = true
		}
	}
	g.Remove(func(n *graph.Node) bool { return drop[n] })
	if l.errs != nil {
		return errors.Join(l.errs...)
	}
	return g.Infer()
}

func (l *lowering) add(op graph.Op, in ...*graph.Value) *graph.Value {
	return l.b.Add(l.n.Name, op, in...)
}

func (l *lowering) ints(v ...int64) *graph.Value { return l.b.Const("const", tensor.From(v, len(v))) }

// number is a constant of rank 0 in an element type.
func (l *lowering) number(d tensor.DType, x float64) *graph.Value {
	t := tensor.New(d)
	if err := tensor.SetFloat64s(t, []float64{x}); err != nil && l.b.Err == nil {
		l.b.Err = err
	}
	return l.b.Const("const", t)
}

// attrs are the attributes of a TensorFlow node.
type attrs map[string]*tensorflow.AttrValue

func intList(v ...int) *tensorflow.AttrValue {
	return &tensorflow.AttrValue{Kind: tensorflow.KindList, List: &tensorflow.AttrList{I: wide(v)}}
}

func text(s string) *tensorflow.AttrValue {
	return &tensorflow.AttrValue{Kind: tensorflow.KindS, S: []byte(s)}
}

func truth(b bool) *tensorflow.AttrValue { return &tensorflow.AttrValue{Kind: tensorflow.KindB, B: b} }

func number64(n int) *tensorflow.AttrValue {
	return &tensorflow.AttrValue{Kind: tensorflow.KindI, I: int64(n)}
}

func elements(d tensor.DType) *tensorflow.AttrValue {
	return &tensorflow.AttrValue{Kind: tensorflow.KindType, Type: typeNumber(d)}
}

// native adds a node of TensorFlow's own, whose result has a known type.
func (l *lowering) native(op string, a attrs, out graph.Type, in ...*graph.Value) *graph.Value {
	raw := tensorflow.Encode(&tensorflow.NodeDef{Op: op, Attrs: a})
	return l.add(graph.Opaque{Format: Name, Domain: "tensorflow", Type: op, Raw: raw, Out: []graph.Type{out}}, in...)
}

// channelsLast turns an image.
func (l *lowering) channelsLast(v *graph.Value) (*graph.Value, error) {
	if v.Rank() != 4 {
		return nil, fmt.Errorf("its input is %s, want four axes", v.Type)
	}
	if n, ok := v.Shape[1].Value(); ok && v.Shape[2].Is(1) && v.Shape[3].Is(1) { // no element moves
		return l.add(ops.Reshape{}, v, l.ints(0, 1, 1, int64(n))), nil
	}
	return l.add(ops.Transpose{Perm: toNHWC}, v), nil
}

// unmoved makes a Reshape of a Transpose that only moves axes of size 1.
func (l *lowering) unmoved() (*graph.Value, error) {
	perm, x := l.n.Op.(ops.Transpose).Perm, l.n.In[0]
	last := -1
	shape := make([]int64, len(perm))
	for i, p := range perm {
		if p >= x.Rank() {
			return nil, nil
		}
		n, ok := x.Shape[p].Value()
		if !ok && (i != 0 || p != 0) {
			return nil, nil
		}
		if shape[i] = int64(n); !ok {
			shape[i] = 0 // copies the size
		}
		if ok && n == 1 {
			continue
		}
		if p < last || n == 0 && ok {
			return nil, nil
		}
		last = p
	}
	return l.add(ops.Reshape{}, x, l.ints(shape...)), nil
}

func (l *lowering) channelsFirst(v *graph.Value) *graph.Value {
	if n, ok := v.Shape[3].Value(); ok && v.Shape[1].Is(1) && v.Shape[2].Is(1) {
		return l.add(ops.Reshape{}, v, l.ints(0, int64(n), 1, 1))
	}
	return l.add(ops.Transpose{Perm: toNCHW}, v)
}

// turnedType is the type of an image with channels last.
func turnedType(t graph.Type) graph.Type {
	return graph.Of(t.DType, t.Shape[0], t.Shape[2], t.Shape[3], t.Shape[1])
}

// window is what convolutions and poolings have in common.
type window struct {
	auto                             string
	kernel, strides, dilations, pads []int
}

func (w *window) complete() {
	fill := func(list *[]int, n, x int) {
		if len(*list) == 0 {
			*list = slices.Repeat([]int{x}, n)
		}
	}
	fill(&w.strides, 2, 1)
	fill(&w.dilations, 2, 1)
	fill(&w.pads, 4, 0)
}

// row makes what goes along one axis go along the second of two.
func (w *window) row() {
	w.kernel = []int{1, w.kernel[0]}
	if len(w.strides) == 1 {
		w.strides = []int{1, w.strides[0]}
	}
	if len(w.dilations) == 1 {
		w.dilations = []int{1, w.dilations[0]}
	}
	if len(w.pads) == 2 {
		w.pads = []int{0, w.pads[0], 0, w.pads[1]}
	}
}

// same reports whether the pads are those of TensorFlow's SAME for an image.
func (w *window) same(x graph.Type) bool {
	switch w.auto {
	case "SAME_UPPER":
		return true
	case "", "NOTSET":
	default:
		return false
	}
	for i := range 2 {
		reach := (w.kernel[i]-1)*w.dilations[i] + 1
		total := reach - 1
		if w.strides[i] > 1 {
			n, ok := x.Shape[2+i].Value()
			if !ok {
				return false
			}
			total = max((ceilDiv(n, w.strides[i])-1)*w.strides[i]+reach-n, 0)
		}
		if w.pads[i] != total/2 || w.pads[2+i] != total-total/2 {
			return false
		}
	}
	return true
}

// padded gives the name of a padding, and the image with what that does not say; fill stands in what is added.
func (l *lowering) padded(x *graph.Value, w window, fill float64) (*graph.Value, string, error) {
	if x.Rank() != 4 {
		return nil, "", fmt.Errorf("its input is %s, want four axes", x.Type)
	}
	if w.same(x.Type) && (w.auto == "SAME_UPPER" || slices.ContainsFunc(w.pads, func(n int) bool { return n != 0 })) {
		return x, "SAME", nil
	}
	if w.auto != "" && w.auto != "NOTSET" && w.auto != "VALID" {
		return nil, "", fmt.Errorf("auto_pad %s has no twin", w.auto)
	}
	if w.auto == "VALID" || !slices.ContainsFunc(w.pads, func(n int) bool { return n != 0 }) {
		return x, "VALID", nil
	}
	p := wide(w.pads)
	pads := l.ints(0, 0, p[0], p[1], 0, 0, p[2], p[3])
	return l.add(ops.Pad{Mode: "constant"}, x, pads, l.number(x.DType, fill)), "VALID", nil
}

// weight turns a weight, also behind the DequantizeLinear that restores it.
func (l *lowering) weight(v *graph.Value, shape, perm []int) (*graph.Value, error) {
	turn := func(t *tensor.Tensor, shape []int) (*tensor.Tensor, error) {
		out := &tensor.Tensor{}
		op := ops.Transpose{Perm: perm}
		err := graph.RunKernel(&graph.Exec{Node: &graph.Node{Op: op}}, op, []*tensor.Tensor{t.Reshape(shape...)}, []*tensor.Tensor{out})
		return out, err
	}
	if v.IsConst() {
		t, err := turn(v.Const, shape)
		return l.b.Const(v.Name, t), err
	}
	// Dequantized weights were rewritten before: a cast, less the zero point, times the scale, each of the weight's rank.
	n := v.Def
	if n == nil || !slices.Contains([]string{"Mul", "Sub", "Cast"}, n.OpName()) {
		if !slices.Equal(shape, mustFixed(v.Type)) {
			return nil, errors.New("its weights are computed")
		}
		return l.add(ops.Transpose{Perm: perm}, v), nil
	}
	first, err := l.weight(n.In[0], shape, perm)
	if err != nil || n.OpName() == "Cast" {
		return l.add(n.Op, first), err
	}
	if !n.In[1].IsConst() {
		return nil, errors.New("the scales of its weights are computed")
	}
	t := n.In[1].Const
	if t.Len() > 1 { // by output channel: axis 1 of a transposed convolution, else the first
		own := slices.Repeat([]int{1}, len(shape))
		at, size := 0, 1
		if t.Shape[0] == 1 {
			at = 1
		}
		for ; at < len(own) && size < t.Len(); at++ { // a depthwise filter's channels are two axes
			own[at] = shape[at]
			size *= shape[at]
		}
		if size != t.Len() {
			return nil, fmt.Errorf("its weights have %d scales, which fit none of their axes", t.Len())
		}
		if t, err = turn(t, own); err != nil {
			return nil, err
		}
	}
	return l.add(n.Op, first, l.b.Const(n.In[1].Name, t)), nil
}

func mustFixed(t graph.Type) []int {
	s, _ := t.Fixed()
	return s
}

func (l *lowering) conv() (*graph.Value, error) {
	o, n := l.n.Op.(ops.Conv), l.n
	shape, ok := n.In[1].Fixed()
	if !ok || len(shape) != 4 && len(shape) != 3 || n.In[0].Rank() != len(shape) {
		return nil, fmt.Errorf("its input is %s, its weights %s: want three or four axes", n.In[0].Type, n.In[1].Type)
	}
	w := window{o.AutoPad, shape[2:], o.Strides, o.Dilations, o.Pads}
	image, out := n.In[0], n.Out[0].Type
	if len(shape) == 3 { // an image of one row
		w.row()
		shape = []int{shape[0], shape[1], 1, shape[2]}
		image = l.add(ops.Unsqueeze{}, image, l.ints(2))
		out = graph.Of(out.DType, out.Shape[0], out.Shape[1], graph.Fixed(1), out.Shape[2])
	}
	w.complete()
	x, padding, err := l.padded(image, w, 0)
	if err != nil {
		return nil, err
	}
	if x, err = l.channelsLast(x); err != nil {
		return nil, err
	}
	a := attrs{
		"T": elements(x.DType), "padding": text(padding), "strides": intList(1, w.strides[0], w.strides[1], 1),
		"dilations": intList(1, w.dilations[0], w.dilations[1], 1), "data_format": text("NHWC"),
	}
	op, f := "Conv2D", (*graph.Value)(nil)
	// TensorFlow's own depthwise convolution takes neither dilations nor different strides on a CPU.
	if plain := w.strides[0] == w.strides[1] && slices.Max(w.dilations) == 1; o.Group > 1 && shape[1] == 1 && shape[0]%o.Group == 0 && plain {
		op = "DepthwiseConv2dNative"
		f, err = l.weight(n.In[1], []int{o.Group, shape[0] / o.Group, shape[2], shape[3]}, []int{2, 3, 0, 1})
	} else {
		f, err = l.weight(n.In[1], shape, []int{2, 3, 1, 0})
	}
	if err != nil {
		return nil, err
	}
	y := l.native(op, a, turnedType(out), x, f)
	if len(n.In) > 2 && n.In[2] != nil {
		y = l.native("BiasAdd", attrs{"T": elements(x.DType), "data_format": text("NHWC")}, turnedType(out), y, n.In[2])
	}
	y = l.channelsFirst(y)
	if n.In[0].Rank() == 3 {
		y = l.add(ops.Squeeze{}, y, l.ints(2))
	}
	return y, nil
}

// convTranspose computes the whole result and cuts the pads off.
func (l *lowering) convTranspose() (*graph.Value, error) {
	o, n := l.n.Op.(ops.ConvTranspose), l.n
	shape, ok := n.In[1].Fixed()
	if !ok || len(shape) != 4 || o.Group != 1 || n.In[0].Rank() != 4 || o.OutputShape != nil || o.AutoPad != "NOTSET" && o.AutoPad != "" {
		return nil, errors.New("only images, one group and pads in numbers have a twin")
	}
	w := window{"", shape[2:], o.Strides, o.Dilations, o.Pads}
	w.complete()
	x, err := l.channelsLast(n.In[0])
	if err != nil {
		return nil, err
	}
	f, err := l.weight(n.In[1], shape, []int{2, 3, 1, 0})
	if err != nil {
		return nil, err
	}
	full := []int64{0, 0}
	for i := range full {
		in, ok := n.In[0].Shape[2+i].Value()
		if !ok {
			return nil, fmt.Errorf("the size of its input %s is not known", n.In[0].Type)
		}
		full[i] = int64((in-1)*w.strides[i] + (w.kernel[i]-1)*w.dilations[i] + 1)
		if len(o.OutputPadding) == 2 {
			full[i] += int64(o.OutputPadding[i])
		}
	}
	end := 1
	batch := l.add(ops.Shape{End: &end}, n.In[0])
	size := l.add(ops.Cast{To: int(tensor.Int32)}, l.add(ops.Concat{}, batch, l.ints(full[0], full[1], int64(shape[1]))))
	a := attrs{
		"T": elements(x.DType), "padding": text("VALID"), "strides": intList(1, w.strides[0], w.strides[1], 1),
		"dilations": intList(1, w.dilations[0], w.dilations[1], 1), "data_format": text("NHWC"),
	}
	out := graph.Of(x.DType, n.Out[0].Shape[0], graph.Fixed(int(full[0])), graph.Fixed(int(full[1])), graph.Fixed(shape[1]))
	y := l.native("Conv2DBackpropInput", a, out, size, f, x)
	if len(n.In) > 2 && n.In[2] != nil {
		y = l.native("BiasAdd", attrs{"T": elements(x.DType), "data_format": text("NHWC")}, out, y, n.In[2])
	}
	y = l.channelsFirst(y)
	if slices.Max(w.pads) == 0 {
		return y, nil
	}
	p := wide(w.pads)
	return l.add(ops.Slice{}, y, l.ints(p[0], p[1]), l.ints(full[0]-p[2], full[1]-p[3]), l.ints(2, 3), l.ints(1, 1)), nil
}

func (l *lowering) pool() (*graph.Value, error) {
	n := l.n
	var w window
	op, fill, counts := "MaxPool", math.Inf(-1), true
	switch o := n.Op.(type) {
	case ops.MaxPool:
		w = window{o.AutoPad, o.KernelShape, o.Strides, o.Dilations, o.Pads}
		if o.CeilMode || len(n.Out) > 1 && n.Out[1] != nil {
			return nil, errors.New("rounding up and indices have no twin")
		}
	case ops.AveragePool:
		w, op, fill, counts = window{o.AutoPad, o.KernelShape, o.Strides, o.Dilations, o.Pads}, "AvgPool", 0, o.CountIncludePad
		if o.CeilMode {
			return nil, errors.New("rounding up has no twin")
		}
	}
	w.complete()
	if len(w.kernel) != 2 || slices.Max(w.dilations) > 1 {
		return nil, errors.New("only images without dilations have a twin")
	}
	x, padding, err := l.padded(n.In[0], w, fill)
	if err != nil {
		return nil, err
	}
	pads := slices.Max(w.pads) > 0 || padding == "SAME"
	if op == "AvgPool" && pads && (x != n.In[0] && !counts || padding == "SAME" && counts) {
		return nil, errors.New("an average over these pads has no twin")
	}
	if x, err = l.channelsLast(x); err != nil {
		return nil, err
	}
	a := attrs{
		"T": elements(x.DType), "padding": text(padding), "strides": intList(1, w.strides[0], w.strides[1], 1),
		"ksize": intList(1, w.kernel[0], w.kernel[1], 1), "data_format": text("NHWC"),
	}
	return l.channelsFirst(l.native(op, a, turnedType(n.Out[0].Type), x)), nil
}

func (l *lowering) globalPool() (*graph.Value, error) {
	x := l.n.In[0]
	if x.Rank() < 3 {
		return nil, fmt.Errorf("its input is %s", x.Type)
	}
	var axes []int64
	for i := 2; i < x.Rank(); i++ {
		axes = append(axes, int64(i))
	}
	if l.n.OpName() == "GlobalMaxPool" {
		return l.add(ops.ReduceMax{Keepdims: true}, x, l.ints(axes...)), nil
	}
	return l.add(ops.ReduceMean{Keepdims: true}, x, l.ints(axes...)), nil
}

func (l *lowering) resize() (*graph.Value, error) {
	o, n := l.n.Op.(ops.Resize), l.n
	op := map[string]string{"linear": "ResizeBilinear", "nearest": "ResizeNearestNeighbor"}[o.Mode]
	if op == "" || n.In[0].Rank() != 4 || n.Out[0].Rank() != 4 || n.In[0].Shape[1] != n.Out[0].Shape[1] || o.Antialias {
		return nil, errors.New("only bilinear and nearest resizing of images have a twin")
	}
	a := attrs{"T": elements(n.In[0].DType), "align_corners": truth(false), "half_pixel_centers": truth(false)}
	switch mode := o.CoordinateTransformationMode; {
	case mode == "asymmetric" && (o.Mode == "linear" || o.NearestMode == "floor"):
	case mode == "align_corners" && (o.Mode == "linear" || o.NearestMode == "round_prefer_ceil"):
		a["align_corners"] = truth(true)
	case mode == "half_pixel" && o.Mode == "linear", mode == "tf_half_pixel_for_nn" && o.Mode == "nearest":
		a["half_pixel_centers"] = truth(true)
	default:
		return nil, fmt.Errorf("the coordinates %s with %s have no twin", mode, o.NearestMode)
	}
	h, okH := n.Out[0].Shape[2].Value()
	w, okW := n.Out[0].Shape[3].Value()
	if !okH || !okW {
		return nil, fmt.Errorf("the size of its result %s is not known", n.Out[0].Type)
	}
	x, err := l.channelsLast(n.In[0])
	if err != nil {
		return nil, err
	}
	size := l.b.Const("size", tensor.From([]int32{int32(h), int32(w)}, 2))
	return l.channelsFirst(l.native(op, a, turnedType(n.Out[0].Type), x, size)), nil
}

func (l *lowering) depthSpace() (*graph.Value, error) {
	x, err := l.channelsLast(l.n.In[0])
	if err != nil {
		return nil, err
	}
	op, size := "SpaceToDepth", 0
	switch o := l.n.Op.(type) {
	case ops.DepthToSpace:
		op, size = "DepthToSpace", o.BlockSize
		if o.Mode != "DCR" {
			return nil, errors.New("mode CRD has no twin")
		}
	case ops.SpaceToDepth:
		size = o.BlockSize
	}
	a := attrs{"T": elements(x.DType), "block_size": number64(size), "data_format": text("NHWC")}
	return l.channelsFirst(l.native(op, a, turnedType(l.n.Out[0].Type), x)), nil
}
