// Package optimize holds the passes that keep a graph's meaning.
package optimize

import "github.com/tfsopt/tfsopt/graph"

// removeDead drops nodes whose outputs nobody reads and returns how many.
func removeDead(g *graph.Graph) int {
	live := map[*graph.Node]bool{}
	var mark func(v *graph.Value)
	mark = func(v *graph.Value) {
		if v == nil || v.Def == nil || live[v.Def] {
			return
		}
		live[v.Def] = true
		for _, in := range v.Def.In {
			mark(in)
		}
	}
	for _, n := range g.Nodes {
		for _, v := range n.Out {
			if v != nil && g.IsOutput(v) {
				mark(v)
			}
		}
	}
	return g.Remove(func(n *graph.Node) bool { return !live[n] })
}
