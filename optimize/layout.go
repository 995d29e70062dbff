package optimize

import (
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
)

// Side says in which order of axes a node computes.
type Side int

// A node that is Free computes in either order, as its operator permutes (graph.Permuter); one that is Fixed stays in
// the order that the graph gives it, one that is Turned computes in the other.
const (
	Free Side = iota
	Fixed
	Turned
)

// Choice says where a node computes and, unless it is Fixed, what it becomes when it is turned. Transposes are not
// asked for.
type Choice func(n *graph.Node) (graph.Permuted, Side)

// Permutes is the Choice that leaves all nodes Free whose operators permute.
func Permutes(order []int) Choice {
	return func(n *graph.Node) (graph.Permuted, Side) {
		op, ok := n.Op.(graph.Permuter)
		if !ok {
			return graph.Permuted{}, Fixed
		}
		in := make([]graph.Fact, len(n.In))
		for i, v := range n.In {
			if v != nil {
				in[i] = v.Fact
			}
		}
		p, ok := op.Permute(in, len(n.Out), order)
		if !ok {
			return p, Fixed
		}
		return p, Free
	}
}

// Layout turns the Free nodes that Turn chooses, with Transposes around them. A node that is Turned stays as the graph has
// it: the caller replaces it by something that computes in the other order, for which those Transposes vanish.
func Layout(g *graph.Graph, order []int, choose Choice) error {
	turned, _ := Turn(g, order, choose)
	if len(turned) == 0 {
		return nil
	}
	e := edit(g)
	e.turn(turned, order)
	e.joinTransposes()
	_, err := e.finish()
	return err
}

// Turn chooses which nodes compute with the axes of their data reordered, so that the fewest bytes are transposed
// between those that do and those that do not: the minimum cut. A Transpose costs nothing where it meets its inverse. Of two
// choices that cost the same, the one with the later Transposes is better, since what follows a product may then join
// it; the fewest nodes are turned. The result holds those that were Free; saved reports whether it is cheaper than to turn none.
func Turn(g *graph.Graph, order []int, choose Choice) (turned map[*graph.Node]graph.Permuted, saved bool) {
	known := g.Index()
	t := &turning{
		order: order, inverse: graph.Inverse(order), uses: known.Uses, leaves: known.Leaves, cut: newCut(),
		index: map[*graph.Node]int{}, permuted: map[*graph.Node]graph.Permuted{}, late: map[*graph.Node]int64{},
	}
	var free []*graph.Node
	for i, n := range g.Nodes {
		t.late[n] = int64(i + 1)
		if perm(n) != nil {
			continue
		}
		p, side := choose(n)
		if side == Fixed {
			continue
		}
		t.index[n], t.permuted[n] = t.cut.node(), p
		if side == Turned {
			t.cut.link(cutSource, t.index[n], always)
		} else {
			free = append(free, n)
		}
	}
	if len(free) == 0 {
		return nil, false
	}
	for _, n := range free {
		t.operands(n)
	}
	for _, v := range g.Values() {
		t.value(v)
	}
	cost, reached := t.cut.minimum()
	turned = map[*graph.Node]graph.Permuted{}
	for _, n := range free {
		if reached[t.index[n]] {
			turned[n] = t.permuted[n]
		}
	}
	return turned, cost < t.present
}

// turning is the network of a Turn: nodes on the source's side are turned.
type turning struct {
	order, inverse []int
	uses           map[*graph.Value][]graph.Use
	leaves         map[*graph.Value]bool
	cut            *cut
	index          map[*graph.Node]int            // of those that may turn
	permuted       map[*graph.Node]graph.Permuted // what each would become
	present        int64                          // the cost of turning none
	late           map[*graph.Node]int64          // the place of each in the graph
}

// operands adds the cost of what comes in orders of its own when n is turned.
func (t *turning) operands(n *graph.Node) {
	p, at := t.permuted[n], t.index[n]
	for i, v := range n.In {
		if i < len(p.In) && v != nil && !v.IsConst() && p.In[i] != nil && !t.in(n, i) && !t.joins(v, v.Def) {
			t.cut.link(at, cutSink, t.weight(v, p.In[i]))
		}
	}
	for i, v := range n.Out {
		if v != nil && p.Out[i] != nil && !graph.InPlace(p.Out[i]) && !t.out(n, i) && (len(t.uses[v]) != 1 || !t.joins(v, t.uses[v][0].Node)) {
			t.cut.link(at, cutSink, t.weight(v, graph.Inverse(p.Out[i])))
		}
	}
}

