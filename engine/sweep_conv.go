package engine

import (
	"math"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/kernels"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// sweepConv is a float convolution with computed weights, or a transposed one, channels last, over one or two spatial
// dimensions. Inputs: x, the packed weights, the bias if it has one, the residual if the epilogue says so, the gate.
type sweepConv struct {
	graph.Op
	epilogue
	filters
	window func(x, w []int) (ops.Window, error)
	biased bool
	gated  bool
	gate   [2]float32 // its bounds
}

func (s sweepConv) source() graph.Op { return s.Op }

// Infer gives the channels-last output type.
func (s sweepConv) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	return inferLast(s.Op, in, s.shape)
}

// isSweep reports whether a node is a convolution that lowerSweep takes.
func isSweep(n *graph.Node) bool {
	switch n.OpName() {
	case "Conv":
		return len(n.In) > 1 && isFloat(n.In[1]) && !n.In[1].IsConst()
	case "ConvTranspose":
		return len(n.In) > 1 && isFloat(n.In[1])
	}
	return false
}

// lowerSweep lowers a Conv with computed weights and any ConvTranspose.
func lowerSweep(l *lowering, n *graph.Node) bool {
	h, ok := n.Op.(head)
	if !ok || !spatial(n.In[0]) || n.In[1] == nil {
		return false
	}
	shape, ok := n.In[1].Fixed()
	if !ok || len(shape) != n.In[0].Rank() || !isFloat(n.In[1]) {
		return false
	}
	op := sweepConv{Op: h.Op, epilogue: epilogue{lo: h.lo, hi: h.hi, res: h.res}, biased: n.In[2] != nil, gated: h.gated, gate: h.gate}
	var err error
	var strides, dilations []int
	switch c := h.Op.(type) {
	case ops.Conv:
		op.filters, err = newFilters(l.p.set, shape, c.Group, false)
		op.window, strides, dilations = c.Window, c.Strides, c.Dilations
	case ops.ConvTranspose:
		op.filters, err = newFilters(l.p.set, shape, c.Group, true)
		op.window, strides, dilations = c.Window, c.Strides, c.Dilations
	}
	if err != nil || op.biased && !vectorOf(n.In[2], op.group*op.mg) {
		return false
	}
	op.setClasses(strides, dilations, last(n.Out[0].Shape))
	in := []*graph.Value{l.lastOf(n.In[0]), l.packed(n, &op.filters)}
	if op.biased {
		in = append(in, l.plainOf(n.In[2]))
	}
	for _, v := range n.In[3:] { // residual, gate
		in = append(in, l.lastOf(v))
	}
	l.set(l.last, n, l.emit(n, op, in))
	return true
}

// vectorOf reports whether a value is n floats.
func vectorOf(v *graph.Value, n int) bool {
	shape, ok := v.Fixed()
	return ok && isFloat(v) && tensor.Size(shape) == n
}

// packed gives the packed weights of a node: now if they are constant, else from a step.
func (l *lowering) packed(n *graph.Node, f *filters) *graph.Value {
	if !n.In[1].IsConst() {
		return l.b.Add(n.Name+"_filters", packFilters{n.Op.(head).Op, *f}, l.plainOf(n.In[1]))
	}
	w := l.packFilters(f, l.floats(n.In[1].Const))
	return l.b.Const(n.Name+"_filters", tensor.From(w, len(w)))
}

// last is the last dimension of a shape, unknown if there is none.
func last(shape []graph.Dim) graph.Dim {
	if len(shape) == 0 {
		return graph.Dim{}
	}
	return shape[len(shape)-1]
}

func (s sweepConv) exec(x *exec, in, out []*tensor.Tensor) error {
	g, shape, err := geometry(in[0].Shape, func(first []int) (ops.Window, error) { return s.window(first, s.shape) })
	if err != nil {
		return err
	}
	m := s.group * s.mg
	y := x.Make(out[0], tensor.Float32, append(shape, m)...)
	if tensor.Size(y.Shape) == 0 {
		return nil
	}
	job := sweepJob{
		epilogue: s.epilogue, filters: s.filters,
		src: tensor.View[float32](in[0]), packed: tensor.View[float32](in[1]), dst: tensor.View[float32](y),
	}
	rest := in[2:]
	if s.biased {
		job.bias, rest = slices.Repeat(tensor.View[float32](rest[0]), s.join), rest[1:]
	}
	if s.res {
		job.add, rest = tensor.View[float32](rest[0]), rest[1:]
	}
	if s.gated {
		job.gate = kernels.Gate{Of: tensor.View[float32](rest[0]), Lo: s.gate[0], Hi: s.gate[1]}
	}
	job.run(x, g)
	return nil
}

// sweepJob is one call of a convolution whose weights are packed; the bias repeats for joined pixels.
type sweepJob struct {
	epilogue
	filters
	sweep
	src, packed, dst []float32
	add              []float32
	gate             kernels.Gate
}

