package evaluate

import (
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// head is how an output states its answer.
type head int

const (
	scores   head = iota // one score a class; the largest wins, ties go to the lowest index
	sigmoid              // one probability: class 1 above 0.5
	logit                // one logit: class 1 above 0
	decision             // one integer: the class itself
	dense                // anything else: no answer
)

// carriers are the operators that pass probabilities on as they are.
var carriers = map[string]bool{
	"QuantizeLinear": true, "DequantizeLinear": true, "Identity": true, "Cast": true,
	"Reshape": true, "Squeeze": true, "Unsqueeze": true, "Flatten": true, "ZipMap": true,
}

// madeBy is the name of the operator that an output comes from, looking through those that only carry it.
func madeBy(v *graph.Value) string {
	for v != nil && v.Def != nil {
		_, name := graph.NameOf(v.Def.Op)
		if !carriers[name] || len(v.Def.In) == 0 {
			return name
		}
		v = v.Def.In[0]
	}
	return ""
}

// headOf tells how an output with the given shape of one sample answers.
func headOf(d tensor.DType, shape []int, op string) head {
	wide := 0
	for _, n := range shape {
		if n != 1 {
			wide++
		}
	}
	switch size := tensor.Size(shape); {
	case wide > 1 || size == 0:
		return dense
	case size > 1:
		return scores
	case d.IsInt() || d == tensor.Bool:
		return decision
	case op == "Sigmoid":
		return sigmoid
	}
	return logit
}

// answer is the class that a row of the output names.
func (h head) answer(row []float64) int {
	switch h {
	case sigmoid:
		return above(row[0], 0.5)
	case logit:
		return above(row[0], 0)
	case decision:
		return int(row[0])
	}
	best := 0
	for i, x := range row {
		if x > row[best] {
			best = i
		}
	}
	return best
}

func above(x, limit float64) int {
	if x > limit {
		return 1
	}
	return 0
}

// classes is the number of classes that a row can name; 0 if that is open.
func (h head) classes(row []float64) int {
	switch h {
	case scores:
		return len(row)
	case sigmoid, logit:
		return 2
	}
	return 0
}

// rank is how many classes stand before the label: more score, or the same with a lower index.
func rank(row []float64, label int) int {
	n := 0
	for i, x := range row {
		if x > row[label] || x == row[label] && i < label {
			n++
		}
	}
	return n
}

// leastProbability keeps the logarithm of a probability finite, as quantized ones may be 0.
const leastProbability = 1e-7

// logLoss is the cross entropy -ln p of a probability.
func logLoss(p float64) float64 { return -math.Log(max(p, leastProbability)) }

// softmaxLoss is the cross entropy of scores, ln(sum exp(x)) - x[label].
func softmaxLoss(row []float64, label int) float64 {
	top := row[0]
	for _, x := range row {
		top = max(top, x)
	}
	sum := 0.0
	for _, x := range row {
		sum += math.Exp(x - top)
	}
	return math.Log(sum) + top - row[label]
}

// isDistribution reports whether a row sums to 1 within a hundredth and nothing in it is below 0 by more than rounding, as 1-p
// of a p that sums of votes gave may be.
func isDistribution(row []float64) bool {
	sum := 0.0
	for _, x := range row {
		if x < -1e-5 {
			return false
		}
		sum += x
	}
	return math.Abs(sum-1) <= 0.01
}

// tally adds up one model's answers.
type tally struct {
	head                 head
	op                   string // what made the output
	integer              bool   // quantized scores, which have no loss
	n, right, top5       int
	shifted              int // right if every label were one more
	lossScores, lossProb float64
	distributions        bool // so far every row was one
	binary               binary
}

// add scores one row and returns the answer and whether it is right.
func (t *tally) add(row []float64, label int) (int, bool) {
	a := t.head.answer(row)
	if label < 0 {
		return a, false
	}
	if t.n == 0 {
		t.distributions = true
	}
	t.n++
	t.shifted += equal(a, label+1)
	t.right += equal(a, label)
	t.addLoss(row, label)
	if t.head.classes(row) == 2 && label < 2 {
		t.binary.add(positiveScore(row), a, label)
	}
	if t.head == scores && rank(row, label) < 5 {
		t.top5++
	}
	return a, a == label
}

func equal(a, b int) int {
	if a == b {
		return 1
	}
	return 0
}

func (t *tally) addLoss(row []float64, label int) {
	switch t.head {
	case scores:
		t.distributions = t.distributions && isDistribution(row)
		t.lossScores += softmaxLoss(row, label)
		t.lossProb += logLoss(row[label])
	case sigmoid:
		p := row[0]
		if label == 0 {
			p = 1 - p
		}
		t.lossProb += logLoss(p)
	case logit:
		x := row[0]
		if label == 1 {
			x = -x
		}
		t.lossScores += max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) // ln(1 + exp(x))
	}
}

// fill writes the figures into s; classes is what the output can name.
func (t *tally) fill(s *Scores, classes int) {
	if t.n == 0 {
		return
	}
	n := float64(t.n)
	top1 := 100 * float64(t.right) / n
	s.Top1 = &top1
	if t.head == scores && classes > 5 {
		top5 := 100 * float64(t.top5) / n
		s.Top5 = &top5
	}
	if t.binary.scored != nil {
		s.Recall, s.Precision, s.AUC = t.binary.recall(), t.binary.precision(), t.binary.auc()
	}
	if t.head == decision || t.integer {
		return
	}
	loss := t.lossScores / n
	if t.head == sigmoid || t.head == scores && (t.op == "Softmax" || t.distributions) {
		loss = t.lossProb / n
	}
	s.Loss = &loss
}
