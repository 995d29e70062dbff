package engine

import (
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// fixScales fills the fixed-point factors of an operator that asks for them, one a column.
func (q *qlinear) fixScales(op graph.Op, w, ws *graph.Value) {
	if ops.RequantOf(op) != ops.RequantFixed {
		return
	}
	s := tensor.Floats(ws.Const)
	q.fixed = make([]ops.FixedScale, len(q.scale))
	for i := range q.fixed {
		q.fixed[i] = ops.ProductScale(q.x.scale, s[i%len(s)], q.y.scale, w.DType)
	}
}

// fix turns rows of sums, one for each factor, into bytes.
func (q *qlinear) fix(x *exec, dst []byte, sums []int32) {
	lo, hi := q.y.limits()
	rows(x, len(sums), len(q.fixed), func(a, b int) {
		for i, f := range q.fixed {
			dst[a+i] = byte(min(max(f.Apply(sums[a+i])+q.y.zero, lo), hi))
		}
	})
}
