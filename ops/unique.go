package ops

import (
	"fmt"
	"sort"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 11, Unique{}) }

// Unique gives the different slices along Axis, or the different elements of the flattened input: in ascending order
// or, if Sorted is not set, in order of appearance. Further outputs: the position of the first of each in the input,
// for each input slice its position in the output, and how often each occurs.
type Unique struct {
	Axis   *int `attr:"axis"`
	Sorted bool `attr:"sorted" default:"1"`
}

// Infer leaves the number open.
func (o Unique) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	t, err := Compress{Axis: o.Axis}.Infer(append(in[:len(in):len(in)], graph.Fact{Type: graph.Of(tensor.Bool, graph.Dim{})}), 1)
	if err != nil {
		return nil, err
	}
	n := graph.Of(tensor.Int64, graph.Dim{})
	return append(t, n, n, n), nil
}

// Run compares slices.
func (o Unique) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	data, a := in[0].Reshape(in[0].Len()), 0
	if o.Axis != nil {
		var err error
		if a, err = axis(*o.Axis, len(in[0].Shape)); err != nil {
			return err
		}
		data = in[0]
	}
	first, inverse, counts, err := o.find(data, a)
	if err != nil {
		return err
	}
	if out[0] != nil {
		if err := take(x, out[0], selection{data, a, first}); err != nil {
			return err
		}
	}
	for i, v := range [][]int{1: first, 2: inverse, 3: counts} {
		if i == 0 || i >= len(out) || out[i] == nil {
			continue
		}
		dst := tensor.View[int64](x.Make(out[i], tensor.Int64, len(v)))
		for j, n := range v {
			dst[j] = int64(n)
		}
	}
	return nil
}

func (o Unique) find(data *tensor.Tensor, a int) (first, inverse, counts []int, err error) {
	order, err := comparer(data)
	if err != nil {
		return nil, nil, nil, err
	}
	outer, inner := around(data.Shape, a)
	n := data.Shape[a]
	compare := func(p, q int) int {
		for i := range outer * inner {
			at := i/inner*n*inner + i%inner
			if c := order(at+p*inner, at+q*inner); c != 0 {
				return c
			}
		}
		return 0
	}
	if outer*inner == 0 && n > 1 {
		return nil, nil, nil, fmt.Errorf("slices of shape %v are empty", data.Shape)
	}
	sorted := make([]int, n)
	for i := range sorted {
		sorted[i] = i
	}
	sort.SliceStable(sorted, func(i, j int) bool { return compare(sorted[i], sorted[j]) < 0 })
	inverse = make([]int, n)
	for i, p := range sorted {
		if i == 0 || compare(sorted[i-1], p) != 0 {
			first, counts = append(first, p), append(counts, 0)
		}
		inverse[p] = len(first) - 1
		counts[len(first)-1]++
	}
	if !o.Sorted {
		first, inverse, counts = byAppearance(first, inverse, counts)
	}
	return first, inverse, counts, nil
}

// byAppearance renumbers the unique slices by their first position.
func byAppearance(first, inverse, counts []int) (f, inv, c []int) {
	rank := make([]int, len(first))
	for i := range rank {
		rank[i] = i
	}
	sort.Slice(rank, func(i, j int) bool { return first[rank[i]] < first[rank[j]] })
	place := make([]int, len(first))
	for i, r := range rank {
		f, c, place[r] = append(f, first[r]), append(c, counts[r]), i
	}
	for _, k := range inverse {
		inv = append(inv, place[k])
	}
	return f, inv, c
}
