package ops

import (
	"math"

	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	r, t0, t1 := tensor.Scalar[float32](0.1), tensor.Scalar[int64](0), tensor.Scalar[int64](2)
	one, two := vec[float32](1), vec[float32](2)
	// the penalty 0.5·x makes the gradient 2.5 at x = 1, g = 2
	register(Adagrad{Decay: 0.5, Epsilon: 1e-6, Norm: 0.5}, opCase{
		in:  tensors(r, t1, one, two, vec[float32](3)),
		out: tensors(vec[float32](1-float32(0.05*2.5/math.Sqrt(9.25))), vec[float32](9.25)), tol: 1e-6,
	})
	register(Adagrad{Epsilon: 1e-6}, opCase{ // two parameters: X1, X2, G1, G2, H1, H2
		in:  tensors(r, t0, one, two, vec[float32](3), vec[float32](-4), vec[float32](0), vec[float32](9)),
		out: tensors(vec[float32](0.9), vec[float32](2.08), vec[float32](9), vec[float32](25)), tol: 1e-6,
	})
	register(Adam{Alpha: 0.5, Beta: 0.75, Epsilon: 0, NormPost: 0.5}, opCase{
		in:  tensors(r, t0, one, two, vec[float32](4), vec[float32](12)),
		out: tensors(vec[float32](0.5*float32(1-0.1*3/math.Sqrt(10))), vec[float32](3), vec[float32](10)), tol: 1e-6,
	}, opCase{ // the rate is corrected by sqrt(1-0.75²)/(1-0.5²)
		in:  tensors(r, t1, one, two, vec[float32](4), vec[float32](12)),
		out: tensors(vec[float32](0.5*float32(1-0.1*math.Sqrt(1-0.5625)/0.75*3/math.Sqrt(10))), nil, nil), tol: 1e-6,
	})
	register(Momentum{Alpha: 0.5, Beta: 0.25, Mode: "standard"},
		opCase{in: tensors(r, t1, one, two, vec[float32](3)), out: tensors(vec[float32](0.8), vec[float32](2)), tol: 1e-6},
		opCase{in: tensors(r, t0, one, two, vec[float32](3)), out: tensors(vec[float32](0.65), vec[float32](3.5)), tol: 1e-6})
	register(Momentum{Alpha: 0.5, Beta: 0.25, Mode: "nesterov", Norm: 2},
		opCase{in: tensors(r, t1, one, two, vec[float32](3)), out: tensors(vec[float32](1-0.1*(4+1.25)), vec[float32](2.5)), tol: 1e-6})

	register(Binarizer{Threshold: 1}, exactly(vec[float32](0.5, 1, 2), vec[float32](0, 0, 1)), exactly(vec[int64](2), vec[int64](1)))
	register(ArrayFeatureExtractor{},
		of2(shaped([]int{2, 3}, []int32{1, 2, 3, 4, 5, 6}...), vec[int64](2, 0), shaped([]int{2, 2}, []int32{3, 1, 6, 4}...)),
		of2(tensor.FromStrings([]string{"a", "b"}, 2), vec[int64](1), tensor.FromStrings([]string{"b"}, 1, 1)))
	register(LabelEncoder{DefaultInt: -1, DefaultString: "_Unused", KeyStrings: []string{"Amy", "Sally"}, ValueInts: []int{5, 6}},
		exactly(tensor.FromStrings([]string{"Dori", "Amy", "Sally"}, 3), vec[int64](-1, 5, 6)))
	register(LabelEncoder{DefaultInt: -1, DefaultString: "none", KeyFloats: []float32{nan32, 2, 2}, ValueStrings: []string{"x", "y", "z"}},
		exactly(vec(2, nan32, 7), tensor.FromStrings([]string{"z", "x", "none"}, 3)))
	register(LabelEncoder{
		DefaultInt: -1, DefaultString: "_Unused", KeyTensor: vec[int16](1, 2), ValueTensor: vec[float64](10, 20), DefaultTensor: vec[float64](7),
	}, exactly(vec[int16](2, 3, 1), vec[float64](20, 7, 10)))

	stump := TreeEnsemble{ // x[0] <= 0.5 ? 1 on target 0 : (x[1] in {3, 4} ? 2 : 8) on target 1; and a tree of one leaf
		Aggregate: 1, Targets: 2, Roots: []int{0, 2},
		Modes: vec[uint8](0, 6, 1), Splits: vec[float32](0.5, 0, 0), Members: vec(3, 4, nan32),
		Features: []int{0, 1, 0}, TrueLeafs: []int{1, 1, 1}, FalseLeafs: []int{0, 1, 1},
		TrueNodes: []int{0, 1, 3}, FalseNodes: []int{1, 2, 3}, MissingTrue: []int{1, 0, 0},
		LeafTargets: []int{0, 1, 1, 0}, LeafWeights: vec[float32](1, 2, 8, 4),
	}
	x := shaped([]int{4, 2}, 0.5, 0, 1, 4, 1, 5, nan32, 0)
	register(stump, exactly(x, shaped([]int{4, 2}, []float32{5, 0, 4, 2, 4, 8, 5, 0}...)))
	most := stump
	most.Aggregate = 3
	register(most, exactly(x, shaped([]int{4, 2}, []float32{4, 0, 4, 2, 4, 8, 4, 0}...)))
	average := stump
	average.Aggregate, average.PostTransform = 0, 2
	half := float32(1 / (1 + math.Exp(-2.5)))
	register(average, opCase{in: tensors(shaped([]int{1, 2}, []float32{0, 0}...)), out: tensors(shaped([]int{1, 2}, half, 0.5)), tol: 1e-6})
}
