package ops

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	graph.Register("tfsopt", 1, SparseSplit{}, SparseReshape{}, SparseFillEmptyRows{}, SparseSegment{})
}

// The operators of this file take and give sparse tensors as TensorFlow has them: indices int64 [n, rank] in order, values [n] and the
// shape int64 [rank].

// wantInt64 checks that an input is int64 of the given rank, as far as it is known.
func wantInt64(in []graph.Fact, i, rank int) error {
	if in[i].DType != tensor.Int64 || !in[i].Unranked && len(in[i].Shape) != rank {
		return fmt.Errorf("input %d: want int64 of rank %d, got %s", i, rank, in[i].Type)
	}
	return nil
}

// SparseSplit cuts each string of a vector at Delimiter ("": runs of ASCII white space, those at both ends ignored), at most MaxSplit times unless
// that is below 1. Outputs: the pieces as a sparse matrix. It is TensorFlow's StringSplitV2.
type SparseSplit struct {
	Delimiter string `attr:"delimiter"`
	MaxSplit  int    `attr:"maxsplit" default:"-1"`
}

// Infer leaves the number of pieces open.
func (SparseSplit) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := wantStrings(in, 1); err != nil {
		return nil, err
	}
	if !in[0].Unranked && len(in[0].Shape) != 1 {
		return nil, fmt.Errorf("input 0: want a vector, got %s", in[0].Type)
	}
	n := graph.Dim{}
	return []graph.Type{graph.Of(tensor.Int64, n, graph.Fixed(2)), graph.Of(tensor.String, n), graph.Of(tensor.Int64, graph.Fixed(2))}, nil
}

// Run splits.
func (o SparseSplit) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	out = append(slices.Clone(out), nil, nil)
	var index []int64
	var pieces []string
	most := 0
	for row, s := range in[0].Strings {
		list := o.split(s)
		for i := range list {
			index = append(index, int64(row), int64(i))
		}
		pieces, most = append(pieces, list...), max(most, len(list))
	}
	if out[0] != nil {
		copy(tensor.View[int64](x.Make(out[0], tensor.Int64, len(pieces), 2)), index)
	}
	if out[1] != nil {
		copy(x.Make(out[1], tensor.String, len(pieces)).Strings, pieces)
	}
	if out[2] != nil {
		copy(tensor.View[int64](x.Make(out[2], tensor.Int64, 2)), []int64{int64(in[0].Len()), int64(most)})
	}
	return nil
}

func (o SparseSplit) split(s string) []string {
	if o.Delimiter != "" {
		if o.MaxSplit < 1 {
			return strings.Split(s, o.Delimiter)
		}
		return strings.SplitN(s, o.Delimiter, o.MaxSplit+1)
	}
	var pieces []string
	for s = strings.TrimLeft(s, asciiSpace); s != ""; s = strings.TrimLeft(s, asciiSpace) {
		i := strings.IndexAny(s, asciiSpace)
		if i < 0 || o.MaxSplit > 0 && len(pieces) == o.MaxSplit {
			return append(pieces, s)
		}
		pieces, s = append(pieces, s[:i]), s[i:]
	}
	return pieces
}

// SparseReshape gives a sparse tensor another shape of as many elements, of which one size may be -1. Inputs: indices, shape and the
// wanted shape; outputs: indices and shape.
type SparseReshape struct{}

// Infer gives the ranks.
func (SparseReshape) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 3, 3); err != nil {
		return nil, err
	}
	for i, rank := range []int{2, 1, 1} {
		if err := wantInt64(in, i, rank); err != nil {
			return nil, err
		}
	}
	index, shape := graph.Of(tensor.Int64, graph.Dim{}, graph.Dim{}), graph.Of(tensor.Int64, graph.Dim{})
	if !in[0].Unranked {
		index.Shape[0] = in[0].Shape[0]
	}
	if !in[2].Unranked {
		index.Shape[1], shape.Shape[0] = in[2].Shape[0], in[2].Shape[0]
	}
	return []graph.Type{index, shape}, nil
}

