package ops

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tfsopt/tfsopt/codec"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("tfsopt", 1, ParseExample{}) }

// ParseExample reads features out of encoded tf.Examples, a vector of them or one scalar, as TensorFlow's ParseExampleV2 does.
// Input 0 are the examples, input 1+i is what stands for dense feature i where an example lacks it; omitted, the feature is
// required. Outputs, for each feature of a kind in turn: of the sparse ones the indices [n, 2] ([n, 1] of one example), the
// values [n] and the shapes; the dense ones; of the ragged ones the values and the row splits [examples+1].
//
// Types are float32, int64 and string. DenseShapes are written "2,3", "" for one number; the first size may be -1: as many as the
// longest example has, shorter ones filled with the one element of the input.
type ParseExample struct {
	SparseKeys  []string `attr:"sparse_keys"`
	SparseTypes []int    `attr:"sparse_types"`
	DenseKeys   []string `attr:"dense_keys"`
	DenseTypes  []int    `attr:"dense_types"`
	DenseShapes []string `attr:"dense_shapes"`
	RaggedKeys  []string `attr:"ragged_keys"`
	RaggedTypes []int    `attr:"ragged_types"`
	SplitTypes  []int    `attr:"split_types"` // int32 or int64, of the row splits
}

// Infer checks the attributes and gives the types that they name.
func (o ParseExample) Infer(in []graph.Fact, outs int) ([]graph.Type, error) {
	shapes, err := o.shapes()
	if err != nil {
		return nil, err
	}
	if err := want(in, 1, 1+len(shapes)); err != nil {
		return nil, err
	}
	batch, known := in[0].Shape, !in[0].Unranked
	if in[0].DType != tensor.String || len(batch) > 1 {
		return nil, fmt.Errorf("input 0: want a vector of strings or one, got %s", in[0].Type)
	}
	var indices, values, ends, dense, rvalues, splits []graph.Type
	for _, d := range o.SparseTypes {
		index, end := graph.Of(tensor.Int64, graph.Dim{}, graph.Fixed(1+len(batch))), graph.Of(tensor.Int64, graph.Fixed(1+len(batch)))
		if !known {
			index.Shape[1], end.Shape[0] = graph.Dim{}, graph.Dim{}
		}
		indices, ends = append(indices, index), append(ends, end)
		values = append(values, graph.Of(tensor.DType(d), graph.Dim{}))
	}
	for i, s := range shapes {
		t := graph.AnyRank(tensor.DType(o.DenseTypes[i]))
		if known {
			t = graph.Of(t.DType, slices.Concat(batch, graph.Dims(s...))...)
			if len(s) > 0 && s[0] < 0 {
				t.Shape[len(batch)] = graph.Dim{}
			}
		}
		dense = append(dense, t)
	}
	for i, d := range o.RaggedTypes {
		rvalues = append(rvalues, graph.Of(tensor.DType(d), graph.Dim{}))
		splits = append(splits, graph.Of(tensor.DType(o.SplitTypes[i]), graph.Dim{}))
	}
	types := slices.Concat(indices, values, ends, dense, rvalues, splits)
	if outs > len(types) {
		return nil, fmt.Errorf("%d outputs, the attributes name %d", outs, len(types))
	}
	return types, nil
}

