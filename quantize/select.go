package quantize

import (
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// role is how a node takes part.
type role int

const (
	stays   role = iota // float
	weighs              // has constant weights
	product             // of two activations
	point               // has an integer twin without weights
	moves               // only moves data
)

// activation is a value that becomes integers.
type activation struct {
	v      *graph.Value
	bounds span // of the clamp that made it
	group  *group
}

// group is a set of activations with the same parameters.
type group struct {
	members []*activation
	bounds  span
	hist    *histogram
	params
}

// placement says which values of a graph become integers.
type placement struct {
	g       *graph.Graph
	uses    map[*graph.Value][]graph.Use
	roles   map[*graph.Node]role
	clamp   map[*graph.Node]*graph.Node // the Relu or Clip that the node's integer twin includes
	values  map[*graph.Value]*activation
	order   []*activation
	groups  []*group
	logit   map[*graph.Value]bool
	ties    map[*graph.Value]*graph.Value // weights that are the transpose of a table: that table
	layers  []*layer
	rounded map[string]*stored // weights of operators that stay float, by name; nil: each is rounded once
	kept    *kept              // of the last graph that was written
	o       Options
}

// place decides on a sorted graph with types.
func place(g *graph.Graph, o Options) *placement {
	p := &placement{
		g: g, o: o, uses: g.Uses(), roles: map[*graph.Node]role{}, clamp: map[*graph.Node]*graph.Node{},
		values: map[*graph.Value]*activation{}, logit: map[*graph.Value]bool{}, rounded: map[string]*stored{},
	}
	p.findLogits()
	available := map[*graph.Value]bool{}
	for _, v := range g.Inputs {
		available[v] = v.DType == tensor.Float32
	}
	for _, n := range g.Nodes {
		if r := p.candidate(n, available); r != stays {
			p.roles[n] = r
			available[p.result(n)] = true
		}
	}
	for i := len(g.Nodes) - 1; i >= 0; i-- {
		n := g.Nodes[i]
		if r := p.roles[n]; (r == point || r == moves) && !p.needed(p.result(n)) {
			p.roles[n] = stays
			delete(p.clamp, n)
		}
	}
	p.tie()
	p.collect()
	p.share()
	return p
}

// findLogits marks what reaches the outputs through nothing but data movement and Softmax.
func (p *placement) findLogits() {
	for i := len(p.g.Nodes) - 1; i >= 0; i-- {
		n := p.g.Nodes[i]
		for _, v := range n.Out {
			if v != nil && p.onlyOut(v) {
				p.logit[v] = true
			}
		}
	}
}

func (p *placement) onlyOut(v *graph.Value) bool {
	for _, u := range p.uses[v] {
		name := u.Node.OpName()
		last := name == "Softmax" || name == "LogSoftmax" || name == "ArgMax" || name == "TopK"
		if !last && !isMover(u.Node) || len(u.Node.Out) == 0 || u.Node.Out[0] == nil || !p.logit[u.Node.Out[0]] {
			return false
		}
	}
	return len(p.uses[v]) > 0 || p.g.IsOutput(v)
}

func isMover(n *graph.Node) bool {
	q, ok := n.Op.(graph.Quantizable)
	if !ok || !q.Quant().Moves || len(n.Out) != 1 || n.Out[0] == nil {
		return false
	}
	return graph.TraitsOf(n.Op).Fill != graph.FillNumber // which may be outside the range
}

// dataInputs are the indices of the inputs that are activations.
func dataInputs(n *graph.Node) []int {
	q, ok := n.Op.(graph.Quantizable)
	if !ok {
		return nil
	}
	d := q.Quant()
	switch {
	case d.All || n.OpName() == "MatMul" && !n.In[1].IsConst():
		all := make([]int, len(n.In))
		for i := range all {
			all[i] = i
		}
		return all
	case d.Data != nil:
		return d.Data
	}
	return []int{0}
}

// reads are the inputs of a node that become integers: those of dataInputs, but of a residual Add for TensorRT only the
// side that does not come from a product, which it fuses with the Add.
func (p *placement) reads(n *graph.Node) []int {
	in := dataInputs(n)
	if !p.o.symmetric() || len(in) != 2 || n.OpName() != "Add" {
		return in
	}
	for k, i := range in {
		v := n.In[i]
		if v.Def != nil && p.roles[v.Def] == weighs && p.clamp[v.Def] == nil && len(p.uses[v]) == 1 && !p.g.IsOutput(v) {
			return []int{in[1-k]}
		}
	}
	return in
}

// candidate is the role that a node may have, given the values that integers can reach. What has no integer twin (a
// ConvTranspose, for one) stays float between the DequantizeLinear before and the QuantizeLinear after it.
func (p *placement) candidate(n *graph.Node, available map[*graph.Value]bool) role {
	if p.o.excluded(n) || p.o.float[n.Name] || len(n.In) == 0 || len(n.Out) == 0 || n.Out[0] == nil || n.In[0] == nil ||
		n.In[0].DType != tensor.Float32 || n.Out[0].DType != tensor.Float32 {
		return stays
	}
	r := stays
	q, ok := n.Op.(graph.Quantizable)
	_, twinned := n.Op.(graph.Twinned)
	switch {
	case ok && twinned && q.Quant().Weight > 0:
		return weightedRole(n)
	case ok && twinned && !q.Quant().Moves && len(n.Out) == 1:
		r = point
	case isMover(n):
		r = moves
	}
	if r == stays {
		return r
	}
	some := false
	for _, i := range dataInputs(n) {
		v := n.In[i]
		if v == nil || !available[v] && (r == moves || !v.IsConst()) {
			return stays
		}
		some = some || available[v]
	}
	if !some {
		return stays
	}
	return r
}

func weightedRole(n *graph.Node) role {
	w := n.In[1]
	if w == nil || w.DType != tensor.Float32 {
		return stays
	}
	if len(n.In) > 2 && n.In[2] != nil && (!n.In[2].IsConst() || !eachColumn(n.In[2].Const.Shape)) {
		return stays
	}
	if op, ok := n.Op.(ops.Gemm); ok && (op.Alpha != 1 || op.Beta != 1 || op.TransA || !w.IsConst()) {
		return stays
	}
	if !w.IsConst() {
		if n.OpName() == "MatMul" && !n.In[0].IsConst() {
			return product
		}
		return stays
	}
	if w.Const.Len() == 0 || n.In[0].IsConst() {
		return stays
	}
	if n.OpName() == "MatMul" && len(w.Const.Shape) != 2 {
		return stays
	}
	return weighs
}

// eachColumn reports whether a bias of this shape has one number for all, or one for each output channel.
func eachColumn(shape []int) bool {
	return len(shape) == 0 || tensor.Size(shape) == shape[len(shape)-1]
}

// result is the value that a node's integer twin makes: its output, or that of the clamp after it.
func (p *placement) result(n *graph.Node) *graph.Value {
	if c := p.clamp[n]; c != nil {
		return c.Out[0]
	}
	v := n.Out[0]
	if p.roles[n] == moves || p.g.IsOutput(v) || len(p.uses[v]) != 1 {
		return v
	}
	c := p.uses[v][0]
	if _, ok := clampOf(c.Node); !ok || c.Index != 0 || p.o.excluded(c.Node) {
		return v
	}
	p.clamp[n] = c.Node
	return c.Node.Out[0]
}

// clampOf gives the bounds of a Relu, or of a Clip that holds 0.
func clampOf(n *graph.Node) (span, bool) {
	s := span{math.Inf(-1), math.Inf(1)}
	switch n.OpName() {
	case "Relu":
		s.lo = 0
		return s, true
	case "Clip":
		for i, bound := range []*float64{&s.lo, &s.hi} {
			if len(n.In) <= i+1 || n.In[i+1] == nil {
				continue
			}
			c := n.In[i+1].Const
			if c == nil || c.Len() != 1 {
				return s, false
			}
			*bound = tensor.Float64s(c)[0]
		}
		return s, s.lo <= 0 && s.hi > 0
	}
	return s, false
}

// needed reports whether an integer operator reads v.
func (p *placement) needed(v *graph.Value) bool {
	if p.o.QuantizeLogits && p.logit[v] || p.isEnd(v) {
		return true
	}
	for _, u := range p.uses[v] {
		if p.roles[u.Node] != stays {
			for _, i := range p.reads(u.Node) {
				if i == u.Index {
					return true
				}
			}
		}
	}
	return false
}

// collect lists the activations in the order of the graph.
func (p *placement) collect() {
	add := func(v *graph.Value, n *graph.Node) {
		if v.IsConst() || p.values[v] != nil {
			return
		}
		a := &activation{v: v, bounds: span{math.Inf(-1), math.Inf(1)}}
		if n != nil && p.clamp[n] != nil {
			a.bounds, _ = clampOf(p.clamp[n])
		}
		p.values[v] = a
		p.order = append(p.order, a)
	}
	for _, n := range p.g.Nodes {
		r := p.roles[n]
		if r == stays {
			continue
		}
		for _, i := range p.reads(n) {
			add(n.In[i], nil)
		}
		out := p.result(n)
		if n.OpName() == "Conv" && !p.o.symmetric() || r == point || r == moves || p.needed(out) {
			add(out, n)
		} else {
			delete(p.clamp, n)
		}
	}
	for _, list := range [][]*graph.Value{p.g.Inputs, p.g.Outputs} {
		for _, v := range list {
			if p.isEnd(v) {
				add(v, nil)
			}
		}
	}
}

// share puts activations that are the same numbers, moved, into one group.
func (p *placement) share() {
	for _, a := range p.order {
		a.group = &group{members: []*activation{a}, bounds: a.bounds}
	}
	for _, n := range p.g.Nodes {
		if p.roles[n] != moves {
			continue
		}
		out := p.values[n.Out[0]]
		for _, i := range dataInputs(n) {
			in := p.values[n.In[i]]
			if len(dataInputs(n)) > 1 && !p.alike(n) {
				continue // Concat of clamped and other values: QLinearConcat rescales
			}
			merge(in.group, out.group)
		}
	}
	seen := map[*group]bool{}
	for _, a := range p.order {
		if !seen[a.group] {
			seen[a.group] = true
			p.groups = append(p.groups, a.group)
		}
	}
}

// alike reports whether all data inputs of a node come from the same clamp.
func (p *placement) alike(n *graph.Node) bool {
	first := p.values[n.In[dataInputs(n)[0]]].group.bounds
	for _, i := range dataInputs(n) {
		if p.values[n.In[i]].group.bounds != first {
			return false
		}
	}
	return true
}

func merge(a, b *group) {
	if a == b {
		return
	}
	for _, m := range b.members {
		m.group = a
	}
	a.members = append(a.members, b.members...)
	a.bounds = span{max(a.bounds.lo, b.bounds.lo), min(a.bounds.hi, b.bounds.hi)}
}

// watched lists the activations to calibrate: those that are not merely moved.
func (p *placement) watched() []*activation {
	var out []*activation
	for _, a := range p.order {
		if n := a.v.Def; n != nil && p.roles[n] == moves && p.values[n.In[dataInputs(n)[0]]].group == a.group {
			continue
		}
		out = append(out, a)
	}
	return out
}

// nothing tells that neither an operator becomes one of integers nor a weight of the others is stored as such.
func (p *placement) nothing() bool {
	if len(p.order) > 0 {
		return false
	}
	found := false
	var look func(g *graph.Graph)
	look = func(g *graph.Graph) {
		found = found || len(storedOf(g, p.o, nil)) > 0
		for _, n := range g.Nodes {
			for _, b := range graph.Bodies(n.Op) {
				look(b)
			}
		}
	}
	look(p.g)
	return !found
}
