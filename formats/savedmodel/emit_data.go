package savedmodel

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/internal/tensorflow"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	for name, f := range map[string]emitter{
		"StringConcat": emitJoin, "ai.onnx.ml.LabelEncoder": emitTable, "RegexFullMatch": emitMatch, "Unique": emitUnique, "ScatterND": emitScatter, "NonZero": emitNonZero, "GatherND": emitGatherND,
		"tfsopt.StringChange": emitChange, "tfsopt.StringReplace": emitReplace, "tfsopt.StringHash": emitHash,
		"tfsopt.StringLength": emitLength, "tfsopt.SparseSplit": emitStringSplit, "tfsopt.SparseReshape": emitPlain("SparseReshape", 2),
		"tfsopt.SparseFillEmptyRows": emitFillRows, "tfsopt.SparseSegment": emitSegment, "tfsopt.RaggedToDense": emitRagged,
		"tfsopt.ParseExample": emitParse, "tfsopt.DecodeImage": emitPicture, "tfsopt.DecodeWav": emitWav,
		"tfsopt.AudioSpectrogram": emitSpectrogram, "tfsopt.Mfcc": emitMfcc,
	} {
		emitters[name] = f
	}
}

// outputsOf gives the references of a node's outputs.
func outputsOf(first string, n int) []string {
	out := []string{first}
	for i := 1; i < n; i++ {
		out = append(out, fmt.Sprintf("%s:%d", first, i))
	}
	return out
}

// emitPlain writes a twin of several outputs and no attributes.
func emitPlain(op string, outs int) emitter {
	return func(w *writer, n *graph.Node) ([]string, error) {
		return outputsOf(w.node(n, op, attrs{}, w.inputs(n)...)[0], outs), nil
	}
}

func typeList(types []int) *tensorflow.AttrValue {
	l := &tensorflow.AttrList{}
	for _, d := range types {
		l.Type = append(l.Type, typeNumber(tensor.DType(d)))
	}
	return &tensorflow.AttrValue{Kind: tensorflow.KindList, List: l}
}

func textList(list []string) *tensorflow.AttrValue {
	l := &tensorflow.AttrList{}
	for _, s := range list {
		l.S = append(l.S, []byte(s))
	}
	return &tensorflow.AttrValue{Kind: tensorflow.KindList, List: l}
}

// emitJoin stretches single strings alone, as TensorFlow does.
func emitJoin(w *writer, n *graph.Node) ([]string, error) {
	a, b := n.In[0], n.In[1]
	if a.Rank() != 0 && b.Rank() != 0 && (a.Rank() != b.Rank() || a.Rank() < 0 || !slices.Equal(a.Shape, b.Shape)) {
		return nil, fmt.Errorf("joining %s and %s, of which one may have to be stretched, has no twin", a.Type, b.Type)
	}
	return w.node(n, "StringJoin", attrs{"N": number64(2)}, w.inputs(n)...), nil
}

func emitMatch(w *writer, n *graph.Node) ([]string, error) {
	return w.node(n, "StaticRegexFullMatch", attrs{"pattern": text(n.Op.(ops.RegexFullMatch).Pattern)}, w.inputs(n)...), nil
}

