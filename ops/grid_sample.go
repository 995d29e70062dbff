package ops

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 20, GridSample{}) }

// GridSample interpolates X [batch, channels, d1, …, dr] at the positions grid [batch, o1, …, or, r], which count from the
// innermost dimension and run from -1 to 1: between the centres of the corner elements if AlignCorners, else between
// their outer borders (Jaderberg et al., arXiv 1506.02025). Y is [batch, channels, o1, …, or]. A position that is no
// number lies outside.
type GridSample struct {
	AlignCorners bool   `attr:"align_corners" default:"0"`
	Mode         string `attr:"mode" default:"linear"`
	PaddingMode  string `attr:"padding_mode" default:"zeros"`
}

// Infer gives the type of Y.
func (o GridSample) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 2); err != nil {
		return nil, err
	}
	if o.Mode != "nearest" && o.Mode != "linear" && o.Mode != "cubic" {
		return nil, fmt.Errorf("mode %q is none of linear, nearest, cubic", o.Mode)
	}
	if o.PaddingMode != "zeros" && o.PaddingMode != "border" && o.PaddingMode != "reflection" {
		return nil, fmt.Errorf("padding_mode %q is none of zeros, border, reflection", o.PaddingMode)
	}
	x, g := in[0], in[1]
	if x.Unranked && g.Unranked {
		return []graph.Type{graph.AnyRank(x.DType)}, nil
	}
	r := max(x.Rank(), g.Rank())
	if r < 3 || !x.Unranked && x.Rank() != r || !g.Unranked && g.Rank() != r {
		return nil, fmt.Errorf("input of rank %d and grid of rank %d", x.Rank(), g.Rank())
	}
	if d := dimAt(g, r-1); !agree(d, graph.Fixed(r-2)) {
		return nil, fmt.Errorf("grid positions have %s coordinates, want %d", d, r-2)
	}
	shape := []graph.Dim{dimAt(x, 0), dimAt(x, 1)}
	for i := 1; i < r-1; i++ {
		shape = append(shape, dimAt(g, i))
	}
	return []graph.Type{graph.Of(x.DType, shape...)}, nil
}

func (o GridSample) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	xs, gs := in[0].Shape, in[1].Shape
	if len(xs) < 3 || len(gs) != len(xs) || gs[0] != xs[0] || gs[len(gs)-1] != len(xs)-2 {
		return fmt.Errorf("grid of shape %v does not fit an input of shape %v", gs, xs)
	}
	v, grid := tensor.Float64s(in[0]), tensor.Float64s(in[1])
	if v == nil && in[0].Len() > 0 {
		return fmt.Errorf("no interpolation of %s", in[0].DType)
	}
	dims, channels := xs[2:], xs[1]
	plane, points, r := tensor.Size(dims), tensor.Size(gs[1:len(gs)-1]), len(dims)
	y := make([]float64, xs[0]*channels*points)
	taps := make([][]sample, r)
	for i := range xs[0] * points {
		for d, n := range dims { // the grid's coordinates are in reverse order
			taps[d] = o.taps(grid[i*r+r-1-d], n)
		}
		batch, point := i/points, i%points
		for c := range channels {
			at := batch*channels + c
			y[at*points+point] = interpolate(v[at*plane:(at+1)*plane], dims, taps)
		}
	}
	clampTo(y, in[0].DType)
	return tensor.SetFloat64s(x.Make(out[0], in[0].DType, append([]int{xs[0], channels}, gs[1:len(gs)-1]...)...), y)
}

// interpolate sums the product of taps over the dimensions; a tap at -1 reads zero.
func interpolate(v []float64, dims []int, taps [][]sample) float64 {
	if len(dims) == 0 {
		return v[0]
	}
	inner := len(v) / dims[0]
	var sum float64
	for _, t := range taps[0] {
		if t.at >= 0 && t.weight != 0 {
			sum += t.weight * interpolate(v[t.at*inner:(t.at+1)*inner], dims[1:], taps[1:])
		}
	}
	return sum
}

// taps gives the elements of a dimension of size n, and their weights, that the normalised position g reads.
func (o GridSample) taps(g float64, n int) []sample {
	if n == 0 {
		return nil
	}
	p := o.place(g, n)
	out := make([]sample, p.count)
	for i := range out {
		at := p.first + float64(i)
		out[i] = sample{o.index(at, n, p.lo, p.hi), o.weight(math.Abs(p.x - at))}
	}
	return out
}

// place is where a normalised position lies in a dimension, its derivative by that position, the first and the number
// of its taps, and the borders.
type place struct {
	x, slope, first float64
	count           int
	lo, hi          float64
}

func (o GridSample) place(g float64, n int) place {
	p := place{lo: -0.5, hi: float64(n) - 0.5, slope: float64(n) / 2, count: 2}
	p.x = ((g+1)*float64(n) - 1) / 2
	if o.AlignCorners {
		p.lo, p.hi, p.slope = 0, float64(n-1), float64(n-1)/2
		p.x = (g + 1) / 2 * float64(n-1)
	}
	if math.IsNaN(p.x) || math.IsInf(p.x, 0) {
		p.x, p.slope = -4, 0
	}
	if o.Mode == "nearest" {
		p.x, p.slope = math.RoundToEven(p.x), 0
	}
	switch { // cubic at the border clamps only its taps, as PyTorch and ONNX Runtime do
	case p.x >= p.lo && p.x <= p.hi || o.Mode == "cubic" && o.PaddingMode == "border":
	case o.PaddingMode == "border":
		p.clamp(0, float64(n-1))
	case o.PaddingMode == "reflection":
		back := math.Mod(math.Abs(p.x-p.lo), 2*(p.hi-p.lo)) > p.hi-p.lo
		if back != (p.x < p.lo) {
			p.slope = -p.slope
		}
		p.x = mirror(p.x, p.lo, p.hi)
	}
	p.clamp(-4, float64(n)+4) // beyond, all taps are outside
	p.first = math.Floor(p.x)
	switch o.Mode {
	case "nearest":
		p.first, p.count = p.x, 1
	case "cubic":
		p.first, p.count = p.first-1, 4
	}
	return p
}

// clamp moves the position into a range, in which it then stays.
func (p *place) clamp(lo, hi float64) {
	if p.x < lo || p.x > hi {
		p.x, p.slope = min(max(p.x, lo), hi), 0
	}
}

func (o GridSample) weight(distance float64) float64 {
	switch o.Mode {
	case "linear":
		return max(1-distance, 0)
	case "cubic":
		return cubic(distance, -0.75)
	}
	return 1
}

// index resolves an element's index by the padding mode; -1 is zero.
func (o GridSample) index(p float64, n int, lo, hi float64) int {
	if p >= 0 && p < float64(n) {
		return int(p)
	}
	switch o.PaddingMode {
	case "border":
		return int(min(max(p, 0), float64(n-1)))
	case "reflection":
		return int(min(max(mirror(p, lo, hi), 0), float64(n-1)))
	}
	return -1
}

// mirror reflects x at lo and hi until it lies between them.
func mirror(x, lo, hi float64) float64 {
	width := hi - lo
	if width <= 0 {
		return lo
	}
	r := math.Mod(math.Abs(x-lo), 2*width)
	return lo + min(r, 2*width-r)
}