// Run counts each position anew.
func (SparseReshape) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	from, to := tensor.Ints(in[1]), slices.Clone(tensor.Ints(in[2]))
	size, err := sparseSize(from)
	if err != nil {
		return err
	}
	if err := fillShape(to, size); err != nil {
		return fmt.Errorf("shape %v cannot become %v: %w", from, tensor.Ints(in[2]), err)
	}
	if out[0] != nil {
		n := in[0].Shape[0]
		index, y := tensor.Ints(in[0]), tensor.View[int64](x.Make(out[0], tensor.Int64, n, len(to)))
		if in[0].Shape[1] != len(from) {
			return fmt.Errorf("indices of %d axes for the shape %v", in[0].Shape[1], from)
		}
		for i := range n {
			at := int64(0)
			for k, d := range from {
				p := index[i*len(from)+k]
				if p < 0 || p >= d {
					return fmt.Errorf("position %d is outside of the shape %v", i, from)
				}
				at = at*d + p
			}
			for k := len(to) - 1; k >= 0; k-- {
				y[i*len(to)+k], at = at%to[k], at/to[k]
			}
		}
	}
	if len(out) > 1 && out[1] != nil {
		copy(tensor.View[int64](x.Make(out[1], tensor.Int64, len(to))), to)
	}
	return nil
}

// sparseSize is how many elements a shape has.
func sparseSize(shape []int64) (int64, error) {
	n := int64(1)
	for _, d := range shape {
		if d < 0 || d > 0 && n > math.MaxInt64/d {
			return 0, fmt.Errorf("shape %v", shape)
		}
		n *= d
	}
	return n, nil
}

// fillShape replaces a -1.
func fillShape(to []int64, size int64) error {
	open := slices.Index(to, -1)
	if open >= 0 {
		to[open] = 1
	}
	known, err := sparseSize(to)
	if err != nil {
		return err
	}
	if open >= 0 && known > 0 {
		to[open] = size / known
		known *= to[open]
	}
	if known != size {
		return fmt.Errorf("they have %d and %d elements", size, known)
	}
	return nil
}

// SparseFillEmptyRows puts a value at the beginning of each row that has none. Inputs: a sparse tensor (indices, values, shape) and
// the value; outputs: indices, values, for each row whether it was empty, for each old element its new place.
type SparseFillEmptyRows struct{}

// Infer gives the ranks.
func (SparseFillEmptyRows) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 4, 4); err != nil {
		return nil, err
	}
	for i, rank := range map[int]int{0: 2, 2: 1} {
		if err := wantInt64(in, i, rank); err != nil {
			return nil, err
		}
	}
	n := graph.Dim{}
	index, back := graph.Of(tensor.Int64, n, n), graph.Of(tensor.Int64, n)
	if !in[0].Unranked {
		index.Shape[1], back.Shape[0] = in[0].Shape[1], in[0].Shape[0]
	}
	rows := graph.Of(tensor.Bool, n)
	if e, ok := in[2].Elements(); ok && len(e) > 0 {
		rows.Shape[0] = e[0]
	}
	return []graph.Type{index, graph.Of(in[1].DType, n), rows, back}, nil
}

// Run looks for the empty rows.
func (SparseFillEmptyRows) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	out = append(slices.Clone(out), nil, nil, nil)
	index, shape := tensor.Ints(in[0]), tensor.Ints(in[2])
	n, rank := in[0].Shape[0], len(shape)
	if rank == 0 || in[0].Shape[1] != rank || in[1].Len() != n || in[3].Len() != 1 || in[3].DType != in[1].DType {
		return fmt.Errorf("indices %v, values %v, shape %v and value %v do not belong together", in[0].Shape, in[1].Shape, shape, in[3].Shape)
	}
	if shape[0] < 0 || shape[0] > math.MaxInt32 {
		return fmt.Errorf("%d rows", shape[0])
	}
	rows := int(shape[0])
	count := make([]int, rows+1)
	for i := range n {
		if r := index[i*rank]; r < 0 || r >= shape[0] {
			return fmt.Errorf("element %d is in row %d of %d", i, r, rows)
		}
		count[index[i*rank]]++
	}
	total, next := 0, make([]int, rows)
	for r := range rows {
		next[r] = total
		total += max(count[r], 1)
	}
	places := make([]int64, n)
	for i := range n {
		r := index[i*rank]
		places[i] = int64(next[r])
		next[r]++
	}
	fill := filled{in, count[:rows], places, total}
	fill.write(x, out)
	return nil
}

// filled is what SparseFillEmptyRows found.
type filled struct {
	in     []*tensor.Tensor
	count  []int   // of each row's elements
	places []int64 // of the old elements
	total  int
}

