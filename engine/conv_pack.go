package engine

import (
	"fmt"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// lowerConv packs a convolution with constant weights over one or two spatial dimensions.
func lowerConv(l *lowering, n *graph.Node) bool {
	if len(n.In) > 1 && !n.In[1].IsConst() {
		return lowerSweep(l, n)
	}
	h, ok := n.Op.(head)
	if !ok || !spatial(n.In[0]) {
		return false
	}
	w := n.In[1].Const
	c, bias := h.Op.(ops.Conv), n.In[2]
	if len(w.Shape) != n.In[0].Rank() || bias != nil && !bias.IsConst() {
		return false
	}
	f, err := newFilters(l.p.set, w.Shape, c.Group, false)
	if err != nil {
		return false
	}
	op := conv{Conv: c, epilogue: epilogue{lo: h.lo, hi: h.hi, res: h.res}, filters: f}
	data := l.floats(w)
	if !op.packSparse(l, n, data) {
		op.setClasses(c.Strides, c.Dilations, last(n.Out[0].Shape))
		op.packed = l.packFilters(&op.filters, data)
	}
	if bias != nil {
		op.bias = slices.Repeat(tensor.Floats(bias.Const), op.join)
	}
	in := []*graph.Value{l.lastOf(n.In[0])}
	if h.res {
		in = append(in, l.lastOf(n.In[len(n.In)-1]))
	}
	l.set(l.last, n, l.emit(n, op, in))
	return true
}

// packFilters gives the packed weights of a sweep.
func (l *lowering) packFilters(f *filters, w []float32) []float32 {
	kind := fmt.Sprint("filters ", f.shape, f.transposed, f.group, f.ys, f.xs, f.join, f.step)
	return share(l, kind, bytesOf(w), func() ([]float32, int) {
		packed := f32(tensor.Aligned(4 * f.offset(len(f.ys), 0)))
		f.pack(&exec{p: l.p, scratch: &l.packing}, packed, w)
		return packed, 4 * len(packed)
	})
}
