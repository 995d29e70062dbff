package ops

import (
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// LSTMGrad is the gradient of LSTM, whose attributes it has, by backpropagation through time. Inputs are LSTM's eight
// and the gradients of Y, Y_h and Y_c, of which two may be omitted; outputs are the gradients of X, W, R, B, initial_h,
// initial_c and P.
type LSTMGrad LSTM

// Grad gives the gradients of all inputs but sequence_lens.
func (o LSTM) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return unroll(b, n, dOut, LSTMGrad(o))
}

// Infer gives the types of X, W, R, B, initial_h, initial_c and P.
func (o LSTMGrad) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	types, err := o.inferGrad(in, 8, 4, 2)
	if err != nil {
		return nil, err
	}
	hidden := types[4].Shape[2]
	return append(types, graph.Of(in[0].DType, graph.Fixed(directions[o.Direction]), hidden.Mul(graph.Fixed(3)))), nil
}

// Cost counts the products of the steps and, twice as many, those of their gradients.
func (o LSTMGrad) Cost(in, _ []graph.Type) graph.Cost { return o.costGrad(in, 4) }

// Run computes in float64 and rounds once.
func (o LSTMGrad) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	in = allInputs(in, 11)
	l, err := LSTM(o).start(in[:8])
	if err != nil {
		return err
	}
	u, err := l.unroll(in[8:])
	if err != nil {
		return err
	}
	steps := make([]*lstmStep, l.seq)
	for i := range steps {
		steps[i] = l.newStep()
	}
	dp := make([]float64, len(l.peep))
	u.run(unit{
		forward: func(t, d int, xw, h, c []float64) { l.forward(d, xw, steps[t], h, c) },
		back: func(t, d int, dh, dc, dxw []float64) {
			l.back(d, steps[t], lstmGrads{h: dh, c: dc, pre: dxw, peep: dp[d*3*l.hidden:]})
			clear(dh)
			u.product(d, 0, dxw, steps[t].h, dh)
		},
	})
	return u.finish(x, out, dp)
}

// lstmGrads are the gradients of the states, of what goes into the gates, and of the peepholes, which are added to.
type lstmGrads struct{ h, c, pre, peep []float64 }

// back fills in the gradients in front of the gates and takes the gradient of the cell state back before the step.
func (l *lstmCell) back(d int, s *lstmStep, grad lstmGrads) {
	n := l.hidden
	p := l.peep[d*3*n:]
	slope := func(k, j int) float64 { return l.slope(d, k, s.pre[j], s.gate[j]) }
	for j := range n {
		i, o, f, g := j, n+j, 2*n+j, 3*n+j
		grad.pre[o] = grad.h[j] * s.squashed[j] * slope(0, o)
		dc := grad.c[j] + grad.h[j]*s.gate[o]*l.funcs[d*3+2].slope(s.next[j], s.squashed[j]) + grad.pre[o]*p[o]
		grad.peep[o] += grad.pre[o] * s.next[j]
		grad.pre[g] = dc * s.gate[i] * slope(1, g)
		di, df := dc*s.gate[g], dc*s.c[j]
		grad.c[j] = dc * s.gate[f]
		grad.pre[f] = 0
		if l.forget {
			di -= df
		} else {
			grad.pre[f] = df * slope(0, f)
			grad.c[j] += grad.pre[f] * p[f]
			grad.peep[f] += grad.pre[f] * s.c[j]
		}
		grad.pre[i] = di * slope(0, i)
		grad.c[j] += grad.pre[i] * p[i]
		grad.peep[i] += grad.pre[i] * s.c[j]
	}
}
