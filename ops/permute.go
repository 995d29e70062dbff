package ops

import (
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// alike reorders the first `data` inputs and every output in one way: the operator has no axes of its own. Inputs of
// lower rank broadcast; those after `data` are parameters and stay.
func alike(in []graph.Fact, outs, data int, order []int) (graph.Permuted, bool) {
	p := graph.Permuted{In: make([][]int, len(in)), Out: slices.Repeat([][]int{order}, outs)}
	full := false
	for i, f := range in[:min(data, len(in))] {
		switch r := f.Rank(); {
		case !f.Present() || r == 0:
		case r < 0 || r > len(order):
			return p, false
		default:
			p.In[i] = order
			full = full || r == len(order)
		}
	}
	return p, full
}

// Permute reorders all operands alike.
func (unary) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, len(in), order)
}

func (pairwise) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, len(in), order)
}

func (variadic) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, len(in), order)
}

func (predicate) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, len(in), order)
}

func (test) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, len(in), order)
}

// Permute reorders all operands alike.
func (Pow) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, len(in), order)
}

// Permute reorders all operands alike.
func (Where) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, len(in), order)
}

// Permute reorders all operands alike.
func (PRelu) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, len(in), order)
}

// Permute reorders data and result alike.
func (Cast) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, 1, order)
}

func (Elu) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, 1, order)
}

func (Celu) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, 1, order)
}

func (Selu) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, 1, order)
}

func (LeakyRelu) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, 1, order)
}

func (ThresholdedRelu) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, 1, order)
}

func (HardSigmoid) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, 1, order)
}

func (HardSwish) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, 1, order)
}

func (Gelu) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, 1, order)
}

func (Shrink) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, 1, order)
}

func (Swish) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, 1, order)
}

func (Clip) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, 1, order)
}

// Permute reorders data, result and mask alike. With training, the mask would fall elsewhere.
func (Dropout) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	p, ok := alike(in, outs, 1, order)
	return p, ok && (len(in) < 3 || !in[2].Present())
}

// along is alike for an operator with one axis, which it gives at its new place.
func along(in []graph.Fact, outs, data, at int, order []int) (p graph.Permuted, to int, ok bool) {
	if p, ok = alike(in, outs, data, order); !ok {
		return p, 0, false
	}
	a, err := axis(at, len(order))
	if err != nil {
		return p, 0, false
	}
	return p, slices.Index(order, a), true
}

// Permute moves the axis along; every input must have the full rank.
func (o Concat) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	p, to, ok := along(in, outs, len(in), o.Axis, order)
	p.Op = Concat{Axis: to}
	return p, ok && !slices.ContainsFunc(in, func(f graph.Fact) bool { return f.Rank() != len(order) })
}

// Permute moves the axis along.
func (o Split) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	p, to, ok := along(in, outs, 1, o.Axis, order)
	o.Axis = to
	p.Op = o
	return p, ok
}

// Permute moves the axis along.
func (o Softmax) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	p, to, ok := along(in, outs, 1, o.Axis, order)
	o.Axis = to
	p.Op = o
	return p, ok
}

// Permute moves the axis along.
func (o LogSoftmax) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	p, to, ok := along(in, outs, 1, o.Axis, order)
	o.Axis = to
	p.Op = o
	return p, ok
}

// Permute moves the axis of the scales along.
func (q QuantizeLinear) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	p, to, ok := scaleAxis(in, outs, q.Axis, order)
	q.Axis = to
	p.Op = q
	return p, ok && q.BlockSize == 0
}

// Permute moves the axis of the scales along.
func (q DequantizeLinear) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	p, to, ok := scaleAxis(in, outs, q.Axis, order)
	q.Axis = to
	p.Op = q
	return p, ok && q.BlockSize == 0
}

// scaleAxis is along where input 1 has a scale for each position of the axis, else alike: one scale needs no axis.
func scaleAxis(in []graph.Fact, outs, at int, order []int) (graph.Permuted, int, bool) {
	if in[1].Rank() == 0 || in[1].Rank() == 1 && in[1].Shape[0].Is(1) {
		p, ok := alike(in, outs, 1, order)
		return p, at, ok
	}
	p, to, ok := along(in, outs, 1, at, order)
	return p, to, ok && in[1].Rank() == 1
}

// Permute moves the starts and ends along with their axes.
func (o Slice) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	p, ok := alike(in, outs, 1, order)
	n, known := lengthOf(in[1])
	if !ok || !known {
		return p, false
	}
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	if f := fact(in, 3); f.Present() {
		if list, ok = f.ConstInts(); !ok {
			return p, false
		}
	}
	to, ok := moved(list, order)
	if !ok {
		return p, false
	}
	for len(p.In) < 4 {
		p.In = append(p.In, nil)
	}
	p.Const = map[int]*tensor.Tensor{3: to}
	return p, true
}

