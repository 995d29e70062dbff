package train

import (
	"fmt"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// Param is a tensor that training changes. Data is its own copy, never the file's.
type Param struct {
	Name string // of the constant that it was
	Data *tensor.Tensor
	// Weight tells that it multiplies: weight decay and pruning apply to it, not to biases, norms and scales.
	Weight bool
	// Mask says which elements stay; the others are held at zero. nil: all stay.
	Mask []bool

	// Data is the constant times unit, a power of two: see Model.condition. 0 means 1.
	unit float32
	base *graph.Value // the constant in Model.base; nil for a parameter that the objective added
}

// setUnit changes the unit without changing what Data stands for. Powers of two make that exact.
func (p *Param) setUnit(unit float32) {
	scale(p.Values(), unit/p.Unit())
	p.unit = unit
}

// Unit is what the constant was multiplied by to give Data, a power of two.
func (p *Param) Unit() float32 {
	if p.unit == 0 {
		return 1
	}
	return p.unit
}

func scale(v []float32, by float32) {
	for i := range v {
		v[i] *= by
	}
}

// Values shows the elements.
func (p *Param) Values() []float32 { return tensor.View[float32](p.Data) }

// hold sets the masked elements to zero.
func (p *Param) hold() {
	v := p.Values()
	for i, keep := range p.Mask {
		if !keep {
			v[i] = 0
		}
	}
}

// Model is a graph whose weights can be changed. Stats are the running means and variances of its BatchNormalization
// nodes, which training in their training form moves, but not by gradients.
type Model struct {
	Params []*Param
	Stats  []*Param
	base   *graph.Graph
	dims   map[string]int // sizes of the inputs' named dimensions in training
}

// role is what an operator's input is to training.
type role struct {
	at     int
	weight bool // else a bias, a norm's scale or the like
	stat   bool
}

// roles says which constant inputs of an operator are trained.
var roles = map[string][]role{
	"Conv":          {{at: 1, weight: true}, {at: 2}},
	"ConvTranspose": {{at: 1, weight: true}, {at: 2}},
	"Gemm":          {{at: 0, weight: true}, {at: 1, weight: true}, {at: 2}},
	"MatMul":        {{at: 0, weight: true}, {at: 1, weight: true}},
	"LSTM":          {{at: 1, weight: true}, {at: 2, weight: true}, {at: 3}},
	"GRU":           {{at: 1, weight: true}, {at: 2, weight: true}, {at: 3}},
	"RNN":           {{at: 1, weight: true}, {at: 2, weight: true}, {at: 3}},
	"Gather":        {{at: 0, weight: true}},
	"PRelu":         {{at: 1}},

	"BatchNormalization":    {{at: 1}, {at: 2}, {at: 3, stat: true}, {at: 4, stat: true}},
	"LayerNormalization":    {{at: 1}, {at: 2}},
	"GroupNormalization":    {{at: 1}, {at: 2}},
	"InstanceNormalization": {{at: 1}, {at: 2}},
	"RMSNormalization":      {{at: 1}},
	"tfsopt.FakeQuantize":   {{at: 0, weight: true}, {at: 1}},
}

// affine are the operators whose constant operand is trained if a weight stands somewhere before it: a bias or a
// scale. Before the first weight it prepares the input.
var affine = map[string]bool{"Add": true, "Sub": true, "Mul": true, "Div": true}

// NewModel copies the weights of g, which it does not change. It fails if there are none.
func NewModel(g *graph.Graph) (*Model, error) {
	m := &Model{base: g.Clone()}
	if err := m.base.Sort(); err != nil {
		return nil, err
	}
	known := map[*graph.Value]bool{}
	behind := map[*graph.Value]bool{} // values that depend on a weight
	add := func(v *graph.Value, r role) {
		if v == nil || !v.IsConst() || v.DType != tensor.Float32 || known[v] {
			return
		}
		known[v] = true
		p := &Param{Name: v.Name, Data: aligned(v.Const), Weight: r.weight, base: v}
		if r.stat {
			m.Stats = append(m.Stats, p)
		} else {
			m.Params = append(m.Params, p)
		}
	}
	for _, n := range m.base.Nodes {
		before := slices.ContainsFunc(n.In, func(v *graph.Value) bool { return v != nil && behind[v] })
		list := roles[n.OpName()]
		for _, r := range list {
			if r.at < len(n.In) {
				add(n.In[r.at], r)
				before = before || n.In[r.at] != nil && known[n.In[r.at]]
			}
		}
		if affine[n.OpName()] && before {
			for _, v := range n.In {
				if v != nil && v.IsConst() && v.Const.Len() > 1 {
					add(v, role{})
				}
			}
		}
		for _, v := range n.Out {
			if v != nil && before {
				behind[v] = true
			}
		}
	}
	if len(m.Params) == 0 {
		return nil, errNoParameters
	}
	return m, nil
}

// aligned copies t to memory that kernels may use as it is.
func aligned(t *tensor.Tensor) *tensor.Tensor {
	c := tensor.New(t.DType, t.Shape...)
	copy(c.Data, t.Data)
	return c
}

// Graph gives a copy of the graph with the parameters as they are now.
func (m *Model) Graph() *graph.Graph {
	g, values := m.base.CloneMap()
	for _, p := range slices.Concat(m.Params, m.Stats) {
		if v := values[p.base]; v != nil {
			t := p.Data.Clone()
			scale(tensor.View[float32](t), 1/p.Unit())
			v.Fact = graph.FactOf(t)
		}
	}
	return g
}

// Param finds a parameter by the name of its constant; nil if it is not trained.
func (m *Model) Param(name string) *Param {
	for _, p := range m.Params {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// open gives a copy of the graph in which parameters and statistics are inputs, after the graph's own, in the order
// of Params and Stats. batch binds the first dimension of every input of the model; 0 leaves it as it is.
func (m *Model) open(batch int) (*opened, error) {
	g, values := m.base.CloneMap()
	o := &opened{Graph: g, own: len(g.Inputs), value: map[*Param]*graph.Value{}, dims: m.dims}
	for _, p := range slices.Concat(m.Params, m.Stats) {
		if p.base == nil {
			continue
		}
		v := values[p.base]
		v.Fact = graph.Fact{Type: graph.TypeOf(p.Data)}
		if p.Unit() != 1 {
			v = o.inUnits(v, p.unit)
		}
		g.Inputs = append(g.Inputs, v)
		o.value[p] = v
	}
	g.Signatures, g.Unused = nil, nil
	if batch > 0 {
		if err := o.bind(batch); err != nil {
			return nil, err
		}
	}
	return o, g.Infer()
}

// Batched gives a copy of g for batches of the given size, also where the file says 1. It fails if an input has no batch
// dimension or sizes that are neither fixed nor in dims.
func Batched(g *graph.Graph, batch int, dims map[string]int) (*graph.Graph, error) {
	o := &opened{Graph: g.Clone(), own: len(g.Inputs), dims: dims}
	if err := o.bind(batch); err != nil {
		return nil, err
	}
	return o.Graph, o.Infer()
}

// opened is a model's graph whose parameters are inputs.
type opened struct {
	*graph.Graph
	own   int // inputs of the model itself
	value map[*Param]*graph.Value
	dims  map[string]int
}

// inUnits makes v the quotient of a new input by unit, and returns that input.
func (o *opened) inUnits(v *graph.Value, unit float32) *graph.Value {
	names := o.Names()
	in := graph.NewInput(names.Fresh(v.Name+"_in_units"), v.Type)
	by := graph.NewConst(names.Fresh(v.Name+"_per_unit"), tensor.Scalar(1/unit))
	n := &graph.Node{Name: names.Fresh(v.Name + "_of_units"), Op: ops.Mul{}, In: []*graph.Value{in, by}, Out: []*graph.Value{v}}
	v.Def = n
	o.Nodes = append([]*graph.Node{n}, o.Nodes...)
	return in
}

// bind gives every input of the model the batch as its first dimension.
func (o *opened) bind(batch int) error {
	for _, v := range o.Inputs[:o.own] {
		if v.Unranked || len(v.Shape) == 0 {
			return fmt.Errorf("input %q is %s: want a batch dimension", v.Name, v.Type)
		}
		v.Shape = slices.Clone(v.Shape)
		v.Shape[0] = graph.Fixed(batch)
		for i := range v.Shape {
			v.Shape[i] = v.Shape[i].Bind(o.dims)
		}
		if _, ok := v.Fixed(); !ok {
			return fmt.Errorf("input %q is %s: training needs sizes for all but the first dimension (--dim)", v.Name, v.Type)
		}
	}
	for _, n := range o.Nodes {
		if n.OpName() == "Reshape" && len(n.In) > 1 && n.In[1] != nil && n.In[1].IsConst() {
			n.In[1] = freeBatch(n.In[1])
		}
	}
	return nil
}

// freeBatch makes a shape that begins with the fixed batch 1 of an exported model fit any batch.
func freeBatch(shape *graph.Value) *graph.Value {
	s := slices.Clone(tensor.Ints(shape.Const))
	if len(s) < 2 || s[0] != 1 {
		return shape
	}
	s[0] = -1
	if slices.Contains(s[1:], -1) {
		s[0] = 0 // the first dimension of what is reshaped
	}
	return graph.NewConst(shape.Name, tensor.From(s, len(s)))
}
