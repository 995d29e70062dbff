package engine

import (
	"fmt"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/kernels"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// product is a Gemm or MatMul of two computed operands: float32, of rank 2 or more. Transposes in front of it are
// strides, and so are TransA and TransB. Inputs: the two, the bias if it has one, the residual if res is set.
type product struct {
	graph.Op
	permA, permB   []int // of the inputs' dimensions; nil: none
	transA, transB bool
	alpha, beta    float32
	bias           bool // of any shape that broadcasts to the result
	epilogue
}

func (p product) source() graph.Op { return p.Op }

// Infer infers the operator on the permuted inputs.
func (p product) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	a, b := permutedType(in[0].Type, p.permA), permutedType(in[1].Type, p.permB)
	return p.Op.Infer([]graph.Fact{{Type: a}, {Type: b}}, 1)
}

func permutedType(t graph.Type, perm []int) graph.Type {
	if perm == nil || t.Unranked || len(perm) != len(t.Shape) {
		return t
	}
	shape := make([]graph.Dim, len(perm))
	for i, p := range perm {
		shape[i] = t.Shape[p]
	}
	t.Shape = shape
	return t
}

// matrices is a batch of matrices that lie anywhere in a tensor.
type matrices struct {
	v            []float32
	batch, steps []int // shape and strides of the leading dimensions
	rows, cols   int
	rs, cs       int
}

// matricesOf shows a tensor of rank 2 or more, permuted, as matrices.
func matricesOf(t *tensor.Tensor, perm []int, trans bool) matrices {
	r := len(t.Shape)
	steps := make([]int, r)
	for i, n := r-1, 1; i >= 0; i-- {
		steps[i] = n
		n *= t.Shape[i]
	}
	shape := t.Shape
	if perm != nil {
		shape, steps = permuted(shape, perm), permuted(steps, perm)
	}
	m := matrices{
		v: tensor.View[float32](t), batch: shape[:r-2], steps: steps[:r-2],
		rows: shape[r-2], cols: shape[r-1], rs: steps[r-2], cs: steps[r-1],
	}
	if trans {
		m.rows, m.cols, m.rs, m.cs = m.cols, m.rows, m.cs, m.rs
	}
	return m
}

// offsets says where the matrix of each index of a batch begins.
func (m matrices) offsets(batch []int) []int {
	list := []int{0}
	for d, size := range batch {
		step := 0
		if at := d - (len(batch) - len(m.batch)); at >= 0 && m.batch[at] != 1 {
			step = m.steps[at]
		}
		next := make([]int, 0, len(list)*size)
		for _, o := range list {
			for i := range size {
				next = append(next, o+i*step)
			}
		}
		list = next
	}
	return list
}

// flat makes one tall matrix of the batch if its rows follow one another.
func (m matrices) flat() (matrices, bool) {
	for i := len(m.batch) - 1; i >= 0; i-- {
		if m.batch[i] == 1 {
			continue
		}
		if m.steps[i] != m.rows*m.rs {
			return m, false
		}
		m.rows *= m.batch[i]
	}
	m.batch, m.steps = nil, nil
	return m, true
}

func (p product) exec(x *exec, in, out []*tensor.Tensor) error {
	ra, rb := len(in[0].Shape), len(in[1].Shape)
	if in[0].DType != tensor.Float32 || ra < 2 || rb < 2 {
		return x.kernel(p.Op, in, out)
	}
	a, b := matricesOf(in[0], p.permA, p.transA), matricesOf(in[1], p.permB, p.transB)
	if a.cols != b.rows {
		return fmt.Errorf("inner dimensions differ: %v and %v", in[0].Shape, in[1].Shape)
	}
	batch, err := broadcast(a.batch, b.batch)
	if err != nil {
		return err
	}
	y := x.Make(out[0], tensor.Float32, append(append([]int{}, batch...), a.rows, b.cols)...)
	j := multiplication{op: &p, x: x, a: a, b: b, c: tensor.View[float32](y)}
	if p.res {
		j.res = tensor.View[float32](in[len(in)-1])
	}
	if p.bias {
		if err := j.addBias(in[2], y.Shape); err != nil {
			return err
		}
	}
	if tensor.Size(b.batch) == 1 && len(b.batch) <= len(a.batch) {
		if one, ok := a.flat(); ok {
			j.a, j.b.batch = one, nil
			j.one()
			return nil
		}
	}
	j.each(batch)
	return nil
}

// multiplication is one run of a product.
type multiplication struct {
	op   *product
	x    *exec
	a, b matrices
	c    []float32
	bias []float32 // one a column
	res  []float32 // of c's shape
}

