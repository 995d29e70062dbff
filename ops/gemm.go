package ops

import (
	"fmt"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 11, Gemm{}) }

// Gemm is Alpha·A'·B' + Beta·C for matrices: A' is [M,K] (A transposed if TransA), B' [K,N]; C is optional and
// broadcasts to [M,N].
type Gemm struct {
	Alpha  float32 `attr:"alpha" default:"1"`
	Beta   float32 `attr:"beta" default:"1"`
	TransA bool    `attr:"transA"`
	TransB bool    `attr:"transB"`
}

// Infer gives [M,N].
func (g Gemm) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 3); err != nil {
		return nil, err
	}
	t, err := g.infer(in, 0, 1)
	return []graph.Type{t}, err
}

// infer gives [M,N] from the matrices at positions ia and ib.
func (g Gemm) infer(in []graph.Fact, ia, ib int) (graph.Type, error) {
	for _, i := range []int{ia, ib} {
		if err := rank(in, i, 2); err != nil {
			return graph.Type{}, err
		}
	}
	side := func(f graph.Fact, trans bool) (row, col graph.Dim) {
		switch {
		case f.Unranked:
			return graph.Dim{}, graph.Dim{}
		case trans:
			return f.Shape[1], f.Shape[0]
		}
		return f.Shape[0], f.Shape[1]
	}
	m, ka := side(in[ia], g.TransA)
	kb, n := side(in[ib], g.TransB)
	a, ok := ka.Value()
	b, known := kb.Value()
	if ok && known && a != b {
		return graph.Type{}, fmt.Errorf("inner dimensions differ: %d and %d", a, b)
	}
	return graph.Of(in[ia].DType, m, n), nil
}

// matrices gives the geometry for actual shapes.
func (g Gemm) matrices(a, b []int) (matShape, error) {
	if len(a) != 2 || len(b) != 2 {
		return matShape{}, fmt.Errorf("shapes %v and %v: want matrices", a, b)
	}
	if g.TransA {
		a = []int{a[1], a[0]}
	}
	if g.TransB {
		b = []int{b[1], b[0]}
	}
	return newMatShape(a, b)
}

// Run accumulates in float64 and rounds once; integers are exact as long as Alpha and Beta are 1.
func (g Gemm) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	s, err := g.matrices(in[0].Shape, in[1].Shape)
	if err != nil {
		return err
	}
	c := optional(in, 2)
	if c != nil {
		if shape, err := broadcastShape(s.out, c.Shape); err != nil || !sameInts(shape, s.out) {
			return fmt.Errorf("input 2 of shape %v does not broadcast to %v", c.Shape, s.out)
		}
	}
	if in[0].IsInt() && g.Alpha == 1 && g.Beta == 1 {
		sum := gemm(g, s, tensor.Ints(in[0]), tensor.Ints(in[1]))
		if c != nil {
			cv := tensor.Ints(c)
			walk(s.out, strides(c.Shape, s.out), []int{0, 0}, func(i, j, _ int) { sum[i] += cv[j] })
		}
		return tensor.SetInts(x.Make(out[0], in[0].DType, s.out...), sum)
	}
	a, b := tensor.Float64s(in[0]), tensor.Float64s(in[1])
	if len(a) != in[0].Len() || len(b) != in[1].Len() {
		return fmt.Errorf("no product of %s", in[0].DType)
	}
	sum := gemm(g, s, a, b)
	for i := range sum {
		sum[i] *= float64(g.Alpha)
	}
	if c != nil {
		cv := tensor.Float64s(c)
		walk(s.out, strides(c.Shape, s.out), []int{0, 0}, func(i, j, _ int) { sum[i] += float64(g.Beta) * cv[j] })
	}
	return tensor.SetFloat64s(x.Make(out[0], in[0].DType, s.out...), sum)
}

