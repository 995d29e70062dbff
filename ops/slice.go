package ops

import (
	"fmt"
	"math"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 13, Slice{}) }

// Slice takes starts[i], starts[i]+steps[i], … before ends[i] along axes[i]. Negative positions count from the end,
// those outside are clamped. Inputs: data, starts, ends, axes (default 0, 1, …), steps (default 1).
type Slice struct{ mover }

// sliceRange is the part of one axis that a Slice takes. known is false where a number is not constant.
type sliceRange struct {
	axis, start, end, step int
	known                  bool
	to                     graph.Dim // the end, where it is not negative
	from                   graph.Dim
}

// sliceBounds reads the inputs; nil if not even the axes are known.
func sliceBounds(in []graph.Fact, r int) ([]sliceRange, error) {
	n, ok := lengthOf(in[1])
	if !ok {
		if n, ok = lengthOf(in[2]); !ok {
			return nil, nil
		}
	}
	list := make([]int, 0, min(n, maxElements))
	if f := fact(in, 3); f.Given() {
		if list, ok = f.ConstInts(); !ok {
			return nil, nil
		}
	} else {
		if n > r {
			return nil, fmt.Errorf("%d starts for rank %d", n, r)
		}
		for i := range n {
			list = append(list, i)
		}
	}
	list, err := axes(list, r)
	if err != nil {
		return nil, err
	}
	if len(list) != n {
		return nil, fmt.Errorf("%d axes for %d starts", len(list), n)
	}
	out := make([]sliceRange, n)
	for i, a := range list {
		out[i] = sliceRange{axis: a, step: 1, known: true}
	}
	return out, readBounds(in, out)
}

// readBounds fills in starts, ends and steps.
func readBounds(in []graph.Fact, out []sliceRange) error {
	for k, field := range []func(b *sliceRange, v int){
		1: func(b *sliceRange, v int) { b.start = v },
		2: func(b *sliceRange, v int) { b.end = v },
		4: func(b *sliceRange, v int) { b.step = v },
	} {
		f := fact(in, k)
		if field == nil || k == 4 && !f.Given() {
			continue
		}
		v, ok := f.ConstInts()
		if ok && len(v) != len(out) {
			return fmt.Errorf("input %d has %d elements, not %d", k, len(v), len(out))
		}
		e := elements(f)
		for i := range out {
			if ok {
				field(&out[i], v[i])
			} else {
				out[i].known = false
			}
			if k == 4 && ok && v[i] == 0 {
				return fmt.Errorf("step 0 along axis %d", out[i].axis)
			}
			if len(e) == len(out) && k == 1 {
				out[i].from = e[i]
			} else if len(e) == len(out) && k == 2 {
				out[i].to = e[i]
			}
			if k == 4 && !ok {
				out[i].step = 0
			}
		}
	}
	return nil
}

// take gives the first position and the number of positions in a dimension of size n. As in ONNX Runtime an end of
// math.MaxInt32 or math.MaxInt64 means no end, backwards too.
func (b sliceRange) take(n int) (first, count int) {
	start, end := b.start, b.end
	if start < 0 {
		start += n
	}
	if end < 0 {
		end += n
	}
	step := min(max(b.step, -n-1), n+1)
	if step > 0 {
		start, end = min(max(start, 0), n), min(max(end, 0), n)
		return start, max(0, (end-start+step-1)/step)
	}
	if b.end == math.MaxInt32 || b.end == math.MaxInt64 {
		end = -1
	}
	start, end = min(max(start, 0), n-1), min(max(end, -1), n-1)
	return start, max(0, (start-end-step-1)/-step)
}

// dim is the size of what is taken from a dimension.
func (b sliceRange) dim(d graph.Dim) graph.Dim {
	n, ok := d.Value()
	switch {
	case b.known && ok:
		_, count := b.take(n)
		return graph.Fixed(count)
	case d.Known() && b.step == 1 && b.from.Is(0) && (b.to == d || b.known && b.end >= math.MaxInt32):
		return d
	case d.Known() && b.known && b.step == -1 && b.start == -1 && (b.end <= math.MinInt32+1 || b.end == math.MaxInt32 || b.end == math.MaxInt64):
		return d
	case b.step == 1 && b.from.Is(0) && b.to.Is(0):
		return graph.Fixed(0)
	}
	return graph.Dim{}
}