// addBias scales a bias and makes it a row or a residual.
func (j *multiplication) addBias(t *tensor.Tensor, out []int) error {
	v, n := tensor.View[float32](t), j.b.cols
	switch {
	case len(v) == 1:
		row := make([]float32, n)
		for i := range row {
			row[i] = v[0]
		}
		v = row
	case len(v) == n && t.Shape[len(t.Shape)-1] == n:
	case j.res != nil || len(out) != 2:
		return fmt.Errorf("bias %v for a result of shape %v", t.Shape, out)
	default:
		off := offsets(out, t.Shape, 1)
		j.res = make([]float32, len(j.c))
		for i := range j.res {
			j.res[i] = v[off[i]]
		}
		if j.op.beta != 1 {
			j.x.p.set.MulS(j.res, j.res, j.op.beta)
		}
		return nil
	}
	j.bias = scaled(v, j.op.beta)
	return nil
}

// job is the product without its operands A and B.
func (j *multiplication) job() kernels.GemmF32 {
	n := j.b.cols
	g := kernels.GemmF32{M: j.a.rows, N: n, K: j.a.cols, C: j.c, LDC: n, Bias: j.bias, Lo: j.op.lo, Hi: j.op.hi}
	if j.res != nil {
		g.Res, g.LDR = j.res, n
	}
	return g
}

// pack packs the columns n0 to n1 of a matrix B that begins at off.
func (j *multiplication) pack(dst []float32, off, n0, n1 int) {
	if j.b.rows == 0 || n0 >= n1 {
		return
	}
	j.x.p.set.PackF32(dst, j.b.v[off+n0*j.b.cs:], j.b.rows, n1-n0, j.b.rs, j.b.cs)
	if j.op.alpha != 1 {
		j.x.p.set.MulS(dst, dst, j.op.alpha)
	}
}

// rows gives rows m0 to m1 of the matrix A that begins at off, with elements one after another: in place, or in buf.
func (j *multiplication) rows(buf []float32, off, m0, m1 int) ([]float32, int) {
	k := j.a.cols
	if k == 0 || m0 >= m1 {
		return nil, 0
	}
	src := j.a.v[off+m0*j.a.rs:]
	if j.a.inPlace() {
		return src, max(j.a.rs, k)
	}
	buf = buf[:(m1-m0)*k]
	if j.a.rs == 1 && j.a.cs >= m1-m0 {
		j.x.p.set.TransposeF32(buf, k, kernels.Strided{V: src, Stride: j.a.cs, Rows: k, Cols: m1 - m0})
		return buf, k
	}
	for i := range m1 - m0 {
		for q := range k {
			buf[i*k+q] = src[i*j.a.rs+q*j.a.cs]
		}
	}
	return buf, k
}

// inPlace reports whether the kernels can read the rows where they are.
func (m matrices) inPlace() bool {
	return (m.cs == 1 || m.cols == 1) && (m.rs >= m.cols || m.rows == 1)
}

// scratchRows is the room that rows needs for n rows.
func (j *multiplication) scratchRows(n int) int {
	if j.a.inPlace() {
		return 0
	}
	return n * j.a.cols
}

const (
	fewRows    = 256 // up to which each task packs its own columns
	columnTile = 128 // columns of such a task; a multiple of every set's NR
)

// one multiplies two matrices on all threads. No cut changes a bit, since every element is one chain over k.
func (j *multiplication) one() {
	if j.columnwise() {
		j.byColumns()
		return
	}
	g, x := j.job(), j.x
	if g.M <= fewRows && g.N > columnTile && j.a.inPlace() {
		x.p.pool.run(x.scratch, (g.N+columnTile-1)/columnTile, func(s *scratch, i int) {
			t := tile{m0: 0, m1: g.M, n0: i * columnTile, n1: min((i+1)*columnTile, g.N)}
			packed := s.floats(x.p.set.PackedF32(g.K, t.n1-t.n0))
			j.pack(packed, 0, t.n0, t.n1)
			sub := cut(g, t)
			sub.B = packed
			sub.A, sub.LDA = j.rows(nil, 0, 0, g.M)
			x.p.set.Gemm(&sub)
		})
		return
	}
	const panel = 64
	g.B = x.shared.floats(x.p.set.PackedF32(g.K, g.N))
	x.p.pool.run(x.scratch, (g.N+panel-1)/panel, func(_ *scratch, i int) {
		n0, n1 := i*panel, min((i+1)*panel, g.N)
		j.pack(g.B[n0*g.K:][:x.p.set.PackedF32(g.K, n1-n0)], 0, n0, n1)
	})
	row := g.K * 4
	if !j.a.inPlace() {
		row *= 2 // the copy, and what it is made from
	}
	split(x, g.M, g.N, row, len(g.B)*4, func(s *scratch, t tile) {
		sub := cut(g, t)
		sub.B = g.B[t.n0*g.K:]
		sub.A, sub.LDA = j.rows(s.floats(j.scratchRows(t.m1-t.m0)), 0, t.m0, t.m1)
		x.p.set.Gemm(&sub)
	})
}

