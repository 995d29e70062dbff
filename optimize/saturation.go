package optimize

import (
	"context"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// Saturation counts the neighbouring products of a graph that a CPU without VNNI adds in saturating int16, and those of
// them whose sum some activations would push out of int16. Unsafe is 0 if every such CPU gives the exact sums.
type Saturation struct {
	Pairs  int               `json:"pairs"`
	Unsafe int               `json:"unsafe"`
	Layers []SaturatingLayer `json:"layers"` // those with pairs, in the graph's order, bodies after what stands before them
}

// SaturatingLayer is one product of uint8 activations and int8 weights.
type SaturatingLayer struct {
	Node   *graph.Node  `json:"-"`
	Input  *graph.Value `json:"-"` // the uint8 activations; nil if they are no value of the graph
	Name   string       `json:"name"`
	Op     string       `json:"op"`
	Pairs  int          `json:"pairs"`
	Unsafe int          `json:"unsafe"`
	Worst  Pair         `json:"worst"`

	products ops.Products
	weight   *tensor.Tensor // int8; nil if it is no constant, and every pair is unsafe then
	zero     byte           // what pads the activations
}

// Pair is one pair of neighbours: the products K and K+1 of a row (an output channel, a column of a matrix).
type Pair struct {
	Row     int    `json:"row"`
	K       int    `json:"k"`
	Weights [2]int `json:"weights"`
	Sum     int    `json:"sum"` // the sum farthest from zero that activations of 0 to 255 can make
}

// pairOf finds the sum farthest from zero: 255 times the positive weights, or times the negative ones.
func pairOf(row, k int, a, b int8) Pair {
	x, y := int(a), int(b)
	up, down := 255*(max(x, 0)+max(y, 0)), 255*(min(x, 0)+min(y, 0))
	p := Pair{Row: row, K: k, Weights: [2]int{x, y}, Sum: up}
	if -down > up {
		p.Sum = down
	}
	return p
}

// SafePair reports whether no uint8 activations push the sum of a pair's products out of int16: its positive weights add up
// to at most 128 and its negative ones to at least -128.
func SafePair(a, b int8) bool {
	s := pairOf(0, 0, a, b).Sum
	return s >= -1<<15 && s < 1<<15
}

// CheckSaturation looks at every product of uint8 activations and int8 weights in a QDQ graph or one of integer operators,
// bodies too. Other combinations are exact in ONNX Runtime 1.31: int8 activations, uint8 weights, and operators whose
// ops.Products say so. A float operator between DequantizeLinears counts whether or not a runtime will fuse it.
func CheckSaturation(g *graph.Graph) Saturation {
	var s Saturation
	s.add(g, nil)
	return s
}

func (s *Saturation) add(g *graph.Graph, captured map[*graph.Value]*graph.Value) {
	c := certifier{captured}
	for _, n := range g.Nodes {
		if l, ok := c.layer(n); ok {
			s.Pairs += l.Pairs
			s.Unsafe += l.Unsafe
			s.Layers = append(s.Layers, l)
		}
		for _, b := range graph.Bodies(n.Op) {
			inner := map[*graph.Value]*graph.Value{}
			for i := 1; i <= min(b.Captures, len(n.In), len(b.Inputs)); i++ {
				inner[b.Inputs[len(b.Inputs)-i]] = c.outer(n.In[len(n.In)-i])
			}
			s.add(b, inner)
		}
	}
}

// certifier examines the nodes of one graph; captured leads from a body's inputs to values around it.
type certifier struct {
	captured map[*graph.Value]*graph.Value
}

func (c certifier) outer(v *graph.Value) *graph.Value {
	if o := c.captured[v]; o != nil {
		return o
	}
	return v
}

func (c certifier) layer(n *graph.Node) (SaturatingLayer, bool) {
	l := SaturatingLayer{Node: n, Name: n.Name, Op: n.OpName()}
	m, ok := n.Op.(ops.Multiplier)
	if !ok {
		return l, false
	}
	p := m.Products(nil)
	if len(n.In) <= max(p.X, p.Weight) || n.In[p.X] == nil || n.In[p.Weight] == nil {
		return l, false
	}
	x, straight := c.integers(n.In[p.X])
	w, _ := c.integers(n.In[p.Weight])
	if w == nil || w.DType != tensor.Int8 || !p.Dynamic && (x == nil || x.DType != tensor.Uint8) {
		return l, false
	}
	if straight && x != nil {
		l.Input, l.zero = x, c.zeroPoint(n, p.X)
	}
	shape, known := n.In[p.Weight].Fixed()
	if l.weight = c.constant(n.In[p.Weight]); l.weight != nil {
		shape, known = l.weight.Shape, true
	}
	if !known {
		return l, false
	}
	l.products = m.Products(shape)
	l.count()
	return l, l.Pairs > 0
}

func (l *SaturatingLayer) count() {
	p := l.products
	if p.Wide || p.K < 2 {
		return
	}
	l.Pairs = p.Rows * (p.K / 2)
	if l.weight == nil {
		l.Unsafe, l.Worst = l.Pairs, pairOf(0, 0, -128, -128)
		return
	}
	w := tensor.View[int8](l.weight)
	for row := range p.Rows {
		for k := 0; k+1 < p.K; k += 2 {
			a, b := w[p.At(row, k)], w[p.At(row, k+1)]
			pair := pairOf(row, k, a, b)
			if abs(pair.Sum) > abs(l.Worst.Sum) {
				l.Worst = pair
			}
			if !SafePair(a, b) {
				l.Unsafe++
			}
		}
	}
}

func abs(x int) int { return max(x, -x) }

// integers follows an operand back to the 8-bit integers that it stands for, through DequantizeLinear and what only moves
// data; nil if it stands for none. straight: nothing moved.
func (c certifier) integers(v *graph.Value) (ints *graph.Value, straight bool) {
	straight = true
	for v = c.outer(v); v != nil; v = c.outer(v) {
		if v.DType == tensor.Uint8 || v.DType == tensor.Int8 {
			return v, straight
		}
		if v.Def == nil {
			return nil, false
		}
		if q, ok := v.Def.Op.(ops.DequantizeLinear); ok {
			if q.BlockSize != 0 {
				return nil, false
			}
			v = v.Def.In[0]
			continue
		}
		if !moves(v.Def) {
			return nil, false
		}
		v, straight = v.Def.In[0], false
	}
	return nil, false
}

// zeroPoint is that of a node's uint8 activations, 0 if it is not known.
func (c certifier) zeroPoint(n *graph.Node, x int) byte {
	var z *graph.Value
	_, mm := n.Op.(ops.MatMulIntegerToFloat)
	switch v := c.outer(n.In[x]); {
	case v.DType != tensor.Uint8 && v.Def != nil && len(v.Def.In) > 2: // DequantizeLinear
		z = v.Def.In[2]
	case !mm && v.DType == tensor.Uint8 && len(n.In) > x+2:
		z = n.In[x+2] // of the QLinear operators and the integer ones
	}
	if z = c.outer(z); z.IsConst() && z.DType == tensor.Uint8 && z.Const.Len() == 1 {
		return z.Const.Data[0]
	}
	return 0
}

// constant computes the integers that a weight stands for, laid out as the operator reads them; nil if they depend on
// inputs.
func (c certifier) constant(v *graph.Value) *tensor.Tensor {
	v = c.outer(v)
	if v == nil {
		return nil
	}
	if v.IsConst() {
		return v.Const
	}
	if v.Def == nil || len(graph.Bodies(v.Def.Op)) > 0 || len(v.Def.In) == 0 {
		return nil
	}
	if _, ok := v.Def.Op.(ops.DequantizeLinear); ok {
		return c.constant(v.Def.In[0])
	}
	in := make([]*tensor.Tensor, len(v.Def.In))
	for i, u := range v.Def.In {
		if in[i] = c.constant(u); in[i] == nil && u != nil {
			return nil
		}
	}
	out := make([]*tensor.Tensor, len(v.Def.Out))
	for i := range out {
		out[i] = &tensor.Tensor{}
	}
	if err := graph.RunKernel(&graph.Exec{Ctx: context.Background()}, v.Def.Op, in, out); err != nil {
		return nil
	}
	for i, o := range v.Def.Out {
		if o == v {
			return out[i]
		}
	}
	return nil
}
