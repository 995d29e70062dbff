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
	weightPartials = 1 << 20 // about the most floats of all parts
	weightBand     = 192 << 10
	weightPixels   = 256     // of small images that are summed at once, so that sums pass the cache less often
	weightImages   = 2 << 20 // most bytes of their padded copies
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

// weightPart is the sums of some samples; of cuts tasks this one has the pieces of the weights that are cut modulo cuts.
type weightPart struct {
	scratch   *scratch
	sum       []float32
	n         [2]int
	cut, cuts int
}

// cuts divides the work on each part if there are fewer of them than threads.
func (j *weightJob) cuts(threads int) int {
	if parts := j.parts(); !j.depth && parts < threads {
		return min(j.g.kh*j.panels(), (threads+parts-1)/parts)
	}
	return 1
}

// panels is how many pieces the output channels of a group fall into.
func (j *weightJob) panels() int { return (j.mg + panelCols - 1) / panelCols }

// windows is what some images, or some lines of one, add to the sums.
type windows struct {
	rows       []float32 // input rows, as in a band
	dy         []float32
	image      int // elements of rows between images
	n          int // images
	lines      int // of each
	k          int // pixels of a line
	more       bool
	step, line int // elements of rows between neighbouring pixels and lines
}

// part sums over its samples.
func (j *weightJob) part(x *exec, p weightPart) {
	g, m := j.g, j.group*j.mg
	w := windows{n: 1, k: g.ow, step: j.sx * g.c, line: j.sy * j.wp * g.c}
	per := max(1, (g.oh*4*(j.sy*j.wp*g.c+g.ow*m)+weightBand-1)/weightBand)
	per = min(per, g.oh)
	images := j.images()
	for n := p.n[0]; n < p.n[1]; {
		if images > 1 {
			w.n, w.lines, w.dy = min(images, p.n[1]-n), g.oh, j.dy[n*g.oh*g.ow*m:]
			w.rows, w.image = j.padImages(p.scratch, j.x, n, w.n)
			j.add(x, p, &w)
			n += w.n
			continue
		}
		for i := range per {
			b := j.band(p.scratch, j.x, n, [2]int{g.oh * i / per, g.oh * (i + 1) / per})
			w.rows, w.lines, w.dy = b.rows, b.q1-b.q0, j.dy[(n*g.oh+b.q0)*g.ow*m:]
			j.add(x, p, &w)
		}
		n++
	}
}

// images is how many to sum at once.
func (j *weightJob) images() int {
	n := (weightPixels + j.g.oh*j.g.ow - 1) / (j.g.oh * j.g.ow)
	if j.depth {
		return 1
	}
	if !j.inPlace {
		n = min(n, weightImages/(4*j.bandSize(j.g.oh)))
	}
	return max(1, n)
}

// add adds windows to all pieces of the weights that the part has.
func (j *weightJob) add(x *exec, p weightPart, w *windows) {
	if j.depth {
		j.depthwise(x, p, w)
		w.more = true
		return
	}
	panels := 1
	if p.cuts > 1 {
		panels = j.panels()
	}
	for i := p.cut; i < j.g.kh*panels; i += p.cuts {
		q := i % panels
		j.kernelRow(x, p, w, piece{i / panels, j.mg * q / panels, j.mg * (q + 1) / panels})
	}
	w.more = true
}

// piece is a row of the kernel and some output channels of each group.
type piece struct{ ky, m0, m1 int }

// kernelRow adds to a row of the kernel: at once where its taps are neighbours in memory.
func (j *weightJob) kernelRow(x *exec, p weightPart, w *windows, q piece) {
	g, ox := j.g, j.sweep.x[0].offs
	base := (j.y[0].offs[q.ky] - j.loY) * j.wp
	if j.group == 1 && g.dw == 1 {
		j.taps(x, p, w, tapRow{q, q.ky * g.kw, g.kw * j.cg, (base + ox[0] - j.loX) * g.c})
		return
	}
	for i, o := range ox {
		j.taps(x, p, w, tapRow{q, q.ky*g.kw + i, j.cg, (base + o - j.loX) * g.c})
	}
}

// tapRow is some taps: the first one's index, how many elements of the input they see and where these begin.
type tapRow struct {
	piece
	first, size, at int
}

// taps adds to some taps, group by group.
func (j *weightJob) taps(x *exec, p weightPart, w *windows, t tapRow) {
	m, all := j.group*j.mg, j.g.kh*j.g.kw
	for i := range j.group {
		x.p.set.GemmTN(&kernels.GemmTNF32{
			M: t.size, N: t.m1 - t.m0, K: w.k, Lines: w.lines, Images: w.n,
			A: w.rows[t.at+i*j.cg:], LDA: w.step, ALine: w.line, AImage: w.image,
			B: w.dy[i*j.mg+t.m0:], LDB: m, BLine: w.k * m, BImage: w.lines * w.k * m,
			C: p.sum[(i*all+t.first)*j.cg*j.mg+t.m0:], LDC: j.mg, Add: w.more,
		})
	}
}

func (j *weightJob) depthwise(x *exec, p weightPart, w *windows) {
	c := j.group
	x.p.set.DepthwiseGrad(&kernels.DepthwiseGradF32{
		Lines: w.lines, N: w.k, C: c, X: w.rows, XLine: w.line, Step: w.step, Taps: j.phases[0].taps,
		DY: w.dy, YLine: w.k * c, LDY: c, DW: p.sum, Add: w.more,
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
