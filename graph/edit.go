package graph

import (
	"container/heap"
	"errors"
	"fmt"
	"strconv"
)

// Use is one place where a value is read.
type Use struct {
	Node  *Node
	Index int
}

// Uses maps each value to the node inputs that read it. Graph outputs are not in it: see IsOutput.
func (g *Graph) Uses() map[*Value][]Use {
	uses := make(map[*Value][]Use, len(g.Nodes))
	for _, n := range g.Nodes {
		for i, v := range n.In {
			if v != nil {
				uses[v] = append(uses[v], Use{n, i})
			}
		}
	}
	return uses
}

// IsOutput tells whether v leaves the graph: through Outputs, a signature or a state's next value.
func (g *Graph) IsOutput(v *Value) bool {
	found := false
	g.ports(func(p **Value) { found = found || *p == v })
	return found
}

// ports visits every place by which values leave the graph.
func (g *Graph) ports(visit func(p **Value)) {
	for i := range g.Outputs {
		visit(&g.Outputs[i])
	}
	for i := range g.Signatures {
		s := &g.Signatures[i]
		for j := range s.Inputs {
			if v := s.Inputs[j].Value; v != nil && v.Def != nil { // fed in the middle: it must stay
				visit(&s.Inputs[j].Value)
			}
		}
		for j := range s.Outputs {
			visit(&s.Outputs[j].Value)
		}
		for j := range s.Next {
			visit(&s.Next[j].Value)
		}
	}
}

// Replace makes every reader of old, inside and at the outputs, read new. An output keeps its name: when old is an
// output, new takes old's name and old gets new's, provided that new is made by a node and is no output itself; the
// caller inserts an Identity otherwise (see CanRename).
func (g *Graph) Replace(old, new *Value) {
	if g.IsOutput(old) && g.CanRename(new) {
		old.Name, new.Name = new.Name, old.Name
	}
	for _, n := range g.Nodes {
		for i, v := range n.In {
			if v == old {
				n.In[i] = new
			}
		}
	}
	g.ports(func(p **Value) {
		if *p == old {
			*p = new
		}
	})
}

// CanRename tells whether v's name is free to change: it is made by a node and does not leave the graph.
func (g *Graph) CanRename(v *Value) bool { return v.Def != nil && !g.IsOutput(v) }

// CanReplace tells whether readers of old may read new instead without changing what the outputs are called.
func (g *Graph) CanReplace(old, new *Value) bool { return !g.IsOutput(old) || g.CanRename(new) }

// Remove drops the nodes that drop selects.
func (g *Graph) Remove(drop func(*Node) bool) (removed int) {
	kept := g.Nodes[:0]
	for _, n := range g.Nodes {
		if drop(n) {
			removed++
			continue
		}
		kept = append(kept, n)
	}
	clear(g.Nodes[len(kept):])
	g.Nodes = kept
	return removed
}

// Values lists every value once: inputs, then constants and node outputs as nodes meet them, then outputs.
func (g *Graph) Values() []*Value {
	seen := map[*Value]bool{}
	var out []*Value
	add := func(v *Value) {
		if v != nil && !seen[v] {
			seen[v] = true
			out = append(out, v)
		}
	}
	for _, v := range g.Inputs {
		add(v)
	}
	for _, s := range g.States {
		add(s.Value)
	}
	for _, n := range g.Nodes {
		for _, v := range n.In {
			add(v)
		}
		for _, v := range n.Out {
			add(v)
		}
	}
	g.ports(func(p **Value) { add(*p) })
	for _, v := range g.Unused {
		add(v)
	}
	return out
}

// Value finds a value by name, nil if there is none.
func (g *Graph) Value(name string) *Value {
	for _, v := range g.Values() {
		if v.Name == name {
			return v
		}
	}
	return nil
}

// Walk visits every node, bodies included, outer nodes first.
func (g *Graph) Walk(visit func(*Node)) {
	for _, n := range g.Nodes {
		visit(n)
		for _, b := range Bodies(n.Op) {
			b.Walk(visit)
		}
	}
}

type order struct {
	nodes []*Node
	rank  map[*Node]int
}

