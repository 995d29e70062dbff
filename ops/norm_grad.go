package ops

import (
	"errors"
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("tfsopt", 1, LayerNormalizationGrad{}) }

// Grad is LayerNormalizationGrad's, plus what flows through mean and inverse deviation.
func (l LayerNormalization) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	f, d := gradient(b, n), none(n)
	if dy := dOut[0]; dy != nil {
		g := b.AddN(f.name, 3, LayerNormalizationGrad{Axis: l.Axis, Epsilon: l.Epsilon}, dy, n.In[0], n.In[1])
		d[0], d[1] = g[0], g[1]
		if flowsTo(n, 2) {
			d[2] = g[2]
			if !sameInts(f.shape(n.In[2]), f.shape(n.In[1])) {
				d[2] = f.sumTo(dy, f.shape(n.In[2]))
			}
		}
	}
	for i := 1; i < len(dOut); i++ {
		if dOut[i] == nil {
			continue
		}
		moment := f.momentSlope(b, n, i, dOut[i])
		if d[0] == nil {
			d[0] = moment
		} else {
			d[0] = f.add(d[0], moment)
		}
	}
	return d
}

// momentSlope is the gradient that comes by way of output 1, the mean, which is d over the number of elements, or of
// output 2, the inverse deviation r, which is -d·r³·(x - mean) over that number.
func (f formula) momentSlope(b *graph.Builder, n *graph.Node, i int, d *graph.Value) *graph.Value {
	x := n.In[0]
	count := max(tensor.Size(f.shape(x)), 1) / max(tensor.Size(f.shape(d)), 1)
	d = f.scale(f.cast(d, x), 1/float64(max(count, 1)))
	if i == 1 {
		return f.node(Expand{}, d, f.ints(f.shape(x)...))
	}
	inv := f.cast(output(b, n, 2), x)
	centred := f.sub(x, f.cast(output(b, n, 1), x))
	return f.mul(centred, f.neg(f.mul(d, f.mul(inv, f.square(inv)))))
}

// LayerNormalizationGrad is the gradient of LayerNormalization: for the gradient dy of the result, its input x and its
// scale it gives dx and, in the scale's shape, those of scale and bias. With x̂ the normalized x and g = dy·scale,
// dx = (g - mean(g) - x̂·mean(g·x̂)) / √(variance+Epsilon), dscale = Σ dy·x̂ and dbias = Σ dy (Ba et al., arXiv 1607.06450).
type LayerNormalizationGrad struct {
	Axis    int     `attr:"axis" default:"-1"`
	Epsilon float32 `attr:"epsilon" default:"1e-5"`
}

// Infer gives the types of x and twice that of the scale.
func (l LayerNormalizationGrad) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 3, 3); err != nil {
		return nil, err
	}
	t, err := gatedType(in[:2], 2)
	if err != nil {
		return nil, err
	}
	if r := in[1].Rank(); r >= 0 {
		if _, err := axis(l.Axis, r); err != nil {
			return nil, err
		}
	}
	return []graph.Type{t[0], in[2].Type, in[2].Type}, nil
}

// Run computes in float64 and rounds once.
func (l LayerNormalizationGrad) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	s := in[1].Shape
	a, err := axis(l.Axis, len(s))
	if err != nil {
		return err
	}
	if !sameInts(in[0].Shape, s) {
		return fmt.Errorf("input 0 has shape %v, input 1 %v", in[0].Shape, s)
	}
	v, err := floats(in[1])
	if err != nil {
		return err
	}
	dy, err := floats(in[0])
	if err != nil {
		return err
	}
	run := tensor.Size(s[a:])
	if run == 0 {
		return errors.New("no elements to normalize")
	}
	inv := make([]float64, len(v)/run)
	for i := range inv {
		_, variance := meanVariance(v[i*run : (i+1)*run])
		inv[i] = 1 / math.Sqrt(variance+float64(l.Epsilon))
	}
	standardize(v, run, l.Epsilon)
	if err := l.parameters(x, in[2], out, normGrad{s, v, dy}); err != nil || out[0] == nil {
		return err
	}
	if err := affine(dy, s, in[2], nil); err != nil {
		return err
	}
	for i, k := range inv {
		g, y := dy[i*run:(i+1)*run], v[i*run:(i+1)*run]
		mean, along := 0., 0.
		for j, e := range g {
			mean += e
			along += float64(e * y[j])
		}
		mean, along = mean/float64(run), along/float64(run)
		for j, e := range g {
			g[j] = k * (e - mean - float64(y[j]*along))
		}
	}
	return tensor.SetFloat64s(x.Make(out[0], in[1].DType, s...), dy)
}

