package savedmodel

import (
	"errors"
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// sliceOp cuts size elements from begin on, for each axis; a size of -1 is the rest.
func sliceOp(c *call) ([]value, error) {
	v, err := c.value(0)
	if err != nil {
		return nil, err
	}
	begin, err := c.numbers(1)
	if err != nil {
		return nil, err
	}
	size, err := c.numbers(2)
	if err != nil {
		return nil, err
	}
	if len(begin) != len(size) {
		return nil, errors.New("begin and size differ in length")
	}
	var r ranges
	for i := range begin {
		end := number{n: math.MaxInt64}
		switch s := size[i]; {
		case s.v == nil && s.n == -1:
		case s.v == nil && begin[i].v == nil:
			end = number{n: begin[i].n + s.n}
		default:
			end = number{v: c.add(ops.Add{}, c.single(begin[i]), c.single(s))}
		}
		if begin[i].v == nil && begin[i].n == 0 && end.v == nil && end.n == math.MaxInt64 {
			continue
		}
		r.add(i, begin[i], end, 1)
	}
	return one(c.cut(v, r)), nil
}

// number is an element of a list of integers: known, or a value of shape [1].
type number struct {
	n int64
	v *graph.Value
}

// numbers gives the elements of an input of rank 1, as far as they are known.
func (c *call) numbers(i int) ([]number, error) {
	if list, err := c.ints(i); err == nil {
		out := make([]number, len(list))
		for j, n := range list {
			out[j].n = int64(n)
		}
		return out, nil
	}
	v, err := c.wide(i)
	if err != nil {
		return nil, err
	}
	if v.Rank() != 1 {
		return nil, fmt.Errorf("input %d is %s, want a list", i, v.Type)
	}
	n, ok := v.Shape[0].Value()
	if !ok {
		return nil, fmt.Errorf("the length of input %d is not known", i)
	}
	out := make([]number, n)
	for j := range out {
		e := c.add(ops.Gather{}, v, c.b.ints(int64(j)))
		if e.IsConst() {
			out[j].n = tensor.Ints(e.Const)[0]
		} else {
			out[j].v = e
		}
	}
	return out, nil
}

// single is a number as a value of shape [1].
func (c *call) single(x number) *graph.Value {
	if x.v != nil {
		return x.v
	}
	return c.b.ints(x.n)
}

// join makes of numbers a value of rank 1.
func (c *call) join(numbers []number) *graph.Value {
	known := make([]int64, 0, len(numbers))
	var parts []*graph.Value
	for _, x := range numbers {
		if x.v == nil {
			known = append(known, x.n)
		}
		parts = append(parts, c.single(x))
	}
	switch {
	case len(known) == len(numbers):
		return c.b.ints(known...)
	case len(parts) == 1:
		return parts[0]
	}
	return c.add(ops.Concat{}, parts...)
}

// ranges are what is cut out, axis by axis.
type ranges struct {
	axes, steps []int64
	begin, end  []number
}

func (r *ranges) add(axis int, begin, end number, step int64) {
	r.axes, r.steps = append(r.axes, int64(axis)), append(r.steps, step)
	r.begin, r.end = append(r.begin, begin), append(r.end, end)
}

func (c *call) cut(v *graph.Value, r ranges) *graph.Value {
	if len(r.axes) == 0 {
		return v
	}
	return c.add(ops.Slice{}, v, c.join(r.begin), c.join(r.end), c.b.ints(r.axes...), c.b.ints(r.steps...))
}

// strided is what a StridedSlice does: cut, then take one index of some axes, then insert axes of size 1.
type strided struct {
	ranges
	index  map[int]number
	insert []int64 // axes of the result
}

func stridedSlice(c *call) ([]value, error) {
	v, err := c.value(0)
	if err != nil {
		return nil, err
	}
	s, err := c.strided(v)
	if err != nil {
		return nil, err
	}
	v = c.cut(v, s.ranges)
	for axis := v.Rank() - 1; axis >= 0 && len(s.index) > 0; axis-- {
		if x, ok := s.index[axis]; ok {
			at := c.b.constant(tensor.Scalar(x.n), "")
			if x.v != nil {
				at = c.add(ops.Reshape{}, x.v, c.b.ints())
			}
			v = c.add(ops.Gather{Axis: axis}, v, at)
		}
	}
	if len(s.insert) > 0 {
		v = c.add(ops.Unsqueeze{}, v, c.b.ints(s.insert...))
	}
	return one(v), nil
}

// strided reads the masks, each of which has a bit for each element of begin, end and strides.
func (c *call) strided(v *graph.Value) (strided, error) {
	s := strided{index: map[int]number{}}
	var lists [2][]number
	for i := range lists {
		var err error
		if lists[i], err = c.numbers(i + 1); err != nil {
			return s, err
		}
	}
	begin, end := lists[0], lists[1]
	steps, err := c.ints(3)
	if err != nil {
		return s, err
	}
	if len(begin) != len(end) || len(begin) != len(steps) || len(begin) > 64 {
		return s, errors.New("begin, end and strides differ in length")
	}
	bit := func(name string, i int) bool { return c.intAttr(name, 0)>>i&1 != 0 }
	fresh, dots := 0, false
	for i := range begin {
		if bit("new_axis_mask", i) && !bit("ellipsis_mask", i) {
			fresh++
		}
		dots = dots || bit("ellipsis_mask", i)
	}
	if v.Rank() < 0 {
		return s, errors.New("the rank of its input is not known")
	}
	axis, at := 0, 0 // of the input, of the result
	for i := range begin {
		switch {
		case bit("ellipsis_mask", i):
			skip := v.Rank() - (len(begin) - 1 - fresh)
			axis, at = axis+max(skip, 0), at+max(skip, 0)
		case bit("new_axis_mask", i):
			s.insert = append(s.insert, int64(at))
			at++
		case axis >= v.Rank():
			return s, fmt.Errorf("it cuts more axes than its input %s has", v.Type)
		case bit("shrink_axis_mask", i):
			s.index[axis] = begin[i]
			axis++
		default:
			from, to, step := begin[i], end[i], int64(steps[i])
			if step == 0 {
				return s, errors.New("a stride of 0")
			}
			open := bit("begin_mask", i)
			if open {
				from = number{}
				if step < 0 {
					from.n = math.MaxInt64
				}
			}
			if bit("end_mask", i) {
				to = number{n: math.MaxInt64}
				if step < 0 {
					to.n = math.MinInt64
				}
			}
			if from != (number{}) || to != (number{n: math.MaxInt64}) || step != 1 {
				s.add(axis, from, to, step)
			}
			axis, at = axis+1, at+1
		}
	}
	return s, nil
}

func pad(c *call) ([]value, error) {
	v, err := c.value(0)
	if err != nil {
		return nil, err
	}
	op := ops.Pad{Mode: "constant"}
	if c.n.Op == "MirrorPad" {
		op.Mode = map[string]string{"REFLECT": "reflect"}[c.stringAttr("mode", "REFLECT")]
		if op.Mode == "" {
			return nil, errors.New("mirroring with the edge itself is not supported")
		}
	}
	var in []*graph.Value
	if list, err := c.ints(1); err == nil { // [rank, 2]: before and after each axis
		n := len(list) / 2
		pads := make([]int64, 2*n)
		for i := range n {
			pads[i], pads[n+i] = int64(list[2*i]), int64(list[2*i+1])
		}
		in = []*graph.Value{v, c.b.ints(pads...)}
	} else {
		wide, err := c.wide(1)
		if err != nil {
			return nil, err
		}
		in = []*graph.Value{v, c.add(ops.Reshape{}, c.add(ops.Transpose{Perm: []int{1, 0}}, wide), c.b.ints(-1))}
	}
	if c.n.Op == "PadV2" {
		x, err := c.value(2)
		if err != nil {
			return nil, err
		}
		in = append(in, x)
	}
	return one(c.add(op, in...)), nil
}
