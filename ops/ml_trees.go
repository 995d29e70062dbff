package ops

import (
	"errors"
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	graph.Register("ai.onnx.ml", 1, TreeEnsembleRegressor{})
}

// treeNodes are the attributes that TreeEnsembleClassifier and TreeEnsembleRegressor have in common: a row of each list
// is a node, the first node of a tree is its root. Those "as tensor" are float64 or float32.
type treeNodes struct {
	Base         []float32      `attr:"base_values"`
	BaseTensor   *tensor.Tensor `attr:"base_values_as_tensor"`
	FalseNodes   []int          `attr:"nodes_falsenodeids"`
	Features     []int          `attr:"nodes_featureids"`
	HitRates     []float32      `attr:"nodes_hitrates"`
	HitTensor    *tensor.Tensor `attr:"nodes_hitrates_as_tensor"`
	MissingTrue  []int          `attr:"nodes_missing_value_tracks_true"`
	Modes        []string       `attr:"nodes_modes"`
	NodeIDs      []int          `attr:"nodes_nodeids"`
	TreeIDs      []int          `attr:"nodes_treeids"`
	TrueNodes    []int          `attr:"nodes_truenodeids"`
	Values       []float32      `attr:"nodes_values"`
	ValuesTensor *tensor.Tensor `attr:"nodes_values_as_tensor"`
	Post         string         `attr:"post_transform" default:"NONE"`
}

// leafAttrs are the weights of the leaves under the names that an operator gives them.
type leafAttrs struct {
	kind                  string // "class" or "target"
	ids, nodeIDs, treeIDs []int
	weights               *tensor.Tensor
	targets               int
}

type nodeID struct{ tree, node int }

// buildForest checks the attributes and puts the nodes in one array.
func buildForest[T mlFloat](o treeNodes, l leafAttrs) (*forest[T], error) {
	n := len(o.NodeIDs)
	values := listTensor(o.ValuesTensor, o.Values, nil, nil)
	if values == nil {
		values = tensor.New(tensor.Float32, 0)
	}
	for _, a := range []struct {
		name string
		size int
	}{
		{"nodes_falsenodeids", len(o.FalseNodes)},
		{"nodes_featureids", len(o.Features)},
		{"nodes_modes", len(o.Modes)},
		{"nodes_treeids", len(o.TreeIDs)},
		{"nodes_truenodeids", len(o.TrueNodes)},
		{"nodes_values", values.Len()},
	} {
		if a.size != n {
			return nil, fmt.Errorf("attribute %s has %d elements, nodes_nodeids has %d", a.name, a.size, n)
		}
	}
	if n == 0 || n > math.MaxInt32 || !values.IsFloat() {
		return nil, errors.New("attribute nodes_nodeids: there are no nodes, or too many, or their values are no floats")
	}
	index := make(map[nodeID]int32, n)
	for i := range n {
		id := nodeID{o.TreeIDs[i], o.NodeIDs[i]}
		if _, twice := index[id]; twice {
			return nil, fmt.Errorf("attribute nodes_nodeids: node %d of tree %d is there twice", id.node, id.tree)
		}
		index[id] = int32(i)
	}
	f := &forest[T]{nodes: make([]treeNode[T], n)}
	v := reals[T](values)
	for i := range n {
		if i == 0 || o.TreeIDs[i] != o.TreeIDs[i-1] {
			f.roots = append(f.roots, int32(i))
		}
		f.nodes[i].value = v[i]
		if err := fillNode(&f.nodes[i], o, i, index); err != nil {
			return nil, err
		}
	}
	if err := f.readLeaves(l, index); err != nil {
		return nil, err
	}
	if err := f.check(); err != nil {
		return nil, fmt.Errorf("attribute nodes_truenodeids: %w", err)
	}
	return f, nil
}

func fillNode[T mlFloat](node *treeNode[T], o treeNodes, i int, index map[nodeID]int32) error {
	mode, err := named("nodes_modes", branchModes, o.Modes[i])
	if err != nil {
		return err
	}
	node.mode, node.missing = mode, i < len(o.MissingTrue) && o.MissingTrue[i] == 1
	if mode == branchLeaf {
		return nil
	}
	if o.Features[i] < 0 || o.Features[i] >= math.MaxInt32 {
		return fmt.Errorf("attribute nodes_featureids: node %d reads feature %d", i, o.Features[i])
	}
	node.feature = int32(o.Features[i])
	yes, ok1 := index[nodeID{o.TreeIDs[i], o.TrueNodes[i]}]
	no, ok2 := index[nodeID{o.TreeIDs[i], o.FalseNodes[i]}]
	switch {
	case !ok1:
		return fmt.Errorf("attribute nodes_truenodeids: tree %d has no node %d", o.TreeIDs[i], o.TrueNodes[i])
	case !ok2:
		return fmt.Errorf("attribute nodes_falsenodeids: tree %d has no node %d", o.TreeIDs[i], o.FalseNodes[i])
	}
	node.yes, node.no = yes, no
	return nil
}

