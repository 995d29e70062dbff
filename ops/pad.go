package ops

import (
	"fmt"
	"math"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	graph.Register("", 19, Pad{})
	graph.Register("", 18, CenterCropPad{})
}

// Pad adds pads[i] elements before and pads[i+n] after axis i, or removes them where negative. Mode is constant,
// reflect, edge or wrap. Inputs: data, pads, constant_value (default 0), axes (default all).
type Pad struct {
	mover
	Mode string `attr:"mode" default:"constant"`
}

// Traits says that the borders hold numbers of their own.
func (Pad) Traits() graph.Traits { return graph.Traits{Fill: graph.FillNumber} }

// Infer needs constant pads.
func (o Pad) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 4); err != nil {
		return nil, err
	}
	switch o.Mode {
	case "constant", "reflect", "edge", "wrap":
	default:
		return nil, fmt.Errorf("unknown mode %q", o.Mode)
	}
	if in[0].Unranked {
		return []graph.Type{graph.AnyRank(in[0].DType)}, nil
	}
	t := graph.Of(in[0].DType, make([]graph.Dim, len(in[0].Shape))...)
	pads, err := padding(in, len(t.Shape))
	if err != nil {
		return nil, err
	}
	if pads == nil {
		return []graph.Type{t}, nil
	}
	for i, p := range pads {
		d := in[0].Shape[i]
		if n, ok := d.Value(); ok {
			if n+p[0]+p[1] < 0 {
				return nil, fmt.Errorf("pads %v of dimension %d", p, n)
			}
			t.Shape[i] = graph.Fixed(n + p[0] + p[1])
		} else if p[0]+p[1] == 0 {
			t.Shape[i] = d
		}
	}
	return []graph.Type{t}, nil
}

// padding reads the pads of each axis; nil if they are not constant.
func padding(in []graph.Fact, r int) ([][2]int, error) {
	v, ok := in[1].ConstInts()
	if !ok {
		return nil, nil
	}
	list := make([]int, r)
	for i := range list {
		list[i] = i
	}
	if f := fact(in, 3); f.Given() {
		if list, ok = f.ConstInts(); !ok {
			return nil, nil
		}
	}
	list, err := axes(list, r)
	if err != nil {
		return nil, err
	}
	if len(v) != 2*len(list) {
		return nil, fmt.Errorf("%d pads for %d axes", len(v), len(list))
	}
	out := make([][2]int, r)
	for i, a := range list {
		out[a] = [2]int{v[i], v[i+len(list)]}
		for _, p := range out[a] {
			if p > math.MaxInt32 || p < -math.MaxInt32 {
				return nil, fmt.Errorf("pad %d", p)
			}
		}
	}
	return out, nil
}

// Run pads.
func (o Pad) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	if _, err := shapeOf(o, in); err != nil {
		return err
	}
	facts := make([]graph.Fact, 4)
	for i, t := range in {
		if t != nil {
			facts[i] = graph.FactOf(t)
		}
	}
	pads, err := padding(facts, len(in[0].Shape))
	if err != nil {
		return err
	}
	if o.Mode != "constant" {
		return padCopies(x, out[0], padded{in[0], nil, pads}, o.Mode)
	}
	return padConstant(x, out[0], padded{in[0], optional(in, 2), pads})
}

// Links ties the axes that are not padded.
func (o Pad) Links(in, out []graph.Fact) []graph.Link {
	if in[0].Unranked || out[0].Rank() != len(in[0].Shape) {
		return nil
	}
	pads, err := padding(in, len(in[0].Shape))
	if err != nil || pads == nil {
		return nil
	}
	var links []graph.Link
	for a, p := range pads {
		if p == [2]int{} {
			links = append(links, tie(in[0].Shape[a], given(0, a), made(0, a))...)
		}
	}
	return links
}

// Permute moves the pads along with their axes.
func (o Pad) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	p, ok := alike(in, outs, 1, order)
	if !ok {
		return p, false
	}
	pads, err := padding(in, len(order))
	if err != nil || pads == nil {
		return p, false
	}
	flat := make([]int64, 2*len(order))
	for i, a := range order {
		flat[i], flat[i+len(order)] = int64(pads[a][0]), int64(pads[a][1])
	}
	p.Const = map[int]*tensor.Tensor{1: tensor.From(flat, len(flat))}
	if fact(in, 3).Given() {
		all, _ := moved(order, order)
		p.Const[3] = all
	}
	return p, true
}

// Forwards holds where every pad is 0.
func (Pad) Forwards(in, _ []graph.Fact) (int, bool) {
	pads, ok := in[1].ConstInts()
	return 0, ok && !slices.ContainsFunc(pads, func(p int) bool { return p != 0 })
}

// padded is data with what is to be added before and after each axis; a nil value is zero.
type padded struct {
	data, value *tensor.Tensor
	pads        [][2]int
}

