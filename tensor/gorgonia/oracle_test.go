package gorgonia_test

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	gt "gorgonia.org/tensor"

	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// oracle is an operator as ours and as Gorgonia's. shapes are those of the inputs.
type oracle struct {
	op     graph.Op
	shapes [][]int
	want   func(in []*gt.Dense) (gt.Tensor, error)
	steps  float64 // how many additions make one element; bounds the difference between two orders of summing
}

var oracles = map[string]oracle{
	"Add": {ops.Add{}, [][]int{{5, 7}, {5, 7}}, func(in []*gt.Dense) (gt.Tensor, error) { return gt.Add(in[0], in[1]) }, 0},
	"Sub": {ops.Sub{}, [][]int{{5, 7}, {5, 7}}, func(in []*gt.Dense) (gt.Tensor, error) { return gt.Sub(in[0], in[1]) }, 0},
	"Mul": {ops.Mul{}, [][]int{{64}, {64}}, func(in []*gt.Dense) (gt.Tensor, error) { return gt.Mul(in[0], in[1]) }, 0},
	"Div": {ops.Div{}, [][]int{{3, 2, 4}, {3, 2, 4}}, func(in []*gt.Dense) (gt.Tensor, error) { return gt.Div(in[0], in[1]) }, 0},
	"MatMul": {
		ops.MatMul{},
		[][]int{{33, 65}, {65, 17}},
		func(in []*gt.Dense) (gt.Tensor, error) { return gt.MatMul(in[0], in[1]) }, 65,
	},
	"Gemm": {ops.Gemm{Alpha: 1, Beta: 1, TransB: true}, [][]int{{9, 48}, {21, 48}, {9, 21}}, gemm, 49},
	"Transpose": {
		ops.Transpose{Perm: []int{2, 0, 1}},
		[][]int{{4, 5, 6}},
		func(in []*gt.Dense) (gt.Tensor, error) { return gt.Transpose(in[0], 2, 0, 1) }, 0,
	},
	"Concat": {
		ops.Concat{Axis: 1},
		[][]int{{3, 2}, {3, 5}},
		func(in []*gt.Dense) (gt.Tensor, error) { return gt.Concat(1, in[0], in[1]) }, 0,
	},
	"Softmax": {
		ops.Softmax{Axis: -1},
		[][]int{{6, 10}},
		func(in []*gt.Dense) (gt.Tensor, error) { return gt.SoftMax(in[0], 1) }, 10,
	},
	"ArgMax": {
		ops.ArgMax{Axis: 1},
		[][]int{{6, 10}},
		func(in []*gt.Dense) (gt.Tensor, error) { return gt.Argmax(in[0], 1) }, 0,
	},
	"Conv": {
		ops.Conv{AutoPad: "NOTSET", Group: 1}, [][]int{{1, 3, 9, 8}, {4, 3, 3, 2}}, conv, 18,
	},
}

func gemm(in []*gt.Dense) (gt.Tensor, error) {
	bt, err := gt.Transpose(in[1])
	if err != nil {
		return nil, err
	}
	y, err := gt.MatMul(in[0], bt)
	if err != nil {
		return nil, err
	}
	return gt.Add(y, in[2])
}

// conv adds up, for each weight, the part of the input that it meets: [1,C,H,W] with [M,C,kh,kw], no padding.
func conv(in []*gt.Dense) (gt.Tensor, error) {
	x, w := in[0], in[1]
	s, k := x.Shape(), w.Shape()
	h, wd := s[2]-k[2]+1, s[3]-k[3]+1
	var planes []gt.Tensor
	for m := range k[0] {
		var sum gt.Tensor = gt.New(gt.WithShape(h, wd), gt.Of(gt.Float32))
		for at := range k[1] * k[2] * k[3] {
			c, i, j := at/(k[2]*k[3]), at/k[3]%k[2], at%k[3]
			part, err := x.Slice(gt.S(0), gt.S(c), gt.S(i, i+h), gt.S(j, j+wd))
			if err != nil {
				return nil, err
			}
			weight, err := w.At(m, c, i, j)
			if err != nil {
				return nil, err
			}
			product, err := gt.Mul(part.Materialize(), weight)
			if err != nil {
				return nil, err
			}
			if sum, err = gt.Add(sum, product); err != nil {
				return nil, err
			}
		}
		planes = append(planes, sum)
	}
	y, err := gt.Stack(0, planes[0], planes[1:]...)
	if err != nil {
		return nil, err
	}
	return y, y.Reshape(1, k[0], h, wd)
}

// TestOperatorsAgree computes each operator on random numbers with Gorgonia, the reference and the engine.
func TestOperatorsAgree(t *testing.T) {
	for name, o := range oracles {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			g := &graph.Graph{Name: name, Opsets: map[string]int{"": 21}}
			var in []*tensor.Tensor
			var dense []*gt.Dense
			for i, shape := range o.shapes {
				x := random(rng, shape)
				in, dense = append(in, x), append(dense, to(t, x))
				g.Inputs = append(g.Inputs, graph.NewInput(string(rune('a'+i)), graph.FactOf(x).Type))
			}
			b := graph.NewBuilder(g)
			g.Outputs = []*graph.Value{b.Add("y", o.op, g.Inputs...)}
			if b.Err != nil {
				t.Fatal(b.Err)
			}
			d, err := o.want(dense)
			want := from(t, d, err)
			ref, err := graph.Eval(t.Context(), g, in)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, "reference", ref[0], want, o.steps)
			got, err := run(t.Context(), g, in)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, "engine", got[0], want, o.steps)
		})
	}
}

// compare allows two units in the last place of 1 for each addition: the inputs are normal random numbers.
func compare(t *testing.T, who string, got, want *tensor.Tensor, steps float64) {
	t.Helper()
	g, w := tensor.Float64s(got), tensor.Float64s(want)
	if got.Len() != want.Len() {
		t.Fatalf("%s: shape %v, Gorgonia has %v", who, got.Shape, want.Shape)
	}
	for i := range g {
		if diff := math.Abs(g[i] - w[i]); !(diff <= steps*0x1p-22) {
			t.Fatalf("%s: element %d is %v, Gorgonia has %v (difference %v)", who, i, g[i], w[i], diff)
		}
	}
}

func random(rng *rand.Rand, shape []int) *tensor.Tensor {
	t := tensor.New(tensor.Float32, shape...)
	v := tensor.View[float32](t)
	for i := range v {
		v[i] = float32(rng.NormFloat64())
	}
	return t
}

func run(ctx context.Context, g *graph.Graph, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	p, err := engine.Compile(ctx, g, engine.Options{Threads: 1})
	if err != nil {
		return nil, err
	}
	defer p.Close()
	c := &engine.Call{In: in}
	err = p.Run(ctx, c)
	return c.Out, err
}
