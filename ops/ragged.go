package ops

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("tfsopt", 1, RaggedToDense{}) }

// RaggedToDense writes a ragged tensor into a rectangular one, as TensorFlow's RaggedTensorToTensor does. Inputs: the wanted shape, where
// -1 is what is needed (one -1: all of it); the values; what fills the rest, one element or a row of values; then a partition for each of
// Partitions, outermost first: ROW_SPLITS, or VALUE_ROWIDS, the number of whose rows is what the partition before has values, or
// FIRST_DIM_SIZE. Rows that are too long are cut.
type RaggedToDense struct {
	Partitions []string `attr:"row_partition_types" required:"true"`
}

// Infer gives the rank, and the sizes that the wanted shape says.
func (o RaggedToDense) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	levels, err := o.levels()
	if err != nil {
		return nil, err
	}
	if err := want(in, 3+len(o.Partitions), 3+len(o.Partitions)); err != nil {
		return nil, err
	}
	values := in[1].Type
	if in[2].DType != values.DType {
		return nil, fmt.Errorf("input 2: want %s, got %s", values.DType, in[2].DType)
	}
	if values.Unranked {
		return []graph.Type{values}, nil
	}
	if len(values.Shape) == 0 {
		return nil, errors.New("input 1 is a scalar")
	}
	t := graph.Of(values.DType, append(make([]graph.Dim, levels+1), values.Shape[1:]...)...)
	if e, ok := in[0].Elements(); ok && len(e) == len(t.Shape) {
		for i, d := range e {
			if n, known := d.Value(); known && n >= 0 {
				t.Shape[i] = d
			}
		}
	}
	return []graph.Type{t}, nil
}

// levels is how many dimensions are ragged.
func (o RaggedToDense) levels() (n int, err error) {
	for i, p := range o.Partitions {
		switch {
		case p == "FIRST_DIM_SIZE" && i == 0:
		case p == "ROW_SPLITS", p == "VALUE_ROWIDS" && i > 0:
			n++
		default:
			return 0, fmt.Errorf("partition %d is %q", i, p)
		}
	}
	if n == 0 {
		return 0, errors.New("there is no ragged dimension")
	}
	return n, nil
}

// splits gives where the rows of each level begin in the next, and end.
func (o RaggedToDense) splits(parts []*tensor.Tensor, values int) ([][]int64, error) {
	var out [][]int64
	rows := int64(-1)
	for i, p := range parts {
		v := tensor.Ints(p)
		switch o.Partitions[i] {
		case "FIRST_DIM_SIZE":
			n, err := scalarInt("the number of rows", p)
			if err != nil {
				return nil, err
			}
			if rows = int64(n); rows < 0 {
				return nil, fmt.Errorf("%d rows", rows)
			}
			continue
		case "VALUE_ROWIDS":
			if err := checkSize(tensor.Int64, []int{int(rows + 1)}); err != nil {
				return nil, err
			}
			list := make([]int64, rows+1)
			for j, r := range v {
				if r < 0 || r >= rows || j > 0 && r < v[j-1] {
					return nil, fmt.Errorf("value %d is in row %d of %d: rows must ascend", j, r, rows)
				}
				list[r+1]++
			}
			for j := range rows {
				list[j+1] += list[j]
			}
			v = list
		}
		if len(v) == 0 || v[0] != 0 || !slices.IsSorted(v) || rows >= 0 && int64(len(v)) != rows+1 {
			return nil, fmt.Errorf("partition %d: %d splits of %d rows do not ascend from 0", i, len(v), rows)
		}
		out, rows = append(out, v), v[len(v)-1]
	}
	if rows != int64(values) {
		return nil, fmt.Errorf("the partitions have %d values, there are %d", rows, values)
	}
	return out, nil
}

// Run copies rows.
func (o RaggedToDense) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	values, missing := in[1], in[2]
	if _, err := o.levels(); err != nil {
		return err
	}
	splits, err := o.splits(in[3:], values.Shape[0])
	if err != nil {
		return err
	}
	shape, err := raggedShape(in[0], splits, values.Shape[1:])
	if err != nil {
		return err
	}
	width := tensor.Size(values.Shape[1:])
	if n := missing.Len(); n != 1 && (width == 0 || n == 0 || width%n != 0) {
		return fmt.Errorf("a row of %v cannot be filled from %v", values.Shape[1:], missing.Shape)
	}
	if err := checkSize(values.DType, shape); err != nil {
		return err
	}
	y := x.Make(out[0], values.DType, shape...)
	for i := range y.Len() {
		copyElement(y, i, missing, i%missing.Len())
	}
	(&unfolder{splits, shape, width, values, y}).rows(0, 0, len(splits[0])-1, 0)
	return nil
}

// raggedShape is what all rows need, or where it says so the wanted shape.
func raggedShape(wanted *tensor.Tensor, splits [][]int64, inner []int) ([]int, error) {
	shape := []int{len(splits[0]) - 1}
	for _, s := range splits {
		most := 0
		for i := range len(s) - 1 {
			most = max(most, int(s[i+1]-s[i]))
		}
		shape = append(shape, most)
	}
	shape = append(shape, inner...)
	if len(wanted.Shape) == 0 {
		return shape, nil
	}
	list := tensor.Ints(wanted)
	if len(list) != len(shape) {
		return nil, fmt.Errorf("the wanted shape %v has not the rank of %v", list, shape)
	}
	for i, d := range list {
		if d >= 0 && i > len(splits) && int(d) != shape[i] {
			return nil, fmt.Errorf("the wanted shape %v: size %d is %d", list, i, shape[i])
		}
		if d >= 0 {
			shape[i] = int(d)
		}
	}
	return shape, nil
}

// unfolder copies ragged rows to their places.
type unfolder struct {
	splits [][]int64
	shape  []int
	width  int // elements of a value
	from   *tensor.Tensor
	to     *tensor.Tensor
}

// rows copies the rows [from, to) of a level, or values, to place `at` of that level in the result.
func (u *unfolder) rows(level, from, to, at int) {
	n := min(to-from, u.shape[level])
	for i := range n {
		if level == len(u.splits) {
			for k := range u.width {
				copyElement(u.to, (at+i)*u.width+k, u.from, (from+i)*u.width+k)
			}
			continue
		}
		s := u.splits[level]
		u.rows(level+1, int(s[from+i]), int(s[from+i+1]), (at+i)*u.shape[level+1])
	}
}
