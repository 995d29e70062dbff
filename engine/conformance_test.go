package engine_test

import (
	"context"
	"flag"
	"testing"

	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/internal/conformance"
	"github.com/tfsopt/tfsopt/kernels"
	"github.com/tfsopt/tfsopt/tensor"
)

var (
	updatePassing = flag.Bool("update", false, "add the conformance cases that pass to testdata/passing.txt")
	why           = flag.String("why", "", "say why conformance cases that are not listed fail: a regular expression on their names")
)

// TestConformance runs ONNX's conformance models as programs. The large ones (light, above 0.2 GMAC) run with the
// best kernels only: Go's own take seconds for them.
func TestConformance(t *testing.T) {
	s := conformance.Suite{List: "testdata/passing.txt", Update: *updatePassing, Why: *why, Run: runProgram}
	set, err := kernels.Select("")
	if err != nil {
		t.Fatal(err)
	}
	if set.Name == "generic" || testing.Short() {
		s.MaxMACs = 200e6
	}
	s.Test(t)
}

func runProgram(ctx context.Context, g *graph.Graph, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	p, err := engine.Compile(ctx, g, engine.Options{Threads: 2})
	if err != nil {
		return nil, err
	}
	defer p.Close()
	call := &engine.Call{In: in}
	err = p.Run(ctx, call)
	return call.Out, err
}
