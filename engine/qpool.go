package engine

import (
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// qglobalAverage is com.microsoft's QLinearGlobalAveragePool with channels last. Input: x.
type qglobalAverage struct {
	graph.Op
	x, y params
}

func (p qglobalAverage) source() graph.Op { return p.Op }

// Infer gives the channels-last type.
func (p qglobalAverage) Infer(in []graph.Fact, outs int) ([]graph.Type, error) {
	return inferFirst(ops.GlobalAveragePool{}, in, outs)
}

// lowerQGlobalAverage lowers x, x_scale, x_zero, y_scale, y_zero.
func lowerQGlobalAverage(l *lowering, n *graph.Node) bool {
	in := append(append([]*graph.Value{}, n.In...), nil)
	x, okx := paramsOf(in[1], in[2])
	y, oky := paramsOf(in[3], in[4])
	p, ok := n.Op.(ops.QLinearGlobalAveragePool)
	if !ok || !okx || !oky || !spatial(in[0]) || p.ChannelsLast || p.Requant != "" || x.dtype() != in[0].DType || x.signed != y.signed {
		return false
	}
	l.set(l.last, n, l.emit(n, qglobalAverage{n.Op, x, y}, []*graph.Value{l.lastOf(in[0])}))
	return true
}

func (p qglobalAverage) exec(x *exec, in, out []*tensor.Tensor) error {
	s := in[0].Shape
	n, c := s[0], s[len(s)-1]
	shape := append([]int{}, s...)
	for i := 1; i < len(s)-1; i++ {
		shape[i] = 1
	}
	y := x.Make(out[0], p.y.dtype(), shape...)
	pixels := tensor.Size(s[1 : len(s)-1])
	taps, sums, scale := make([]int, pixels), make([]int32, c), make([]float32, c)
	for i := range taps {
		taps[i] = i * c
	}
	factor := p.x.scale / float32(p.y.scale*float32(pixels))
	for i := range scale {
		scale[i] = factor
	}
	sum := x.p.set.SumRowsU8
	if p.x.signed {
		sum = x.p.set.SumRowsS8
	}
	lo, hi := p.y.limits()
	for i := range n {
		sum(sums, 1, c, in[0].Data[i*pixels*c:], c, taps)
		for j := range sums {
			sums[j] -= int32(pixels) * p.x.zero
		}
		x.p.set.RequantI32(y.Data[i*c:(i+1)*c], sums, scale, p.y.zero, lo, hi)
	}
	return nil
}
