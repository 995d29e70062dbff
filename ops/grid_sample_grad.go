package ops

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("tfsopt", 1, GridSampleGrad{}) }

// GridSampleGrad is the gradient of GridSample, whose attributes it has (Jaderberg et al., arXiv 1506.02025, section
// 3.3): dy, X and grid give the gradients of X and of grid.
type GridSampleGrad GridSample

// Grad gives the gradients of X and of the grid.
func (o GridSample) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil {
		return none(n)
	}
	return b.AddN(gradient(b, n).name, 2, GridSampleGrad(o), dOut[0], n.In[0], n.In[1])
}

// Infer gives the types of X and of grid.
func (o GridSampleGrad) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 3, 3); err != nil {
		return nil, err
	}
	if _, err := GridSample(o).Infer(in[1:], 1); err != nil {
		return nil, err
	}
	return []graph.Type{in[1].Type, in[2].Type}, nil
}

// Run computes in float64 and rounds once.
func (o GridSampleGrad) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	shapes, err := shapesOf(GridSample(o), in[1:], 1)
	if err != nil {
		return err
	}
	if !sameInts(shapes[0], in[0].Shape) || !in[0].IsFloat() || !in[1].IsFloat() || in[2].Shape[0] != in[1].Shape[0] {
		return fmt.Errorf("gradient %s, want floats of shape %v", graph.TypeOf(in[0]), shapes[0])
	}
	dims, channels, r := in[1].Shape[2:], in[1].Shape[1], len(in[1].Shape)-2
	dy, v, grid := tensor.Float64s(in[0]), tensor.Float64s(in[1]), tensor.Float64s(in[2])
	dx, dgrid := make([]float64, len(v)), make([]float64, len(grid))
	plane, points := tensor.Size(dims), tensor.Size(in[0].Shape[2:])
	taps, bent := make([][]sample, r), make([][]sample, r)
	for i := range in[0].Shape[0] * points {
		for d, n := range dims { // the grid's coordinates are in reverse order
			taps[d] = GridSample(o).taps(grid[i*r+r-1-d], n)
		}
		batch, point := i/points, i%points
		for c := range channels {
			at := batch*channels + c
			g := dy[at*points+point]
			spreadOut(dx[at*plane:(at+1)*plane], dims, taps, g)
			for d, n := range dims {
				copy(bent, taps)
				bent[d] = GridSample(o).bend(taps[d], grid[i*r+r-1-d], n)
				dgrid[i*r+r-1-d] += g * interpolate(v[at*plane:(at+1)*plane], dims, bent)
			}
		}
	}
	for i, d := range [][]float64{dx, dgrid} {
		if i < len(out) && out[i] != nil {
			if err := tensor.SetFloat64s(x.Make(out[i], in[1+i].DType, in[1+i].Shape...), d); err != nil {
				return err
			}
		}
	}
	return nil
}

// spreadOut is the adjoint of interpolate: it adds g to the elements by their weights.
func spreadOut(dx []float64, dims []int, taps [][]sample, g float64) {
	if len(dims) == 0 {
		dx[0] += g
		return
	}
	inner := len(dx) / dims[0]
	for _, t := range taps[0] {
		if t.at >= 0 && t.weight != 0 {
			spreadOut(dx[t.at*inner:(t.at+1)*inner], dims[1:], taps[1:], g*t.weight)
		}
	}
}

// bend gives taps their weights' derivatives by the normalised position g.
func (o GridSample) bend(taps []sample, g float64, n int) []sample {
	p := o.place(g, n)
	out := make([]sample, len(taps))
	for i, t := range taps {
		distance := p.x - p.first - float64(i)
		out[i] = sample{t.at, p.slope * o.weightSlope(math.Abs(distance))}
		if distance < 0 {
			out[i].weight = -out[i].weight
		}
	}
	return out
}

// weightSlope is the derivative of weight.
func (o GridSample) weightSlope(distance float64) float64 {
	const a = -0.75
	x := distance
	switch {
	case o.Mode == "linear" && x < 1:
		return -1
	case o.Mode == "cubic" && x <= 1:
		return (3*(a+2)*x - 2*(a+3)) * x
	case o.Mode == "cubic" && x < 2:
		return (3*a*x-10*a)*x + 8*a
	}
	return 0
}
