package optimize_test

import (
	"context"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/internal/conformance"
	"github.com/tfsopt/tfsopt/optimize"
	"github.com/tfsopt/tfsopt/tensor"
)

// TestConformance optimizes ONNX's conformance models and computes them with the operators' own kernels: all that pass
// without optimization must pass with it.
func TestConformance(t *testing.T) {
	for name, pipeline := range map[string]graph.Pipeline{"default": optimize.Default(), "engine": optimize.ForEngine()} {
		t.Run(name, func(t *testing.T) {
			s := conformance.Suite{List: "../ops/testdata/passing.txt", MaxMACs: 50e6, Run: func(ctx context.Context, g *graph.Graph, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
				if _, err := pipeline.Run(ctx, g, nil); err != nil {
					return nil, err
				}
				return graph.Eval(ctx, g, in)
			}}
			s.Test(t)
		})
	}
}
