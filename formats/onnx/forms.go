package onnx

import (
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// form says from which opset on a node means the same as in the newest one, for operators whose newest version only
// added attributes, inputs or element types. It holds for nodes that use none of those.
type form struct {
	since  int
	types  map[tensor.DType]bool // that the operator took then
	inputs int                   // most inputs it took then; 0: as many as now
	attrs  map[string]int        // attributes that came later, with their opset
}

var (
	floatTypes   = typeSet(tensor.Float16, tensor.Float32, tensor.Float64)
	classicTypes = typeSet(tensor.Float16, tensor.Float32, tensor.Float64, tensor.Int8, tensor.Int16, tensor.Int32, tensor.Int64,
		tensor.Uint8, tensor.Uint16, tensor.Uint32, tensor.Uint64, tensor.Bool, tensor.String)
	// plainTypes are what a convolution's or reduction's operands and its int64 helpers may be.
	plainTypes = typeSet(tensor.Float16, tensor.Float32, tensor.Float64, tensor.Int32, tensor.Int64)
	// maxPoolTypes include that of the indices.
	maxPoolTypes = typeSet(tensor.Float16, tensor.Float32, tensor.Float64, tensor.Int64)
	// quantTypes are those of the first QuantizeLinear and DequantizeLinear.
	quantTypes = typeSet(tensor.Float32, tensor.Uint8, tensor.Int8, tensor.Int32)
)

func typeSet(types ...tensor.DType) map[tensor.DType]bool {
	set := map[tensor.DType]bool{}
	for _, d := range types {
		set[d] = true
	}
	return set
}

// olderForms is ONNX's changelog read backwards.
var olderForms = map[string]form{
	"ArgMax":             {since: 11, types: plainTypes, attrs: map[string]int{"select_last_index": 12}},
	"ArgMin":             {since: 11, types: plainTypes, attrs: map[string]int{"select_last_index": 12}},
	"AveragePool":        {since: 7, types: floatTypes, attrs: map[string]int{"ceil_mode": 10, "dilations": 19}},
	"BatchNormalization": {since: 9, types: floatTypes, attrs: map[string]int{"training_mode": 14}},
	"Cast":               {since: 9, types: classicTypes},
	"Concat":             {since: 4, types: classicTypes},
	"Conv":               {since: 1, types: floatTypes},
	"ConvTranspose":      {since: 1, types: floatTypes},
	"DepthToSpace":       {since: 11, types: classicTypes},
	"DequantizeLinear":   {since: 10, types: quantTypes, attrs: map[string]int{"axis": 13, "block_size": 21, "output_dtype": 23}},
	"Expand":             {since: 8, types: classicTypes},
	"Flatten":            {since: 9, types: classicTypes},
	"GRU":                {since: 7, types: plainTypes, attrs: map[string]int{"layout": 14}},
	"Gather":             {since: 11, types: classicTypes},
	"GatherElements":     {since: 11, types: classicTypes},
	"GatherND":           {since: 12, types: classicTypes},
	"Gemm":               {since: 7, types: floatTypes},
	"LSTM":               {since: 7, types: plainTypes, attrs: map[string]int{"layout": 14}},
	"MatMul":             {since: 1, types: floatTypes},
	"MaxPool":            {since: 8, types: maxPoolTypes, attrs: map[string]int{"ceil_mode": 10, "dilations": 10}},
	"NonZero":            {since: 9, types: classicTypes},
	"Pad":                {since: 11, types: plainTypes, inputs: 3},
	"Pow":                {since: 7, types: floatTypes},
	"QuantizeLinear":     {since: 10, types: quantTypes, attrs: map[string]int{"axis": 13, "saturate": 19, "block_size": 21, "output_dtype": 21, "precision": 23}},
	"RNN":                {since: 7, types: plainTypes, attrs: map[string]int{"layout": 14}},
	"Reshape":            {since: 5, types: classicTypes, attrs: map[string]int{"allowzero": 14}},
	"ScatterElements":    {since: 11, types: classicTypes, attrs: map[string]int{"reduction": 18}},
	"ScatterND":          {since: 11, types: classicTypes, attrs: map[string]int{"reduction": 18}},
	"Shape":              {since: 1, types: classicTypes, attrs: map[string]int{"start": 15, "end": 15}},
	"Size":               {since: 1, types: classicTypes},
	"Slice":              {since: 11, types: classicTypes},
	"SpaceToDepth":       {since: 1, types: classicTypes, attrs: map[string]int{"mode": 28}},
	"Split":              {since: 13, types: classicTypes, attrs: map[string]int{"num_outputs": 18}},
	"Tile":               {since: 6, types: classicTypes},
	"Transpose":          {since: 1, types: classicTypes},
}

// olderForm is the lowest opset for n by olderForms, 0 if they do not say.
func olderForm(n *graph.Node, name string) int {
	f, ok := olderForms[name]
	if !ok || f.inputs > 0 && len(n.In) > f.inputs {
		return 0
	}
	for _, values := range [][]*graph.Value{n.In, n.Out} {
		for _, v := range values {
			if v != nil && !f.types[v.DType] {
				return 0
			}
		}
	}
	since := f.since
	for _, a := range graph.AttrsOf(n.Op) {
		since = max(since, f.attrs[a.Name])
		if a.Name == "mode" && a.Value == "wrap" && name == "Pad" {
			since = max(since, 19)
		}
	}
	return since
}
