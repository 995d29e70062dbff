package prune

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// deadChannels finds channels that no input reaches, since the weights that make them are all zero, and moves what they add
// into the biases of the layers that read them. Where that is not one number for each output channel, as before padding,
// they stay.
type deadChannels struct {
	ctx   context.Context
	o     ChannelOptions
	g     *graph.Graph
	names graph.Namer
	uses  map[*graph.Value][]graph.Use
	stay  map[spot]string // why channels stay, by a position of one of their constants
	free  map[spot]bool   // channels that change nothing where they are read, once the biases have what they add
	moved bool
}

// spot is one place along an axis.
type spot struct {
	axisOf
	at int
}

// reading is a node that ends a group's channels; those that are listed are dead.
type reading struct {
	group    *Group
	node     *graph.Node
	in       int
	channels []int
}

// foldDead does it for all groups of p's graph and gives them anew.
func (p *channelPlan) foldDead(ctx context.Context, groups []*Group, o ChannelOptions) ([]*Group, error) {
	d := &deadChannels{ctx: ctx, o: o, g: p.g, names: p.g.Names(), uses: p.g.Uses(), stay: map[spot]string{}, free: map[spot]bool{}}
	var all []reading
	for _, g := range groups {
		if g.Reason == "" {
			all = append(all, d.readings(g)...)
		}
	}
	if !slices.ContainsFunc(all, func(r reading) bool { return r.channels != nil }) {
		return groups, nil
	}
	values, err := d.observe(all)
	if err != nil {
		return nil, err
	}
	for _, r := range all {
		if err := d.move(r, values[r.node.In[r.in]]); err != nil {
			return nil, err
		}
	}
	d.freed(all)
	if d.moved {
		if err := p.g.Infer(); err != nil {
			return nil, err
		}
		if groups, err = Groups(p.g); err != nil {
			return nil, err
		}
	}
	d.mark(groups)
	return groups, nil
}

// span is where a group's channels run in a value; nil if nowhere, or along two axes.
func (g *Group) span(v *graph.Value) *Slice {
	var out *Slice
	for i := range g.spans {
		if g.spans[i].Value != v {
			continue
		}
		if out != nil {
			return nil
		}
		out = &g.spans[i]
	}
	return out
}

// readings lists the nodes that read a group's channels and do not pass them on.
func (d *deadChannels) readings(g *Group) []reading {
	dead := map[*graph.Value][]bool{}
	var out []reading
	for _, n := range g.nodes {
		w, axis, weighted := outputAxis(n)
		ends := weighted && (g.runs(w, axis) || !slices.ContainsFunc(n.Out, g.has)) && slices.ContainsFunc(g.Slices, func(s Slice) bool { return s.Value == w && s.Axis != axis })
		if !ends && slices.ContainsFunc(n.Out, g.has) && !(weighted && g.runs(w, axis)) {
			d.pass(g, n, dead)
			continue
		}
		if weighted && g.runs(w, axis) {
			d.make(g, n, dead)
		}
		if !ends && slices.ContainsFunc(n.Out, g.has) {
			continue
		}
		for i, v := range n.In {
			if !g.has(v) || v.IsConst() {
				continue
			}
			r := reading{group: g, node: n, in: i}
			for c, is := range dead[v] {
				if is {
					r.channels = append(r.channels, c)
				}
			}
			out = append(out, r)
		}
	}
	return out
}

func (g *Group) has(v *graph.Value) bool { return v != nil && g.span(v) != nil }

// make finds the channels of a layer's output that its weights do not reach. A depthwise layer passes others on.
func (d *deadChannels) make(g *Group, n *graph.Node, dead map[*graph.Value][]bool) {
	w, axis, _ := outputAxis(n)
	quant := n.Op.(graph.Quantizable).Quant()
	for i, v := range n.In {
		if i >= 2 && v != nil && !v.IsConst() || i == 0 && quant.Weight != 1 {
			return
		}
	}
	sums, _ := (Slice{Value: w, Axis: axis, Positions: g.positions(w, axis)}).sums(magnitudes(w.Const))
	x := dead[n.In[0]]
	out := make([]bool, g.Channels)
	for c, sum := range sums {
		out[c] = sum == 0 || x != nil && x[c] && !slices.ContainsFunc(g.Slices, func(s Slice) bool { return s.Value == w && s.Axis != axis })
	}
	if slices.Contains(out, true) && g.has(n.Out[0]) {
		dead[n.Out[0]] = out
	}
}

func (g *Group) positions(v *graph.Value, axis int) [][]int {
	for _, s := range g.spans {
		if s.Value == v && s.Axis == axis {
			return s.Positions
		}
	}
	return nil
}

func magnitudes(t *tensor.Tensor) []float64 {
	v := tensor.Float64s(t)
	for i, x := range v {
		v[i] = math.Abs(x)
	}
	return v
}

