package doctor

import (
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// slot is an input of a node.
type slot struct {
	n *graph.Node
	i int
}

func (s slot) value() *graph.Value {
	if s.n == nil || s.i >= len(s.n.In) {
		return nil
	}
	return s.n.In[s.i]
}

// constant is the tensor of a constant input, else nil.
func (s slot) constant() *tensor.Tensor {
	if v := s.value(); v.IsConst() {
		return v.Const
	}
	return nil
}

// product is a layer whose weights are a constant of 8-bit integers, and where its parts are. A slot without a node is none.
type product struct {
	n                            *graph.Node
	p                            ops.Products
	weight, scale, zero          slot
	xScale, xZero                slot
	bias, biasScale              slot
	floatBias                    bool
	dequantizer, biasDequantizer *graph.Node
}

// products finds the layers of a graph.
func products(g *graph.Graph) []*product {
	var out []*product
	for _, n := range g.Nodes {
		m, ok := n.Op.(ops.Multiplier)
		if !ok {
			continue
		}
		p := m.Products(nil)
		if len(n.In) <= max(p.X, p.Weight) || n.In[p.Weight] == nil {
			continue
		}
		l := &product{n: n}
		if q := dequantizer(n.In[p.Weight]); q != nil {
			l.dequantized(q, p)
		} else {
			l.integer(p)
		}
		w := l.weight.constant()
		if w == nil || w.DType != tensor.Int8 && w.DType != tensor.Uint8 {
			continue
		}
		if l.p = m.Products(w.Shape); l.p.Rows > 0 {
			out = append(out, l)
		}
	}
	return out
}

// dequantizer is the DequantizeLinear, of whole tensors or axes, that makes v; nil if none does.
func dequantizer(v *graph.Value) *graph.Node {
	if v == nil || v.Def == nil {
		return nil
	}
	if q, ok := v.Def.Op.(ops.DequantizeLinear); ok && q.BlockSize == 0 {
		return v.Def
	}
	return nil
}

func (l *product) dequantized(q *graph.Node, p ops.Products) {
	l.dequantizer = q
	l.weight, l.scale, l.zero = slot{q, 0}, slot{q, 1}, slot{q, 2}
	if x := dequantizer(l.n.In[p.X]); x != nil {
		l.xScale, l.xZero = slot{x, 1}, slot{x, 2}
	}
	quant, ok := l.n.Op.(graph.Quantizable)
	if !ok {
		return
	}
	at := slot{l.n, quant.Quant().Bias}
	if at.i == 0 || at.value() == nil {
		return
	}
	if b := dequantizer(at.value()); b != nil {
		l.biasDequantizer = b
		l.bias, l.biasScale = slot{b, 0}, slot{b, 1}
	} else if c := at.constant(); c != nil && c.DType == tensor.Float32 {
		l.bias, l.floatBias = at, true
	}
}

// integer finds the parts of an integer operator.
func (l *product) integer(p ops.Products) {
	l.weight = slot{l.n, p.Weight}
	switch l.n.Op.(type) {
	case ops.QLinearConv:
		l.qlinear(8)
	case ops.QGemm:
		l.qlinear(6)
	case ops.QLinearMatMul:
		l.qlinear(0)
	case ops.MatMulIntegerToFloat:
		l.zero = slot{l.n, 5}
	default:
		l.zero = slot{l.n, 3}
	}
}

// qlinear: x, its scale and zero point, w, its scale and zero point; 0 is no bias.
func (l *product) qlinear(bias int) {
	l.xScale, l.xZero, l.scale, l.zero = slot{l.n, 1}, slot{l.n, 2}, slot{l.n, 4}, slot{l.n, 5}
	if bias > 0 && (slot{l.n, bias}).value() != nil {
		l.bias = slot{l.n, bias}
	}
}

// at is a row's k-th weight less its zero point's row.
func (l *product) at(w *tensor.Tensor, row, k int) int {
	if w.DType == tensor.Int8 {
		return int(int8(w.Data[l.p.At(row, k)]))
	}
	return int(w.Data[l.p.At(row, k)])
}

// zeroOf is the zero point of a row.
func (l *product) zeroOf(row int) int {
	z := l.zero.constant()
	if z == nil || z.Len() == 0 {
		return 0
	}
	return int(tensor.Ints(z)[row%z.Len()])
}

// sumScale is the scale of a row's sums: float32(x·w); 0 if it is not known.
func (l *product) sumScale(row int) float32 {
	x, w := l.xScale.constant(), l.scale.constant()
	if x == nil || w == nil || x.Len() != 1 || w.Len() != 1 && w.Len() != l.p.Rows {
		return 0
	}
	return tensor.Floats(x)[0] * tensor.Floats(w)[row%w.Len()]
}
