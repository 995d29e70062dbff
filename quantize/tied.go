package quantize

import (
	"bytes"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// expose makes the transposes of constant matrices that products read constants themselves, so that these are layers. What
// is written holds the integers once: see placement.tie.
func expose(g *graph.Graph) error {
	names := g.Names()
	made := map[*graph.Value]*graph.Value{}
	for _, n := range g.Nodes {
		if n.OpName() != "MatMul" || n.In[1] == nil || n.In[1].Def == nil || g.IsOutput(n.In[1]) {
			continue
		}
		v := n.In[1]
		op, ok := v.Def.Op.(ops.Transpose)
		if !ok || !v.Def.In[0].IsConst() || v.Def.In[0].Rank() != 2 || op.Perm != nil && !slices.Equal(op.Perm, []int{1, 0}) {
			continue
		}
		if made[v] == nil {
			t := &tensor.Tensor{}
			if err := graph.RunKernel(&graph.Exec{}, op, []*tensor.Tensor{v.Def.In[0].Const}, []*tensor.Tensor{t}); err != nil {
				return graph.NodeError(v.Def, err)
			}
			made[v] = graph.NewConst(names.Fresh(v.Name+"_weight"), t)
		}
		n.In[1] = made[v]
	}
	if len(made) == 0 {
		return nil
	}
	uses := g.Uses()
	g.Remove(func(n *graph.Node) bool { return len(n.Out) == 1 && made[n.Out[0]] != nil && len(uses[n.Out[0]]) == 0 })
	return g.Infer()
}

// plain multiplies the factors of a Gemm into its constants, where nobody else reads them: integer operators have none.
func plain(g *graph.Graph) {
	uses := g.Uses()
	own := func(v *graph.Value) bool {
		return v.IsConst() && v.DType == tensor.Float32 && len(uses[v]) == 1 && !g.IsOutput(v)
	}
	scaled := func(v *graph.Value, by float32) {
		w := slices.Clone(tensor.Floats(v.Const))
		for i := range w {
			w[i] *= by
		}
		v.Fact = graph.FactOf(tensor.From(w, v.Const.Shape...))
	}
	for _, n := range g.Nodes {
		op, ok := n.Op.(ops.Gemm)
		if !ok || op.Alpha == 1 && op.Beta == 1 || !own(n.In[1]) {
			continue
		}
		bias := len(n.In) > 2 && n.In[2] != nil
		if bias && op.Beta != 1 && !own(n.In[2]) {
			continue
		}
		if op.Alpha != 1 {
			scaled(n.In[1], op.Alpha)
		}
		if bias && op.Beta != 1 {
			scaled(n.In[2], op.Beta)
		}
		op.Alpha, op.Beta = 1, 1
		n.Op = op
	}
}

// tie finds weights that are the transpose of a constant that somebody else reads.
func (p *placement) tie() {
	p.ties = map[*graph.Value]*graph.Value{}
	var tables []*graph.Value
	for _, n := range p.g.Nodes {
		if _, ok := n.Op.(ops.Gather); ok && n.In[0].IsConst() && n.In[0].Rank() == 2 && n.In[0].DType == tensor.Float32 && !p.o.excluded(n) {
			tables = append(tables, n.In[0])
		}
	}
	for _, n := range p.g.Nodes {
		if p.roles[n] != weighs || n.In[1].Rank() != 2 || n.OpName() != "MatMul" || p.ties[n.In[1]] != nil {
			continue
		}
		for _, t := range tables {
			if transposes(n.In[1].Const, t.Const) {
				p.ties[n.In[1]] = t
				break
			}
		}
	}
}

// transposes reports whether a is b with rows for columns.
func transposes(a, b *tensor.Tensor) bool {
	if a.Shape[0] != b.Shape[1] || a.Shape[1] != b.Shape[0] {
		return false
	}
	rows, columns := a.Shape[0], a.Shape[1]
	for i := range rows {
		for j := range columns {
			x, y := a.Data[(i*columns+j)*4:][:4], b.Data[(j*rows+i)*4:][:4]
			if !bytes.Equal(x, y) {
				return false
			}
		}
	}
	return true
}
