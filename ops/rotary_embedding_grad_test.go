package ops

func init() {
	cos, sin := small(2, 2, 3, 2), small(3, 2, 3, 2)
	for _, interleaved := range []bool{false, true} {
		o := RotaryEmbedding{Interleaved: interleaved}
		gradCases(o, gradCase{in: tensors(small(1, 2, 2, 3, 4), cos, sin), fixed: []int{1, 2}})
		o.NumHeads, o.RotaryEmbeddingDim = 2, 2
		gradCases(o, gradCase{
			name: "rank 3, positions, partial", fixed: []int{1, 2},
			in: tensors(small(1, 1, 3, 8), small(2, 5, 1), small(3, 5, 1), shaped([]int{1, 3}, []int64{4, 0, 2}...)),
		})
	}
}
