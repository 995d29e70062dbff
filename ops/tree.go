package ops

import (
	"errors"
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("ai.onnx.ml", 5, TreeEnsemble{}) }

// TreeEnsemble sends each row of [N, F] features down decision trees and combines the weights of the leaves it
// reaches, by target, into [N, Targets].
type TreeEnsemble struct {
	Aggregate     int            `attr:"aggregate_function" default:"1"` // 0 average, 1 sum, 2 min, 3 max
	LeafTargets   []int          `attr:"leaf_targetids" required:"true"`
	LeafWeights   *tensor.Tensor `attr:"leaf_weights" required:"true"`
	Members       *tensor.Tensor `attr:"membership_values"` // sets, each ended by NaN, in the order of nodes with mode 6
	Targets       int            `attr:"n_targets"`
	FalseLeafs    []int          `attr:"nodes_falseleafs" required:"true"`
	FalseNodes    []int          `attr:"nodes_falsenodeids" required:"true"`
	Features      []int          `attr:"nodes_featureids" required:"true"`
	HitRates      *tensor.Tensor `attr:"nodes_hitrates"`
	MissingTrue   []int          `attr:"nodes_missing_value_tracks_true"`
	Modes         *tensor.Tensor `attr:"nodes_modes" required:"true"` // <=, <, >=, >, ==, !=, member
	Splits        *tensor.Tensor `attr:"nodes_splits" required:"true"`
	TrueLeafs     []int          `attr:"nodes_trueleafs" required:"true"`
	TrueNodes     []int          `attr:"nodes_truenodeids" required:"true"`
	PostTransform int            `attr:"post_transform"` // 0 none, 1 softmax, 2 logistic, 3 softmax of what is not 0, 4 probit
	Roots         []int          `attr:"tree_roots" required:"true"`
}

// Infer gives [N, Targets].
func (o TreeEnsemble) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 1, 1); err != nil {
		return nil, err
	}
	if err := rank(in, 0, 2); err != nil {
		return nil, err
	}
	n := graph.Dim{}
	if !in[0].Unranked {
		n = in[0].Shape[0]
	}
	return []graph.Type{graph.Of(in[0].DType, n, graph.Fixed(o.Targets))}, nil
}

// forest is the ensemble with its attributes checked.
type forest struct {
	TreeEnsemble
	modes   []int64
	splits  []float64
	weights []float64
	members map[int]map[float64]bool
}

func (o TreeEnsemble) forest(features int) (*forest, error) {
	f := &forest{TreeEnsemble: o, members: map[int]map[float64]bool{}}
	if o.Modes == nil || o.Splits == nil || o.LeafWeights == nil {
		return nil, errors.New("an attribute is missing")
	}
	f.modes, f.splits, f.weights = tensor.Ints(o.Modes), tensor.Doubles(o.Splits), tensor.Doubles(o.LeafWeights)
	n := len(f.modes)
	for _, l := range []int{len(f.splits), len(o.Features), len(o.TrueNodes), len(o.FalseNodes), len(o.TrueLeafs), len(o.FalseLeafs)} {
		if l != n {
			return nil, fmt.Errorf("attributes of nodes have %d and %d elements", n, l)
		}
	}
	if len(o.MissingTrue) != 0 && len(o.MissingTrue) != n || len(f.weights) != len(o.LeafTargets) || len(o.Roots) == 0 {
		return nil, errors.New("attributes of nodes, leaves or roots do not match")
	}
	inside := func(i, n int) bool { return i >= 0 && i < n }
	ok := o.Targets > 0 && o.Targets <= math.MaxInt32
	for _, t := range o.LeafTargets {
		ok = ok && inside(t, o.Targets)
	}
	for _, r := range o.Roots {
		ok = ok && inside(r, n)
	}
	size := map[bool]int{false: n, true: len(f.weights)}
	for i := range n {
		ok = ok && inside(o.Features[i], features) && inside(int(f.modes[i]), 7) &&
			inside(o.TrueNodes[i], size[o.TrueLeafs[i] != 0]) && inside(o.FalseNodes[i], size[o.FalseLeafs[i] != 0])
	}
	if !ok {
		return nil, errors.New("an index is out of range")
	}
	return f, f.readMembers()
}

