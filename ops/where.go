package ops

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 9, Where{}) }

// Where takes each element from input 1 where the Bool input 0 is set, else from input 2; all three broadcast.
type Where struct{}

// Infer gives the broadcast type.
func (Where) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 3, 3); err != nil {
		return nil, err
	}
	if in[0].DType != tensor.Bool {
		return nil, fmt.Errorf("input 0: want bool, got %s", in[0].DType)
	}
	if in[1].DType != in[2].DType {
		return nil, fmt.Errorf("input 2 is %s, input 1 is %s", in[2].DType, in[1].DType)
	}
	t, err := broadcastType(in[1].DType, in...)
	return []graph.Type{t}, err
}

// Ints follows shape arithmetic as far as the condition is known.
func (Where) Ints(in []graph.Fact) []graph.Dim {
	if len(in) != 3 {
		return nil
	}
	cond := in[0].Ints
	if c := in[0].Const; c != nil && len(c.Shape) < 2 && c.Len() <= maxFollowed {
		cond = mapSlice(tensor.Ints(c), func(v int64) graph.Dim { return graph.Fixed(int(v)) })
	}
	yes := zipInts(in[1:], func(a, _ graph.Dim) graph.Dim { return a })
	no := zipInts(in[1:], func(_, b graph.Dim) graph.Dim { return b })
	n := len(yes)
	if yes == nil || cond == nil || len(cond) != n && len(cond) != 1 && n != 1 {
		return nil
	}
	if n == 1 {
		n = len(cond)
	}
	r := make([]graph.Dim, n)
	for i := range r {
		a, b, c := yes[min(i, len(yes)-1)], no[min(i, len(no)-1)], cond[min(i, len(cond)-1)]
		switch {
		case c.Is(1), a == b:
			r[i] = a
		case c.Is(0):
			r[i] = b
		}
	}
	return r
}

func (Where) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	cond, a, b := in[0], in[1], in[2]
	if a.DType != b.DType || cond.DType != tensor.Bool {
		return fmt.Errorf("cannot choose between %s and %s by %s", a.DType, b.DType, cond.DType)
	}
	shape, err := broadcastShape(cond.Shape, a.Shape, b.Shape)
	if err != nil {
		return err
	}
	o := x.Make(out[0], a.DType, shape...)
	set := tensor.View[uint8](cond)
	chosen := make([]bool, tensor.Size(shape))
	none := make([]int, len(shape))
	walk(shape, strides(cond.Shape, shape), none, func(i, c, _ int) { chosen[i] = set[c] != 0 })
	walk(shape, strides(a.Shape, shape), strides(b.Shape, shape), func(i, j, k int) {
		if chosen[i] {
			copyElement(o, i, a, j)
		} else {
			copyElement(o, i, b, k)
		}
	})
	return nil
}

// Permute reorders all operands alike.
func (Where) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return alike(in, outs, len(in), order)
}

// Links ties each axis of the result with those of the inputs.
func (Where) Links(in, out []graph.Fact) []graph.Link { return pointwise(in, out) }

// copyElement sets element i of dst to element j of src, which has the same type.
func copyElement(dst *tensor.Tensor, i int, src *tensor.Tensor, j int) {
	width := src.Bits()
	switch {
	case src.DType == tensor.String:
		dst.Strings[i] = src.Strings[j]
	case width < 8:
		tensor.SetBits(dst.Data, i, width, src.Data[j*width/8]>>(j*width%8))
	default:
		n := width / 8
		copy(dst.Data[i*n:(i+1)*n], src.Data[j*n:])
	}
}
