package evaluate

import (
	"math"
	"math/rand/v2"
	"testing"
)

// byPairs is the area by its definition: over all pairs of a positive and a negative sample.
func byPairs(list []scored) float64 {
	won, pairs := 0.0, 0.0
	for _, p := range list {
		for _, n := range list {
			if !p.positive || n.positive {
				continue
			}
			pairs++
			switch {
			case p.score > n.score:
				won++
			case p.score == n.score:
				won += 0.5
			}
		}
	}
	return won / pairs
}

func TestAUC(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		var b binary
		for range 2 + r.IntN(60) {
			score := float64(r.IntN(9)) // many ties
			b.add(score, r.IntN(2), r.IntN(2))
		}
		b.add(4, 1, 1)
		b.add(4, 0, 0)
		if got, want := *b.auc(), byPairs(b.scored); math.Abs(got-want) > 1e-12 {
			t.Fatalf("%d samples: %v, want %v", len(b.scored), got, want)
		}
	}
}

func TestBinary(t *testing.T) {
	var b binary
	if b.recall() != nil || b.precision() != nil || b.auc() != nil {
		t.Error("figures of no samples")
	}
	b.add(-1, 0, 0)
	if b.recall() != nil || b.auc() != nil {
		t.Error("figures without a positive sample")
	}
	for _, s := range []struct {
		score         float64
		answer, label int
	}{{2, 1, 1}, {3, 1, 1}, {-2, 0, 1}, {5, 1, 0}, {-3, 0, 0}, {-4, 0, 1}} {
		b.add(s.score, s.answer, s.label)
	}
	if *b.recall() != 50 || math.Abs(*b.precision()-200.0/3) > 1e-12 {
		t.Errorf("recall %v, precision %v", *b.recall(), *b.precision())
	}
	// Of the twelve pairs, positives win 2 over -1 and -3, 3 over -1 and -3, -2 over -3.
	if got := *b.auc(); math.Abs(got-5.0/12) > 1e-12 {
		t.Errorf("area %v", got)
	}
}

func TestTallyOfTwoClasses(t *testing.T) {
	for _, c := range []struct {
		head head
		op   string
		rows [][]float64
	}{
		{scores, "", [][]float64{{1, -1}, {0, 3}, {1, 0.5}, {-1, 1}}},
		{scores, "Softmax", [][]float64{{0.9, 0.1}, {0.1, 0.9}, {0.6, 0.4}, {0.2, 0.8}}},
		{sigmoid, "Sigmoid", [][]float64{{0.1}, {0.9}, {0.4}, {0.8}}},
		{logit, "", [][]float64{{-2}, {2}, {-0.5}, {1}}},
	} {
		tally := tally{head: c.head, op: c.op}
		for i, label := range []int{0, 1, 1, 0} {
			tally.add(c.rows[i], label)
		}
		var s Scores
		tally.fill(&s, 2)
		if s.Recall == nil || *s.Recall != 50 || *s.Precision != 50 || *s.AUC != 0.75 {
			t.Errorf("%v %s: %+v", c.head, c.op, s)
		}
	}
	three := tally{head: scores}
	three.add([]float64{1, 2, 3}, 1)
	var s Scores
	if three.fill(&s, 3); s.Recall != nil || s.AUC != nil {
		t.Errorf("three classes: %+v", s)
	}
}
