package prune

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestAccumulator(t *testing.T) {
	// taylor: (1·1)² + (1·3)² = 10 and (2·(-1))² + (2·1)² = 8, of 18.
	// snip: |1·(1·2 + 3·1)| = 5 and |2·(-1·2 + 1·1)| = 2, of 7.
	for criterion, want := range map[string][]float64{"taylor": {10.0 / 18, 8.0 / 18}, "snip": {5.0 / 7, 2.0 / 7}} {
		a, err := NewAccumulator(criterion)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range []struct {
			g       []float32
			samples int
		}{{[]float32{1, -1}, 2}, {[]float32{3, 1}, 1}} {
			if err := a.Add("w", []float32{1, 2}, b.g, b.samples); err != nil {
				t.Fatal(err)
			}
		}
		for i, s := range a.Scores()["w"] {
			if math.Abs(float64(s)-want[i]) > 1e-7 {
				t.Errorf("%s: score %d is %v, want %v", criterion, i, s, want[i])
			}
		}
		if err := a.Add("w", []float32{1, 2}, []float32{1}, 1); err == nil || !strings.Contains(err.Error(), `"w"`) {
			t.Errorf("one gradient for two weights: error %v", err)
		}
		if err := a.Add("w", []float32{1, 2}, []float32{1, float32(math.NaN())}, 1); err == nil || !strings.Contains(err.Error(), "element 1") {
			t.Errorf("a gradient that is NaN: error %v", err)
		}
	}
	if _, err := NewAccumulator("magnitude"); err == nil {
		t.Error("magnitude accumulates gradients")
	}
}

func TestGivenScores(t *testing.T) {
	o := Options{Criterion: "gradient", Sparsity: 0.5, Include: []string{"fc"}, Scores: Scores{"v": {8, 7, 6, 5, 4, 3, 2, 1}}}
	r := prunedBy(t, net, o)
	if got, want := floats(r.Graph, "v"), []float32{10, 20, 30, 40, 0, 0, 0, 0}; !slices.Equal(got, want) {
		t.Errorf("by scores %v, want %v", got, want)
	}
	for _, c := range []struct {
		scores Scores
		want   string
	}{
		{nil, "needs scores"},
		{Scores{"w": make([]float32, 16)}, `"v"`},
		{Scores{"v": {1, 2}}, "2 scores"},
		{Scores{"v": {1, 2, 3, 4, -5, 6, 7, 8}}, "-5"},
	} {
		o.Scores = c.scores
		if _, err := Weights(context.Background(), parse(t, net), o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("scores %v: error %v, want %q in it", c.scores, err, c.want)
		}
	}
}

func TestRandom(t *testing.T) {
	by := func(seed uint64) []float32 {
		return floats(prunedBy(t, net, Options{Criterion: "random", Seed: seed, Sparsity: 0.5, Include: []string{"conv"}}).Graph, "w")
	}
	if !slices.Equal(by(1), by(1)) {
		t.Error("one seed gives two results")
	}
	if slices.Equal(by(1), by(2)) {
		t.Error("two seeds give one result")
	}
	// The scores are uniform: half of many are below one half.
	m := &matrix{value: parse(t, net).Value("w"), row: steps(100, 100), col: steps(100, 1)}
	scores := make([]float64, m.len())
	for i := range scores {
		scores[i] = 1
	}
	m.random(7, scores)
	low := 0
	for _, s := range scores {
		if s <= 0 || s > 1 {
			t.Fatalf("score %v", s)
		}
		if s < 0.5 {
			low++
		}
	}
	if low < 4800 || low > 5200 {
		t.Errorf("%d of 10000 are below one half", low)
	}
}

func TestCubic(t *testing.T) {
	c := Cubic{Initial: 0.2, Final: 0.8, Begin: 10, End: 20}
	for step, want := range map[int]float64{0: 0, 9: 0, 10: 0.2, 15: 0.8 - 0.6/8, 20: 0.8, 100: 0.8} {
		if got := c.At(step); math.Abs(got-want) > 1e-12 {
			t.Errorf("step %d: %v, want %v", step, got, want)
		}
	}
	c.Every = 4
	if c.At(15) != c.At(14) || c.At(14) == c.At(13) {
		t.Errorf("every 4 steps: %v, %v, %v at 13 to 15", c.At(13), c.At(14), c.At(15))
	}
	var changes []int
	for step := range 30 {
		if c.Changes(step) {
			changes = append(changes, step)
		}
	}
	if !slices.Equal(changes, []int{10, 14, 18, 20}) {
		t.Errorf("masks change at %v", changes)
	}
}
