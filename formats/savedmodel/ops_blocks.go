package savedmodel

import (
	"fmt"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
)

// blocks gives the block sizes and the pads or crops of a SpaceToBatchND or BatchToSpaceND.
func (c *call) blocks() (v *graph.Value, sizes, edges []int, err error) {
	if v, err = c.value(0); err != nil {
		return
	}
	if sizes, err = c.ints(1); err != nil {
		return
	}
	if edges, err = c.ints(2); err != nil {
		return
	}
	if v.Rank() < len(sizes)+1 || len(edges) != 2*len(sizes) || slices.ContainsFunc(sizes, func(n int) bool { return n < 1 }) {
		err = fmt.Errorf("blocks of %v with edges %v do not fit %s", sizes, edges, v.Type)
	}
	return
}

// spaceToBatch pads, cuts each axis into blocks and moves the places within blocks before the samples.
func spaceToBatch(c *call) ([]value, error) {
	v, sizes, edges, err := c.blocks()
	if err != nil {
		return nil, err
	}
	rank, m := v.Rank(), len(sizes)
	pads := make([]int64, 2*rank)
	for i := range m {
		pads[1+i], pads[rank+1+i] = int64(edges[2*i]), int64(edges[2*i+1])
	}
	v = c.add(ops.Pad{Mode: "constant"}, v, c.b.ints(pads...))
	shape, err := c.sizesOf(v)
	if err != nil {
		return nil, err
	}
	split, perm, merged := []int64{shape[0]}, []int{}, []int64{-1}
	for i := range m {
		split = append(split, shape[1+i]/int64(sizes[i]), int64(sizes[i]))
		perm = append(perm, 2+2*i)
		merged = append(merged, shape[1+i]/int64(sizes[i]))
	}
	perm = append(perm, 0)
	for i := range m {
		perm = append(perm, 1+2*i)
	}
	for i := m + 1; i < rank; i++ {
		split, perm, merged = append(split, shape[i]), append(perm, m+i), append(merged, shape[i])
	}
	v = c.add(ops.Transpose{Perm: perm}, c.add(ops.Reshape{}, v, c.b.ints(split...)))
	return one(c.add(ops.Reshape{}, v, c.b.ints(merged...))), nil
}

// sizesOf gives the sizes of v for a Reshape: only the first may be unknown.
func (c *call) sizesOf(v *graph.Value) ([]int64, error) {
	out := make([]int64, v.Rank())
	for i, d := range v.Shape {
		n, ok := d.Value()
		switch {
		case ok:
			out[i] = int64(n)
		case i == 0:
			out[i] = -1
		default:
			return nil, fmt.Errorf("the size of %s is not known", v.Type)
		}
	}
	return out, nil
}

// dilated finds SpaceToBatchND, a convolution without padding and BatchToSpaceND, which are a convolution with dilations. ok is
// false where the pattern is another one.
func (c *call) dilated() (out []value, ok bool, err error) {
	inner, ok := c.maker(0, "Conv2D", "DepthwiseConv2dNative")
	if !ok || inner.stringAttr("padding", "") != "VALID" || inner.stringAttr("data_format", "NHWC") != "NHWC" {
		return nil, false, nil
	}
	begin, ok := inner.maker(0, "SpaceToBatchND")
	if !ok {
		return nil, false, nil
	}
	_, sizes, crops, err := c.blocks()
	if err != nil {
		return nil, false, nil
	}
	_, same, pads, err := begin.blocks()
	strides, err2 := inner.spatial("strides")
	if err != nil || err2 != nil || len(sizes) != 2 || !slices.Equal(sizes, same) || !slices.Equal(strides, []int{1, 1}) {
		return nil, false, nil
	}
	over := &spread{sizes, []int{pads[0] - crops[0], pads[2] - crops[2], pads[1] - crops[1], pads[3] - crops[3]}}
	if slices.ContainsFunc(over.pads, func(n int) bool { return n < 0 }) {
		return nil, false, nil
	}
	whole := &call{s: c.s, b: c.b, n: inner.n, in: []value{begin.in[0], inner.in[1]}}
	out, err = whole.convolve(over)
	return out, true, err
}

// maker gives the call of the node that makes an input, if it is one of some operators.
func (c *call) maker(i int, names ...string) (*call, bool) {
	if i >= len(c.n.Inputs) {
		return nil, false
	}
	e, _ := parseInput(c.n.Inputs[i])
	n := c.s.nodes[e.node]
	if n == nil || !slices.Contains(names, n.Op) {
		return nil, false
	}
	m := &call{s: c.s, b: c.b, n: n}
	for _, in := range n.Inputs {
		e, control := parseInput(in)
		if control {
			continue
		}
		x, err := c.s.at(e)
		if err != nil {
			return nil, false
		}
		m.in = append(m.in, x)
	}
	return m, len(m.in) > 1
}

// batchToSpace is the inverse of spaceToBatch; it crops at the end.
func batchToSpace(c *call) ([]value, error) {
	if out, ok, err := c.dilated(); ok || err != nil {
		return out, err
	}
	v, sizes, edges, err := c.blocks()
	if err != nil {
		return nil, err
	}
	rank, m := v.Rank(), len(sizes)
	shape, err := c.sizesOf(v)
	if err != nil {
		return nil, err
	}
	split, perm, merged := []int64{}, []int{m}, []int64{-1}
	for _, n := range sizes {
		split = append(split, int64(n))
	}
	split = append(split, -1)
	var r ranges
	for i := range m {
		split = append(split, shape[1+i])
		perm = append(perm, m+1+i, i)
		full := shape[1+i] * int64(sizes[i])
		merged = append(merged, full)
		if edges[2*i] != 0 || edges[2*i+1] != 0 {
			r.add(1+i, number{n: int64(edges[2*i])}, number{n: full - int64(edges[2*i+1])}, 1)
		}
	}
	for i := m + 1; i < rank; i++ {
		split, perm, merged = append(split, shape[i]), append(perm, m+i), append(merged, shape[i])
	}
	v = c.add(ops.Transpose{Perm: perm}, c.add(ops.Reshape{}, v, c.b.ints(split...)))
	return one(c.cut(c.add(ops.Reshape{}, v, c.b.ints(merged...)), r)), nil
}
