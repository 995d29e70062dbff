package prune

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func TestLAMP(t *testing.T) {
	// w = 3, 1, 2: 1/(1+4+9), 4/(4+9), 9/9.
	r := rank(nil, []float64{9, 1, 4}, false)
	if !slices.Equal(r.order, []uint32{1, 2, 0}) {
		t.Errorf("order %v", r.order)
	}
	for i, want := range []float64{1.0 / 14, 4.0 / 13, 1} {
		if math.Abs(r.score[i]-want) > 1e-15 {
			t.Errorf("score %d is %v, want %v", i, r.score[i], want)
		}
	}
	if r := rank(nil, []float64{9, 1, 4}, true); !slices.Equal(r.score, []float64{1, 4, 9}) {
		t.Errorf("raw scores %v", r.score)
	}
	if r := rank(nil, []float64{0, 0}, false); !slices.Equal(r.score, []float64{0, 0}) {
		t.Errorf("scores of zeros %v", r.score)
	}
}

func TestBudget(t *testing.T) {
	list := []ranking{
		{score: []float64{0, 0.1, 0.5, 1}, most: 3},
		{score: []float64{0.1, 0.1, 0.2, 1}, most: 3},
	}
	for n, want := range [][]int{{0, 0}, {1, 0}, {2, 0}, {2, 1}, {2, 2}, {2, 3}, {3, 3}} {
		got, err := budget(list, n)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%d to go: %v, %v, want %v", n, got, err, want)
		}
	}
	if _, err := budget(list, 7); err == nil {
		t.Error("7 of at most 6 may go")
	}
}

// scaledBy is net with one weight multiplied.
func scaledBy(t *testing.T, f float32) *graph.Graph {
	g := parse(t, net)
	v := slices.Clone(floats(g, "v"))
	for i := range v {
		v[i] *= f
	}
	return replaced(g, map[string]*tensor.Tensor{"v": tensor.From(v, 4, 2)})
}

func TestScaleFree(t *testing.T) {
	var zeros [2][]uint64
	for i, f := range []float32{1, 1.0 / 4096} {
		r, err := Weights(context.Background(), scaledBy(t, f), Options{Sparsity: 0.5})
		if err != nil {
			t.Fatal(err)
		}
		zeros[i] = append(slices.Clone(r.Masks["w"].gone), r.Masks["v"].gone...)
		if n := r.Masks["w"].Zeros() + r.Masks["v"].Zeros(); n != 12 || r.Sparsity != 0.5 {
			t.Errorf("%d zeros, sparsity %g, want half of 24", n, r.Sparsity)
		}
	}
	if !slices.Equal(zeros[0], zeros[1]) {
		t.Errorf("masks depend on the scale of a layer: %x and %x", zeros[0], zeros[1])
	}
}

func TestRawWarns(t *testing.T) {
	raw := Options{Sparsity: 0.5, Raw: true}
	r, err := Weights(context.Background(), scaledBy(t, 1), raw)
	if err != nil {
		t.Fatal(err)
	}
	if n := r.Masks["w"].Zeros(); n != 12 {
		t.Errorf("%d of the small weights go, want 12", n)
	}
	if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "fc") || !strings.Contains(r.Warnings[0], "conv") {
		t.Errorf("warnings %q, want one that names conv and fc", r.Warnings)
	}
	if r, err = Weights(context.Background(), scaledBy(t, 0.125), raw); err != nil || len(r.Warnings) != 0 {
		t.Errorf("layers of one scale: warnings %q, error %v", r.Warnings, err)
	}
}

func TestMinDensity(t *testing.T) {
	r, err := Weights(context.Background(), scaledBy(t, 1), Options{Sparsity: 0.625, Raw: true, MinDensity: 0.25})
	if err != nil {
		t.Fatal(err)
	}
	if a, b := r.Masks["w"].Zeros(), r.Masks["v"].Zeros(); a != 12 || b != 3 {
		t.Errorf("%d and %d zeros, want 12 of 16 and 3 of 8", a, b)
	}
	if _, err := Weights(context.Background(), scaledBy(t, 1), Options{Sparsity: 0.9, MinDensity: 0.25}); err == nil {
		t.Error("a sparsity beyond the minimum density is no error")
	}
	if _, err := Weights(context.Background(), scaledBy(t, 1), Options{Sparsity: 0.9, MinDensity: 0.25, Scope: "layer"}); err == nil {
		t.Error("a sparsity beyond the minimum density by layer is no error")
	}
	r, err = Weights(context.Background(), scaledBy(t, 1), Options{Sparsity: 0.9, Raw: true})
	if err != nil {
		t.Fatal(err)
	}
	if a, b := r.Masks["w"].Zeros(), r.Masks["v"].Zeros(); a != 15 || b != 7 {
		t.Errorf("%d and %d zeros at 90 %%, want 15 and 7: each layer keeps something", a, b)
	}
}

func TestScopeLayer(t *testing.T) {
	r, err := Weights(context.Background(), scaledBy(t, 1), Options{Sparsity: 0.25, Scope: "layer"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := floats(r.Graph, "v"), []float32{0, 0, 30, 40, 50, 60, 70, 80}; !slices.Equal(got, want) {
		t.Errorf("a quarter by layer gives %v, want %v", got, want)
	}
	if n := r.Masks["w"].Zeros(); n != 4 {
		t.Errorf("%d zeros of 16", n)
	}
	if l := r.Layers[1]; math.Abs(l.NormLost-500.0/20400) > 1e-12 {
		t.Errorf("lost share of the norm %v, want 500/20400", l.NormLost)
	}
}

// What is zero stays zero when more goes.
func TestZerosGoFirst(t *testing.T) {
	for _, criterion := range []string{"magnitude", "random"} {
		g := parse(t, net)
		var before Masks
		for _, s := range []float64{0.25, 0.5, 0.75} {
			r, err := Weights(context.Background(), g, Options{Sparsity: s, Criterion: criterion})
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range before.Names() {
				for i := range before[name].Len() {
					if !before[name].Keeps(i) && r.Masks[name].Keeps(i) {
						t.Errorf("%s: element %d of %s came back at %g", criterion, i, name, s)
					}
				}
			}
			g, before = r.Graph, r.Masks
		}
	}
}
