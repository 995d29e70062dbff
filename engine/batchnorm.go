package engine

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// batchNorm is BatchNormalization with computed parameters, channels last. In training its outputs 3 and 4 are the
// batch's mean and 1/√(variance+ε), which the gradient reads. Input 5 is the residual, if the epilogue says so.
type batchNorm struct {
	ops.BatchNormalization
	epilogue
}

func (b batchNorm) source() graph.Op { return b.BatchNormalization }

// Infer gives x's type and four vectors.
func (b batchNorm) Infer(in []graph.Fact, outs int) ([]graph.Type, error) {
	first := append([]graph.Fact{}, in[:5]...)
	first[0] = graph.Fact{Type: channelsFirst(in[0].Type)}
	t, err := b.BatchNormalization.Infer(first, min(outs, 3))
	if err != nil {
		return nil, err
	}
	return append([]graph.Type{in[0].Type}, t[1], t[2], t[1], t[1])[:outs], nil
}

// channelData is float32 data whose last dimension is the channels, with its columns.
type channelData struct {
	columns
	x []float32
}

func channelDataOf(t *tensor.Tensor) channelData {
	c := t.Shape[len(t.Shape)-1]
	return channelData{columnsOf(t.Len()/max(c, 1), c), tensor.View[float32](t)}
}

// moments gives the mean and the mean squared distance from it of each channel.
func (d channelData) moments(x *exec) (mean, variance []float32) {
	set, n := x.p.set, float32(d.rows)
	mean, variance = make([]float32, d.c), make([]float32, d.c)
	d.sum(x, mean, d.x)
	set.DivS(mean, mean, n)
	wide := d.wide(mean)
	d.reduce(x, variance, columnSum{sums: 1, extra: 1, chunk: func(acc [][]float32, tmp []float32, a, b int) {
		t := tmp[:b-a]
		set.Sub(t, d.x[a:b], wide)
		set.MulAdd(acc[0][:b-a], t, t, acc[0][:b-a])
	}})
	set.DivS(variance, variance, n)
	return mean, variance
}

// each runs f on all chunks, elements a to b.
func (d channelData) each(x *exec, f func(a, b int)) {
	w, n := d.width(), len(d.x)
	x.p.pool.run(x.scratch, d.blocks(), func(_ *scratch, i int) {
		end := min((i+1)*d.block(), n)
		for a := i * d.block(); a < end; a += w {
			f(a, min(a+w, end))
		}
	})
}

// deviation gives 1/√(variance+ε).
func deviation(variance []float32, eps float32) []float32 {
	inv := make([]float32, len(variance))
	for i, v := range variance {
		inv[i] = 1 / float32(math.Sqrt(float64(v+eps)))
	}
	return inv
}

func (b batchNorm) exec(x *exec, in, out []*tensor.Tensor) error {
	d := channelDataOf(in[0])
	var p [4][]float32 // scale, bias, mean, variance
	for i := range p {
		if in[i+1].Len() != d.c || in[i+1].DType != tensor.Float32 {
			return fmt.Errorf("input %d: %s%v does not fit %d channels", i+1, in[i+1].DType, in[i+1].Shape, d.c)
		}
		p[i] = tensor.View[float32](in[i+1])
	}
	mean, variance := p[2], p[3]
	if b.TrainingMode && len(d.x) > 0 {
		mean, variance = d.moments(x)
		b.running(x, in, out, [2][]float32{mean, variance})
	}
	inv := deviation(variance, b.Epsilon)
	for i, v := range [][]float32{mean, inv} {
		if len(out) > 3+i && out[3+i] != nil {
			copy(tensor.View[float32](x.Make(out[3+i], tensor.Float32, d.c)), v)
		}
	}
	if out[0] == nil {
		return nil
	}
	y := tensor.View[float32](x.Make(out[0], tensor.Float32, in[0].Shape...))
	factor := make([]float32, d.c)
	x.p.set.Mul(factor, p[0], inv)
	wMean, wFactor, wBias := d.wide(mean), d.wide(factor), d.wide(p[1])
	var res []float32
	if b.res {
		res = tensor.View[float32](in[5])
	}
	free := plainEpilogue()
	clamped := b.lo != free.lo || b.hi != free.hi
	d.each(x, func(i, j int) {
		v := y[i:j]
		x.p.set.Sub(v, d.x[i:j], wMean)
		x.p.set.MulAdd(v, v, wFactor, wBias)
		if res != nil {
			x.p.set.Add(v, v, res[i:j])
		}
		if clamped {
			x.p.set.Clamp(v, v, b.lo, b.hi)
		}
	})
	return nil
}

// running moves the running mean and variance towards the batch's.
func (b batchNorm) running(x *exec, in, out []*tensor.Tensor, batch [2][]float32) {
	for i, v := range batch {
		if len(out) <= i+1 || out[i+1] == nil {
			continue
		}
		y := tensor.View[float32](x.Make(out[i+1], tensor.Float32, in[3+i].Shape...))
		for c, old := range tensor.View[float32](in[3+i]) {
			y[c] = float32(old*b.Momentum) + float32(v[c]*(1-b.Momentum))
		}
	}
}

// momentKey names statistics of a value in training.
type momentKey struct {
	x   *graph.Value
	eps float32
}

