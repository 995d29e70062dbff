package evaluate

import (
	"context"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// twoHeads gives an embedding (the inputs) and scores (three times the inputs), in this order.
func twoHeads(t *testing.T, prefix string, factor float32) *graph.Graph {
	t.Helper()
	w := identity(3)
	for i := range w {
		w[i][i] = factor
	}
	g := linear(t, graph.Named("n"), w)
	g.Outputs[0].Name = prefix + "scores"
	op, err := graph.NewOp("", "Identity", nil)
	if err != nil {
		t.Fatal(err)
	}
	e := graph.NewBuilder(g).Add(prefix+"embedding", op, g.Inputs[0])
	e.Name = prefix + "embedding"
	g.Outputs = []*graph.Value{e, g.Outputs[0]}
	if err := g.Infer(); err != nil {
		t.Fatal(err)
	}
	return g
}

func TestSeveralOutputs(t *testing.T) {
	s := set(t, [][]float32{{3, 0, 1}, {0, 2, 0}}, []int64{0, 1})
	o := Options{Model: Model{Graph: twoHeads(t, "", 2)}, Reference: &Model{Graph: twoHeads(t, "", 3)}, Set: s}
	r := run(t, o)
	if len(r.Outputs) != 2 || r.Outputs[0].Name != "embedding" || r.Output != "embedding" {
		t.Fatalf("%+v", r.Outputs)
	}
	near(t, "sqnr of equal outputs", r.SQNR, MaxSQNR)
	near(t, "sqnr of a third less", &r.Outputs[1].SQNR, 9.542425)
	near(t, "cosine of a factor", &r.Outputs[1].Cosine, 1)
	o.Output = "scores"
	near(t, "the judged output", run(t, o).SQNR, 9.542425)
	o.Output, o.Reference = "", &Model{Graph: twoHeads(t, "other_", 3)}
	r = run(t, o)
	if len(r.Outputs) != 2 || !strings.Contains(strings.Join(r.Warnings, "\n"), "compared in order") {
		t.Errorf("outputs of other names: %+v %q", r.Outputs, r.Warnings)
	}
}

// An output that is no list of scores has errors but no answer; labels then are a mistake.
func TestDenseOutput(t *testing.T) {
	g := linear(t, graph.Named("n"), identity(4))
	op, err := graph.NewOp("", "Reshape", nil)
	if err != nil {
		t.Fatal(err)
	}
	b := graph.NewBuilder(g)
	v := b.Add("image", op, g.Outputs[0], graph.NewConst("shape", tensor.From([]int64{-1, 2, 2}, 3)))
	g.Outputs = []*graph.Value{v}
	if err := g.Infer(); err != nil {
		t.Fatal(err)
	}
	x := [][]float32{{1, 2, 3, 4}, {4, 3, 2, 1}}
	r := run(t, Options{Model: Model{Graph: g}, Reference: &Model{Graph: g}, Set: set(t, x, nil)})
	if r.Agreement != nil || r.Cosine == nil || len(r.Changes) != 0 {
		t.Errorf("%+v", r)
	}
	_, err = Evaluate(context.Background(), Options{Model: Model{Graph: g}, Set: set(t, x, []int64{0, 1}), LatencyTime: -1})
	if err == nil || !strings.Contains(err.Error(), "[2 2]") {
		t.Errorf("labels for a dense output: %v", err)
	}
}

// An output whose first dimension is not the batch makes Evaluate go one sample at a time.
func TestOutputWithoutBatch(t *testing.T) {
	g := linear(t, graph.Named("n"), identity(3))
	op, err := graph.NewOp("", "Transpose", []graph.Attr{{Name: "perm", Value: []int64{1, 0}}})
	if err != nil {
		t.Fatal(err)
	}
	v := graph.NewBuilder(g).Add("turned", op, g.Outputs[0])
	g.Outputs = []*graph.Value{v}
	if err := g.Infer(); err != nil {
		t.Fatal(err)
	}
	o := Options{Model: Model{Graph: g}, Set: set(t, [][]float32{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {0, 0, 1}}, []int64{0, 1, 2, 1}), LatencyTime: -1}
	near(t, "top-1", run(t, o).Model.Top1, 75)
	o.Batch = 4
	if _, err := Evaluate(context.Background(), o); err == nil || !strings.Contains(err.Error(), "no row for each sample") {
		t.Errorf("a batch that was asked for: %v", err)
	}
}

// The integer output of QLinearConv and its kin is read with the scale and zero point that it is made with.
func TestSeenAsInteger(t *testing.T) {
	scalar := func(name string, v float32) *graph.Value { return graph.NewConst(name, tensor.Scalar(v)) }
	zero := func(name string, v uint8) *graph.Value { return graph.NewConst(name, tensor.Scalar(v)) }
	weights := graph.NewConst("w", tensor.From(make([]int8, 4), 4, 1, 1, 1))
	scales := graph.NewConst("ws", tensor.From([]float32{1, 2, 3, 4}, 4))
	x := graph.NewInput("x", graph.Of(tensor.Uint8, graph.Dims(1, 1, 2, 2)...))
	n := &graph.Node{In: []*graph.Value{
		x, scalar("xs", 0.5), zero("xz", 3), weights, scales, graph.NewConst("wz", tensor.From(make([]int8, 4), 4)),
		scalar("ys", 0.25), zero("yz", 7), graph.NewConst("bias", tensor.From(make([]int32, 4), 4)),
	}}
	y := &graph.Value{Name: "y", Def: n, Fact: graph.Fact{Type: graph.Of(tensor.Uint8)}}
	w := seenAs(y, nil)
	if w == nil || w.scale != 0.25 || w.zero != 7 {
		t.Fatalf("%+v", w)
	}
	if got := w.real(tensor.From([]uint8{7, 11}, 2)); got[0] != 0 || got[1] != 1 {
		t.Errorf("%v", got)
	}
}
