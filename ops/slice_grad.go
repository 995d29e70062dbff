package ops

import (
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// Grad puts dy where it was taken from, among zeros.
func (Slice) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	dy := dOut[0]
	if dy == nil {
		return none(n)
	}
	f := gradient(b, n)
	shape := f.shape(n.In[0])
	if b.Err != nil {
		return none(n)
	}
	ranges, err := sliceBounds(factsOf(n.In), len(shape))
	if err != nil {
		return fail(b, n, "%v", err)
	}
	pads := make([][2]int, len(shape))
	for _, r := range ranges {
		if !r.known {
			return fail(b, n, "the bounds are not constant")
		}
		size := shape[r.axis]
		first, count := r.take(size)
		step := r.step
		if count == 0 {
			return to(n, f.zeros(n.In[0]))
		}
		if step < 0 {
			dy = f.reversed(dy, r.axis)
			first, step = first+(count-1)*step, -step
		}
		if count > 1 && step > 1 {
			dy = f.dilated(dy, r.axis, step)
			count *= step // with zeros after the last, which may reach beyond the end
		}
		pads[r.axis] = [2]int{first, size - first - count}
	}
	if ranges == nil && len(n.In) > 2 {
		return fail(b, n, "the axes are not constant")
	}
	return to(n, f.pad(dy, pads))
}

// reversed turns v around along an axis.
func (f formula) reversed(v *graph.Value, a int) *graph.Value {
	return f.node(Slice{}, v, f.ints(-1), f.ints(math.MinInt32), f.ints(a), f.ints(-1))
}

// dilated puts step-1 zeros after each element along an axis.
func (f formula) dilated(v *graph.Value, a, step int) *graph.Value {
	shape := f.shape(v)
	apart := inserted(shape, a+1, 1)
	pads := make([][2]int, len(apart))
	pads[a+1][1] = step - 1
	wide := append([]int{}, shape...)
	wide[a] *= step
	return f.reshape(f.pad(f.reshape(v, apart), pads), wide)
}

// pad adds zeros before and after each axis, or removes elements where the pads are negative.
func (f formula) pad(v *graph.Value, pads [][2]int) *graph.Value {
	both, any := make([]int, 2*len(pads)), false
	for i, p := range pads {
		both[i], both[len(pads)+i] = p[0], p[1]
		any = any || p != [2]int{}
	}
	if !any {
		return v
	}
	return f.node(Pad{Mode: "constant"}, v, f.ints(both...))
}

// part takes n elements from `from` on along an axis.
func (f formula) part(v *graph.Value, a, from, n int) *graph.Value {
	if f.shape(v)[a] == n {
		return v
	}
	return f.node(Slice{}, v, f.ints(from), f.ints(from+n), f.ints(a))
}

// cropped removes what pads say was added before and after each axis.
func (f formula) cropped(v *graph.Value, pads [][2]int) *graph.Value {
	var starts, ends, list []int
	shape := f.shape(v)
	for i, p := range pads {
		if p[0] < 0 || p[1] < 0 {
			return f.pad(v, mapSlice(pads, func(p [2]int) [2]int { return [2]int{-p[0], -p[1]} }))
		}
		if p != [2]int{} {
			starts, ends, list = append(starts, p[0]), append(ends, shape[i]-p[1]), append(list, i)
		}
	}
	if list == nil {
		return v
	}
	return f.node(Slice{}, v, f.ints(starts...), f.ints(ends...), f.ints(list...))
}

// Grad takes dy without the border. Copies in the border add to their origin; a constant one to the constant.
func (o Pad) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	dy := dOut[0]
	if dy == nil || !flowsTo(n, 0) {
		return none(n)
	}
	f := gradient(b, n)
	shape := f.shape(n.In[0])
	if b.Err != nil {
		return none(n)
	}
	pads, err := padding(factsOf(n.In), len(shape))
	if err != nil || pads == nil {
		return fail(b, n, "the pads are not constant (%v)", err)
	}
	if o.Mode == "constant" {
		d := to(n, f.cropped(dy, pads))
		if flowsTo(n, 2) {
			all := f.node(ReduceSum{}, dy)
			d[2] = f.like(f.sub(all, f.node(ReduceSum{}, d[0])), n.In[2])
		}
		return d
	}
	for a, p := range pads {
		if kept := min(shape[a], shape[a]+p[1]) - max(0, -p[0]); kept <= 0 {
			return fail(b, n, "nothing to repeat along axis %d", a)
		}
		if p != [2]int{} {
			dy = f.unwrapped(dy, axisPad{a, shape[a], p, o.Mode})
		}
	}
	return to(n, dy)
}

// axisPad is what Pad does along one axis of the given size.
type axisPad struct {
	axis, size int
	pads       [2]int
	mode       string
}

// unwrapped adds up along one axis what was copied from the same position. Positions that were copied in a row, forwards,
// backwards or the same one again, are moved at once.
func (f formula) unwrapped(dy *graph.Value, p axisPad) *graph.Value {
	lo, hi := max(0, -p.pads[0]), min(p.size, p.size+p.pads[1])
	total := p.size + p.pads[0] + p.pads[1]
	origin := make([]int, total)
	for j := range origin {
		origin[j] = lo + repeated(j-max(0, p.pads[0]), hi-lo, p.mode)
	}
	shape := append([]int{}, f.shape(dy)...)
	shape[p.axis] = p.size
	var sum *graph.Value
	for i := 0; i < total; {
		end, step := i+1, 0
		if end < total && abs(origin[end]-origin[i]) <= 1 {
			step = origin[end] - origin[i]
			for end < total && origin[end]-origin[end-1] == step {
				end++
			}
		}
		term := f.part(dy, p.axis, i, end-i)
		first, n := min(origin[i], origin[end-1]), end-i
		switch {
		case step < 0:
			term = f.reversed(term, p.axis)
		case step == 0 && n > 1:
			term, n = f.sum(term, true, p.axis), 1
		}
		around := make([][2]int, len(shape))
		around[p.axis] = [2]int{first, p.size - first - n}
		if term = f.pad(term, around); sum == nil {
			sum = term
		} else {
			sum = f.add(sum, term)
		}
		i = end
	}
	if sum == nil { // everything was cropped
		return f.b.Const(f.name+"_zeros", tensor.New(dy.DType, shape...))
	}
	return sum
}

func abs(n int) int { return max(n, -n) }

// Grad takes dy without the border and puts zeros where the input was cropped.
func (o CenterCropPad) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	dy := dOut[0]
	if dy == nil || !flowsTo(n, 0) {
		return none(n)
	}
	f := gradient(b, n)
	from, shape := f.shape(n.In[0]), f.shape(dy)
	if b.Err != nil {
		return none(n)
	}
	return to(n, f.cropped(dy, centered(from, shape)))
}
