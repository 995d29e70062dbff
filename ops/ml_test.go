package ops

import (
	"math"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// twoTrees are x[0] <= 0.5 (NaN too) ? leaf 1 : (x[1] > 2 ? leaf 3 : leaf 4), and a tree of one leaf.
func twoTrees() treeNodes {
	return treeNodes{
		TreeIDs: []int{0, 0, 0, 0, 0, 1}, NodeIDs: []int{0, 1, 2, 3, 4, 0},
		Modes:      []string{"BRANCH_LEQ", "LEAF", "BRANCH_GT", "LEAF", "LEAF", "LEAF"},
		Features:   []int{0, 0, 1, 0, 0, 0},
		Values:     []float32{0.5, 0, 2, 0, 0, 0},
		TrueNodes:  []int{1, 0, 3, 0, 0, 0},
		FalseNodes: []int{2, 0, 4, 0, 0, 0},
		// node 2 sends NaN down its false branch
		MissingTrue: []int{1, 0, 0, 0, 0, 0},
		Post:        "NONE",
	}
}

// votes is a classifier of two trees in which leaves 1, 3, 4 and the other tree's have these weights for these classes.
func votes(post string, classes []int, weights ...float32) TreeEnsembleClassifier {
	o := TreeEnsembleClassifier{
		treeNodes: twoTrees(), ClassIDs: classes, ClassNodes: []int{1, 3, 4, 0}, ClassTrees: []int{0, 0, 0, 1}, ClassWeights: weights,
	}
	o.Post = post
	return o
}

func logistic(x float64) float32 { return float32(1 / (1 + math.Exp(-x))) }

func init() {
	x := shaped([]int{4, 2}, 0, 0, 1, 3, 1, 2, nan32, nan32)
	sum := TreeEnsembleRegressor{
		treeNodes: twoTrees(), Aggregate: "SUM", Targets: 2,
		TargetIDs: []int{0, 1, 0, 1, 0}, TargetNodes: []int{1, 3, 4, 4, 0}, TargetTrees: []int{0, 0, 0, 0, 1}, TargetWeights: []float32{1, 2, 4, 8, 16},
	}
	register(sum, exactly(x, shaped([]int{4, 2}, []float32{17, 0, 16, 2, 20, 8, 17, 0}...)))
	based := sum // a base value counts only where a leaf did
	based.Base = []float32{100, 200}
	register(based, exactly(x, shaped([]int{4, 2}, []float32{117, 0, 116, 202, 120, 208, 117, 0}...)))
	average, least, most := sum, sum, sum
	average.Aggregate, least.Aggregate, most.Aggregate = "AVERAGE", "MIN", "MAX"
	register(average, exactly(x, shaped([]int{4, 2}, []float32{8.5, 0, 8, 1, 10, 4, 8.5, 0}...)))
	register(least, exactly(x, shaped([]int{4, 2}, []float32{1, 0, 16, 2, 4, 8, 1, 0}...)))
	register(most, exactly(x, shaped([]int{4, 2}, []float32{16, 0, 16, 2, 16, 8, 16, 0}...)))
	double := sum
	double.Targets, double.TargetIDs, double.TargetWeights = 1, make([]int, 5), nil
	double.WeightTensor, double.Values, double.ValuesTensor = vec(1, 2, 4, 8, 0x1p-40), nil, vec(0.5+1e-12, 0, 2, 0, 0, 0)
	double.Base = []float32{-1}
	register(double, exactly(shaped([]int{2, 2}, 0.5+1e-12, 0, 0.5+2e-12, 3), shaped([]int{2, 1}, []float32{0x1p-40, 1}...)))

	many := votes("SOFTMAX", []int{0, 1, 2, 1}, 3, 1, 2, 1)
	many.LabelTexts = []string{"a", "b", "c"}
	e := func(v ...float64) (p []float32) {
		total := 0.
		for _, x := range v {
			total += math.Exp(x)
		}
		for _, x := range v {
			p = append(p, float32(math.Exp(x)/total))
		}
		return p
	}
	rows := append(append(e(3, 1, 0), e(0, 2, 0)...), append(e(0, 1, 2), e(3, 1, 0)...)...)
	register(many, opCase{in: tensors(x), out: tensors(tensor.FromStrings([]string{"a", "b", "c", "a"}, 4), shaped([]int{4, 3}, rows...)), tol: 1e-6})
	// One class has weights: they are the second one's score, above 0 where weights may be negative, else above 0.5.
	logit := votes("LOGISTIC", make([]int, 4), -1, 1, 2, 0.5)
	logit.LabelInts = []int{4, 7}
	p := []float32{logistic(0.5), logistic(-0.5), logistic(-1.5), logistic(1.5), logistic(-2.5), logistic(2.5), logistic(0.5), logistic(-0.5)}
	register(logit, opCase{in: tensors(x), out: tensors(vec[int64](4, 7, 7, 4), shaped([]int{4, 2}, p...)), tol: 1e-6})
	share := votes("NONE", make([]int, 4), 0.25, 0.5, 0.125, 0.125)
	share.LabelTexts = []string{"no", "yes"}
	register(share, exactly2(x, tensor.FromStrings([]string{"no", "yes", "no", "no"}, 4),
		shaped([]int{4, 2}, []float32{0.625, 0.375, 0.375, 0.625, 0.75, 0.25, 0.625, 0.375}...)))
	// Both classes have weights: a label of 0 or 1, whatever the labels are.
	both := votes("NONE", []int{0, 1, 0, 1}, 2, 4, 8, -1)
	both.LabelInts = []int{4, 7}
	register(both, exactly2(x, vec[int64](0, 1, 0, 0), shaped([]int{4, 2}, []float32{2, -1, 0, 3, 8, -1, 2, -1}...)))

	m := shaped([]int{2, 2}, []float32{1, 2, -3, 4}...)
	register(LinearRegressor{Coefficients: []float32{1, 2, 3, 4}, Intercepts: []float32{10, 20}, Targets: 2, Post: "NONE"},
		exactly(m, shaped([]int{2, 2}, []float32{15, 31, 15, 27}...)), exactly(vec[float32](1, 2), shaped([]int{1, 2}, []float32{15, 31}...)))
	register(LinearClassifier{Coefficients: []float32{1, 1}, Intercepts: []float32{-2}, LabelTexts: []string{"n", "y"}, Post: "NONE"},
		exactly2(m, tensor.FromStrings([]string{"y", "n"}, 2), shaped([]int{2, 2}, []float32{0, 1, 2, -1}...)))
	register(LinearClassifier{Coefficients: []float32{1, 1, 1, 0, 0, 1}, Intercepts: []float32{0, 0, 1}, LabelInts: []int{5, 6, 7}, Post: "LOGISTIC"},
		opCase{in: tensors(m), out: tensors(vec[int64](5, 7), shaped([]int{2, 3}, logistic(3), logistic(1), logistic(3), logistic(1), logistic(-3), logistic(5))), tol: 1e-6})

	rbf := svmKernel{Kernel: "RBF", Params: []float32{0.5, 0, 3}, Vectors: []float32{1, 2, 0, 0}, Coefficients: []float32{2, -1}, Rho: []float32{0.25}, Post: "NONE"}
	k := func(d float64) float64 { return math.Exp(-0.5 * d) }
	register(SVMRegressor{svmKernel: rbf, Supports: 2},
		opCase{in: tensors(m), out: tensors(shaped([]int{2, 1}, float32(2-k(5)+0.25), float32(2*k(20)-k(25)+0.25))), tol: 1e-6})
	register(SVMRegressor{svmKernel: rbf, Supports: 2, OneClass: true}, exactly(m, shaped([]int{2, 1}, []float32{1, 1}...)))
	register(SVMClassifier{svmKernel: rbf, PerClass: []int{1, 1}, LabelInts: []int{3, 9}}, opCase{
		in:  tensors(m),
		out: tensors(vec[int64](3, 3), shaped([]int{2, 2}, float32(k(5)-2.25), float32(2-k(5)+0.25), float32(k(25)-2*k(20)-0.25), float32(2*k(20)-k(25)+0.25))), tol: 1e-6,
	})
	linear := svmKernel{Kernel: "LINEAR", Coefficients: []float32{1, 0, 0, 1, -1, -1}, Rho: []float32{0.5}, Post: "NONE"}
	register(SVMClassifier{svmKernel: linear, LabelTexts: []string{"a", "b", "c"}},
		exactly2(m, tensor.FromStrings([]string{"b", "b"}, 2), shaped([]int{2, 3}, []float32{1.5, 2.5, -2.5, -2.5, 4.5, -0.5}...)))
	proba := rbf // equal decisions against Platt's sigmoid: p and 1-p
	proba.Coefficients, proba.Rho = []float32{0, 0}, []float32{1}
	register(SVMClassifier{svmKernel: proba, PerClass: []int{1, 1}, LabelInts: []int{3, 9}, ProbA: []float32{-2}, ProbB: []float32{0}}, opCase{
		in:  tensors(m),
		out: tensors(vec[int64](3, 3), shaped([]int{2, 2}, logistic(2), logistic(-2), logistic(2), logistic(-2))), tol: 0.01,
	})

	register(Scaler{Offset: []float32{1}, Scale: []float32{2}}, exactly(vec[int64](1, 3), vec[float32](0, 4)))
	register(Scaler{Offset: []float32{1, 0}, Scale: []float32{2, 10}}, exactly(m, shaped([]int{2, 2}, []float32{0, 20, -8, 40}...)))
	register(Normalizer{Norm: "MAX"}, exactly(m, shaped([]int{2, 2}, []float32{0.5, 1, -0.75, 1}...)))
	register(Normalizer{Norm: "L1"}, exactly(shaped([]int{2, 2}, -1.0, 3, 0, 0), shaped([]int{2, 2}, []float32{-0.25, 0.75, 0, 0}...)))
	register(Normalizer{Norm: "L2"}, exactly(vec[int32](3, -4), vec[float32](0.6, -0.8)))
	register(Imputer{Floats: []float32{7, 8}, MissingFloat: -3}, exactly(m, shaped([]int{2, 2}, []float32{1, 2, 7, 4}...)))
	register(Imputer{Ints: []int{5}}, exactly(vec[int64](0, 2), vec[int64](5, 2)))
	register(OneHotEncoder{Strings: []string{"a", "b"}, Zeros: true},
		exactly(tensor.FromStrings([]string{"b", "?"}, 1, 2), shaped([]int{1, 2, 2}, []float32{0, 1, 0, 0}...)))
	register(OneHotEncoder{Ints: []int{3, 1}}, exactly(vec[float32](1.5, 3), shaped([]int{2, 2}, []float32{0, 1, 1, 0}...)))
	register(CategoryMapper{Ints: []int{4, 5}, Strings: []string{"a", "b"}, DefaultInt: -1, DefaultString: "_Unused"},
		exactly(tensor.FromStrings([]string{"b", "?"}, 2), vec[int64](5, -1)),
		exactly(vec[int64](4, 0), tensor.FromStrings([]string{"a", "_Unused"}, 2)))
	register(FeatureVectorizer{Widths: []int{1, 3}}, of2(shaped([]int{2, 2}, []int64{1, 2, 3, 4}...), m, shaped([]int{2, 4}, []float32{1, 1, 2, 0, 3, -3, 4, 0}...)))
	register(ZipMap{LabelTexts: []string{"a", "b"}}, exactly(m, m))
}

// exactly2 is a case of one input and two outputs.
func exactly2(in, a, b *tensor.Tensor) opCase { return opCase{in: tensors(in), out: tensors(a, b)} }

func TestImputerFindsNaN(t *testing.T) {
	got, err := tryOp(Imputer{Floats: []float32{7}, MissingFloat: nan32}, vec(1, nan32))
	if err != nil || !got[0].Equal(vec[float32](1, 7)) {
		t.Error(got, err)
	}
}

// tryOp runs an operator with two outputs on one input, as Infer allows.
func tryOp(op graph.Kernel, in *tensor.Tensor) ([]*tensor.Tensor, error) {
	if _, err := op.Infer([]graph.Fact{graph.FactOf(in)}, 2); err != nil {
		return nil, err
	}
	out := tensors(&tensor.Tensor{}, &tensor.Tensor{})
	return out, op.Run(&graph.Exec{}, tensors(in), out)
}

// TestHostileModels breaks one attribute at a time: the error names it, and no walk is endless.
func TestHostileModels(t *testing.T) {
	m := shaped([]int{2, 2}, []float32{1, 2, -3, 4}...)
	tree := func(breakIt func(o *TreeEnsembleClassifier)) graph.Kernel {
		o := votes("NONE", []int{0, 1, 2, 1}, 1, 2, 3, 4)
		o.LabelInts = []int{0, 1, 2}
		breakIt(&o)
		return o
	}
	ensemble := func(breakIt func(o *TreeEnsemble)) graph.Kernel {
		o := TreeEnsemble{
			Aggregate: 1, Targets: 1, Roots: []int{0}, Modes: vec[uint8](0, 6), Splits: vec[float32](1, 0), Members: vec(3, nan32),
			Features: []int{0, 1}, TrueLeafs: []int{1, 1}, FalseLeafs: []int{0, 1}, TrueNodes: []int{0, 0}, FalseNodes: []int{1, 1},
			LeafTargets: []int{0, 0}, LeafWeights: vec[float32](1, 2),
		}
		breakIt(&o)
		return o
	}
	machine := func(breakIt func(o *SVMClassifier)) graph.Kernel {
		o := SVMClassifier{
			LabelInts: []int{0, 1}, PerClass: []int{1, 1}, svmKernel: svmKernel{
				Kernel: "RBF", Params: []float32{1, 0, 0}, Vectors: []float32{1, 2, 3, 4}, Coefficients: []float32{1, 1}, Rho: []float32{0}, Post: "NONE",
			},
		}
		breakIt(&o)
		return o
	}
	for _, c := range []struct {
		op   graph.Kernel
		want string
	}{
		{tree(func(o *TreeEnsembleClassifier) {}), ""},
		{tree(func(o *TreeEnsembleClassifier) { o.NodeIDs = nil }), "nodes_nodeids"},
		{tree(func(o *TreeEnsembleClassifier) { o.Values = o.Values[1:] }), "nodes_values"},
		{tree(func(o *TreeEnsembleClassifier) { o.Modes[0] = "BRANCH" }), "nodes_modes"},
		{tree(func(o *TreeEnsembleClassifier) { o.Features[2] = 2 }), "nodes_featureids"},
		{tree(func(o *TreeEnsembleClassifier) { o.Features[2] = -1 }), "nodes_featureids"},
		{tree(func(o *TreeEnsembleClassifier) { o.Features[2] = math.MaxInt64 }), "nodes_featureids"},
		{tree(func(o *TreeEnsembleClassifier) { o.TrueNodes[2] = 9 }), "nodes_truenodeids: tree 0 has no node 9"},
		{tree(func(o *TreeEnsembleClassifier) { o.FalseNodes[2] = -1 }), "nodes_falsenodeids: tree 0 has no node -1"},
		{tree(func(o *TreeEnsembleClassifier) { o.TrueNodes[2] = 0 }), "lead back to node 0"},
		{tree(func(o *TreeEnsembleClassifier) { o.FalseNodes[2] = 2 }), "lead back to node 2"},
		{tree(func(o *TreeEnsembleClassifier) { o.NodeIDs[1] = 0 }), "node 0 of tree 0 is there twice"},
		{tree(func(o *TreeEnsembleClassifier) { o.ClassIDs[0] = 3 }), "class_ids: 3 is outside of 3"},
		{tree(func(o *TreeEnsembleClassifier) { o.ClassTrees[0] = 7 }), "class_nodeids: tree 7"},
		{tree(func(o *TreeEnsembleClassifier) { o.ClassWeights = nil }), "class_ids"},
		{tree(func(o *TreeEnsembleClassifier) { o.LabelInts = nil }), "classlabels"},
		{tree(func(o *TreeEnsembleClassifier) { o.Base = []float32{1} }), "base_values"},
		{tree(func(o *TreeEnsembleClassifier) { o.Post = "EXP" }), "post_transform"},
		{ensemble(func(o *TreeEnsemble) {}), ""},
		{ensemble(func(o *TreeEnsemble) { o.Targets = math.MaxInt64 }), "n_targets"},
		{ensemble(func(o *TreeEnsemble) { o.Roots = []int{2} }), "tree_roots"},
		{ensemble(func(o *TreeEnsemble) { o.FalseLeafs, o.FalseNodes = []int{0, 0}, []int{1, 0} }), "lead back to node 0"},
		{ensemble(func(o *TreeEnsemble) { o.FalseNodes[1] = 2 }), "nodes_falsenodeids"},
		{ensemble(func(o *TreeEnsemble) { o.Members = vec[float32](3) }), "membership_values"},
		{ensemble(func(o *TreeEnsemble) { o.Modes = vec[uint8](0, 7) }), "nodes_modes"},
		{ensemble(func(o *TreeEnsemble) { o.Aggregate = 4 }), "aggregate_function"},
		{machine(func(o *SVMClassifier) {}), ""},
		{machine(func(o *SVMClassifier) { o.PerClass = []int{2} }), "vectors_per_class"},
		{machine(func(o *SVMClassifier) { o.PerClass = []int{-1, 3} }), "vectors_per_class"},
		{machine(func(o *SVMClassifier) { o.Vectors = o.Vectors[:3] }), "support_vectors"},
		{machine(func(o *SVMClassifier) { o.Rho = nil }), "rho"},
		{machine(func(o *SVMClassifier) { o.ProbA = []float32{1} }), "prob_b"},
		{machine(func(o *SVMClassifier) { o.Coefficients = nil }), "coefficients"},
		{machine(func(o *SVMClassifier) { o.Params = []float32{1} }), "kernel_params"},
		{machine(func(o *SVMClassifier) { o.Kernel = "COSINE" }), "kernel_type"},
		{machine(func(o *SVMClassifier) { o.PerClass, o.Coefficients, o.Vectors = nil, []float32{1}, nil }), "coefficients"},
		{LinearRegressor{Coefficients: []float32{1}, Targets: 1, Post: "NONE"}, "coefficients"},
		{LinearRegressor{Coefficients: []float32{1}, Targets: -1, Post: "NONE"}, "targets"},
		{LinearClassifier{Coefficients: []float32{1, 1}, LabelInts: []int{0, 1}, Post: "NONE"}, "intercepts"},
		{LinearClassifier{Coefficients: []float32{1, 1, 1, 1, 1, 1}, Intercepts: []float32{1, 1, 1}, LabelInts: []int{0, 1}, Post: "NONE"}, "classlabels"},
		{SVMRegressor{svmKernel: svmKernel{Kernel: "LINEAR", Coefficients: []float32{1, 1}}}, "rho"},
		{SVMRegressor{Supports: math.MaxInt64 / 2, svmKernel: svmKernel{Kernel: "LINEAR", Coefficients: []float32{1, 1}, Rho: []float32{1}}}, "support_vectors"},
		{Scaler{Scale: []float32{1, 2, 3}, Offset: []float32{1, 2, 3}}, "scale"},
		{Scaler{Scale: []float32{1, 2}, Offset: []float32{1}}, "offset"},
		{Normalizer{Norm: "L3"}, "norm"},
		{Imputer{Floats: []float32{1, 2, 3}}, "imputed_value_floats"},
		{Imputer{Floats: []float32{1}, Ints: []int{1}}, "imputed_value_int64s"},
		{Imputer{Ints: []int{1}}, "imputed values"},
		{OneHotEncoder{}, "cats_int64s"},
		{OneHotEncoder{Ints: []int{9}}, "no category"},
		{OneHotEncoder{Strings: []string{"a"}}, "another kind"},
		{FeatureVectorizer{Widths: []int{-1}}, "inputdimensions"},
		{FeatureVectorizer{Widths: []int{1 << 40}}, "inputdimensions"},
		{CategoryMapper{Ints: []int{1}}, "cats_strings"},
		{ZipMap{LabelInts: []int{1, 2, 3}}, "3 classes for 2 scores"},
	} {
		switch _, err := tryOp(c.op, m); {
		case c.want == "" && err != nil:
			t.Errorf("%#v: %v", c.op, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%T: got %v, want an error with %q", c.op, err, c.want)
		}
	}
}
