package optimize

import (
	"testing"

	"github.com/tfsopt/tfsopt/graph"
)

// indexTrue gives a function for Pipeline.Run that compares the index, as the passes kept it, with the graph.
func indexTrue(t *testing.T) func(graph.PassResult, *graph.Graph) {
	return func(r graph.PassResult, g *graph.Graph) {
		kept, uses := g.Index(), g.Uses()
		for v, list := range kept.Uses {
			if len(list) == 0 {
				continue
			}
			if len(list) != len(uses[v]) {
				t.Errorf("after %s %q has %d readers, kept are %d", r.Pass, v.Name, len(uses[v]), len(list))
			}
			for _, u := range list {
				if u.Index >= len(u.Node.In) || u.Node.In[u.Index] != v {
					t.Errorf("after %s input %d of %q is not %q any more", r.Pass, u.Index, u.Node.Name, v.Name)
				}
			}
		}
		for v := range uses {
			if len(kept.Uses[v]) == 0 {
				t.Errorf("after %s the readers of %q are not kept", r.Pass, v.Name)
			}
		}
		for _, v := range g.Values() {
			if kept.Leaves[v] != g.IsOutput(v) {
				t.Errorf("after %s %q leaves the graph: kept is %v", r.Pass, v.Name, kept.Leaves[v])
			}
		}
	}
}
