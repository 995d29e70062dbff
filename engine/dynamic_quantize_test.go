package engine_test

import (
	"math"
	"testing"

	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/kernels"
	"github.com/tfsopt/tfsopt/tensor"
)

// TestDynamicQuantize: range and integers have the reference's bits, for a vector of any kind and with every set.
func TestDynamicQuantize(t *testing.T) {
	g := parse(t, `graph "g" {
  opset "" 17
  input x: float32[n]
  y: uint8[n], s: float32[], z: uint8[] = DynamicQuantizeLinear(x)
  output y
  output s
  output z
}`)
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		name string
		n    int
		edit func(v []float32)
	}{
		{"nothing", 0, nil},
		{"one", 1, nil},
		{"noise", 1001, nil},
		{"several tasks", 100_003, func(v []float32) { v[70_000], v[100_002] = 3, -2 }},
		{"zeros", 37, func(v []float32) { clear(v); v[3] = float32(math.Copysign(0, -1)) }},
		{"positive", 100, func(v []float32) {
			for i := range v {
				v[i] += 7
			}
		}},
		{"negative", 100, func(v []float32) {
			for i := range v {
				v[i] -= 7
			}
		}},
		{"NaN first and last", 99, func(v []float32) { v[0], v[98] = nan, nan }},
		{"NaN alone", 2, func(v []float32) { v[0], v[1] = nan, nan }},
		{"infinite", 99, func(v []float32) { v[5] = inf }},
		{"-infinite", 99, func(v []float32) { v[98] = -inf }},
		{"range that overflows", 50, func(v []float32) { v[5], v[6] = math.MaxFloat32, -math.MaxFloat32 }},
		{"subnormal", 50, func(v []float32) {
			for i := range v {
				v[i] *= 1e-42
			}
		}},
	} {
		x := noise(uint64(c.n), c.n)
		if c.edit != nil {
			c.edit(tensor.View[float32](x))
		}
		want := reference(t, g, x)
		for _, set := range kernels.Available() {
			for _, threads := range []int{1, 2} {
				got := run(t, compile(t, g, engine.Options{Threads: threads, CPU: set.Name}), x)
				for i := range want {
					if !got[i].Equal(want[i]) {
						t.Errorf("%s with %s and %d threads: output %d is %v, want %v", c.name, set.Name, threads, i, got[i], want[i])
					}
				}
			}
		}
	}
}
