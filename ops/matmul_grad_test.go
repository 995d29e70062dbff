package ops

import "fmt"

func init() {
	for _, s := range [][2][]int{
		{{2, 3}, {3, 4}},
		{{3}, {3}},
		{{3}, {3, 4}},
		{{2, 3}, {3}},
		{{5, 2, 3}, {3, 4}},
		{{5, 2, 3}, {3}},
		{{5, 2, 3}, {5, 3, 4}},
		{{2, 3}, {5, 3, 4}},
		{{3}, {5, 3, 4}},
		{{2, 1, 2, 3}, {1, 3, 3, 4}},
		{{2, 1, 2, 3}, {3, 3, 2}},
	} {
		gradCases(MatMul{}, gradCase{name: fmt.Sprint(s), in: tensors(spread(1, s[0]...), spread(2, s[1]...))})
	}
	for _, g := range []Gemm{
		{Alpha: 1, Beta: 1}, {Alpha: 0.5, Beta: 2, TransA: true}, {Alpha: 0.5, Beta: -1, TransB: true}, {Alpha: 2, TransA: true, TransB: true},
	} {
		a, b := []int{2, 3}, []int{3, 4}
		if g.TransA {
			a = []int{3, 2}
		}
		if g.TransB {
			b = []int{4, 3}
		}
		gradCases(g, gradCase{name: "none", in: tensors(spread(1, a...), spread(2, b...))})
		for _, c := range [][]int{{}, {1}, {4}, {2, 1}, {1, 4}, {2, 4}} {
			gradCases(g, gradCase{name: fmt.Sprint(c), in: tensors(spread(1, a...), spread(2, b...), spread(3, c...))})
		}
	}
	for i := range 16 {
		m := FusedMatMul{Alpha: 0.5, TransA: i&1 != 0, TransB: i&2 != 0, TransBatchA: i&4 != 0, TransBatchB: i&8 != 0}
		side := func(rows, cols int, trans, transBatch bool) []int {
			p := order(3, trans, transBatch)
			return rearranged([]int{2, rows, cols}, inverse(p))
		}
		gradCases(m, gradCase{name: fmt.Sprint(i), in: tensors(
			spread(1, side(3, 4, m.TransA, m.TransBatchA)...), spread(2, side(4, 5, m.TransB, m.TransBatchB)...))})
	}
}