// shapes checks that the attributes belong together and reads the shapes of the dense features.
func (o ParseExample) shapes() ([][]int, error) {
	if len(o.SparseKeys) != len(o.SparseTypes) || len(o.DenseKeys) != len(o.DenseTypes) || len(o.DenseKeys) != len(o.DenseShapes) ||
		len(o.RaggedKeys) != len(o.RaggedTypes) || len(o.RaggedKeys) != len(o.SplitTypes) {
		return nil, errors.New("keys, types and shapes differ in number")
	}
	for _, d := range slices.Concat(o.SparseTypes, o.DenseTypes, o.RaggedTypes) {
		if featureKinds[tensor.DType(d)] == codec.NoFeature {
			return nil, fmt.Errorf("features cannot be %s", tensor.DType(d))
		}
	}
	for _, d := range o.SplitTypes {
		if t := tensor.DType(d); t != tensor.Int32 && t != tensor.Int64 {
			return nil, fmt.Errorf("row splits cannot be %s", t)
		}
	}
	out := make([][]int, len(o.DenseShapes))
	for i, s := range o.DenseShapes {
		out[i] = []int{}
		if s == "" {
			continue
		}
		for at, word := range strings.Split(s, ",") {
			n, err := strconv.Atoi(word)
			if err != nil || n < -1 || n < 0 && at > 0 {
				return nil, fmt.Errorf("feature %q has the shape %q", o.DenseKeys[i], s)
			}
			out[i] = append(out[i], n)
		}
		if _, err := tensor.CheckedSize(slices.DeleteFunc(slices.Clone(out[i]), func(n int) bool { return n < 0 })); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// featureKinds are the lists that hold a type; featureNames is how TensorFlow calls it.
var (
	featureKinds = map[tensor.DType]codec.FeatureKind{
		tensor.Float32: codec.FloatFeature, tensor.Int64: codec.IntFeature, tensor.String: codec.BytesFeature,
	}
	featureNames = map[codec.FeatureKind]string{codec.FloatFeature: "float", codec.IntFeature: "int64", codec.BytesFeature: "string"}
)

// feature is one of an example's, for all examples; an absent one has no kind.
type feature struct {
	key   string
	dtype tensor.DType
	lists []codec.Feature
}

// Run reads the examples. Errors have TensorFlow's words, which clients of its server know.
func (o ParseExample) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	shapes, err := o.shapes()
	if err != nil {
		return err
	}
	examples := make([]codec.Example, in[0].Len())
	for i, s := range in[0].Strings {
		if examples[i], err = codec.ParseExample([]byte(s)); err != nil {
			return fmt.Errorf("Could not parse example input, value: '%s'", s)
		}
	}
	p := exampleParser{x, len(in[0].Shape), out}
	sparse, dense, ragged := len(o.SparseKeys), len(o.DenseKeys), len(o.RaggedKeys)
	for i, key := range o.SparseKeys {
		f, err := gatherFeature(examples, key, o.SparseTypes[i])
		if err != nil {
			return err
		}
		p.sparse(f, i, sparse)
	}
	for i, key := range o.DenseKeys {
		f, err := gatherFeature(examples, key, o.DenseTypes[i])
		if err != nil {
			return err
		}
		var missing *tensor.Tensor
		if 1+i < len(in) {
			missing = in[1+i]
		}
		if err := p.dense(f, denseOut{3*sparse + i, shapes[i], missing}); err != nil {
			return err
		}
	}
	for i, key := range o.RaggedKeys {
		f, err := gatherFeature(examples, key, o.RaggedTypes[i])
		if err != nil {
			return err
		}
		at := 3*sparse + dense + i
		p.values(f, at)
		if err := p.splits(f, at+ragged, tensor.DType(o.SplitTypes[i])); err != nil {
			return err
		}
	}
	return nil
}

// gatherFeature collects one feature of all examples and checks its type.
func gatherFeature(examples []codec.Example, key string, d int) (feature, error) {
	f := feature{key, tensor.DType(d), make([]codec.Feature, len(examples))}
	want := featureKinds[f.dtype]
	for i, e := range examples {
		f.lists[i] = e[key]
		if k := f.lists[i].Kind; k != codec.NoFeature && k != want {
			return f, fmt.Errorf("Name: <unknown>, Key: %s, Index: %d.  Data types don't match. Data type: %s but expected type: %s",
				key, i, featureNames[k], featureNames[want])
		}
	}
	return f, nil
}

// exampleParser writes features to the outputs of ParseExample; rank is that of the examples.
type exampleParser struct {
	x    *graph.Exec
	rank int
	out  []*tensor.Tensor
}

// make makes an output that somebody reads, else nil.
func (p exampleParser) make(i int, d tensor.DType, shape ...int) *tensor.Tensor {
	if i >= len(p.out) || p.out[i] == nil {
		return nil
	}
	return p.x.Make(p.out[i], d, shape...)
}

// setFeature writes a list from element `at` on.
func setFeature(t *tensor.Tensor, at int, f codec.Feature) {
	switch f.Kind {
	case codec.FloatFeature:
		copy(tensor.View[float32](t)[at:], f.Floats)
	case codec.IntFeature:
		copy(tensor.View[int64](t)[at:], f.Ints)
	case codec.BytesFeature:
		for i, b := range f.Bytes {
			t.Strings[at+i] = string(b)
		}
	}
}

// values writes all elements, one after another.
func (p exampleParser) values(f feature, out int) {
	n := 0
	for _, l := range f.lists {
		n += l.Len()
	}
	t := p.make(out, f.dtype, n)
	if t == nil {
		return
	}
	at := 0
	for _, l := range f.lists {
		setFeature(t, at, l)
		at += l.Len()
	}
}

// sparse writes the three outputs of sparse feature i of n.
func (p exampleParser) sparse(f feature, i, n int) {
	var index []int64
	most, total := 0, 0
	for row, l := range f.lists {
		most, total = max(most, l.Len()), total+l.Len()
		for j := range l.Len() {
			if p.rank > 0 {
				index = append(index, int64(row))
			}
			index = append(index, int64(j))
		}
	}
	if t := p.make(i, tensor.Int64, total, 1+p.rank); t != nil {
		copy(tensor.View[int64](t), index)
	}
	p.values(f, n+i)
	if t := p.make(2*n+i, tensor.Int64, 1+p.rank); t != nil {
		v := tensor.View[int64](t)
		v[0], v[p.rank] = int64(len(f.lists)), int64(most)
	}
}

func (p exampleParser) splits(f feature, out int, d tensor.DType) error {
	n := int64(0)
	list := []int64{0}
	for _, l := range f.lists {
		n += int64(l.Len())
		list = append(list, n)
	}
	if t := p.make(out, d, len(list)); t != nil {
		return tensor.SetInts(t, list)
	}
	return nil
}

// denseOut is where a dense feature goes, and what stands for an absent one.
type denseOut struct {
	out     int
	shape   []int
	missing *tensor.Tensor
}

func (p exampleParser) dense(f feature, o denseOut) error {
	shape := slices.Clone(o.shape)
	grows := len(shape) > 0 && shape[0] < 0
	stride := tensor.Size(shape)
	if grows {
		stride = tensor.Size(shape[1:])
		shape[0] = 0
	}
	for i, l := range f.lists {
		n := l.Len()
		switch {
		case grows && (stride == 0 || n%stride != 0), !grows && l.Kind != codec.NoFeature && n != stride:
			return fmt.Errorf("Name: <unknown>, Key: %s, Index: %d.  Number of %s values != expected.  values size: %d but output shape: %s",
				f.key, i, featureNames[featureKinds[f.dtype]], n, tfShape(o.shape))
		case grows:
			shape[0] = max(shape[0], n/stride)
		case l.Kind == codec.NoFeature && o.missing == nil:
			return fmt.Errorf("Name: <unknown>, Feature: %s (data type: %s) is required but could not be found.",
				f.key, featureNames[featureKinds[f.dtype]])
		}
	}
	if o.missing != nil && (o.missing.DType != f.dtype || o.missing.Len() != 1 && (grows || o.missing.Len() != stride)) {
		return fmt.Errorf("feature %q of shape %v cannot be filled from %s %v", f.key, o.shape, o.missing.DType, o.missing.Shape)
	}
	full := shape
	if p.rank > 0 {
		full = append([]int{len(f.lists)}, shape...)
	}
	if err := checkSize(f.dtype, full); err != nil {
		return err
	}
	t := p.make(o.out, f.dtype, full...)
	if t == nil {
		return nil
	}
	size := tensor.Size(shape)
	clear(t.Data)
	for i, l := range f.lists {
		setFeature(t, i*size, l)
		for j := l.Len(); o.missing != nil && j < size; j++ {
			copyElement(t, i*size+j, o.missing, j%o.missing.Len())
		}
	}
	return nil
}

// tfShape writes a shape as TensorFlow does.
func tfShape(shape []int) string {
	s := make([]string, len(shape))
	for i, d := range shape {
		if s[i] = strconv.Itoa(d); d < 0 {
			s[i] = "?"
		}
	}
	return "[" + strings.Join(s, ",") + "]"
}