// padConstant places the data into a tensor that is filled with one value.
func padConstant(x *graph.Exec, out *tensor.Tensor, p padded) error {
	data, value, pads := p.data, p.value, p.pads
	shape, inner := make([]int, len(pads)), make([]int, len(pads))
	from, to := dense(data.Shape), view{}
	for i, p := range pads {
		shape[i] = data.Shape[i] + p[0] + p[1]
		lo, hi := max(0, -p[0]), min(data.Shape[i], data.Shape[i]+p[1])
		inner[i] = max(0, hi-lo)
		from.at += lo * from.step[i]
	}
	dst, err := target(x, out, data.DType, shape)
	if err != nil {
		return err
	}
	if value == nil {
		dst.clear()
	} else {
		if value.DType != data.DType || value.Len() != 1 {
			return fmt.Errorf("the constant value is %s, the data %s", graph.TypeOf(value), data.DType)
		}
		dst.fill(source(value), 0)
	}
	to = dense(shape)
	for i, p := range pads {
		to.at += max(0, p[0]) * to.step[i]
	}
	dst.strided(inner, to, source(data), from)
	dst.done()
	return nil
}

// padCopies fills the border from the data.
func padCopies(x *graph.Exec, out *tensor.Tensor, p padded, mode string) error {
	data, pads := p.data, p.pads
	shape, step := make([]int, len(pads)), dense(data.Shape).step
	from := make([][]int, len(pads)) // for each axis the offset of each position
	for i, p := range pads {
		lo, hi := max(0, -p[0]), min(data.Shape[i], data.Shape[i]+p[1])
		shape[i] = data.Shape[i] + p[0] + p[1]
		if err := checkSize(data.DType, shape[:i+1]); err != nil {
			return err
		}
		if hi <= lo && shape[i] > 0 {
			return fmt.Errorf("nothing to repeat along axis %d", i)
		}
		for j := range shape[i] {
			from[i] = append(from[i], (lo+repeated(j-max(0, p[0]), hi-lo, mode))*step[i])
		}
	}
	dst, err := target(x, out, data.DType, shape)
	if err != nil {
		return err
	}
	src, index, zero := source(data), make([]int, len(shape)), make([]int, len(shape))
	walk(shape, zero, zero, func(i, _, _ int) {
		at := 0
		for d, k := range index {
			at += from[d][k]
		}
		dst.move(i, src, at, 1)
		for d := len(index) - 1; d >= 0; d-- {
			if index[d]++; index[d] < shape[d] {
				break
			}
			index[d] = 0
		}
	})
	dst.done()
	return nil
}

// repeated maps a position outside of n elements to one inside.
func repeated(i, n int, mode string) int {
	switch mode {
	case "edge":
		return min(max(i, 0), n-1)
	case "wrap":
		return (i%n + n) % n
	}
	if n == 1 {
		return 0
	}
	period := 2 * (n - 1)
	i = (i%period + period) % period
	return min(i, period-i)
}

// CenterCropPad crops or pads the input with zeros, around its centre, to the dimensions of the second input, which
// are those of Axes (default all).
type CenterCropPad struct {
	mover
	Axes []int `attr:"axes"`
}

// Traits says that what is added is zero.
func (CenterCropPad) Traits() graph.Traits { return graph.Traits{Fill: graph.FillZero} }

// Infer replaces dimensions.
func (o CenterCropPad) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 2); err != nil {
		return nil, err
	}
	if in[0].Unranked {
		return []graph.Type{graph.AnyRank(in[0].DType)}, nil
	}
	t := graph.Of(in[0].DType, in[0].Shape...)
	list, err := o.axes(len(t.Shape))
	if err != nil {
		return nil, err
	}
	e := elements(in[1])
	if e != nil && len(e) != len(list) {
		return nil, fmt.Errorf("%d dimensions for %d axes", len(e), len(list))
	}
	for i, a := range list {
		t.Shape[a] = graph.Dim{}
		if e != nil {
			t.Shape[a] = e[i]
		}
	}
	return []graph.Type{t}, nil
}

func (o CenterCropPad) axes(r int) ([]int, error) {
	if o.Axes != nil {
		return axes(o.Axes, r)
	}
	list := make([]int, r)
	for i := range list {
		list[i] = i
	}
	return list, nil
}

// Run crops and pads at once.
func (o CenterCropPad) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	shape, err := shapeOf(o, in)
	if err != nil {
		return err
	}
	return padConstant(x, out[0], padded{data: in[0], pads: centered(in[0].Shape, shape)})
}

// centered gives the pads that bring one shape to another around its centre.
func centered(from, to []int) [][2]int {
	pads := make([][2]int, len(to))
	for i, n := range to {
		more := n - from[i]
		pads[i] = [2]int{more / 2, more - more/2} // truncation: a crop starts at half of the excess, rounded down
	}
	return pads
}
