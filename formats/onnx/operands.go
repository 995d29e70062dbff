package onnx

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// typesText says from which opset each operand of ONNX's operators takes each element type. testdata/interop/schemas.py
// makes it of ONNX's own schemas.
//
//go:embed operands.txt
var typesText string

var typeLetters = map[rune]tensor.DType{
	'f': tensor.Float32, 'd': tensor.Float64, 'h': tensor.Float16, 'g': tensor.BFloat16, 'b': tensor.Int8, 'B': tensor.Uint8,
	's': tensor.Int16, 'S': tensor.Uint16, 'i': tensor.Int32, 'I': tensor.Uint32, 'l': tensor.Int64, 'L': tensor.Uint64,
	'?': tensor.Bool, 'c': tensor.String, 'x': tensor.Complex64, 'X': tensor.Complex128, '4': tensor.Int4, '5': tensor.Uint4,
	'2': tensor.Int2, '3': tensor.Uint2, 'e': tensor.Float4E2M1, 'n': tensor.Float8E4M3FN, 'N': tensor.Float8E4M3FNUZ,
	'm': tensor.Float8E5M2, 'M': tensor.Float8E5M2FNUZ, 'E': tensor.Float8E8M0,
}

// operand is one input or output of an operator.
type operand struct {
	op    string
	out   bool
	index int
}

// operandTypes holds the opset from which each operand takes a type; repeats has the last operand of those that take any
// number.
type operandTypes struct {
	since   map[operand]map[tensor.DType]int
	repeats map[operand]bool
}

var onnxTypes = sync.OnceValue(func() operandTypes {
	t := operandTypes{map[operand]map[tensor.DType]int{}, map[operand]bool{}}
	for line := range strings.Lines(typesText) {
		words := strings.Fields(line)
		index, repeats := strings.CutSuffix(words[1][1:], "+")
		n, err := strconv.Atoi(index)
		if err != nil {
			panic(fmt.Sprintf("operands.txt: %q", line))
		}
		o := operand{words[0], words[1][0] == 'o', n}
		t.since[o], t.repeats[o] = map[tensor.DType]int{}, repeats
		for _, w := range words[2:] {
			opset, letters, _ := strings.Cut(w, "=")
			v, err := strconv.Atoi(opset)
			if err != nil {
				panic(fmt.Sprintf("operands.txt: %q", line))
			}
			for _, l := range letters {
				t.since[o][typeLetters[l]] = v
			}
		}
	}
	return t
})

// of gives the types of an operand; nil if ONNX has no such operand, as for the values that a body captures.
func (t operandTypes) of(o operand) map[tensor.DType]int {
	for ; o.index >= 0; o.index-- {
		if types := t.since[o]; types != nil {
			return types
		}
		if prev := (operand{o.op, o.out, o.index - 1}); !t.repeats[prev] && t.since[prev] != nil {
			return nil
		}
	}
	return nil
}

// typeSince is the opset from which ONNX lets v, an operand of the named operator, have its type: 0 where nothing is said,
// never where no opset does.
func typeSince(o operand, v *graph.Value) int {
	if v == nil || v.DType == tensor.Undefined || v.DType == tensor.Sequence || v.DType == tensor.Optional {
		return 0
	}
	types := onnxTypes().of(o)
	if types == nil {
		return 0
	}
	if since := types[v.DType]; since > 0 {
		return since
	}
	return never
}

const never = 1 << 30

// forbidden names the first operand of n that has a type which no opset of ONNX gives it.
func forbidden(n *graph.Node) string {
	domain, name := graph.NameOf(n.Op)
	if domain != "" {
		return ""
	}
	for i, v := range n.In {
		if typeSince(operand{name, false, i}, v) == never {
			return fmt.Sprintf("input %d of node %q (%s) is %s, which ONNX does not allow", i, n.Name, name, v.DType)
		}
	}
	for i, v := range n.Out {
		if typeSince(operand{name, true, i}, v) == never {
			return fmt.Sprintf("output %d of node %q (%s) is %s, which ONNX does not allow", i, n.Name, name, v.DType)
		}
	}
	return ""
}
