package quantize

import (
	"fmt"

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
	if len(layers) == 0 {
		return nil, errNothing
	}
	r := newRewriter(p)
	res := &converted{Result: &Result{Graph: r.g}, of: r.of}
	d := &dynamics{r: r, inputs: map[*graph.Value][]*graph.Value{}}
	for _, l := range layers {
		if l.node.OpName() == "Conv" && l.weight.Rank() != 4 {
			res.Warnings = append(res.Warnings, fmt.Sprintf("%s: ConvInteger is for images: it stays float", l.node.Name))
			continue
		}
		l.scales(o)
		l.nearest()
		d.layer(l)
		rep := l.report()
		rep.SQNR = l.weightSQNR()
		res.Layers = append(res.Layers, rep)
		res.nodes = append(res.nodes, l.node)
	}
	if len(res.Layers) == 0 {
		return nil, errNothing
	}
	if err := r.g.Sort(); err != nil {
		return nil, err
	}
	return res, r.g.Infer()
}

// weightSQNR compares the integers with the weights.
func (l *layer) weightSQNR() float64 {
	var signal, noise float64
	for i, b := range l.back() {
		d := float64(b) - float64(l.w[i])
		signal += float64(l.w[i]) * float64(l.w[i])
		noise += d * d
	}
	return decibels(signal, noise)
}

type dynamics struct {
	r      *rewriter
	inputs map[*graph.Value][]*graph.Value // integers, scale, zero point
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
	name := n.Out[0].Name
	shape := []int{len(l.scale)}
	var sum *graph.Value
	if op, ok := l.node.Op.(ops.Conv); ok {
		if len(l.scale) > 1 {
			shape = []int{1, l.rows, 1, 1}
		}
		sum = d.conv(l, ops.ConvInteger(op), x)
	} else {
		sum = d.product(l, x)
	}
	if len(l.scale) == 1 {
		shape = nil
	}
	scale := d.r.constant(l.weight.Name+"_scale", tensor.From(l.scale, shape...))
	both := d.r.add(name+"_scales", ops.Mul{}, x[1], scale)
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
		shape = []int{1, l.rows, 1, 1}
	}
	return d.r.constant(l.node.Name+"_bias", tensor.From(v, shape...))
}

// product multiplies with int8 weights [K,N].
func (d *dynamics) product(l *layer, x []*graph.Value) *graph.Value {
	ints := make([]int8, len(l.ints))
	for i := range l.k {
		for r := range l.rows {
			ints[i*l.rows+r] = l.ints[r*l.k+i]
		}
	}
	w := d.r.constant(d.r.takeName(l.weight, 1), tensor.From(ints, l.k, l.rows))
	return d.r.add(l.node.Name+"_integer", ops.MatMulInteger{}, x[0], w, x[2], d.r.zeroPoints(-1))
}

// conv convolves with uint8 weights whose zero point is 128, as ONNX Runtime has no kernel for int8 ones.
func (d *dynamics) conv(l *layer, op ops.ConvInteger, x []*graph.Value) *graph.Value {
	ints := make([]uint8, len(l.ints))
	for i, q := range l.ints {
		ints[i] = uint8(int(q) + 128)
	}
	w := d.r.constant(d.r.takeName(l.weight, 1), tensor.From(ints, l.weight.Const.Shape...))
	if d.r.unsigned == nil {
		d.r.unsigned = d.r.constant("weight_zero_point", tensor.Scalar(uint8(128)))
	}
	return d.r.add(l.node.Name+"_integer", op, x[0], w, x[2], d.r.unsigned)
}
