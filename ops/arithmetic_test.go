package ops

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// of2 makes a case with two inputs and no tolerance.
func of2(a, b, out *tensor.Tensor) opCase { return opCase{in: tensors(a, b), out: tensors(out)} }

func init() {
	register(Add{},
		of2(shaped([]int{2, 1}, []float32{1, 10}...), vec[float32](1, 2), shaped([]int{2, 2}, []float32{2, 3, 11, 12}...)),
		of2(vec[uint8](250), vec[uint8](10), vec[uint8](4)),
		of2(vec[int64](1<<62+1), vec[int64](1), vec[int64](1<<62+2)),
		of2(vec[uint64](1<<63-1), vec[uint64](0), vec[uint64](1<<63-1)),
		of2(typed(tensor.BFloat16, 256), typed(tensor.BFloat16, 1), typed(tensor.BFloat16, 256)),
		of2(shaped([]int{0, 2}, []float32{}...), vec[float32](1, 2), shaped([]int{0, 2}, []float32{}...)))
	register(Sub{},
		of2(vec[float32](1, inf32), vec(3, inf32), vec(-2, nan32)),
		of2(vec[int64](5, 3), vec[int64](3), vec[int64](2, 0)),
		of2(vec[uint32](1), vec[uint32](2), vec[uint32](math.MaxUint32)))
	register(Mul{},
		of2(vec[float32](2, neg0), tensor.Scalar[float32](3), vec(6, neg0)),
		of2(vec[int64](5, 3), vec[int64](3), vec[int64](15, 9)),
		of2(vec[int8](100), vec[int8](3), vec[int8](44)))
	register(Div{},
		of2(vec[float32](1, 1, 0), vec[float32](4, 0, 0), vec(0.25, inf32, nan32)),
		of2(vec[int64](12, 7), vec[int64](2), vec[int64](6, 3)),
		of2(vec[int32](-7, 7, math.MinInt32, 5), vec[int32](2, -2, -1, 0), vec[int32](-3, -3, math.MinInt32, 0)))
	register(Mod{},
		of2(vec[int32](-4, 7, 5, 1), vec[int32](2, -3, 8, 0), vec[int32](0, -2, 5, 0)),
		of2(vec[float32](-4.5, 5, -1, 0), vec(2, -3, inf32, -1), vec(1.5, -1, inf32, neg0)),
		of2(vec[uint8](9), vec[uint8](4), vec[uint8](1)))
	register(Mod{Fmod: true},
		of2(vec[int32](-4, 7, -5), vec[int32](3, -3, 8), vec[int32](-1, 1, -5)),
		of2(vec[float32](-4.5, 5), vec[float32](2, -3), vec[float32](-0.5, 2)))
	register(Pow{},
		of2(vec[float32](2, 4), vec[int64](3, -1), vec[float32](8, 0.25)),
		of2(vec[int32](3, -1, 2, 5), vec[int32](4, -3, 33, -1), vec[int32](81, -1, 0, 0)),
		of2(vec[int64](9), vec[float32](0.5), vec[int64](3)),
		of2(vec[int32](10), vec[float32](11), vec[int32](math.MinInt32)))
	register(Min{},
		opCase{in: tensors(vec[float32](1, 5, nan32), vec[float32](3, 2, 0), vec[float32](4)), out: tensors(vec(1, 2, nan32))},
		of2(vec[int64](5, 3), vec[int64](4), vec[int64](4, 3)),
		of2(vec[uint64](1<<63), vec[uint64](1), vec[uint64](1)))
	register(Max{},
		opCase{in: tensors(vec[float32](1, 5)), out: tensors(vec[float32](1, 5))},
		of2(vec[float32](1, nan32), vec[float32](3, 2), vec(3, nan32)),
		of2(vec[int64](5, 3), vec[int64](4), vec[int64](5, 4)),
		of2(vec[int8](-3), vec[int8](-4), vec[int8](-3)))
	register(Sum{}, opCase{
		in:  tensors(vec[float32](1<<24), vec[float32](1), vec[float32](1, 3)),
		out: tensors(vec[float32](1<<24+2, 1<<24+4)),
	})
	register(Mean{}, opCase{in: tensors(vec[float32](1, 2), vec[float32](3), vec[float32](5)), out: tensors(vec[float32](3, 10./3)), tol: 1e-7})
	register(Clip{},
		opCase{
			in:  tensors(vec(-2, 0.5, 9, nan32), tensor.Scalar[float32](-1), tensor.Scalar[float32](1)),
			out: tensors(vec(-1, 0.5, 1, nan32)),
		},
		opCase{in: tensors(vec(inf32, -inf32), nil, tensor.Scalar[float32](5)), out: tensors(vec[float32](5, -math.MaxFloat32))},
		opCase{in: tensors(vec[int8](-2, 9), nil, tensor.Scalar[int8](5)), out: tensors(vec[int8](-2, 5))},
		opCase{in: tensors(vec[float32](0), tensor.Scalar[float32](2), tensor.Scalar[float32](1)), out: tensors(vec[float32](1))},
		exactly(vec[uint64](math.MaxUint64), vec[uint64](math.MaxUint64)))
	register(Identity{},
		exactly(vec[int64](3, 4), vec[int64](3, 4)),
		exactly(tensor.FromStrings([]string{"a", "b"}, 2, 1), tensor.FromStrings([]string{"a", "b"}, 2, 1)),
		exactly(
			&tensor.Tensor{DType: tensor.Sequence, Items: tensors(vec[float32](1))},
			&tensor.Tensor{DType: tensor.Sequence, Items: tensors(vec[float32](1))}))
}

