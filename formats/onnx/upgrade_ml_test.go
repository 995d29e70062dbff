package onnx

import (
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// TestLabelEncoderOfOneList sends strings through the first form of LabelEncoder, both ways.
func TestLabelEncoderOfOneList(t *testing.T) {
	m := newModel(13)
	m.domains = map[string]int64{"ai.onnx.ml": 1}
	m.input("s", graph.Of(tensor.String, graph.Fixed(3)))
	for _, io := range []string{"si", "io"} {
		m.graph.message(1, nodeMessage("ai.onnx.ml", "LabelEncoder", []string{io[:1]}, []string{io[1:]}, attr("classes_strings", []string{"a", "b"})))
	}
	g := m.output("i", "o").read(t)
	got := eval(t, g, tensor.FromStrings([]string{"b", "?", "a"}, 3))
	if !got[0].Equal(tensor.From([]int64{1, -1, 0}, 3)) || !got[1].Equal(tensor.FromStrings([]string{"b", "_Unused", "a"}, 3)) {
		t.Errorf("got %v and %v", tensor.Ints(got[0]), got[1].Strings)
	}
	out, _, err := Write(g)
	if err != nil {
		t.Fatal(err)
	}
	again, _, err := Read(out)
	if err != nil || again.Opsets["ai.onnx.ml"] != 2 {
		t.Errorf("saved in opset %d of ai.onnx.ml, want 2 (%v)", again.Opsets["ai.onnx.ml"], err)
	}
}
