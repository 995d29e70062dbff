package ops

import (
	"errors"
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 11, Range{}) }

// Range gives start, start+delta, … before limit. Element i is start + i·delta, rounded to the type; StashType is the
// type of that arithmetic for 16-bit floats.
type Range struct {
	StashType int `attr:"stash_type" default:"1"`
}

// Traits says that a few numbers ask for a result of any size.
func (Range) Traits() graph.Traits { return graph.Traits{Grows: true} }

// Infer counts constants; Range(0, n, 1) has n elements.
func (Range) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 3, 3); err != nil {
		return nil, err
	}
	n := graph.Dim{}
	if in[0].Const != nil && in[1].Const != nil && in[2].Const != nil {
		k, err := rangeLength(in[0].Const, in[1].Const, in[2].Const)
		if err != nil {
			return nil, err
		}
		n = graph.Fixed(k)
	} else if start, _, limit, ok := rangeDims(in); ok && start == 0 {
		n = limit
	}
	return []graph.Type{graph.Of(in[0].DType, n)}, nil
}

// rangeDims reads a range whose delta is 1.
func rangeDims(in []graph.Fact) (start, delta int, limit graph.Dim, ok bool) {
	s, d, l := elements(in[0]), elements(in[2]), elements(in[1])
	if len(s) != 1 || len(d) != 1 || len(l) != 1 || !d[0].Is(1) {
		return 0, 0, graph.Dim{}, false
	}
	start, ok = s[0].Value()
	return start, 1, l[0], ok
}

func rangeLength(start, limit, delta *tensor.Tensor) (int, error) {
	if start.Len() != 1 || limit.Len() != 1 || delta.Len() != 1 {
		return 0, errors.New("start, limit and delta must be scalars")
	}
	if start.DType != limit.DType || start.DType != delta.DType {
		return 0, errors.New("start, limit and delta differ in type")
	}
	var n float64
	if start.IsInt() {
		s, l, d := tensor.Ints(start)[0], tensor.Ints(limit)[0], tensor.Ints(delta)[0]
		if d == 0 {
			return 0, errors.New("delta is 0")
		}
		n = math.Ceil((float64(l) - float64(s)) / float64(d))
		if span := l - s; math.Abs(float64(l)-float64(s)) < 1<<62 {
			q := span / d
			if span%d != 0 && (span < 0) == (d < 0) {
				q++
			}
			n = float64(q)
		}
	} else {
		s, l, d := tensor.Float64s(start), tensor.Float64s(limit), tensor.Float64s(delta)
		if s == nil || d[0] == 0 {
			return 0, fmt.Errorf("no range of %s with that delta", start.DType)
		}
		n = math.Ceil((l[0] - s[0]) / d[0])
	}
	if !(n <= maxBytes) {
		return 0, fmt.Errorf("a range of %g elements", n)
	}
	return int(max(n, 0)), nil
}

// Ints gives the elements of a short range of constants.
func (o Range) Ints(in []graph.Fact) []graph.Dim {
	if len(in) < 3 {
		return nil
	}
	start, delta, limit, ok := rangeDims(in)
	n, fixed := limit.Value()
	if !ok || !fixed || !in[0].DType.IsInt() || n-start > maxElements {
		return nil
	}
	out := []graph.Dim{}
	for i := start; i < n; i += delta {
		out = append(out, graph.Fixed(i))
	}
	return out
}

// Run counts up or down.
func (o Range) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	n, err := rangeLength(in[0], in[1], in[2])
	if err != nil {
		return err
	}
	d := in[0].DType
	if err := checkSize(d, []int{n}); err != nil {
		return err
	}
	t := x.Make(out[0], d, n)
	if d.IsInt() {
		s, step, v := tensor.Ints(in[0])[0], tensor.Ints(in[2])[0], make([]int64, n)
		for i := range v {
			v[i] = s + int64(i)*step
		}
		return tensor.SetInts(t, v)
	}
	round := rounder(d)
	if o.StashType == int(tensor.Float64) {
		round = rounder(tensor.Float64)
	}
	s, step, v := tensor.Float64s(in[0])[0], tensor.Float64s(in[2])[0], make([]float64, n)
	for i := range v {
		v[i] = round(s + round(float64(i)*step))
	}
	return tensor.SetFloat64s(t, v)
}
