package ops

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 13, Resize{}) }

// Resize resamples X along Axes (none: all) to sizes or by scales; inputs are X, roi [2·axes] (starts, then ends, for
// tf_crop_and_resize), scales and sizes, of which one is given. Cubic interpolation is Keys' ("Cubic convolution
// interpolation for digital image processing", equation 4). Beyond the border the edge is repeated unless ExcludeOutside.
type Resize struct {
	Antialias                    bool    `attr:"antialias" default:"0"`
	Axes                         []int   `attr:"axes"`
	CoordinateTransformationMode string  `attr:"coordinate_transformation_mode" default:"half_pixel"`
	CubicCoeffA                  float32 `attr:"cubic_coeff_a" default:"-0.75"`
	ExcludeOutside               bool    `attr:"exclude_outside" default:"0"`
	ExtrapolationValue           float32 `attr:"extrapolation_value" default:"0"`
	KeepAspectRatioPolicy        string  `attr:"keep_aspect_ratio_policy" default:"stretch"`
	Mode                         string  `attr:"mode" default:"nearest"`
	NearestMode                  string  `attr:"nearest_mode" default:"round_prefer_floor"`
}

// Quant says that nearest only moves data.
func (o Resize) Quant() graph.Quant { return graph.Quant{Moves: o.Mode == "nearest"} }

// Traits says that cropping beyond the input fills in a number.
func (o Resize) Traits() graph.Traits {
	if o.CoordinateTransformationMode == "tf_crop_and_resize" {
		return graph.Traits{Fill: graph.FillNumber}
	}
	return graph.Traits{}
}

// Cost counts the taps of separable interpolation, one axis after the other.
func (o Resize) Cost(in, out []graph.Type) graph.Cost {
	n, ok := graph.SizeOf(out[0].Shape).Value()
	taps := map[string]int64{"linear": 2, "cubic": 4}[o.Mode]
	if !ok {
		return graph.Cost{}
	}
	axes := 0
	for i, d := range out[0].Shape {
		if i < len(in[0].Shape) && d != in[0].Shape[i] {
			axes++
		}
	}
	return graph.Cost{MACs: taps * int64(axes) * int64(n), Ops: int64(n)}
}

func (o Resize) check() error {
	var errs []error
	for _, a := range []struct {
		name, value string
		ok          bool
	}{
		{"mode", o.Mode, o.Mode == "nearest" || o.Mode == "linear" || o.Mode == "cubic"},
		{"nearest_mode", o.NearestMode, nearestModes[o.NearestMode] != nil},
		{"coordinate_transformation_mode", o.CoordinateTransformationMode, coordinateModes[o.CoordinateTransformationMode]},
		{"keep_aspect_ratio_policy", o.KeepAspectRatioPolicy, aspectPolicies[o.KeepAspectRatioPolicy]},
	} {
		if !a.ok {
			errs = append(errs, fmt.Errorf("unknown %s %q", a.name, a.value))
		}
	}
	return errors.Join(errs...)
}

var aspectPolicies = map[string]bool{"stretch": true, "not_larger": true, "not_smaller": true}

// axes resolves Axes for a rank.
func (o Resize) axes(r int) ([]int, error) {
	if o.Axes == nil {
		all := make([]int, r)
		for i := range all {
			all[i] = i
		}
		return all, nil
	}
	var out []int
	seen := map[int]bool{}
	for _, a := range o.Axes {
		n, err := axis(a, r)
		if err != nil {
			return nil, err
		}
		if seen[n] {
			return nil, fmt.Errorf("axis %d is given twice", n)
		}
		seen[n] = true
		out = append(out, n)
	}
	return out, nil
}

// Infer gives the type of X with the new sizes.
func (o Resize) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := errors.Join(want(in, 1, 4), o.check()); err != nil {
		return nil, err
	}
	d := in[0].DType
	if in[0].Unranked {
		return []graph.Type{graph.AnyRank(d)}, nil
	}
	axes, err := o.axes(len(in[0].Shape))
	if err != nil {
		return nil, err
	}
	shape := append([]graph.Dim{}, in[0].Shape...)
	for _, a := range axes {
		shape[a] = graph.Dim{}
	}
	scales, sizes := fact(in, 2), fact(in, 3)
	switch {
	case scales.Const != nil && scales.Const.Len() > 0:
		err = inferScaled(shape, in[0].Shape, axes, tensor.Floats(scales.Const))
	case sizes.Given():
		if elems, ok := sizes.Elements(); ok {
			err = o.inferSized(shape, in[0].Shape, axes, elems)
		}
	}
	return []graph.Type{graph.Of(d, shape...)}, err
}