const (
	panelCols = 64 // a multiple of every set's NR

	// Images of at most fewPixels outputs are too small to stream more weights than manyWeights past each.
	fewPixels, manyWeights = 64, 1 << 18
)

func (j *sweepJob) run(x *exec, g geom) {
	if !j.depth && g.pointwise() {
		j.pointwise(x, g)
		return
	}
	j.sweep = newSweep(g, j.transposed, j.cg)
	if j.group == 1 && j.join == 1 && g.oh*g.ow <= fewPixels && len(j.packed) > manyWeights && len(j.y)*len(j.x) == 1 {
		j.gathered(x)
		return
	}
	cuts := 1
	if j.group == 1 && j.join == 1 && !j.transposed {
		cuts = (j.mg + panelCols - 1) / panelCols
	}
	j.bands(x, j.src, cuts, func(b band) { j.band(x, b) })
}

// pointwise is a plain product: its rows are the pixels.
func (j *sweepJob) pointwise(x *exec, g geom) {
	m, per := j.group*j.mg, j.set.PackedF32(j.cg, j.mg)
	for i := range j.group {
		p := kernels.GemmF32{
			M: g.n * g.h * g.w, N: j.mg, K: j.cg, A: j.src[i*j.cg:], LDA: g.c, B: j.packed[i*per:][:per],
			C: j.dst[i*j.mg:], LDC: m, LDR: m, Lo: j.lo, Hi: j.hi,
		}
		if j.bias != nil {
			p.Bias = j.bias[i*j.mg:][:j.mg]
		}
		if j.add != nil {
			p.Res = j.add[i*j.mg:]
		}
		p.Gate = j.gate.From(i * j.mg)
		gemm(x, p)
	}
}

// gathered copies the windows of several images for one product.
func (j *sweepJob) gathered(x *exec) {
	g := j.g
	g.pt, g.pl, g.sh, g.sw = -j.y[0].offs[0], -j.x[0].offs[0], j.sy, j.sx
	job := kernels.GemmF32{
		M: g.n * g.oh * g.ow, N: j.mg, K: g.kh * g.kw * j.cg, B: j.packed, C: j.dst, LDC: j.mg, LDR: j.mg,
		Bias: j.bias, Res: j.add, Gate: j.gate, Lo: j.lo, Hi: j.hi,
	}
	split(x, job.M, job.N, job.K*4, len(job.B)*4, func(s *scratch, t tile) {
		rows := s.floats((t.m1 - t.m0) * job.K)
		gather(asBytes(rows), asBytes(j.src), gatherSpec{g: g, run: j.cg * 4, pixel: g.c * 4}, t.m0, t.m1)
		sub := slice(job, t, x.p.set.NR)
		sub.A, sub.LDA = rows, job.K
		x.p.set.Gemm(&sub)
	})
}

// band computes all phases of a band of lines.
func (j *sweepJob) band(x *exec, b band) {
	for i := range j.phases {
		p := &j.phases[i]
		switch {
		case p.y.count <= b.q0 || p.x.count == 0:
		case len(p.taps) == 0:
			j.empty(b, p)
		case j.depth:
			j.depthwise(x, b, p)
		case j.join > 1:
			j.joinedPhase(x, b, p)
		default:
			j.phase(x, b, p)
		}
	}
	if j.depth {
		j.finish(x, b)
	}
}

// finish does for a band of a depthwise convolution what its kernel does not: residual and gate.
func (j *sweepJob) finish(x *exec, b band) {
	row := j.g.ow * j.group
	from, to := (b.n*j.g.oh+b.q0*j.ty)*row, (b.n*j.g.oh+min(b.q1*j.ty, j.g.oh))*row
	y := j.dst[from:to]
	if j.add != nil {
		x.p.set.Add(y, y, j.add[from:to])
		x.p.set.Clamp(y, y, j.lo, j.hi)
	}
	if j.gate.Of != nil {
		j.close(y, y, from)
	}
}

// phase computes one phase's lines, group by group.
func (j *sweepJob) phase(x *exec, b band, p *phase) {
	c := kernels.ConvF32{Taps: p.taps, Run: p.run, N: j.mg, Lo: j.lo, Hi: j.hi}
	m, per := j.group*j.mg, j.set.PackedF32(len(c.Taps)*c.Run, j.mg)
	at, w := j.place(&c, b, p, m), j.offset(p.y.class, p.x.class)
	if b.cuts > 1 {
		j.share(x, b, c, at)
		return
	}
	for i := range j.group {
		c.X, c.W, c.Y = b.rows[i*j.cg:], j.packed[w+i*per:][:per], j.dst[at+i*j.mg:]
		if j.bias != nil {
			c.Bias = j.bias[i*j.mg:][:j.mg]
		}
		if j.add != nil {
			c.Res = j.add[at+i*j.mg:]
		}
		c.Gate = j.gate.From(at + i*j.mg)
		x.p.set.Conv(&c)
	}
}