// lowerBatchNorm takes normalizations in training, and those that no constant parameters let the passes resolve.
func lowerBatchNorm(l *lowering, n *graph.Node) bool {
	h, fused := n.Op.(head)
	if !fused {
		free := plainEpilogue()
		h = head{Op: n.Op, lo: free.lo, hi: free.hi}
	}
	op, ok := h.Op.(ops.BatchNormalization)
	if !ok || !fused && !isBatchNorm(n) {
		return false
	}
	x := n.In[0]
	if !op.TrainingMode {
		one := *n
		one.Out = n.Out[:1]
		n = &one
	}
	in := []*graph.Value{l.channelsOf(x)}
	for _, v := range n.In[1:5] {
		in = append(in, l.plainOf(v))
	}
	if h.res {
		in = append(in, l.channelsOf(n.In[5]))
	}
	extra := &graph.Node{Name: n.Name, Op: n.Op, In: n.In, Out: append([]*graph.Value{}, n.Out...)}
	for len(extra.Out) < 5 && op.TrainingMode {
		extra.Out = append(extra.Out, nil)
	}
	if op.TrainingMode {
		for i := 3; i < 5; i++ {
			extra.Out[i] = &graph.Value{Name: n.Name + "_moments"}
		}
	}
	out := l.emit(extra, batchNorm{op, epilogue{lo: h.lo, hi: h.hi, res: h.res}}, in)
	if op.TrainingMode {
		if l.moments == nil {
			l.moments = map[momentKey][2]*graph.Value{}
		}
		l.moments[momentKey{x, op.Epsilon}] = [2]*graph.Value{out[3], out[4]}
	}
	l.setChannels(n, out)
	return true
}

// isBatchNorm reports whether lowerBatchNorm takes n.
func isBatchNorm(n *graph.Node) bool {
	if len(n.In) != 5 || n.OpName() != "BatchNormalization" || !channeled(n.In[0]) {
		return false
	}
	for _, v := range n.In {
		if !isFloat(v) {
			return false
		}
	}
	return true
}

// channeled reports whether v can have its channels last: rank 2, or spatial.
func channeled(v *graph.Value) bool { return v.Rank() == 2 || spatial(v) }

func (l *lowering) channelsOf(v *graph.Value) *graph.Value {
	if v.Rank() == 2 {
		return l.plainOf(v)
	}
	return l.lastOf(v)
}

// setChannels records output 0 with its channels last and the others as they are.
func (l *lowering) setChannels(n *graph.Node, out []*graph.Value) {
	for i, v := range n.Out {
		switch {
		case v == nil:
		case i == 0 && v.Rank() != 2:
			l.last[v] = out[i]
		default:
			l.plain[v] = out[i]
		}
	}
}

// batchNormGrad is BatchNormalizationGrad, channels last. Inputs: dy, x, scale and, if another step made them, the
// batch's mean and 1/√(variance+ε).
type batchNormGrad struct{ ops.BatchNormalizationGrad }

func (b batchNormGrad) source() graph.Op { return b.BatchNormalizationGrad }

// Infer gives the types of x and, twice, of scale.
func (b batchNormGrad) Infer(in []graph.Fact, outs int) ([]graph.Type, error) {
	return b.BatchNormalizationGrad.Infer(in[:3], outs)
}

func (b batchNormGrad) exec(x *exec, in, out []*tensor.Tensor) error {
	d, set := channelDataOf(in[1]), x.p.set
	dy, scale := tensor.View[float32](in[0]), tensor.View[float32](in[2])
	if len(dy) != len(d.x) || len(scale) != d.c {
		return fmt.Errorf("gradient %v, input %v and scale %v do not fit", in[0].Shape, in[1].Shape, in[2].Shape)
	}
	var mean, inv []float32
	if len(in) > 3 {
		mean, inv = tensor.View[float32](in[3]), tensor.View[float32](in[4])
	} else {
		var variance []float32
		mean, variance = d.moments(x)
		inv = deviation(variance, b.Epsilon)
	}
	wMean, sums := d.wide(mean), make([]float32, 2*d.c)
	d.reduce(x, sums, columnSum{sums: 2, extra: 1, chunk: func(acc [][]float32, tmp []float32, i, j int) {
		t := tmp[:j-i]
		set.Sub(t, d.x[i:j], wMean)
		set.MulAdd(acc[0][:j-i], dy[i:j], t, acc[0][:j-i])
		set.Add(acc[1][:j-i], acc[1][:j-i], dy[i:j])
	}})
	set.Mul(sums[:d.c], sums[:d.c], inv)
	copyParts(x, out[1:], in[2].Shape, sums)
	if out[0] == nil {
		return nil
	}
	// dx = f·dy + (g·(x - mean) + h) with f = scale·inv, g = -f·inv·dscale/n, h = -f·dbias/n
	f, g, h := make([]float32, d.c), make([]float32, d.c), make([]float32, d.c)
	n := float32(d.rows)
	for c := range f {
		f[c] = scale[c] * inv[c]
		g[c] = -float32(float32(f[c]*inv[c])*sums[c]) / n
		h[c] = -float32(f[c]*sums[d.c+c]) / n
	}
	dx := tensor.View[float32](x.Make(out[0], tensor.Float32, in[1].Shape...))
	wf, wg, wh := d.wide(f), d.wide(g), d.wide(h)
	d.each(x, func(i, j int) {
		set.Sub(dx[i:j], d.x[i:j], wMean)
		set.MulAdd(dx[i:j], dx[i:j], wg, wh)
		set.MulAdd(dx[i:j], dy[i:j], wf, dx[i:j])
	})
	return nil
}

func lowerBatchNormGrad(l *lowering, n *graph.Node) bool {
	op, ok := n.Op.(ops.BatchNormalizationGrad)
	x := n.In[1]
	if !ok || !isFloat(x) || !isFloat(n.In[0]) || !isFloat(n.In[2]) || !channeled(x) {
		return false
	}
	in := []*graph.Value{l.channelsOf(n.In[0]), l.channelsOf(x), l.plainOf(n.In[2])}
	if m, ok := l.moments[momentKey{x, op.Epsilon}]; ok {
		in = append(in, m[:]...)
	}
	l.setChannels(n, l.emit(n, batchNormGrad{op}, in))
	return true
}
