package ops

func init() {
	// x̂ is -1, 1 with σ = 2 in the first channel, 1, -1 with σ = 1 in the second.
	x := shaped([]int{2, 2, 1}, []float64{1, 6, 5, 4}...)
	register(BatchNormalizationGrad{}, opCase{
		in:  tensors(shaped([]int{2, 2, 1}, []float64{3, 1, 7, 4}...), x, vec(10., 3)),
		out: tensors(shaped([]int{2, 2, 1}, []float64{0, 0, 0, 0}...), vec(4., -3), vec(10., 5)),
	})
	// Four elements: mean 0, σ = 5, x̂ = -7/5, -1/5, 1/5, 7/5; dx = 10/5·(dy - 1/4 - x̂·(-7/5)/4).
	register(BatchNormalizationGrad{}, opCase{
		name: "spatial", tol: 1e-14,
		in:  tensors(shaped([]int{1, 1, 4}, []float64{1, 0, 0, 0}...), shaped([]int{1, 1, 4}, []float64{-7, -1, 1, 7}...), vec(10.)),
		out: tensors(shaped([]int{1, 1, 4}, []float64{2 * (1 - .25 - .49), 2 * (-.25 - .07), 2 * (-.25 + .07), 2 * (-.25 + .49)}...), vec(-1.4), vec(1.)),
	})
}
