package distill

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
)

// block is a residual block that can be left out: an Add whose one operand is the shortcut itself.
type block struct {
	add      *graph.Node
	shortcut int // which input
}

// Shallow gives a copy of g with a share of its residual blocks, those whose shortcut is the identity: the others are
// left out, evenly spread, at least one if keep is below 1. It fails if there is no such block.
func Shallow(g *graph.Graph, keep float64) (*graph.Graph, error) {
	g = g.Clone()
	if err := g.Infer(); err != nil {
		return nil, err
	}
	blocks := residuals(g)
	if len(blocks) == 0 {
		return nil, fmt.Errorf("no residual block can be left out: no Add takes a value and what was computed from it alone, of one shape")
	}
	stay := int(math.Round(keep * float64(len(blocks))))
	if keep < 1 {
		stay = min(stay, len(blocks)-1)
	}
	for i, b := range blocks {
		if (i+1)*stay/len(blocks) > i*stay/len(blocks) { // evenly spread
			continue
		}
		g.Replace(b.add.Out[0], b.add.In[b.shortcut])
	}
	sweep(g)
	if err := g.Infer(); err != nil {
		return nil, err
	}
	return g, g.Check()
}

// residuals finds the blocks in the graph's order.
func residuals(g *graph.Graph) []block {
	var out []block
	for _, n := range g.Nodes {
		if n.OpName() != "Add" || len(n.In) != 2 || !g.CanRename(n.Out[0]) {
			continue
		}
		for i, shortcut := range n.In {
			branch := n.In[1-i]
			if shortcut.Def != nil && branch.Def != nil && branch != shortcut && shortcut.Type.String() == branch.Type.String() && dependsOn(branch, shortcut) {
				out = append(out, block{n, i})
				break
			}
		}
	}
	return out
}

// dependsOn reports whether v was computed from `from`.
func dependsOn(v, from *graph.Value) bool {
	seen := map[*graph.Value]bool{}
	var visit func(v *graph.Value) bool
	visit = func(v *graph.Value) bool {
		if v == nil || seen[v] {
			return false
		}
		seen[v] = true
		if v == from {
			return true
		}
		if v.Def == nil {
			return false
		}
		for _, w := range v.Def.In {
			if visit(w) {
				return true
			}
		}
		return false
	}
	return visit(v)
}

// sweep removes nodes that no output needs.
func sweep(g *graph.Graph) {
	for {
		uses := g.Uses()
		if g.Remove(func(n *graph.Node) bool {
			for _, v := range n.Out {
				if v != nil && (len(uses[v]) > 0 || g.IsOutput(v)) {
					return false
				}
			}
			return true
		}) == 0 {
			return
		}
	}
}
