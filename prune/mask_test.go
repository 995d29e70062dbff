package prune

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// net is a convolution and a product, with a bias each.
const net = `graph "net" {
  opset "" 17
  input x: float32[batch,4,4,4]
  const w: float32[4,4,1,1] = {1, -2, 3, -4, 8, 7, 6, 5, 0.5, 0.25, 0.125, 1, 9, -9, 9, -9}
  const b: float32[4] = {1, 2, 3, 4}
  c: float32[batch,4,4,4] = Conv(x, w, b) "conv"
  p: float32[batch,4,1,1] = GlobalAveragePool(c) "pool"
  f: float32[batch,4] = Flatten(p) "flat"
  const v: float32[4,2] = {10, 20, 30, 40, 50, 60, 70, 80}
  const z: float32[2] = {0.5, -0.5}
  y: float32[batch,2] = Gemm(f, v, z) "fc"
  output y
}`

func parse(tb testing.TB, text string) *graph.Graph {
	tb.Helper()
	g, err := graph.Parse(strings.NewReader(text))
	if err == nil {
		err = g.Infer()
	}
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

func floats(g *graph.Graph, name string) []float32 { return tensor.Floats(g.Value(name).Const) }

func TestMaskApply(t *testing.T) {
	g := parse(t, net)
	m := NewMask(4, 2)
	m.Prune(0)
	m.Prune(7)
	out, err := Masks{"v": m}.Apply(g)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := floats(out, "v"), []float32{0, 20, 30, 40, 50, 60, 70, 0}; !slices.Equal(got, want) {
		t.Errorf("masked weights %v, want %v", got, want)
	}
	if got, want := floats(g, "v"), []float32{10, 20, 30, 40, 50, 60, 70, 80}; !slices.Equal(got, want) {
		t.Errorf("the original's weights became %v", got)
	}
	if &out.Value("w").Const.Data[0] != &g.Value("w").Const.Data[0] {
		t.Error("a constant without mask was copied")
	}
	if m.Zeros() != 2 || m.Keeps(0) || !m.Keeps(1) {
		t.Errorf("mask has %d zeros, keeps 0: %v, keeps 1: %v", m.Zeros(), m.Keeps(0), m.Keeps(1))
	}
	w := []float32{-1, 2, 3, 4, 5, 6, 7, -8}
	m.Multiply(w)
	if want := []float32{0, 2, 3, 4, 5, 6, 7, 0}; !slices.Equal(w, want) || math.Signbit(float64(w[0])) {
		t.Errorf("multiplied weights %v, want %v with positive zeros", w, want)
	}
	for name, m := range map[string]*Mask{"nothing": NewMask(1), "w": NewMask(4, 4)} {
		if _, err := (Masks{name: m}).Apply(g); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("mask of %q: error %v", name, err)
		}
	}
}

func TestMaskApplyHalf(t *testing.T) {
	x, err := tensor.FromFloats(tensor.Float16, []float32{1, 2, 3}, 3)
	if err != nil {
		t.Fatal(err)
	}
	m := NewMask(3)
	m.Prune(1)
	y, err := m.apply(x)
	if err != nil {
		t.Fatal(err)
	}
	if got := tensor.Floats(y); !slices.Equal(got, []float32{1, 0, 3}) {
		t.Errorf("masked halves %v", got)
	}
}

func TestMasksOf(t *testing.T) {
	g := parse(t, net)
	if m := MasksOf(g); len(m) != 0 {
		t.Errorf("a dense graph has masks of %v", m.Names())
	}
	m := NewMask(4, 4, 1, 1)
	for _, i := range []int{3, 5, 15} {
		m.Prune(i)
	}
	all := NewMask(4, 2)
	for i := range 8 {
		all.Prune(i)
	}
	out, err := Masks{"w": m, "v": all}.Apply(g)
	if err != nil {
		t.Fatal(err)
	}
	found := MasksOf(out)
	if len(found) != 1 || found["w"] == nil || !slices.Equal(found["w"].gone, m.gone) {
		t.Errorf("found masks of %v: %+v, want that of w alone", found.Names(), found["w"])
	}
}

func TestRewind(t *testing.T) {
	g := parse(t, net)
	initial := ValuesOf(g)
	m := NewMask(4, 2)
	m.Prune(2)
	trained := replaced(g, map[string]*tensor.Tensor{"v": tensor.From([]float32{1, 1, 1, 1, 1, 1, 1, 1}, 4, 2)})
	out, err := Masks{"v": m}.Rewind(trained, initial)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := floats(out, "v"), []float32{10, 20, 0, 40, 50, 60, 70, 80}; !slices.Equal(got, want) {
		t.Errorf("rewound weights %v, want %v", got, want)
	}
	if got := initial["v"]; got[2] != 30 {
		t.Errorf("the initial values became %v", got)
	}
	if _, err := (Masks{}).Rewind(g, Values{"v": {1}}); err == nil || !strings.Contains(err.Error(), `"v"`) {
		t.Errorf("one value for eight weights: error %v", err)
	}
}
