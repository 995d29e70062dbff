package ops

import (
	"errors"
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 16, RoiAlign{}) }

// RoiAlign pools each region of interest to OutputHeight x OutputWidth bins by bilinear samples (Mask R-CNN, arXiv
// 1703.06870). Inputs are X [batch, channels, height, width], rois [n, 4] (x1, y1, x2, y2) and batch_indices [n]; Y is
// [n, channels, OutputHeight, OutputWidth]. SamplingRatio samples a side are taken in a bin, or, if 0, as many as its
// size. Mode max takes the largest weighted corner, as ONNX defines it.
type RoiAlign struct {
	CoordinateTransformationMode string  `attr:"coordinate_transformation_mode" default:"half_pixel"`
	Mode                         string  `attr:"mode" default:"avg"`
	OutputHeight                 int     `attr:"output_height" default:"1"`
	OutputWidth                  int     `attr:"output_width" default:"1"`
	SamplingRatio                int     `attr:"sampling_ratio" default:"0"`
	SpatialScale                 float32 `attr:"spatial_scale" default:"1"`
}

// maxRoiSamples bounds the samples of one region, which a hostile region could make as many as it likes.
const maxRoiSamples = 1 << 24

func (o RoiAlign) check() error {
	if o.CoordinateTransformationMode != "half_pixel" && o.CoordinateTransformationMode != "output_half_pixel" {
		return fmt.Errorf("unknown coordinate_transformation_mode %q", o.CoordinateTransformationMode)
	}
	if o.Mode != "avg" && o.Mode != "max" {
		return fmt.Errorf("mode %q is neither avg nor max", o.Mode)
	}
	if o.OutputHeight < 1 || o.OutputWidth < 1 || o.SamplingRatio < 0 {
		return fmt.Errorf("output of %dx%d bins with %d samples", o.OutputHeight, o.OutputWidth, o.SamplingRatio)
	}
	return nil
}

// Infer gives the type of Y.
func (o RoiAlign) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	err := want(in, 3, 3)
	if err == nil {
		err = errors.Join(o.check(), rank(in, 0, 4), rank(in, 1, 2), rank(in, 2, 1))
	}
	if err != nil {
		return nil, err
	}
	n := dimAt(in[1], 0)
	if !n.Known() {
		n = dimAt(in[2], 0)
	}
	return []graph.Type{graph.Of(in[0].DType, n, dimAt(in[0], 1), graph.Fixed(o.OutputHeight), graph.Fixed(o.OutputWidth))}, nil
}

func (o RoiAlign) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	if err := o.check(); err != nil {
		return err
	}
	s, n := in[0].Shape, in[2].Len()
	if len(s) != 4 {
		return fmt.Errorf("input of shape %v, want rank 4", s)
	}
	if err := wantShape("rois", in[1], n, 4); err != nil {
		return err
	}
	shape := []int{n, s[1], o.OutputHeight, o.OutputWidth}
	if err := checkSize(in[0].DType, shape); err != nil {
		return err
	}
	v, rois := tensor.Float64s(in[0]), tensor.Float64s(in[1])
	y := make([]float64, tensor.Size(shape))
	plane, bins := s[2]*s[3], o.OutputHeight*o.OutputWidth
	for i, b := range tensor.Ints(in[2]) {
		if b < 0 || b >= int64(s[0]) {
			return fmt.Errorf("batch index %d of %d", b, s[0])
		}
		rows, err := o.samples(rois[4*i+1], rois[4*i+3], s[2], o.OutputHeight)
		if err != nil {
			return err
		}
		cols, err := o.samples(rois[4*i], rois[4*i+2], s[3], o.OutputWidth)
		if err != nil {
			return err
		}
		if len(rows)*len(cols) > maxRoiSamples {
			return fmt.Errorf("region %d has %dx%d samples", i, len(rows), len(cols))
		}
		for c := range s[1] {
			at := (int(b)*s[1] + c) * plane
			o.pool(y[(i*s[1]+c)*bins:][:bins], v[at:at+plane], rows, cols, s[3])
		}
	}
	return tensor.SetFloat64s(x.Make(out[0], in[0].DType, shape...), y)
}

// roiSample is a position along one axis: two neighbours and their weights, none if it lies outside.
type roiSample struct {
	lo, hi   int
	wlo, whi float64
}

// samples gives the positions along an axis of size n, the same number for each bin, bin by bin.
func (o RoiAlign) samples(start, end float64, n, bins int) ([]roiSample, error) {
	scale := float64(o.SpatialScale)
	start, end = start*scale, end*scale
	length := end - start
	if o.CoordinateTransformationMode == "half_pixel" {
		start -= 0.5
	} else {
		length = max(length, 1)
	}
	size := length / float64(bins)
	per := math.Ceil(size)
	if o.SamplingRatio > 0 {
		per = float64(o.SamplingRatio)
	}
	if !(per*float64(bins) <= maxRoiSamples) {
		return nil, fmt.Errorf("region from %v to %v has too many samples", start, end)
	}
	count := int(max(per, 0))
	var out []roiSample
	for i := range bins * count {
		p := start + float64(i/count)*size + (float64(i%count)+0.5)*size/float64(count)
		if p < -1 || p > float64(n) {
			out = append(out, roiSample{})
			continue
		}
		p = max(p, 0)
		lo := int(p)
		if lo >= n-1 {
			out = append(out, roiSample{n - 1, n - 1, 1, 0})
			continue
		}
		f := p - float64(lo)
		out = append(out, roiSample{lo, lo + 1, 1 - f, f})
	}
	return out, nil
}

// pool fills the bins of one channel.
func (o RoiAlign) pool(y, v []float64, rows, cols []roiSample, width int) {
	perRow, perCol := len(rows)/o.OutputHeight, len(cols)/o.OutputWidth
	for i := range y {
		rs := rows[i/o.OutputWidth*perRow:][:perRow]
		cs := cols[i%o.OutputWidth*perCol:][:perCol]
		most, sum := math.Inf(-1), 0.0
		for _, r := range rs {
			for _, c := range cs {
				a, b := r.wlo*c.wlo*v[r.lo*width+c.lo], r.wlo*c.whi*v[r.lo*width+c.hi]
				d, e := r.whi*c.wlo*v[r.hi*width+c.lo], r.whi*c.whi*v[r.hi*width+c.hi]
				sum += a + b + d + e
				most = max(most, a, b, d, e)
			}
		}
		switch {
		case len(rs)*len(cs) == 0:
		case o.Mode == "avg":
			y[i] = sum / float64(len(rs)*len(cs))
		default:
			y[i] = most
		}
	}
}
