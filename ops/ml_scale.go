package ops

import (
	"fmt"
	"math"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("ai.onnx.ml", 1, Scaler{}, Normalizer{}, Imputer{}) }

// Scaler is (x - Offset)·Scale in float32, with one offset and scale or one for each feature (axis 1; of a vector, axis 0).
type Scaler struct {
	Offset []float32 `attr:"offset"`
	Scale  []float32 `attr:"scale"`
}

// Infer gives the input's shape in float32.
func (o Scaler) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if len(o.Scale) == 0 || len(o.Scale) != len(o.Offset) {
		return nil, fmt.Errorf("attributes scale and offset have %d and %d elements", len(o.Scale), len(o.Offset))
	}
	return inferFloats(in)
}

// inferFloats gives the type of input 0 with elements of float32.
func inferFloats(in []graph.Fact) ([]graph.Type, error) {
	if err := want(in, 1, 1); err != nil {
		return nil, err
	}
	t := in[0].Type
	t.DType = tensor.Float32
	return []graph.Type{t}, nil
}

// perFeature gives the index of the feature that each element belongs to: axis 1, of a vector axis 0. One value serves all.
func perFeature(attribute string, t *tensor.Tensor, n int) (func(i int) int, error) {
	if len(t.Shape) == 0 {
		return nil, fmt.Errorf("input 0 is a scalar")
	}
	width := t.Shape[min(1, len(t.Shape)-1)]
	switch n {
	case width:
		return func(i int) int { return i % n }, nil
	case 1:
		return func(int) int { return 0 }, nil
	}
	return nil, fmt.Errorf("attribute %s has %d elements for %d features", attribute, n, width)
}

// Run computes in float64 if the input is.
func (o Scaler) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	if in[0].DType == tensor.Float64 {
		return scaleFeatures[float64](o, x, in[0], out[0])
	}
	return scaleFeatures[float32](o, x, in[0], out[0])
}

func scaleFeatures[T mlFloat](o Scaler, x *graph.Exec, in, out *tensor.Tensor) error {
	of, err := perFeature("scale", in, len(o.Scale))
	if err != nil {
		return err
	}
	v := slices.Clone(reals[T](in))
	for i, e := range v {
		v[i] = (e - T(o.Offset[of(i)])) * T(o.Scale[of(i)])
	}
	return setReals(x.Make(out, tensor.Float32, in.Shape...), v)
}

// Normalizer divides each row of [N, F], or [F], by its largest element (MAX), the sum of its absolute values (L1) or its
// Euclidean length (L2), in float32; a row where that is 0 stays.
type Normalizer struct {
	Norm string `attr:"norm" default:"MAX"`
}

// rowNorms gives what a row is divided by, of which sums are in float32.
var rowNorms = map[string]func([]float32) float32{
	"MAX": func(row []float32) float32 {
		m := float32(-math.MaxFloat32)
		for _, v := range row {
			if v > m {
				m = v
			}
		}
		return m
	},
	"L1": func(row []float32) (sum float32) {
		for _, v := range row {
			sum += float32(math.Abs(float64(v)))
		}
		return sum
	},
	"L2": func(row []float32) float32 {
		var sum float32
		for _, v := range row {
			sum += float32(v * v)
		}
		return float32(math.Sqrt(float64(sum)))
	},
}

// Infer gives the input's shape in float32.
func (Normalizer) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if _, err := rowCount(in); err != nil {
		return nil, err
	}
	return inferFloats(in)
}

// Run divides row by row.
func (o Normalizer) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	norm, err := named("norm", rowNorms, o.Norm)
	if err != nil {
		return err
	}
	rows, _, err := matrix[float32](in[0])
	if err != nil {
		return err
	}
	r := []float32{}
	for _, row := range rows {
		n := norm(row)
		for _, v := range row {
			if n != 0 {
				v /= n
			}
			r = append(r, v)
		}
	}
	return setReals(x.Make(out[0], tensor.Float32, in[0].Shape...), r)
}

// Imputer replaces one value, by default 0, that stands for what is missing: by one number, or by one for each feature (axis
// 1; of a vector, axis 0). A NaN to be replaced means every NaN.
type Imputer struct {
	Floats       []float32 `attr:"imputed_value_floats"`
	Ints         []int     `attr:"imputed_value_int64s"`
	MissingFloat float32   `attr:"replaced_value_float"`
	MissingInt   int       `attr:"replaced_value_int64"`
}

// Infer gives the type of the input.
func (o Imputer) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 1, 1); err != nil {
		return nil, err
	}
	if (len(o.Floats) == 0) == (len(o.Ints) == 0) {
		return nil, fmt.Errorf("attributes imputed_value_floats and imputed_value_int64s: want one of them")
	}
	return []graph.Type{in[0].Type}, nil
}

// Run takes the attributes of the input's kind.
func (o Imputer) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	t := in[0]
	switch {
	case t.IsFloat() && len(o.Floats) > 0:
		of, err := perFeature("imputed_value_floats", t, len(o.Floats))
		if err != nil {
			return err
		}
		v, missing := slices.Clone(tensor.Float64s(t)), float64(o.MissingFloat)
		for i, e := range v {
			if e == missing || e != e && missing != missing {
				v[i] = float64(o.Floats[of(i)])
			}
		}
		return tensor.SetFloat64s(x.Make(out[0], t.DType, t.Shape...), v)
	case t.IsInt() && len(o.Ints) > 0:
		of, err := perFeature("imputed_value_int64s", t, len(o.Ints))
		if err != nil {
			return err
		}
		v := slices.Clone(tensor.Ints(t))
		for i, e := range v {
			if e == int64(o.MissingInt) {
				v[i] = int64(o.Ints[of(i)])
			}
		}
		return tensor.SetInts(x.Make(out[0], t.DType, t.Shape...), v)
	}
	return fmt.Errorf("there are no imputed values for %s", t.DType)
}
