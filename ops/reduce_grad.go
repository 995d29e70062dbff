package ops

import (
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// reduceGrad is what the gradients of reductions start from: dy and y in the input's rank, with size 1 where it was
// reduced.
type reduceGrad struct {
	formula
	x, y, dy *graph.Value
	kept     []int
	axes     []int // that were reduced
}

// reduceSlope is the gradient of a reduction, which d gives; it may leave out the repetition along the axes.
func reduceSlope(b *graph.Builder, n *graph.Node, dOut []*graph.Value, d func(r reduceGrad) *graph.Value) []*graph.Value {
	if dOut[0] == nil || !flowsTo(n, 0) {
		return none(n)
	}
	r := reduceGrad{formula: gradient(b, n), x: n.In[0]}
	shape := r.shape(r.x)
	var list []int
	if len(n.In) > 1 && n.In[1] != nil {
		var ok bool
		if list, ok = n.In[1].ConstInts(); !ok {
			return fail(b, n, "the axes are not constant")
		}
	}
	drop, err := axisSet(list, len(shape), noopOf(n.Op))
	if err != nil || b.Err != nil {
		return fail(b, n, "%v", err)
	}
	r.kept = append([]int{}, shape...)
	for i, gone := range drop {
		if gone {
			r.kept[i] = 1
			r.axes = append(r.axes, i)
		}
	}
	r.y, r.dy = r.reshape(n.Out[0], r.kept), r.reshape(dOut[0], r.kept)
	return to(n, r.spread(d(r)))
}

// noopOf reports whether a reduction without axes does nothing.
func noopOf(op graph.Op) bool {
	for _, a := range graph.AttrsOf(op) {
		if a.Name == "noop_with_empty_axes" {
			return a.Value == int64(1)
		}
	}
	return false
}

// spread repeats v along the axes that were reduced, unless it already has the input's shape.
func (r reduceGrad) spread(v *graph.Value) *graph.Value {
	shape := r.shape(r.x)
	if sameInts(r.shape(v), shape) {
		return v
	}
	return r.node(Expand{}, v, r.ints(shape...))
}

// Grad is dy.
func (ReduceSum) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return reduceSlope(b, n, dOut, func(r reduceGrad) *graph.Value { return r.dy })
}

// Grad is dy over the number of elements.
func (ReduceMean) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return reduceSlope(b, n, dOut, func(r reduceGrad) *graph.Value {
		count := tensor.Size(r.shape(r.x)) / max(tensor.Size(r.kept), 1)
		return r.scale(r.dy, 1/float64(max(count, 1)))
	})
}

// Grad is dy, shared equally by the elements that are the largest.
func (ReduceMax) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return reduceSlope(b, n, dOut, reduceGrad.shared)
}

// Grad is dy, shared equally by the elements that are the smallest.
func (ReduceMin) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return reduceSlope(b, n, dOut, reduceGrad.shared)
}

func (r reduceGrad) shared() *graph.Value {
	takes := r.cast(r.node(Equal{}, r.x, r.y), r.x)
	return r.mul(takes, r.div(r.dy, r.sum(takes, true, r.axes...)))
}

// Grad is dy times the product of the other elements, which running products from both ends give.
func (ReduceProd) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return reduceSlope(b, n, dOut, func(r reduceGrad) *graph.Value {
		if len(r.axes) == 0 {
			return r.dy
		}
		shape := r.shape(r.x)
		var perm, outer []int
		for i, n := range r.kept {
			if !slices.Contains(r.axes, i) {
				perm, outer = append(perm, i), append(outer, n)
			}
		}
		perm = append(perm, r.axes...)
		moved := r.transpose(r.x, perm)
		rows := r.reshape(moved, append(append([]int{}, outer...), tensor.Size(shape)/max(tensor.Size(outer), 1)))
		last := r.b.Const(r.name+"_axis", tensor.Scalar(int64(len(outer))))
		others := r.mul(r.node(CumProd{Exclusive: true}, rows, last), r.node(CumProd{Exclusive: true, Reverse: true}, rows, last))
		return r.mul(r.dy, r.transpose(r.like(others, moved), inverse(perm)))
	})
}

// Grad is dy·sign(x).
func (ReduceL1) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return reduceSlope(b, n, dOut, func(r reduceGrad) *graph.Value { return r.mul(r.dy, r.node(Sign{}, r.x)) })
}

// Grad is dy·x/y, 0 where y is.
func (ReduceL2) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return reduceSlope(b, n, dOut, func(r reduceGrad) *graph.Value {
		return r.mul(r.x, r.div(r.dy, r.nonzero(r.y)))
	})
}

// nonzero is v with 1 in the place of 0, as a divisor of what is then zero too.
func (f formula) nonzero(v *graph.Value) *graph.Value {
	return f.choose(f.node(Equal{}, v, f.num(v, 0)), f.num(v, 1), v)
}

// Grad is 2·dy·x.
func (ReduceSumSquare) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return reduceSlope(b, n, dOut, func(r reduceGrad) *graph.Value { return r.mul(r.scale(r.dy, 2), r.x) })
}

// Grad is dy over the sum.
func (ReduceLogSum) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return reduceSlope(b, n, dOut, func(r reduceGrad) *graph.Value { return r.div(r.dy, r.sum(r.x, true, r.axes...)) })
}

// Grad is dy·exp(x-y).
func (ReduceLogSumExp) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return reduceSlope(b, n, dOut, func(r reduceGrad) *graph.Value { return r.mul(r.dy, r.node(Exp{}, r.sub(r.x, r.y))) })
}
