package engine

import (
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// spreadSpec says how spread broadcasts: from broadcasts to `to`, elements have size bytes.
type spreadSpec struct {
	to, from []int
	size     int
}

// spread repeats src until it fills dst.
func spread(dst, src []byte, s spreadSpec) {
	from := make([]int, len(s.to))
	for i := range from {
		from[i] = dimFromEnd(s.from, len(s.to)-1-i)
	}
	run, r := s.size, len(s.to)
	for r > 0 && from[r-1] == s.to[r-1] {
		r--
		run *= s.to[r]
	}
	spreadInto(dst, src, s.to[:r], from[:r], run)
}

// spreadInto fills dst with runs of src and gives what of src it read.
func spreadInto(dst, src []byte, to, from []int, run int) int {
	if len(dst) == 0 {
		return 0
	}
	if len(to) == 0 {
		return copy(dst[:run], src)
	}
	part := len(dst) / to[0]
	if from[0] == to[0] {
		read := 0
		for i := range to[0] {
			read += spreadInto(dst[i*part:(i+1)*part], src[read:], to[1:], from[1:], run)
		}
		return read
	}
	read := spreadInto(dst[:part], src, to[1:], from[1:], run)
	for n := part; n < len(dst); n *= 2 {
		copy(dst[n:], dst[:n])
	}
	return read
}

// expand is Expand to a constant shape, which is that of the layout it runs in.
type expand struct {
	graph.Op
	shape []int
}

func (e expand) source() graph.Op { return e.Op }

// Infer broadcasts.
func (e expand) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	shape := graph.FactOf(tensor.From(int64s(e.shape), len(e.shape)))
	return ops.Expand{}.Infer([]graph.Fact{in[0], shape}, 1)
}

func int64s(v []int) []int64 {
	out := make([]int64, len(v))
	for i, n := range v {
		out[i] = int64(n)
	}
	return out
}

func (e expand) exec(x *exec, in, out []*tensor.Tensor) error {
	size := in[0].DType.Bits() / 8
	shape, err := broadcast(in[0].Shape, e.shape)
	if err != nil {
		return err
	}
	y := x.Make(out[0], in[0].DType, shape...)
	if len(shape) == 0 || len(in[0].Shape) < len(shape) || in[0].Shape[0] != shape[0] || shape[0] == 1 {
		spread(y.Data, in[0].Data, spreadSpec{to: shape, from: in[0].Shape, size: size})
		return nil
	}
	d, s := len(y.Data)/max(1, shape[0]), len(in[0].Data)/max(1, shape[0])
	part := spreadSpec{to: shape[1:], from: in[0].Shape[1:], size: size}
	x.p.pool.run(x.scratch, shape[0], func(_ *scratch, i int) {
		spread(y.Data[i*d:(i+1)*d], in[0].Data[i*s:(i+1)*s], part)
	})
	return nil
}

// lowerExpand takes a constant shape.
func lowerExpand(l *lowering, n *graph.Node) bool {
	v := n.In[0]
	bits := v.DType.Bits()
	if v.Unranked || v.DType.IsInt() || bits == 0 || bits%8 != 0 || v.DType == tensor.String {
		return false
	}
	shape, ok := n.In[1].ConstInts()
	if !ok {
		return false
	}
	l.set(l.plain, n, l.emit(n, expand{Op: n.Op, shape: shape}, []*graph.Value{l.plainOf(v)}))
	return true
}
