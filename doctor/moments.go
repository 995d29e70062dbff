package doctor

import (
	"context"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/optimize"
	"github.com/tfsopt/tfsopt/tensor"
)

// moments are the means of a layer's activations, less their zero point, by input channel.
type moments struct {
	conv  bool
	zero  float64
	sum   []float64
	count int
}

func (m *moments) add(t *tensor.Tensor) {
	c := len(t.Shape) - 1
	if m.conv {
		c = 1
	}
	channels, inner := t.Shape[c], tensor.Size(t.Shape[c+1:])
	if m.sum == nil {
		m.sum = make([]float64, channels)
	}
	for i, x := range t.Data {
		m.sum[i/inner%channels] += float64(x) - m.zero
	}
	m.count += len(t.Data) / max(channels, 1)
}

// at is the mean of what a row's k-th factor is multiplied by; padding is not counted.
func (m *moments) at(l *product, row, k int) float64 {
	channel := k
	if m.conv {
		per := l.weight.constant().Shape[1]
		rows := max(l.p.Rows*per/max(len(m.sum), 1), 1) // in a group
		channel = row/rows*per + k%per
	}
	if channel >= len(m.sum) || m.count == 0 {
		return 0
	}
	return m.sum[channel] / float64(m.count)
}

// watch learns the means of the inputs of unsafe layers; values leads from g to the copy.
func (m *mender) watch(ctx context.Context, g *graph.Graph, values map[*graph.Value]*graph.Value, s Samples) error {
	m.inputs = map[*graph.Node]*moments{}
	own := map[*graph.Value]bool{}
	for _, v := range g.Values() {
		own[v] = true
	}
	by := map[*graph.Value][]*moments{}
	var watch []*graph.Value
	for _, f := range optimize.CheckSaturation(g).Layers {
		v := f.Input
		if f.Unsafe == 0 || v == nil || !own[v] || v.IsConst() || len(f.Node.Out) == 0 || values[f.Node.Out[0]] == nil {
			continue
		}
		n := values[f.Node.Out[0]].Def
		_, conv := n.Op.(interface {
			Window(x, w []int) (ops.Window, error)
		})
		one := &moments{conv: conv}
		for _, l := range m.layers {
			if z := l.xZero.constant(); l.n == n && z != nil && z.Len() == 1 {
				one.zero = float64(tensor.Ints(z)[0])
			}
		}
		if by[v] == nil {
			watch = append(watch, v)
		}
		m.inputs[n], by[v] = one, append(by[v], one)
	}
	if watch == nil {
		return nil
	}
	_, err := s.run(ctx, g, watch, func(v *graph.Value, t *tensor.Tensor) error {
		for _, one := range by[v] {
			one.add(t)
		}
		return nil
	})
	return err
}
