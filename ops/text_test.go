package ops

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// TestTextForm prints a graph of each case, its inputs constants, and reads it back.
func TestTextForm(t *testing.T) {
	for name, list := range cases {
		for i, c := range list {
			n := &graph.Node{Name: "n", Op: c.op}
			g := &graph.Graph{Name: fmt.Sprintf("%s %d", name, i), Nodes: []*graph.Node{n}}
			for j, x := range c.in {
				var v *graph.Value
				if x != nil {
					v = graph.NewConst(fmt.Sprintf("in%d", j), x)
				}
				n.In = append(n.In, v)
			}
			for j := range max(c.outs, len(c.out)) {
				v := &graph.Value{Name: fmt.Sprintf("out%d", j), Def: n, Fact: graph.Fact{Type: graph.AnyRank(tensor.Undefined)}}
				n.Out, g.Outputs = append(n.Out, v), append(g.Outputs, v)
			}
			first := textOf(t, g)
			back, err := graph.Parse(strings.NewReader(first))
			if err != nil {
				t.Errorf("%s: %v in\n%s", g.Name, err, first)
				continue
			}
			if diff := cmp.Diff(first, textOf(t, back)); diff != "" {
				t.Errorf("%s: %s", g.Name, diff)
			}
			for j, v := range back.Nodes[0].In {
				if v != nil && !v.Const.Equal(c.in[j]) {
					t.Errorf("%s: input %d is %v, want %v", g.Name, j, v.Const, c.in[j])
				}
			}
		}
	}
}

func textOf(t *testing.T, g *graph.Graph) string {
	t.Helper()
	var b strings.Builder
	if err := graph.Print(&b, g, graph.PrintOptions{Data: true}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
