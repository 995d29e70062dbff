package evaluate

import (
	"context"
	"encoding/json"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// linear is a model y = x W (+ Softmax), W given by rows, with the batch as the first dimension.
func linear(t *testing.T, batch graph.Dim, w [][]float32, after ...string) *graph.Graph {
	t.Helper()
	var flat []float32
	for _, row := range w {
		flat = append(flat, row...)
	}
	x := graph.NewInput("x", graph.Of(tensor.Float32, batch, graph.Fixed(len(w))))
	g := &graph.Graph{Name: "linear", Inputs: []*graph.Value{x}, Opsets: map[string]int{"": 21}}
	v := x
	add := func(op, out string, in ...*graph.Value) {
		var attrs []graph.Attr
		if op == "ArgMax" {
			attrs = []graph.Attr{{Name: "axis", Value: int64(1)}}
		}
		o, err := graph.NewOp("", op, attrs)
		if err != nil {
			t.Fatal(err)
		}
		n := &graph.Node{Name: op, Op: o, In: in}
		v = &graph.Value{Name: out, Def: n}
		n.Out = []*graph.Value{v}
		g.Nodes = append(g.Nodes, n)
	}
	add("MatMul", "scores", x, graph.NewConst("w", tensor.From(flat, len(w), len(w[0]))))
	for _, op := range after {
		add(op, strings.ToLower(op), v)
	}
	g.Outputs = []*graph.Value{v}
	if err := g.Infer(); err != nil {
		t.Fatal(err)
	}
	return g
}

// identity gives scores equal to the inputs.
func identity(n int) [][]float32 {
	w := make([][]float32, n)
	for i := range w {
		w[i] = make([]float32, n)
		w[i][i] = 1
	}
	return w
}

// set writes features and labels as .npy and opens them; labels nil: unlabelled.
func set(t *testing.T, x [][]float32, labels []int64) *data.Set {
	t.Helper()
	var flat []float32
	for _, row := range x {
		flat = append(flat, row...)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "x.npy")
	if err := data.SaveTensor(path, tensor.From(flat, len(x), len(x[0]))); err != nil {
		t.Fatal(err)
	}
	if labels != nil {
		y := filepath.Join(dir, "y.npy")
		if err := data.SaveTensor(y, tensor.From(labels, len(labels))); err != nil {
			t.Fatal(err)
		}
		path += "," + y
	}
	s, err := data.Open(data.Options{Path: path, Inputs: []data.Input{{Name: "x", DType: tensor.Float32, Shape: []int{-1, len(x[0])}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func run(t *testing.T, o Options) *Result {
	t.Helper()
	o.LatencyTime = -1
	r, err := Evaluate(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func near(t *testing.T, what string, got *float64, want float64) {
	t.Helper()
	if got == nil {
		t.Errorf("%s: nil, want %g", what, want)
	} else if math.Abs(*got-want) > 1e-5*(1+math.Abs(want)) {
		t.Errorf("%s: %g, want %g", what, *got, want)
	}
}

func TestAccuracyAndErrors(t *testing.T) {
	x := [][]float32{{3, 0, 0}, {0, 2, 0}, {0, 0, 1}, {1, 1, 0}, {0, 1, 2}}
	labels := []int64{0, 1, 2, 1, 2} // the fourth is a tie, which goes to class 0: wrong
	swapped := [][]float32{{1, 0, 0}, {0, 0, 1}, {0, 1, 0}}
	r := run(t, Options{
		Model:     Model{Path: "m.onnx", Bytes: 10, Graph: linear(t, graph.Named("n"), swapped)},
		Reference: &Model{Path: "r.onnx", Bytes: 40, Graph: linear(t, graph.Named("n"), identity(3))},
		Set:       set(t, x, labels), Batch: 2,
	})
	near(t, "reference top-1", r.Reference.Top1, 80)
	near(t, "model top-1", r.Model.Top1, 20) // of the first only: the fourth ties between 0 and 2
	near(t, "drop", r.Drop, 60)
	near(t, "agreement", r.Agreement, 40)
	near(t, "compression", r.Compression, 0.25)
	// differences: none, ±2, ±1, ±1, ±1
	near(t, "max error", r.MaxAbsError, 2)
	near(t, "mean error", r.MeanAbsError, 10.0/15)
	near(t, "sqnr", r.SQNR, 10*math.Log10(21.0/14))
	near(t, "cosine", r.Cosine, (1+0+0+0.5+0.8)/5)
	loss := 0.0
	for i, row := range x {
		sum := 0.0
		for _, v := range row {
			sum += math.Exp(float64(v))
		}
		loss += math.Log(sum) - float64(row[labels[i]])
	}
	near(t, "loss", r.Reference.Loss, loss/5)
	if *r.OnlyReferenceRight != 3 || *r.OnlyModelRight != 0 || r.Verdict != "" || r.ExitCode() != 0 {
		t.Errorf("%d %d %q", *r.OnlyReferenceRight, *r.OnlyModelRight, r.Verdict)
	}
	if r.Model.Top5 != nil {
		t.Error("top-5 of three classes")
	}
	if len(r.Classes) != 2 || r.Classes[0].Class != 2 || r.Classes[0].Lost != 2 || r.Classes[1].Lost != 1 {
		t.Errorf("classes %+v", r.Classes)
	}
}

func TestProbabilitiesHaveTheSameLoss(t *testing.T) {
	x := [][]float32{{3, 0, 1}, {0, 2, 0}}
	s := set(t, x, []int64{0, 2})
	a := run(t, Options{Model: Model{Graph: linear(t, graph.Named("n"), identity(3))}, Set: s})
	b := run(t, Options{Model: Model{Graph: linear(t, graph.Named("n"), identity(3), "Softmax")}, Set: s})
	near(t, "loss of probabilities", b.Model.Loss, *a.Model.Loss)
}

func TestTop5AndOffset(t *testing.T) {
	x := [][]float32{{9, 8, 7, 6, 5, 4, 3}, {9, 8, 7, 6, 5, 4, 3}, {0, 9, 0, 0, 0, 0, 0}, {0, 0, 9, 0, 0, 0, 0}}
	r := run(t, Options{Model: Model{Graph: linear(t, graph.Named("n"), identity(7))}, Set: set(t, x, []int64{4, 5, 0, 1})})
	near(t, "top-5", r.Model.Top5, 75)
	near(t, "top-1", r.Model.Top1, 0)
	if !strings.Contains(strings.Join(r.Warnings, "\n"), "--label-offset 1 (top-1 would be 50.0 % instead of 0.0 %)") {
		t.Errorf("no suggestion: %q", r.Warnings)
	}
}

func TestHeads(t *testing.T) {
	x := [][]float32{{2}, {-1}, {0.3}, {-3}}
	labels := []int64{1, 0, 0, 0}
	one := [][]float32{{1}}
	logits := run(t, Options{Model: Model{Graph: linear(t, graph.Named("n"), one)}, Set: set(t, x, labels)})
	probs := run(t, Options{Model: Model{Graph: linear(t, graph.Named("n"), one, "Sigmoid")}, Set: set(t, x, labels)})
	near(t, "logit", logits.Model.Top1, 75)
	near(t, "sigmoid", probs.Model.Top1, 75)
	near(t, "loss", probs.Model.Loss, *logits.Model.Loss)
	p := func(x float64) float64 { return math.Log(1 + math.Exp(x)) }
	near(t, "loss", logits.Model.Loss, (p(-2)+p(-1)+p(0.3)+p(-3))/4)
	classes := run(t, Options{
		Model: Model{Graph: linear(t, graph.Named("n"), identity(2), "ArgMax")}, Set: set(t, [][]float32{{1, 0}, {0, 1}, {0, 2}}, []int64{0, 1, 0}),
	})
	near(t, "integer answer", classes.Model.Top1, 200.0/3)
	if classes.Model.Loss != nil {
		t.Error("loss of an integer answer")
	}
}

// A model that fixes its batch gives what one with an open batch gives, whatever the number of samples.
func TestFixedBatch(t *testing.T) {
	x := [][]float32{{3, 0, 0}, {0, 2, 0}, {0, 0, 1}, {1, 2, 0}, {0, 1, 2}, {1, 0, 0}, {0, 5, 1}}
	labels := []int64{0, 1, 2, 0, 1, 2, 1}
	open := run(t, Options{
		Model:     Model{Graph: linear(t, graph.Named("n"), [][]float32{{1, 0, 0}, {0, 1, .9}, {1, 0, 1}})},
		Reference: &Model{Graph: linear(t, graph.Named("n"), identity(3))}, Set: set(t, x, labels),
	})
	for _, batch := range []int{1, 2, 3, 7, 9} {
		fixed := run(t, Options{
			Model:     Model{Graph: linear(t, graph.Fixed(batch), [][]float32{{1, 0, 0}, {0, 1, .9}, {1, 0, 1}})},
			Reference: &Model{Graph: linear(t, graph.Fixed(2), identity(3))}, Set: set(t, x, labels), Batch: 4,
		})
		a, _ := json.Marshal(open)
		b, _ := json.Marshal(fixed)
		if string(a) != string(b) {
			t.Errorf("batch %d:\n%s\n%s", batch, a, b)
		}
	}
}

func TestUnlabelled(t *testing.T) {
	s := set(t, [][]float32{{3, 0, 0}, {0, 2, 0}}, nil)
	m := Model{Path: "m", Graph: linear(t, graph.Named("n"), identity(3))}
	r := run(t, Options{Model: m, Reference: &m, Set: s})
	near(t, "agreement", r.Agreement, 100)
	near(t, "sqnr of identical outputs", r.SQNR, MaxSQNR)
	near(t, "cosine", r.Cosine, 1)
	if r.Model.Top1 != nil || r.Drop != nil || r.DropCI != nil {
		t.Errorf("accuracy without labels: %+v", r)
	}
	limit := 1.0
	_, err := Evaluate(context.Background(), Options{Model: m, Reference: &m, Set: s, MaxDrop: &limit})
	if err == nil || !strings.Contains(err.Error(), "labels") {
		t.Errorf("a limit without labels: %v", err)
	}
}

func TestErrorsNameThePlace(t *testing.T) {
	m := Model{Path: "m", Graph: linear(t, graph.Named("n"), identity(3))}
	roots := Model{Path: "roots", Graph: linear(t, graph.Named("n"), identity(3), "Sqrt")}
	tests := []struct {
		name string
		o    Options
		want []string
	}{
		{"label", Options{Model: m, Set: set(t, [][]float32{{1, 0, 0}, {1, 0, 0}}, []int64{0, 3})}, []string{"label 3", "3 classes", `"scores"`, "--label-offset"}},
		{"NaN", Options{Model: roots, Set: set(t, [][]float32{{1, 0, 0}, {0, -2, 0}}, []int64{0, 1})}, []string{"sample 1", "NaN", `"sqrt"`, "element 1"}},
		{"output", Options{Model: m, Output: "logits", Set: set(t, [][]float32{{1, 0, 0}}, nil)}, []string{`"logits"`, `"scores"`}},
		{"confidence", Options{Model: m, Confidence: 95, Set: set(t, [][]float32{{1, 0, 0}}, nil)}, []string{"confidence 95"}},
		{"nothing shared", Options{
			Model: m, Reference: &Model{Graph: linear(t, graph.Named("n"), [][]float32{{1, 0}, {0, 1}, {1, 1}})},
			Set: set(t, [][]float32{{1, 0, 0}}, []int64{2}),
		}, []string{"label 2", "reference", "2 classes"}},
	}
	for _, tt := range tests {
		tt.o.LatencyTime = -1
		_, err := Evaluate(context.Background(), tt.o)
		for _, w := range tt.want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v does not say %q", tt.name, err, w)
			}
		}
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Evaluate(ctx, Options{Model: Model{Graph: linear(t, graph.Named("n"), identity(3))}, Set: set(t, [][]float32{{1, 0, 0}}, nil)}); err == nil {
		t.Error("no error")
	}
}
