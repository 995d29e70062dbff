package savedmodel

import (
	"context"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// recurrence is a loop that is an LSTM or a GRU: each round reads one element of a list, in order, to its end.
type recurrence struct {
	*loop
	next  []value
	h, c  int          // variables; c is -1 in a GRU
	list  *graph.Value // the list that is read, outside: [time, batch, features]
	count value        // how many rounds there are
}

// cell holds the weights of a recurrent layer: columns of w, r and the biases come gate by gate, in ONNX's order.
type cell struct {
	w, r, bias, inner []*tensor.Tensor
	op                graph.Op
}

// recurrence recognizes the loops that Keras writes for LSTM and GRU; ok is false for any other. more is the condition.
func (l *loop) recurrence(more *graph.Value, next []value) (results []value, ok bool) {
	r := &recurrence{loop: l, next: next, h: -1, c: -1}
	if !r.states() || !r.rounds(more) {
		return nil, false
	}
	var k *cell
	if r.c >= 0 {
		k = r.lstm()
	} else {
		k = r.gru()
	}
	if k == nil || r.list == nil || !r.whole() || !r.writes() {
		return nil, false
	}
	return r.emit(k), true
}

// states finds the variables that are neither counted, fixed nor lists.
func (r *recurrence) states() bool {
	var found []int
	for i, x := range r.inner {
		if r.fixed[i] || r.in[i].reserved() || x.v == nil || r.counts(x.v, r.next) {
			continue
		}
		if x.v.Rank() != 2 || r.next[i].v == nil || r.next[i].v.Def == nil {
			return false
		}
		found = append(found, i)
	}
	switch len(found) {
	case 1:
		r.h = found[0]
		return true
	case 2: // the output is a product in an LSTM, the memory a sum
		r.h, r.c = found[0], found[1]
		if r.next[r.h].v.Def.OpName() == "Add" {
			r.h, r.c = r.c, r.h
		}
		return true
	}
	return false
}

// rounds reads the condition: each counter, grown by one, is less than the number of rounds.
func (r *recurrence) rounds(more *graph.Value) bool {
	if n := made(more, "And"); n != nil {
		return r.rounds(n.In[0]) && r.rounds(n.In[1])
	}
	n := made(more, "Less")
	if n == nil {
		return false
	}
	i := slices.IndexFunc(r.next, func(x value) bool { return x.v == n.In[0] })
	if i < 0 || !r.counts(r.inner[i].v, r.next) {
		return false
	}
	count, ok := r.outside(n.In[1])
	if !ok || !r.count.empty() && !sameCount(r.count, count) {
		return false
	}
	r.count = count
	return true
}

func sameCount(a, b value) bool {
	if a.t != nil && b.t != nil {
		return a.t.Len() == 1 && b.t.Len() == 1 && tensor.Ints(a.t)[0] == tensor.Ints(b.t)[0]
	}
	return a.v != nil && a.v == b.v
}

// outside gives what a value of the body is outside: a constant or something captured.
func (r *recurrence) outside(v *graph.Value) (value, bool) {
	if v.IsConst() {
		return value{t: v.Const, name: v.Name}, true
	}
	for _, c := range r.b.captures {
		if c.inside == v {
			return value{v: c.outside}, true
		}
	}
	return value{}, false
}

// whole reports whether there are as many rounds as the list has elements.
func (r *recurrence) whole() bool {
	if r.list.Rank() < 1 {
		return false
	}
	if r.count.t != nil {
		n, ok := r.list.Shape[0].Value()
		return ok && r.count.t.Len() == 1 && tensor.Ints(r.count.t)[0] == int64(n)
	}
	v := r.count.v
	if e, ok := v.Elements(); ok && len(e) == 1 && e[0].Known() {
		return e[0] == r.list.Shape[0]
	}
	for v.Def != nil && slices.Contains([]string{"Cast", "Squeeze", "Reshape"}, v.Def.OpName()) {
		v = v.Def.In[0]
	}
	g := made(v, "Gather")
	if g == nil || !g.In[1].IsConst() || g.In[1].Const.Len() != 1 || tensor.Ints(g.In[1].Const)[0] != 0 {
		return false
	}
	for v = g.In[0]; v.Def != nil && v.Def.OpName() == "Cast"; v = v.Def.In[0] {
	}
	s := made(v, "Shape")
	return s != nil && s.In[0] == r.list
}

// writes reports whether the lists that are written get the output of each round.
func (r *recurrence) writes() bool {
	return !slices.ContainsFunc(r.scanned, func(i int) bool { return r.next[i].list.item.v != r.next[r.h].v })
}

// made gives the node that makes v if it has this operator.
func made(v *graph.Value, op string) *graph.Node {
	if v == nil || v.Def == nil || v.Def.OpName() != op {
		return nil
	}
	return v.Def
}

// pair matches a node of two operands, in either order.
func pair(v *graph.Value, op string, fit func(a, b *graph.Value) bool) bool {
	n := made(v, op)
	return n != nil && len(n.In) == 2 && (fit(n.In[0], n.In[1]) || fit(n.In[1], n.In[0]))
}

// inside gives the operand of a node of one.
func inside(v *graph.Value, op string) *graph.Value {
	if n := made(v, op); n != nil {
		return n.In[0]
	}
	return nil
}

// part is one of several equal parts of a matrix's columns.
type part struct {
	of           *graph.Value
	index, parts int
}

// partOf reads a Split, or a Slice along axis 1.
func partOf(v *graph.Value) (part, bool) {
	if n := made(v, "Split"); n != nil {
		return part{n.In[0], slices.Index(n.Out, v), len(n.Out)}, len(n.In) == 1
	}
	n := made(v, "Slice")
	if n == nil || len(n.In) != 5 || n.In[0].Rank() != 2 || v.Rank() != 2 {
		return part{}, false
	}
	var at [4]int // begin, end, axis, step
	for i := range at {
		list, ok := n.In[1+i].ConstInts()
		if !ok || len(list) != 1 {
			return part{}, false
		}
		at[i] = list[0]
	}
	all, okAll := n.In[0].Shape[1].Value()
	width, ok := v.Shape[1].Value()
	if !ok || !okAll || width < 1 || all%width != 0 || at[0] < 0 || at[0]%width != 0 || at[2] != 1 || at[3] != 1 {
		return part{}, false
	}
	return part{n.In[0], at[0] / width, all / width}, true
}

// weightMoves are the operators by which Keras cuts weights into parts.
var weightMoves = []string{"Slice", "Gather", "Squeeze", "Reshape", "Split"}

// known computes a weight that is a constant, or cut out of one.
func known(v *graph.Value) *tensor.Tensor {
	if v.IsConst() {
		return v.Const
	}
	n := v.Def
	if n == nil || !slices.Contains(weightMoves, n.OpName()) {
		return nil
	}
	in, out := make([]*tensor.Tensor, len(n.In)), make([]*tensor.Tensor, len(n.Out))
	for i, x := range n.In {
		if in[i] = known(x); in[i] == nil {
			return nil
		}
	}
	for i := range out {
		out[i] = &tensor.Tensor{}
	}
	if graph.RunKernel(&graph.Exec{Ctx: context.Background(), Node: n}, n.Op, in, out) != nil {
		return nil
	}
	return out[slices.Index(n.Out, v)]
}

// linear matches a sum of products of x and h with weights, and of biases.
type linear struct{ w, r, bias *tensor.Tensor }

func (r *recurrence) linear(v *graph.Value) (linear, bool) {
	var out linear
	todo := []*graph.Value{v}
	for len(todo) > 0 {
		v := todo[0]
		todo = todo[1:]
		if n := made(v, "Add"); n != nil {
			todo = append(todo, n.In...)
			continue
		}
		if t := known(v); t != nil && out.bias == nil && len(t.Shape) == 1 && t.DType == tensor.Float32 {
			out.bias = t
			continue
		}
		n := made(v, "MatMul")
		if n == nil {
			return out, false
		}
		t := known(n.In[1])
		switch {
		case t == nil || len(t.Shape) != 2 || t.DType != tensor.Float32:
			return out, false
		case n.In[0] == r.inner[r.h].v && out.r == nil:
			out.r = t
		case r.reads(n.In[0]) && out.w == nil:
			out.w = t
		default:
			return out, false
		}
	}
	return out, true
}

// reads reports whether v is the element of the list that belongs to the round.
func (r *recurrence) reads(v *graph.Value) bool {
	n := made(v, "Gather")
	if n == nil || n.Op.(ops.Gather).Axis != 0 || !r.counts(n.In[1], r.next) {
		return false
	}
	list, ok := r.outside(n.In[0])
	if !ok || list.v == nil || r.list != nil && r.list != list.v {
		return false
	}
	r.list = list.v
	return true
}

// lstm matches h' = σ(o)·tanh(c'), c' = σ(f)·c + σ(i)·tanh(g), where i, f, g and o are parts of x·W + h·R + b.
func (r *recurrence) lstm() *cell {
	h, c := r.next[r.h].v, r.next[r.c].v
	gates := [4]*graph.Value{} // i, o, f, c
	ok := pair(h, "Mul", func(a, b *graph.Value) bool {
		gates[1] = inside(a, "Sigmoid")
		return gates[1] != nil && inside(b, "Tanh") == c
	}) && pair(c, "Add", func(a, b *graph.Value) bool {
		return pair(a, "Mul", func(f, old *graph.Value) bool {
			gates[2] = inside(f, "Sigmoid")
			return gates[2] != nil && old == r.inner[r.c].v
		}) && pair(b, "Mul", func(i, g *graph.Value) bool {
			gates[0], gates[3] = inside(i, "Sigmoid"), inside(g, "Tanh")
			return gates[0] != nil && gates[3] != nil
		})
	})
	if !ok {
		return nil
	}
	var order []int
	first, ok := partOf(gates[0])
	for _, g := range gates {
		p, same := partOf(g)
		ok = ok && same && p.of == first.of
		order = append(order, p.index)
	}
	if !ok || first.parts != 4 {
		return nil
	}
	sum, ok := r.linear(first.of)
	if !ok || sum.w == nil || sum.r == nil {
		return nil
	}
	k := &cell{w: columns(sum.w, 4, order), r: columns(sum.r, 4, order)}
	k.bias, k.inner = biases(sum.bias, 4, order, k), biases(nil, 4, order, k)
	return k.with("LSTM", 0)
}

// columns cuts a matrix into equal parts of its columns and gives them in an order, turned.
func columns(t *tensor.Tensor, parts int, order []int) []*tensor.Tensor {
	rows, n := t.Shape[0], t.Shape[1]/parts
	src := tensor.View[float32](t)
	var out []*tensor.Tensor
	for _, p := range order {
		turned := make([]float32, n*rows)
		for i := range rows {
			for j := range n {
				turned[j*rows+i] = src[i*t.Shape[1]+p*n+j]
			}
		}
		out = append(out, tensor.From(turned, n, rows))
	}
	return out
}

// biases cuts a bias like columns does; nil is zero.
func biases(t *tensor.Tensor, parts int, order []int, k *cell) []*tensor.Tensor {
	n := k.r[0].Shape[0]
	var out []*tensor.Tensor
	for _, p := range order {
		b := make([]float32, n)
		if t != nil && t.Len() == parts*n {
			copy(b, tensor.View[float32](t)[p*n:])
		}
		out = append(out, tensor.From(b, n))
	}
	return out
}

// stacked joins the gates' weights under a first axis of one direction.
func stacked(parts []*tensor.Tensor) *tensor.Tensor {
	var all []float32
	rows := 0
	for _, p := range parts {
		all = append(all, tensor.View[float32](p)...)
		rows += p.Shape[0]
	}
	return tensor.From(all, append([]int{1, rows}, parts[0].Shape[1:]...)...)
}

// emit adds the layer and gives the variables after the last round.
func (r *recurrence) emit(k *cell) []value {
	b := r.call.b
	first := b.ints(0)
	name := r.n.Name
	constant := func(what string, parts []*tensor.Tensor) *graph.Value { return b.Const(name+"/"+what, stacked(parts)) }
	state := func(i int) *graph.Value {
		v, err := r.s.l.valueOf(b, r.in[i])
		if err != nil && b.Err == nil {
			b.Err = err
		}
		return b.Add(name+"/initial", ops.Unsqueeze{}, v, first)
	}
	in := []*graph.Value{r.list, constant("W", k.w), constant("R", k.r), constant("B", append(k.bias, k.inner...)), nil, state(r.h)}
	outs := 2
	if r.c >= 0 {
		in, outs = append(in, state(r.c)), 3
	}
	y := b.AddN(name, outs, k.op, in...)
	out := make([]value, len(r.in))
	for i := range r.in {
		switch {
		case r.fixed[i]:
			out[i] = r.in[i]
		case i == r.h:
			out[i] = value{v: b.Add(name+"/h", ops.Squeeze{}, y[1], first)}
		case i == r.c:
			out[i] = value{v: b.Add(name+"/c", ops.Squeeze{}, y[2], first)}
		case r.in[i].reserved() && r.next[i].list.always():
			out[i] = value{list: &tensorList{v: y[1]}}
		case r.in[i].reserved():
			out[i] = value{list: &tensorList{v: b.Add(name+"/sequence", ops.Squeeze{}, y[0], b.ints(1))}}
		default: // a counter
			out[i] = r.count
		}
	}
	return out
}
