package onnx

import (
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// form says from which opset on a node means the same as in the newest one, for operators whose newest version only
// added attributes (see attrSince), inputs or element types. It holds for nodes that use none of those.
type form struct {
	since int
	types map[tensor.DType]bool        // that the operator took then
	fits  func(in []*graph.Value) bool // whether it took such inputs then; nil: whatever it takes now
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
	"ArgMax":             {since: 11, types: plainTypes},
	"ArgMin":             {since: 11, types: plainTypes},
	"AveragePool":        {since: 7, types: floatTypes},
	"BatchNormalization": {since: 9, types: floatTypes},
	"Cast":               {since: 9, types: classicTypes},
	"Concat":             {since: 4, types: classicTypes},
	"Conv":               {since: 1, types: floatTypes},
	"ConvTranspose":      {since: 1, types: floatTypes},
	"DepthToSpace":       {since: 11, types: classicTypes},
	"DequantizeLinear":   {since: 10, types: quantTypes, fits: oneScale},
	"Expand":             {since: 8, types: classicTypes},
	"Flatten":            {since: 9, types: classicTypes},
	"GRU":                {since: 7, types: plainTypes},
	"Gather":             {since: 11, types: classicTypes},
	"GatherElements":     {since: 11, types: classicTypes},
	"GatherND":           {since: 12, types: classicTypes},
	"Gemm":               {since: 7, types: floatTypes, fits: withBias},
	"LSTM":               {since: 7, types: plainTypes},
	"MatMul":             {since: 1, types: floatTypes},
	"MaxPool":            {since: 8, types: maxPoolTypes},
	"NonZero":            {since: 9, types: classicTypes},
	"Pad":                {since: 11, types: plainTypes, fits: noAxes},
	"Pow":                {since: 7, types: floatTypes},
	"QuantizeLinear":     {since: 10, types: quantTypes, fits: oneScale},
	"RNN":                {since: 7, types: plainTypes},
	"Reshape":            {since: 5, types: classicTypes},
	"ScatterElements":    {since: 11, types: classicTypes},
	"ScatterND":          {since: 11, types: classicTypes},
	"Shape":              {since: 1, types: classicTypes},
	"Size":               {since: 1, types: classicTypes},
	"Slice":              {since: 11, types: classicTypes},
	"SpaceToDepth":       {since: 1, types: classicTypes},
	"Split":              {since: 13, types: classicTypes},
	"Tile":               {since: 6, types: classicTypes},
	"Transpose":          {since: 1, types: classicTypes},
}

// noAxes: Pad's fourth input came with opset 18.
func noAxes(in []*graph.Value) bool { return len(in) <= 3 }

// withBias: Gemm's third input was obligatory below opset 11.
func withBias(in []*graph.Value) bool { return len(in) == 3 && in[2] != nil }

// oneScale: below opset 13, QuantizeLinear and DequantizeLinear had one scale for the whole tensor.
func oneScale(in []*graph.Value) bool { return len(in) >= 2 && in[1] != nil && in[1].Rank() == 0 }

// olderForm is the lowest opset for n by olderForms, 0 if they do not say.
func olderForm(n *graph.Node, name string) int {
	f, ok := olderForms[name]
	if !ok || f.fits != nil && !f.fits(n.In) {
		return 0
	}
	for _, values := range [][]*graph.Value{n.In, n.Out} {
		for _, v := range values {
			if v != nil && !f.types[v.DType] {
				return 0
			}
		}
	}
	return f.since
}