func gemm[T float64 | int64](g Gemm, s matShape, a, b []T) []T {
	if g.TransA {
		a = transpose(a, s.k, s.m)
	}
	if g.TransB {
		b = transpose(b, s.n, s.k)
	}
	return multiply(s, a, b)
}

// transpose turns a [rows,cols] matrix into [cols,rows].
func transpose[T any](v []T, rows, cols int) []T {
	out := make([]T, rows*cols)
	for i := range rows {
		for j := range cols {
			out[j*rows+i] = v[i*cols+j]
		}
	}
	return out
}

// Products runs over the rows of the right side, over its columns if it is transposed.
func (g Gemm) Products(w []int) Products { return matProducts(w, g.TransB) }

// Quant says that input 1 is the weight and input 2 the bias.
func (g Gemm) Quant() graph.Quant {
	if g.TransB {
		return graph.Quant{Weight: 1, Axis: 0, Out: 1, Bias: 2}
	}
	return graph.Quant{Weight: 1, Axis: 1, Out: 1, Bias: 2}
}

// Weights says that a constant side has a scale for each row or column of the result.
func (g Gemm) Weights([]graph.Fact) []graph.Weight {
	a, b := 0, 1
	if g.TransA {
		a = 1
	}
	if g.TransB {
		b = 0
	}
	return []graph.Weight{{Input: 1, Axes: []int{b}, Along: 1 - b}, {Input: 0, Axes: []int{a}, Along: 1 - a}}
}

// Cost counts the multiply-adds.
func (g Gemm) Cost(in, out []graph.Type) graph.Cost {
	a := in[0]
	if g.TransA && len(a.Shape) == 2 {
		a = graph.Of(a.DType, a.Shape[1], a.Shape[0])
	}
	return matCost(a, out[0])
}

// Twin is QGemm, if its bias is a constant.
func (g Gemm) Twin(n *graph.Node, in []graph.Linear, out graph.Linear) (graph.Op, []*graph.Value) {
	x, w := in[0], in[1]
	if !productTypes(x, w, out) || !w.Value.IsConst() || g.Beta != 1 || g.Alpha != 1 || g.TransA || !g.columns(w) {
		return nil, nil
	}
	args := append(slices.Concat(triple(x), triple(w)), nil)
	if len(n.In) > 2 && n.In[2] != nil {
		if args[6] = sumBias(n, in, out); args[6] == nil {
			return nil, nil
		}
	}
	return QGemm{Alpha: 1, TransB: g.TransB}, withResult(args, out)
}

// columns reports whether the scale of w goes along the output columns.
func (g Gemm) columns(w graph.Linear) bool {
	if w.Scale.Const.Len() == 1 {
		return true
	}
	if g.TransB {
		return w.Axis == 0
	}
	return w.Axis == 1 || w.Axis == -1
}

// Links ties rows, columns and what is summed over, as the transpositions say.
func (g Gemm) Links(in, out []graph.Fact) []graph.Link {
	if in[0].Rank() != 2 || in[1].Rank() != 2 || out[0].Rank() != 2 {
		return nil
	}
	m, ka, kb, n := 0, 1, 0, 1
	if g.TransA {
		m, ka = 1, 0
	}
	if g.TransB {
		kb, n = 1, 0
	}
	ends := [2][]graph.End{{given(0, m), made(0, 0)}, {given(1, n), made(0, 1)}}
	if c := fact(in, 2); c.Given() {
		if c.Unranked {
			return nil
		}
		for i := range c.Shape { // the last axes of the result
			if o := 2 - len(c.Shape) + i; o >= 0 && c.Shape[i] == out[0].Shape[o] {
				ends[o] = append(ends[o], given(2, i))
			}
		}
	}
	links := tie(in[0].Shape[ka], given(0, ka), given(1, kb))
	links = append(links, tie(out[0].Shape[0], ends[0]...)...)
	return append(links, tie(out[0].Shape[1], ends[1]...)...)
}
