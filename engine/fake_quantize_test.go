package engine_test

import (
	"fmt"
	"testing"

	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/kernels"
	"github.com/tfsopt/tfsopt/tensor"
)

// fakeQuantizeCases are shapes of data and scales: one scale, rows, columns, and between them.
var fakeQuantizeCases = []struct {
	x, scale string
	axis     int
}{
	{"3,7", "", 1},
	{"2,5,40,41", "", 1},
	{"5,33", "5", 0},
	{"33,5", "5", 1},
	{"16,8,3,3", "16", 0},
	{"4,6,3,3", "6", 1},
	{"700,300", "300", -1},
	{"2,300,700", "2", 0},
	{"1,9", "1", 0},
}

func TestFakeQuantize(t *testing.T) {
	for _, c := range fakeQuantizeCases {
		for _, bounds := range []string{"lo=-8 hi=7", "lo=-128 hi=127", "lo=0 hi=255"} {
			agree(t, fmt.Sprintf(`input x: f32[%[1]s]
			input r: f32[%[2]s]
			input dy: f32[%[1]s]
			const tenth: f32[] = {0.01}
			a: f32[%[2]s] = Abs(r)
			s: f32[%[2]s] = Add(a, tenth)
			y: f32[%[1]s] = tfsopt.FakeQuantize(x, s) {axis=%[3]d %[4]s}
			dx: f32[%[1]s], ds: f32[%[2]s] = tfsopt.FakeQuantizeGrad(dy, x, s) {axis=%[3]d %[4]s}
			output y
			output dx
			output ds`, c.x, c.scale, c.axis, bounds), 2e-4)
		}
	}
}

// TestFakeQuantizeActivations has one scale, a zero point, and channels that lie last.
func TestFakeQuantizeActivations(t *testing.T) {
	agree(t, `input x: f32[2,5,9,8]
		input w: f32[6,5,3,3]
		input r: f32[]
		input dy: f32[2,6,7,6]
		const z: f32[] = {100}
		const tenth: f32[] = {0.05}
		a: f32[] = Abs(r)
		s: f32[] = Add(a, tenth)
		q: f32[2,5,9,8] = tfsopt.FakeQuantize(x, tenth, z) {lo=0 hi=255}
		c: f32[2,6,7,6] = Conv(q, w)
		y: f32[2,6,7,6] = tfsopt.FakeQuantize(c, s, z) {lo=0 hi=255}
		p: f32[2,6,7,6] = Mul(y, dy)
		dx: f32[2,6,7,6], ds: f32[] = tfsopt.FakeQuantizeGrad(p, c, s, z) {lo=0 hi=255}
		only: f32[2,6,7,6], _ = tfsopt.FakeQuantizeGrad(p, c, s) {lo=-128 hi=127}
		output y
		output dx
		output ds
		output only`, 1e-3)
	agree(t, `input x: f32[2,6,4]
		input s0: f32[6]
		const z: f32[6] = {1, 2, 3, 1, 2, 3}
		const one: f32[] = {1.5}
		a: f32[6] = Abs(s0)
		s: f32[6] = Add(a, one)
		y: f32[2,6,4] = tfsopt.FakeQuantize(x, s, z) {lo=-8 hi=7}
		dx: f32[2,6,4], ds: f32[6] = tfsopt.FakeQuantizeGrad(x, x, s, z) {lo=-8 hi=7}
		output y
		output dx
		output ds`, 1e-5)
}

// TestFakeQuantizeBits compares the engine with the reference bit by bit.
func TestFakeQuantizeBits(t *testing.T) {
	g := parse(t, `graph "g" {
		opset "tfsopt" 1
		input x: float32[5000]
		const s: float32[] = {0.37}
		const z: float32[] = {-3}
		y: float32[5000] = tfsopt.FakeQuantize(x, s, z) {lo=-128 hi=127}
		output y
	}`)
	x := noise(1, 5000)
	v := tensor.View[float32](x)
	for i := range v {
		v[i] *= 30
		if i%5 == 0 {
			v[i] = float32(i-2500) * 0.37 / 10 // ties among them
		}
	}
	want := reference(t, g, x)
	for _, set := range kernels.Available() {
		if got := run(t, compile(t, g, engine.Options{Threads: 2, CPU: set.Name}), x); !got[0].Equal(want[0]) {
			t.Errorf("%s: differs from the reference", set.Name)
		}
	}
}