func inferScaled(shape, in []graph.Dim, axes []int, scales []float32) error {
	if len(scales) != len(axes) {
		return fmt.Errorf("%d scales for %d axes", len(scales), len(axes))
	}
	for i, a := range axes {
		n, fixed := in[a].Value()
		switch s := scales[i]; {
		case !(s > 0) || s > 1<<30:
			return fmt.Errorf("scale %v", s)
		case fixed:
			shape[a] = graph.Fixed(scaledSize(n, s))
		case s == float32(int(s)):
			shape[a] = in[a].Mul(graph.Fixed(int(s)))
		}
	}
	return nil
}

// scaledSize is floor(n·scale) in float32, as ONNX Runtime computes it.
func scaledSize(n int, scale float32) int { return int(float32(n) * scale) }

func (o Resize) inferSized(shape, in []graph.Dim, axes []int, sizes []graph.Dim) error {
	if len(sizes) != len(axes) {
		return fmt.Errorf("%d sizes for %d axes", len(sizes), len(axes))
	}
	if o.KeepAspectRatioPolicy == "stretch" {
		for i, a := range axes {
			shape[a] = sizes[i]
		}
		return nil
	}
	from, ok := graph.FixedShape(in)
	to, both := graph.FixedShape(sizes)
	if !ok || !both {
		return nil
	}
	for i, r := range o.sized(from, axes, to) {
		shape[axes[i]] = graph.Fixed(r.out)
	}
	return nil
}

// resampling is what happens along one axis. target is the size before it is rounded to out.
type resampling struct {
	in, out       int
	scale, target float64
	start, end    float64 // roi
}

func (o Resize) sized(shape, axes, sizes []int) []resampling {
	out := make([]resampling, len(axes))
	common := 0.0
	for i, a := range axes {
		s := float64(sizes[i]) / float64(shape[a])
		out[i] = resampling{in: shape[a], out: sizes[i], scale: s, target: float64(sizes[i]), end: 1}
		if i == 0 || o.KeepAspectRatioPolicy == "not_larger" && s < common || o.KeepAspectRatioPolicy == "not_smaller" && s > common {
			common = s
		}
	}
	for i := range out {
		if r := &out[i]; o.KeepAspectRatioPolicy != "stretch" {
			r.scale, r.target = common, common*float64(r.in)
			r.out = int(math.Floor(r.target + 0.5))
		}
	}
	return out
}

// plan works out each axis from the inputs.
func (o Resize) plan(in []*tensor.Tensor, axes []int) ([]resampling, error) {
	var plan []resampling
	switch {
	case in[2] != nil && in[2].Len() > 0:
		scales := tensor.Floats(in[2])
		if len(scales) != len(axes) {
			return nil, fmt.Errorf("%d scales for %d axes", len(scales), len(axes))
		}
		for i, a := range axes {
			s, n := scales[i], in[0].Shape[a]
			if !(s > 0) || s > 1<<30 {
				return nil, fmt.Errorf("scale %v", s)
			}
			plan = append(plan, resampling{in: n, out: scaledSize(n, s), scale: float64(s), target: float64(s) * float64(n), end: 1})
		}
	case in[3] != nil:
		var sizes []int
		for _, n := range tensor.Ints(in[3]) {
			sizes = append(sizes, int(min(max(n, -1), 1<<40)))
		}
		if len(sizes) != len(axes) {
			return nil, fmt.Errorf("%d sizes for %d axes", len(sizes), len(axes))
		}
		plan = o.sized(in[0].Shape, axes, sizes)
	default:
		return nil, errors.New("neither scales nor sizes are given")
	}
	if in[1] == nil || in[1].Len() == 0 {
		return plan, nil
	}
	roi := tensor.Float64s(in[1])
	for i := range plan {
		if len(roi) != 2*len(axes) {
			return nil, fmt.Errorf("roi has %d elements, want %d", len(roi), 2*len(axes))
		}
		plan[i].start, plan[i].end = roi[i], roi[i+len(axes)]
	}
	return plan, nil
}

