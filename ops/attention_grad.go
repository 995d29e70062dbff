package ops

import (
	"math"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// attentionGrad builds the gradient of one Attention. The query heads that share a key head are rows of one matrix:
// q is [batch, kvHeads, group·qLen, size], scores are [batch, kvHeads, group·qLen, total].
type attentionGrad struct {
	formula
	Attention
	heads[int]
	total   int
	mask    *graph.Value
	q, k, v *graph.Value
}

// Grad gives the gradients of Q, K, V, a mask of floats and the past; nonpad_kv_seqlen, masks shorter than the keys and
// gradients of the scores are errors. The probabilities are computed again.
func (o Attention) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	dOut = append(slices.Clone(dOut), make([]*graph.Value, 4-len(dOut))...)
	in := append(slices.Clone(n.In), make([]*graph.Value, 7-len(n.In))...)
	switch {
	case dOut[3] != nil:
		return fail(b, n, "through the scores")
	case in[6] != nil:
		return fail(b, n, "with nonpad_kv_seqlen")
	case dOut[0] == nil && dOut[1] == nil && dOut[2] == nil:
		return none(n)
	}
	a := attentionGrad{formula: gradient(b, n), Attention: o, mask: in[3]}
	if !a.layOut(in) {
		return fail(b, n, "inputs without fixed shapes that fit")
	}
	if m := a.mask; m != nil {
		if s, ok := m.Fixed(); !ok || len(s) == 0 || s[len(s)-1] != a.total {
			return fail(b, n, "with a mask %s for %d keys", m.Type, a.total)
		}
	}
	d := make([]*graph.Value, 7)
	dk, dv := dOut[1], dOut[2]
	if dOut[0] != nil {
		var parts [3]*graph.Value
		parts, d[3] = a.back(a.split(dOut[0], a.qHeads))
		d[0], dk, dv = a.joined(parts[0], in[0]), a.plus(dk, parts[1]), a.plus(dv, parts[2])
	}
	for i, g := range []*graph.Value{dk, dv} {
		if g != nil {
			d[4+i], d[1+i] = a.behindPast(g, in[4+i], in[1+i])
		}
	}
	return d[:len(n.In)]
}

// layOut reads the shapes and brings Q, K and V into form; false if they are not known or do not fit.
func (a *attentionGrad) layOut(in []*graph.Value) bool {
	dims, err := a.dims(factsOf(in))
	if err != nil {
		return false
	}
	for _, p := range []struct {
		to  *int
		dim graph.Dim
	}{
		{&a.batch, dims.batch},
		{&a.qHeads, dims.qHeads},
		{&a.kvHeads, dims.kvHeads},
		{&a.qLen, dims.qLen},
		{&a.kvLen, dims.kvLen},
		{&a.size, dims.size},
		{&a.vSize, dims.vSize},
	} {
		var ok bool
		if *p.to, ok = p.dim.Value(); !ok || *p.to == 0 {
			return false
		}
	}
	if a.qHeads%a.kvHeads != 0 || (in[4] == nil) != (in[5] == nil) {
		return false
	}
	a.q = a.grouped(a.split(in[0], a.qHeads), a.size)
	a.k, a.v = a.split(in[1], a.kvHeads), a.split(in[2], a.kvHeads)
	if in[4] != nil {
		a.past = a.shape(in[4])[2]
		a.k, a.v = a.join(2, in[4], a.k), a.join(2, in[5], a.v)
	}
	a.total = a.past + a.kvLen
	return a.b.Err == nil
}

// split makes [batch, length, n·size] to [batch, n, length, size].
func (a *attentionGrad) split(v *graph.Value, n int) *graph.Value {
	s := a.shape(v)
	if len(s) != 3 {
		return v
	}
	return a.transpose(a.reshape(v, []int{s[0], s[1], n, s[2] / n}), []int{0, 2, 1, 3})
}

// joined gives the gradient of an input in heads the shape of that input.
func (a *attentionGrad) joined(v, input *graph.Value) *graph.Value {
	if len(input.Shape) == 3 {
		v = a.transpose(v, []int{0, 2, 1, 3})
	}
	return a.like(v, input)
}

