package ops

import (
	"errors"
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("tfsopt", 1, ResizeGrad{}) }

// ResizeGrad is the gradient of Resize, whose attributes it has: dy and Resize's inputs roi, scales and sizes give dx of
// shape XShape. Each element of dy goes to the elements that it was interpolated from, by their weights.
type ResizeGrad struct {
	Antialias                    bool    `attr:"antialias" default:"0"`
	Axes                         []int   `attr:"axes"`
	CoordinateTransformationMode string  `attr:"coordinate_transformation_mode" default:"half_pixel"`
	CubicCoeffA                  float32 `attr:"cubic_coeff_a" default:"-0.75"`
	ExcludeOutside               bool    `attr:"exclude_outside" default:"0"`
	ExtrapolationValue           float32 `attr:"extrapolation_value" default:"0"`
	KeepAspectRatioPolicy        string  `attr:"keep_aspect_ratio_policy" default:"stretch"`
	Mode                         string  `attr:"mode" default:"nearest"`
	NearestMode                  string  `attr:"nearest_mode" default:"round_prefer_floor"`
	XShape                       []int   `attr:"x_shape" required:"true"`
}

func (o ResizeGrad) resize() Resize {
	return Resize{
		Antialias: o.Antialias, Axes: o.Axes, CoordinateTransformationMode: o.CoordinateTransformationMode,
		CubicCoeffA: o.CubicCoeffA, ExcludeOutside: o.ExcludeOutside, ExtrapolationValue: o.ExtrapolationValue,
		KeepAspectRatioPolicy: o.KeepAspectRatioPolicy, Mode: o.Mode, NearestMode: o.NearestMode,
	}
}

// Infer gives XShape.
func (o ResizeGrad) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := errors.Join(want(in, 1, 4), o.resize().check()); err != nil {
		return nil, err
	}
	return []graph.Type{graph.Of(in[0].DType, graph.Dims(o.XShape...)...)}, nil
}

// Run adds in float64 and rounds once.
func (o ResizeGrad) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	in = allInputs(in, 4)
	r := o.resize()
	if err := errors.Join(r.check(), checkSize(tensor.Float64, o.XShape)); err != nil {
		return err
	}
	axes, err := r.axes(len(o.XShape))
	if err != nil {
		return err
	}
	plan, err := r.plan(append([]*tensor.Tensor{{DType: in[0].DType, Shape: o.XShape}}, in[1:]...), axes)
	if err != nil {
		return err
	}
	shape := append([]int{}, o.XShape...)
	for i, p := range plan {
		shape[axes[i]] = p.out
	}
	if !sameInts(in[0].Shape, shape) || !in[0].IsFloat() {
		return fmt.Errorf("gradient %s, want floats of shape %v", graph.TypeOf(in[0]), shape)
	}
	if in[0].Len() == 0 {
		return tensor.SetFloat64s(x.Make(out[0], in[0].DType, o.XShape...), make([]float64, tensor.Size(o.XShape)))
	}
	v := append([]float64(nil), tensor.Float64s(in[0])...)
	for i, p := range plan {
		if p.in == 0 {
			return fmt.Errorf("axis %d is empty and cannot have become %d", axes[i], p.out)
		}
		if o.Mode != "nearest" && p.in == p.out && p.scale == 1 && p.start == 0 && p.end == 1 {
			continue
		}
		v = applyBack(v, r.weights(p), tensor.Size(shape[axes[i]+1:]), p)
		shape[axes[i]] = p.in
		if err := checkSize(tensor.Float64, shape); err != nil {
			return err
		}
	}
	return tensor.SetFloat64s(x.Make(out[0], in[0].DType, o.XShape...), v)
}

// weights is taps for any mode.
func (o Resize) weights(r resampling) [][]sample {
	if o.Mode != "nearest" {
		return o.taps(r)
	}
	return mapSlice(o.nearest(r), func(at int) []sample {
		if at < 0 {
			return nil
		}
		return []sample{{at, 1}}
	})
}

// applyBack is the adjoint of apply: it gives the elements of one axis, which are inner apart, back to those that they
// were made of.
func applyBack(v []float64, taps [][]sample, inner int, r resampling) []float64 {
	if r.out*inner == 0 {
		return nil
	}
	outer := len(v) / (r.out * inner)
	out := make([]float64, outer*r.in*inner)
	for i := range outer * r.out {
		src, dst := v[i*inner:(i+1)*inner], out[i/r.out*r.in*inner:]
		for _, t := range taps[i%r.out] {
			for j, e := range src {
				dst[t.at*inner+j] += t.weight * e
			}
		}
	}
	return out
}

// Cost counts the taps as Resize does.
func (o ResizeGrad) Cost(in, out []graph.Type) graph.Cost { return o.resize().Cost(out, in) }

// Grad gives the gradient of X; scales, sizes and roi are held to be constant.
func (o Resize) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil {
		return none(n)
	}
	f := gradient(b, n)
	return to(n, f.node(ResizeGrad{
		Antialias: o.Antialias, Axes: o.Axes, CoordinateTransformationMode: o.CoordinateTransformationMode,
		CubicCoeffA: o.CubicCoeffA, ExcludeOutside: o.ExcludeOutside, ExtrapolationValue: o.ExtrapolationValue,
		KeepAspectRatioPolicy: o.KeepAspectRatioPolicy, Mode: o.Mode, NearestMode: o.NearestMode, XShape: f.shape(n.In[0]),
	}, append([]*graph.Value{dOut[0]}, n.In[1:]...)...))
}
