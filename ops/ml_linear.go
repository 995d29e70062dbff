package ops

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("ai.onnx.ml", 1, LinearRegressor{}, LinearClassifier{}) }

// LinearRegressor is X·Coefficientsᵀ + Intercepts: [N, F] with Targets rows of coefficients gives [N, Targets].
type LinearRegressor struct {
	Coefficients []float32 `attr:"coefficients"`
	Intercepts   []float32 `attr:"intercepts"`
	Post         string    `attr:"post_transform" default:"NONE"`
	Targets      int       `attr:"targets" default:"1"`
}

// Infer gives [N, Targets].
func (o LinearRegressor) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	n, err := rowCount(in)
	if err != nil {
		return nil, err
	}
	return []graph.Type{graph.Of(tensor.Float32, n, graph.Fixed(o.Targets))}, wantTargets("targets", o.Targets)
}

// Run leaves intercepts out if there is not one for each target; a single score is transformed by PROBIT alone.
func (o LinearRegressor) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	post, err := named("post_transform", transforms, o.Post)
	if err != nil {
		return err
	}
	intercepts := o.Intercepts
	if len(intercepts) != o.Targets {
		intercepts = make([]float32, o.Targets)
	}
	scores, n, err := linearScores(in[0], o.Coefficients, intercepts)
	if err != nil {
		return err
	}
	for i := range n {
		if o.Targets > 1 || post == postProbit {
			applyTransform(scores[i*o.Targets:(i+1)*o.Targets], post)
		}
	}
	return setReals(x.Make(out[0], tensor.Float32, n, o.Targets), scores)
}

// linearScores gives [rows, len(bias)] of float32.
func linearScores(t *tensor.Tensor, coefficients, bias []float32) (scores []float32, n int, err error) {
	rows, width, err := matrix[float32](t)
	if err != nil {
		return nil, 0, err
	}
	if len(coefficients) != width*len(bias) {
		return nil, 0, fmt.Errorf("attribute coefficients has %d elements, want %d for each of %d scores", len(coefficients), width, len(bias))
	}
	for _, row := range rows {
		for j, b := range bias {
			scores = append(scores, float32(dot(row, coefficients[j*width:(j+1)*width])+float64(b)))
		}
	}
	return scores, len(rows), nil
}

// dot sums in one chain of fused multiply-adds in float32, as ONNX Runtime's products do.
func dot(a, b []float32) float64 {
	var sum float32
	for i, v := range a {
		sum = float32(math.FMA(float64(v), float64(b[i]), float64(sum)))
	}
	return float64(sum)
}

// LinearClassifier scores each row of [N, F] by X·Coefficientsᵀ + Intercepts: labels [N] and scores [N, classes] of float32.
// One intercept and two classes mean that the score is the second class's.
type LinearClassifier struct {
	LabelInts    []int     `attr:"classlabels_ints"`
	LabelTexts   []string  `attr:"classlabels_strings"`
	Coefficients []float32 `attr:"coefficients" required:"true"`
	Intercepts   []float32 `attr:"intercepts"`
	MultiClass   int       `attr:"multi_class"`
	Post         string    `attr:"post_transform" default:"NONE"`
}

// classes gives the labels and the number of columns; a single score without two labels means 0 and 1.
func (o LinearClassifier) classes() (l labels, columns int, err error) {
	columns = len(o.Intercepts)
	l, err = labelsOf(o.LabelInts, o.LabelTexts)
	switch {
	case columns == 0:
		return l, 0, fmt.Errorf("attribute intercepts is missing")
	case columns == 1 && err == nil && l.Len() == 2:
		return l, 2, nil
	case columns == 1 && len(o.LabelTexts) > 0:
		return labels{tensor.FromStrings([]string{"0", "1"}, 2)}, 1, nil
	case columns == 1:
		return labels{vecInts(0, 1)}, 1, nil
	case err == nil && l.Len() < columns:
		err = fmt.Errorf("attribute classlabels has %d elements for %d intercepts", l.Len(), columns)
	}
	return l, columns, err
}

func vecInts(v ...int64) *tensor.Tensor { return tensor.From(v, len(v)) }

// Infer gives labels and scores.
func (o LinearClassifier) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	l, columns, err := o.classes()
	if err != nil {
		return nil, err
	}
	return inferClassifier(in, l, columns)
}

// Run answers as ONNX Runtime: of one score and two classes come 1-s and s.
func (o LinearClassifier) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	l, columns, err := o.classes()
	if err != nil {
		return err
	}
	post, err := named("post_transform", transforms, o.Post)
	if err != nil {
		return err
	}
	s, n, err := linearScores(in[0], o.Coefficients, o.Intercepts)
	if err != nil {
		return err
	}
	label, scores := l.make(x, out[0], n), make([]float32, n*columns)
	for i := range n {
		from, to := s[i*len(o.Intercepts):(i+1)*len(o.Intercepts)], scores[i*columns:(i+1)*columns]
		class := highest(from)
		if len(from) == 1 && from[0] > 0 {
			class = 1
		}
		l.put(label, i, class)
		if len(from) > 1 || post == postProbit {
			applyTransform(from, post)
		}
		if copy(to, from); len(from) < columns {
			to[0], to[1] = pair(from[0], false, post)
		}
	}
	return setReals(x.Make(outputAt(out, 1), tensor.Float32, n, columns), scores)
}
