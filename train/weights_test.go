package train

import (
	"slices"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/tensor"
)

// TestClassWeights compares the gradient of a batch with given weights to that of a batch in which samples come as often
// as they weigh.
func TestClassWeights(t *testing.T) {
	g, set := small(t), stripes(t, 12, 3)
	gradient := func(o Options) []float64 {
		o.Batch, o.Frozen, o.Cache = 12, true, -1
		var out []float64
		err := o.EachGradient(t.Context(), g, set, func(_ []*Param, grads []*tensor.Tensor, _ int) error {
			for _, d := range grads {
				out = append(out, tensor.Float64s(d)...)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	plain, none := gradient(Options{}), gradient(Options{ClassWeights: []float64{0, 0, 0}})
	one := [][]float64{}
	for class := range 3 {
		w := make([]float64, 3)
		w[class] = 1
		one = append(one, gradient(Options{ClassWeights: w}))
	}
	mixed := gradient(Options{ClassWeights: []float64{2, 0.5, 3}})
	moved := false
	for i := range plain {
		if none[i] != 0 {
			t.Fatalf("element %d moves by %g with weights of zero", i, none[i])
		}
		near(t, plain[i], one[0][i]+one[1][i]+one[2][i])
		near(t, mixed[i], 2*one[0][i]+0.5*one[1][i]+3*one[2][i])
		moved = moved || plain[i] != 0
	}
	if !moved {
		t.Error("nothing has a gradient")
	}
	if even := gradient(Options{Balanced: true}); !slices.Equal(even, plain) {
		t.Error("balancing changes a set whose classes are even")
	}
}

func near(t *testing.T, got, want float64) {
	t.Helper()
	if d := got - want; d > 1e-5 || d < -1e-5 {
		t.Fatalf("%g, want %g", got, want)
	}
}

func TestBalanced(t *testing.T) {
	if got := balanced(stripes(t, 9, 1), 3); !slices.Equal(got, []float64{1.0 / 3, 3, 3}) {
		t.Errorf("nine of one class: %v", got)
	}
}

func TestClassWeightsThatDoNotFit(t *testing.T) {
	for want, o := range map[string]Options{
		"2 class weights for 3 classes": {ClassWeights: []float64{1, 2}},
		"weight -1 of class 1":          {ClassWeights: []float64{1, -1, 1}},
		"not both":                      {ClassWeights: []float64{1, 1, 1}, Balanced: true},
	} {
		_, err := Fit(t.Context(), small(t), stripes(t, 6, 3), o)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
