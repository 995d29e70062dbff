package engine

import (
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/kernels"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// toInteger added to a number below 2²² and taken away again rounds it half to even.
const toInteger = 3 << 22

// fakeChunk is how many elements pass through all the vector functions of a step before the next ones do.
const fakeChunk = 2048

// fakeRange is the range of x/scale in which numbers are not clipped.
type fakeRange struct{ lo, hi float32 }

// fakeQuantize is FakeQuantize on float32 data, fakeQuantizeGrad its gradient.
type fakeQuantize struct{ ops.FakeQuantize }

type fakeQuantizeGrad struct{ ops.FakeQuantizeGrad }

func (f fakeQuantize) source() graph.Op     { return f.FakeQuantize }
func (f fakeQuantizeGrad) source() graph.Op { return f.FakeQuantizeGrad }

func lowerFakeQuantize(l *lowering, n *graph.Node) bool {
	switch op := n.Op.(type) {
	case ops.FakeQuantize:
		l.keep(n, fakeQuantize{op})
		return true
	case ops.FakeQuantizeGrad:
		l.keep(n, fakeQuantizeGrad{op})
		return true
	}
	return false
}

// stepped is float32 data seen as outer blocks of one row for each scale.
type stepped struct {
	outer, scales, inner int
	scale                []float32
	fakeRange
}

// steppedOf gives the view; false where the data, the integers or several zero points do not fit the vector functions.
func steppedOf(q ops.FakeQuantize, in []*tensor.Tensor) (s stepped, ok bool) {
	x, scale := in[0], in[1]
	if x.DType != tensor.Float32 || scale.DType != tensor.Float32 || len(scale.Shape) > 1 || x.Len() == 0 {
		return s, false
	}
	s = stepped{outer: 1, scales: scale.Len(), inner: x.Len(), scale: tensor.View[float32](scale)}
	if s.scales != 1 {
		axis := q.Axis
		if axis < 0 {
			axis += len(x.Shape)
		}
		if axis < 0 || axis >= len(x.Shape) || x.Shape[axis] != s.scales {
			return s, false
		}
		s.outer, s.inner = tensor.Size(x.Shape[:axis]), tensor.Size(x.Shape[axis+1:])
	}
	zero := float32(0)
	if len(in) > 2 && in[2] != nil {
		z := tensor.View[float32](in[2])
		if in[2].DType != tensor.Float32 || len(z) != s.scales {
			return s, false
		}
		zero = z[0]
		for _, e := range z {
			if e != zero {
				return s, false
			}
		}
	}
	s.fakeRange = fakeRange{float32(q.Lo) - zero, float32(q.Hi) - zero}
	return s, s.lo > -1<<22 && s.hi < 1<<22
}

// columns reports whether scales change from element to element.
func (s *stepped) columns() bool { return s.scales > 1 && s.inner == 1 }

// quotients sets v = x/scale; scale has one number, or one for each element.
func quotients(set *kernels.Set, v, x, scale []float32) {
	if len(scale) == 1 {
		set.DivS(v, x, scale[0])
	} else {
		set.Div(v, x, scale)
	}
}

// round sets y to the integers nearest to v, less the zero point.
func (r fakeRange) round(set *kernels.Set, y, v []float32) {
	set.Clamp(y, v, r.lo, r.hi)
	set.AddS(y, y, toInteger)
	set.SubS(y, y, toInteger)
}

// forward sets y to what is left of x.
func (r fakeRange) forward(set *kernels.Set, y, x, scale []float32) {
	quotients(set, y, x, scale)
	r.round(set, y, y)
	if len(scale) == 1 {
		set.MulS(y, y, scale[0])
	} else {
		set.Mul(y, y, scale)
	}
}

// backward sets dx to dy inside the range and slope to what dy is multiplied by for the scale; v is scratch.
func (r fakeRange) backward(set *kernels.Set, g fakeGrad, scale []float32) {
	lo, hi := math.Nextafter32(r.lo, float32(math.Inf(-1))), math.Nextafter32(r.hi, float32(math.Inf(1)))
	quotients(set, g.v, g.x, scale)
	if g.dx != nil {
		set.ClipGrad(g.dx, g.dy, g.v, lo, hi)
	}
	r.round(set, g.slope, g.v)
	set.ClipGrad(g.v, g.v, g.v, lo, hi)
	set.Sub(g.slope, g.slope, g.v)
}

// fakeGrad are vectors of one length; dx may be nil.
type fakeGrad struct{ x, dy, dx, v, slope []float32 }

func (f fakeQuantize) exec(x *exec, in, out []*tensor.Tensor) error {
	s, ok := steppedOf(f.FakeQuantize, in)
	if !ok {
		return x.kernel(f.FakeQuantize, in, out)
	}
	y := tensor.View[float32](x.Make(out[0], tensor.Float32, in[0].Shape...))
	v := tensor.View[float32](in[0])
	switch {
	case s.scales == 1:
		blocks(x, len(v), func(a, b int) {
			for ; a < b; a += fakeChunk {
				end := min(a+fakeChunk, b)
				s.forward(x.p.set, y[a:end], v[a:end], s.scale)
			}
		})
	case s.columns():
		rows(x, len(v), s.scales, func(a, b int) { s.forward(x.p.set, y[a:b], v[a:b], s.scale) })
	default:
		rows(x, len(v), s.inner, func(a, b int) {
			k := a / s.inner % s.scales
			s.forward(x.p.set, y[a:b], v[a:b], s.scale[k:k+1])
		})
	}
	return nil
}

func (f fakeQuantizeGrad) exec(x *exec, in, out []*tensor.Tensor) error {
	s, ok := steppedOf(ops.FakeQuantize(f.FakeQuantizeGrad), in[1:])
	if !ok || in[0].DType != tensor.Float32 || in[0].Len() != in[1].Len() {
		return x.kernel(f.FakeQuantizeGrad, in, out)
	}
	g := fakeGrad{x: tensor.View[float32](in[1]), dy: tensor.View[float32](in[0])}
	if out[0] != nil {
		g.dx = tensor.View[float32](x.Make(out[0], tensor.Float32, in[1].Shape...))
	}
	sums := make([]float32, s.scales)
	if s.scales == 1 || s.columns() {
		s.columnSums(x, g, sums)
	} else {
		s.rowSums(x, g, sums)
	}
	factor := float32(f.Factor(len(g.x)/s.scales, float64(float32(f.Hi)-s.hi)))
	x.p.set.MulS(sums, sums, factor)
	copyParts(x, out[1:], in[2].Shape, sums)
	return nil
}

// part is elements a to b, with scratch for them.
func (g fakeGrad) part(a, b int, tmp []float32) fakeGrad {
	n := b - a
	p := fakeGrad{x: g.x[a:b], dy: g.dy[a:b], v: tmp[:n], slope: tmp[len(tmp)/2:][:n]}
	if g.dx != nil {
		p.dx = g.dx[a:b]
	}
	return p
}

// columnSums sums all the elements of one scale, or the columns of a matrix with a scale for each.
func (s *stepped) columnSums(x *exec, g fakeGrad, sums []float32) {
	k, scale := columnsOf(len(g.x)/s.scales, s.scales), s.scale
	if s.columns() {
		scale = k.wide(scale)
	}
	k.reduce(x, sums, columnSum{sums: 1, extra: 2, chunk: func(acc [][]float32, tmp []float32, a, b int) {
		p, by := g.part(a, b, tmp[:2*k.width()]), scale
		if len(by) > 1 {
			by = by[:b-a]
		}
		s.backward(x.p.set, p, by)
		x.p.set.MulAdd(acc[0][:b-a], p.dy, p.slope, acc[0][:b-a])
	}})
}

// rowSums sums each row on its own, then those of one scale in their order.
func (s *stepped) rowSums(x *exec, g fakeGrad, sums []float32) {
	parts := make([]float32, s.outer*s.scales)
	per := max(1, grain/s.inner)
	x.p.pool.run(x.scratch, (len(parts)+per-1)/per, func(sc *scratch, t int) {
		tmp := sc.floats(2 * s.inner)
		for i := t * per; i < min((t+1)*per, len(parts)); i++ {
			p, k := g.part(i*s.inner, (i+1)*s.inner, tmp), i%s.scales
			s.backward(x.p.set, p, s.scale[k:k+1])
			parts[i] = x.p.set.Dot(p.dy, p.slope)
		}
	})
	for i, v := range parts {
		sums[i%s.scales] += v
	}
}
