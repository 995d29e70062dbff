package quantize

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// calibration is what one pass of the float graph leaves: histograms in the groups, and per layer the statistics of its
// inputs and outputs.
type calibration struct {
	outMean []*mean   // by layer
	grams   []*gram   // by layer; nil where rounding does not look at whole rows
	spreads []*spread // by layer; nil where rounding does not look at the data or a gram does
	logs    map[*graph.Node]*histogram

	measured *measured // what layers and outputs give on the first samples
}

// mean adds up a value's channels over samples.
type mean struct {
	sum   []float64
	count int64
}

// add takes a tensor whose channels are on axis 1 of a convolution's result, else on the last one.
func (m *mean) add(t *tensor.Tensor, conv bool) {
	v := tensor.Floats(t)
	rank := len(t.Shape)
	if !conv {
		c := t.Shape[rank-1]
		m.size(c)
		for i := 0; i < len(v); i += c {
			for j, x := range v[i : i+c] {
				m.sum[j] += float64(x)
			}
		}
		m.count += int64(len(v) / max(c, 1))
		return
	}
	c := t.Shape[1]
	m.size(c)
	area := tensor.Size(t.Shape[2:])
	for i := 0; i*area < len(v); i++ {
		var s float64
		for _, x := range v[i*area : (i+1)*area] {
			s += float64(x)
		}
		m.sum[i%c] += s
	}
	m.count += int64(t.Shape[0] * area)
}

func (m *mean) size(c int) {
	if m.sum == nil {
		m.sum = make([]float64, c)
	}
}

// finite reports whether all that was added was.
func (m *mean) finite() error {
	for i, s := range m.sum {
		if s-s != 0 {
			return fmt.Errorf("channel %d adds up to %v", i, s)
		}
	}
	return nil
}

func (m *mean) at(i int) float64 { return m.sum[i] / float64(max(m.count, 1)) }

// calibrate runs the float graph once.
func (s *session) calibrate(p *placement, layers []*layer) (*calibration, error) {
	c := &calibration{outMean: make([]*mean, len(layers)), grams: make([]*gram, len(layers)), spreads: make([]*spread, len(layers))}
	for _, g := range p.groups {
		g.hist = newHistogram()
	}
	seers := map[*graph.Value][]observer{}
	var watch []*graph.Value
	on := func(v *graph.Value, f observer) {
		if seers[v] == nil {
			watch = append(watch, v)
		}
		seers[v] = append(seers[v], f)
	}
	for _, a := range p.watched() {
		on(a.v, func(_ int, _ *graph.Value, t *tensor.Tensor) error {
			return a.group.count(t)
		})
	}
	c.logs = p.logarithms()
	for n, h := range c.logs {
		on(n.In[0], func(_ int, _ *graph.Value, t *tensor.Tensor) error {
			h.add(tensor.Floats(t)) // what is not finite is told where it arises
			return nil
		})
	}
	budget, block := int64(gramBudget), blockOf(layers)
	for i, l := range layers {
		c.outMean[i] = &mean{}
		conv := l.node.OpName() == "Conv"
		on(l.node.Out[0], func(_ int, _ *graph.Value, t *tensor.Tensor) error {
			c.outMean[i].add(t, conv)
			return c.outMean[i].finite()
		})
		at := i
		if l.leader != nil {
			at = slices.Index(layers, l.leader)
		} else if n := gramBytes(l, gramSide); n > 0 && n <= budget {
			budget -= n
			c.grams[i] = newGram(l)
		} else if l.order != nil {
			c.spreads[i] = newSpread(l, block)
		}
		if h := c.grams[at]; h != nil {
			on(l.node.In[0], func(_ int, _ *graph.Value, t *tensor.Tensor) error { return h.add(t) })
		}
		if channels, _ := inputChannels(l); c.spreads[at] != nil && channels == c.spreads[at].channels {
			h := c.spreads[at]
			on(l.node.In[0], func(_ int, _ *graph.Value, t *tensor.Tensor) error { return h.add(t) })
		}
	}
	c.measured = p.references(layers, s.o)
	for _, v := range c.measured.values() {
		on(v, c.measured.keep)
	}
	return c, s.pass("calibrate", p.g, watch, 0, func(n int, v *graph.Value, t *tensor.Tensor) error {
		var errs []error
		for _, f := range seers[v] {
			errs = append(errs, f(n, v, t))
		}
		return errors.Join(errs...)
	})
}

// count adds a tensor to the group's histogram.
func (g *group) count(t *tensor.Tensor) error {
	v := tensor.Floats(t)
	if i := g.hist.add(v); i >= 0 {
		return fmt.Errorf("element %d of %v is %v", i, t.Shape, v[i])
	}
	return nil
}
