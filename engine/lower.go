package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/optimize"
	"github.com/tfsopt/tfsopt/tensor"
)

// prepare brings a graph into the form that lower expects.
func prepare(ctx context.Context, g *graph.Graph) error {
	if err := widen(g); err != nil {
		return err
	}
	if _, err := optimize.ForEngine().Run(ctx, g, nil); err != nil {
		return err
	}
	if err := fuse(g); err != nil {
		return err
	}
	return layout(g)
}

// lowering rebuilds a graph out of the engine's operators. A value of rank 3 to 5 can exist in two forms, as the graph
// says and with channels last; each is made when first asked for.
type lowering struct {
	p       *Program
	b       *graph.Builder
	plain   map[*graph.Value]*graph.Value
	last    map[*graph.Value]*graph.Value
	rows    []float32 // reused by packing, which would otherwise double the memory of large models
	raw     scratch
	packing scratch
	rows8   scratch

	moments map[momentKey][2]*graph.Value // mean and 1/deviation that a normalization made
}

// lowerer handles one operator; false leaves it to its own kernel.
type lowerer func(l *lowering, n *graph.Node) bool

// lowered is an operator of the engine that stands for one of the graph's.
type lowered interface{ source() graph.Op }

// original is a node as errors should name it.
func original(n *graph.Node) *graph.Node {
	if s, ok := n.Op.(lowered); ok {
		return original(&graph.Node{Name: n.Name, Op: s.source()})
	}
	return n
}

func (p *Program) lower(g *graph.Graph) error {
	p.g = &graph.Graph{Name: g.Name}
	l := &lowering{p: p, b: graph.NewBuilder(p.g), plain: map[*graph.Value]*graph.Value{}, last: map[*graph.Value]*graph.Value{}}
	for _, v := range g.Inputs {
		w := graph.NewInput(v.Name, v.Type)
		l.plain[v] = w
		p.g.Inputs = append(p.g.Inputs, w)
	}
	for _, n := range g.Nodes {
		if f := lowerers[original(n).OpName()].lower; f != nil && f(l, n) {
			continue
		}
		if h, ok := n.Op.(head); ok {
			l.unfuse(n, h)
			continue
		}
		l.keep(n, n.Op)
	}
	for _, v := range g.Outputs {
		p.g.Outputs = append(p.g.Outputs, l.plainOf(v))
	}
	if l.b.Err != nil {
		return l.b.Err
	}
	if err := p.g.Sort(); err != nil {
		return err
	}
	links(p.g)
	return nil
}

// floats shows a constant's elements; a misaligned one is copied to memory that the next call reuses.
func (l *lowering) floats(t *tensor.Tensor) []float32 {
	if t.DType != tensor.Float32 || isAligned(t.Data) {
		return tensor.Floats(t)
	}
	b := l.raw.bytes(len(t.Data))
	copy(b, t.Data)
	return f32(b)
}

// temp gives n floats of any value, valid until the next call.
func (l *lowering) temp(n int) []float32 {
	if cap(l.rows) < n {
		l.rows = make([]float32, n)
	}
	return l.rows[:n]
}

// temp8 is temp for 8-bit integers.
func (l *lowering) temp8(n int) []int8 { return signed(l.rows8.bytes(n)) }

// keep lowers a node onto plain values with the given operator.
func (l *lowering) keep(n *graph.Node, op graph.Op) {
	in := make([]*graph.Value, len(n.In))
	for i, v := range n.In {
		in[i] = l.plainOf(v)
	}
	l.set(l.plain, n, l.emit(n, op, in))
}

// set records the outputs of a node in one of the two forms.
func (l *lowering) set(form map[*graph.Value]*graph.Value, n *graph.Node, out []*graph.Value) {
	for i, v := range n.Out {
		if v != nil {
			form[v] = out[i]
		}
	}
}

func (l *lowering) emit(n *graph.Node, op graph.Op, in []*graph.Value) []*graph.Value {
	out := l.b.AddN(n.Name, len(n.Out), op, in...)
	made := l.p.g.Nodes[len(l.p.g.Nodes)-1]
	made.Name = n.Name
	for i, v := range n.Out {
		if v == nil {
			made.Out[i] = nil
			continue
		}
		if out[i].DType == tensor.Undefined && out[i].Elem == nil {
			out[i].Type = v.Type
		}
	}
	return out
}

// plainOf gives the value as the graph has it.
func (l *lowering) plainOf(v *graph.Value) *graph.Value {
	if v == nil {
		return nil
	}
	if w := l.plain[v]; w != nil {
		return w
	}
	if v.IsConst() {
		w := graph.NewConst(v.Name, share(l, fmt.Sprint("const ", graph.TypeOf(v.Const)), v.Const.Data, func() (*tensor.Tensor, int) {
			return v.Const.Clone(), v.Const.Bytes()
		}))
		l.plain[v] = w
		return w
	}
	w := l.last[v]
	l.plain[v] = l.permute(w, firstPerm(len(w.Shape)))
	return l.plain[v]
}

