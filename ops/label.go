package ops

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	graph.Register("ai.onnx.ml", 1, Binarizer{}, ArrayFeatureExtractor{})
	graph.Register("ai.onnx.ml", 2, LabelEncoder{})
}

// Binarizer is 1 above the threshold, else 0.
type Binarizer struct {
	Threshold float32 `attr:"threshold"`
	unary
}

func (o Binarizer) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	above := func(v float64) int64 {
		if v > float64(o.Threshold) {
			return 1
		}
		return 0
	}
	return arith1{
		i: func(v int64) int64 { return above(float64(v)) },
		u: func(v uint64) uint64 { return uint64(above(float64(v))) },
		f: func(v float64) float64 { return float64(above(v)) },
	}.run(x, in, out)
}

// ArrayFeatureExtractor takes the columns that input 1 lists from the last axis; of a vector it makes one row.
type ArrayFeatureExtractor struct{}

// Infer gives the shape with as many columns as input 1 has elements.
func (ArrayFeatureExtractor) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 2); err != nil {
		return nil, err
	}
	t, n := in[0].Type, graph.Dim{}
	if !in[1].Unranked {
		n = graph.SizeOf(in[1].Shape)
	}
	if t.Unranked {
		return []graph.Type{t}, nil
	}
	switch len(t.Shape) {
	case 0:
		return nil, fmt.Errorf("input 0 is a scalar")
	case 1:
		t.Shape = []graph.Dim{graph.Fixed(1), n}
	default:
		t.Shape = append(append([]graph.Dim{}, t.Shape[:len(t.Shape)-1]...), n)
	}
	return []graph.Type{t}, nil
}

func (ArrayFeatureExtractor) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	t, columns := in[0], tensor.Ints(in[1])
	if len(t.Shape) == 0 {
		return fmt.Errorf("input 0 is a scalar")
	}
	width := t.Shape[len(t.Shape)-1]
	for _, c := range columns {
		if c < 0 || c >= int64(width) {
			return fmt.Errorf("column %d is outside of %d", c, width)
		}
	}
	shape := []int{1, len(columns)}
	if len(t.Shape) > 1 {
		shape = append(append([]int{}, t.Shape[:len(t.Shape)-1]...), len(columns))
	}
	o := x.Make(out[0], t.DType, shape...)
	for i := range tensor.Size(shape) {
		copyElement(o, i, t, i/len(columns)*width+int(columns[i%len(columns)]))
	}
	return nil
}

// LabelEncoder maps each element by a table: one list of keys, of the input's type, and one of values.
type LabelEncoder struct {
	DefaultFloat  float32        `attr:"default_float" default:"-0"`
	DefaultInt    int            `attr:"default_int64" default:"-1"`
	DefaultString string         `attr:"default_string" default:"_Unused"`
	DefaultTensor *tensor.Tensor `attr:"default_tensor"`
	KeyFloats     []float32      `attr:"keys_floats"`
	KeyInts       []int          `attr:"keys_int64s"`
	KeyStrings    []string       `attr:"keys_strings"`
	KeyTensor     *tensor.Tensor `attr:"keys_tensor"`
	ValueFloats   []float32      `attr:"values_floats"`
	ValueInts     []int          `attr:"values_int64s"`
	ValueStrings  []string       `attr:"values_strings"`
	ValueTensor   *tensor.Tensor `attr:"values_tensor"`
}

// Infer gives the input's shape with the type of the values.
func (o LabelEncoder) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 1, 1); err != nil {
		return nil, err
	}
	values, _ := o.values()
	if values == nil {
		return nil, fmt.Errorf("values are missing")
	}
	t := in[0].Type
	t.DType = values.DType
	return []graph.Type{t}, nil
}

// listTensor gives the one of four forms of a list that is there, nil if none is.
func listTensor(t *tensor.Tensor, f []float32, i []int, s []string) *tensor.Tensor {
	switch {
	case t != nil:
		return t
	case s != nil:
		return tensor.FromStrings(s, len(s))
	case i != nil:
		return tensor.From(mapSlice(i, func(v int) int64 { return int64(v) }), len(i))
	case f != nil:
		return tensor.From(append([]float32{}, f...), len(f))
	}
	return nil
}

// values gives the values and what stands for an unknown key, of one type.
func (o LabelEncoder) values() (values, missing *tensor.Tensor) {
	values = listTensor(o.ValueTensor, o.ValueFloats, o.ValueInts, o.ValueStrings)
	switch {
	case values == nil:
		return nil, nil
	case o.DefaultTensor != nil && o.DefaultTensor.DType == values.DType && o.DefaultTensor.Len() > 0:
		return values, o.DefaultTensor
	case values.DType == tensor.String:
		return values, tensor.FromStrings([]string{o.DefaultString}, 1)
	}
	missing = tensor.New(values.DType, 1)
	v := float64(o.DefaultFloat)
	if values.IsInt() {
		v = float64(o.DefaultInt)
	}
	if err := tensor.SetFloat64s(missing, []float64{v}); err != nil {
		return nil, nil
	}
	return values, missing
}

// Table gives the keys, the values and what an unknown key gets; nil if they do not belong together.
func (o LabelEncoder) Table() (keys, values, missing *tensor.Tensor) {
	keys = listTensor(o.KeyTensor, o.KeyFloats, o.KeyInts, o.KeyStrings)
	values, missing = o.values()
	if keys == nil || values == nil || keys.Len() != values.Len() {
		return nil, nil, nil
	}
	return keys, values, missing
}

// notANumber stands for every NaN as a key.
type notANumber struct{}

// keysOf gives elements as comparable values.
func keysOf(t *tensor.Tensor) []any {
	switch {
	case t.DType == tensor.String:
		return mapSlice(t.Strings, func(s string) any { return s })
	case t.IsFloat():
		return mapSlice(tensor.Float64s(t), func(v float64) any {
			if v != v {
				return notANumber{}
			}
			return v
		})
	}
	return mapSlice(tensor.Ints(t), func(v int64) any { return v })
}

// Run computes the reference result; of equal keys the last counts.
func (o LabelEncoder) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	keys, values, missing := o.Table()
	if keys == nil {
		return fmt.Errorf("keys and values do not match")
	}
	if keys.DType != in[0].DType {
		return fmt.Errorf("keys are %s, the input is %s", keys.DType, in[0].DType)
	}
	table := map[any]int{}
	for i, k := range keysOf(keys) {
		table[k] = i
	}
	r := x.Make(out[0], values.DType, in[0].Shape...)
	for i, k := range keysOf(in[0]) {
		if at, ok := table[k]; ok {
			copyElement(r, i, values, at)
		} else {
			copyElement(r, i, missing, 0)
		}
	}
	return nil
}
