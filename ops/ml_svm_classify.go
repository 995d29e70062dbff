package ops

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("ai.onnx.ml", 1, SVMClassifier{}) }

// SVMClassifier is a support vector machine on [N, F], with a decision for each pair of classes, or linear if it has no
// support vectors: labels [N] and scores of float32. They are probabilities [N, classes] with prob_a and prob_b (Wu, Lin
// and Weng, "Probability estimates for multi-class classification by pairwise coupling", 2004), else the decisions.
type SVMClassifier struct {
	LabelInts  []int    `attr:"classlabels_ints"`
	LabelTexts []string `attr:"classlabels_strings"`
	svmKernel
	ProbA    []float32 `attr:"prob_a"`
	ProbB    []float32 `attr:"prob_b"`
	PerClass []int     `attr:"vectors_per_class"`
}

// svm is the classifier with its attributes checked.
type svm struct {
	SVMClassifier
	labels
	post     transform
	first    []int // the first support vector of each class, and their number
	classes  int
	columns  int
	linear   bool
	positive bool // no coefficient is below 0
}

func (o SVMClassifier) open() (s svm, err error) {
	s.SVMClassifier = o
	if s.labels, err = labelsOf(o.LabelInts, o.LabelTexts); err != nil {
		return s, err
	}
	if s.post, err = named("post_transform", transforms, o.Post); err != nil {
		return s, err
	}
	s.classes = s.Len()
	s.columns = s.classes
	if s.classes > 1<<12 {
		return s, fmt.Errorf("attribute classlabels: %d classes are too many for a machine for each pair", s.classes)
	}
	s.first = []int{0}
	for i, n := range o.PerClass {
		if n < 0 || n > len(o.Vectors) {
			return s, fmt.Errorf("attribute vectors_per_class: %d for class %d", n, i)
		}
		s.first = append(s.first, s.first[i]+n)
	}
	s.positive = true
	for _, c := range o.Coefficients {
		s.positive = s.positive && c >= 0
	}
	vectors := s.first[len(s.first)-1]
	if s.linear = vectors == 0; s.linear {
		if len(o.Rho) == 0 {
			err = fmt.Errorf("attribute rho is missing")
		}
		return s, err
	}
	pairs := s.classes * (s.classes - 1) / 2
	if len(o.ProbA) == 0 {
		s.columns = max(2, pairs)
	}
	for _, a := range []struct {
		name       string
		have, want int
	}{
		{"vectors_per_class", len(o.PerClass), s.classes},
		{"rho", len(o.Rho), pairs},
		{"coefficients", len(o.Coefficients), (s.classes - 1) * vectors},
		{"prob_a", len(o.ProbA), min(len(o.ProbA), 1) * pairs},
		{"prob_b", len(o.ProbB), min(len(o.ProbA), 1) * pairs},
	} {
		if a.have != a.want {
			return s, fmt.Errorf("attribute %s has %d elements, want %d", a.name, a.have, a.want)
		}
	}
	return s, nil
}

// Infer gives labels and scores.
func (o SVMClassifier) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	s, err := o.open()
	if err != nil {
		return nil, err
	}
	return inferClassifier(in, s.labels, s.columns)
}

// Run answers as ONNX Runtime, in its types and order of summation.
func (o SVMClassifier) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	s, err := o.open()
	if err != nil {
		return err
	}
	rows, width, err := matrix[float32](in[0])
	if err != nil {
		return err
	}
	scores, label := make([]float32, len(rows)*s.columns), s.make(x, out[0], len(rows))
	if s.linear {
		bias := make([]float32, s.classes)
		for i := range bias {
			bias[i] = o.Rho[0]
		}
		if scores, _, err = linearScores(in[0], o.Coefficients, bias); err != nil {
			return err
		}
	} else if rows, err = o.responses(rows, width, s.first[s.classes]); err != nil {
		return err
	}
	for i, row := range rows {
		s.decide(label, i, row, scores[i*s.columns:(i+1)*s.columns])
	}
	return setReals(x.Make(outputAt(out, 1), tensor.Float32, len(rows), s.columns), scores)
}

