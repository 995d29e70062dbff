package engine_test

import (
	"context"
	"testing"

	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/internal/conformance"
	"github.com/tfsopt/tfsopt/tensor"
)

// TestConformance runs ONNX's conformance models as programs; see internal/conformance for its flags.
func TestConformance(t *testing.T) {
	suite := conformance.Suite{
		List: "testdata/passing.txt",
		Run: func(ctx context.Context, g *graph.Graph, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
			p, err := engine.Compile(ctx, g, engine.Options{Threads: 1})
			if err != nil {
				return nil, err
			}
			defer p.Close()
			call := &engine.Call{In: in}
			err = p.Run(ctx, call)
			return call.Out, err
		},
	}
	suite.Test(t)
}
