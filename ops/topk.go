package ops

import (
	"cmp"
	"fmt"
	"sort"
	"strings"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 11, TopK{}) }

// TopK gives the k largest or smallest elements along Axis and their positions, in order; of equal elements the first
// comes first. NaN counts as the largest. The result is sorted in any case.
type TopK struct {
	Axis    int  `attr:"axis" default:"-1"`
	Largest bool `attr:"largest" default:"1"`
	Sorted  bool `attr:"sorted" default:"1"`
}

// Infer replaces the dimension at Axis by k.
func (o TopK) Infer(in []graph.Fact, outs int) ([]graph.Type, error) {
	if err := want(in, 2, 2); err != nil {
		return nil, err
	}
	t := in[0].Type
	if !t.Unranked {
		if len(t.Shape) == 0 {
			return nil, fmt.Errorf("a scalar has no axis")
		}
		a, err := axis(o.Axis, len(t.Shape))
		if err != nil {
			return nil, err
		}
		k := graph.Dim{}
		if n, ok := oneInt(in[1]); ok {
			if size, fixed := t.Shape[a].Value(); n < 0 || fixed && n > size {
				return nil, fmt.Errorf("k is %d of %s", n, t.Shape[a])
			}
			k = graph.Fixed(n)
		} else if e := elements(in[1]); len(e) == 1 {
			k = e[0]
		}
		t = graph.Of(t.DType, t.Shape...)
		t.Shape[a] = k
	}
	at := t
	at.DType = tensor.Int64
	return []graph.Type{t, at}, nil
}

// Run sorts each line.
func (o TopK) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	shapes, err := shapesOf(o, in, 2)
	if err != nil {
		return err
	}
	order, err := comparer(in[0])
	if err != nil {
		return err
	}
	if o.Largest {
		up := order
		order = func(i, j int) int { return up(j, i) }
	}
	a, err := axis(o.Axis, len(in[0].Shape))
	if err != nil {
		return err
	}
	outer, inner := around(in[0].Shape, a)
	n, k := in[0].Shape[a], shapes[0][a]
	from, at := make([]int, outer*k*inner), make([]int64, outer*k*inner)
	line := make([]int, n)
	for i := range outer * inner {
		first := i/inner*n*inner + i%inner
		for j := range line {
			line[j] = first + j*inner
		}
		sort.SliceStable(line, func(p, q int) bool { return order(line[p], line[q]) < 0 })
		for j, e := range line[:k] {
			to := (i/inner*k+j)*inner + i%inner
			from[to], at[to] = e, int64((e-first)/inner)
		}
	}
	if out[0] != nil {
		dst, err := target(x, out[0], in[0].DType, shapes[0])
		if err != nil {
			return err
		}
		src := source(in[0])
		for to, e := range from {
			dst.move(to, src, e, 1)
		}
		dst.done()
	}
	if len(out) > 1 && out[1] != nil {
		return tensor.SetInts(x.Make(out[1], tensor.Int64, shapes[0]...), at)
	}
	return nil
}

// comparer orders a tensor's elements by position: numbers, false before true, strings by bytes. NaN is equal to
// itself and larger than any number.
func comparer(t *tensor.Tensor) (func(i, j int) int, error) {
	switch {
	case t.DType == tensor.String:
		return func(i, j int) int { return strings.Compare(t.Strings[i], t.Strings[j]) }, nil
	case t.DType == tensor.Uint64:
		v := tensor.View[uint64](t)
		return func(i, j int) int { return cmp.Compare(v[i], v[j]) }, nil
	case t.IsFloat():
		v := tensor.Float64s(t)
		return func(i, j int) int {
			if a, b := v[i], v[j]; a == a && b == b {
				return cmp.Compare(a, b)
			}
			return cmp.Compare(v[j], v[i]) // cmp puts NaN first
		}, nil
	}
	v := tensor.Ints(t)
	if v == nil && t.Len() > 0 {
		return nil, fmt.Errorf("%s has no order", t.DType)
	}
	return func(i, j int) int { return cmp.Compare(v[i], v[j]) }, nil
}
