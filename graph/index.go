package graph

import "slices"

// Index knows who reads each value of a graph and what leaves it. Whoever changes the graph while a Pipeline runs keeps it
// true by its methods.
type Index struct {
	Uses   map[*Value][]Use
	Leaves map[*Value]bool // the values for which IsOutput holds
}

// Index gives the index that a running Pipeline keeps of g, else a new one.
func (g *Graph) Index() Index {
	if g.index.Uses != nil {
		return g.index
	}
	x := Index{Uses: g.Uses(), Leaves: map[*Value]bool{}}
	g.ports(func(p **Value) { x.Leaves[*p] = true })
	return x
}

// SetIn gives n other inputs, none to forget it.
func (x Index) SetIn(n *Node, in ...*Value) {
	for _, v := range n.In {
		if v != nil {
			x.Uses[v] = slices.DeleteFunc(x.Uses[v], func(u Use) bool { return u.Node == n })
		}
	}
	n.In = in
	for i, v := range in {
		if v != nil {
			x.Uses[v] = append(x.Uses[v], Use{n, i})
		}
	}
}