// TestShapeArithmetic follows a symbolic dimension through the operators that exporters build shapes with.
func TestShapeArithmetic(t *testing.T) {
	n := graph.Named("n")
	known := func(d ...graph.Dim) graph.Fact {
		return graph.Fact{Type: graph.Of(tensor.Int64, graph.Fixed(len(d))), Ints: d}
	}
	two, four := graph.Fixed(2), graph.Fixed(4)
	cond := graph.FactOf(vec(true, false))
	for _, c := range []struct {
		op   graph.Shaper
		in   []graph.Fact
		want []graph.Dim
	}{
		{Add{}, []graph.Fact{known(n, two), known(graph.Fixed(0), four)}, []graph.Dim{n, graph.Fixed(6)}},
		{Add{}, []graph.Fact{known(n), known(two)}, []graph.Dim{{}}},
		{Sub{}, []graph.Fact{known(n, four, two), known(n, two, four)}, []graph.Dim{graph.Fixed(0), two, {}}},
		{Mul{}, []graph.Fact{known(n, four), known(two)}, []graph.Dim{n.Mul(two), graph.Fixed(8)}},
		{Div{}, []graph.Fact{known(n.Mul(four), graph.Fixed(9)), known(two)}, []graph.Dim{n.Mul(two), four}},
		{Mod{}, []graph.Fact{known(graph.Fixed(6), n), known(four)}, []graph.Dim{two, {}}},
		{Max{}, []graph.Fact{known(n, two), known(n, four)}, []graph.Dim{n, four}},
		{Min{}, []graph.Fact{known(n, two), known(n, four)}, []graph.Dim{n, two}},
		{Where{}, []graph.Fact{cond, known(n, two), known(four)}, []graph.Dim{n, four}},
		{Equal{}, []graph.Fact{known(n, two, two, n), graph.FactOf(vec[int64](-1, 2, 3, 4))}, []graph.Dim{
			graph.Fixed(0), graph.Fixed(1), graph.Fixed(0), {},
		}},
		{Where{}, []graph.Fact{known(graph.Fixed(0), graph.Dim{}, graph.Fixed(1)), known(two, two, two), known(n, n, four)}, []graph.Dim{n, {}, two}},
		{Identity{}, []graph.Fact{known(n, two)}, []graph.Dim{n, two}},
		{Cast{To: int(tensor.Int32)}, []graph.Fact{known(n, two)}, []graph.Dim{n, two}},
		{ReduceProd{Keepdims: true}, []graph.Fact{known(n, two)}, []graph.Dim{n.Mul(two)}},
	} {
		if got := c.op.Ints(c.in); !slices.Equal(got, c.want) {
			t.Errorf("%T%v: got %v, want %v", c.op, fmt.Sprint(c.in), got, c.want)
		}
	}
}

func TestElementwiseTypesMustAgree(t *testing.T) {
	f := graph.Fact{Type: graph.Of(tensor.Float32, graph.Fixed(2))}
	i := graph.Fact{Type: graph.Of(tensor.Int32, graph.Fixed(2))}
	three := graph.Fact{Type: graph.Of(tensor.Float32, graph.Fixed(3))}
	for _, in := range [][]graph.Fact{{f, i}, {f, three}, {f}} {
		if got, err := (Add{}).Infer(in, 1); err == nil {
			t.Errorf("Add%v: inferred %v", in, got)
		}
	}
}
