package train

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// TestUnitsBehindFakeQuantize wants weight and scale of the first layer in one unit, and the function unchanged by it.
func TestUnitsBehindFakeQuantize(t *testing.T) {
	g, err := graph.Parse(strings.NewReader(`graph "quantized" {
	opset "" 17
	opset "tfsopt" 1
	input x: float32[batch,3]
	const w: float32[3,2] = {0.01, -0.02, 0.013, 0.04, -0.003, 0.02}
	const s: float32[2] = {0.004, 0.006}
	const v: float32[2,2] = {0.5, -0.25, 1, 0.75}
	const r: float32[] = {0.1}
	wq: float32[3,2] = tfsopt.FakeQuantize(w, s) {axis=1 lo=-8 hi=7}
	h: float32[batch,2] = MatMul(x, wq)
	vq: float32[2,2] = tfsopt.FakeQuantize(v, r) {lo=-8 hi=7}
	y: float32[batch,2] = MatMul(h, vq)
	output y
}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Infer(); err != nil {
		t.Fatal(err)
	}
	x := make([]float32, 30)
	for i := range x {
		x[i] = float32(i * 8)
	}
	path := filepath.Join(t.TempDir(), "x.npy")
	if err := data.SaveTensor(path, tensor.From(x, 10, 3)); err != nil {
		t.Fatal(err)
	}
	set, err := data.Open(data.Options{Path: path, Inputs: []data.Input{{Name: "x", DType: tensor.Float32, Shape: []int{-1, 3}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	m, err := NewModel(g)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.condition(context.Background(), set, &Options{Batch: 10}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float32{"w": 128, "s": 128, "v": 1, "r": 1} {
		if got := m.Param(name).Unit(); got != want {
			t.Errorf("%s has unit %g, want %g", name, got, want)
		}
	}
	o, err := m.open(10)
	if err != nil {
		t.Fatal(err)
	}
	in, err := m.someInputs(set, o, 10)
	if err != nil {
		t.Fatal(err)
	}
	got, err := graph.Eval(context.Background(), o.Graph, in)
	if err != nil {
		t.Fatal(err)
	}
	want, err := graph.Eval(context.Background(), g, in[:1])
	if err != nil {
		t.Fatal(err)
	}
	if !got[0].Equal(want[0]) {
		t.Error("the units change the function")
	}
}
