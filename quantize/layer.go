package quantize

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// layer is an operator with constant weights, seen as a matrix with a row for each output channel.
type layer struct {
	node    *graph.Node
	weight  *graph.Value
	rows, k int
	axis    int       // of the weight: the output channels
	w       []float32 // [rows][k], between load and drop
	bias    []float32 // [rows]; nil: none
	canBias bool      // the operator takes a bias
	minInt  int       // the integers that weights become
	maxInt  int
	scale   []float32      // [rows], or one for all
	ints    []int8         // [rows][k]; nil once they are settled
	made    *tensor.Tensor // the integers in the weight's own order, once they are settled
	correct []float64      // [rows], added to the bias
	input   *activation
	leader  *layer // that reads the same weight the same way and rounds it for all; nil: this one
	order   []int  // of a row's products, where pairs of them must be safe; nil: any weights are
}

// layersOf makes the layers of a placement in the order of the graph.
func layersOf(p *placement) ([]*layer, error) {
	var out []*layer
	var errs []error
	for _, n := range p.g.Nodes {
		if p.roles[n] != weighs {
			continue
		}
		l, err := newLayer(n)
		if err != nil {
			errs = append(errs, graph.NodeError(n, err))
			continue
		}
		l.input = p.values[n.In[0]]
		if p.o.Weights == "int4" {
			l.minInt, l.maxInt = -8, 7
		}
		l.follow(out, p.o)
		l.order = p.o.orderOf(n, l)
		if l.leader != nil && l.leader.order == nil {
			l.leader.order = l.order
		}
		out = append(out, l)
	}
	p.layers = out
	return out, errors.Join(errs...)
}

// follow makes the first of the layers that read the same weight alike the leader, whose scales and integers are all theirs.
func (l *layer) follow(before []*layer, o Options) {
	for _, b := range before {
		if b.leader == nil && b.weight == l.weight && b.axis == l.axis && b.step(o) == l.step(o) {
			l.leader = b
			return
		}
	}
}

func newLayer(n *graph.Node) (*layer, error) {
	q := n.Op.(graph.Quantizable).Quant()
	l := &layer{node: n, weight: n.In[q.Weight], axis: q.Axis, canBias: q.Bias > 0, minInt: -127, maxInt: 127}
	shape := l.weight.Const.Shape
	if l.axis != 0 && (l.axis != 1 || len(shape) != 2) {
		return nil, fmt.Errorf("output channels of the weight %v on axis %d", shape, l.axis)
	}
	l.rows = shape[l.axis]
	l.k = l.weight.Const.Len() / max(l.rows, 1)
	for i, x := range tensor.Floats(l.weight.Const) {
		if x != x || x-x != 0 {
			return nil, fmt.Errorf("weight %q: element %d is %v", l.weight.Name, i, x)
		}
	}
	if q.Bias > 0 && len(n.In) > q.Bias && n.In[q.Bias] != nil {
		b := tensor.Floats(n.In[q.Bias].Const)
		switch len(b) {
		case l.rows:
			l.bias = append([]float32(nil), b...)
		case 1:
			l.bias = make([]float32, l.rows)
			for i := range l.bias {
				l.bias[i] = b[0]
			}
		default:
			return nil, fmt.Errorf("bias of %d elements for %d channels", len(b), l.rows)
		}
	}
	l.correct = make([]float64, l.rows)
	return l, nil
}

// load makes the rows of the weight; drop lets them go. All of a large model's would not fit beside it.
func (l *layer) load() {
	switch {
	case l.w != nil:
	case l.axis == 0:
		l.w = tensor.Floats(l.weight.Const)
	default:
		l.w = toRows(l, tensor.Floats(l.weight.Const))
	}
}

func (l *layer) drop() { l.w = nil }

// settle keeps the integers in the order in which they are written, and in that alone.
func (l *layer) settle() {
	if l.leader != nil && l.leader.made != nil {
		l.made, l.ints = l.leader.made, l.leader.ints
		return
	}
	l.made = integersOf(l.dtype(), fromRows(l, l.ints), l.weight.Const.Shape...)
	if l.dtype() == tensor.Int8 {
		l.ints = nil
	}
}

// rowsOfInts are the integers as [rows][k].
func (l *layer) rowsOfInts() []int8 {
	if l.ints != nil {
		return l.ints
	}
	return toRows(l, tensor.View[int8](l.made))
}

// toRows copies weights as [rows][k]; fromRows is its inverse.
func toRows[T any](l *layer, w []T) []T {
	out := make([]T, len(w))
	if l.axis == 0 {
		copy(out, w)
		return out
	}
	for i := range l.k {
		for r := range l.rows {
			out[r*l.k+i] = w[i*l.rows+r]
		}
	}
	return out
}

func fromRows[T any](l *layer, rows []T) []T {
	if l.axis == 0 {
		return rows
	}
	out := make([]T, len(rows))
	for i := range l.k {
		for r := range l.rows {
			out[i*l.rows+r] = rows[r*l.k+i]
		}
	}
	return out
}

