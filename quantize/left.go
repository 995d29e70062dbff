package quantize

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// Left is a constant of the result that is still real numbers.
type Left struct {
	Name     string
	Node, Op string // the first that reads it
	Why      string
	Bytes    int
	Share    float64 // of the bytes of all constants of the result, in percent
}

// notable is the share of the constants, in percent, from which one that is left is told of.
const notable = 1

// left lists the real constants of g and its bodies that make up a notable part of it, the largest first.
func left(g *graph.Graph, o Options) []Left {
	var all []Left
	total := 0
	var look func(g *graph.Graph)
	look = func(g *graph.Graph) {
		f := finder{o: o, uses: map[*graph.Graph]map[*graph.Value][]graph.Use{}}
		seen := map[*graph.Value]bool{}
		for _, n := range g.Nodes {
			for i, v := range n.In {
				if !v.IsConst() || seen[v] {
					continue
				}
				seen[v] = true
				total += v.Const.Bytes()
				if v.DType.IsFloat() && v.DType != tensor.Float8E4M3FN {
					all = append(all, Left{Name: v.Name, Node: n.Name, Op: n.OpName(), Why: f.why(g, graph.Use{Node: n, Index: i}), Bytes: v.Const.Bytes()})
				}
			}
			for _, b := range graph.Bodies(n.Op) {
				look(b)
			}
		}
	}
	look(g)
	for i := range all {
		all[i].Share = 100 * float64(all[i].Bytes) / float64(max(total, 1))
	}
	all = slices.DeleteFunc(all, func(l Left) bool { return l.Share < notable || l.Bytes < 4*smallest })
	slices.SortStableFunc(all, func(a, b Left) int { return cmp.Compare(b.Bytes, a.Bytes) })
	return all
}

// why tells the reason for which a constant was left.
func (f *finder) why(g *graph.Graph, u graph.Use) string {
	v := u.Node.In[u.Index]
	ends := f.ends(g, u, true)
	switch i := slices.IndexFunc(ends, func(e end) bool { return e.weight == nil || e.excluded }); {
	case u.Node.OpName() == "DequantizeLinear" || u.Node.OpName() == "QuantizeLinear":
		return "it is the scale of integers"
	case i >= 0 && ends[i].excluded:
		return fmt.Sprintf("%q is excluded", ends[i].node.Name)
	case !isReal(v):
		return "it has one number for each channel, as biases have"
	case i >= 0:
		return fmt.Sprintf("%s computes with it element by element", ends[i].node.OpName())
	case v.Const.Len() < smallest:
		return "it is small"
	}
	return "it takes no part in a product"
}

// leftWarning says how much of the file is real numbers, if it is much.
func leftWarning(all []Left) []string {
	share := 0.0
	var parts []string
	for _, l := range all {
		share += l.Share
		if len(parts) < 3 {
			parts = append(parts, fmt.Sprintf("%q, %.1f %% (%s)", l.Name, l.Share, l.Why))
		}
	}
	if share < 10 {
		return nil
	}
	if n := len(all) - len(parts); n > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", n))
	}
	return []string{fmt.Sprintf("%.0f %% of the constants stay float: %s", share, strings.Join(parts, ", "))}
}

// leave adds to a result what is left in its graph.
func (r *Result) leave(o Options) *Result {
	r.Left = left(r.Graph, o)
	r.Warnings = append(r.Warnings, leftWarning(r.Left)...)
	return r
}