// readLeaves groups the weights by leaf, in the order of the attributes; weights of branches count nowhere.
func (f *forest[T]) readLeaves(l leafAttrs, index map[nodeID]int32) error {
	if err := wantTargets("n_targets", l.targets); err != nil {
		return err
	}
	n := len(l.ids)
	if l.weights == nil {
		l.weights = tensor.New(tensor.Float32, 0)
	}
	if len(l.nodeIDs) != n || len(l.treeIDs) != n || l.weights.Len() != n || !l.weights.IsFloat() {
		return fmt.Errorf("attributes %s_ids, _nodeids, _treeids and _weights have %d, %d, %d and %d elements", l.kind, n,
			len(l.nodeIDs), len(l.treeIDs), l.weights.Len())
	}
	of, first := make([]int32, n), make([]int32, len(f.nodes)+1)
	for i := range n {
		at, ok := index[nodeID{l.treeIDs[i], l.nodeIDs[i]}]
		if !ok {
			return fmt.Errorf("attribute %s_nodeids: tree %d has no node %d", l.kind, l.treeIDs[i], l.nodeIDs[i])
		}
		if l.ids[i] < 0 || l.ids[i] >= l.targets {
			return fmt.Errorf("attribute %s_ids: %d is outside of %d", l.kind, l.ids[i], l.targets)
		}
		of[i] = at
		first[at+1]++
	}
	for i := range f.nodes {
		first[i+1] += first[i]
		if n := &f.nodes[i]; n.mode == branchLeaf {
			n.yes, n.no = first[i], first[i]
		}
	}
	f.weights = make([]leafWeight[T], n)
	for i, w := range reals[T](l.weights) {
		leaf := &f.nodes[of[i]]
		if leaf.mode != branchLeaf {
			continue
		}
		if leaf.yes == leaf.no {
			leaf.value = w
		}
		f.weights[leaf.no] = leafWeight[T]{int32(l.ids[i]), w}
		leaf.no++
	}
	return nil
}

// TreeEnsembleRegressor sends each row of [N, F] down decision trees and combines the weights of the leaves that it
// reaches, by target, into [N, Targets] of float32. Weights and thresholds are float64 if the input is, else float32.
type TreeEnsembleRegressor struct {
	Aggregate string `attr:"aggregate_function" default:"SUM"`
	Targets   int    `attr:"n_targets"`
	treeNodes
	TargetIDs     []int          `attr:"target_ids"`
	TargetNodes   []int          `attr:"target_nodeids"`
	TargetTrees   []int          `attr:"target_treeids"`
	TargetWeights []float32      `attr:"target_weights"`
	WeightTensor  *tensor.Tensor `attr:"target_weights_as_tensor"`
}

// Infer gives [N, Targets].
func (o TreeEnsembleRegressor) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	n, err := rowCount(in)
	if err != nil {
		return nil, err
	}
	return []graph.Type{graph.Of(tensor.Float32, n, graph.Fixed(o.Targets))}, wantTargets("n_targets", o.Targets)
}

// Run sums in the order of the trees.
func (o TreeEnsembleRegressor) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	if in[0].DType == tensor.Float64 {
		return regressTrees[float64](o, x, in[0], out[0])
	}
	return regressTrees[float32](o, x, in[0], out[0])
}

func regressTrees[T mlFloat](o TreeEnsembleRegressor, x *graph.Exec, in, out *tensor.Tensor) error {
	f, err := buildForest[T](o.treeNodes, leafAttrs{
		"target", o.TargetIDs, o.TargetNodes, o.TargetTrees, listTensor(o.WeightTensor, o.TargetWeights, nil, nil), o.Targets,
	})
	if err != nil {
		return err
	}
	how, err := named("aggregate_function", aggregates, o.Aggregate)
	if err != nil {
		return err
	}
	post, err := named("post_transform", transforms, o.Post)
	if err != nil {
		return err
	}
	base := reals[T](listTensor(o.BaseTensor, o.Base, nil, nil))
	if len(base) != 0 && len(base) != o.Targets {
		return fmt.Errorf("attribute base_values has %d elements for %d targets", len(base), o.Targets)
	}
	scores, rows, err := f.regress(in, how, func(row []T, met []bool) { f.combine(how, base, row, met, post) }, o.Targets)
	if err != nil {
		return err
	}
	return setReals(x.Make(out, tensor.Float32, rows, o.Targets), scores)
}

// regress gives the scores of each row, [rows, targets], as finish leaves them.
func (f *forest[T]) regress(in *tensor.Tensor, how aggregate, finish func([]T, []bool), targets int) (scores []T, n int, err error) {
	rows, err := f.features(in)
	if err != nil {
		return nil, 0, err
	}
	scores, met := make([]T, len(rows)*targets), make([]bool, targets)
	for i, row := range rows {
		part := scores[i*targets : (i+1)*targets]
		f.score(how, row, part, met)
		finish(part, met)
	}
	return scores, len(rows), nil
}

// setReals stores values in a tensor of floats.
func setReals[T mlFloat](t *tensor.Tensor, v []T) error {
	if d, ok := any(v).([]float64); ok {
		return tensor.SetFloat64s(t, d)
	}
	return tensor.SetFloats(t, any(v).([]float32))
}