// lastOf gives the value with its channels last.
func (l *lowering) lastOf(v *graph.Value) *graph.Value {
	if w := l.last[v]; w != nil {
		return w
	}
	w := l.plainOf(v)
	l.last[v] = l.permute(w, lastPerm(len(v.Shape)))
	return l.last[v]
}

func (l *lowering) permute(v *graph.Value, perm []int) *graph.Value {
	op := graph.Op(transpose{ops.Transpose{Perm: perm}})
	if keepsOrder(v.Shape, perm) {
		op = view{op}
	}
	return l.b.Add(v.Name+"_layout", op, v)
}

// keepsOrder reports whether a permutation only moves dimensions of size one, so that the elements stay where they are.
func keepsOrder(shape []graph.Dim, perm []int) bool {
	before := -1
	for _, p := range perm {
		if shape[p].Is(1) {
			continue
		}
		if p < before {
			return false
		}
		before = p
	}
	return true
}

// lastPerm is the permutation that moves channels from second to last place, firstPerm its inverse.
func lastPerm(rank int) []int {
	perm := []int{0}
	for i := 2; i < rank; i++ {
		perm = append(perm, i)
	}
	return append(perm, 1)
}

func firstPerm(rank int) []int {
	perm := []int{0, rank - 1}
	for i := 1; i < rank-1; i++ {
		perm = append(perm, i)
	}
	return perm
}

// spatial reports whether a value can have channels last: rank 3 or 4.
func spatial(v *graph.Value) bool { return v != nil && (v.Rank() == 3 || v.Rank() == 4) }

// elementwise lowers an operator that works element by element, in whichever order of axes the graph has it.
func elementwise(wrap func(graph.Op) graph.Op) lowerer {
	return func(l *lowering, n *graph.Node) bool {
		l.keep(n, wrap(n.Op))
		return true
	}
}

func permuted(shape, perm []int) []int {
	out := make([]int, len(perm))
	for i, p := range perm {
		out[i] = shape[p]
	}
	return out
}

// lowerTranspose turns a change between the two layouts into nothing.
func lowerTranspose(l *lowering, n *graph.Node) bool {
	op, ok := n.Op.(ops.Transpose)
	if !ok || n.In[0].Unranked {
		return false
	}
	if spatial(n.In[0]) && !n.In[0].IsConst() {
		if slices.Equal(op.Perm, lastPerm(len(op.Perm))) {
			l.plain[n.Out[0]] = l.lastOf(n.In[0])
			return true
		}
		if slices.Equal(op.Perm, firstPerm(len(op.Perm))) {
			l.last[n.Out[0]] = l.plainOf(n.In[0])
			return true
		}
	}
	if n.In[0].DType.Bits()%8 != 0 || n.In[0].DType.Bits() == 0 {
		return false
	}
	l.keep(n, transpose{op})
	return true
}

// ungate is the gate of a head as an operator.
func (l *lowering) ungate(name string, h head, v, gate *graph.Value) *graph.Value {
	lo, hi := h.gate[0], h.gate[1]
	if hi != hi { // a NaN
		return l.b.Add(name, ops.ReluGrad{}, v, gate)
	}
	return l.b.Add(name, ops.ClipGrad{}, v, gate, l.b.Const("lo", tensor.Scalar(lo)), l.b.Const("hi", tensor.Scalar(hi)))
}

// unfuse gives a head that has no fast form back to its operators.
func (l *lowering) unfuse(n *graph.Node, h head) {
	in := make([]*graph.Value, len(n.In))
	for i, v := range n.In {
		in[i] = l.plainOf(v)
	}
	var res, gate *graph.Value
	if h.gated {
		gate, in = in[len(in)-1], in[:len(in)-1]
	}
	if h.res {
		res, in = in[len(in)-1], in[:len(in)-1]
	}
	var bias *graph.Value
	if _, name := graph.NameOf(h.Op); name == "MatMul" {
		bias, in = in[2], in[:2]
	}
	for len(in) > 0 && in[len(in)-1] == nil {
		in = in[:len(in)-1]
	}
	v := l.emit(n, h.Op, in)[0]
	for _, add := range []*graph.Value{bias, res} {
		if add != nil {
			v = l.b.Add(n.Name, ops.Add{}, v, add)
		}
	}
	if h.clamped {
		lo, hi := tensor.Scalar(h.lo), tensor.Scalar(h.hi)
		v = l.b.Add(n.Name, ops.Clip{}, v, l.b.Const("lo", lo), l.b.Const("hi", hi))
	}
	if gate != nil {
		v = l.ungate(n.Name, h, v, gate)
	}
	l.plain[n.Out[0]] = v
}
