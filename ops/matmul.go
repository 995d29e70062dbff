package ops

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 1, MatMul{}) }

// MatMul multiplies matrices as numpy.matmul does: leading dimensions broadcast, a vector is a row on the left and a
// column on the right.
type MatMul struct{}

// Infer gives the broadcast leading dimensions with [M,N].
func (MatMul) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 2); err != nil {
		return nil, err
	}
	t, err := inferMatMul(in[0].Type, in[1].Type, in[0].DType)
	return []graph.Type{t}, err
}

func inferMatMul(a, b graph.Type, d tensor.DType) (graph.Type, error) {
	if a.Unranked || b.Unranked {
		return graph.AnyRank(d), nil
	}
	as, bs := a.Shape, b.Shape
	if len(as) == 0 || len(bs) == 0 {
		return graph.Type{}, errors.New("a scalar is not a matrix")
	}
	var tail []graph.Dim
	ka, kb := as[len(as)-1], bs[0]
	if len(as) > 1 {
		tail = append(tail, as[len(as)-2])
		as = as[:len(as)-2]
	} else {
		as = nil
	}
	if len(bs) > 1 {
		kb = bs[len(bs)-2]
		tail = append(tail, bs[len(bs)-1])
		bs = bs[:len(bs)-2]
	} else {
		bs = nil
	}
	n, ok := ka.Value()
	m, known := kb.Value()
	if ok && known && n != m {
		return graph.Type{}, fmt.Errorf("inner dimensions differ: %s and %s", a, b)
	}
	lead, err := broadcastDims(as, bs)
	return graph.Of(d, append(lead, tail...)...), err
}

// Run accumulates floats in float64 and rounds once; integers wrap.
func (MatMul) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	s, err := newMatShape(in[0].Shape, in[1].Shape)
	if err != nil {
		return err
	}
	t := x.Make(out[0], in[0].DType, s.out...)
	if in[0].IsInt() {
		return tensor.SetInts(t, multiply(s, tensor.Ints(in[0]), tensor.Ints(in[1])))
	}
	if !in[0].IsFloat() {
		return fmt.Errorf("no product of %s", in[0].DType)
	}
	return tensor.SetFloat64s(t, multiply(s, tensor.Float64s(in[0]), tensor.Float64s(in[1])))
}

// Products runs over the rows of the right side.
func (MatMul) Products(w []int) Products { return matProducts(w, false) }

// Quant says that input 1 is the weight when it is constant, with its output channels last (1 for a matrix).
func (MatMul) Quant() graph.Quant { return graph.Quant{Weight: 1, Axis: 1, Out: -1} }

// Weights says that a constant side has a scale for each row or column of the result.
func (MatMul) Weights(in []graph.Fact) []graph.Weight {
	var out []graph.Weight
	if r := in[1].Rank(); r >= 2 {
		out = append(out, graph.Weight{Input: 1, Axes: []int{r - 1}, Along: r - 2})
	}
	if r := in[0].Rank(); r >= 2 {
		out = append(out, graph.Weight{Input: 0, Axes: []int{r - 2}, Along: r - 1})
	}
	return out
}

// Cost counts the multiply-adds.
func (MatMul) Cost(in, out []graph.Type) graph.Cost { return matCost(in[0], out[0]) }

// Twin is QLinearMatMul. A product of two matrices whose result stays float is a QGemm, as ONNX has no operator for that.
func (MatMul) Twin(n *graph.Node, in []graph.Linear, out graph.Linear) (graph.Op, []*graph.Value) {
	a, b := in[0], in[1]
	rank := n.In[1].Rank()
	if !productTypes(a, b, out) || b.Scale.Const.Len() != 1 && (rank != 2 || b.Axis != -1 && b.Axis != rank-1) {
		return nil, nil
	}
	args := slices.Concat(triple(a), triple(b))
	if out.Value != nil {
		return QLinearMatMul{}, withResult(args, out)
	}
	if n.In[0].Rank() != 2 || rank != 2 || !b.Value.IsConst() {
		return nil, nil
	}
	return QGemm{Alpha: 1}, append(args, nil)
}

// Links ties rows, columns and what is summed over: a product's weight has input channels along one axis and output
// channels along the other.
func (MatMul) Links(in, out []graph.Fact) []graph.Link {
	ra, rb, ro := in[0].Rank(), in[1].Rank(), out[0].Rank()
	if ra < 2 || rb < 2 || ro < 2 {
		return nil
	}
	a, b, o := in[0].Shape, in[1].Shape, out[0].Shape
	links := tie(a[ra-1], given(0, ra-1), given(1, rb-2))
	links = append(links, tie(a[ra-2], given(0, ra-2), made(0, ro-2))...)
	links = append(links, tie(b[rb-1], given(1, rb-1), made(0, ro-1))...)
	for i := range ro - 2 { // the leading axes broadcast
		ends := []graph.End{made(0, i)}
		if at := i - ro + ra; at >= 0 && a[at] == o[i] {
			ends = append(ends, given(0, at))
		}
		if at := i - ro + rb; at >= 0 && b[at] == o[i] {
			ends = append(ends, given(1, at))
		}
		links = append(links, tie(o[i], ends...)...)
	}
	return links
}

func matCost(a, out graph.Type) graph.Cost {
	o, ok := out.Fixed()
	if !ok || a.Rank() < 1 {
		return graph.Cost{}
	}
	k, _ := a.Shape[len(a.Shape)-1].Value()
	return graph.Cost{MACs: int64(tensor.Size(o)) * int64(k)}
}

// matShape is the geometry of a batched product: matrices [m,k] and [k,n], with the steps of their batches.
type matShape struct {
	m, k, n      int
	batch        []int
	stepA, stepB []int // in matrices, for each batch dimension
	out          []int
}

func newMatShape(a, b []int) (matShape, error) {
	if len(a) == 0 || len(b) == 0 {
		return matShape{}, errors.New("a scalar is not a matrix")
	}
	var tail []int
	if len(a) == 1 {
		a = []int{1, a[0]}
	} else {
		tail = append(tail, a[len(a)-2])
	}
	if len(b) == 1 {
		b = []int{b[0], 1}
	} else {
		tail = append(tail, b[len(b)-1])
	}
	la, lb := a[:len(a)-2], b[:len(b)-2]
	s := matShape{m: a[len(a)-2], k: a[len(a)-1], n: b[len(b)-1]}
	if s.k != b[len(b)-2] {
		return s, fmt.Errorf("inner dimensions differ: %v and %v", a, b)
	}
	var err error
	if s.batch, err = broadcastShape(la, lb); err != nil {
		return s, err
	}
	s.stepA, s.stepB = strides(la, s.batch), strides(lb, s.batch)
	s.out = append(append([]int{}, s.batch...), tail...)
	return s, nil
}

// multiply gives the products of all batches, one after another.
func multiply[T float64 | int64](s matShape, a, b []T) []T {
	out := make([]T, tensor.Size(s.batch)*s.m*s.n)
	walk(s.batch, s.stepA, s.stepB, func(i, ia, ib int) {
		product(s, out[i*s.m*s.n:], a[ia*s.m*s.k:], b[ib*s.k*s.n:])
	})
	return out
}

func product[T float64 | int64](s matShape, out, a, b []T) {
	for i := range s.m {
		row := out[i*s.n : (i+1)*s.n]
		for p := range s.k {
			v := a[i*s.k+p]
			for j, w := range b[p*s.n : (p+1)*s.n] {
				row[j] += v * w
			}
		}
	}
}
