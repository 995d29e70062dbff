package ops

import (
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// coordinate gives where output element x of an axis lies in the input. nearest asks in float32, in which ONNX Runtime
// computes it step by step, because there a rounding means another element.
func coordinate[F float32 | float64](mode string, r resampling, x F) F {
	in, scale, target := F(r.in), F(r.scale), F(r.target)
	switch mode {
	case "align_corners":
		if target == 1 {
			return 0
		}
		return x * (in - 1) / (target - 1)
	case "asymmetric":
		return x / scale
	case "half_pixel_symmetric":
		return in/2*(1-F(r.out)/target) + (x+0.5)/scale - 0.5
	case "tf_crop_and_resize":
		start, end := F(r.start), F(r.end)
		if target == 1 {
			return (start + end) / 2 * (in - 1)
		}
		return F(start*(in-1)) + x*(end-start)*(in-1)/(target-1)
	case "pytorch_half_pixel":
		if r.out <= 1 {
			return 0
		}
	}
	return (x+0.5)/scale - 0.5
}

// coordinateModes are the values of coordinate_transformation_mode.
var coordinateModes = map[string]bool{
	"half_pixel": true, "half_pixel_symmetric": true, "pytorch_half_pixel": true, "align_corners": true, "asymmetric": true,
	"tf_crop_and_resize": true,
}

var nearestModes = map[string]func(float64) float64{
	"round_prefer_floor": func(x float64) float64 { return math.Ceil(x - 0.5) },
	"round_prefer_ceil":  func(x float64) float64 { return math.Floor(x + 0.5) },
	"floor":              math.Floor,
	"ceil":               math.Ceil,
}

// sample is one input element with its weight.
type sample struct {
	at     int
	weight float64
}

// taps gives the weighted input elements of each output element of an axis; nil where the extrapolation value stands.
func (o Resize) taps(r resampling) [][]sample {
	out := make([][]sample, r.out)
	filter, radius := o.filter()
	stretch := 1.0
	if o.Antialias {
		stretch = min(r.scale, 1)
	}
	for i := range out {
		x := coordinate(o.CoordinateTransformationMode, r, float64(i))
		if o.outside(r, x) {
			continue
		}
		var sum float64
		taps := []sample{}
		first, last := math.Floor(x-radius/stretch)+1, math.Ceil(x+radius/stretch)-1
		for p := max(first, -1e9); p <= min(last, 1e9); p++ {
			w := filter((p - x) * stretch)
			inside := p >= 0 && p < float64(r.in)
			if w == 0 || o.ExcludeOutside && !inside {
				continue
			}
			taps = append(taps, sample{int(min(max(p, 0), float64(r.in-1))), w})
			sum += w
		}
		if o.Antialias || o.ExcludeOutside {
			for j := range taps {
				taps[j].weight /= sum
			}
		}
		out[i] = taps
	}
	return out
}

// outside reports whether tf_crop_and_resize extrapolates at x.
func (o Resize) outside(r resampling, x float64) bool {
	return o.CoordinateTransformationMode == "tf_crop_and_resize" && !(x >= 0 && x <= float64(r.in-1))
}

// filter gives the interpolation kernel, which is zero from the radius on.
func (o Resize) filter() (f func(float64) float64, radius float64) {
	if o.Mode == "linear" {
		return func(x float64) float64 { return max(1-math.Abs(x), 0) }, 1
	}
	a := float64(o.CubicCoeffA)
	return func(x float64) float64 { return cubic(math.Abs(x), a) }, 2
}

// cubic is Keys' kernel for x >= 0.
func cubic(x, a float64) float64 {
	switch {
	case x <= 1:
		return ((a+2)*x-(a+3))*x*x + 1
	case x < 2:
		return ((a*x-5*a)*x+8*a)*x - 4*a
	}
	return 0
}

// apply resamples one axis, whose elements are inner apart.
func apply(v []float64, taps [][]sample, inner int, r resampling, fill float64) []float64 {
	if r.in*inner == 0 {
		return nil
	}
	outer := len(v) / (r.in * inner)
	out := make([]float64, outer*r.out*inner)
	for i := range outer * r.out {
		dst, src := out[i*inner:(i+1)*inner], v[i/r.out*r.in*inner:]
		ts := taps[i%r.out]
		if ts == nil {
			for j := range dst {
				dst[j] = fill
			}
		}
		for _, t := range ts {
			for j := range dst {
				dst[j] += t.weight * src[t.at*inner+j]
			}
		}
	}
	return out
}

// nearest gives the input element that each output element of an axis is; -1 where the extrapolation value stands.
func (o Resize) nearest(r resampling) []int {
	from := make([]int, r.out)
	for j := range from {
		p := float64(coordinate(o.CoordinateTransformationMode, r, float32(j)))
		from[j] = int(min(max(nearestModes[o.NearestMode](p), 0), float64(r.in-1)))
		if o.outside(r, p) {
			from[j] = -1
		}
	}
	return from
}

// runNearest moves elements of any type.
func (o Resize) runNearest(x *graph.Exec, in, out *tensor.Tensor, axes []int, plan []resampling) error {
	shape := append([]int{}, in.Shape...)
	from := make([][]int, len(shape)) // by axis: the input's index, -1 for the extrapolation value
	for a, n := range shape {
		from[a] = make([]int, n)
		for i := range n {
			from[a][i] = i
		}
	}
	for i, r := range plan {
		shape[axes[i]] = r.out
		from[axes[i]] = o.nearest(r)
	}
	y := x.Make(out, in.DType, shape...)
	fill := tensor.New(in.DType)
	if in.DType != tensor.String && o.CoordinateTransformationMode == "tf_crop_and_resize" {
		if err := tensor.SetFloats(fill, []float32{o.ExtrapolationValue}); err != nil {
			return err
		}
	}
	for a, step := len(shape)-1, 1; a >= 0; a-- {
		for i := range from[a] {
			if from[a][i] > 0 {
				from[a][i] *= step
			}
		}
		step *= in.Shape[a]
	}
	last := len(shape) - 1
	if last < 0 {
		copyElement(y, 0, in, 0)
		return nil
	}
	for i := 0; i < y.Len(); i += shape[last] { // a row, whose other indices give the element that at counts from
		at, inside := 0, true
		for a, rest := last-1, i/shape[last]; a >= 0; a-- {
			f := from[a][rest%shape[a]]
			at, inside, rest = at+f, inside && f >= 0, rest/shape[a]
		}
		for k, f := range from[last] {
			if inside && f >= 0 {
				copyElement(y, i+k, in, at+f)
			} else {
				copyElement(y, i+k, fill, 0)
			}
		}
	}
	return nil
}