// emitTable writes a table that the model's init op fills. Its name says what it holds, since TensorFlow shares tables of one name.
func emitTable(w *writer, n *graph.Node) ([]string, error) {
	keys, values, missing := n.Op.(ops.LabelEncoder).Table()
	if keys == nil || keys.IsFloat() {
		return nil, errors.New("a table with such keys has no twin")
	}
	seen := map[string]bool{}
	width := keys.DType.Bits() / 8
	for i := range keys.Len() {
		k := ""
		if keys.DType == tensor.String {
			k = keys.Strings[i]
		} else {
			k = string(keys.Data[i*width : (i+1)*width])
		}
		if seen[k] {
			return nil, fmt.Errorf("a table that has key %d twice has no twin", i)
		}
		seen[k] = true
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %x %q %x", keys.Strings, keys.Data, values.Strings, values.Data))
	types := attrs{"key_dtype": elements(keys.DType), "value_dtype": elements(values.DType), "shared_name": text(fmt.Sprintf("table_%x", sum[:16]))}
	table := w.node(n, "HashTableV2", types)[0]
	in := attrs{"Tin": elements(keys.DType), "Tout": elements(values.DType)}
	fill := w.node(n, "LookupTableImportV2", in, table, w.constant("keys", keys), w.constant("values", values))[0]
	w.begin = append(w.begin, "^"+fill)
	return w.node(n, "LookupTableFindV2", in, table, w.ref(n.In[0]), w.constant("missing", missing.Reshape())), nil
}

// emitUnique has no twin for the places of the first, which is output 1.
func emitUnique(w *writer, n *graph.Node) ([]string, error) {
	o := n.Op.(ops.Unique)
	if o.Sorted || o.Axis != nil || len(n.Out) > 1 && n.Out[1] != nil {
		return nil, errors.New("sorting, an axis and the first places have no twin")
	}
	flat := w.node(n, "Reshape", attrs{"T": elements(n.In[0].DType), "Tshape": elements(tensor.Int64)}, w.ref(n.In[0]), w.ints(-1))
	v := w.node(n, "UniqueWithCounts", attrs{"T": elements(n.In[0].DType), "out_idx": elements(tensor.Int64)}, flat[0])[0]
	return []string{v, "", v + ":1", v + ":2"}, nil
}

func emitScatter(w *writer, n *graph.Node) ([]string, error) {
	op, ok := map[string]string{"": "Update", "none": "Update", "add": "Add", "max": "Max", "min": "Min"}[n.Op.(ops.ScatterND).Reduction]
	if !ok {
		return nil, errors.New("the reduction has no twin")
	}
	return w.node(n, "TensorScatter"+op, attrs{"T": elements(n.In[0].DType), "Tindices": elements(tensor.Int64)}, w.inputs(n)...), nil
}

// emitNonZero turns TensorFlow's list of places.
func emitNonZero(w *writer, n *graph.Node) ([]string, error) {
	at := w.node(n, "Where", attrs{"T": elements(n.In[0].DType)}, w.inputs(n)...)
	return w.node(n, "Transpose", attrs{"T": elements(tensor.Int64), "Tperm": elements(tensor.Int64)}, at[0], w.ints(1, 0)), nil
}

func emitGatherND(w *writer, n *graph.Node) ([]string, error) {
	if n.Op.(ops.GatherND).BatchDims != 0 {
		return nil, errors.New("leading axes in common have no twin")
	}
	return w.node(n, "GatherNd", attrs{"Tparams": elements(n.In[0].DType), "Tindices": elements(n.In[1].DType)}, w.inputs(n)...), nil
}

func emitChange(w *writer, n *graph.Node) ([]string, error) {
	o := n.Op.(ops.StringChange)
	if o.To == "strip" {
		return w.node(n, "StringStrip", attrs{}, w.inputs(n)...), nil
	}
	encoding := ""
	if o.Unicode {
		encoding = "utf-8"
	}
	op := map[string]string{"lower": "StringLower", "upper": "StringUpper"}[o.To]
	return w.node(n, op, attrs{"encoding": text(encoding)}, w.inputs(n)...), nil
}

func emitReplace(w *writer, n *graph.Node) ([]string, error) {
	o := n.Op.(ops.StringReplace)
	a := attrs{"pattern": text(o.Pattern), "rewrite": text(o.Rewrite), "replace_global": truth(o.Global)}
	return w.node(n, "StaticRegexReplace", a, w.inputs(n)...), nil
}

func emitHash(w *writer, n *graph.Node) ([]string, error) {
	return w.node(n, "StringToHashBucketFast", attrs{"num_buckets": number64(n.Op.(ops.StringHash).Buckets)}, w.inputs(n)...), nil
}

func emitLength(w *writer, n *graph.Node) ([]string, error) {
	unit := "BYTE"
	if n.Op.(ops.StringLength).Unicode {
		unit = "UTF8_CHAR"
	}
	v := w.node(n, "StringLength", attrs{"unit": text(unit)}, w.inputs(n)...)
	return w.node(n, "Cast", attrs{"SrcT": elements(tensor.Int32), "DstT": elements(tensor.Int64)}, v...), nil
}

func emitStringSplit(w *writer, n *graph.Node) ([]string, error) {
	o := n.Op.(ops.SparseSplit)
	sep := w.constant("sep", tensor.FromStrings([]string{o.Delimiter}))
	return outputsOf(w.node(n, "StringSplitV2", attrs{"maxsplit": number64(o.MaxSplit)}, w.ref(n.In[0]), sep)[0], 3), nil
}

func emitFillRows(w *writer, n *graph.Node) ([]string, error) {
	return outputsOf(w.node(n, "SparseFillEmptyRows", attrs{"T": elements(n.In[1].DType)}, w.inputs(n)...)[0], 4), nil
}

func emitSegment(w *writer, n *graph.Node) ([]string, error) {
	op := "SparseSegment" + map[string]string{"sum": "Sum", "mean": "Mean", "sqrtn": "SqrtN"}[n.Op.(ops.SparseSegment).Combiner]
	a := attrs{"T": elements(n.In[0].DType), "Tidx": elements(n.In[1].DType), "Tsegmentids": elements(n.In[2].DType)}
	if len(n.In) > 3 && n.In[3] != nil {
		op += "WithNumSegments"
		a["Tnumsegments"] = elements(n.In[3].DType)
	}
	return w.node(n, op, a, w.inputs(n)...), nil
}

func emitRagged(w *writer, n *graph.Node) ([]string, error) {
	parts := n.In[3:]
	a := attrs{
		"T": elements(n.In[1].DType), "Tshape": elements(n.In[0].DType), "Tindex": elements(parts[0].DType),
		"num_row_partition_tensors": number64(len(parts)), "row_partition_types": textList(n.Op.(ops.RaggedToDense).Partitions),
	}
	for _, p := range parts {
		if p.DType != parts[0].DType {
			return nil, errors.New("partitions of several types have no twin")
		}
	}
	return w.node(n, "RaggedTensorToTensor", a, w.inputs(n)...), nil
}

// emitParse writes what stands for absent features as TensorFlow wants it: nothing for a required one.
func emitParse(w *writer, n *graph.Node) ([]string, error) {
	o := n.Op.(ops.ParseExample)
	shapes := &tensorflow.AttrList{}
	for _, s := range o.DenseShapes {
		shape := &tensorflow.Shape{}
		for word := range strings.SplitSeq(s, ",") {
			if d, err := strconv.Atoi(word); err == nil {
				shape.Dims = append(shape.Dims, &tensorflow.Dim{Size: int64(d)})
			}
		}
		shapes.Shape = append(shapes.Shape, shape)
	}
	in := []string{w.ref(n.In[0]), w.constant("names", tensor.FromStrings([]string{}, 0))}
	for _, keys := range [][]string{o.SparseKeys, o.DenseKeys, o.RaggedKeys} {
		in = append(in, w.constant("keys", tensor.FromStrings(append([]string{}, keys...), len(keys))))
	}
	for i, d := range o.DenseTypes {
		switch {
		case 1+i < len(n.In) && n.In[1+i] != nil:
			in = append(in, w.ref(n.In[1+i]))
		case strings.HasPrefix(o.DenseShapes[i], "-1"):
			in = append(in, w.constant("default", tensor.New(tensor.DType(d))))
		default:
			in = append(in, w.constant("default", tensor.New(tensor.DType(d), 0)))
		}
	}
	a := attrs{
		"Tdense": typeList(o.DenseTypes), "sparse_types": typeList(o.SparseTypes), "num_sparse": number64(len(o.SparseTypes)),
		"ragged_value_types": typeList(o.RaggedTypes), "ragged_split_types": typeList(o.SplitTypes),
		"dense_shapes": {Kind: tensorflow.KindList, List: shapes},
	}
	outs := 3*len(o.SparseTypes) + len(o.DenseTypes) + 2*len(o.RaggedTypes)
	return outputsOf(w.node(n, "ParseExampleV2", a, in...)[0], outs), nil
}

func emitPicture(w *writer, n *graph.Node) ([]string, error) {
	a := attrs{"channels": number64(n.Op.(ops.DecodeImage).Channels), "dtype": elements(tensor.Uint8), "expand_animations": truth(false)}
	return w.node(n, "DecodeImage", a, w.inputs(n)...), nil
}

func emitWav(w *writer, n *graph.Node) ([]string, error) {
	o := n.Op.(ops.DecodeWav)
	a := attrs{"desired_channels": number64(o.Channels), "desired_samples": number64(o.Samples)}
	return outputsOf(w.node(n, "DecodeWav", a, w.inputs(n)...)[0], 2), nil
}

func emitSpectrogram(w *writer, n *graph.Node) ([]string, error) {
	o := n.Op.(ops.AudioSpectrogram)
	a := attrs{"window_size": number64(o.Window), "stride": number64(o.Stride), "magnitude_squared": truth(o.Squared)}
	return w.node(n, "AudioSpectrogram", a, w.inputs(n)...), nil
}

func emitMfcc(w *writer, n *graph.Node) ([]string, error) {
	o := n.Op.(ops.Mfcc)
	number := func(x float32) *tensorflow.AttrValue { return &tensorflow.AttrValue{Kind: tensorflow.KindF, F: x} }
	a := attrs{
		"upper_frequency_limit": number(o.Upper), "lower_frequency_limit": number(o.Lower),
		"filterbank_channel_count": number64(o.Bands), "dct_coefficient_count": number64(o.Coefficients),
	}
	return w.node(n, "Mfcc", a, w.inputs(n)...), nil
}

// castText writes casts from and to strings: of numbers that TensorFlow reads, and of integers.
func castText(w *writer, n *graph.Node) ([]string, error) {
	from, to := n.In[0].DType, n.Out[0].DType
	switch {
	case from == tensor.String && (to == tensor.Float32 || to == tensor.Float64 || to == tensor.Int32 || to == tensor.Int64):
		return w.node(n, "StringToNumber", attrs{"out_type": elements(to)}, w.ref(n.In[0])), nil
	case to == tensor.String && from.IsInt():
		return w.node(n, "AsString", attrs{"T": elements(from)}, w.ref(n.In[0])), nil
	}
	return nil, fmt.Errorf("casting %s to %s has no twin", from, to)
}