// Infer keeps symbols along axes that are taken whole.
func (Slice) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 3, 5); err != nil {
		return nil, err
	}
	if in[0].Unranked {
		return []graph.Type{graph.AnyRank(in[0].DType)}, nil
	}
	t := graph.Of(in[0].DType, in[0].Shape...)
	bs, err := sliceBounds(in, len(t.Shape))
	if err != nil {
		return nil, err
	}
	if bs == nil {
		clear(t.Shape)
	}
	for _, b := range bs {
		t.Shape[b.axis] = b.dim(t.Shape[b.axis])
	}
	return []graph.Type{t}, nil
}

// Ints takes the elements.
func (Slice) Ints(in []graph.Fact) []graph.Dim {
	e := elements(fact(in, 0))
	if e == nil || in[0].Rank() != 1 || len(in) < 3 {
		return nil
	}
	bs, err := sliceBounds(in, 1)
	if err != nil || bs == nil {
		return nil
	}
	for _, b := range bs {
		if !b.known {
			return nil
		}
		first, count := b.take(len(e))
		part := make([]graph.Dim, count)
		for i := range part {
			part[i] = e[first+i*b.step]
		}
		e = part
	}
	return e
}

// Run copies the part.
func (o Slice) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	shape, err := shapeOf(o, in)
	if err != nil {
		return err
	}
	facts := make([]graph.Fact, len(in))
	for i, t := range in {
		if t != nil {
			facts[i] = graph.FactOf(t)
		}
	}
	bs, err := sliceBounds(facts, len(shape))
	if err != nil {
		return err
	}
	from := dense(in[0].Shape)
	for _, b := range bs {
		first, _ := b.take(in[0].Shape[b.axis])
		from.at += first * from.step[b.axis]
		from.step[b.axis] *= b.step
	}
	dst, err := target(x, out[0], in[0].DType, shape)
	if err != nil {
		return err
	}
	dst.strided(shape, dense(shape), source(in[0]), from)
	dst.done()
	return nil
}

// Links ties what is taken with where it goes. Bounds that are not constant and steps but 1 keep an axis as it is.
func (o Slice) Links(in, out []graph.Fact) []graph.Link {
	if in[0].Unranked || out[0].Rank() != len(in[0].Shape) {
		return nil
	}
	bounds, err := sliceBounds(in, len(in[0].Shape))
	if err != nil || bounds == nil {
		return nil
	}
	sliced := map[int]sliceRange{}
	for _, b := range bounds {
		sliced[b.axis] = b
	}
	var links []graph.Link
	for a, d := range in[0].Shape {
		b, ok := sliced[a]
		n, fixed := d.Value()
		switch {
		case !ok:
			links = append(links, tie(d, given(0, a), made(0, a))...)
		case b.known && b.step == 1 && fixed:
			first, count := b.take(n)
			links = append(links, window(a, 0, first), window(a, first+count, n-first-count), window(a, first, count))
			last := &links[len(links)-1]
			last.Ends = append(last.Ends, made(0, a))
		}
	}
	return links
}

// Fit moves the bounds to where the same elements are now.
func (o Slice) Fit(c graph.Cut) (graph.Op, []*tensor.Tensor, error) {
	bounds, err := sliceBounds(c.In, len(c.In[0].Shape))
	if err != nil || bounds == nil {
		return o, nil, err
	}
	changed := false
	starts, ends := make([]int64, len(bounds)), make([]int64, len(bounds))
	for i, b := range bounds {
		starts[i], ends[i] = int64(b.start), int64(b.end)
		kept := c.Kept(false, 0, b.axis)
		n, fixed := c.In[0].Shape[b.axis].Value()
		if kept == nil || !fixed {
			continue
		}
		first, count := b.take(n)
		at := between(kept, 0, first)
		starts[i], ends[i], changed = int64(at), int64(at+between(kept, first, first+count)), true
	}
	if !changed {
		return o, nil, nil
	}
	out := []*tensor.Tensor{nil, tensor.New(c.In[1].DType, len(starts)), tensor.New(c.In[2].DType, len(ends))}
	if err := tensor.SetInts(out[1], starts); err != nil {
		return nil, nil, err
	}
	return o, out, tensor.SetInts(out[2], ends)
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
	if f := fact(in, 3); f.Given() {
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

// Forwards holds of a slice of the full size that does not go backwards.
func (Slice) Forwards(in, out []graph.Fact) (int, bool) {
	if len(in) > 4 && in[4].Given() {
		s, ok := in[4].ConstInts()
		if !ok || slices.ContainsFunc(s, func(i int) bool { return i < 1 }) {
			return 0, false
		}
	}
	return 0, graph.EqualShapes(in[0].Type, out[0].Type)
}
