package ops

import (
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// Grad is dy·Bᵀ and Aᵀ·dy, summed over the batch dimensions that were broadcast.
func (MatMul) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil || !flowsTo(n, 0) {
		return none(n)
	}
	f := gradient(b, n)
	p := product2{a: n.In[0], b: n.In[1], as: f.shape(n.In[0]), bs: f.shape(n.In[1])}
	if b.Err != nil {
		return none(n)
	}
	if len(p.as) == 1 {
		p.as = []int{1, p.as[0]}
		p.a = f.reshape(p.a, p.as)
	}
	if len(p.bs) == 1 {
		p.bs = []int{p.bs[0], 1}
		p.b = f.reshape(p.b, p.bs)
	}
	s, err := newMatShape(p.as, p.bs)
	if err != nil {
		return fail(b, n, "%v", err)
	}
	p.dy = f.reshape(dOut[0], s.out)
	var da, db *graph.Value
	if len(p.bs) == 2 {
		da, db = f.weightProduct(p, s)
	} else {
		da, db = f.batchProduct(p)
	}
	return []*graph.Value{f.like(da, n.In[0]), f.like(db, n.In[1])}
}

// product2 is a product of two tensors of rank 2 or more with their shapes, and the gradient of the result.
type product2 struct {
	a, b, dy *graph.Value
	as, bs   []int
}

// weightProduct differentiates where b is a matrix: all rows of a are one batch.
func (f formula) weightProduct(p product2, s matShape) (da, db *graph.Value) {
	rows := tensor.Size(p.as[:len(p.as)-1])
	a, dy := f.reshape(p.a, []int{rows, s.k}), f.reshape(p.dy, []int{rows, s.n})
	return f.node(Gemm{Alpha: 1, TransB: true}, dy, p.b), f.node(Gemm{Alpha: 1, TransA: true}, a, dy)
}

// batchProduct differentiates products whose b differs between batches.
func (f formula) batchProduct(p product2) (da, db *graph.Value) {
	da = f.node(MatMul{}, p.dy, f.swapped(p.b))
	db = f.node(MatMul{}, f.swapped(p.a), p.dy)
	return f.sumTo(da, p.as), f.sumTo(db, p.bs)
}

// swapped transposes each matrix of v.
func (f formula) swapped(v *graph.Value) *graph.Value {
	perm := make([]int, len(f.shape(v)))
	for i := range perm {
		perm[i] = i
	}
	r := len(perm)
	if r < 2 {
		return v
	}
	perm[r-2], perm[r-1] = r-1, r-2
	return f.node(Transpose{Perm: perm}, v)
}

// Grad is Alpha·dy·B'ᵀ and Alpha·A'ᵀ·dy, transposed where the input is, and Beta times the sum of dy.
func (g Gemm) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	dy := dOut[0]
	if dy == nil || !flowsTo(n, 0) {
		return none(n)
	}
	f, d := gradient(b, n), none(n)
	if g.TransA {
		d[0] = f.node(Gemm{Alpha: g.Alpha, TransA: g.TransB, TransB: true}, n.In[1], dy)
	} else {
		d[0] = f.node(Gemm{Alpha: g.Alpha, TransB: !g.TransB}, dy, n.In[1])
	}
	if g.TransB {
		d[1] = f.node(Gemm{Alpha: g.Alpha, TransA: true, TransB: g.TransA}, dy, n.In[0])
	} else {
		d[1] = f.node(Gemm{Alpha: g.Alpha, TransA: !g.TransA}, n.In[0], dy)
	}
	if flowsTo(n, 2) {
		d[2] = f.scale(f.sumTo(dy, f.shape(n.In[2])), float64(g.Beta))
	}
	return d
}

// Grad is that of MatMul for the rearranged sides, rearranged back.
func (m FusedMatMul) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil {
		return none(n)
	}
	f := gradient(b, n)
	shapes := [][]int{f.shape(n.In[0]), f.shape(n.In[1])}
	if b.Err != nil {
		return none(n)
	}
	inner := &graph.Node{Name: n.Name, Op: MatMul{}}
	back := make([][]int, 2)
	for i, t := range [][2]bool{{m.TransA, m.TransBatchA}, {m.TransB, m.TransBatchB}} {
		perm := order(len(shapes[i]), t[0], t[1])
		back[i] = inverse(perm)
		inner.In = append(inner.In, f.transpose(n.In[i], perm))
	}
	d := MatMul{}.Grad(b, inner, []*graph.Value{f.scale(dOut[0], float64(m.Alpha))})
	for i := range d {
		d[i] = f.transpose(d[i], back[i])
	}
	return d
}

// transpose permutes v's dimensions.
func (f formula) transpose(v *graph.Value, perm []int) *graph.Value {
	if slices.IsSorted(perm) {
		return v
	}
	return f.node(Transpose{Perm: perm}, v)
}

// inverse is the permutation that undoes perm.
func inverse(perm []int) []int {
	out := make([]int, len(perm))
	for i, p := range perm {
		out[p] = i
	}
	return out
}
