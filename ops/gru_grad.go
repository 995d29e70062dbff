package ops

import (
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// GRUGrad is the gradient of GRU, whose attributes it has, by backpropagation through time. Inputs are GRU's six and
// the gradients of Y and Y_h, of which one may be omitted; outputs are the gradients of X, W, R, B and initial_h.
type GRUGrad GRU

// Grad gives the gradients of X, W, R, B and initial_h.
func (o GRU) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return unroll(b, n, dOut, GRUGrad(o))
}

// Infer gives the types of X, W, R, B and initial_h.
func (o GRUGrad) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	return o.inferGrad(in, 6, 3, 1)
}

// Cost counts the products of the steps and, twice as many, those of their gradients.
func (o GRUGrad) Cost(in, _ []graph.Type) graph.Cost { return o.costGrad(in, 3) }

// Run computes in float64 and rounds once.
func (o GRUGrad) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	in = allInputs(in, 8)
	s, err := o.start(in[:6], 3)
	if err != nil {
		return err
	}
	u, err := s.unroll(in[6:])
	if err != nil {
		return err
	}
	g := gruCell{s, o.LinearBeforeReset}
	steps := make([]*gruStep, s.seq)
	for i := range steps {
		steps[i] = g.newStep()
	}
	product := make([]float64, s.hidden)
	u.run(unit{
		forward: func(t, d int, xw, h, _ []float64) { g.forward(d, xw, steps[t], h) },
		back:    func(t, d int, dh, _, dxw []float64) { g.back(u, d, steps[t], gruGrads{dh, dxw, product}) },
	})
	return u.finish(x, out, nil)
}

// gruGrads are the gradients of the state, of what goes into the gates and, as scratch, of the product with Rh.
type gruGrads struct{ h, pre, product []float64 }

// back fills in the gradients in front of the gates and takes the gradient of the state back before the step.
func (g gruCell) back(u *unrolled, d int, s *gruStep, grad gruGrads) {
	n := g.hidden
	z, r, cand := s.gate[:n], s.gate[n:2*n], s.gate[2*n:]
	dz, dr, dcand := grad.pre[:n], grad.pre[n:2*n], grad.pre[2*n:]
	for i, dh := range grad.h {
		dz[i] = dh * (s.h[i] - cand[i]) * g.slope(d, 0, s.pre[i], z[i])
		dcand[i] = dh * (1 - z[i]) * g.slope(d, 1, s.pre[2*n+i], cand[i])
		grad.h[i] = dh * z[i]
		grad.product[i] = dcand[i]
		if g.linear {
			grad.product[i] *= r[i]
		}
	}
	clear(dr) // the gradient of what the product takes
	u.product(d, 2*n, grad.product, s.gated, dr)
	for i, v := range dr {
		if g.linear {
			grad.h[i] += v
			dr[i] = dcand[i] * s.product[i]
		} else {
			grad.h[i] += v * r[i]
			dr[i] = v * s.h[i]
		}
		dr[i] *= g.slope(d, 0, s.pre[n+i], r[i])
	}
	u.product(d, 0, grad.pre[:2*n], s.h, grad.h)
}
