package ops

import (
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 14, GRU{}) }

// GRU is the one-layer gated recurrent unit of ONNX (Cho et al., arXiv 1406.1078), gates in the order z, r, h:
//
//	zt = f(Xt·Wzᵀ + Ht-1·Rzᵀ + Wbz + Rbz), rt likewise
//	ht = g(Xt·Whᵀ + (rt ⊙ Ht-1)·Rhᵀ + Rbh + Wbh), or with LinearBeforeReset g(Xt·Whᵀ + rt ⊙ (Ht-1·Rhᵀ + Rbh) + Wbh)
//	Ht = (1 - zt) ⊙ ht + zt ⊙ Ht-1
//
// Inputs are X, W [dirs, 3·hidden, input], R [dirs, 3·hidden, hidden], B [dirs, 6·hidden], sequence_lens [batch] and
// initial_h; outputs are Y and Y_h.
type GRU struct {
	recurrent
	LinearBeforeReset bool `attr:"linear_before_reset" default:"0"`
}

// Infer gives the types of Y and Y_h.
func (o GRU) Infer(in []graph.Fact, _ int) ([]graph.Type, error) { return o.infer(in, 6, 3, 1) }

// Cost counts the products with W and R.
func (o GRU) Cost(in, _ []graph.Type) graph.Cost { return o.cost(in, 3) }

func (o GRU) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	s, err := o.start(in, 3)
	if err != nil {
		return err
	}
	g := gruCell{s, o.LinearBeforeReset}
	step := g.newStep()
	s.run(func(d int, xw, h, _ []float64) { g.forward(d, xw, step, h) })
	return s.finish(x, out)
}

// gruCell is one call of GRU.
type gruCell struct {
	*recurrence
	linear bool // LinearBeforeReset
}

// gruStep is what a step leaves: the state before it, gates in front of and after their activations, in the order
// z, r, h, the state that the product with Rh takes and what that product with its bias is.
type gruStep struct{ h, pre, gate, gated, product []float64 }

func (g gruCell) newStep() *gruStep {
	v, n := make([]float64, 9*g.hidden), g.hidden
	return &gruStep{v[:n], v[n : 4*n], v[4*n : 7*n], v[7*n : 8*n], v[8*n:]}
}

// forward makes a step from the state h, which it changes.
func (g gruCell) forward(d int, xw []float64, s *gruStep, h []float64) {
	n := g.hidden
	r, bias := g.r[d*3*n*n:], g.recurrentBias(d)
	copy(s.h, h)
	matVec(s.pre[:2*n], r, h, bias)
	for i := range 2 * n {
		s.pre[i] += xw[i]
		s.gate[i] = g.act(d, 0, s.pre[i])
	}
	z, reset, cand := s.gate[:n], s.gate[n:2*n], s.gate[2*n:]
	copy(s.gated, h)
	if !g.linear {
		for i := range s.gated {
			s.gated[i] *= reset[i]
		}
	}
	matVec(s.product, r[2*n*n:], s.gated, bias[2*n:])
	for i, v := range s.product {
		if g.linear {
			v *= reset[i]
		}
		s.pre[2*n+i] = xw[2*n+i] + v
		cand[i] = g.act(d, 1, s.pre[2*n+i])
		h[i] = (1-z[i])*cand[i] + z[i]*h[i]
	}
}
