package ops

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/tensor"
)

// mlFloat is a type in which classical models compute: float64 for inputs of float64, else float32.
type mlFloat interface{ float32 | float64 }

// The modes of a node, numbered as TreeEnsemble's nodes_modes; a leaf is no mode there.
const (
	branchLE = iota
	branchLT
	branchGE
	branchGT
	branchEQ
	branchNE
	branchMember
	branchLeaf
)

var branchModes = map[string]uint8{
	"BRANCH_LEQ": branchLE, "BRANCH_LT": branchLT, "BRANCH_GTE": branchGE, "BRANCH_GT": branchGT,
	"BRANCH_EQ": branchEQ, "BRANCH_NEQ": branchNE, "LEAF": branchLeaf,
}

// forest is a tree ensemble with its attributes checked: every index is in range and no walk is endless.
type forest[T mlFloat] struct {
	nodes   []treeNode[T]
	roots   []int32
	weights []leafWeight[T]
	members []map[T]bool
	width   int // features that the nodes ask for
}

// treeNode is a branch, or a leaf with weights[yes:no].
type treeNode[T mlFloat] struct {
	value   T // threshold, or the index of the set in members; a leaf's weight if there is one target
	feature int32
	yes, no int32
	mode    uint8
	missing bool // NaN takes the true branch
}

type leafWeight[T mlFloat] struct {
	target int32
	value  T
}

// holds reports whether node n takes the true branch for the feature v.
func (f *forest[T]) holds(n *treeNode[T], v T) bool {
	if v != v && n.missing {
		return true
	}
	switch n.mode {
	case branchLE:
		return v <= n.value
	case branchLT:
		return v < n.value
	case branchGE:
		return v >= n.value
	case branchGT:
		return v > n.value
	case branchEQ:
		return v == n.value
	case branchNE:
		return v != n.value
	}
	return f.members[int(n.value)][v]
}

// leaf walks down from a root.
func (f *forest[T]) leaf(root int32, row []T) *treeNode[T] {
	n := &f.nodes[root]
	for n.mode != branchLeaf {
		at := n.no
		if f.holds(n, row[n.feature]) {
			at = n.yes
		}
		n = &f.nodes[at]
	}
	return n
}

// check finds cycles and measures how many features the nodes ask for.
func (f *forest[T]) check() error {
	const open, closed = 1, 2
	state := make([]uint8, len(f.nodes))
	var path []int32
	for _, root := range f.roots {
		path = append(path[:0], root)
		for len(path) > 0 {
			at := path[len(path)-1]
			n := &f.nodes[at]
			if state[at] != 0 || n.mode == branchLeaf {
				state[at], path = closed, path[:len(path)-1]
				continue
			}
			state[at] = open
			f.width = max(f.width, int(n.feature)+1)
			for _, next := range []int32{n.no, n.yes} {
				switch state[next] {
				case open:
					return fmt.Errorf("the branches from node %d lead back to node %d", at, next)
				case 0:
					path = append(path, next)
				}
			}
		}
	}
	return nil
}

// aggregate says how the weights of the leaves that a row reaches become scores.
type aggregate int

// Numbered as TreeEnsemble's aggregate_function.
const (
	aggregateAverage aggregate = iota
	aggregateSum
	aggregateMin
	aggregateMax
)

var aggregates = map[string]aggregate{
	"AVERAGE": aggregateAverage, "SUM": aggregateSum, "MIN": aggregateMin, "MAX": aggregateMax,
}

// score fills scores, one for each target, and met, which targets a leaf named. Sums are in T, in the order of the trees,
// as ONNX Runtime's are on one thread; with a single target a leaf's first weight counts, whatever target it names.
func (f *forest[T]) score(how aggregate, row, scores []T, met []bool) {
	clear(scores)
	clear(met)
	add := func(target int32, w T) {
		s := &scores[target]
		switch {
		case how <= aggregateSum:
			*s += w
		case !met[target] || how == aggregateMin && w < *s || how == aggregateMax && w > *s:
			*s = w
		}
		met[target] = true
	}
	for _, root := range f.roots {
		n := f.leaf(root, row)
		if len(scores) == 1 {
			add(0, n.value)
			continue
		}
		for _, w := range f.weights[n.yes:n.no] {
			add(w.target, w.value)
		}
	}
}

// combine makes a regressor's scores of what the leaves gave: the average, base values, the post transform. As in ONNX
// Runtime, one of several targets that no leaf named stays 0, and a single score is transformed by PROBIT alone.
func (f *forest[T]) combine(how aggregate, base, scores []T, met []bool, post transform) {
	for i := range scores {
		if !met[i] && len(scores) > 1 {
			continue
		}
		if how == aggregateAverage {
			scores[i] /= T(len(f.roots))
		}
		if len(base) == len(scores) {
			scores[i] += base[i]
		}
	}
	if len(scores) > 1 || post == postProbit {
		applyTransform(scores, post)
	}
}

// matrix gives rows of features: [N, F], or [F] as one row.
func matrix[T mlFloat](t *tensor.Tensor) (rows [][]T, width int, err error) {
	if !t.IsFloat() && !t.IsInt() || len(t.Shape) < 1 || len(t.Shape) > 2 {
		return nil, 0, fmt.Errorf("input 0: want numbers of shape [N, F] or [F], got %s%v", t.DType, t.Shape)
	}
	n := 1
	if width = t.Shape[0]; len(t.Shape) == 2 {
		n, width = t.Shape[0], t.Shape[1]
	}
	v := reals[T](t)
	rows = make([][]T, n)
	for i := range rows {
		rows[i] = v[i*width : (i+1)*width]
	}
	return rows, width, nil
}

// reals gives a tensor's elements, each rounded once, which may be the tensor's own; nil for none.
func reals[T mlFloat](t *tensor.Tensor) []T {
	if t == nil {
		return nil
	}
	var r any = make([]T, 0)
	if _, double := r.([]float64); double {
		r = tensor.Float64s(t)
	} else {
		r = tensor.Floats(t)
	}
	return r.([]T)
}

// features gives rows that are wide enough for the nodes.
func (f *forest[T]) features(t *tensor.Tensor) ([][]T, error) {
	rows, width, err := matrix[T](t)
	if err == nil && width < f.width {
		err = fmt.Errorf("attribute nodes_featureids: a node reads feature %d of %d", f.width-1, width)
	}
	return rows, err
}

// wantTargets bounds the number of scores in a row.
func wantTargets(attribute string, n int) error {
	if n < 1 || n > math.MaxInt32>>7 {
		return fmt.Errorf("attribute %s: %d scores for each row", attribute, n)
	}
	return nil
}
