package quantize

import (
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// dynamic makes products and convolutions of integers whose ranges are found as the model runs: DynamicQuantizeLinear,
// MatMulInteger or ConvInteger, then Cast, Mul by both scales and Add of the float bias, the form that ONNX Runtime
// fuses.
func dynamic(f *graph.Graph, o Options) (*converted, error) {
	p := place(f, o)
	layers, err := layersOf(p)
	if err != nil {
		return nil, err
	}
	r := newRewriter(p)
	res := &converted{Result: &Result{Graph: r.g}, of: r.of}
	d := &dynamics{r: r, layers: layers, inputs: map[*graph.Value][]*graph.Value{}, stored: map[*graph.Value]*weights{}}
	for _, l := range layers {
		l.load()
		l.scales(o)
		if l.node.OpName() == "Conv" {
			l.order = nil // ConvInteger with uint8 weights is exact
		}
		if l.order == nil || l.leader != nil {
			l.nearest()
		} else {
			l.certify(o, 1, func(int) []block { return unknown(l.k) })
		}
		l.settle()
		d.layer(l)
		rep := l.report()
		res.Layers = append(res.Layers, rep)
		res.nodes = append(res.nodes, l.node)
	}
	k, err := r.rest(nil)
	if err != nil {
		return nil, err
	}
	res.add(f, k)
	if len(res.Layers) == 0 {
		return nil, errNothing
	}
	if err := r.g.Sort(); err != nil {
		return nil, err
	}
	return res, r.g.Infer()
}

type dynamics struct {
	r      *rewriter
	layers []*layer
	inputs map[*graph.Value][]*graph.Value // integers, scale, zero point
	stored map[*graph.Value]*weights
}

// weights are a constant's integers and scales, shared by the layers that read it alike.
type weights struct {
	of          *layer // the first that reads it
	ints, scale *graph.Value
}

// alike reports whether two layers make the same integers of the same constant.
func (d *dynamics) alike(a, b *layer) bool {
	o := d.r.p.o
	return a.weight == b.weight && a.axis == b.axis && a.step(o) == b.step(o) &&
		(a.node.OpName() == "Conv") == (b.node.OpName() == "Conv")
}

// weights makes a layer's integers and scales, or gives those of a layer like it.
func (d *dynamics) weights(l *layer) *weights {
	if w := d.stored[l.weight]; w != nil && d.alike(w.of, l) {
		return w
	}
	readers := 0
	for _, other := range d.layers {
		if d.alike(l, other) {
			readers++
		}
	}
	shape := []int{l.rows}
	conv := l.node.OpName() == "Conv"
	if conv {
		shape = d.perChannel(l)
	}
	if len(l.scale) == 1 {
		shape = nil
	}
	w := &weights{of: l, scale: d.r.constant(l.weight.Name+"_scale", tensor.From(l.scale, shape...))}
	switch {
	case conv:
		w.ints = d.r.constant(d.r.takeName(l.weight, readers), d.unsigned(l))
	case d.table(l) != nil:
		w.ints = d.tied(l, w)
	default:
		w.ints = d.r.constant(d.r.takeName(l.weight, readers), d.columns(l))
	}
	if d.stored[l.weight] == nil {
		d.stored[l.weight] = w
	}
	return w
}

// table is the constant, others read it too, of which a layer's weight has the rows as columns; nil: there is none.
func (d *dynamics) table(l *layer) *graph.Value {
	if t := d.r.p.ties[l.weight]; t != nil {
		return t
	}
	if l.axis == 0 && slices.ContainsFunc(d.r.p.uses[l.weight], func(u graph.Use) bool { return d.r.p.roles[u.Node] != weighs }) {
		return l.weight
	}
	return nil
}

// tied are the integers of a layer whose weight is a table: kept as such, and transposed for the product.
func (d *dynamics) tied(l *layer, w *weights) *graph.Value {
	t := d.table(l)
	e := &encoded{scale: w.scale, ints: d.r.constant(t.Name+"_quantized", tensor.From(l.rowsOfInts(), t.Const.Shape...))}
	d.r.encoded[d.r.of[t]] = e
	return d.r.add(l.weight.Name+"_transposed", ops.Transpose{Perm: []int{1, 0}}, e.ints)
}

// perChannel is the shape of what a convolution has one of for each output channel.
func (d *dynamics) perChannel(l *layer) []int {
	shape := make([]int, l.weight.Rank())
	for i := range shape {
		shape[i] = 1
	}
	shape[1] = l.rows
	return shape
}

// input quantizes a layer's input, once for all its readers.
func (d *dynamics) input(v *graph.Value) []*graph.Value {
	if d.inputs[v] == nil {
		q := d.r.add(v.Name+"_quantized", ops.DynamicQuantizeLinear{}, v)
		for _, name := range []string{"_dynamic_scale", "_dynamic_zero_point"} {
			q.Def.Out = append(q.Def.Out, &graph.Value{
				Name: d.r.names.Fresh(v.Name + name), Def: q.Def, Fact: graph.Fact{Type: graph.AnyRank(tensor.Undefined)},
			})
		}
		d.inputs[v] = q.Def.Out
	}
	return d.inputs[v]
}

func (d *dynamics) layer(l *layer) {
	n := d.r.nodes[l.node]
	x := d.input(n.In[0])
	w := d.weights(l)
	name := n.Out[0].Name
	var sum *graph.Value
	if conv, ok := l.node.Op.(ops.Conv); ok {
		sum = d.r.add(l.node.Name+"_integer", ops.ConvInteger(conv), x[0], w.ints, x[2], d.middle())
	} else {
		sum = d.r.add(l.node.Name+"_integer", ops.MatMulInteger{}, x[0], w.ints, x[2], d.r.weightZero(l, -1))
	}
	both := d.r.add(name+"_scales", ops.Mul{}, x[1], w.scale)
	float := d.r.add(name+"_cast", ops.Cast{To: int(tensor.Float32), RoundMode: "up", Saturate: true}, sum)
	out := d.r.add(name+"_scaled", ops.Mul{}, float, both)
	if bias := l.correctedBias(); bias != nil {
		out = d.r.add(name+"_biased", ops.Add{}, out, d.bias(l, bias))
	}
	made := out.Def
	made.Out[0] = n.Out[0]
	n.Out[0].Def = made
	d.r.g.Remove(func(m *graph.Node) bool { return m == n })
}

// bias is the float bias in a shape that broadcasts over the result.
func (d *dynamics) bias(l *layer, bias []float64) *graph.Value {
	v := make([]float32, l.rows)
	for i, x := range bias {
		v[i] = float32(x)
	}
	shape := []int{l.rows}
	if l.node.OpName() == "Conv" {
		shape = d.perChannel(l)
	}
	return d.r.constant(l.node.Name+"_bias", tensor.From(v, shape...))
}

// columns are int8 weights as [K,N].
func (d *dynamics) columns(l *layer) *tensor.Tensor {
	if l.axis == 1 {
		return l.integers()
	}
	rows := l.rowsOfInts()
	ints := make([]int8, len(rows))
	for i := range l.k {
		for r := range l.rows {
			ints[i*l.rows+r] = rows[r*l.k+i]
		}
	}
	return tensor.From(ints, l.k, l.rows)
}

// unsigned are the weights of a convolution as uint8 with the zero point 128: ONNX Runtime has no kernel for int8 ones.
func (d *dynamics) unsigned(l *layer) *tensor.Tensor {
	rows := l.rowsOfInts()
	ints := make([]uint8, len(rows))
	for i, q := range rows {
		ints[i] = uint8(int(q) + 128)
	}
	return tensor.From(ints, l.weight.Const.Shape...)
}

// middle is the zero point of unsigned weights.
func (d *dynamics) middle() *graph.Value {
	if d.r.unsigned == nil {
		d.r.unsigned = d.r.constant("weight_zero_point", tensor.Scalar(uint8(128)))
	}
	return d.r.unsigned
}