// moved gives the places of a list of axes in another order, as a constant.
func moved(list, order []int) (*tensor.Tensor, bool) {
	at, err := axes(list, len(order))
	if err != nil {
		return nil, false
	}
	to := make([]int64, len(at))
	for i, a := range at {
		to[i] = int64(slices.Index(order, a))
	}
	return tensor.From(to, len(to)), true
}

// Permute moves the pads along with their axes.
func (o Pad) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	p, ok := alike(in, outs, 1, order)
	if !ok {
		return p, false
	}
	pads, err := padding(in, len(order))
	if err != nil || pads == nil {
		return p, false
	}
	flat := make([]int64, 2*len(order))
	for i, a := range order {
		flat[i], flat[i+len(order)] = int64(pads[a][0]), int64(pads[a][1])
	}
	p.Const = map[int]*tensor.Tensor{1: tensor.From(flat, len(flat))}
	if fact(in, 3).Present() {
		all, _ := moved(order, order)
		p.Const[3] = all
	}
	return p, true
}

// Permute moves scales, sizes and region along with their axes.
func (o Resize) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	p, ok := alike(in, outs, 1, order)
	if !ok {
		return p, false
	}
	if o.Axes != nil { // the lists keep their order
		at, err := o.axes(len(order))
		if err != nil {
			return p, false
		}
		o.Axes = make([]int, len(at))
		for i, a := range at {
			o.Axes[i] = slices.Index(order, a)
		}
		p.Op = o
		return p, true
	}
	p.Const = map[int]*tensor.Tensor{}
	for i := 1; i < len(in); i++ {
		f := in[i]
		if !f.Present() || f.Const != nil && f.Const.Len() == 0 {
			continue
		}
		if f.Const == nil || f.Const.Len()%len(order) != 0 {
			return p, false
		}
		index := slices.Clone(order)
		if f.Const.Len() == 2*len(order) { // the region: starts, then ends
			for _, a := range order {
				index = append(index, a+len(order))
			}
		}
		p.Const[i] = picked(f.Const, index)
	}
	return p, true
}

// picked gives the elements of a vector at the given places.
func picked(t *tensor.Tensor, index []int) *tensor.Tensor {
	out, size := tensor.New(t.DType, len(index)), t.DType.Bits()/8
	for i, at := range index {
		copy(out.Data[i*size:(i+1)*size], t.Data[at*size:])
	}
	return out
}

// reduceOrder permutes a reduction: its axes move, and without keepdims what is left of the order is the result's.
func reduceOrder(in []graph.Fact, keep, noop bool, order []int) (graph.Permuted, bool) {
	p := graph.Permuted{In: make([][]int, len(in))}
	if in[0].Rank() != len(order) {
		return p, false
	}
	p.In[0] = order
	var list []int
	if f := fact(in, 1); f.Present() {
		var ok bool
		if list, ok = f.ConstInts(); !ok {
			return p, false
		}
		to, ok := moved(list, order)
		if !ok {
			return p, false
		}
		p.Const = map[int]*tensor.Tensor{1: to}
	}
	drop, err := axisSet(list, len(order), noop)
	if err != nil {
		return p, false
	}
	p.Out = [][]int{left(order, drop, keep)}
	return p, true
}

// left is the order of a result that lost the axes in drop, or has 1 in their place.
func left(order []int, drop []bool, keep bool) []int {
	if keep {
		return order
	}
	place, n := make([]int, len(order)), 0 // of each axis in the result
	for a := range order {
		if place[a] = n; !drop[a] {
			n++
		}
	}
	out := []int{}
	for _, a := range order {
		if !drop[a] {
			out = append(out, place[a])
		}
	}
	return out
}

// Permute moves the axes along.
func (o ReduceSum) Permute(in []graph.Fact, _ int, order []int) (graph.Permuted, bool) {
	return reduceOrder(in, o.Keepdims, o.Noop, order)
}

// Permute moves the axes along.
func (o ReduceMean) Permute(in []graph.Fact, _ int, order []int) (graph.Permuted, bool) {
	return reduceOrder(in, o.Keepdims, o.Noop, order)
}

// Permute moves the axes along.
func (o ReduceMax) Permute(in []graph.Fact, _ int, order []int) (graph.Permuted, bool) {
	return reduceOrder(in, o.Keepdims, o.Noop, order)
}

// Permute moves the axes along.
func (o ReduceMin) Permute(in []graph.Fact, _ int, order []int) (graph.Permuted, bool) {
	return reduceOrder(in, o.Keepdims, o.Noop, order)
}

// Permute moves the axes along.
func (o ReduceL2) Permute(in []graph.Fact, _ int, order []int) (graph.Permuted, bool) {
	return reduceOrder(in, o.Keepdims, o.Noop, order)
}

