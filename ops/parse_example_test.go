package ops

import (
	"context"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/codec"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// encoded are two tf.Examples: the first has x = 1 2, n = 7 8 9, w = a; the second n = 5, w = b c.
func encoded() *tensor.Tensor {
	a := codec.Example{
		"x": {Kind: codec.FloatFeature, Floats: []float32{1, 2}}, "n": {Kind: codec.IntFeature, Ints: []int64{7, 8, 9}},
		"w": {Kind: codec.BytesFeature, Bytes: [][]byte{[]byte("a")}},
	}
	b := codec.Example{
		"x": {}, "n": {Kind: codec.IntFeature, Ints: []int64{5}}, "w": {Kind: codec.BytesFeature, Bytes: [][]byte{[]byte("b"), []byte("c")}},
	}
	return text(string(a.Append(nil)), string(b.Append(nil)))
}

func init() {
	const f, i, s = int(tensor.Float32), int(tensor.Int64), int(tensor.String)
	two := encoded()
	dense := ParseExample{DenseKeys: []string{"x", "n", "w"}, DenseTypes: []int{f, i, s}, DenseShapes: []string{"2", "-1", "-1"}}
	register(dense, opCase{
		name: "dense", in: tensors(two, vec[float32](3, 4), vec[int64](-1), nil),
		out: tensors(shaped([]int{2, 2}, float32(1), 2, 3, 4), shaped([]int{2, 3}, int64(7), 8, 9, 5, -1, -1), text("a", "", "b", "c").Reshape(2, 2)),
	})
	one := ParseExample{DenseKeys: []string{"x"}, DenseTypes: []int{f}, DenseShapes: []string{"1,2"}, SparseKeys: []string{"n"}, SparseTypes: []int{i}}
	register(one, opCase{
		name: "one", in: tensors(text(two.Strings[0]).Reshape()),
		out: tensors(shaped([]int{3, 1}, int64(0), 1, 2), vec[int64](7, 8, 9), vec[int64](3), shaped([]int{1, 2}, float32(1), 2)),
	})
	parts := ParseExample{
		SparseKeys: []string{"n", "none"}, SparseTypes: []int{i, s}, RaggedKeys: []string{"w", "x"}, RaggedTypes: []int{s, f},
		SplitTypes: []int{int(tensor.Int32), i},
	}
	register(parts, opCase{
		name: "sparse and ragged", in: tensors(two),
		out: tensors(shaped([]int{4, 2}, int64(0), 0, 0, 1, 0, 2, 1, 0), tensor.New(tensor.Int64, 0, 2), vec[int64](7, 8, 9, 5), text(),
			vec[int64](2, 3), vec[int64](2, 0), text("a", "b", "c"), vec[float32](1, 2), vec[int32](0, 1, 3), vec[int64](0, 2, 2)),
	})
}

// TestParseExampleErrors has the words that TensorFlow's server gives to clients.
func TestParseExampleErrors(t *testing.T) {
	x := func(key string, d tensor.DType, shape string) ParseExample {
		return ParseExample{DenseKeys: []string{key}, DenseTypes: []int{int(d)}, DenseShapes: []string{shape}}
	}
	for _, c := range []struct {
		op   ParseExample
		in   *tensor.Tensor
		want string
	}{
		{x("x", tensor.Float32, "2"), encoded(), "Name: <unknown>, Feature: x (data type: float) is required but could not be found."},
		{x("n", tensor.Float32, "3"), encoded(), "Name: <unknown>, Key: n, Index: 0.  Data types don't match. Data type: int64 but expected type: float"},
		{x("w", tensor.String, ""), encoded(), "Name: <unknown>, Key: w, Index: 1.  Number of string values != expected.  values size: 2 but output shape: []"},
		{x("n", tensor.Int64, "-1,2"), encoded(), "Number of int64 values != expected.  values size: 3 but output shape: [?,2]"},
		{x("n", tensor.Int64, "-1"), text("a"), "Could not parse example input, value: 'a'"},
	} {
		err := c.op.Run(&graph.Exec{Ctx: context.Background()}, []*tensor.Tensor{c.in}, []*tensor.Tensor{{}})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	for _, bad := range []ParseExample{
		x("a", tensor.Int32, ""), x("a", tensor.Int64, "2,-1"), x("a", tensor.Int64, "x"),
		{DenseKeys: []string{"a"}},
		{RaggedKeys: []string{"a"}, RaggedTypes: []int{7}, SplitTypes: []int{1}},
	} {
		if _, err := bad.Infer([]graph.Fact{graph.FactOf(text("a"))}, 0); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}
