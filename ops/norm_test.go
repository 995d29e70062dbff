package ops

import "github.com/tfsopt/tfsopt/tensor"

func init() {
	pair := shaped([]int{1, 1, 2}, []float32{1, 3}...)
	register(BatchNormalization{Momentum: 0.9}, opCase{
		in:  tensors(shaped([]int{1, 2, 2}, []float32{1, 2, 3, 4}...), vec[float32](1, 2), vec[float32](0, 1), vec[float32](1, 3), vec[float32](1, 4)),
		out: tensors(shaped([]int{1, 2, 2}, []float32{0, 1, 1, 2}...)),
	})
	register(BatchNormalization{Momentum: 0.5, TrainingMode: true}, opCase{
		in:  tensors(pair, vec[float32](1), vec[float32](0), vec[float32](0), vec[float32](2)),
		out: tensors(shaped([]int{1, 1, 2}, []float32{-1, 1}...), vec[float32](1), vec[float32](1.5)),
	})
	register(InstanceNormalization{}, opCase{
		in:  tensors(pair, vec[float32](2), vec[float32](1)),
		out: tensors(shaped([]int{1, 1, 2}, []float32{-1, 3}...)),
	})
	register(GroupNormalization{NumGroups: 1, StashType: 1}, opCase{
		in:  tensors(shaped([]int{1, 2, 1}, []float32{1, 3}...), vec[float32](1, 2), vec[float32](0, 1)),
		out: tensors(shaped([]int{1, 2, 1}, []float32{-1, 3}...)),
	})
	register(LayerNormalization{Axis: -1, StashType: 1}, opCase{
		in:  tensors(shaped([]int{1, 2}, []float32{1, 3}...), vec[float32](2, 2), vec[float32](0, 1)),
		out: tensors(shaped([]int{1, 2}, []float32{-2, 3}...), shaped([]int{1, 1}, []float32{2}...), shaped([]int{1, 1}, []float32{1}...)),
	}, opCase{
		name: "float16", in: tensors(typed(tensor.Float16, 1, 3), typed(tensor.Float16, 1)),
		out: tensors(typed(tensor.Float16, -1, 1), vec[float32](2)),
	})
	register(RMSNormalization{Axis: -1, StashType: 1}, opCase{
		in: tensors(vec[float64](1, 7), vec[float64](1, 2)), out: tensors(vec(0.2, 2.8)), tol: 1e-15,
	})
	register(MeanVarianceNormalization{Axes: []int{0, 2, 3}}, opCase{
		in: tensors(shaped([]int{1, 2, 1, 2}, []float32{1, 3, 10, 30}...)), out: tensors(shaped([]int{1, 2, 1, 2}, []float32{-1, 1, -1, 1}...)),
	})
	register(LRN{Alpha: 3, Beta: 1, Bias: 1, Size: 3}, opCase{
		in: tensors(shaped([]int{1, 3, 1}, []float64{1, 2, 3}...)), out: tensors(shaped([]int{1, 3, 1}, []float64{1. / 6, 2. / 15, 3. / 14}...)),
		tol: 1e-15,
	})
	// An even size reaches further back than forth.
	register(LRN{Alpha: 2, Beta: 1, Bias: 1, Size: 2}, opCase{
		in: tensors(shaped([]int{1, 2, 1}, []float64{1, 2}...)), out: tensors(shaped([]int{1, 2, 1}, []float64{1. / 6, 2. / 5}...)), tol: 1e-15,
	})
	register(LpNormalization{Axis: 0, P: 2}, opCase{
		in:  tensors(shaped([]int{2, 2}, []float64{3, 0, 4, 0}...)),
		out: tensors(shaped([]int{2, 2}, []float64{0.6, 0, 0.8, 0}...)),
	})
	register(LpNormalization{Axis: -1, P: 1}, opCase{in: tensors(vec(3., -5)), out: tensors(vec(0.375, -0.625))})
}
