package ops

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	grid := shaped([]int{2, 1, 3}, float32(1), 2, 3, 4, 5, 6)
	register(Expand{}, opCase{
		name: "in the middle", in: tensors(grid, vec(int64(2), 2, 3)),
		out: tensors(shaped([]int{2, 2, 3}, float32(1), 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6)),
	})
	ln2 := float32(-0.6931472)
	register(LogSoftmax{Axis: 1}, opCase{
		name: "in the middle", in: tensors(shaped([]int{1, 2, 2}, float32(1), 2, 1, 2)), tol: 1e-6,
		out: tensors(shaped([]int{1, 2, 2}, ln2, ln2, ln2, ln2)),
	})
	register(Gather{Axis: 2}, opCase{
		name: "one position", in: tensors(grid, tensor.Scalar(int64(1))), out: tensors(shaped([]int{2, 1}, float32(2), 5)),
	}, opCase{
		name: "a list", in: tensors(grid, vec(int64(2), 0)), out: tensors(shaped([]int{2, 1, 2}, float32(3), 1, 6, 4)),
	})
}

// TestPermute runs every case of every Permuter on transposed operands, in several orders: transposed back, the results must
// be the same. Each Permuter must have a case that it takes.
func TestPermute(t *testing.T) {
	for name, list := range cases {
		if _, ok := list[0].op.(graph.Permuter); !ok {
			continue
		}
		taken := 0
		for i, c := range list {
			if c.check == nil {
				t.Run(fmt.Sprint(name, "/", i), func(t *testing.T) { taken += permuteCase(t, c) })
			}
		}
		if taken == 0 {
			t.Errorf("%s: no case can be permuted", name)
		}
	}
}

func permuteCase(t *testing.T, c opCases) (taken int) {
	c = widened(c)
	want := evalCase(t, c)
	rank := 0
	facts := make([]graph.Fact, len(c.in))
	for i, in := range c.in {
		if in != nil {
			facts[i] = graph.FactOf(in)
			rank = max(rank, len(in.Shape))
		}
	}
	rng := rand.New(rand.NewPCG(1, uint64(rank)))
	for range 4 {
		order := rng.Perm(rank)
		p, ok := c.op.(graph.Permuter).Permute(facts, len(want), order)
		if !ok || rank < 2 {
			continue
		}
		taken++
		d := c
		if p.Op != nil {
			d.op = p.Op
		}
		d.in = make([]*tensor.Tensor, max(len(c.in), len(p.In)))
		copy(d.in, c.in)
		for i, in := range c.in {
			if i < len(p.In) && p.In[i] != nil {
				d.in[i] = reordered(t, in, p.In[i])
			}
		}
		for i, v := range p.Const {
			d.in[i] = v
		}
		for i, got := range evalCase(t, d) {
			if got == nil {
				continue
			}
			if p.Out[i] != nil {
				got = reordered(t, got, graph.Inverse(p.Out[i]))
			}
			if err := differ(got, want[i], max(c.tol, 1e-6)); err != nil {
				t.Errorf("order %v, output %d: %v", order, i, err)
			}
		}
	}
	return taken
}

// widened gives vectors that are as long as the first a leading dimension of 1, where a case has nothing of higher rank.
func widened(c opCases) opCases {
	for _, in := range c.in {
		if in != nil && len(in.Shape) > 1 {
			return c
		}
	}
	before := c
	c.in = slices.Clone(c.in)
	for i, in := range c.in {
		if in != nil && len(in.Shape) == 1 && (i == 0 || in.Len() > 1) {
			c.in[i] = in.Reshape(1, in.Len())
		}
	}
	facts := make([]graph.Fact, len(c.in))
	for i, in := range c.in {
		if in != nil {
			facts[i] = graph.FactOf(in)
		}
	}
	if p, ok := c.op.(graph.Permuter).Permute(facts, 1, []int{1, 0}); !ok || p.Op != nil || p.Const != nil {
		return before // it knows its axes
	}
	return c
}

// reordered transposes a tensor, after leading dimensions of 1 where it has fewer than the order.
func reordered(t *testing.T, v *tensor.Tensor, order []int) *tensor.Tensor {
	t.Helper()
	shape := v.Shape
	for len(shape) < len(order) {
		shape = append([]int{1}, shape...)
	}
	out := &tensor.Tensor{}
	if err := graph.RunKernel(&graph.Exec{Ctx: context.Background()}, Transpose{Perm: order}, tensors(v.Reshape(shape...)), tensors(out)); err != nil {
		t.Fatal(err)
	}
	return out
}
