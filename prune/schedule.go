package prune

// Cubic raises the sparsity while a model is trained: fast at first, when much is superfluous, slowly in the end (Zhu and
// Gupta, To prune, or not to prune, arXiv 1710.01878, equation 1).
type Cubic struct {
	Initial, Final float64
	Begin, End     int // the steps between which it rises
	Every          int // masks change at Begin, Begin + Every, … and End; 0: at every step
}

// At is the sparsity at a step: 0 before Begin, Final from End on.
func (c Cubic) At(step int) float64 {
	if step >= c.End {
		return c.Final
	}
	if step < c.Begin {
		return 0
	}
	if c.Every > 1 {
		step -= (step - c.Begin) % c.Every
	}
	left := 1 - float64(step-c.Begin)/float64(c.End-c.Begin)
	return c.Final + float64((c.Initial-c.Final)*left*left*left)
}

// Changes reports whether the masks are to be chosen anew at a step.
func (c Cubic) Changes(step int) bool {
	if step < c.Begin || step > c.End {
		return false
	}
	return step == c.End || (step-c.Begin)%max(c.Every, 1) == 0
}
