package quantize

import (
	"errors"
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// errNothing tells that no operator qualifies.
var errNothing = errors.New("nothing to quantize: no operator with constant float32 weights that is not excluded")

// alone makes the layers of a graph for the modes that need no data: every operator with constant weights.
func alone(f *graph.Graph, o Options) (*rewriter, []*layer, error) {
	p := place(f, o)
	layers, err := layersOf(p)
	if err != nil {
		return nil, nil, err
	}
	if len(layers) == 0 {
		return nil, nil, errNothing
	}
	for _, l := range layers {
		l.scales(o)
		l.nearest()
	}
	return newRewriter(p), layers, nil
}

// weightOnly stores weights as integers behind DequantizeLinear; the arithmetic stays float.
func weightOnly(f *graph.Graph, o Options) (*Result, error) {
	r, layers, err := alone(f, o)
	if err != nil {
		return nil, err
	}
	res := &Result{Graph: r.g}
	for _, l := range layers {
		if o.Weights == "int4" && l.depth() >= o.BlockSize {
			res.Layers = append(res.Layers, r.blocks(l))
			continue
		}
		if o.Weights == "int4" {
			res.Warnings = append(res.Warnings, fmt.Sprintf("%s: %d input channels do not fill a block of %d: its weights are int8",
				l.node.Name, l.depth(), o.BlockSize))
		}
		r.weight(l)
		res.Layers = append(res.Layers, l.report())
	}
	if err := r.g.Sort(); err != nil {
		return nil, err
	}
	return res, r.g.Infer()
}

// depth is the number of input channels, along which blocks go.
func (l *layer) depth() int { return l.weight.Const.Shape[l.blockAxis()] }

func (l *layer) blockAxis() int { return 1 - l.axis }

// blocks stores a layer's weights as int4 with a scale for every BlockSize elements along the input channels
// (DequantizeLinear's block_size, opset 21): q in [-8, 7], scale = max(max w/7, -min w/8), shrunk where that makes the
// square error smaller.
func (r *rewriter) blocks(l *layer) Layer {
	shape := l.weight.Const.Shape
	axis, size := l.blockAxis(), r.p.o.BlockSize
	inner := tensor.Size(shape[axis+1:])
	depth := shape[axis]
	count := (depth + size - 1) / size
	w := tensor.Floats(l.weight.Const)
	ints := make([]int64, len(w))
	scales := make([]float32, tensor.Size(shape[:axis])*count*inner)
	rep := Layer{Name: l.node.Name, Op: l.node.OpName(), Precision: "int4"}
	var at []int
	for i := range scales {
		outer, block, in := i/(count*inner), i/inner%count, i%inner
		at = at[:0]
		for d := block * size; d < min((block+1)*size, depth); d++ {
			at = append(at, (outer*depth+d)*inner+in)
		}
		scales[i] = r.blockScale(l, w, at)
		for _, j := range at {
			ints[j] = int64(min(max(math.RoundToEven(float64(w[j]/scales[i])), -8), 7))
			rep.add(w[j], float32(ints[j])*scales[i], scales[i])
		}
	}
	rep.MeanError /= float64(len(w))
	rep.Clipped /= float64(len(w))
	q := tensor.New(tensor.Int4, shape...)
	_ = tensor.SetInts(q, ints) // within -8..7
	scaleShape := append([]int(nil), shape...)
	scaleShape[axis] = count
	v := r.constant(r.takeName(l.weight, 1), q)
	s := r.constant(l.weight.Name+"_scale", tensor.From(scales, scaleShape...))
	r.nodes[l.node].In[1] = r.add(l.weight.Name+"_dequantized", ops.DequantizeLinear{Axis: axis, BlockSize: size}, v, s)
	return rep
}

// add counts one weight's error.
func (l *Layer) add(w, back, scale float32) {
	e := math.Abs(float64(back) - float64(w))
	l.MaxError = max(l.MaxError, e)
	l.MeanError += e
	l.HalfStep = max(l.HalfStep, float64(scale)/2)
	if e > float64(scale)*0.500001 {
		l.Clipped++
	}
}

// blockScale is the explicit step or the best of a few shrunk ranges of the weights at some places.
func (r *rewriter) blockScale(l *layer, w []float32, at []int) float32 {
	if s := l.step(r.p.o); s != 0 {
		return s
	}
	var lo, hi float32
	for _, j := range at {
		lo, hi = min(lo, w[j]), max(hi, w[j])
	}
	full := max(hi/7, -lo/8)
	if full < 1e-30 {
		return 1
	}
	best, least := full, math.Inf(1)
	for f := 20; f >= 14; f-- {
		s := full * float32(f) / 20
		var e float64
		for _, j := range at {
			q := min(max(math.RoundToEven(float64(w[j]/s)), -8), 7)
			d := float64(w[j]) - q*float64(s)
			e += d * d
		}
		if e < least {
			best, least = s, e
		}
	}
	return best
}
