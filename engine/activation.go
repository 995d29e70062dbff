package engine

import (
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/kernels"
	"github.com/tfsopt/tfsopt/ops"
)

// vectorFunc is a function of float32 vectors of one length; dst is not x.
type vectorFunc func(s *kernels.Set, dst, x []float32)

// activation gives the vector function of an operator with attributes, or of several steps; nil if there is none.
func activation(op graph.Op) vectorFunc {
	switch o := op.(type) {
	case ops.LeakyRelu:
		return func(_ *kernels.Set, d, x []float32) {
			each(d, x, func(v float32) float32 {
				if v < 0 {
					return v * o.Alpha
				}
				return v
			})
		}
	case ops.ThresholdedRelu:
		return func(_ *kernels.Set, d, x []float32) {
			each(d, x, func(v float32) float32 {
				if v > o.Alpha {
					return v
				}
				return 0
			})
		}
	case ops.HardSigmoid:
		return func(s *kernels.Set, d, x []float32) {
			s.MulAddS(d, x, o.Alpha, o.Beta)
			s.Clamp(d, d, 0, 1)
		}
	case ops.Elu:
		return exponential(1, o.Alpha, 1)
	case ops.Selu:
		return exponential(o.Gamma, float32(o.Gamma*o.Alpha), 1)
	case ops.Celu:
		return exponential(1, o.Alpha, o.Alpha)
	case ops.Swish:
		return func(s *kernels.Set, d, x []float32) {
			s.MulS(d, x, o.Alpha)
			s.Sigmoid(d, d)
			s.Mul(d, d, x)
		}
	case ops.Softplus:
		return softplus
	case ops.Mish:
		return func(s *kernels.Set, d, x []float32) {
			softplus(s, d, x)
			s.Tanh(d, d)
			s.Mul(d, d, x)
		}
	}
	return nil
}

// exponential is up·x, below zero low·(exp(x/width)-1).
func exponential(up, low, width float32) vectorFunc {
	return func(s *kernels.Set, d, x []float32) {
		s.DivS(d, x, width)
		s.Exp(d, d)
		for i, v := range x {
			if v < 0 {
				d[i] = low * (d[i] - 1)
			} else {
				d[i] = up * v
			}
		}
	}
}

// softplus is max(x,0) + log(1 + exp(-|x|)).
func softplus(s *kernels.Set, d, x []float32) {
	each(d, x, func(v float32) float32 { return -abs32(v) })
	s.Exp(d, d)
	s.AddS(d, d, 1)
	s.Log(d, d)
	for i, v := range x {
		d[i] += max(v, 0)
	}
}

// wrapActivation makes the step of an operator with attributes.
func wrapActivation(op graph.Op) graph.Op {
	if f := activation(op); f != nil {
		return unary{op, f}
	}
	return op
}

// lowerPow makes products and roots of the usual constant exponents.
func lowerPow(l *lowering, n *graph.Node) bool {
	e := n.In[1]
	if !e.IsConst() || e.Const.Len() != 1 || len(e.Const.Shape) > n.In[0].Rank() || !isFloat(n.In[0]) || !isFloat(e) {
		return false
	}
	f := powers[l.floats(e.Const)[0]]
	if f == nil {
		return false
	}
	one := *n
	one.In = n.In[:1]
	return elementwise(func(op graph.Op) graph.Op { return unaryOf{unary{op, f}} })(l, &one)
}

// unaryOf is a unary whose operator has more inputs, which are settled.
type unaryOf struct{ unary }

// Infer gives the type of the input.
func (unaryOf) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	return []graph.Type{in[0].Type}, nil
}

var powers = map[float32]vectorFunc{
	2:    func(s *kernels.Set, d, x []float32) { s.Mul(d, x, x) },
	0.5:  func(s *kernels.Set, d, x []float32) { s.Sqrt(d, x) },
	1:    func(_ *kernels.Set, d, x []float32) { copy(d, x) },
	-1:   func(s *kernels.Set, d, x []float32) { s.RDivS(d, x, 1) },
	-0.5: func(s *kernels.Set, d, x []float32) { s.Sqrt(d, x); s.RDivS(d, d, 1) },
	3:    func(s *kernels.Set, d, x []float32) { s.Mul(d, x, x); s.Mul(d, d, x) },
}

// lowerSum adds the inputs one after another.
func lowerSum(l *lowering, n *graph.Node) bool {
	if len(n.In) < 2 || !isFloat(n.Out[0]) {
		return false
	}
	v := n.In[0]
	for i, w := range n.In[1:] {
		step := &graph.Node{Name: n.Name, Op: ops.Add{}, In: []*graph.Value{v, w}, Out: n.Out}
		if i < len(n.In)-2 {
			v = &graph.Value{Name: n.Out[0].Name, Fact: graph.Fact{Type: partType(n, i+2)}}
			step.Out = []*graph.Value{v}
		}
		if !elementwise(wrapBinary)(l, step) {
			return false
		}
	}
	return true
}

// partType is the type of the sum of n's first inputs.
func partType(n *graph.Node, inputs int) graph.Type {
	facts := make([]graph.Fact, inputs)
	for i := range facts {
		facts[i] = n.In[i].Fact
	}
	t, err := n.Op.Infer(facts, 1)
	if err != nil {
		return graph.AnyRank(n.Out[0].DType)
	}
	return t[0]
}
