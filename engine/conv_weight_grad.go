package engine

import (
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/kernels"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// weightSums is the first half of a ConvWeightGrad: partial sums over fixed parts of the batch, so that threads can
// work side by side and the order of every sum depends on shapes alone. Inputs, channels last: x, dy. Output: for each
// part and group [kernel, C/group, M/group], for each part of a depthwise one [kernel, C].
type weightSums struct {
	ops.ConvWeightGrad
	filters
	batch int
}

// foldSums adds the parts in order and gives the gradient its place [M, C/group, kernel…].
type foldSums struct{ weightSums }

func (w weightSums) source() graph.Op { return w.ConvWeightGrad }

const (
	weightParts    = 8       // most parts of the batch
	weightPartials = 8 << 20 // about the most floats of all parts
	weightBand     = 192 << 10
)

// parts is how many partial sums there are.
func (w weightSums) parts() int {
	return max(1, min(weightParts, w.batch, weightPartials/tensor.Size(w.shape)))
}

// Infer gives the partial sums.
func (w weightSums) Infer([]graph.Fact, int) ([]graph.Type, error) {
	return []graph.Type{graph.Of(tensor.Float32, graph.Dims(w.parts(), tensor.Size(w.shape))...)}, nil
}

// Infer gives the shape of the weights.
func (f foldSums) Infer([]graph.Fact, int) ([]graph.Type, error) {
	return []graph.Type{graph.Of(tensor.Float32, graph.Dims(f.shape...)...)}, nil
}

// lowerWeightGrad lowers a ConvWeightGrad over one or two spatial dimensions of fixed size.
func lowerWeightGrad(l *lowering, n *graph.Node) bool {
	op, ok := n.Op.(ops.ConvWeightGrad)
	if !ok || !spatial(n.In[0]) || !isFloat(n.In[0]) || !isFloat(n.In[1]) {
		return false
	}
	x, ok := n.In[0].Fixed()
	dy, known := n.In[1].Fixed()
	if !ok || !known || len(dy) != len(x) || tensor.Size(x)*tensor.Size(dy) == 0 || op.Group < 1 {
		return false
	}
	f, err := newFilters(l.p.set, append([]int{dy[1], x[1] / op.Group}, op.KernelShape...), op.Group, false)
	if err != nil || len(op.KernelShape)+2 != len(x) {
		return false
	}
	sums := weightSums{ConvWeightGrad: op, filters: f, batch: x[0]}
	partial := l.b.Add(n.Name+"_partial", sums, l.lastOf(n.In[0]), l.lastOf(n.In[1]))
	l.set(l.plain, n, l.emit(n, foldSums{sums}, []*graph.Value{partial}))
	return true
}

func (w weightSums) exec(x *exec, in, out []*tensor.Tensor) error {
	r := len(in[1].Shape)
	dy := append([]int{in[1].Shape[0], in[1].Shape[r-1]}, in[1].Shape[1:r-1]...)
	g, _, err := geometry(in[0].Shape, func(first []int) (ops.Window, error) { return w.Window(first, dy) })
	if err != nil {
		return err
	}
	parts, size := w.parts(), tensor.Size(w.shape)
	y := x.Make(out[0], tensor.Float32, parts, size)
	job := weightJob{weightSums: w, sweep: newSweep(g, false, w.cg), x: tensor.View[float32](in[0]), dy: tensor.View[float32](in[1])}
	sums := tensor.View[float32](y)
	cuts := job.cuts(x.p.pool.threads)
	x.p.pool.run(x.scratch, parts*cuts, func(s *scratch, i int) {
		p := i / cuts
		job.part(x, weightPart{s, sums[p*size:][:size], [2]int{g.n * p / parts, g.n * (p + 1) / parts}, i % cuts, cuts})
	})
	return nil
}

// weightJob is one call of weightSums.
type weightJob struct {
	weightSums
	sweep
	x, dy []float32
}

// weightPart is the sums of some samples; of cuts tasks this one has the rows of the kernel that are cut modulo cuts.
type weightPart struct {
	scratch   *scratch
	sum       []float32
	n         [2]int
	cut, cuts int
}

// cuts divides the work on each part if there are fewer of them than threads.
func (j *weightJob) cuts(threads int) int {
	if parts := j.parts(); !j.depth && parts < threads {
		return min(j.g.kh, (threads+parts-1)/parts)
	}
	return 1
}

// part sums over its samples, band by band.
func (j *weightJob) part(x *exec, p weightPart) {
	g, m := j.g, j.group*j.mg
	if g.pointwise() && !j.depth {
		rows := g.h * g.w
		j.add(x, p, tapRow{0, j.x[p.n[0]*rows*g.c:], g.c, 0}, lines{(p.n[1] - p.n[0]) * rows, 1, j.dy[p.n[0]*rows*m:], false})
		return
	}
	per := max(1, (g.oh*4*(j.sy*j.wp*g.c+g.ow*m)+weightBand-1)/weightBand)
	per = min(per, g.oh)
	for n := p.n[0]; n < p.n[1]; n++ {
		for i := range per {
			b := j.band(p.scratch, j.x, n, [2]int{g.oh * i / per, g.oh * (i + 1) / per})
			dy := lines{g.ow, b.q1 - b.q0, j.dy[(n*g.oh+b.q0)*g.ow*m:], n > p.n[0] || i > 0}
			if j.depth {
				j.depthwise(x, p, b, dy)
				continue
			}
			for ky := p.cut; ky < g.kh; ky += p.cuts {
				j.kernelRow(x, p, b, dy, ky)
			}
		}
	}
}

// lines is count lines of k pixels of dy; more says that sums are there already.
type lines struct {
	k, count int
	dy       []float32
	more     bool
}

// tapRow is x under some taps: first is the tap's index, from its input for the first pixel on, step to the next.
type tapRow struct {
	first      int
	x          []float32
	step, line int
}

// kernelRow adds what a band contributes to a row of the kernel: at once where its taps are neighbours in memory.
func (j *weightJob) kernelRow(x *exec, p weightPart, b band, dy lines, ky int) {
	g := j.g
	row := tapRow{ky * g.kw, nil, j.sx * g.c, j.sy * j.wp * g.c}
	base := (j.y[0].offs[ky] - j.loY) * j.wp
	if j.group == 1 && g.dw == 1 {
		row.x = b.rows[(base+j.sweep.x[0].offs[0]-j.loX)*g.c:]
		j.addWide(x, p, row, dy)
		return
	}
	for _, ox := range j.sweep.x[0].offs {
		row.x = b.rows[(base+ox-j.loX)*g.c:]
		j.add(x, p, row, dy)
		row.first++
	}
}

// addWide adds to all taps of a row of the kernel.
func (j *weightJob) addWide(x *exec, p weightPart, r tapRow, dy lines) {
	x.p.set.GemmTN(&kernels.GemmTNF32{
		M: j.g.kw * j.cg, N: j.mg, K: dy.k, Lines: dy.count, A: r.x, LDA: r.step, ALine: r.line,
		B: dy.dy, LDB: j.mg, BLine: dy.k * j.mg, C: p.sum[r.first*j.cg*j.mg:], LDC: j.mg, Add: dy.more,
	})
}

// add adds to one tap, group by group.
func (j *weightJob) add(x *exec, p weightPart, r tapRow, dy lines) {
	m, taps := j.group*j.mg, j.g.kh*j.g.kw
	for i := range j.group {
		x.p.set.GemmTN(&kernels.GemmTNF32{
			M: j.cg, N: j.mg, K: dy.k, Lines: dy.count, A: r.x[i*j.cg:], LDA: r.step, ALine: r.line,
			B: dy.dy[i*j.mg:], LDB: m, BLine: dy.k * m, C: p.sum[(i*taps+r.first)*j.cg*j.mg:], LDC: j.mg, Add: dy.more,
		})
	}
}

func (j *weightJob) depthwise(x *exec, p weightPart, b band, dy lines) {
	c := j.group
	x.p.set.DepthwiseGrad(&kernels.DepthwiseGradF32{
		Lines: dy.count, N: dy.k, C: c, X: b.rows, XLine: j.sy * j.wp * c, Step: j.sx * c, Taps: j.phases[0].taps,
		DY: dy.dy, YLine: dy.k * c, LDY: c, DW: p.sum, Add: dy.more,
	})
}

func (f foldSums) exec(x *exec, in, out []*tensor.Tensor) error {
	y := x.Make(out[0], tensor.Float32, f.shape...)
	v, dst := tensor.View[float32](in[0]), tensor.View[float32](y)
	size := len(dst)
	sum := v[:size]
	blocks(x, size, func(a, b int) {
		for p := size; p < len(v); p += size {
			x.p.set.Add(sum[a:b], sum[a:b], v[p+a:p+b])
		}
	})
	kernel := f.kernel()
	taps := kernel[0] * kernel[1]
	rows := taps * f.cg // of a group's matrix
	cols := size / rows / f.groups()
	const block = 16 // columns whose places in the result stay in the cache
	per := (cols + block - 1) / block
	x.p.pool.run(x.scratch, f.groups()*per, func(_ *scratch, i int) {
		g, m0 := i/per, i%per*block
		from, to := sum[g*rows*cols:], dst[(g*cols+m0)*rows:]
		for t := range taps {
			for c := range f.cg {
				r := t*f.cg + c
				for m, s := range from[r*cols+m0 : r*cols+min(m0+block, cols)] {
					to[m*rows+c*taps+t] = s
				}
			}
		}
	})
	return nil
}

// groups is how many matrices of sums there are.
func (f foldSums) groups() int {
	if f.depth {
		return 1
	}
	return f.group
}