// pass marks what a node that keeps channels apart makes of dead ones alone.
func (d *deadChannels) pass(g *Group, n *graph.Node, dead map[*graph.Value][]bool) {
	if graph.TraitsOf(n.Op).Random {
		return
	}
	q, ok := n.Op.(graph.Quantizable)
	joins := ok && q.Quant().Moves && q.Quant().All
	out := slices.Repeat([]bool{true}, g.Channels)
	for _, v := range n.In {
		if v == nil || v.IsConst() || joins && !g.has(v) {
			continue
		}
		for c := range out {
			out[c] = out[c] && dead[v] != nil && dead[v][c]
		}
	}
	if !slices.Contains(out, true) {
		return
	}
	for _, v := range n.Out {
		if g.has(v) {
			dead[v] = out
		}
	}
}

// observe runs the graph up to what is read, on zeros: dead channels are the same on any input.
func (d *deadChannels) observe(all []reading) (map[*graph.Value]*tensor.Tensor, error) {
	var want []*graph.Value
	for _, r := range all {
		if v := r.node.In[r.in]; r.channels != nil && !slices.Contains(want, v) {
			want = append(want, v)
		}
	}
	one, _, _, err := d.g.OneSample(d.o.Dims)
	if err != nil {
		return nil, err
	}
	var b data.Batch
	for _, v := range one.Inputs {
		shape, ok := v.Fixed()
		if !ok {
			return nil, fmt.Errorf("dead channels: input %q has no fixed size", v.Name)
		}
		b.In = append(b.In, tensor.New(v.DType, shape...))
	}
	b.Names = []string{"zeros"}
	s := &session{ctx: d.ctx, o: Options{Threads: d.o.Threads}}
	p, err := s.prefix(d.g, want)
	if err != nil {
		return nil, err
	}
	defer p.close()
	list, err := p.run(d.ctx, b)
	if err != nil {
		return nil, err
	}
	out := map[*graph.Value]*tensor.Tensor{}
	for i, v := range want {
		out[v] = list[i].Clone()
	}
	return out, nil
}

// move gives the bias of a layer what its dead channels add.
func (d *deadChannels) move(r reading, x *tensor.Tensor) error {
	if r.channels == nil {
		return nil
	}
	only, any := alone(x, r.group.span(r.node.In[r.in]), r.channels)
	if !any {
		return nil
	}
	w, axis, ok := outputAxis(r.node)
	if !ok || r.in != 0 || len(d.uses[w]) > 1 {
		d.keep(r, x, "it does not only add up its inputs")
		return nil
	}
	added, err := d.added(r.node, only)
	if err != nil {
		return err
	}
	if added == nil || !d.addBias(r.node, added) {
		d.keep(r, x, "what they add is not the same at every place, as at padding")
		return nil
	}
	for _, t := range r.group.Slices {
		if t.Value != w || t.Axis == axis {
			continue
		}
		v := tensor.Float64s(w.Const)
		for _, c := range r.channels {
			t.each(c, func(i int) { v[i] = 0 })
		}
		zeroed := tensor.New(w.DType, w.Const.Shape...)
		if err := tensor.SetFloat64s(zeroed, v); err != nil {
			return err
		}
		w.Const = zeroed
	}
	d.moved = true
	return nil
}

// each calls f with the elements of a channel.
func (s Slice) each(c int, f func(i int)) {
	shape, ok := s.Value.Fixed()
	if !ok {
		return
	}
	eachAt(shape, s.Axis, s.Positions[c], f)
}

func eachAt(shape []int, axis int, positions []int, f func(i int)) {
	outer, inner := tensor.Size(shape[:axis]), tensor.Size(shape[axis+1:])
	for _, at := range positions {
		for o := range outer {
			for i := range inner {
				f((o*shape[axis]+at)*inner + i)
			}
		}
	}
}

// alone is x with the channels that are listed, zero elsewhere; any: one of them is not zero.
func alone(x *tensor.Tensor, s *Slice, channels []int) (only *tensor.Tensor, any bool) {
	v := tensor.Float64s(x)
	out := make([]float64, len(v))
	for _, c := range channels {
		eachAt(x.Shape, s.Axis, s.Positions[c], func(i int) {
			out[i] = v[i]
			any = any || v[i] != 0
		})
	}
	only = tensor.New(x.DType, x.Shape...)
	_ = tensor.SetFloat64s(only, out) // as it was
	return only, any
}

// added is what a layer makes of x, by output channel and without its bias; nil if it differs from place to place.
func (d *deadChannels) added(n *graph.Node, x *tensor.Tensor) ([]float64, error) {
	q := n.Op.(graph.Quantizable).Quant()
	out := []*tensor.Tensor{{}}
	if err := graph.RunKernel(&graph.Exec{Ctx: d.ctx, Node: n}, n.Op, []*tensor.Tensor{x, n.In[q.Weight].Const}, out); err != nil {
		return nil, graph.NodeError(n, err)
	}
	axis := q.Out
	if axis < 0 {
		axis += len(out[0].Shape)
	}
	v := tensor.Float64s(out[0])
	sums, largest := make([]float64, out[0].Shape[axis]), 0.
	for _, y := range v {
		largest = max(largest, math.Abs(y))
	}
	same := true
	for c := range sums {
		first := true
		eachAt(out[0].Shape, axis, []int{c}, func(i int) {
			if first {
				sums[c], first = v[i], false
			}
			same = same && math.Abs(v[i]-sums[c]) <= 1e-6*largest
		})
	}
	if !same {
		return nil, nil
	}
	return sums, nil
}

