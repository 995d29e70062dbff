package onnx

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// mapsModel sends its input through a ZipMap; declared is the type of the result that the file states.
func mapsModel(declared []byte, classes graph.Attr) *testModel {
	m := newModel(13)
	m.domains = map[string]int64{"ai.onnx.ml": 1}
	m.input("x", graph.Of(tensor.Float32, graph.Named("N"), graph.Fixed(2)))
	m.graph.message(1, nodeMessage("ai.onnx.ml", "ZipMap", []string{"x"}, []string{"p"}, classes))
	v := &message{}
	v.string(1, "p")
	if declared != nil {
		v.bytes(2, declared)
	}
	m.graph.message(12, v)
	return m
}

// TestZipMapSurvives reads maps as the tensor of scores, says so, and writes maps again.
func TestZipMapSurvives(t *testing.T) {
	for _, classes := range []graph.Attr{attr("classlabels_strings", []string{"no", "yes"}), attr("classlabels_int64s", []int64{4, 7})} {
		z, err := graph.NewOp("ai.onnx.ml", "ZipMap", []graph.Attr{classes})
		if err != nil {
			t.Fatal(err)
		}
		want := mapsType(z.(ops.ZipMap))
		for _, declared := range [][]byte{want, nil} {
			b := mapsModel(declared, classes).bytes()
			g, notes, err := Read(b)
			if err != nil {
				t.Fatal(err)
			}
			if all := strings.Join(notes, "\n"); !strings.Contains(all, `output "p"`) || !strings.Contains(all, "no, yes") && !strings.Contains(all, "4, 7") {
				t.Errorf("notes are %q", notes)
			}
			x := floatsOf([]int{1, 2}, 0.25, 0.75)
			if got := eval(t, g, x)[0]; !got.Equal(x) {
				t.Errorf("got %v, want the scores", tensor.Floats(got))
			}
			out, _, err := Write(g)
			if err != nil {
				t.Fatal(err)
			}
			p, err := decodeModel(span{out, 0})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, p.graph.outputs[0].typ.b); d != "" {
				t.Errorf("type of the output: %s", d)
			}
		}
	}
}
