package ops

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("ai.onnx.ml", 1, TreeEnsembleClassifier{}) }

// TreeEnsembleClassifier sends each row of [N, F] down decision trees and sums the weights of the leaves that it reaches by
// class: labels [N] and scores [N, classes] of float32. Where the specification is silent, in particular on two classes
// of which one has weights, it answers as ONNX Runtime.
type TreeEnsembleClassifier struct {
	treeNodes
	ClassIDs     []int          `attr:"class_ids"`
	ClassNodes   []int          `attr:"class_nodeids"`
	ClassTrees   []int          `attr:"class_treeids"`
	ClassWeights []float32      `attr:"class_weights"`
	WeightTensor *tensor.Tensor `attr:"class_weights_as_tensor"`
	LabelInts    []int          `attr:"classlabels_int64s"`
	LabelTexts   []string       `attr:"classlabels_strings"`
}

// Infer gives labels and scores.
func (o TreeEnsembleClassifier) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	l, err := labelsOf(o.LabelInts, o.LabelTexts)
	if err != nil {
		return nil, err
	}
	return inferClassifier(in, l, l.Len())
}

// Run sums in the order of the trees.
func (o TreeEnsembleClassifier) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	if in[0].DType == tensor.Float64 {
		return classifyTrees[float64](o, x, in[0], out)
	}
	return classifyTrees[float32](o, x, in[0], out)
}

// treeVote turns the sums of one row into its class and scores.
type treeVote[T mlFloat] struct {
	labels
	base     []T
	post     transform
	binary   bool // two classes, of which one has weights
	positive bool // no weight is below 0
}

func (o TreeEnsembleClassifier) leafAttrs(classes int) leafAttrs {
	return leafAttrs{"class", o.ClassIDs, o.ClassNodes, o.ClassTrees, listTensor(o.WeightTensor, o.ClassWeights, nil, nil), classes}
}

func newTreeVote[T mlFloat](o TreeEnsembleClassifier, weights []T) (*treeVote[T], error) {
	l, err := labelsOf(o.LabelInts, o.LabelTexts)
	if err != nil {
		return nil, err
	}
	post, err := named("post_transform", transforms, o.Post)
	if err != nil {
		return nil, err
	}
	v := &treeVote[T]{labels: l, base: reals[T](listTensor(o.BaseTensor, o.Base, nil, nil)), post: post, binary: l.Len() == 2, positive: true}
	if n := len(v.base); n != 0 && n != l.Len() && !(n == 1 && l.Len() == 2) {
		return nil, fmt.Errorf("attribute base_values has %d elements for %d classes", len(v.base), l.Len())
	}
	for _, id := range o.ClassIDs {
		v.binary = v.binary && id == o.ClassIDs[0]
	}
	for _, w := range weights {
		v.positive = v.positive && !(w < 0)
	}
	v.binary = v.binary && len(o.ClassIDs) > 0
	return v, nil
}

func classifyTrees[T mlFloat](o TreeEnsembleClassifier, x *graph.Exec, in *tensor.Tensor, out []*tensor.Tensor) error {
	vote, err := newTreeVote(o, reals[T](o.leafAttrs(0).weights))
	if err != nil {
		return err
	}
	n := vote.Len()
	f, err := buildForest[T](o.treeNodes, o.leafAttrs(n))
	if err != nil {
		return err
	}
	rows, err := f.features(in)
	if err != nil {
		return err
	}
	label := vote.make(x, out[0], len(rows))
	all, met := make([]T, len(rows)*n), make([]bool, n)
	for i, row := range rows {
		scores := all[i*n : (i+1)*n]
		f.score(aggregateSum, row, scores, met)
		switch n {
		case 1:
			vote.one(label, i, scores)
		case 2:
			vote.two(label, i, scores, met)
		default:
			vote.many(label, i, scores, met)
		}
	}
	return setReals(x.Make(outputAt(out, 1), tensor.Float32, len(rows), n), all)
}

// outputAt gives an output that may be left out.
func outputAt(out []*tensor.Tensor, i int) *tensor.Tensor {
	if i < len(out) {
		return out[i]
	}
	return nil
}

func (v *treeVote[T]) one(label *tensor.Tensor, row int, s []T) {
	for k, b := range v.base {
		s[k] += b
	}
	v.putSign(label, row, s[0] > 0)
	if v.post == postProbit {
		applyTransform(s, v.post)
	}
}

// many takes the first of the highest scores among the classes that a leaf named or that have a base value.
func (v *treeVote[T]) many(label *tensor.Tensor, row int, s []T, met []bool) {
	for k, b := range v.base {
		s[k] += b
		met[k] = true
	}
	best := -1
	for k, w := range s {
		if met[k] && (best < 0 || w > s[best]) {
			best = k
		}
	}
	v.put(label, row, max(best, 0))
	applyTransform(s, v.post)
}

func (v *treeVote[T]) two(label *tensor.Tensor, row int, s []T, met []bool) {
	single := !met[1] && len(v.base) < 2 // s[0] speaks for both classes
	switch {
	case len(v.base) == 2 && met[1]:
		s[1] = v.base[1] + s[0]
		s[0] = -s[1]
	case len(v.base) == 2:
		s[0], s[1] = s[0]+v.base[0], s[1]+v.base[1]
	case len(v.base) == 1:
		s[0] += v.base[0]
	}
	var weight, least T
	if met[1] {
		weight = s[1]
	} else if met[0] {
		weight = s[0]
	}
	if v.binary && v.positive {
		least = 0.5
	}
	switch {
	case !v.binary:
		v.putSign(label, row, weight > 0)
	case weight > least:
		v.put(label, row, 1)
	default:
		v.put(label, row, 0)
	}
	for k := range s {
		if !met[k] {
			s[k] = 0
		}
	}
	switch {
	case !single:
		applyTransform(s, v.post)
	case v.post == postProbit:
		applyTransform(s[:1], v.post)
	case v.binary || len(v.base) == 0:
		s[0], s[1] = pair(s[0], !(v.binary && v.positive), v.post)
	}
}
