package ops

import (
	"errors"
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// labels are the classes of a classifier, integers or strings.
type labels struct{ *tensor.Tensor }

// labelsOf makes labels of the two attributes that may hold them.
func labelsOf(ints []int, texts []string) (labels, error) {
	switch {
	case len(ints) > 0 && len(texts) > 0:
		return labels{}, errors.New("both attributes classlabels are given: integers and strings")
	case len(texts) > 0:
		return labels{listTensor(nil, nil, nil, texts)}, nil
	case len(ints) > 0:
		return labels{listTensor(nil, nil, ints, nil)}, nil
	}
	return labels{}, errors.New("attribute classlabels is missing")
}

// make gives the tensor for the labels of n rows.
func (l labels) make(x *graph.Exec, t *tensor.Tensor, n int) *tensor.Tensor {
	return x.Make(t, l.DType, n)
}

// put writes the label of a class.
func (l labels) put(t *tensor.Tensor, row, class int) { copyElement(t, row, l.Tensor, class) }

// putSign writes 1 or 0 if the labels are integers, whichever they are, and the second or first string otherwise: what
// ONNX Runtime answers for two classes that both have weights.
func (l labels) putSign(t *tensor.Tensor, row int, positive bool) {
	class := 0
	if positive {
		class = 1
	}
	if l.DType == tensor.String {
		l.put(t, row, min(class, l.Len()-1))
		return
	}
	tensor.View[int64](t)[row] = int64(class)
}

// inferClassifier gives labels [N] and scores [N, columns].
func inferClassifier(in []graph.Fact, l labels, columns int) ([]graph.Type, error) {
	n, err := rowCount(in)
	if err != nil {
		return nil, err
	}
	return []graph.Type{graph.Of(l.DType, n), graph.Of(tensor.Float32, n, graph.Fixed(columns))}, nil
}

// rowCount checks a matrix of features, [N, F] or [F], and gives N, 1 for a single row.
func rowCount(in []graph.Fact) (graph.Dim, error) {
	if err := want(in, 1, 1); err != nil {
		return graph.Dim{}, err
	}
	switch f := in[0]; {
	case f.Unranked:
		return graph.Dim{}, nil
	case len(f.Shape) == 1:
		return graph.Fixed(1), nil
	case len(f.Shape) == 2:
		return f.Shape[0], nil
	}
	return graph.Dim{}, fmt.Errorf("input 0: want [N, F] or [F], got rank %d", len(in[0].Shape))
}

// highest gives the first of the largest scores.
func highest[T mlFloat](s []T) int {
	best := 0
	for i, v := range s {
		if v > s[best] {
			best = i
		}
	}
	return best
}
