package ops

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// TestTwister compares with the first words of the authors' own mt19937ar.c for seed 5489 and with
// numpy.random.RandomState(0).random_sample().
func TestTwister(t *testing.T) {
	g := newTwister(5489)
	for i, want := range []uint32{3499211612, 581869302, 3890346734} {
		if got := g.word(); got != want {
			t.Errorf("word %d is %d, want %d", i, got, want)
		}
	}
	r := rand.New(newTwister(0))
	for i, want := range []float64{0.5488135039273248, 0.7151893663724195, 0.6027633760716439} {
		if got := r.Float64(); got != want {
			t.Errorf("number %d is %v, want %v", i, got, want)
		}
	}
}

func TestRandomOperatorsRepeat(t *testing.T) {
	draw := func(seed *float32) *tensor.Tensor {
		out := &tensor.Tensor{}
		op := RandomNormal{DType: 1, Scale: 1, Seed: seed, Shape: []int{100}}
		if err := op.Run(&graph.Exec{Ctx: context.Background()}, nil, []*tensor.Tensor{out}); err != nil {
			t.Fatal(err)
		}
		return out
	}
	one, two := float32(1), float32(2)
	for _, seed := range []*float32{nil, &one} {
		if !draw(seed).Equal(draw(seed)) {
			t.Error("two runs differ")
		}
	}
	if draw(&one).Equal(draw(&two)) {
		t.Error("the seed changes nothing")
	}
}
