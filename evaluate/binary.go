package evaluate

import (
	"cmp"
	"slices"
)

// binary follows a model of two classes, of which 1 is the positive one. It keeps a number for each sample, which the
// area under the curve needs.
type binary struct {
	scored         []scored
	hit, miss      int // of the positive samples, by the answer
	falseHit, good int // of the negative ones
}

// scored is how strongly a model speaks for class 1, and whether that is right.
type scored struct {
	score    float64
	positive bool
}

// add counts a sample of class 0 or 1.
func (b *binary) add(score float64, answer, label int) {
	b.scored = append(b.scored, scored{score, label == 1})
	switch {
	case label == 1 && answer == 1:
		b.hit++
	case label == 1:
		b.miss++
	case answer == 1:
		b.falseHit++
	default:
		b.good++
	}
}

// recall is the percentage of positive samples that are found, precision that of positive answers that are right; nil
// if there are none.
func (b *binary) recall() *float64    { return share(b.hit, b.hit+b.miss) }
func (b *binary) precision() *float64 { return share(b.hit, b.hit+b.falseHit) }

func share(part, whole int) *float64 {
	if whole == 0 {
		return nil
	}
	p := 100 * float64(part) / float64(whole)
	return &p
}

// auc is the area under the receiver operating characteristic: the probability that a positive sample scores higher than
// a negative one, where equal scores count half. It is computed by ranks, those of equals being their mean (Hanley and
// McNeil, "The meaning and use of the area under a receiver operating characteristic (ROC) curve", Radiology 143, 1982);
// nil unless there are samples of both classes.
func (b *binary) auc() *float64 {
	positive, negative := float64(b.hit+b.miss), float64(b.falseHit+b.good)
	if positive == 0 || negative == 0 {
		return nil
	}
	slices.SortFunc(b.scored, func(x, y scored) int { return cmp.Compare(x.score, y.score) })
	ranks := 0.0 // of the positive samples
	for from := 0; from < len(b.scored); {
		to, here := from, 0
		for ; to < len(b.scored) && b.scored[to].score == b.scored[from].score; to++ {
			if b.scored[to].positive {
				here++
			}
		}
		ranks += float64(here) * float64(from+to+1) / 2
		from = to
	}
	area := (ranks - positive*(positive+1)/2) / (positive * negative)
	return &area
}

// positiveScore is how strongly a row of two classes, or of one score, speaks for class 1.
func positiveScore(row []float64) float64 {
	if len(row) == 1 {
		return row[0]
	}
	return finite(row[1]) - finite(row[0])
}