// decide writes one row's label and scores, given what the kernel says of each support vector.
func (s svm) decide(label *tensor.Tensor, i int, responses, scores []float32) {
	if s.linear {
		best := highest(scores)
		s.choose(label, i, best, scores[best])
		applyTransform(scores, s.post)
		return
	}
	decisions, votes := s.pairwise(responses)
	s.choose(label, i, highest(votes), 0)
	switch {
	case len(s.ProbA) > 0:
		couple(s.classes, s.pairProbabilities(decisions), scores)
		applyTransform(scores, s.post)
	case s.classes > 2:
		copy(scores, decisions)
		applyTransform(scores, s.post)
	case s.classes < 2:
	case s.post == postProbit:
		scores[0] = probit32(decisions[0])
	default:
		scores[0], scores[1] = pair(decisions[0], s.post == postNone, s.post)
	}
}

// choose writes the label; the best score counts where two classes are linear.
func (s svm) choose(label *tensor.Tensor, i, best int, weight float32) {
	if s.classes == 2 && len(s.ProbA) == 0 && (s.positive && weight >= 0.5 || !s.positive && weight > 0) {
		best = 1
	}
	s.put(label, i, best)
}

// pairwise gives the decision for each pair of classes and each class's votes.
func (s svm) pairwise(k []float32) (decisions, votes []float32) {
	votes = make([]float32, s.classes)
	n := s.first[s.classes]
	for i := range s.classes {
		for j := i + 1; j < s.classes; j++ {
			sum := 0.
			for m := s.first[i]; m < s.first[i+1]; m++ {
				sum += float64(float32(s.Coefficients[(j-1)*n+m] * k[m]))
			}
			for m := s.first[j]; m < s.first[j+1]; m++ {
				sum += float64(float32(s.Coefficients[i*n+m] * k[m]))
			}
			sum += float64(s.Rho[len(decisions)])
			decisions = append(decisions, float32(sum))
			if sum > 0 {
				votes[i]++
			} else {
				votes[j]++
			}
		}
	}
	return decisions, votes
}

// pairProbabilities gives the probability of class i against class j at [i][j] (Platt's sigmoid).
func (s svm) pairProbabilities(decisions []float32) [][]float32 {
	r := make([][]float32, s.classes)
	for i := range r {
		r[i] = make([]float32, s.classes)
	}
	at := 0
	for i := range r {
		for j := i + 1; j < s.classes; j++ {
			p := 1 - logistic32(float32(decisions[at]*s.ProbA[at])+s.ProbB[at])
			r[i][j] = min(max(p, 1e-7), 1-1e-7)
			r[j][i] = 1 - r[i][j]
			at++
		}
	}
	return r
}

// couple makes probabilities of the classes from those of the pairs: algorithm 2 of the paper, in float32, at most 100 steps.
func couple(n int, r [][]float32, p []float32) {
	q, qp := make([][]float32, n), make([]float32, n)
	for i := range q {
		p[i] = 1 / float32(n)
		q[i] = make([]float32, n)
		for j := range n {
			if j == i {
				continue
			}
			q[i][i] += float32(r[j][i] * r[j][i])
			q[i][j] = -r[j][i] * r[i][j]
		}
	}
	for range 100 {
		var pqp, worst float32
		for i := range n {
			qp[i] = 0
			for j := range n {
				qp[i] += float32(q[i][j] * p[j])
			}
			pqp += float32(p[i] * qp[i])
		}
		for _, v := range qp {
			worst = max(worst, v-pqp, pqp-v)
		}
		if worst < 0.005/float32(n) {
			return
		}
		for i := range n {
			d := (pqp - qp[i]) / q[i][i]
			p[i] += d
			pqp = (pqp + float32(d*(float32(d*q[i][i])+float32(2*qp[i])))) / (1 + d) / (1 + d)
			for j := range n {
				qp[j] = (qp[j] + float32(d*q[i][j])) / (1 + d)
				p[j] /= 1 + d
			}
		}
	}
}