func (f *forest) readMembers() error {
	var values []float64
	if f.Members != nil {
		values = tensor.Doubles(f.Members)
	}
	for i, m := range f.modes {
		if m != 6 {
			continue
		}
		set := map[float64]bool{}
		for len(values) > 0 && values[0] == values[0] {
			set[values[0]] = true
			values = values[1:]
		}
		if len(values) == 0 {
			return fmt.Errorf("node %d has no membership_values", i)
		}
		f.members[i], values = set, values[1:]
	}
	return nil
}

// holds tells whether node i takes the true branch for the feature v.
func (f *forest) holds(i int, v float64) bool {
	if v != v && len(f.MissingTrue) > 0 && f.MissingTrue[i] != 0 {
		return true
	}
	s := f.splits[i]
	switch f.modes[i] {
	case 0:
		return v <= s
	case 1:
		return v < s
	case 2:
		return v >= s
	case 3:
		return v > s
	case 4:
		return v == s
	case 5:
		return v != s
	}
	return f.members[i][v]
}

// leaf walks from a root; a walk longer than there are nodes is a cycle.
func (f *forest) leaf(root int, row []float64) (int, error) {
	at := root
	for range f.modes {
		next, isLeaf := f.FalseNodes[at], f.FalseLeafs[at]
		if f.holds(at, row[f.Features[at]]) {
			next, isLeaf = f.TrueNodes[at], f.TrueLeafs[at]
		}
		if isLeaf != 0 {
			return next, nil
		}
		at = next
	}
	return 0, fmt.Errorf("the tree at node %d has a cycle", root)
}

// Run computes the reference result; a target that no leaf names is 0.
func (o TreeEnsemble) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	t := in[0]
	if len(t.Shape) != 2 || !t.IsFloat() {
		return fmt.Errorf("want [N, F] of floats, got %s", graph.TypeOf(t))
	}
	n, features := t.Shape[0], t.Shape[1]
	f, err := o.forest(features)
	if err != nil {
		return err
	}
	v, r := tensor.Doubles(t), make([]float64, n*o.Targets)
	for i := range n {
		row := r[i*o.Targets : (i+1)*o.Targets]
		met := make([]bool, o.Targets)
		for _, root := range o.Roots {
			l, err := f.leaf(root, v[i*features:(i+1)*features])
			if err != nil {
				return err
			}
			target, w := o.LeafTargets[l], f.weights[l]
			switch {
			case !met[target]:
				row[target] = w
			case o.Aggregate == 2:
				row[target] = min(row[target], w)
			case o.Aggregate == 3:
				row[target] = max(row[target], w)
			default:
				row[target] += w
			}
			met[target] = true
		}
		if o.Aggregate == 0 {
			for j := range row {
				row[j] /= float64(len(o.Roots))
			}
		}
		if err := postTransform(row, o.PostTransform); err != nil {
			return err
		}
	}
	return tensor.SetDoubles(x.Make(out[0], t.DType, n, o.Targets), r)
}

// postTransform turns scores into probabilities.
func postTransform(row []float64, kind int) error {
	top := foldFrom(math.Inf(-1), higher[float64])(row)
	sum := 0.
	for i, v := range row {
		switch kind {
		case 0:
		case 1:
			row[i] = math.Exp(v - top)
		case 2:
			row[i] = sigmoid(v)
		case 3:
			if v != 0 {
				row[i] = math.Exp(v - top)
			}
		case 4:
			row[i] = math.Sqrt2 * math.Erfinv(2*v-1)
		default:
			return fmt.Errorf("post_transform %d is unknown", kind)
		}
		sum += row[i]
	}
	for i := range row {
		if kind == 1 || kind == 3 && sum != 0 {
			row[i] /= sum
		}
	}
	return nil
}
