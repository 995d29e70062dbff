package graph

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

// IsOutput reports whether v leaves the graph: through Outputs, a signature or a state's next value.
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

// CanRename reports whether v's name is free to change: it is made by a node and does not leave the graph.
func (g *Graph) CanRename(v *Value) bool { return v.Def != nil && !g.IsOutput(v) }

// CanReplace reports whether readers of old may read new instead without changing what the outputs are called.
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