// Permute moves the axes along.
func (o ReduceSumSquare) Permute(in []graph.Fact, _ int, order []int) (graph.Permuted, bool) {
	return reduceOrder(in, o.Keepdims, o.Noop, order)
}

// Permute moves the axis along.
func (o ArgMax) Permute(in []graph.Fact, _ int, order []int) (graph.Permuted, bool) {
	p, to, ok := extremeOrder(in, o.Axis, o.Keepdims, order)
	o.Axis = to
	p.Op = o
	return p, ok
}

// Permute moves the axis along.
func (o ArgMin) Permute(in []graph.Fact, _ int, order []int) (graph.Permuted, bool) {
	p, to, ok := extremeOrder(in, o.Axis, o.Keepdims, order)
	o.Axis = to
	p.Op = o
	return p, ok
}

// extremeOrder permutes ArgMax and ArgMin.
func extremeOrder(in []graph.Fact, at int, keep bool, order []int) (graph.Permuted, int, bool) {
	p := graph.Permuted{In: [][]int{order}}
	a, err := axis(at, len(order))
	if in[0].Rank() != len(order) || err != nil {
		return p, 0, false
	}
	drop := make([]bool, len(order))
	drop[a] = true
	p.Out = [][]int{left(order, drop, keep)}
	return p, slices.Index(order, a), true
}

// Permute moves the axes that go along; those that are left keep their order among themselves.
func (o Squeeze) Permute(in []graph.Fact, _ int, order []int) (graph.Permuted, bool) {
	f := fact(in, 1)
	list, ok := f.ConstInts()
	if !ok || in[0].Rank() != len(order) {
		return graph.Permuted{}, false
	}
	drop, err := axisSet(list, len(order), true)
	to, ok := moved(list, order)
	if err != nil || !ok {
		return graph.Permuted{}, false
	}
	return graph.Permuted{
		In: [][]int{order, nil}, Out: [][]int{left(order, drop, false)}, Const: map[int]*tensor.Tensor{1: to},
	}, true
}

// Permute moves the axis along, if one position of it is taken; the result loses it.
func (o Gather) Permute(in []graph.Fact, _ int, order []int) (graph.Permuted, bool) {
	p := graph.Permuted{In: [][]int{order, nil}}
	if in[0].Rank() != len(order) || in[1].Rank() < 0 || in[1].Rank() > 1 {
		return p, false
	}
	a, err := o.axis(len(order))
	if err != nil {
		return p, false
	}
	drop := make([]bool, len(order))
	drop[a] = true
	p.Out = [][]int{left(order, drop, in[1].Rank() == 1)}
	o.Axis = slices.Index(order, a)
	p.Op = o
	return p, true
}

// Permute gives the shape in the new order.
func (o Expand) Permute(in []graph.Fact, _ int, order []int) (graph.Permuted, bool) {
	p := graph.Permuted{In: [][]int{order, nil}, Out: [][]int{order}}
	c := in[1].Const
	if in[0].Rank() != len(order) || c == nil || c.Len() != len(order) {
		return p, false
	}
	p.Const = map[int]*tensor.Tensor{1: picked(c, order)}
	return p, true
}

// Permute gives the counts in the new order.
func (o Tile) Permute(in []graph.Fact, _ int, order []int) (graph.Permuted, bool) {
	p := graph.Permuted{In: [][]int{order, nil}, Out: [][]int{order}}
	c := in[1].Const
	if in[0].Rank() != len(order) || c == nil || c.Len() != len(order) {
		return p, false
	}
	p.Const = map[int]*tensor.Tensor{1: picked(c, order)}
	return p, true
}

// Permute reorders both summands and the result alike; each has one scale.
func (QLinearAdd) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return binaryOrder(in, outs, order)
}

// Permute reorders both factors and the result alike; each has one scale.
func (QLinearMul) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return binaryOrder(in, outs, order)
}

// binaryOrder is alike for the operands 0 and 3 of a quantized sum or product.
func binaryOrder(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	data := make([]graph.Fact, len(in))
	data[0], data[3] = in[0], in[3]
	return alike(data, outs, 4, order)
}

// Permute reorders data and result alike.
func (QLinearSigmoid) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, 1, order)
}

// Permute reorders data and result alike.
func (QLinearLeakyRelu) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, 1, order)
}

// Permute moves the axis along.
func (o QLinearConcat) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	data := make([]graph.Fact, len(in)) // after the result's scale and zero point: x, scale, zero point of each
	for i := 2; i < len(in); i += 3 {
		if data[i] = in[i]; in[i].Rank() != len(order) {
			return graph.Permuted{}, false
		}
	}
	p, to, ok := along(data, outs, len(in), o.Axis, order)
	o.Axis = to
	p.Op = o
	return p, ok
}

