package savedmodel

import (
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// gru matches h' = z·h + (1-z)·h~, with z and r from parts of x·W + b and h·R + d, and h~ = tanh(x·Wh + b + r·(h·Rh + d)) or
// tanh(x·Wh + b + (r·h)·Rh).
func (r *recurrence) gru() *cell {
	old := r.inner[r.h].v
	var z, candidate *graph.Value
	ok := pair(r.next[r.h].v, "Add", func(a, b *graph.Value) bool {
		return pair(a, "Mul", func(gate, state *graph.Value) bool {
			z = gate
			return state == old && inside(gate, "Sigmoid") != nil
		}) && pair(b, "Mul", func(rest, made1 *graph.Value) bool {
			n := made(rest, "Sub")
			candidate = inside(made1, "Tanh")
			return n != nil && n.In[1] == z && isOne(n.In[0]) && candidate != nil
		})
	})
	if !ok {
		return nil
	}
	var xs, hs [3]part // of z, r and h~
	both := func(v *graph.Value, at int) bool {
		return pair(v, "Add", func(a, b *graph.Value) bool {
			var okA, okB bool
			xs[at], okA = partOf(a)
			hs[at], okB = partOf(b)
			return okA && okB && xs[at].parts == 3 && r.sideOf(xs[at].of) == 'x' && r.sideOf(hs[at].of) == 'h'
		})
	}
	if !both(inside(z, "Sigmoid"), 0) {
		return nil
	}
	after, k := false, (*cell)(nil)
	ok = pair(candidate, "Add", func(a, b *graph.Value) bool {
		var isPart bool
		if xs[2], isPart = partOf(a); !isPart {
			return false
		}
		if pair(b, "Mul", func(gate, state *graph.Value) bool {
			var isPart bool
			hs[2], isPart = partOf(state)
			return isPart && both(inside(gate, "Sigmoid"), 1)
		}) {
			after = true
			return true
		}
		n := made(b, "MatMul")
		if n == nil {
			return false
		}
		t := known(n.In[1])
		if t == nil || len(t.Shape) != 2 || t.DType != tensor.Float32 {
			return false
		}
		k = &cell{r: []*tensor.Tensor{nil, nil, columns(t, 1, []int{0})[0]}}
		return pair(n.In[0], "Mul", func(gate, state *graph.Value) bool {
			return state == old && both(inside(gate, "Sigmoid"), 1)
		})
	})
	if !ok || xs[1].of != xs[0].of || xs[2].of != xs[0].of || hs[1].of != hs[0].of {
		return nil
	}
	return r.gruCell(k, xs, hs, after)
}

// isOne reports whether v is the number 1.
func isOne(v *graph.Value) bool {
	return v.IsConst() && v.Const.Len() == 1 && tensor.Float64s(v.Const)[0] == 1
}

// sideOf says whether a sum comes from the input or from the state; 0: from neither alone.
func (r *recurrence) sideOf(v *graph.Value) byte {
	sum, ok := r.linear(v)
	switch {
	case ok && sum.w != nil && sum.r == nil:
		return 'x'
	case ok && sum.r != nil && sum.w == nil:
		return 'h'
	}
	return 0
}

// gruCell collects the weights of a GRU; k holds those of h~ if the reset comes before its product.
func (r *recurrence) gruCell(k *cell, xs, hs [3]part, after bool) *cell {
	x, _ := r.linear(xs[0].of)
	h, _ := r.linear(hs[0].of)
	order := []int{xs[0].index, xs[1].index, xs[2].index}
	if after {
		if hs[2].of != hs[0].of || hs[0].parts != 3 {
			return nil
		}
		inner := []int{hs[0].index, hs[1].index, hs[2].index}
		k = &cell{r: columns(h.r, 3, inner)}
		k.inner = biases(h.bias, 3, inner, k)
	} else {
		if hs[0].parts != 2 || h.bias != nil {
			return nil
		}
		two := columns(h.r, 2, []int{hs[0].index, hs[1].index})
		k.r[0], k.r[1] = two[0], two[1]
		k.inner = biases(nil, 3, order, k)
	}
	k.w = columns(x.w, 3, order)
	k.bias = biases(x.bias, 3, order, k)
	if after {
		return k.with("GRU", 1)
	}
	return k.with("GRU", 0)
}

// with makes the layer's operator; nil if it takes no such attributes.
func (k *cell) with(name string, linearBeforeReset int64) *cell {
	attrs := []graph.Attr{{Name: "hidden_size", Value: int64(k.r[0].Shape[0])}}
	if linearBeforeReset != 0 {
		attrs = append(attrs, graph.Attr{Name: "linear_before_reset", Value: linearBeforeReset})
	}
	var err error
	if k.op, err = graph.NewOp("", name, attrs); err != nil {
		return nil
	}
	return k
}