func (f filled) write(x *graph.Exec, out []*tensor.Tensor) {
	rank := f.in[0].Shape[1]
	if out[0] != nil {
		old, y := tensor.Ints(f.in[0]), tensor.View[int64](x.Make(out[0], tensor.Int64, f.total, rank))
		clear(y)
		at := 0
		for r, n := range f.count {
			y[at*rank] = int64(r)
			at += max(n, 1)
		}
		for i, p := range f.places {
			copy(y[int(p)*rank:], old[i*rank:(i+1)*rank])
		}
	}
	if out[1] != nil {
		y := x.Make(out[1], f.in[1].DType, f.total)
		for i := range f.total {
			copyElement(y, i, f.in[3], 0)
		}
		for i, p := range f.places {
			copyElement(y, int(p), f.in[1], i)
		}
	}
	if out[2] != nil {
		y := tensor.View[bool](x.Make(out[2], tensor.Bool, len(f.count)))
		for r, n := range f.count {
			y[r] = n == 0
		}
	}
	if out[3] != nil {
		copy(tensor.View[int64](x.Make(out[3], tensor.Int64, len(f.places))), f.places)
	}
}

// SparseSegment combines rows of a table: row i of the result is the sum of table rows indices[j] for all j with segments[j] = i, divided
// by their number (Combiner mean), by its root (sqrtn) or not (sum). Inputs: table, indices, segments (ascending) and perhaps the
// number of results, which is otherwise the last segment plus one. A segment without rows gives zeros.
type SparseSegment struct {
	Combiner string `attr:"combiner" default:"sum"`
}

// Infer gives the shape of the table with another number of rows.
func (o SparseSegment) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 3, 4); err != nil {
		return nil, err
	}
	if !slices.Contains([]string{"sum", "mean", "sqrtn"}, o.Combiner) {
		return nil, fmt.Errorf("combiner %q: want sum, mean or sqrtn", o.Combiner)
	}
	t := in[0].Type
	if !t.DType.IsFloat() {
		return nil, fmt.Errorf("input 0: want a table of floats, got %s", t)
	}
	if t.Unranked {
		return []graph.Type{t}, nil
	}
	if len(t.Shape) == 0 {
		return nil, errors.New("input 0 is a scalar")
	}
	t.Shape = slices.Clone(t.Shape)
	t.Shape[0] = graph.Dim{}
	if n, ok := oneInt(fact(in, 3)); ok && n >= 0 {
		t.Shape[0] = graph.Fixed(n)
	}
	return []graph.Type{t}, nil
}

// Run adds in float64.
func (o SparseSegment) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	in = allInputs(in, 4)
	table, index, segments := tensor.Float64s(in[0]), tensor.Ints(in[1]), tensor.Ints(in[2])
	if len(index) != len(segments) {
		return fmt.Errorf("%d indices in %d segments", len(index), len(segments))
	}
	n := 0
	if len(segments) > 0 {
		n = int(min(segments[len(segments)-1], math.MaxInt32-1)) + 1
	}
	if in[3] != nil {
		var err error
		if n, err = scalarInt("the number of segments", in[3]); err != nil {
			return err
		}
	}
	shape := slices.Clone(in[0].Shape)
	shape[0] = n
	if err := checkSize(tensor.Float64, shape); err != nil {
		return err
	}
	width := tensor.Size(shape[1:])
	sums, count := make([]float64, n*width), make([]int, n)
	for j, s := range segments {
		if s < 0 || s >= int64(n) || j > 0 && s < segments[j-1] {
			return fmt.Errorf("segment %d after %d: they must ascend below %d", s, segments[max(j-1, 0)], n)
		}
		if index[j] < 0 || index[j] >= int64(in[0].Shape[0]) {
			return fmt.Errorf("row %d of %d", index[j], in[0].Shape[0])
		}
		for k, v := range table[int(index[j])*width:][:width] {
			sums[int(s)*width+k] += v
		}
		count[s]++
	}
	for i := range sums {
		switch c := float64(max(count[i/width], 1)); o.Combiner {
		case "mean":
			sums[i] /= c
		case "sqrtn":
			sums[i] /= math.Sqrt(c)
		}
	}
	return tensor.SetFloat64s(x.Make(out[0], in[0].DType, shape...), sums)
}
