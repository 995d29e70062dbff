package engine

import (
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
	if len(w.Shape) != n.In[0].Rank() || bias != nil && !bias.IsConst() || c.Group < 1 || w.Shape[0]%c.Group != 0 {
		return false
	}
	op := conv{Conv: c, epilogue: epilogue{lo: h.lo, hi: h.hi, res: h.res}, wshape: w.Shape}
	if bias != nil {
		op.bias = append([]float32(nil), tensor.Floats(bias.Const)...)
	}
	op.depth = c.Group > 1 && c.Group == w.Shape[0] && w.Shape[1] == 1
	if data := l.floats(w); !op.packSparse(l, n, data) {
		op.pack(l, data)
	}
	l.p.packed += 4 * len(op.packed)
	in := []*graph.Value{l.lastOf(n.In[0])}
	if h.res {
		in = append(in, l.lastOf(n.In[len(n.In)-1]))
	}
	l.set(l.last, n, l.emit(n, op, in))
	return true
}

// pack lays out weights M, C/group, kernel for the kernels: taps outermost, then channels.
func (c *conv) pack(l *lowering, w []float32) {
	set := l.p.set
	m, cg, taps := c.wshape[0], c.wshape[1], tensor.Size(c.wshape[2:])
	if c.depth {
		c.packed = f32(tensor.Aligned(4 * m * taps))
		for i := range m {
			for t := range taps {
				c.packed[t*m+i] = w[i*taps+t]
			}
		}
		return
	}
	k, mg := cg*taps, m/c.Group
	c.per = set.PackedF32(k, mg)
	c.packed = f32(tensor.Aligned(4 * c.per * c.Group))
	rows := l.temp(k * mg) // K×N of one group
	for g := range c.Group {
		if taps == 1 {
			set.PackF32(c.packed[g*c.per:(g+1)*c.per], w[g*mg*k:], k, mg, 1, k)
			continue
		}
		c.tapsFirst(rows, w[g*mg*k:(g+1)*mg*k])
		set.PackF32(c.packed[g*c.per:(g+1)*c.per], rows, k, mg, mg, 1)
	}
}

// tapsFirst turns one group's weights, output, channel, kernel, into the matrix K×N with the taps before the channels.
func (c *conv) tapsFirst(dst, w []float32) {
	mg, cg, taps := c.wshape[0]/c.Group, c.wshape[1], tensor.Size(c.wshape[2:])
	for i := range mg {
		for ch := range cg {
			for t := range taps {
				dst[(t*cg+ch)*mg+i] = w[(i*cg+ch)*taps+t]
			}
		}
	}
}
