package engine

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// boxDim is one dimension of what copyBox moves: n positions, so many bytes apart.
type boxDim struct{ n, to, from int }

// copyBox copies runs of bytes; the last dimensions that lie together on both sides join the run.
func copyBox(x *exec, dst, src []byte, dims []boxDim, run int) {
	for len(dims) > 0 {
		d := dims[len(dims)-1]
		if d.n != 1 && (d.to != run || d.from != run) {
			break
		}
		run *= d.n
		dims = dims[:len(dims)-1]
	}
	for _, d := range dims {
		if d.n == 0 {
			return
		}
	}
	switch {
	case run == 0:
	case len(dims) == 0:
		copy(dst[:run], src[:run])
	default:
		bytes := run
		for _, d := range dims[1:] {
			bytes *= d.n
		}
		per := max(1, 4*grain/bytes) // positions of the first dimension that one task takes
		n := dims[0].n
		x.p.pool.run(x.scratch, (n+per-1)/per, func(_ *scratch, t int) {
			part := append([]boxDim{{min(per, n-t*per), dims[0].to, dims[0].from}}, dims[1:]...)
			box{dst, src, run}.copy(t*per*dims[0].to, t*per*dims[0].from, part)
		})
	}
}

type box struct {
	dst, src []byte
	run      int
}

func (b box) copy(to, from int, dims []boxDim) {
	if len(dims) == 0 {
		copy(b.dst[to:to+b.run], b.src[from:from+b.run])
		return
	}
	d := dims[0]
	switch {
	case len(dims) > 1:
		for i := range d.n {
			b.copy(to+i*d.to, from+i*d.from, dims[1:])
		}
	case b.run == 4:
		for range d.n {
			*(*[4]byte)(b.dst[to:]) = [4]byte(b.src[from:])
			to, from = to+d.to, from+d.from
		}
	case b.run == 1:
		for range d.n {
			b.dst[to] = b.src[from]
			to, from = to+d.to, from+d.from
		}
	default:
		for range d.n {
			copy(b.dst[to:to+b.run], b.src[from:from+b.run])
			to, from = to+d.to, from+d.from
		}
	}
}

// segment is one range of an axis: n positions from first on, step apart.
type segment struct{ first, n, step int }

// mover is Slice, Pad with a constant, or Split, with constant parameters. It sees only the data.
type mover struct {
	graph.Op
	rest []graph.Fact // the other inputs
}

func (m mover) source() graph.Op { return m.Op }

// Infer infers the operator with its constants.
func (m mover) Infer(in []graph.Fact, outs int) ([]graph.Type, error) {
	return m.Op.Infer(append([]graph.Fact{in[0]}, m.rest...), outs)
}

// positive is an axis counted from the front.
func positive(axis, rank int) int {
	if axis < 0 {
		axis += rank
	}
	return axis
}

// list reads a constant input, nil if it is omitted.
func (m mover) list(i int) []int {
	if i >= len(m.rest) || !m.rest[i].Given() {
		return nil
	}
	v, _ := m.rest[i].ConstInts()
	return v
}

// byteSteps gives the bytes between the elements of each dimension.
func byteSteps(shape []int, size int) []int {
	steps := make([]int, len(shape))
	for i := len(shape) - 1; i >= 0; i-- {
		steps[i] = size
		size *= shape[i]
	}
	return steps
}

// take copies a range of each axis of src to dst, whose ranges begin at the offsets.
func (m mover) take(x *exec, dst, src *tensor.Tensor, parts []segment, at []int) {
	size := src.DType.Bits() / 8
	to, from := byteSteps(dst.Shape, size), byteSteps(src.Shape, size)
	dims := make([]boxDim, len(parts))
	d, s := 0, 0
	for i, p := range parts {
		dims[i] = boxDim{p.n, to[i], from[i] * p.step}
		if p.n == 0 {
			return
		}
		if p.step < 0 { // dst runs backwards instead
			p.first += (p.n - 1) * p.step
			dims[i] = boxDim{p.n, -to[i], -from[i] * p.step}
			d += (p.n - 1) * to[i]
		}
		d += at[i] * to[i]
		s += p.first * from[i]
	}
	copyFrom(x, dst.Data, src.Data, boxAt{dims, d, s, size})
}

// boxAt is a box that begins at given bytes.
type boxAt struct {
	dims     []boxDim
	to, from int
	size     int
}

// copyFrom copies a box whose destination may run backwards along some dimensions.
func copyFrom(x *exec, dst, src []byte, b boxAt) {
	backwards := false
	for _, d := range b.dims {
		backwards = backwards || d.to < 0
	}
	if !backwards {
		copyBox(x, dst[b.to:], src[b.from:], b.dims, b.size)
		return
	}
	box{dst, src, b.size}.copy(b.to, b.from, b.dims)
}

