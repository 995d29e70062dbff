package prune

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// Solving for the weights that stay brings the output of a cut net nearer to the original's, on samples that it did not
// see too; the net is cut as without solving, and the original stays as it was.
func TestChannelsReconstruct(t *testing.T) {
	if testing.Short() {
		t.Skip("it solves three times on 200 samples: too slow under the race detector")
	}
	g := residualNet(t)
	var in []data.Input
	for _, v := range g.Inputs {
		shape, ok := graph.FixedShape(v.Shape[1:])
		if !ok {
			t.Fatalf("input %s", v.Type)
		}
		in = append(in, data.Input{Name: v.Name, DType: v.DType, Shape: append([]int{1}, shape...)})
	}
	before := g.String()
	o := ChannelOptions{Sparsity: 0.4, Multiple: 1}
	plain, _, err := Channels(context.Background(), g, o)
	if err != nil {
		t.Fatal(err)
	}
	o.Reconstruct = true
	if _, _, err := Channels(context.Background(), g, o); !errors.Is(err, ErrNoData) {
		t.Errorf("without data: %v", err)
	}
	o.Data = data.Random(in, 200, 1)
	solved, report, err := Channels(context.Background(), g, o)
	if err != nil {
		t.Fatal(err)
	}
	if g.String() != before {
		t.Error("the original has changed")
	}
	if a, b := len(plain.Nodes), len(solved.Nodes); a != b || report.MACs[1] > report.MACs[0]*6/10 {
		t.Errorf("%d nodes, %d without solving; %d multiply-adds of %d", b, a, report.MACs[1], report.MACs[0])
	}
	held := data.Random(in, 20, 2)
	bad, good := outputError(t, g, plain, held), outputError(t, g, solved, held)
	if good > 0.8*bad {
		t.Errorf("the output is off by %.3g of its norm, by %.3g without solving", good, bad)
	}
	o.Threads = 1
	again, _, err := Channels(context.Background(), g, o)
	if err != nil {
		t.Fatal(err)
	}
	if again.String() != solved.String() {
		t.Error("one thread solves for other weights")
	}
}

// outputError is the norm of the difference of two models' first outputs over that of the first one's.
func outputError(t *testing.T, want, got *graph.Graph, set *data.Set) float64 {
	t.Helper()
	var diff, norm float64
	for i := range set.Len() {
		s, err := set.Sample(i)
		if err != nil {
			t.Fatal(err)
		}
		a, err := graph.Eval(t.Context(), want, s.In)
		if err != nil {
			t.Fatal(err)
		}
		b, err := graph.Eval(t.Context(), got, s.In)
		if err != nil {
			t.Fatal(err)
		}
		x, y := tensor.Float64s(a[0]), tensor.Float64s(b[0])
		for i := range x {
			diff += (x[i] - y[i]) * (x[i] - y[i])
			norm += x[i] * x[i]
		}
	}
	return math.Sqrt(diff / norm)
}
