package train

import (
	"math"
	"testing"

	"github.com/tfsopt/tfsopt/tensor"
)

// The expected numbers follow from the formulas by hand: see each case.
func TestOptimizers(t *testing.T) {
	cases := []struct {
		name string
		u    rates
		want []float64 // the weight after each of two steps with gradients 1 and 2
	}{
		{"sgd", rates{rate: 0.1, momentum: 0.5}, []float64{0.9, 0.65}},                                  // v: 1, 2.5
		{"sgd", rates{rate: 0.1, momentum: 0.5, nesterov: true}, []float64{0.85, 0.525}},                // 1.5, 2+1.25
		{"sgd", rates{rate: 0.1, momentum: 0.5, decay: 1}, []float64{0.8, 0.8 - 0.1*3.8}},               // v: 2, 1+2.8
		{"adamw", rates{rate: 0.1}, []float64{0.9, 0.9 - 0.1*(0.29/0.19)/math.Sqrt(0.004999/0.001999)}}, // means 0.29, squares 0.004999
		{"adamw", rates{rate: 0.1, decay: 0.5}, []float64{0.85, 0.85 - 0.1*((0.29/0.19)/math.Sqrt(0.004999/0.001999)+0.425)}},
	}
	for _, c := range cases {
		opt := optimizers[c.name]
		w, slots := []float32{1}, [][]float32{{0}, {0}}[:opt.slots]
		for i, want := range c.want {
			c.u.step = i + 1
			opt.update(w, []float32{float32(i + 1)}, slots, c.u)
			if math.Abs(float64(w[0])-want) > 1e-5 {
				t.Errorf("%s %+v step %d: %g, want %g", c.name, c.u, i+1, w[0], want)
			}
		}
	}
}

func TestClip(t *testing.T) {
	g := []*tensor.Tensor{tensor.From([]float32{3}, 1), tensor.From([]float32{4, 0}, 2)}
	if norm := clip(g, 10); norm != 5 {
		t.Errorf("norm %g, want 5", norm)
	}
	clip(g, 1)
	if a, b := tensor.Floats(g[0])[0], tensor.Floats(g[1])[0]; math.Abs(float64(a)-0.6) > 1e-6 || math.Abs(float64(b)-0.8) > 1e-6 {
		t.Errorf("clipped to %g, %g, want 0.6, 0.8", a, b)
	}
}

func TestSchedules(t *testing.T) {
	cases := []struct {
		schedule string
		warmup   float64
		step     int
		want     float64
	}{
		{"constant", 0, 99, 1},
		{"cosine", 0, 0, 1},
		{"cosine", 0, 50, 0.5},
		{"cosine", 2, 0, 0.05},
		{"cosine", 2, 19, 1},
		{"cosine", 2, 60, 0.5},
		{"step", 0, 33, 1},
		{"step", 0, 34, 0.1},
		{"step", 0, 67, 0.01},
	}
	for _, c := range cases {
		o := Options{Schedule: c.schedule, Warmup: c.warmup, Rate: 1, Epochs: 10}
		if got := o.rateAt(c.step, 100); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s with warm-up %g at step %d: %g, want %g", c.schedule, c.warmup, c.step, got, c.want)
		}
	}
}