// addBias adds to the bias of a layer, which gets one if it has none.
func (d *deadChannels) addBias(n *graph.Node, added []float64) bool {
	q := n.Op.(graph.Quantizable).Quant()
	if g, ok := n.Op.(ops.Gemm); ok && g.Beta != 1 {
		return false
	}
	if q.Bias == 0 {
		return d.addAfter(n, q.Out, added)
	}
	total := slices.Clone(added)
	old := optionalInput(n, q.Bias)
	if old != nil {
		if !old.IsConst() || old.Const.Len() != len(added) && old.Const.Len() != 1 {
			return false
		}
		for i := range total {
			total[i] += tensor.Float64s(old.Const)[i%old.Const.Len()]
		}
	}
	t := tensor.New(n.In[q.Weight].DType, len(total))
	if tensor.SetFloat64s(t, total) != nil {
		return false
	}
	if old != nil && len(d.uses[old]) == 1 && slices.Equal(old.Const.Shape, t.Shape) {
		old.Const = t
		return true
	}
	for len(n.In) <= q.Bias {
		n.In = append(n.In, nil)
	}
	n.In[q.Bias] = graph.NewConst(d.names.Fresh(n.Name+"_bias"), t)
	return true
}

func optionalInput(n *graph.Node, i int) *graph.Value {
	if i >= len(n.In) {
		return nil
	}
	return n.In[i]
}

// addAfter adds to the result of a product of matrices.
func (d *deadChannels) addAfter(n *graph.Node, axis int, added []float64) bool {
	v := n.Out[0]
	if axis != -1 {
		return false
	}
	t := tensor.New(v.DType, len(added))
	if tensor.SetFloat64s(t, added) != nil {
		return false
	}
	product := &graph.Value{Name: d.names.Fresh(v.Name + "_product"), Def: n, Fact: v.Fact}
	sum := &graph.Node{Name: d.names.Fresh(n.Name + "_add"), Op: ops.Add{}, In: []*graph.Value{product, graph.NewConst(d.names.Fresh(n.Name+"_bias"), t)}, Out: []*graph.Value{v}}
	n.Out[0], v.Def = product, sum
	d.g.Nodes = slices.Insert(d.g.Nodes, slices.Index(d.g.Nodes, n)+1, sum)
	return true
}

// keep makes the channels of a reading stay that are not zero there.
func (d *deadChannels) keep(r reading, x *tensor.Tensor, why string) {
	s := r.group.span(r.node.In[r.in])
	for _, c := range r.channels {
		if _, any := alone(x, s, []int{c}); any {
			if at := r.group.key(c); d.stay[at] == "" {
				d.stay[at] = fmt.Sprintf("%s: %s", describe(r.node), why)
			}
		}
	}
}

// key is a position of a channel that no other channel has.
func (g *Group) key(c int) spot {
	s := g.Slices[0]
	return spot{axisOf{s.Value, s.Axis}, s.Positions[c][0]}
}

// freed are the channels that are dead wherever they are read.
func (d *deadChannels) freed(all []reading) {
	count, readers := map[spot]int{}, map[*Group]int{}
	for _, r := range all {
		readers[r.group]++
		for _, c := range r.channels {
			count[r.group.key(c)]++
		}
	}
	for _, r := range all {
		for _, c := range r.channels {
			k := r.group.key(c)
			d.free[k] = count[k] == readers[r.group] && d.stay[k] == ""
		}
	}
}

// mark tells the groups which of their channels stay and which are free.
func (d *deadChannels) mark(groups []*Group) {
	for _, g := range groups {
		g.stays, g.free = make([]string, g.Channels), make([]bool, g.Channels)
		for c := range g.Channels {
			for _, s := range g.Slices {
				for _, at := range s.Positions[c] {
					k := spot{axisOf{s.Value, s.Axis}, at}
					if why := d.stay[k]; why != "" {
						g.stays[c] = why
					}
					g.free[c] = g.free[c] || d.free[k]
				}
			}
		}
	}
}

// staying says which dead channels stay, and why.
func staying(groups []*Group) []string {
	var out []string
	for _, g := range groups {
		count, first := 0, ""
		for _, why := range g.stays {
			if why != "" {
				count++
				first = why
			}
		}
		if count > 0 {
			out = append(out, fmt.Sprintf("%d of %d channels of %q stay although their weights are zero: %s", count, g.Channels, g.Name, first))
		}
	}
	return out
}
