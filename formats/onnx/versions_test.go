package onnx

import (
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// TestOpsetOnSave builds nodes in a model of an old opset and looks at the opset that it is saved in.
func TestOpsetOnSave(t *testing.T) {
	q8 := tensor.From([]int8{1, 2}, 1, 2)
	scalar, vector := tensor.Scalar(float32(1)), floatsOf([]int{2}, 1, 1)
	u16 := tensor.From([]uint16{1}, 1)
	for _, c := range []struct {
		name, op string
		attrs    []graph.Attr
		in       []*tensor.Tensor
		want     int
	}{
		{"per tensor", "DequantizeLinear", nil, []*tensor.Tensor{q8, scalar}, 10},
		{"per channel on the default axis", "DequantizeLinear", nil, []*tensor.Tensor{q8, vector}, 13},
		{"16 bits", "DequantizeLinear", nil, []*tensor.Tensor{u16, scalar}, 21},
		{"4 bits", "DequantizeLinear", nil, []*tensor.Tensor{{DType: tensor.Int4, Shape: []int{2}, Data: []byte{1}}, scalar}, 21},
		{"blocks", "DequantizeLinear", []graph.Attr{attr("block_size", int64(2))}, []*tensor.Tensor{q8, floatsOf([]int{1, 1}, 1)}, 21},
		{"floats", "Reshape", nil, []*tensor.Tensor{ramp(2), tensor.From([]int64{2}, 1)}, 9},
		{"a zero that counts", "Reshape", []graph.Attr{attr("allowzero", int64(1))}, []*tensor.Tensor{ramp(2), tensor.From([]int64{2}, 1)}, 14},
		{"bfloat16", "Transpose", nil, []*tensor.Tensor{tensor.New(tensor.BFloat16, 2)}, 13},
		{"without bias", "Gemm", nil, []*tensor.Tensor{ramp(1, 1), ramp(1, 1)}, 11},
		{"with bias", "Gemm", nil, []*tensor.Tensor{ramp(1, 1), ramp(1, 1), ramp(1)}, 9},
		{"wrap", "Pad", []graph.Attr{attr("mode", "wrap")}, []*tensor.Tensor{ramp(2), tensor.From([]int64{1, 1}, 2)}, 19},
	} {
		g := &graph.Graph{Opsets: map[string]int{"": 9}, Meta: map[string]string{"onnx.ir_version": "4"}}
		op, err := graph.NewOp("", c.op, c.attrs)
		if err != nil {
			t.Fatal(err)
		}
		b := graph.NewBuilder(g)
		var in []*graph.Value
		for _, x := range c.in {
			in = append(in, b.Const("c", x))
		}
		g.Outputs = []*graph.Value{b.Add("n", op, in...)}
		if b.Err != nil {
			t.Fatal(b.Err)
		}
		out, warnings, err := Write(g)
		if err != nil {
			t.Fatal(err)
		}
		p, err := decodeModel(span{out, 0})
		if err != nil {
			t.Fatal(err)
		}
		got := opsetMap(p.opsets)[""]
		if got != c.want || p.irVersion != int64(max(4, irOf(got))) {
			t.Errorf("%s %s: opset %d in IR %d, want opset %d", c.op, c.name, got, p.irVersion, c.want)
		}
		if raised := strings.Contains(strings.Join(warnings, "\n"), "opset of ai.onnx raised from 9"); raised != (c.want > 9) {
			t.Errorf("%s %s: warnings %q", c.op, c.name, warnings)
		}
	}
}
