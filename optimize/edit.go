package optimize

import (
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// editor is a graph under change: it knows who reads each value and keeps that true. Every pass makes one and ends with
// finish.
type editor struct {
	g       *graph.Graph
	b       *graph.Builder
	index   graph.Index
	changes int
}

func edit(g *graph.Graph) *editor {
	return &editor{g: g, b: graph.NewBuilder(g), index: g.Index()}
}

// finish drops what is dead after changes and gives the results of Pass.Apply.
func (e *editor) finish() (int, error) {
	if e.changes > 0 {
		removeDead(e.g)
	}
	return e.changes, e.b.Err
}

// reader is the only node input that reads v, which does not leave the graph; nil if there are others or none.
func (e *editor) reader(v *graph.Value) *graph.Node {
	if u := e.index.Uses[v]; len(u) == 1 && !e.index.Leaves[v] {
		return u[0].Node
	}
	return nil
}

// setIn gives n other inputs.
func (e *editor) setIn(n *graph.Node, in ...*graph.Value) { e.index.SetIn(n, in...) }

// absorb gives n the output of next, the only reader of n's output, and empties next.
func (e *editor) absorb(n, next *graph.Node) {
	e.setIn(next)
	n.Out[0], next.Out = next.Out[0], nil
	n.Out[0].Def = n
	e.changes++
}

// redirect lets the readers of old read new. Where old leaves the graph and new cannot take its name, the graph goes
// on to give old. It reports whether anything changed.
func (e *editor) redirect(old, new *graph.Value) bool {
	uses := e.index.Uses[old]
	for _, u := range uses {
		u.Node.In[u.Index] = new
	}
	delete(e.index.Uses, old)
	e.index.Uses[new] = append(e.index.Uses[new], uses...)
	changed := len(uses) > 0
	if e.index.Leaves[old] && new.Def != nil && !e.index.Leaves[new] {
		e.g.Replace(old, new)
		delete(e.index.Leaves, old)
		e.index.Leaves[new], changed = true, true
	}
	if changed {
		e.changes++
	}
	return changed
}

// freeze makes a node's output a constant, which keeps its name.
func (e *editor) freeze(v *graph.Value, t *tensor.Tensor) {
	n := v.Def
	n.Out[slices.Index(n.Out, v)] = nil
	v.Def, v.Fact = nil, graph.FactOf(t)
	if !slices.ContainsFunc(n.Out, func(v *graph.Value) bool { return v != nil }) {
		e.setIn(n)
	}
	e.changes++
}

// revise gives a constant that takes v's place at one reader: under v's name if nobody else reads v.
func (e *editor) revise(v *graph.Value, name string, t *tensor.Tensor) *graph.Value {
	if v != nil && e.reader(v) != nil {
		return graph.NewConst(v.Name, t)
	}
	return e.b.Const(name, t)
}

// made gives the node that makes v if it is the named operator, else nil.
func made(v *graph.Value, op string) *graph.Node {
	if v == nil || v.Def == nil || v.Def.OpName() != op {
		return nil
	}
	return v.Def
}

// scalar is the number in a constant of one element and a float type.
func scalar(v *graph.Value) (float64, bool) {
	if !v.IsConst() || !v.Const.IsFloat() || v.Const.Len() != 1 {
		return 0, false
	}
	return tensor.Float64s(v.Const)[0], true
}

// input is input i, nil where it is omitted.
func input(n *graph.Node, i int) *graph.Value {
	if i >= len(n.In) {
		return nil
	}
	return n.In[i]
}

// single reports whether output 0 is the only one that is read.
func single(n *graph.Node) bool {
	return len(n.Out) > 0 && n.Out[0] != nil && !slices.ContainsFunc(n.Out[1:], func(v *graph.Value) bool { return v != nil })
}

// equalShapes reports whether two values surely have the same shape.
func equalShapes(a, b *graph.Value) bool {
	return graph.EqualShapes(a.Type, b.Type)
}

// label is what new constants of a node are named after.
func label(n *graph.Node) string {
	if n.Name == "" && len(n.Out) > 0 && n.Out[0] != nil {
		return n.Out[0].Name
	}
	return n.Name
}