// scales chooses the weights' scales by row or for all: the explicit step, or what reaches the largest weights. 4-bit
// ones are shrunk where that makes the square error smaller.
func (l *layer) scales(o Options) {
	if l.leader != nil {
		l.scale = l.leader.scale
		return
	}
	n := l.rows
	if o.PerTensor {
		n = 1
	}
	l.scale = make([]float32, n)
	step := l.step(o)
	each := len(l.w) / n
	for i := range l.scale {
		if step != 0 {
			l.scale[i] = step
			continue
		}
		l.scale[i] = l.fit(l.w[i*each : (i+1)*each])
	}
}

// step is the explicit step, 0 if there is none.
func (l *layer) step(o Options) float32 {
	if s, ok := o.LayerSteps[l.node.Name]; ok {
		return s
	}
	return o.Step
}

// fit is the scale of weights that share one; 1 if they are all zero.
func (l *layer) fit(w []float32) float32 {
	var full float32
	for _, x := range w {
		full = max(full, x/float32(l.maxInt), x/float32(l.minInt))
	}
	if full < 1e-30 {
		return 1
	}
	if l.maxInt > 7 {
		return full
	}
	best, least := full, math.Inf(1)
	for f := 20; f >= 10; f-- {
		s, e := full*float32(f)/20, 0.0
		for _, x := range w {
			d := float64(x) - float64(l.round(float64(x/s)))*float64(s)
			e += d * d
		}
		if e < least {
			best, least = s, e
		}
	}
	return best
}

// finest is how many steps a bias has at least where nothing else decides its step.
const finest = 1 << 24

// fitBias widens scales so that the bias fits int32 with room for its correction. A channel without weights takes the scale
// that keeps its bias.
func (l *layer) fitBias(o Options) {
	if l.bias == nil || l.step(o) != 0 {
		return
	}
	sx := float64(l.input.group.scale)
	for r := range l.rows {
		s := &l.scale[r*len(l.scale)/l.rows]
		if len(l.scale) == l.rows && !slices.ContainsFunc(l.w[r*l.k:(r+1)*l.k], func(x float32) bool { return x != 0 }) {
			if fine := math.Abs(float64(l.bias[r])) / (sx * finest); fine > 0 && (l.leader == nil || fine > float64(*s)) {
				*s = max(float32(fine), 1e-20)
			}
		}
		if need := math.Abs(float64(l.bias[r])) / (sx * (1 << 29)); need > float64(*s) {
			*s = float32(need)
		}
	}
}

func (l *layer) scaleOfRow(r int) float32 { return l.scale[r*len(l.scale)/l.rows] }

// nearest rounds every weight to nearest even.
func (l *layer) nearest() {
	if l.leader != nil && (l.leader.ints != nil || l.leader.made != nil) {
		l.ints = l.leader.rowsOfInts()
		return
	}
	l.ints = make([]int8, len(l.w))
	for r := range l.rows {
		s := l.scaleOfRow(r)
		for i := r * l.k; i < (r+1)*l.k; i++ {
			l.ints[i] = l.round(float64(l.w[i]) / float64(s))
		}
	}
}

func (l *layer) round(x float64) int8 {
	return int8(min(max(math.RoundToEven(x), float64(l.minInt)), float64(l.maxInt)))
}

// dtype is the type of the integers.
func (l *layer) dtype() tensor.DType {
	if l.maxInt <= 7 {
		return tensor.Int4
	}
	return tensor.Int8
}

// back gives the weights that the integers stand for, as [rows][k].
func (l *layer) back() []float32 {
	ints := l.rowsOfInts()
	out := make([]float32, len(ints))
	for i, q := range ints {
		out[i] = float32(q) * l.scaleOfRow(i/l.k)
	}
	return out
}

// integers is the weight as the integers that it became.
func (l *layer) integers() *tensor.Tensor {
	if l.made == nil {
		l.settle()
	}
	return l.made
}

// correctedBias is the bias with its correction; nil if there is neither.
func (l *layer) correctedBias() []float64 {
	some := l.bias != nil
	out := make([]float64, l.rows)
	for r := range out {
		if l.bias != nil {
			out[r] = float64(l.bias[r])
		}
		out[r] += l.correct[r]
		some = some || l.correct[r] != 0
	}
	if !some {
		return nil
	}
	return out
}

// report measures the weights.
func (l *layer) report() Layer {
	l.load()
	defer l.drop()
	r := Layer{Name: l.node.Name, Op: l.node.OpName(), Precision: l.dtype().String()}
	var sum float64
	clipped := 0
	by := newChannels(l.rows)
	for i, b := range l.back() {
		e := math.Abs(float64(b) - float64(l.w[i]))
		by.add(i/l.k, float64(l.w[i]), e)
		r.MaxError = max(r.MaxError, e)
		sum += e
		s := l.scaleOfRow(i / l.k)
		r.HalfStep = max(r.HalfStep, float64(s)/2)
		if x := float64(l.w[i]) / float64(s); x > float64(l.maxInt)+0.5 || x < float64(l.minInt)-0.5 {
			clipped++
		}
	}
	r.MeanError = sum / float64(len(l.w))
	r.Clipped = float64(clipped) / float64(len(l.w))
	r.SQNR, r.WorstSQNR = by.total(), by.least()
	r.Worst = by.worst
	return r
}
