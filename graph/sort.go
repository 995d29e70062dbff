package graph

import (
	"container/heap"
	"errors"
)

// Sort orders Nodes so that each stands after what it reads, otherwise in their present order (Kahn's algorithm with
// the smallest position first). It fails on a cycle, naming a node of it.
func (g *Graph) Sort() error {
	if g.sorted() {
		return nil
	}
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

// sorted reports whether each node stands after what it reads.
func (g *Graph) sorted() bool {
	before := make(map[*Node]bool, len(g.Nodes))
	for _, n := range g.Nodes {
		for _, v := range n.In {
			if v != nil && v.Def != nil && !before[v.Def] {
				return false
			}
		}
		before[n] = true
	}
	return true
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
