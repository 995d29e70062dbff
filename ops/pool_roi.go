package ops

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 1, MaxRoiPool{}) }

// MaxRoiPool divides regions of x [N,C,H,W] into PooledShape bins and takes the maximum of each. A region is a row
// (batch, x1, y1, x2, y2) of rois [R,5], corners included, in coordinates that SpatialScale brings to x's. The result
// is [R,C,PooledShape…]; an empty bin gives 0.
type MaxRoiPool struct {
	PooledShape  []int   `attr:"pooled_shape" required:"true"`
	SpatialScale float32 `attr:"spatial_scale" default:"1"`
}

func (p MaxRoiPool) check() error {
	if len(p.PooledShape) != 2 {
		return fmt.Errorf("pooled_shape %v: want two sizes", p.PooledShape)
	}
	_, err := perAxis("pooled_shape", p.PooledShape, 2, 1)
	return err
}

// Infer gives [R,C,PooledShape…].
func (p MaxRoiPool) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 2); err != nil {
		return nil, err
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	if err := rank(in, 0, 4); err != nil {
		return nil, err
	}
	if err := rank(in, 1, 2); err != nil {
		return nil, err
	}
	var r, c graph.Dim
	if !in[0].Unranked {
		c = in[0].Shape[1]
	}
	if !in[1].Unranked {
		r = in[1].Shape[0]
	}
	return []graph.Type{graph.Of(in[0].DType, r, c, graph.Fixed(p.PooledShape[0]), graph.Fixed(p.PooledShape[1]))}, nil
}

func (p MaxRoiPool) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	if err := p.check(); err != nil {
		return err
	}
	s, rs := in[0].Shape, in[1].Shape
	if len(s) != 4 || len(rs) != 2 || rs[1] != 5 || !in[0].IsFloat() || !in[1].IsFloat() {
		return fmt.Errorf("input %s%v and regions %v: want [N,C,H,W] and [R,5]", in[0].DType, s, rs)
	}
	v, rois := tensor.Float64s(in[0]), tensor.Floats(in[1])
	ph, pw := p.PooledShape[0], p.PooledShape[1]
	r := make([]float64, rs[0]*s[1]*ph*pw)
	for i := range rs[0] {
		roi := rois[i*5 : i*5+5]
		batch := int(roi[0])
		if batch < 0 || batch >= s[0] {
			return fmt.Errorf("region %d is of batch %v, there are %d", i, roi[0], s[0])
		}
		rows := p.bins(roi[2], roi[4], ph, s[2])
		cols := p.bins(roi[1], roi[3], pw, s[3])
		for c := range s[1] {
			plane := v[(batch*s[1]+c)*s[2]*s[3]:]
			for j := range ph * pw {
				r[(i*s[1]+c)*ph*pw+j] = maxBin(plane, rows[j/pw], cols[j%pw], s[3])
			}
		}
	}
	return tensor.SetFloat64s(x.Make(out[0], in[0].DType, rs[0], s[1], ph, pw), r)
}

// bins divides the extent between two coordinates into n half-open ranges within [0, size).
func (p MaxRoiPool) bins(from, to float32, n, size int) [][2]int {
	round := func(v float32) float64 {
		return math.Max(math.Min(math.Round(float64(v*p.SpatialScale)), maxExtent), -maxExtent)
	}
	start := int(round(from))
	step := float32(max(int(round(to))-start+1, 1)) / float32(n)
	out := make([][2]int, n)
	for i := range out {
		lo := start + int(math.Floor(float64(float32(i)*step)))
		hi := start + int(math.Ceil(float64(float32(i+1)*step)))
		out[i] = [2]int{min(max(lo, 0), size), min(max(hi, 0), size)}
	}
	return out
}

func maxBin(plane []float64, rows, cols [2]int, width int) float64 {
	if rows[0] >= rows[1] || cols[0] >= cols[1] {
		return 0
	}
	best := math.Inf(-1)
	for y := rows[0]; y < rows[1]; y++ {
		for _, v := range plane[y*width+cols[0] : y*width+cols[1]] {
			best = math.Max(best, v)
		}
	}
	return best
}
