package ops

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	graph.Register("ai.onnx.ml", 1, OneHotEncoder{}, CategoryMapper{}, FeatureVectorizer{}, ZipMap{})
}

// OneHotEncoder makes of each element a row with 1 at its category: [...] gives [..., categories] of float32. An element
// of no category gives zeros, or an error if Zeros is false. Floats are truncated to integers.
type OneHotEncoder struct {
	Ints    []int    `attr:"cats_int64s"`
	Strings []string `attr:"cats_strings"`
	Zeros   bool     `attr:"zeros" default:"1"`
}

// Infer gives one more axis.
func (o OneHotEncoder) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 1, 1); err != nil {
		return nil, err
	}
	if (len(o.Ints) == 0) == (len(o.Strings) == 0) {
		return nil, fmt.Errorf("attributes cats_int64s and cats_strings: want one of them")
	}
	if in[0].Unranked {
		return []graph.Type{graph.AnyRank(tensor.Float32)}, nil
	}
	shape := append(append([]graph.Dim{}, in[0].Shape...), graph.Fixed(max(len(o.Ints), len(o.Strings))))
	return []graph.Type{graph.Of(tensor.Float32, shape...)}, nil
}

// Run looks each element up; of equal categories the last counts.
func (o OneHotEncoder) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	t := in[0]
	if (t.DType == tensor.String) != (len(o.Strings) > 0) {
		return fmt.Errorf("the categories are of another kind than %s", t.DType)
	}
	keys := keysOf(t)
	if t.IsFloat() {
		keys = mapSlice(tensor.Float64s(t), func(v float64) any { return int64(v) })
	}
	categories := listTensor(nil, nil, o.Ints, o.Strings)
	if len(o.Strings) == 0 {
		categories = listTensor(nil, nil, o.Ints, nil)
	}
	table, n := map[any]int{}, categories.Len()
	for i, k := range keysOf(categories) {
		table[k] = i
	}
	r := make([]float32, len(keys)*n)
	for i, k := range keys {
		at, ok := table[k]
		switch {
		case ok:
			r[i*n+at] = 1
		case !o.Zeros:
			return fmt.Errorf("element %d, %v, is of no category", i, k)
		}
	}
	return setReals(x.Make(out[0], tensor.Float32, append(append([]int{}, t.Shape...), n)...), r)
}

// CategoryMapper turns strings into the integers that stand at the same place, and integers into strings.
type CategoryMapper struct {
	Ints          []int    `attr:"cats_int64s"`
	Strings       []string `attr:"cats_strings"`
	DefaultInt    int      `attr:"default_int64" default:"-1"`
	DefaultString string   `attr:"default_string" default:"_Unused"`
}

// encoder is the LabelEncoder that does the same.
func (o CategoryMapper) encoder(d tensor.DType) (LabelEncoder, error) {
	e := LabelEncoder{DefaultInt: o.DefaultInt, DefaultString: o.DefaultString}
	if len(o.Ints) != len(o.Strings) {
		return e, fmt.Errorf("attributes cats_int64s and cats_strings have %d and %d elements", len(o.Ints), len(o.Strings))
	}
	ints, texts := append([]int{}, o.Ints...), append([]string{}, o.Strings...)
	switch d {
	case tensor.String:
		e.KeyStrings, e.ValueInts = texts, ints
	case tensor.Int64:
		e.KeyInts, e.ValueStrings = ints, texts
	default:
		return e, fmt.Errorf("input 0: want strings or int64, got %s", d)
	}
	return e, nil
}

// Infer gives the input's shape with elements of the other kind.
func (o CategoryMapper) Infer(in []graph.Fact, outs int) ([]graph.Type, error) {
	if err := want(in, 1, 1); err != nil {
		return nil, err
	}
	if in[0].DType == tensor.Undefined {
		return []graph.Type{graph.AnyRank(tensor.Undefined)}, nil
	}
	e, err := o.encoder(in[0].DType)
	if err != nil {
		return nil, err
	}
	return e.Infer(in, outs)
}

// Run looks each element up.
func (o CategoryMapper) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	e, err := o.encoder(in[0].DType)
	if err != nil {
		return err
	}
	return e.Run(x, in, out)
}

// FeatureVectorizer puts the features of its inputs, each [N, F] or one row [F], side by side in float32. Widths says how many
// columns each input has there; what is missing is 0, what is more is left out.
type FeatureVectorizer struct {
	Widths []int `attr:"inputdimensions"`
}

// total gives the width of a row.
func (o FeatureVectorizer) total(inputs int) (total int, err error) {
	if len(o.Widths) != inputs {
		return 0, fmt.Errorf("attribute inputdimensions has %d elements for %d inputs", len(o.Widths), inputs)
	}
	for i, w := range o.Widths {
		if total += w; w < 0 || wantTargets("inputdimensions", total+1) != nil {
			return 0, fmt.Errorf("attribute inputdimensions: %d for input %d", w, i)
		}
	}
	return total, nil
}

// Infer gives [N, sum of Widths].
func (o FeatureVectorizer) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 1, -1); err != nil {
		return nil, err
	}
	total, err := o.total(len(in))
	if err != nil {
		return nil, err
	}
	n := graph.Dim{}
	if f := in[0]; !f.Unranked && len(f.Shape) == 1 {
		n = graph.Fixed(1)
	} else if !f.Unranked && len(f.Shape) > 1 {
		n = f.Shape[0]
	}
	return []graph.Type{graph.Of(tensor.Float32, n, graph.Fixed(total))}, nil
}

// Run wants as many rows in each input as in the first.
func (o FeatureVectorizer) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	total, err := o.total(len(in))
	if err != nil {
		return err
	}
	var r []float32
	n, from := 0, 0
	for i, t := range in {
		if t == nil {
			return fmt.Errorf("input %d is missing", i)
		}
		if len(t.Shape) > 2 {
			t = t.Reshape(t.Shape[0], tensor.Size(t.Shape[1:]))
		}
		rows, _, err := matrix[float32](t)
		if err != nil {
			return fmt.Errorf("input %d: %w", i, err)
		}
		if i == 0 {
			n = len(rows)
			r = make([]float32, n*total)
		}
		if len(rows) != n {
			return fmt.Errorf("input %d has %d rows, input 0 has %d", i, len(rows), n)
		}
		for j, row := range rows {
			copy(r[j*total+from:j*total+from+o.Widths[i]], row)
		}
		from += o.Widths[i]
	}
	return setReals(x.Make(out[0], tensor.Float32, n, total), r)
}

// ZipMap names the columns of scores [N, C] by the classes. In ONNX its result is a sequence of maps from class to score;
// here, where no type is a map, it is the scores as they came.
type ZipMap struct {
	LabelInts  []int    `attr:"classlabels_int64s"`
	LabelTexts []string `attr:"classlabels_strings"`
}

// Infer gives the type of the scores.
func (o ZipMap) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if _, err := rowCount(in); err != nil {
		return nil, err
	}
	l, err := labelsOf(o.LabelInts, o.LabelTexts)
	if err != nil {
		return nil, err
	}
	if !in[0].Unranked {
		if c, ok := in[0].Shape[len(in[0].Shape)-1].Value(); ok && c != l.Len() {
			return nil, fmt.Errorf("there are %d classes for %d scores", l.Len(), c)
		}
	}
	return []graph.Type{in[0].Type}, nil
}

// Run copies the scores.
func (ZipMap) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	copy(x.Make(out[0], in[0].DType, in[0].Shape...).Data, in[0].Data)
	return nil
}
