package ops

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 13, Transpose{}) }

// Transpose puts input dimension Perm[i] at place i; without Perm the order is reversed.
type Transpose struct {
	mover
	Perm []int `attr:"perm"`
}

// Infer permutes the shape.
func (o Transpose) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 1, 1); err != nil {
		return nil, err
	}
	r := in[0].Rank()
	if r < 0 {
		if o.Perm == nil {
			return []graph.Type{graph.AnyRank(in[0].DType)}, nil
		}
		return []graph.Type{graph.Of(in[0].DType, make([]graph.Dim, len(o.Perm))...)}, nil
	}
	perm, err := o.perm(r)
	if err != nil {
		return nil, err
	}
	return []graph.Type{graph.Of(in[0].DType, permuted(in[0].Shape, perm)...)}, nil
}

func (o Transpose) perm(r int) ([]int, error) {
	if o.Perm == nil {
		perm := make([]int, r)
		for i := range perm {
			perm[i] = r - 1 - i
		}
		return perm, nil
	}
	if len(o.Perm) != r {
		return nil, fmt.Errorf("perm %v for rank %d", o.Perm, r)
	}
	return axes(o.Perm, r)
}

func permuted[T any](s []T, perm []int) []T {
	out := make([]T, len(perm))
	for i, p := range perm {
		out[i] = s[p]
	}
	return out
}

// Run copies element by element.
func (o Transpose) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	perm, err := o.perm(len(in[0].Shape))
	if err != nil {
		return err
	}
	shape := permuted(in[0].Shape, perm)
	dst, err := target(x, out[0], in[0].DType, shape)
	if err != nil {
		return err
	}
	dst.strided(shape, dense(shape), source(in[0]), view{step: permuted(dense(in[0].Shape).step, perm)})
	dst.done()
	return nil
}

// Links follows the permutation.
func (o Transpose) Links(in, out []graph.Fact) []graph.Link {
	perm, err := o.perm(in[0].Rank())
	if in[0].Unranked || err != nil || out[0].Rank() != len(perm) {
		return nil
	}
	var links []graph.Link
	for i, p := range perm {
		links = append(links, tie(in[0].Shape[p], given(0, p), made(0, i))...)
	}
	return links
}

// Forwards holds where each axis stays where it is.
func (o Transpose) Forwards(in, _ []graph.Fact) (int, bool) {
	if o.Perm == nil {
		return 0, in[0].Rank() == 0 || in[0].Rank() == 1
	}
	return 0, graph.InPlace(o.Perm)
}
