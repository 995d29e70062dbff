package evaluate

import (
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// classical gives the label and the scores of a linear classifier of three inputs, which it passes on.
func classical(t *testing.T, classes graph.Attr) *graph.Graph {
	t.Helper()
	op, err := graph.NewOp("ai.onnx.ml", "LinearClassifier", []graph.Attr{
		{Name: "coefficients", Value: []float32{1, 0, 0, 0, 1, 0, 0, 0, 1}}, {Name: "intercepts", Value: []float32{0, 0, 0}}, classes,
	})
	if err != nil {
		t.Fatal(err)
	}
	zip, err := graph.NewOp("ai.onnx.ml", "ZipMap", []graph.Attr{{Name: strings.Replace(classes.Name, "_ints", "_int64s", 1), Value: classes.Value}})
	if err != nil {
		t.Fatal(err)
	}
	x := graph.NewInput("x", graph.Of(tensor.Float32, graph.Named("n"), graph.Fixed(3)))
	label, scores, maps := graph.NewInput("label", graph.AnyRank(0)), graph.NewInput("scores", graph.AnyRank(0)), graph.NewInput("maps", graph.AnyRank(0))
	c := &graph.Node{Name: "c", Op: op, In: []*graph.Value{x}, Out: []*graph.Value{label, scores}}
	z := &graph.Node{Name: "z", Op: zip, In: []*graph.Value{scores}, Out: []*graph.Value{maps}}
	label.Def, scores.Def, maps.Def = c, c, z
	g := &graph.Graph{
		Name: "classical", Inputs: []*graph.Value{x}, Outputs: []*graph.Value{label, maps}, Nodes: []*graph.Node{c, z},
		Opsets: map[string]int{"": 21, "ai.onnx.ml": 3},
	}
	if err := g.Infer(); err != nil {
		t.Fatal(err)
	}
	return g
}

// TestScoresBeforeLabels judges scores where their columns are the data's labels, else the labels that the model gives.
func TestScoresBeforeLabels(t *testing.T) {
	for _, c := range []struct {
		classes graph.Attr
		labels  []int64
		output  string
	}{
		{graph.Attr{Name: "classlabels_ints", Value: []int64{0, 1, 2}}, []int64{0, 1, 1}, "maps"},
		{graph.Attr{Name: "classlabels_strings", Value: []string{"a", "b", "c"}}, []int64{0, 1, 1}, "maps"},
		{graph.Attr{Name: "classlabels_ints", Value: []int64{4, 7, 9}}, []int64{4, 7, 7}, "label"},
	} {
		rows := [][]float32{{0.75, 0.25, 0}, {0, 1.000001, -1e-6}, {0.25, 0.25, 0.5}}
		r := run(t, Options{Model: Model{Graph: classical(t, c.classes)}, Set: set(t, rows, c.labels)})
		if r.Output != c.output {
			t.Errorf("%v: output %q is judged, want %q", c.classes, r.Output, c.output)
		}
		near(t, "top1", r.Model.Top1, 200./3)
		if c.output == "maps" {
			near(t, "loss", r.Model.Loss, (logLoss(0.75)+logLoss(1.000001)+logLoss(0.25))/3)
		}
	}
}

// TestClassesInAnotherOrder refuses columns that the data names otherwise.
func TestClassesInAnotherOrder(t *testing.T) {
	v := classical(t, graph.Attr{Name: "classlabels_strings", Value: []string{"a", "b", "c"}}).Outputs[1]
	if _, err := scoresFit(v, []string{"a", "c", "b"}); err == nil || !strings.Contains(err.Error(), `["a" "b" "c"]`) {
		t.Errorf("got %v", err)
	}
	if ok, err := scoresFit(v, []string{"a", "b", "c"}); !ok || err != nil {
		t.Errorf("got %v, %v", ok, err)
	}
}