func (m mover) exec(x *exec, in, out []*tensor.Tensor) error {
	switch op := m.Op.(type) {
	case ops.Slice:
		return m.slice(x, in[0], out[0])
	case ops.Pad:
		return m.pad(x, in[0], out[0])
	case ops.Split:
		return m.split(x, op, in[0], out)
	}
	return fmt.Errorf("%T moves nothing", m.Op)
}

// wholeSegments is every axis of a shape.
func wholeSegments(shape []int) []segment {
	parts := make([]segment, len(shape))
	for i, n := range shape {
		parts[i] = segment{0, n, 1}
	}
	return parts
}

func (m mover) slice(x *exec, src, out *tensor.Tensor) error {
	starts, ends, axes, steps := m.list(0), m.list(1), m.list(2), m.list(3)
	parts := wholeSegments(src.Shape)
	for i, start := range starts {
		a, step := i, 1
		if axes != nil {
			a = axes[i]
		}
		if steps != nil {
			step = steps[i]
		}
		a = positive(a, len(src.Shape))
		parts[a] = rangeOf(src.Shape[a], start, ends[i], step)
	}
	shape := make([]int, len(parts))
	for i, p := range parts {
		shape[i] = p.n
	}
	m.take(x, x.Make(out, src.DType, shape...), src, parts, make([]int, len(parts)))
	return nil
}

// rangeOf is what Slice takes of n positions.
func rangeOf(n, start, end, step int) segment {
	open := end == math.MaxInt32 || end == math.MaxInt64
	if start < 0 {
		start += n
	}
	if end < 0 {
		end += n
	}
	step = min(max(step, -n-1), n+1)
	if step > 0 {
		start, end = min(max(start, 0), n), min(max(end, 0), n)
		return segment{start, max(0, (end-start+step-1)/step), step}
	}
	if open {
		end = -1
	}
	start, end = min(max(start, 0), n-1), min(max(end, -1), n-1)
	return segment{start, max(0, (start-end-step-1)/-step), step}
}

func (m mover) pad(x *exec, src, out *tensor.Tensor) error {
	pads, axes := m.list(0), m.list(2)
	parts, at, shape := wholeSegments(src.Shape), make([]int, len(src.Shape)), append([]int{}, src.Shape...)
	n := len(pads) / 2
	for i := range n {
		a := i
		if axes != nil {
			a = axes[i]
		}
		a = positive(a, len(src.Shape))
		before, after := pads[i], pads[n+i]
		shape[a] += before + after
		lo, hi := max(0, -before), min(src.Shape[a], src.Shape[a]+after)
		parts[a], at[a] = segment{lo, max(0, hi-lo), 1}, max(0, before)
	}
	y := x.Make(out, src.DType, shape...)
	var value []byte
	if len(m.rest) > 1 && m.rest[1].Const != nil {
		value = m.rest[1].Const.Data
	}
	fillPattern(y.Data, value)
	m.take(x, y, src, parts, at)
	return nil
}

func (m mover) split(x *exec, op ops.Split, src *tensor.Tensor, out []*tensor.Tensor) error {
	types, err := m.Infer([]graph.Fact{{Type: graph.TypeOf(src)}}, len(out))
	if err != nil {
		return err
	}
	a := positive(op.Axis, len(src.Shape))
	first := 0
	for i, t := range out {
		shape, ok := types[i].Fixed()
		if !ok {
			return fmt.Errorf("part %d has no known size", i)
		}
		parts := wholeSegments(src.Shape)
		parts[a] = segment{first, shape[a], 1}
		first += shape[a]
		if t != nil {
			m.take(x, x.Make(t, src.DType, shape...), src, parts, make([]int, len(shape)))
		}
	}
	return nil
}

// lowerMove takes Slice, Split and Pad with constant parameters.
func lowerMove(l *lowering, n *graph.Node) bool {
	v := n.In[0]
	bits := v.DType.Bits()
	if v.Unranked || v.DType.IsInt() || bits == 0 || bits%8 != 0 || v.DType == tensor.String || v.Elem != nil {
		return false
	}
	if p, ok := n.Op.(ops.Pad); ok && p.Mode != "constant" {
		return false
	}
	op := mover{Op: n.Op}
	for _, w := range n.In[1:] {
		if w != nil && !w.IsConst() {
			return false
		}
		f := graph.Fact{}
		if w != nil {
			f = graph.FactOf(w.Const.Clone())
		}
		op.rest = append(op.rest, f)
	}
	l.set(l.plain, n, l.emit(n, op, []*graph.Value{l.plainOf(v)}))
	return true
}
