package ops

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 20, AffineGrid{}) }

// AffineGrid makes the grid for GridSample that an affine map gives: theta [batch, 2, 3] or [batch, 3, 4] applied to
// evenly spaced positions of an image of the size (N, C, H, W) or (N, C, D, H, W). The result is [N, H, W, 2] or
// [N, D, H, W, 3]. With AlignCorners -1 and 1 are the centres of the corner elements, else their outer borders.
type AffineGrid struct {
	AlignCorners bool `attr:"align_corners" default:"0"`
}

// Infer gives the type of the grid.
func (o AffineGrid) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 2); err != nil {
		return nil, err
	}
	if err := rank(in, 0, 3); err != nil {
		return nil, err
	}
	d := in[0].DType
	size, ok := in[1].Elements()
	if !ok {
		n, known := dimAt(in[1], 0).Value()
		if !known || n != 4 && n != 5 {
			return []graph.Type{graph.AnyRank(d)}, nil
		}
		shape := make([]graph.Dim, n)
		shape[0], shape[n-1] = dimAt(in[0], 0), graph.Fixed(n-2)
		return []graph.Type{graph.Of(d, shape...)}, nil
	}
	if len(size) != 4 && len(size) != 5 {
		return nil, fmt.Errorf("input 1: %d sizes, want 4 or 5", len(size))
	}
	shape := append([]graph.Dim{size[0]}, size[2:]...)
	return []graph.Type{graph.Of(d, append(shape, graph.Fixed(len(size)-2))...)}, nil
}

func (o AffineGrid) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	var size []int
	for _, n := range tensor.Ints(in[1]) {
		size = append(size, int(min(max(n, -1), 1<<40)))
	}
	if len(size) != 4 && len(size) != 5 {
		return fmt.Errorf("%d sizes, want 4 or 5", len(size))
	}
	r := len(size) - 2
	dims := size[2:]
	if err := wantShape("theta", in[0], size[0], r, r+1); err != nil {
		return err
	}
	shape := append(append([]int{size[0]}, dims...), r)
	if err := checkSize(in[0].DType, shape); err != nil {
		return err
	}
	theta := tensor.Float64s(in[0])
	points := tensor.Size(dims)
	y := make([]float64, 0, size[0]*points*r)
	at := make([]float64, r+1) // innermost first, then 1
	at[r] = 1
	for b := range size[0] {
		for i := range points {
			rest := i
			for d := r - 1; d >= 0; d-- {
				at[r-1-d] = o.position(rest%dims[d], dims[d])
				rest /= dims[d]
			}
			for row := range r {
				var sum float64
				for j, e := range at {
					sum += theta[(b*r+row)*(r+1)+j] * e
				}
				y = append(y, sum)
			}
		}
	}
	return tensor.SetFloat64s(x.Make(out[0], in[0].DType, shape...), y)
}

// position is the normalised coordinate of element i of n.
func (o AffineGrid) position(i, n int) float64 {
	switch {
	case !o.AlignCorners:
		return (2*float64(i)+1)/float64(n) - 1
	case n == 1:
		return 0
	}
	return 2*float64(i)/float64(n-1) - 1
}