// normGrad is the shape of x, the normalized x and the gradient of the result.
type normGrad struct {
	shape []int
	v, dy []float64
}

// parameters gives the gradients of scale and bias.
func (LayerNormalizationGrad) parameters(x *graph.Exec, scale *tensor.Tensor, out []*tensor.Tensor, n normGrad) error {
	all, err := broadcastShape(n.shape, scale.Shape)
	if err != nil || !sameInts(all, n.shape) {
		return fmt.Errorf("input 2: %s%v does not broadcast to %v", scale.DType, scale.Shape, n.shape)
	}
	sums := [2][]float64{make([]float64, scale.Len()), make([]float64, scale.Len())}
	walk(n.shape, strides(scale.Shape, n.shape), make([]int, len(n.shape)), func(i, k, _ int) {
		sums[0][k] += float64(n.dy[i] * n.v[i])
		sums[1][k] += n.dy[i]
	})
	for i, sum := range sums {
		if i+1 < len(out) && out[i+1] != nil {
			if err := tensor.SetFloat64s(x.Make(out[i+1], scale.DType, scale.Shape...), sum); err != nil {
				return err
			}
		}
	}
	return nil
}

// Grad is, with r = 1/√(mean(x²)+Epsilon) and g = dy·scale, r·(g - x·r²·mean(g·x)), and for the scale the sum of dy·x·r.
func (r RMSNormalization) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	dy := dOut[0]
	if dy == nil {
		return none(n)
	}
	f, x := gradient(b, n), n.In[0]
	shape := f.shape(x)
	a, err := axis(r.Axis, len(shape))
	if err != nil {
		return fail(b, n, "%v", err)
	}
	over := make([]int, len(shape)-a)
	for i := range over {
		over[i] = a + i
	}
	root := f.root(f.shift(f.mean(f.square(x), over...), float64(r.Epsilon)))
	g := f.mul(dy, n.In[1])
	along := f.mul(f.mean(f.mul(g, x), over...), f.square(root))
	dx := f.mul(root, f.sub(g, f.mul(x, along)))
	ds := f.sumTo(f.mul(dy, f.mul(x, root)), f.shape(n.In[1]))
	return []*graph.Value{dx, ds}
}

// mean is the mean over axes, which stay with size 1.
func (f formula) mean(v *graph.Value, axes ...int) *graph.Value {
	if len(axes) == 0 {
		return v
	}
	return f.node(ReduceMean{Keepdims: true}, v, f.ints(axes...))
}

// Grad is, for the norm n, (dy - x/n·Σ dy·y)/n or for P = 1 (dy - sign(x)·Σ dy·y)/n; dy where the norm is 0.
func (l LpNormalization) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	dy := dOut[0]
	if dy == nil {
		return none(n)
	}
	f, x, y := gradient(b, n), n.In[0], n.Out[0]
	if len(f.shape(x)) == 0 {
		return to(n, f.zeros(x))
	}
	along := f.sum(f.mul(dy, y), true, l.Axis)
	if l.P == 1 {
		norm := f.nonzero(f.node(ReduceL1{Keepdims: true}, x, f.ints(l.Axis)))
		return to(n, f.div(f.sub(dy, f.mul(f.node(Sign{}, x), along)), norm))
	}
	norm := f.nonzero(f.node(ReduceL2{Keepdims: true}, x, f.ints(l.Axis)))
	return to(n, f.div(f.sub(dy, f.mul(y, along)), norm))
}

// Grad is, with c = x - mean, deviation s and d = s + 1e-9, (dy - mean(dy))/d - c·mean(dy·c)/(s·d²).
func (m MeanVarianceNormalization) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	dy := dOut[0]
	if dy == nil {
		return none(n)
	}
	f, x := gradient(b, n), n.In[0]
	c := f.sub(x, f.mean(x, m.Axes...))
	s := f.node(Sqrt{}, f.mean(f.square(c), m.Axes...))
	d := f.shift(s, 1e-9)
	direct := f.div(f.sub(dy, f.mean(dy, m.Axes...)), d)
	along := f.div(f.mean(f.mul(dy, c), m.Axes...), f.nonzero(f.mul(s, f.square(d))))
	return to(n, f.sub(direct, f.mul(c, along)))
}