// Permute gives the shape in another order of axes: that of the data if it has the rank, else that of the result. Axes that
// merge must stay neighbours.
func (o Reshape) Permute(in []graph.Fact, _ int, order []int) (graph.Permuted, bool) {
	types, err := o.Infer(in, 1)
	if err != nil || in[0].Unranked || types[0].Unranked || o.AllowZero || in[1].Const == nil {
		return graph.Permuted{}, false
	}
	from, to := in[0].Shape, types[0].Shape
	runs, ok := reshapeRuns(from, to)
	if !ok {
		return graph.Permuted{}, false
	}
	orders := [2][]int{order, nil}
	if len(from) == len(order) {
		orders[1], ok = followed(runs, order, len(to))
	} else if len(to) == len(order) {
		orders[1] = order
		orders[0], ok = followed(swapped(runs), order, len(from))
	} else {
		return graph.Permuted{}, false
	}
	shape, open := make([]int64, len(to)), 0
	for i := range shape {
		if !ok || orders[1][i] >= len(to) {
			return graph.Permuted{}, false
		}
		n, fixed := to[orders[1][i]].Value()
		if shape[i] = int64(n); !fixed {
			shape[i] = -1
			open++
		}
		if fixed && n == 0 {
			return graph.Permuted{}, false
		}
	}
	return graph.Permuted{
		In: [][]int{orders[0], nil}, Out: [][]int{orders[1]}, Const: map[int]*tensor.Tensor{1: tensor.From(shape, len(shape))},
	}, open <= 1
}

func swapped(runs []run) []run {
	out := make([]run, len(runs))
	for i, r := range runs {
		out[i] = run{in: r.out, out: r.in}
	}
	return out
}

// followed gives the order of the axes after a reshape, of which there are n, that puts each run where it comes in the order of the axes
// before. An axis of size 1 follows the one before it. ok is false if the order takes a run's axes apart.
func followed(runs []run, order []int, n int) (out []int, ok bool) {
	of := map[int]int{} // axis before -> its run
	for i, r := range runs {
		for _, a := range r.in {
			of[a] = i
		}
	}
	ones := trailing(runs, n)
	out = append(out, ones[-1]...)
	var rest []int // of the run that is under way
	for _, a := range order {
		i, is := of[a]
		switch {
		case !is: // of size 1
		case len(rest) > 0:
			if a != rest[0] {
				return nil, false
			}
			rest = rest[1:]
		case a != runs[i].in[0]:
			return nil, false
		default:
			rest = runs[i].in[1:]
			for _, b := range runs[i].out {
				out = append(append(out, b), ones[b]...)
			}
		}
	}
	return out, len(out) == n
}

// trailing lists the axes of size 1 after each axis of a run, and those before all, under -1.
func trailing(runs []run, n int) map[int][]int {
	in := map[int]bool{}
	for _, r := range runs {
		for _, b := range r.out {
			in[b] = true
		}
	}
	out, last := map[int][]int{}, -1
	for b := range n {
		if in[b] {
			last = b
		} else {
			out[last] = append(out[last], b)
		}
	}
	return out
}

// Permute reorders the gradient, the result and what comes of them alike.
func (ReluGrad) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return together(in, outs, 2, order)
}

// Permute reorders the gradient, the result and what comes of them alike.
func (ClipGrad) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return together(in, outs, 2, order)
}

// together is alike where the first `data` inputs must have the full rank.
func together(in []graph.Fact, outs, data int, order []int) (graph.Permuted, bool) {
	p, ok := alike(in, outs, data, order)
	return p, ok && !slices.ContainsFunc(in[:data], func(f graph.Fact) bool { return f.Rank() != len(order) })
}

// Permute moves the axis along.
func (o SoftmaxGrad) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	p, to, ok := along(in, outs, 2, o.Axis, order)
	o.Axis = to
	p.Op = o
	return p, ok
}

// Permute moves the axis along.
func (o LogSoftmaxGrad) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	p, to, ok := along(in, outs, 2, o.Axis, order)
	o.Axis = to
	p.Op = o
	return p, ok
}

// Permute moves the axis of the scales along.
func (q FakeQuantize) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	p, to, ok := scaleAxis(in, outs, q.Axis, order)
	q.Axis = to
	p.Op = q
	return p, ok
}

// Permute reorders both inputs and their gradient alike; with scales along an axis it does not, since they have a gradient too.
func (q FakeQuantizeGrad) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	p, ok := together(in, outs, 2, order)
	for i := 1; i < len(p.Out); i++ {
		p.Out[i] = nil
	}
	return p, ok && in[2].Rank() == 0
}

// Permute reorders x and its integers; their parameters are scalars.
func (DynamicQuantizeLinear) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	p, ok := alike(in, outs, 1, order)
	for i := 1; i < len(p.Out); i++ {
		p.Out[i] = nil
	}
	return p, ok
}