// joins reports whether v has one end at a Transpose, which another order joins.
func (t *turning) joins(v *graph.Value, n *graph.Node) bool {
	return perm(n) != nil && len(t.uses[v]) == 1 && !t.leaves[v]
}

// in reports whether input i of a turned n is wanted in the order of the data.
func (t *turning) in(n *graph.Node, i int) bool {
	p, ok := t.permuted[n]
	return ok && i < len(p.In) && slices.Equal(p.In[i], t.order) && n.In[i].Rank() == len(t.order)
}

// out reports whether output i of a turned n comes in the order of the data.
func (t *turning) out(n *graph.Node, i int) bool {
	p, ok := t.permuted[n]
	return ok && slices.Equal(p.Out[i], t.order)
}

// perm is the order of the Transpose that n is, nil if it is none.
func perm(n *graph.Node) []int {
	if n == nil {
		return nil
	}
	op, _ := n.Op.(ops.Transpose)
	return op.Perm
}

// value adds what it costs when some of those who make and read v are turned and others not. One transpose serves all
// readers on the other side.
func (t *turning) value(v *graph.Value) {
	if v.IsConst() || v.Rank() != len(t.order) {
		return
	}
	asIs, turned := t.cut.node(), t.cut.node() // v as it is, and transposed: who reads it so
	w := t.from(v, asIs, turned)
	fixed := t.leaves[v]
	for _, u := range t.uses[v] {
		i, free := t.index[u.Node]
		switch {
		case free && t.in(u.Node, u.Index):
			t.cut.link(asIs, i, always)
			t.cut.link(i, turned, always)
		case t.meets(u.Node):
			t.cut.link(cutSource, turned, always)
			t.present += w
		default:
			fixed = true
		}
	}
	if fixed {
		t.cut.link(asIs, cutSink, always)
	}
}

// meets reports whether n is a Transpose that vanishes if what makes its input is turned. One that vanishes if a reader of its
// output is turned counts as that.
func (t *turning) meets(n *graph.Node) bool {
	if !slices.Equal(perm(n), t.order) {
		return false
	}
	in := n.In[0]
	if _, free := t.index[in.Def]; !free || !t.out(in.Def, slices.Index(in.Def.Out, in)) {
		return false
	}
	return !slices.Equal(t.order, t.inverse) || !slices.ContainsFunc(t.uses[n.Out[0]], func(u graph.Use) bool { return t.in(u.Node, u.Index) })
}

// from links v's two forms with what makes it, and gives the cost of going from one to the other. A Transpose
// makes both at that cost, the inverse of the order the second for nothing.
func (t *turning) from(v *graph.Value, asIs, turned int) int64 {
	if p := perm(v.Def); p != nil && !t.meets(v.Def) {
		w := t.weight(v.Def.In[0], p)
		t.cut.link(cutSource, asIs, w)
		if t.present += w; !slices.Equal(p, t.inverse) {
			t.cut.link(turned, cutSink, t.weight(v.Def.In[0], graph.Compose(p, t.order)))
		}
		return w
	}
	w, made := t.weight(v, t.order), cutSink
	if i, ok := t.index[v.Def]; ok && t.out(v.Def, slices.Index(v.Def.Out, v)) {
		made = i
	}
	t.cut.link(made, asIs, w)
	t.cut.link(turned, made, w)
	return w
}

// maxNodes is how many nodes one byte outweighs.
const maxNodes = 1 << 16

// weight is the cost of transposing a value: its bytes, unless only dimensions of size 1 move, then how early it is
// made. Symbolic dimensions count 8.
func (t *turning) weight(v *graph.Value, order []int) int64 {
	late := maxNodes - min(t.late[v.Def], maxNodes)
	if movesOnes(v.Shape, order) {
		return late
	}
	size := int64(max(v.DType.Bits(), 8) / 8)
	for _, d := range v.Shape {
		bind := map[string]int{}
		for _, name := range d.Names() {
			bind[name] = 8
		}
		n, ok := d.Bind(bind).Value()
		if !ok {
			n = 8
		}
		size = min(size*int64(max(n, 1)), 1<<40)
	}
	return size*maxNodes + late
}

// movesOnes reports whether an order leaves the elements of a tensor where they are.
func movesOnes(shape []graph.Dim, order []int) bool {
	last, lead := -1, len(order)-len(shape) // leading dimensions of 1 are still to come
	for _, p := range order {
		if p < lead || shape[p-lead].Is(1) {
			continue
		}
		if p < last {
			return false
		}
		last = p
	}
	return true
}
