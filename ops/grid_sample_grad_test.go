package ops

import "github.com/tfsopt/tfsopt/graph"

func init() {
	line := of3(1, 1, 3, 1, 3, 9)
	// At 1.25 and 2.75, the second half outside.
	grid := shaped([]int{1, 2, 1}, float32(1.25+.5)*2/3-1, float32(2.5+.5)*2/3-1)
	register(mustOp("tfsopt", "GridSampleGrad"), opCase{
		in: tensors(of3(1, 1, 2, 10, 100), line, grid), tol: 1e-6,
		out: tensors(of3(1, 1, 3, 0, 7.5, 2.5+50), shaped([]int{1, 2, 1}, float32(10*6*1.5), -100*9*1.5)),
	})
	x, at := small(1, 2, 2, 4, 3), within(2, -1.6, 1.7, 2, 3, 2, 2)
	for _, mode := range []string{"linear", "nearest", "cubic"} {
		for _, padding := range []string{"zeros", "border", "reflection"} {
			for _, corners := range []bool{false, true} {
				var op graph.Op = GridSample{AlignCorners: corners, Mode: mode, PaddingMode: padding}
				gradCases(op, gradCase{name: mode + " " + padding, in: tensors(x, at)},
					gradCase{name: mode + " " + padding + ", volume", in: tensors(small(1, 1, 2, 2, 3, 2), within(2, -1.6, 1.7, 1, 2, 2, 1, 3))})
			}
		}
	}
}
