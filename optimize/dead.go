// Package optimize holds the passes that keep a graph's meaning.
package optimize

import (
	"context"

	"github.com/tfsopt/tfsopt/graph"
)

// Dead drops nodes whose outputs nobody reads, marks unread second outputs as omitted, and forgets initializers that
// nothing uses. Operators that we do not know stay: they may do more than compute.
type Dead struct{}

// Name is "dead".
func (Dead) Name() string { return "dead" }

// Apply counts nodes and initializers.
func (Dead) Apply(_ context.Context, g *graph.Graph) (int, error) {
	changes := removeDead(g) + len(g.Unused)
	g.Unused = nil
	return changes + omitUnread(g), nil
}

// removeDead drops nodes whose outputs nobody reads and returns how many.
func removeDead(g *graph.Graph) int {
	index, live := g.Index(), map[*graph.Node]bool{}
	var stack []*graph.Node
	mark := func(v *graph.Value) {
		if v != nil && v.Def != nil && !live[v.Def] {
			live[v.Def] = true
			stack = append(stack, v.Def)
		}
	}
	for v := range index.Leaves {
		mark(v)
	}
	for _, n := range g.Nodes {
		if _, ok := n.Op.(graph.Opaque); ok && !live[n] {
			live[n] = true
			stack = append(stack, n)
		}
	}
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		for _, v := range n.In {
			mark(v)
		}
	}
	return g.Remove(func(n *graph.Node) bool {
		if !live[n] {
			index.SetIn(n)
		}
		return !live[n]
	})
}

// omitUnread leaves out trailing outputs that nobody reads where the operator allows it: computing them costs time.
func omitUnread(g *graph.Graph) (changes int) {
	index := g.Index()
	for _, n := range g.Nodes {
		first := graph.TraitsOf(n.Op).Optional
		for first > 0 && len(n.Out) > first {
			v := n.Out[len(n.Out)-1]
			if v != nil && (index.Leaves[v] || len(index.Uses[v]) > 0) {
				break
			}
			n.Out = n.Out[:len(n.Out)-1]
			changes++
		}
	}
	return changes
}
