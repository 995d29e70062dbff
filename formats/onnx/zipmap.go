package onnx

import (
	"strconv"
	"strings"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// zipMapOf gives the ZipMap that makes a value: in files its result is a sequence of maps, here it is the tensor of scores.
func zipMapOf(v *graph.Value) (ops.ZipMap, bool) {
	if v == nil || v.Def == nil {
		return ops.ZipMap{}, false
	}
	z, ok := v.Def.Op.(ops.ZipMap)
	return z, ok
}

func isTensor(t graph.Type) bool { return t.DType != tensor.Undefined && t.DType < tensor.Sequence }

// mapsType is the TypeProto of a ZipMap's result: sequence(map(class, float)).
func mapsType(z ops.ZipMap) []byte {
	key := tensor.Int64
	if len(z.LabelTexts) > 0 {
		key = tensor.String
	}
	score := encodeType(graph.AnyRank(tensor.Float32))
	m := appendBytes(appendInt(nil, 1, int64(key)), 2, score)
	return appendBytes(nil, 4, appendBytes(nil, 1, appendBytes(nil, 5, m)))
}

// noteMaps says what becomes of the maps.
func (c *call) noteMaps(op graph.Op) {
	z, ok := op.(ops.ZipMap)
	if !ok || len(c.out) == 0 || c.out[0] == nil {
		return
	}
	classes := z.LabelTexts
	for _, l := range z.LabelInts {
		classes = append(classes, strconv.Itoa(l))
	}
	if most := 10; len(classes) > most {
		classes = append(classes[:most:most], "…")
	}
	c.l.note("node %q (ai.onnx.ml.ZipMap): output %q, in the file a map from class to score for each row, is the tensor of scores, with a column for each of %s",
		c.name, c.out[0].Name, strings.Join(classes, ", "))
}
