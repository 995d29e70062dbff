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

// Run computes the reference result.
func (o GRU) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	s, err := o.start(in, 3)
	if err != nil {
		return err
	}
	n := s.hidden
	rh, gated := make([]float64, 3*n), make([]float64, n)
	s.run(func(d int, xw, h, _ []float64) {
		r, bias := s.r[d*3*n*n:], s.recurrentBias(d)
		matVec(rh[:2*n], r, h, bias)
		for i := range 2 * n {
			rh[i] = s.act(d, 0, xw[i]+rh[i])
		}
		z, reset, hh := rh[:n], rh[n:2*n], rh[2*n:]
		if o.LinearBeforeReset {
			matVec(hh, r[2*n*n:], h, bias[2*n:])
			for i := range hh {
				hh[i] *= reset[i]
			}
		} else {
			for i := range gated {
				gated[i] = reset[i] * h[i]
			}
			matVec(hh, r[2*n*n:], gated, bias[2*n:])
		}
		for i := range h {
			h[i] = (1-z[i])*s.act(d, 1, xw[2*n+i]+hh[i]) + z[i]*h[i]
		}
	})
	return s.finish(x, out)
}
