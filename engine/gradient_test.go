package engine_test

import (
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/kernels"
	"github.com/tfsopt/tfsopt/tensor"
)

// agree runs a graph with every kernel set and several numbers of threads: the results are near the reference, and the
// same bits. text is the inside of a graph's text form.
func agree(t *testing.T, text string, tol float64) {
	t.Helper()
	g := parse(t, "graph \"g\" {\n opset \"\" 21\n opset \"tfsopt\" 1\n"+strings.ReplaceAll(text, "f32", "float32")+"\n}")
	var in []*tensor.Tensor
	for i, v := range g.Inputs {
		shape, ok := v.Fixed()
		if !ok {
			t.Fatalf("input %q has no fixed shape", v.Name)
		}
		in = append(in, noise(uint64(i+1), shape...))
	}
	agreeOn(t, g, in, tol)
}

func agreeOn(t *testing.T, g *graph.Graph, in []*tensor.Tensor, tol float64) {
	t.Helper()
	want := reference(t, g, in...)
	first := run(t, compile(t, g, engine.Options{Threads: 1, CPU: "generic"}), in...)
	near(t, first, want, tol)
	for _, set := range kernels.Available() {
		for _, threads := range []int{1, 3} {
			for i, got := range run(t, compile(t, g, engine.Options{Threads: threads, CPU: set.Name}), in...) {
				if !got.Equal(first[i]) {
					t.Errorf("%s with %d threads: output %d differs", set.Name, threads, i)
				}
			}
		}
	}
}

// fails wants an error that contains the text.
func fails(t *testing.T, g *graph.Graph, in []*tensor.Tensor, text string) {
	t.Helper()
	err := compile(t, g, engine.Options{Threads: 1}).Run(t.Context(), &engine.Call{In: in})
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("got %v, want %q", err, text)
	}
}
