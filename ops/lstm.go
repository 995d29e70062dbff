package ops

import (
	"errors"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 14, LSTM{}) }

// LSTM is the one-layer long short-term memory of ONNX (Hochreiter and Schmidhuber 1997, with the peepholes of Gers
// and Schmidhuber 2000), gates in the order i, o, f, c:
//
//	it = f(Xt·Wiᵀ + Ht-1·Riᵀ + Pi ⊙ Ct-1 + Wbi + Rbi), ft likewise; with InputForget ft = 1 - it
//	Ct = ft ⊙ Ct-1 + it ⊙ g(Xt·Wcᵀ + Ht-1·Rcᵀ + Wbc + Rbc)
//	ot = f(Xt·Woᵀ + Ht-1·Roᵀ + Po ⊙ Ct + Wbo + Rbo)
//	Ht = ot ⊙ h(Ct)
//
// Clip bounds what goes into f and g but not into h, as in ONNX Runtime.
//
// Inputs are X, W [dirs, 4·hidden, input], R [dirs, 4·hidden, hidden], B [dirs, 8·hidden], sequence_lens [batch],
// initial_h, initial_c and P [dirs, 3·hidden] (i, o, f); outputs are Y, Y_h and Y_c.
type LSTM struct {
	recurrent
	InputForget bool `attr:"input_forget" default:"0"`
}

// Infer gives the types of Y, Y_h and Y_c.
func (o LSTM) Infer(in []graph.Fact, _ int) ([]graph.Type, error) { return o.infer(in, 8, 4, 2) }

// Cost counts the products with W and R.
func (o LSTM) Cost(in, _ []graph.Type) graph.Cost { return o.cost(in, 4) }

// Run computes the reference result.
func (o LSTM) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	s, err := o.start(in, 4)
	if err != nil {
		return err
	}
	n := s.hidden
	peep := make([]float64, s.dirs*3*n)
	if len(in) > 6 && in[6] != nil {
		state := []int{s.dirs, s.batch, n}
		if o.Layout == 1 {
			state = []int{s.batch, s.dirs, n}
		}
		err = wantShape("initial_c", in[6], state...)
		s.c = s.state(in[6])
	}
	if len(in) > 7 && in[7] != nil {
		err = errors.Join(err, wantShape("P", in[7], s.dirs, 3*n))
		copy(peep, tensor.Doubles(in[7]))
	}
	if err != nil {
		return err
	}
	gates := make([]float64, 4*n)
	s.run(func(d int, xw, h, c []float64) {
		matVec(gates, s.r[d*4*n*n:], h, s.recurrentBias(d))
		for i := range gates {
			gates[i] += xw[i]
		}
		p := peep[d*3*n:]
		for j := range n {
			in := s.act(d, 0, gates[j]+p[j]*c[j])
			forget := 1 - in
			if !o.InputForget {
				forget = s.act(d, 0, gates[2*n+j]+p[2*n+j]*c[j])
			}
			c[j] = forget*c[j] + in*s.act(d, 1, gates[3*n+j])
			h[j] = s.act(d, 0, gates[n+j]+p[n+j]*c[j]) * s.funcs[d*3+2](c[j])
		}
	})
	return s.finish(x, out)
}