func (o Resize) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	in = allInputs(in, 4)
	if err := o.check(); err != nil {
		return err
	}
	axes, err := o.axes(len(in[0].Shape))
	if err != nil {
		return err
	}
	plan, err := o.plan(in, axes)
	if err != nil {
		return err
	}
	shape := append([]int{}, in[0].Shape...)
	for i, r := range plan {
		if r.in == 0 && r.out > 0 {
			return fmt.Errorf("axis %d is empty and cannot become %d", axes[i], r.out)
		}
		shape[axes[i]] = r.out
	}
	if err := checkSize(in[0].DType, shape); err != nil {
		return err
	}
	if tensor.Size(shape) == 0 {
		x.Make(out[0], in[0].DType, shape...)
		return nil
	}
	if o.Mode == "nearest" {
		return o.runNearest(x, in[0], out[0], axes, plan)
	}
	v := tensor.Float64s(in[0])
	if v == nil && in[0].Len() > 0 {
		return fmt.Errorf("no %s interpolation of %s", o.Mode, in[0].DType)
	}
	at := append([]int{}, in[0].Shape...)
	for i, r := range plan {
		if r.in == r.out && r.scale == 1 && r.start == 0 && r.end == 1 {
			continue
		}
		at[axes[i]] = r.out
		if err := checkSize(tensor.Float64, at); err != nil {
			return err
		}
		v = apply(v, o.taps(r), tensor.Size(at[axes[i]+1:]), r, float64(o.ExtrapolationValue))
	}
	clampTo(v, in[0].DType)
	return tensor.SetFloat64s(x.Make(out[0], in[0].DType, shape...), v)
}

// Links ties the axes that keep their size.
func (o Resize) Links(in, out []graph.Fact) []graph.Link {
	if in[0].Unranked || out[0].Rank() != len(in[0].Shape) || o.KeepAspectRatioPolicy != "stretch" {
		return nil
	}
	if sizes := fact(in, 3); sizes.Given() && sizes.Const == nil {
		return nil
	}
	var links []graph.Link
	for a, d := range in[0].Shape {
		if d == out[0].Shape[a] {
			links = append(links, tie(d, given(0, a), made(0, a))...)
		}
	}
	return links
}

// Fit writes the sizes that are left into the input of that name.
func (o Resize) Fit(c graph.Cut) (graph.Op, []*tensor.Tensor, error) {
	sizes := fact(c.In, 3)
	if !sizes.Given() {
		return o, nil, nil
	}
	at, err := o.axes(len(c.In[0].Shape))
	if err != nil {
		return nil, nil, err
	}
	v := append([]int64{}, tensor.Ints(sizes.Const)...)
	for i, a := range at[:min(len(at), len(v))] {
		if n, ok := c.Left(true, 0, a); ok {
			v[i] = int64(n)
		}
	}
	return o, []*tensor.Tensor{nil, nil, nil, tensor.From(v, len(v))}, nil
}

// Permute moves scales, sizes and region along with their axes.
func (o Resize) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	p, ok := alike(in, outs, 1, order)
	if !ok {
		return p, false
	}
	if o.Axes != nil { // the lists keep their order
		at, err := o.axes(len(order))
		if err != nil {
			return p, false
		}
		o.Axes = make([]int, len(at))
		for i, a := range at {
			o.Axes[i] = slices.Index(order, a)
		}
		p.Op = o
		return p, true
	}
	p.Const = map[int]*tensor.Tensor{}
	for i := 1; i < len(in); i++ {
		f := in[i]
		if !f.Given() || f.Const != nil && f.Const.Len() == 0 {
			continue
		}
		if f.Const == nil || f.Const.Len()%len(order) != 0 {
			return p, false
		}
		index := slices.Clone(order)
		if f.Const.Len() == 2*len(order) { // the region: starts, then ends
			for _, a := range order {
				index = append(index, a+len(order))
			}
		}
		p.Const[i] = picked(f.Const, index)
	}
	return p, true
}

// clampTo clamps to the range of an integer type of at most 32 bits.
func clampTo(v []float64, d tensor.DType) {
	if !d.IsInt() || d.Bits() > 32 {
		return
	}
	lo, hi := 0.0, math.Ldexp(1, d.Bits())-1
	if d.IsSigned() {
		lo, hi = -math.Ldexp(1, d.Bits()-1), math.Ldexp(1, d.Bits()-1)-1
	}
	for i, e := range v {
		v[i] = min(max(e, lo), hi)
	}
}
