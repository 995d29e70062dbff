package ops

import (
	"context"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	register(SparseSplit{MaxSplit: -1}, opCase{
		in: tensors(text(" a  b\tc ", "", "d")), out: tensors(shaped([]int{4, 2}, int64(0), 0, 0, 1, 0, 2, 2, 0), text("a", "b", "c", "d"), vec[int64](3, 3)),
	})
	register(SparseSplit{MaxSplit: 1}, opCase{
		name: "once", in: tensors(text("a b  c ")), out: tensors(shaped([]int{2, 2}, int64(0), 0, 0, 1), text("a", "b  c "), vec[int64](1, 2)),
	})
	register(SparseSplit{Delimiter: ",", MaxSplit: -1}, opCase{
		name: "delimiter", in: tensors(text("a,,b", "")),
		out: tensors(shaped([]int{4, 2}, int64(0), 0, 0, 1, 0, 2, 1, 0), text("a", "", "b", ""), vec[int64](2, 3)),
	})
	register(SparseReshape{}, opCase{
		in:  tensors(shaped([]int{2, 3}, int64(0), 0, 1, 1, 1, 0), vec[int64](2, 2, 3), vec[int64](4, -1)),
		out: tensors(shaped([]int{2, 2}, int64(0), 1, 3, 0), vec[int64](4, 3)),
	})
	register(SparseFillEmptyRows{}, opCase{
		in: tensors(shaped([]int{3, 2}, int64(1), 4, 1, 0, 3, 0), text("a", "b", "c"), vec[int64](5, 6), text("-").Reshape()),
		out: tensors(shaped([]int{6, 2}, int64(0), 0, 1, 4, 1, 0, 2, 0, 3, 0, 4, 0), text("-", "a", "b", "-", "c", "-"),
			vec(true, false, true, false, true), vec[int64](1, 2, 4)),
	})
	table := shaped([]int{3, 2}, float32(1), 2, 10, 20, 100, 200)
	rows, segments := vec[int32](0, 1, 2, 2), vec[int32](0, 0, 2, 2)
	register(SparseSegment{Combiner: "mean"}, opCase{in: tensors(table, rows, segments), out: tensors(shaped([]int{3, 2}, float32(5.5), 11, 0, 0, 100, 200))})
	register(SparseSegment{Combiner: "sum"}, opCase{
		name: "sum", in: tensors(table, rows, segments, tensor.Scalar(int32(4))), out: tensors(shaped([]int{4, 2}, float32(11), 22, 0, 0, 200, 400, 0, 0)),
	})
	register(SparseSegment{Combiner: "sqrtn"}, opCase{
		name: "sqrtn", in: tensors(table, vec[int64](0, 0), vec[int64](0, 0)), out: tensors(shaped([]int{1, 2}, float32(1.4142135), 2.828427)), tol: 1e-6,
	})
	register(RaggedToDense{Partitions: []string{"ROW_SPLITS"}}, opCase{
		in: tensors(vec[int64](-1, 2), vec[int64](1, 2, 3, 4), tensor.Scalar(int64(9)), vec[int64](0, 3, 3, 4)), out: tensors(shaped([]int{3, 2}, int64(1), 2, 9, 9, 4, 9)),
	})
	register(RaggedToDense{Partitions: []string{"FIRST_DIM_SIZE", "VALUE_ROWIDS"}}, opCase{
		name: "rows", in: tensors(tensor.Scalar(int64(-1)), text("a", "b", "c"), text("").Reshape(), tensor.Scalar(int64(3)), vec[int64](0, 2, 2)),
		out: tensors(text("a", "", "", "", "b", "c").Reshape(3, 2)),
	})
	register(RaggedToDense{Partitions: []string{"ROW_SPLITS", "VALUE_ROWIDS"}}, opCase{
		name: "splits and rows", in: tensors(tensor.Scalar(int64(-1)), vec[int64](1, 2, 3), tensor.Scalar(int64(0)), vec[int64](0, 2, 3), vec[int64](0, 2, 2)),
		out: tensors(shaped([]int{2, 2, 2}, int64(1), 0, 0, 0, 2, 3, 0, 0)),
	})
	register(RaggedToDense{Partitions: []string{"ROW_SPLITS", "ROW_SPLITS"}}, opCase{
		name: "two levels",
		in:   tensors(vec[int32](3, -1, -1, 2), shaped([]int{3, 2}, float32(1), 2, 3, 4, 5, 6), vec[float32](0, -1), vec[int64](0, 2, 3), vec[int64](0, 1, 1, 3)),
		out:  tensors(shaped([]int{3, 2, 2, 2}, float32(1), 2, 0, -1, 0, -1, 0, -1, 3, 4, 5, 6, 0, -1, 0, -1, 0, -1, 0, -1, 0, -1, 0, -1)),
	})
}

// TestSparseRefuses feeds what does not belong together: an error, never a panic.
func TestSparseRefuses(t *testing.T) {
	table, one := shaped([]int{2, 1}, float32(1), 2), vec[int64](0)
	matrix := shaped([]int{1, 1}, int64(0))
	for i, c := range []struct {
		op graph.Kernel
		in []*tensor.Tensor
	}{
		{SparseReshape{}, tensors(matrix, vec[int64](6), vec[int64](4))},
		{SparseReshape{}, tensors(matrix, vec[int64](6), vec[int64](-1, -1))},
		{SparseReshape{}, tensors(shaped([]int{1, 1}, int64(7)), vec[int64](6), vec[int64](6))},
		{SparseReshape{}, tensors(matrix, vec[int64](1<<62, 4), vec[int64](1))},
		{SparseFillEmptyRows{}, tensors(shaped([]int{1, 1}, int64(3)), vec[int64](1), vec[int64](3), tensor.Scalar(int64(0)))},
		{SparseFillEmptyRows{}, tensors(matrix, vec[int64](1), vec[int64](1<<40), tensor.Scalar(int64(0)))},
		{SparseSegment{Combiner: "sum"}, tensors(table, one, vec[int64](1<<40))},
		{SparseSegment{Combiner: "sum"}, tensors(table, vec[int64](2), one)},
		{SparseSegment{Combiner: "sum"}, tensors(table, vec[int64](0, 0), vec[int64](1, 0))},
		{RaggedToDense{Partitions: []string{"ROW_SPLITS"}}, tensors(vec[int64](-1, -1), one, tensor.Scalar(int64(0)), vec[int64](0, 2))},
		{RaggedToDense{Partitions: []string{"ROW_SPLITS"}}, tensors(vec[int64](-1, -1), one, tensor.Scalar(int64(0)), vec[int64](1))},
		{RaggedToDense{Partitions: []string{"ROW_SPLITS"}}, tensors(vec[int64](1<<40, 1<<40), one, tensor.Scalar(int64(0)), vec[int64](0, 1))},
		{RaggedToDense{Partitions: []string{"FIRST_DIM_SIZE", "VALUE_ROWIDS"}}, tensors(vec[int64](-1, -1), one, tensor.Scalar(int64(0)), tensor.Scalar(int64(1)), vec[int64](1))},
		{RaggedToDense{Partitions: []string{"VALUE_ROWIDS"}}, tensors(vec[int64](-1, -1), one, tensor.Scalar(int64(0)), one)},
	} {
		out := []*tensor.Tensor{{}, {}, {}, {}}
		if err := c.op.Run(&graph.Exec{Ctx: context.Background()}, c.in, out); err == nil {
			t.Errorf("case %d, %T: accepted", i, c.op)
		}
	}
}
