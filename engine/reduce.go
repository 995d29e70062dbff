package engine

import (
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// reduce is ReduceSum or ReduceMean over constant axes of float32 data, or ReduceMax over the last ones.
type reduce struct {
	graph.Op
	drop []bool
	keep bool
	mean bool
	max  bool
}

func (r reduce) source() graph.Op { return r.Op }

// Infer drops the axes.
func (r reduce) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	t := in[0].Type
	shape := []graph.Dim{}
	for i, d := range t.Shape {
		switch {
		case !r.drop[i]:
			shape = append(shape, d)
		case r.keep:
			shape = append(shape, graph.Fixed(1))
		}
	}
	return []graph.Type{graph.Of(t.DType, shape...)}, nil
}

// dimRun is neighbouring dimensions that are all kept or all dropped.
type dimRun struct {
	n    int
	drop bool
}

func (r reduce) runs(shape []int) []dimRun {
	var runs []dimRun
	for i, n := range shape {
		switch last := len(runs) - 1; {
		case n == 1:
		case last >= 0 && runs[last].drop == r.drop[i]:
			runs[last].n *= n
		default:
			runs = append(runs, dimRun{n, r.drop[i]})
		}
	}
	return runs
}

func (r reduce) exec(x *exec, in, out []*tensor.Tensor) error {
	shape := []int{}
	for i, n := range in[0].Shape {
		switch {
		case !r.drop[i]:
			shape = append(shape, n)
		case r.keep:
			shape = append(shape, 1)
		}
	}
	y := x.Make(out[0], tensor.Float32, shape...)
	dst, src := tensor.View[float32](y), tensor.View[float32](in[0])
	runs := r.runs(in[0].Shape)
	count := 1
	for _, d := range runs {
		if d.drop {
			count *= d.n
		}
	}
	switch {
	case len(src) == 0:
		fillFloats(dst, r.empty())
	case count == 1:
		copy(dst, src)
	default:
		r.fold(x, dst, src, runs)
	}
	if r.mean && count > 1 && len(src) > 0 {
		blocks(x, len(dst), func(a, b int) { x.p.set.DivS(dst[a:b], dst[a:b], float32(count)) })
	}
	return nil
}

// empty is the reduction of nothing.
func (r reduce) empty() float32 {
	switch {
	case r.max:
		return float32(math.Inf(-1))
	case r.mean:
		return float32(math.NaN())
	}
	return 0
}

func fillFloats(v []float32, e float32) {
	for i := range v {
		v[i] = e
	}
}

// fold takes the innermost dropped run away until none is left.
func (r reduce) fold(x *exec, dst, src []float32, runs []dimRun) {
	at := len(runs) - 1
	for at > 0 && !runs[at].drop {
		at--
	}
	outer, inner := 1, 1
	more := false
	for i, d := range runs {
		switch {
		case i < at:
			outer *= d.n
			more = more || d.drop
		case i > at:
			inner *= d.n
		}
	}
	to := dst
	if more {
		to = make([]float32, outer*inner)
	}
	n := runs[at].n
	switch {
	case inner > 1:
		columnsOf(n, inner).sums(x, to, src, outer)
	case r.max:
		rows(x, len(src), n, func(a, b int) { to[a/n] = maxOf(x, src[a:b]) })
	case n > grain:
		k := columnsOf(n, 1)
		for i := range outer {
			k.sum(x, to[i:i+1], src[i*n:(i+1)*n])
		}
	default:
		rows(x, len(src), n, func(a, b int) { to[a/n] = x.p.set.Sum(src[a:b]) })
	}
	if !more {
		return
	}
	left := append(append([]dimRun{}, runs[:at]...), runs[at+1:]...)
	if at > 0 && at < len(runs)-1 && left[at-1].drop == left[at].drop {
		left[at-1].n *= left[at].n
		left = append(left[:at], left[at+1:]...)
	}
	r.fold(x, dst, to, left)
}

// maxOf is the largest element; a NaN wins.
func maxOf(x *exec, v []float32) float32 {
	for _, e := range v {
		if e != e {
			return e
		}
	}
	return x.p.set.Max(v)
}

// lowerReduce takes constant axes.
func lowerReduce(l *lowering, n *graph.Node) bool {
	v := n.In[0]
	op := reduce{Op: n.Op}
	noop := false
	switch o := n.Op.(type) {
	case ops.ReduceSum:
		op.keep, noop = o.Keepdims, o.Noop
	case ops.ReduceMean:
		op.keep, noop, op.mean = o.Keepdims, o.Noop, true
	case ops.ReduceMax:
		op.keep, noop, op.max = o.Keepdims, o.Noop, true
	default:
		return false
	}
	if !isFloat(v) || v.Unranked || v.Rank() == 0 || !op.axes(n, noop) {
		return false
	}
	if op.max && !op.lastAxes() {
		return false
	}
	l.set(l.plain, n, l.emit(n, op, []*graph.Value{l.plainOf(v)}))
	return true
}

// axes reads the constant axes of n.
func (r *reduce) axes(n *graph.Node, noop bool) bool {
	rank := n.In[0].Rank()
	r.drop = make([]bool, rank)
	var list []int
	if len(n.In) > 1 && n.In[1] != nil {
		var ok bool
		if list, ok = n.In[1].ConstInts(); !ok {
			return false
		}
	}
	for i := range r.drop {
		r.drop[i] = len(list) == 0 && !noop
	}
	for _, a := range list {
		if a < 0 {
			a += rank
		}
		if a < 0 || a >= rank {
			return false
		}
		r.drop[a] = true
	}
	return true
}

// lastAxes reports whether only the last dimensions are dropped.
func (r reduce) lastAxes() bool {
	for i := 1; i < len(r.drop); i++ {
		if r.drop[i-1] && !r.drop[i] {
			return false
		}
	}
	return true
}