// share computes a band's share of the output channels of a convolution without groups.
func (j *sweepJob) share(x *exec, b band, c kernels.ConvF32, at int) {
	panels := (j.mg + panelCols - 1) / panelCols
	n0, n1 := panels*b.cut/b.cuts*panelCols, min(panels*(b.cut+1)/b.cuts*panelCols, j.mg)
	c.X, c.W, c.Y, c.N = b.rows, j.packed[n0*len(c.Taps)*c.Run:], j.dst[at+n0:], n1-n0
	if j.bias != nil {
		c.Bias = j.bias[n0:n1]
	}
	if j.add != nil {
		c.Res = j.add[at+n0:]
	}
	c.Gate = j.gate.From(at + n0)
	x.p.set.Conv(&c)
}

// joinedPhase computes one phase's lines, several pixels as one. Where they do not divide a line the last ones are
// computed twice.
func (j *sweepJob) joinedPhase(x *exec, b band, p *phase) {
	c := kernels.ConvF32{
		Taps: p.taps, Run: j.cg * j.columns(len(p.x.offs)), X: b.rows, W: j.packed[j.offset(p.y.class, p.x.class):],
		Bias: j.bias, N: j.mg * j.join, Lo: j.lo, Hi: j.hi,
	}
	at := j.place(&c, b, p, j.mg)
	c.Y = j.dst[at:]
	if j.add != nil {
		c.Res = j.add[at:]
	}
	c.Gate = j.gate.From(at)
	pixels, step := c.M, c.XPixel
	c.M, c.XPixel, c.YPixel = pixels/j.join, step*j.join, j.mg*j.join
	x.p.set.Conv(&c)
	if rest := pixels - j.join; pixels%j.join != 0 {
		c.M, c.X, c.Y = 1, c.X[rest*step:], c.Y[rest*j.mg:]
		if c.Res != nil {
			c.Res = c.Res[rest*j.mg:]
		}
		c.Gate = c.Gate.From(rest * j.mg)
		x.p.set.Conv(&c)
	}
}

// depthwise computes one phase's lines of a convolution with one filter a channel.
func (j *sweepJob) depthwise(x *exec, b band, p *phase) {
	var c kernels.ConvF32
	at := j.place(&c, b, p, j.group)
	d := kernels.DepthwiseF32{
		N: c.M, C: j.group, Step: c.XPixel, Taps: p.taps, W: j.packed[j.offset(p.y.class, p.x.class):], Bias: j.bias,
		Lo: j.lo, Hi: j.hi, LDY: c.YPixel,
	}
	if j.add != nil {
		d.Lo, d.Hi = float32(math.Inf(-1)), float32(math.Inf(1))
	}
	for line := range c.Lines {
		d.X, d.Y = b.rows[line*c.XLine:], j.dst[at+line*c.YLine:]
		x.p.set.Depthwise(&d)
	}
}

// close lets src pass into dst where the gate, from element at on, is open.
func (j *sweepJob) close(dst, src []float32, at int) {
	of := j.gate.Of[at:][:len(dst)]
	if j.gate.Hi != j.gate.Hi {
		j.set.ReluGrad(dst, src, of)
		return
	}
	j.set.ClipGrad(dst, src, of, j.gate.Lo, j.gate.Hi)
}

// empty writes the outputs that no input reaches: bias and residual alone.
func (j *sweepJob) empty(b band, phase *phase) {
	var c kernels.ConvF32
	m := j.group * j.mg
	at := j.place(&c, b, phase, m)
	zero := make([]float32, m)
	base := zero
	if j.bias != nil {
		base = j.bias
	}
	free := j.bias == nil && math.IsInf(float64(j.lo), -1) && math.IsInf(float64(j.hi), 1)
	for line := range c.Lines {
		for i := range c.M {
			p := at + line*c.YLine + i*c.YPixel
			y, from := j.dst[p:][:m], base
			if j.add != nil && !j.depth { // else finish adds
				from = j.add[p:][:m]
			}
			switch {
			case free && j.gate.Of != nil && !j.depth:
				j.close(y, from, p)
			case free:
				copy(y, from)
			default:
				j.emptyPixel(y, from, base, p)
			}
		}
	}
}

// emptyPixel is a pixel with everything that an epilogue can do.
func (j *sweepJob) emptyPixel(y, from, base []float32, p int) {
	copy(y, from)
	if j.depth {
		if j.add == nil {
			j.set.Clamp(y, y, j.lo, j.hi)
		}
		return
	}
	if j.add != nil {
		j.set.Add(y, from, base)
	}
	j.set.Clamp(y, y, j.lo, j.hi)
	if j.gate.Of != nil {
		j.close(y, y, p)
	}
}
