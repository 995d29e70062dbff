package engine

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// scatterAdd is ScatterND with addition on float32: updates are added in their order, several columns a task.
type scatterAdd struct{ ops.ScatterND }

func (s scatterAdd) source() graph.Op { return s.ScatterND }

// scatterColumns is how many columns of an update one task adds.
const scatterColumns = 64

func (s scatterAdd) exec(x *exec, in, out []*tensor.Tensor) error {
	data, index, updates := in[0], in[1], in[2]
	last := len(index.Shape) - 1
	if data.DType != tensor.Float32 || index.DType != tensor.Int64 || last < 0 || index.Shape[last] > len(data.Shape) {
		return x.kernel(s.ScatterND, in, out)
	}
	k := index.Shape[last]
	run := tensor.Size(data.Shape[k:])
	at, err := slicesAt(data.Shape[:k], index, run)
	if err != nil {
		return err
	}
	u := tensor.View[float32](updates)
	if len(u) != len(at)*run {
		return fmt.Errorf("updates of shape %v where %d elements are needed", updates.Shape, len(at)*run)
	}
	y := x.Make(out[0], tensor.Float32, data.Shape...)
	copy(y.Data, data.Data)
	dst := tensor.View[float32](y)
	x.p.pool.run(x.scratch, (run+scatterColumns-1)/scatterColumns, func(_ *scratch, t int) {
		a, b := t*scatterColumns, min((t+1)*scatterColumns, run)
		for i, off := range at {
			d := dst[off+a : off+b]
			x.p.set.Add(d, d, u[i*run+a:i*run+b])
		}
	})
	return nil
}

// slicesAt gives the element where the slice of each index tuple begins; dims are those that the tuples index.
func slicesAt(dims []int, index *tensor.Tensor, run int) ([]int, error) {
	k, v := len(dims), tensor.View[int64](index)
	at := make([]int, tensor.Size(index.Shape[:len(index.Shape)-1]))
	for i := range at {
		for j, n := range dims {
			p := v[i*k+j]
			if p < 0 {
				p += int64(n)
			}
			if p < 0 || p >= int64(n) {
				return nil, fmt.Errorf("index %d is outside of a dimension of %d", v[i*k+j], n)
			}
			at[i] = at[i]*n + int(p)
		}
		at[i] *= run
	}
	return at, nil
}

func lowerScatter(l *lowering, n *graph.Node) bool {
	op, ok := n.Op.(ops.ScatterND)
	if !ok || op.Reduction != "add" || !isFloat(n.In[0]) {
		return false
	}
	l.keep(n, scatterAdd{op})
	return true
}

// gatherRows is Gather of elements of whole bytes.
type gatherRows struct{ ops.Gather }

func (g gatherRows) source() graph.Op { return g.Gather }

func (g gatherRows) exec(x *exec, in, out []*tensor.Tensor) error {
	data, index := in[0], in[1]
	axis, size := g.Axis, data.DType.Bits()/8
	if axis < 0 {
		axis += len(data.Shape)
	}
	if index.DType != tensor.Int64 || axis < 0 || axis >= len(data.Shape) {
		return x.kernel(g.Gather, in, out)
	}
	run := tensor.Size(data.Shape[axis+1:]) * size
	n := data.Shape[axis]
	flat := &tensor.Tensor{DType: index.DType, Shape: append(append([]int{}, index.Shape...), 1), Data: index.Data}
	at, err := slicesAt([]int{n}, flat, run)
	if err != nil {
		return err
	}
	shape := append(append(append([]int{}, data.Shape[:axis]...), index.Shape...), data.Shape[axis+1:]...)
	y := x.Make(out[0], data.DType, shape...)
	for o := range tensor.Size(data.Shape[:axis]) {
		src, dst := data.Data[o*n*run:], y.Data[o*len(at)*run:]
		for i, off := range at {
			copy(dst[i*run:(i+1)*run], src[off:off+run])
		}
	}
	return nil
}

func lowerGather(l *lowering, n *graph.Node) bool {
	op, ok := n.Op.(ops.Gather)
	if !ok || !isFloat(n.In[0]) {
		return false
	}
	l.keep(n, gatherRows{op})
	return true
}