// cut is a product's tile without A and B.
func cut(g kernels.GemmF32, t tile) kernels.GemmF32 {
	g.B = nil
	g.C = g.C[t.m0*g.LDC+t.n0:]
	if g.Bias != nil {
		g.Bias = g.Bias[t.n0:t.n1]
	}
	if g.Res != nil {
		g.Res = g.Res[t.m0*g.LDR+t.n0:]
	}
	g.M, g.N = t.m1-t.m0, t.n1-t.n0
	return g
}

// each multiplies the matrices of a batch, one a task.
func (j *multiplication) each(batch []int) {
	offA, offB := j.a.offsets(batch), j.b.offsets(batch)
	g, x := j.job(), j.x
	x.p.pool.run(x.scratch, len(offA), func(s *scratch, i int) {
		size := x.p.set.PackedF32(g.K, g.N)
		buf := s.floats(size + j.scratchRows(g.M))
		sub := g
		sub.B = buf[:size]
		j.pack(sub.B, offB[i], 0, g.N)
		sub.A, sub.LDA = j.rows(buf[size:], offA[i], 0, g.M)
		sub.C = g.C[i*g.M*g.N:]
		if g.Res != nil {
			sub.Res = g.Res[i*g.M*g.N:]
		}
		x.p.set.Gemm(&sub)
	})
}

// lowerGemm packs a constant matrix now and a computed one in each run.
func lowerGemm(l *lowering, n *graph.Node) bool { return lowerLinear(l, n) || lowerProduct(l, n) }

func lowerProduct(l *lowering, n *graph.Node) bool {
	h, fused := n.Op.(head)
	if !fused {
		free := plainEpilogue()
		h = head{Op: n.Op, lo: free.lo, hi: free.hi}
	}
	if !isFloat(n.In[0]) || !isFloat(n.In[1]) || n.In[0].Rank() < 2 || n.In[1].Rank() < 2 {
		return false
	}
	op := product{Op: h.Op, alpha: 1, beta: 1, epilogue: epilogue{lo: h.lo, hi: h.hi, res: h.res}}
	if g, ok := h.Op.(ops.Gemm); ok {
		op.transA, op.transB, op.alpha, op.beta = g.TransA, g.TransB, g.Alpha, g.Beta
	}
	in := []*graph.Value{nil, nil}
	in[0], op.permA = l.untransposed(n.In[0])
	in[1], op.permB = l.untransposed(n.In[1])
	if len(n.In) > 2 && n.In[2] != nil {
		if !isFloat(n.In[2]) || h.res && !isRow(n.In[2], n.Out[0]) {
			return false
		}
		op.bias = true
		in = append(in, l.plainOf(n.In[2]))
	}
	if h.res {
		in = append(in, l.plainOf(n.In[len(n.In)-1]))
	}
	l.set(l.plain, n, l.emit(n, op, in))
	return true
}

// untransposed gives what stands before a Transpose that leaves the last dimension last or second to last, and its
// permutation; other values as they are.
func (l *lowering) untransposed(v *graph.Value) (*graph.Value, []int) {
	if v.Def == nil || v.IsConst() {
		return l.plainOf(v), nil
	}
	t, ok := v.Def.Op.(ops.Transpose)
	r := v.Rank()
	if !ok || len(t.Perm) != r || v.Def.In[0].IsConst() || l.last[v.Def.In[0]] != nil && l.plain[v.Def.In[0]] == nil {
		return l.plainOf(v), nil
	}
	if t.Perm[r-1] != r-1 && t.Perm[r-2] != r-1 {
		return l.plainOf(v), nil
	}
	return l.plainOf(v.Def.In[0]), slices.Clone(t.Perm)
}

// isRow reports whether v is one number a column of out, or one number.
func isRow(v, out *graph.Value) bool {
	shape, ok := v.Fixed()
	if !ok || out.Rank() < 1 {
		return false
	}
	n := tensor.Size(shape)
	return n == 1 || out.Shape[out.Rank()-1].Is(n) && shape[len(shape)-1] == n
}
