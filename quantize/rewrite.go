package quantize

import (
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// rewriter turns a copy of the float graph into a quantized one.
type rewriter struct {
	p        *placement
	g        *graph.Graph
	of       map[*graph.Value]*graph.Value // from the float graph's values
	nodes    map[*graph.Node]*graph.Node
	names    graph.Namer
	float    map[*layer]bool // whose weights stay float numbers that integers stand for
	scales   map[*group][2]*graph.Value
	unsigned *graph.Value              // the zero point of uint8 weights
	given    string                    // a name that is free for the next value
	skip     map[*graph.Node]bool      // nodes of g whose weights stay float
	encoded  map[*graph.Value]*encoded // what constants of g became
}

func newRewriter(p *placement) *rewriter {
	r := &rewriter{p: p, nodes: map[*graph.Node]*graph.Node{}, scales: map[*group][2]*graph.Value{}, encoded: map[*graph.Value]*encoded{}, skip: map[*graph.Node]bool{}}
	r.g, r.of = p.g.CloneMap()
	r.names = r.g.Names()
	for i, n := range p.g.Nodes {
		r.nodes[n] = r.g.Nodes[i]
	}
	return r
}

// rewrite makes the QDQ graph. The weights and biases of the layers in float are float constants with the values that the
// integers stand for, so that their outputs can be watched at the speed of float. The map leads from the values of the
// float graph to those of the copy before quantization.
func rewrite(p *placement, layers []*layer, float map[*layer]bool) (*graph.Graph, map[*graph.Value]*graph.Value, error) {
	r := newRewriter(p)
	r.float = float
	for _, l := range layers {
		r.layer(l)
	}
	var err error
	if p.kept, err = r.rest(nil); err != nil {
		return nil, nil, err
	}
	for _, n := range p.g.Nodes {
		if p.roles[n] == point {
			r.operands(n)
		}
	}
	for _, a := range p.order {
		r.activation(a)
	}
	if float != nil {
		r.integerProducts(layers)
	}
	if p.o.ends() != tensor.Undefined && float == nil {
		r.integerEnds()
	}
	if err := r.g.Sort(); err != nil {
		return nil, nil, err
	}
	return r.g, r.of, r.g.Infer()
}

func (r *rewriter) constant(name string, t *tensor.Tensor) *graph.Value {
	if name != r.given {
		name = r.names.Fresh(name)
	}
	r.given = ""
	return graph.NewConst(name, t)
}

// takeName gives the name of a constant that the float graph no longer needs to its integers.
func (r *rewriter) takeName(old *graph.Value, uses int) string {
	if len(r.p.uses[old]) == uses && !r.p.g.IsOutput(old) {
		r.given = old.Name
		return old.Name
	}
	return old.Name + "_quantized"
}

func (r *rewriter) dequantize(name string, axis int, in ...*graph.Value) *graph.Value {
	op := ops.DequantizeLinear{Axis: 1}
	if in[1].Rank() > 0 {
		op.Axis = axis
	}
	return r.add(name, op, in...)
}

// add appends a node; its output takes a fresh name, unless the name was given up for it.
func (r *rewriter) add(name string, op graph.Op, in ...*graph.Value) *graph.Value {
	if name != r.given {
		name = r.names.Fresh(name)
	}
	r.given = ""
	_, kind := graph.NameOf(op)
	n := &graph.Node{Name: r.names.Fresh(name + "_" + kind), Op: op, In: in}
	v := &graph.Value{Name: name, Def: n, Fact: graph.Fact{Type: graph.AnyRank(tensor.Undefined)}}
	n.Out = []*graph.Value{v}
	r.g.Nodes = append(r.g.Nodes, n)
	return v
}

// weightZero makes int8 zeros for the n channels of a layer; -1: a scalar. Each layer has its own: ONNX Runtime does not load
// a file whose layers share them with session.x64quantprecision=1, which makes uint8 of weights and zero points.
func (r *rewriter) weightZero(l *layer, n int) *graph.Value {
	t := tensor.New(tensor.Int8)
	if n >= 0 {
		t = tensor.New(tensor.Int8, n)
	}
	return r.constant(l.weight.Name+"_zero_point", t)
}

func (r *rewriter) layer(l *layer) {
	n := r.nodes[l.node]
	q := l.node.Op.(graph.Quantizable).Quant()
	bias := l.correctedBias()
	if r.float[l] {
		r.skip[n] = true
		n.In[q.Weight] = r.constant(l.weight.Name+"_hat", tensor.From(fromRows(l, l.back()), l.weight.Const.Shape...))
		if bias != nil && q.Bias > 0 {
			setInput(n, q.Bias, r.constant(l.node.Name+"_bias", tensor.From(r.roundedBias(l, bias), l.rows)))
		}
		return
	}
	r.weight(l)
	if bias == nil || q.Bias == 0 {
		return
	}
	name := l.node.Name + "_bias"
	if len(l.node.In) > q.Bias && l.node.In[q.Bias] != nil {
		name = r.takeName(l.node.In[q.Bias], 1)
	}
	if r.p.o.Target == "gpu" { // TensorRT reads int32 nowhere before a DequantizeLinear and quantizes float biases itself
		setInput(n, q.Bias, r.constant(name, tensor.From(r.roundedBias(l, bias), l.rows)))
		return
	}
	sums, steps := l.intBias(bias)
	shape := []int{l.rows}
	if r.p.o.PerTensor {
		steps, shape = steps[:1], nil
	}
	b := r.constant(name, tensor.From(sums, l.rows))
	s := r.constant(name+"_scale", tensor.From(steps, shape...))
	setInput(n, q.Bias, r.dequantize(name+"_dequantized", 0, b, s))
}

// weight puts the integers and DequantizeLinear in the place of a layer's weight.
func (r *rewriter) weight(l *layer) {
	n, at := r.nodes[l.node], l.node.Op.(graph.Quantizable).Quant().Weight
	v := n.In[at]
	if e := r.encoded[v]; e != nil && l.leader != nil {
		n.In[at] = e.restored
		return
	}
	shape, zero := []int{len(l.scale)}, len(l.scale)
	if r.p.o.PerTensor {
		shape, zero = nil, -1
	}
	e := &encoded{axis: l.axis, scale: r.constant(l.weight.Name+"_scale", tensor.From(l.scale, shape...))}
	in := []*graph.Value{r.integers(l, e), e.scale}
	if l.dtype() == tensor.Int8 {
		e.zero = r.weightZero(l, zero)
		in = append(in, e.zero)
	}
	e.ints = in[0]
	e.restored = r.dequantize(l.weight.Name+"_dequantized", l.axis, in...)
	n.In[at] = e.restored
	if r.encoded[v] == nil {
		r.encoded[v] = e
	}
}

// integers makes the constant of a layer's weight. Where that is the transpose of a table which others read, the table's
// integers are the constant, and a Transpose that runtimes fold stands before the layer.
func (r *rewriter) integers(l *layer, e *encoded) *graph.Value {
	table := r.p.ties[l.weight]
	if table == nil || r.encoded[r.of[table]] != nil || l.dtype() != tensor.Int8 {
		return r.constant(r.takeName(l.weight, r.alike(l)), l.integers())
	}
	ints := permuted(tensor.View[int8](l.integers()), l.weight.Const.Shape, []int{1, 0})
	rows := &encoded{axis: 1 - l.axis, ints: r.constant(table.Name+"_quantized", tensor.From(ints, table.Const.Shape...)), scale: e.scale}
	r.encoded[r.of[table]] = rows
	return r.add(l.weight.Name+"_transposed", ops.Transpose{Perm: []int{1, 0}}, rows.ints)
}

// alike counts the layers that share the integers of l.
func (r *rewriter) alike(l *layer) int {
	n := 0
	for _, other := range r.p.layers {
		if l == other || l.leader == other || other.leader == l || l.leader != nil && l.leader == other.leader {
			n++
		}
	}
	return n
}

func setInput(n *graph.Node, i int, v *graph.Value) {
	for len(n.In) <= i {
		n.In = append(n.In, nil)
	}
	n.In[i] = v
}

// intBias rounds the bias to multiples of float32(sx*sw), as ONNX Runtime wants it; steps has one for each row.
func (l *layer) intBias(bias []float64) (sums []int32, steps []float32) {
	sums, steps = make([]int32, l.rows), make([]float32, l.rows)
	for i := range sums {
		steps[i] = l.input.group.scale * l.scaleOfRow(i)
		sums[i] = int32(min(max(math.RoundToEven(bias[i]/float64(steps[i])), math.MinInt32+1), math.MaxInt32))
	}
	return sums, steps
}

func (r *rewriter) roundedBias(l *layer, bias []float64) []float32 {
	sums, steps := l.intBias(bias)
	out := make([]float32, l.rows)
	for i := range out {
		out[i] = float32(float64(sums[i]) * float64(steps[i]))
	}
	return out
}

// operands quantizes the constants that an operator without weights reads.
func (r *rewriter) operands(node *graph.Node) {
	n := r.nodes[node]
	for _, i := range dataInputs(node) {
		c := node.In[i]
		if !c.IsConst() {
			continue
		}
		v, pr := r.p.quantizeConst(c.Const)
		ints := tensor.New(r.p.o.activationType(), c.Const.Shape...)
		_ = tensor.SetInts(ints, v) // in range
		scale, zero := r.paramValues(c.Name, pr)
		n.In[i] = r.dequantize(c.Name+"_dequantized", 0, r.constant(r.takeName(c, 1), ints), scale, zero)
	}
}

// quantizeConst gives a constant operand its full range.
func (p *placement) quantizeConst(t *tensor.Tensor) ([]int64, params) {
	v := tensor.Floats(t)
	s := span{}
	for _, x := range v {
		s = span{min(s.lo, float64(x)), max(s.hi, float64(x))}
	}
	q := p.quantizer(span{math.Inf(-1), math.Inf(1)})
	pr := q.fit(s)
	return q.ofAll(v, pr), pr
}

// ofAll quantizes numbers: clamp(roundeven(x/scale) + zero).
func (q quantizer) ofAll(v []float32, p params) []int64 {
	first, last := q.ints()
	out := make([]int64, len(v))
	for i, x := range v {
		out[i] = int64(min(max(math.RoundToEven(float64(x/p.scale))+float64(p.zero), float64(first)), float64(last)))
	}
	return out
}

func (p *placement) quantizer(bounds span) quantizer {
	return quantizer{dtype: p.o.activationType(), symmetric: p.o.symmetric(), bounds: bounds}
}

func (r *rewriter) paramValues(name string, p params) (scale, zero *graph.Value) {
	z := tensor.New(r.p.o.activationType())
	_ = tensor.SetInts(z, []int64{int64(p.zero)}) // an 8-bit integer takes any number
	return r.constant(name+"_scale", tensor.Scalar(p.scale)), r.constant(name+"_zero_point", z)
}

// activation puts QuantizeLinear and DequantizeLinear after a value. The integers keep its name; a graph's input and
// output keep theirs.
func (r *rewriter) activation(a *activation) {
	v := r.of[a.v]
	name := v.Name
	made := a.v.Def != nil && r.integer(a.v.Def)
	end := r.p.isEnd(a.v)
	readers := r.readers(a.v, made || end && a.v.Def == nil)
	if r.scales[a.group][0] == nil {
		s, z := r.paramValues(name, a.group.params)
		r.scales[a.group] = [2]*graph.Value{s, z}
	}
	pair := r.scales[a.group]
	out := r.p.g.IsOutput(a.v) && (made || end)
	ints := name
	if a.v.Def == nil || r.p.g.IsOutput(a.v) {
		ints = name + "_quantized"
	} else {
		v.Name = r.names.Fresh(name + "_float")
		r.given = name
	}
	q := r.add(ints, ops.QuantizeLinear{Axis: 1, Saturate: true}, v, pair[0], pair[1])
	d := r.dequantize(name+"_dequantized", 0, q, pair[0], pair[1])
	for _, u := range readers {
		u.Node.In[u.Index] = d
	}
	if out {
		r.g.Replace(v, d) // which also gives d the output's name
		q.Def.In[0] = v
	}
}

// integer reports whether a node of the float graph, or the operator that clamps through it, has an integer twin.
func (r *rewriter) integer(n *graph.Node) bool {
	if r.p.roles[n] != stays {
		return true
	}
	return len(n.In) > 0 && n.In[0] != nil && n.In[0].Def != nil && r.p.clamp[n.In[0].Def] == n
}

// readers are the uses of a value that shall read what its integers stand for: all if integers are what its maker
// makes, else those of integer operators.
func (r *rewriter) readers(v *graph.Value, all bool) []graph.Use {
	var out []graph.Use
	for _, u := range r.p.uses[v] {
		if all || r.p.roles[u.Node] != stays {
			out = append(out, graph.Use{Node: r.nodes[u.Node], Index: u.Index})
		}
	}
	return out
}
