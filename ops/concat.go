package ops

import (
	"fmt"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 13, Concat{}) }

// Concat joins any number of tensors along Axis.
type Concat struct {
	alone
	Axis int `attr:"axis" required:"true"`
}

// Quant says that every input shares the output's parameters.
func (Concat) Quant() graph.Quant { return graph.Quant{Moves: true, All: true} }

// Infer adds up the dimension at Axis and unifies the others.
func (o Concat) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if len(in) == 0 {
		return nil, fmt.Errorf("want at least 1 input")
	}
	if err := want(in, len(in), -1); err != nil {
		return nil, err
	}
	var known *graph.Fact
	unranked := false
	for i := range in {
		if in[i].DType != in[0].DType {
			return nil, fmt.Errorf("input %d is %s, input 0 %s", i, in[i].DType, in[0].DType)
		}
		if in[i].Unranked {
			unranked = true
		} else if known == nil {
			known = &in[i]
		}
	}
	if known == nil {
		return []graph.Type{graph.AnyRank(in[0].DType)}, nil
	}
	if len(known.Shape) == 0 {
		return nil, fmt.Errorf("scalars cannot be joined")
	}
	a, err := axis(o.Axis, len(known.Shape))
	if err != nil {
		return nil, err
	}
	shape := append([]graph.Dim{}, known.Shape...)
	shape[a] = graph.Fixed(0)
	for i, f := range in {
		if f.Unranked {
			continue
		}
		if err := joinDims(shape, f.Shape, a); err != nil {
			return nil, fmt.Errorf("input %d: %w", i, err)
		}
	}
	if unranked {
		shape[a] = graph.Dim{}
	}
	return []graph.Type{graph.Of(in[0].DType, shape...)}, nil
}

// joinDims adds one more tensor's shape to what is joined along axis a.
func joinDims(shape, more []graph.Dim, a int) error {
	if len(more) != len(shape) {
		return fmt.Errorf("rank %d among others of rank %d", len(more), len(shape))
	}
	for i, d := range more {
		e := shape[i]
		if i == a {
			shape[i] = addDims(e, d)
			continue
		}
		m, mok := d.Value()
		n, nok := e.Value()
		if mok && nok && m != n {
			return fmt.Errorf("dimension %d is %d, others have %d", i, m, n)
		}
		if !nok && mok || !e.Known() {
			shape[i] = d
		}
	}
	return nil
}

// addDims is the sum if it can be expressed: of numbers, of multiples of the same symbols, or with zero.
func addDims(a, b graph.Dim) graph.Dim {
	m, mok := a.Value()
	n, nok := b.Value()
	switch {
	case mok && nok && m+n >= 0:
		return graph.Fixed(m + n)
	case a.Is(0):
		return b
	case b.Is(0):
		return a
	case a == b && a.Known():
		return a.Mul(graph.Fixed(2))
	}
	if q, ok := a.Div(b).Value(); ok {
		return b.Mul(graph.Fixed(q + 1))
	}
	return graph.Dim{}
}

// Ints joins the elements.
func (o Concat) Ints(in []graph.Fact) []graph.Dim {
	var out []graph.Dim
	for _, f := range in {
		e := elements(f)
		if e == nil || f.Rank() != 1 {
			return nil
		}
		out = append(out, e...)
	}
	return out
}

// Run copies block by block.
func (o Concat) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	a, err := axis(o.Axis, len(in[0].Shape))
	if err != nil {
		return err
	}
	return concat(x, in, out[0], a)
}

// Links puts the inputs' channels one after the other.
func (o Concat) Links(in, out []graph.Fact) []graph.Link {
	if out[0].Unranked {
		return nil
	}
	a, err := axis(o.Axis, len(out[0].Shape))
	if err != nil {
		return nil
	}
	links := others(a, in, out)
	from := 0
	for i, f := range in {
		if f.Rank() != len(out[0].Shape) {
			return nil
		}
		n, ok := f.Shape[a].Value()
		if !ok {
			break
		}
		whole := made(0, a)
		whole.From = from
		links = append(links, tie(f.Shape[a], given(i, a), whole)...)
		from += n
	}
	return links
}

// Twin is Concat itself where all parameters are the result's, else QLinearConcat.
func (o Concat) Twin(_ *graph.Node, in []graph.Linear, out graph.Linear) (graph.Op, []*graph.Value) {
	if !out.Single() {
		return nil, nil
	}
	same, plain, all := true, []*graph.Value{}, []*graph.Value{out.Scale, out.Zero}
	for _, l := range in {
		if !l.Activation() || l.Value.DType != out.Value.DType {
			return nil, nil
		}
		same = same && out.Same(l)
		plain, all = append(plain, l.Value), append(all, triple(l)...)
	}
	if same {
		return o, plain
	}
	return QLinearConcat{Axis: o.Axis}, all
}

// Permute moves the axis along; every input must have the full rank.
func (o Concat) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	p, to, ok := along(in, outs, len(in), o.Axis, order)
	p.Op = Concat{Axis: to}
	return p, ok && !slices.ContainsFunc(in, func(f graph.Fact) bool { return f.Rank() != len(order) })
}

// concat joins tensors along a resolved axis.
func concat(x *graph.Exec, in []*tensor.Tensor, out *tensor.Tensor, a int) error {
	shape, err := shapeOf(Concat{Axis: a}, in)
	if err != nil {
		return err
	}
	dst, err := target(x, out, in[0].DType, shape)
	if err != nil {
		return err
	}
	outer, inner := around(shape, a)
	row, at := shape[a]*inner, 0
	for _, t := range in {
		src, n := source(t), t.Shape[a]*inner
		for i := range outer {
			dst.move(i*row+at, src, i*n, n)
		}
		at += n
	}
	dst.done()
	return nil
}