// grouped makes [batch, qHeads, qLen, size] to [batch, kvHeads, group·qLen, size].
func (a *attentionGrad) grouped(v *graph.Value, size int) *graph.Value {
	return a.reshape(v, []int{a.batch, a.kvHeads, a.qHeads / a.kvHeads * a.qLen, size})
}

func (a *attentionGrad) plus(x, y *graph.Value) *graph.Value {
	if x == nil {
		return y
	}
	return a.add(x, y)
}

// back gives the gradients of Q, K and V in heads, K and V with their past, and of the mask.
func (a *attentionGrad) back(dy *graph.Value) (parts [3]*graph.Value, mask *graph.Value) {
	scale := 1 / math.Sqrt(float64(a.size))
	if a.Scale != nil {
		scale = float64(*a.Scale)
	}
	dy = a.grouped(dy, a.vSize)
	scores := a.scale(a.node(MatMul{}, a.q, a.swapped(a.k)), scale)
	bend := (*graph.Value)(nil)
	if limit := float64(a.Softcap); limit > 0 {
		bend = a.node(Tanh{}, a.scale(scores, 1/limit))
		scores = a.scale(bend, limit)
	}
	p := a.probabilities(scores)
	ds := a.node(SoftmaxGrad{Axis: -1}, a.node(MatMul{}, dy, a.swapped(a.v)), p)
	if a.mask != nil && a.mask.DType.IsFloat() {
		all := a.reshape(ds, []int{a.batch, a.qHeads, a.qLen, a.total})
		mask = a.sumTo(all, a.shape(a.mask))
	}
	if bend != nil {
		ds = a.mul(ds, a.less(1, a.square(bend)))
	}
	ds = a.scale(ds, scale)
	dq := a.reshape(a.node(MatMul{}, ds, a.k), []int{a.batch, a.qHeads, a.qLen, a.size})
	dk, dv := a.node(MatMul{}, a.swapped(ds), a.q), a.node(MatMul{}, a.swapped(p), dy)
	return [3]*graph.Value{dq, dk, dv}, mask
}

// probabilities is the softmax of what may be seen; a row that may see nothing is zero.
func (a *attentionGrad) probabilities(scores *graph.Value) *graph.Value {
	hidden := a.num(scores, math.Inf(-1))
	grouped := a.shape(scores)
	all := a.reshape(scores, []int{a.batch, a.qHeads, a.qLen, a.total})
	masked := a.mask != nil
	if masked && a.mask.DType == tensor.Bool {
		all = a.choose(a.mask, all, hidden)
	} else if masked {
		all = a.add(all, a.mask)
	}
	if a.IsCausal || a.LeftWindowSize >= 0 || a.RightWindowSize >= 0 {
		masked = true
		all = a.choose(a.window(), all, hidden)
	}
	if !masked {
		return a.node(Softmax{Axis: -1}, scores)
	}
	lowest := a.num(scores, -1e30)
	p := a.node(Softmax{Axis: -1}, a.node(Max{}, all, lowest))
	return a.reshape(a.choose(a.node(Greater{}, all, lowest), p, a.num(p, 0)), grouped)
}

// window is a constant [qLen, total]: what causality and window sizes let a query see.
func (a *attentionGrad) window() *graph.Value {
	see, rule := make([]bool, a.qLen*a.total), attending{Attention: a.Attention}
	for i := range see {
		see[i] = rule.sees(i/a.total+a.past, i%a.total)
	}
	return a.b.Const(a.name+"_window", tensor.From(see, a.qLen, a.total))
}

// behindPast divides the gradient of [batch, kvHeads, total, size] into that of the past, if there is one, and that of
// the input after it.
func (a *attentionGrad) behindPast(g, past, input *graph.Value) (before, now *graph.Value) {
	if past != nil {
		before = a.part(g, 2, 0, a.past)
	}
	return before, a.joined(a.part(g, 2, a.past, a.kvLen), input)
}
