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
// reaches, by target, into [N, Targets]. PostTransform counts as the specification does, where ONNX Runtime 1.31 takes 1 for
// logistic and 2 for softmax.
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
	n, err := rowCount(in)
	if err != nil {
		return nil, err
	}
	return []graph.Type{graph.Of(in[0].DType, n, graph.Fixed(o.Targets))}, wantTargets("n_targets", o.Targets)
}

func newForest[T mlFloat](o TreeEnsemble) (*forest[T], error) {
	if o.Modes == nil || o.Splits == nil || o.LeafWeights == nil {
		return nil, errors.New("an attribute is missing")
	}
	modes, splits, weights := tensor.Ints(o.Modes), reals[T](o.Splits), reals[T](o.LeafWeights)
	n := len(modes)
	for _, a := range []struct {
		name       string
		have, want int
	}{
		{"nodes_splits", len(splits), n},
		{"nodes_featureids", len(o.Features), n},
		{"nodes_truenodeids", len(o.TrueNodes), n},
		{"nodes_falsenodeids", len(o.FalseNodes), n},
		{"nodes_trueleafs", len(o.TrueLeafs), n},
		{"nodes_falseleafs", len(o.FalseLeafs), n},
		{"leaf_targetids", len(o.LeafTargets), len(weights)},
	} {
		if a.have != a.want {
			return nil, fmt.Errorf("attribute %s has %d elements, want %d", a.name, a.have, a.want)
		}
	}
	if len(o.MissingTrue) != 0 && len(o.MissingTrue) != n || len(o.Roots) == 0 || n+len(weights) > math.MaxInt32 {
		return nil, errors.New("attributes of nodes, leaves or roots do not match")
	}
	f := &forest[T]{nodes: make([]treeNode[T], n+len(weights)), weights: make([]leafWeight[T], len(weights))}
	for i, w := range weights {
		if t := o.LeafTargets[i]; t < 0 || t >= o.Targets {
			return nil, fmt.Errorf("attribute leaf_targetids: %d is outside of %d", t, o.Targets)
		}
		f.weights[i] = leafWeight[T]{int32(o.LeafTargets[i]), w}
		f.nodes[n+i] = treeNode[T]{value: w, yes: int32(i), no: int32(i) + 1, mode: branchLeaf}
	}
	for i, m := range modes {
		yes, err1 := o.branch("true", o.TrueNodes[i], o.TrueLeafs[i] != 0)
		no, err2 := o.branch("false", o.FalseNodes[i], o.FalseLeafs[i] != 0)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		if m < 0 || m >= branchLeaf || o.Features[i] < 0 || o.Features[i] >= math.MaxInt32 {
			return nil, fmt.Errorf("attribute nodes_modes or nodes_featureids: node %d has mode %d on feature %d", i, m, o.Features[i])
		}
		f.nodes[i] = treeNode[T]{splits[i], int32(o.Features[i]), yes, no, uint8(m), len(o.MissingTrue) > 0 && o.MissingTrue[i] != 0}
	}
	for _, r := range o.Roots {
		if r < 0 || r >= n {
			return nil, fmt.Errorf("attribute tree_roots: there is no node %d", r)
		}
		f.roots = append(f.roots, int32(r))
	}
	if err := f.readMembers(o.Members); err != nil {
		return nil, err
	}
	if err := f.check(); err != nil {
		return nil, fmt.Errorf("attribute nodes_truenodeids: %w", err)
	}
	return f, nil
}

// branch gives the index of a node or leaf in the forest.
func (o TreeEnsemble) branch(side string, at int, leaf bool) (int32, error) {
	first, n := 0, o.Modes.Len()
	if leaf {
		first, n = n, len(o.LeafTargets)
	}
	if at < 0 || at >= n {
		return 0, fmt.Errorf("attribute nodes_%snodeids: %d is outside of %d", side, at, n)
	}
	return int32(first + at), nil
}

// readMembers gives each node of mode 6 its set.
func (f *forest[T]) readMembers(t *tensor.Tensor) error {
	values := reals[T](t)
	for i := range f.nodes {
		if f.nodes[i].mode != branchMember {
			continue
		}
		set := map[T]bool{}
		for len(values) > 0 && values[0] == values[0] {
			set[values[0]] = true
			values = values[1:]
		}
		if len(values) == 0 {
			return fmt.Errorf("attribute membership_values: node %d has none", i)
		}
		f.nodes[i].value, values = T(len(f.members)), values[1:]
		f.members = append(f.members, set)
	}
	return nil
}

// Run sums in the order of the roots; a target that no leaf names is 0.
func (o TreeEnsemble) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	switch {
	case !in[0].IsFloat():
		return fmt.Errorf("want floats, got %s", graph.TypeOf(in[0]))
	case in[0].DType == tensor.Float64:
		return runTrees[float64](o, x, in[0], out[0])
	}
	return runTrees[float32](o, x, in[0], out[0])
}

func runTrees[T mlFloat](o TreeEnsemble, x *graph.Exec, in, out *tensor.Tensor) error {
	if o.Aggregate < int(aggregateAverage) || o.Aggregate > int(aggregateMax) {
		return fmt.Errorf("attribute aggregate_function: %d is unknown", o.Aggregate)
	}
	if o.PostTransform < int(postNone) || o.PostTransform > int(postProbit) {
		return fmt.Errorf("attribute post_transform: %d is unknown", o.PostTransform)
	}
	f, err := newForest[T](o)
	if err != nil {
		return err
	}
	how := aggregate(o.Aggregate)
	finish := func(row []T, met []bool) { f.combine(how, nil, row, met, transform(o.PostTransform)) }
	scores, rows, err := f.regress(in, how, finish, o.Targets)
	if err != nil {
		return err
	}
	return setReals(x.Make(out, in.DType, rows, o.Targets), scores)
}