func (o order) Len() int           { return len(o.nodes) }
func (o order) Less(i, j int) bool { return o.rank[o.nodes[i]] < o.rank[o.nodes[j]] }
func (o order) Swap(i, j int)      { o.nodes[i], o.nodes[j] = o.nodes[j], o.nodes[i] }
func (o *order) Push(x any)        { o.nodes = append(o.nodes, x.(*Node)) }
func (o *order) Pop() any {
	n := o.nodes[len(o.nodes)-1]
	o.nodes = o.nodes[:len(o.nodes)-1]
	return n
}

// Sort orders Nodes so that each stands behind what it reads, otherwise in their present order (Kahn's algorithm with
// the smallest position first). It fails on a cycle, naming a node of it.
func (g *Graph) Sort() error {
	o := &order{rank: make(map[*Node]int, len(g.Nodes))}
	waits := make(map[*Node]int, len(g.Nodes))
	readers := make(map[*Node][]*Node, len(g.Nodes))
	for i, n := range g.Nodes {
		o.rank[n] = i
		for _, v := range n.In {
			if v != nil && v.Def != nil {
				waits[n]++
				readers[v.Def] = append(readers[v.Def], n)
			}
		}
	}
	for _, n := range g.Nodes {
		if waits[n] == 0 {
			heap.Push(o, n)
		}
	}
	sorted := make([]*Node, 0, len(g.Nodes))
	for o.Len() > 0 {
		n := heap.Pop(o).(*Node)
		sorted = append(sorted, n)
		for _, r := range readers[n] {
			if waits[r]--; waits[r] == 0 {
				heap.Push(o, r)
			}
		}
	}
	if len(sorted) < len(g.Nodes) {
		for _, n := range g.Nodes {
			if waits[n] > 0 {
				return NodeError(n, errors.New("is part of a cycle or reads a value that no node of this graph makes"))
			}
		}
	}
	g.Nodes = sorted
	return nil
}

// SortDeep sorts g and every body in it.
func (g *Graph) SortDeep() error {
	if err := g.Sort(); err != nil {
		return err
	}
	for _, n := range g.Nodes {
		for _, b := range Bodies(n.Op) {
			if err := b.SortDeep(); err != nil {
				return NodeError(n, err)
			}
		}
	}
	return nil
}

// Check verifies the structure: unique names, definitions that match, outputs that exist, closed bodies.
func (g *Graph) Check() error {
	known := map[*Value]bool{}
	names := map[string]*Value{}
	var errs []error
	name := func(v *Value) {
		if other := names[v.Name]; other != nil && other != v {
			errs = append(errs, fmt.Errorf("two values are named %q", v.Name))
		}
		names[v.Name] = v
		known[v] = true
	}
	for _, v := range g.Inputs {
		name(v)
	}
	for _, s := range g.States {
		name(s.Value)
	}
	for _, n := range g.Nodes {
		for i, v := range n.Out {
			if v == nil {
				continue
			}
			name(v)
			if v.Def != n {
				errs = append(errs, NodeError(n, fmt.Errorf("output %d is defined elsewhere", i)))
			}
		}
	}
	reach := func(v *Value) bool {
		if v.IsConst() {
			name(v)
		}
		return known[v]
	}
	for _, n := range g.Nodes {
		for i, v := range n.In {
			if v != nil && !reach(v) {
				errs = append(errs, NodeError(n, fmt.Errorf("input %d (%q) is not in this graph", i, v.Name)))
			}
		}
		for _, b := range Bodies(n.Op) {
			errs = append(errs, NodeError(n, b.Check()))
		}
	}
	g.ports(func(p **Value) {
		if *p == nil || !reach(*p) {
			errs = append(errs, errors.New("an output is made by no node of this graph"))
		}
	})
	errs = append(errs, g.checkEntries(reach)...)
	return errors.Join(errs...)
}

// Namer gives names that are not yet taken in a graph.
type Namer map[string]bool

// Names collects the names of g's values and nodes.
func (g *Graph) Names() Namer {
	names := Namer{}
	for _, v := range g.Values() {
		names[v.Name] = true
	}
	for _, n := range g.Nodes {
		names[n.Name] = true
	}
	return names
}

// Fresh gives base or, if it is taken, base_1, base_2, …, and takes it.
func (names Namer) Fresh(base string) string {
	name := base
	for i := 1; names[name]; i++ {
		name = base + "_" + strconv.Itoa(i)
	}
	names[name] = true
	return name
}
