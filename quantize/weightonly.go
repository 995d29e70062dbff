package quantize

import (
	"errors"
	"math"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// errNothing tells that no operator qualifies.
var errNothing = errors.New("nothing to quantize: no operator has constant weights that are large enough and not excluded")

// weightOnly keeps weights as integers after a DequantizeLinear; everything is computed in float.
func weightOnly(f *graph.Graph, o Options) (*converted, error) { return keepIntegers(f, nil, o) }

// keepIntegers does so with the scales that it is given, or with such as it finds.
func keepIntegers(f *graph.Graph, given []*stored, o Options) (*converted, error) {
	r := newRewriter(&placement{g: f, o: o, uses: f.Uses()})
	c := &converted{Result: &Result{Graph: r.g}, of: r.of}
	kept, err := r.rest(given)
	if err != nil {
		return nil, err
	}
	c.add(f, kept)
	if len(c.Layers) == 0 {
		return nil, errNothing
	}
	if err := r.g.Sort(); err != nil {
		return nil, err
	}
	return c, r.g.Infer()
}

// limits are the integers that weights become: 8-bit ones leave out -128.
func (s *stored) limits() (lo, hi float64) {
	if s.dtype == tensor.Int4 {
		return -8, 7
	}
	return -127, 127
}

// choose sets the scales: the explicit step, or what fits the weights.
func (s *stored) choose() {
	if s.free && !s.whole && s.block == 0 && s.step == 0 {
		s.bestAxis()
		return
	}
	at := s.layout()
	s.scale = make([]float32, tensor.Size(s.shape))
	if s.step == 0 {
		s.fit(tensor.Floats(s.weight.Const), at)
		return
	}
	for i := range s.scale {
		s.scale[i] = s.step
	}
}

// bestAxis takes the scales along the axis that leaves the least square error.
func (s *stored) bestAxis() {
	w := tensor.Floats(s.weight.Const)
	best, least := s.kind, math.Inf(1)
	var scale []float32
	for a := range s.weight.Const.Shape {
		s.kind.Axes = []int{a}
		at := s.layout()
		s.scale = make([]float32, tensor.Size(s.shape))
		s.fit(w, at)
		e := 0.0
		for i, x := range w {
			d := float64(x) - s.round(x, s.scale[at(i)])*float64(s.scale[at(i)])
			e += d * d
		}
		if e < least && (len(s.scale)*8 <= len(w) || a == 0) {
			best, least, scale = s.kind, e, s.scale
		}
	}
	s.kind, s.scale = best, scale
	s.layout()
}

// quantize rounds half to even, by scales that it chooses if there are none.
func (s *stored) quantize() {
	w := tensor.Floats(s.weight.Const)
	if s.scale == nil {
		s.choose()
	}
	at := s.layout()
	s.ints = make([]int8, len(w))
	for i, x := range w {
		s.ints[i] = int8(s.round(x, s.scale[at(i)]))
	}
}

func (s *stored) round(x, scale float32) float64 {
	lo, hi := s.limits()
	return min(max(math.RoundToEven(float64(x/scale)), lo), hi)
}

// fit takes the scales that reach the largest weights, max(max w / hi, min w / lo); 4-bit ones are shrunk where that
// makes the square error smaller.
func (s *stored) fit(w []float32, at func(i int) int) {
	lo, hi := s.limits()
	for i, x := range w {
		k := at(i)
		s.scale[k] = max(s.scale[k], x/float32(hi), x/float32(lo))
	}
	for k, x := range s.scale {
		if x < 1e-30 {
			s.scale[k] = 1
		}
	}
	if s.dtype != tensor.Int4 {
		return
	}
	full := slices.Clone(s.scale)
	least := make([]float64, len(full))
	for k := range least {
		least[k] = math.Inf(1)
	}
	for f := 20; f >= 14; f-- {
		e := make([]float64, len(full))
		shrink := float32(f) / 20
		for i, x := range w {
			k := at(i)
			scale := full[k] * shrink
			d := float64(x) - s.round(x, scale)*float64(scale)
			e[k] += d * d
		}
		for k := range e {
			if e[k] < least[k] {
				least[k], s.scale[k] = e[k], full[k]*shrink
			}
		}
	}
}

// reports measures the weights, once for each node that computes with them.
func (s *stored) reports() []Layer {
	w := tensor.Floats(s.weight.Const)
	at, channel := s.layout(), s.byAxes()
	s.layout()
	lo, hi := s.limits()
	var l Layer
	var sum float64
	clipped := 0
	by := newChannels(tensor.Size(s.axesShape()))
	for i, x := range w {
		step := float64(s.scale[at(i)])
		e := math.Abs(float64(float32(s.ints[i])*s.scale[at(i)]) - float64(x))
		l.MaxError, l.HalfStep = max(l.MaxError, e), max(l.HalfStep, step/2)
		sum += e
		by.add(channel(i), float64(x), e)
		if q := float64(x) / step; q < lo-0.5 || q > hi+0.5 {
			clipped++
		}
	}
	l.MeanError, l.Clipped = sum/float64(len(w)), float64(clipped)/float64(len(w))
	l.SQNR, l.WorstSQNR = by.total(), by.least()
	l.Worst = by.worst
	l.Precision = s.dtype.String()
	var out []Layer
	for _, e := range s.ends {
		if slices.ContainsFunc(out, func(o Layer) bool { return o.Name == e.node.Name }) {
			continue
		}
		l.Name, l.Op = e.node.Name, e.node.OpName()
		out = append(out, l)
	}
	return out
}
