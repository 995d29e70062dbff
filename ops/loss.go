package ops

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 12, NegativeLogLikelihoodLoss{}, SoftmaxCrossEntropyLoss{}) }

// NegativeLogLikelihoodLoss is -weight[c]·X[n, c, …] where c = target[n, …], for log-probabilities X [n, classes, …].
// Targets equal to IgnoreIndex count nothing. Reduction none gives the losses, sum their sum, and mean their sum by that
// of the weights. Inputs are X, target and weight [classes].
type NegativeLogLikelihoodLoss struct{ classLoss }

// Infer gives the type of the loss.
func (o NegativeLogLikelihoodLoss) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	t, err := o.infer(in)
	return []graph.Type{t}, err
}

func (o NegativeLogLikelihoodLoss) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return o.run(x, tensor.Float64s(in[0]), in, out[0])
}

// SoftmaxCrossEntropyLoss is NegativeLogLikelihoodLoss of the logarithm of softmax(X) along the classes, which is the
// second output.
type SoftmaxCrossEntropyLoss struct{ classLoss }

// Infer gives the types of the loss and of the log-probabilities.
func (o SoftmaxCrossEntropyLoss) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	t, err := o.infer(in)
	if err != nil {
		return nil, err
	}
	return []graph.Type{t, in[0].Type}, nil
}

func (o SoftmaxCrossEntropyLoss) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	s := in[0].Shape
	if len(s) < 2 {
		return fmt.Errorf("scores of shape %v, want rank 2 or more", s)
	}
	v := append([]float64(nil), tensor.Float64s(in[0])...)
	inner := tensor.Size(s[2:])
	for i := range s[0] * inner {
		logSoftmax(v[i/inner*s[1]*inner+i%inner:], s[1], inner)
	}
	if len(out) > 1 && out[1] != nil {
		if err := tensor.SetFloat64s(x.Make(out[1], in[0].DType, s...), v); err != nil {
			return err
		}
	}
	if out[0] == nil {
		return nil
	}
	return o.run(x, v, in, out[0])
}

// logSoftmax replaces n scores, step apart, by s - log Σ e^s.
func logSoftmax(v []float64, n, step int) {
	most, sum := math.Inf(-1), 0.0
	for c := range n {
		most = max(most, v[c*step])
	}
	for c := range n {
		sum += math.Exp(v[c*step] - most)
	}
	for c := range n {
		v[c*step] -= most + math.Log(sum)
	}
}

// classLoss is what the losses of class labels share.
type classLoss struct {
	IgnoreIndex *int   `attr:"ignore_index"`
	Reduction   string `attr:"reduction" default:"mean"`
}

func (o classLoss) infer(in []graph.Fact) (graph.Type, error) {
	if err := want(in, 2, 3); err != nil {
		return graph.Type{}, err
	}
	if o.Reduction != "none" && o.Reduction != "sum" && o.Reduction != "mean" {
		return graph.Type{}, fmt.Errorf("reduction %q is none of none, sum, mean", o.Reduction)
	}
	x, target := in[0], in[1]
	if !x.Unranked && (len(x.Shape) < 2 || !target.Unranked && len(target.Shape) != len(x.Shape)-1) {
		return graph.Type{}, fmt.Errorf("input of rank %d and target of rank %d", len(x.Shape), target.Rank())
	}
	switch {
	case o.Reduction != "none":
		return graph.Of(x.DType), nil
	case !target.Unranked:
		return graph.Of(x.DType, target.Shape...), nil
	case !x.Unranked:
		return graph.Of(x.DType, append([]graph.Dim{x.Shape[0]}, x.Shape[2:]...)...), nil
	}
	return graph.AnyRank(x.DType), nil
}

// run computes the loss of the log-probabilities v, which are shaped like in[0].
func (o classLoss) run(x *graph.Exec, v []float64, in []*tensor.Tensor, out *tensor.Tensor) error {
	s := in[0].Shape
	if len(s) < 2 {
		return fmt.Errorf("input of shape %v, want rank 2 or more", s)
	}
	classes, inner := s[1], tensor.Size(s[2:])
	if err := wantShape("target", in[1], append([]int{s[0]}, s[2:]...)...); err != nil {
		return err
	}
	var weights []float64
	if len(in) > 2 && in[2] != nil {
		if err := wantShape("weight", in[2], classes); err != nil {
			return err
		}
		weights = tensor.Float64s(in[2])
	}
	losses := make([]float64, s[0]*inner)
	var sum, total float64
	for i, c := range tensor.Ints(in[1]) {
		if o.IgnoreIndex != nil && c == int64(*o.IgnoreIndex) {
			continue
		}
		if c < 0 || c >= int64(classes) {
			return fmt.Errorf("target %d is none of %d classes", c, classes)
		}
		w := 1.0
		if weights != nil {
			w = weights[c]
		}
		losses[i] = -w * v[(i/inner*classes+int(c))*inner+i%inner]
		sum += losses[i]
		total += w
	}
	switch o.Reduction {
	case "none":
		return tensor.SetFloat64s(x.Make(out, in[0].DType, in[1].Shape...), losses)
	case "mean":
		sum /= total
	}
	return tensor.SetFloat64s(x.Make(out, in[0].DType), []float64{sum})
}
