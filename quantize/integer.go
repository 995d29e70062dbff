package quantize

import (
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// integerProducts lets matrix products whose results stay float add up integers, as runtimes do that fuse
// DequantizeLinear, MatMul: y = (sx·sw) · Σ (x - zx) w. A program that only watches values then holds no float weights.
func (r *rewriter) integerProducts(layers []*layer) {
	for _, l := range layers {
		n := r.nodes[l.node]
		if n.OpName() != "MatMul" || r.float[l] || l.axis != 1 || l.dtype() != tensor.Int8 || r.p.values[l.node.Out[0]] != nil {
			continue
		}
		x, w := n.In[0].Def, n.In[1].Def
		if !isDequantize(x) || !isDequantize(w) || len(x.In) < 3 || !w.In[0].IsConst() {
			continue
		}
		zero := x.In[2].Const
		if zero == nil || zero.DType != tensor.Uint8 || x.In[1].Const == nil {
			continue
		}
		sx := tensor.Floats(x.In[1].Const)[0]
		steps := make([]float32, l.rows)
		for i := range steps {
			steps[i] = sx * l.scaleOfRow(i)
		}
		sum := r.add(l.node.Name+"_integer", ops.MatMulInteger{}, x.In[0], w.In[0], x.In[2], r.weightZero(l, -1))
		out := r.add(l.node.Name+"_cast", cast(tensor.Float32), sum)
		out = r.add(l.node.Name+"_scaled", ops.Mul{}, out, r.constant(l.node.Name+"_steps", tensor.From(steps, l.rows)))
		made := out.Def
		made.Out[0] = n.Out[0]
		n.Out[0].Def = made
		r.g.Remove(func(m *graph.Node) bool { return m == n })
	}
}

func isDequantize(n *graph.Node) bool {
	if n == nil {
		return false
	}
	_, ok := n.Op.(ops.DequantizeLinear)
	return ok
}
