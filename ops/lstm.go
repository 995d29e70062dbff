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

func (o LSTM) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	l, err := o.start(in)
	if err != nil {
		return err
	}
	step := l.newStep()
	l.run(func(d int, xw, h, c []float64) { l.forward(d, xw, step, h, c) })
	return l.finish(x, out)
}

// lstmCell is one call of LSTM with its peepholes.
type lstmCell struct {
	*recurrence
	forget bool // InputForget
	peep   []float64
}

// lstmStep is what a step leaves: the states before it, gates in front of and after their activations, in the order
// i, o, f, c, Ct and h(Ct).
type lstmStep struct{ h, c, pre, gate, next, squashed []float64 }

func (o LSTM) start(in []*tensor.Tensor) (*lstmCell, error) {
	s, err := o.recurrent.start(in, 4)
	if err != nil {
		return nil, err
	}
	n := s.hidden
	l := &lstmCell{s, o.InputForget, make([]float64, s.dirs*3*n)}
	if c := optional(in, 6); c != nil {
		state := []int{s.dirs, s.batch, n}
		if o.Layout == 1 {
			state = []int{s.batch, s.dirs, n}
		}
		err = wantShape("initial_c", c, state...)
		s.c = s.state(c)
	}
	if p := optional(in, 7); p != nil {
		err = errors.Join(err, wantShape("P", p, s.dirs, 3*n))
		copy(l.peep, tensor.Float64s(p))
	}
	return l, err
}

func (l *lstmCell) newStep() *lstmStep {
	v := make([]float64, 12*l.hidden)
	part := func(gates int) []float64 {
		p := v[:gates*l.hidden]
		v = v[len(p):]
		return p
	}
	return &lstmStep{part(1), part(1), part(4), part(4), part(1), part(1)}
}

// forward makes a step from the states h and c, which it changes.
func (l *lstmCell) forward(d int, xw []float64, s *lstmStep, h, c []float64) {
	n := l.hidden
	copy(s.h, h)
	copy(s.c, c)
	matVec(s.pre, l.r[d*4*n*n:], h, l.recurrentBias(d))
	for i := range s.pre {
		s.pre[i] += xw[i]
	}
	p := l.peep[d*3*n:]
	for j := range n {
		i, o, f, g := j, n+j, 2*n+j, 3*n+j
		s.pre[i] += p[i] * c[j]
		s.gate[i] = l.act(d, 0, s.pre[i])
		s.gate[f] = 1 - s.gate[i]
		if !l.forget {
			s.pre[f] += p[f] * c[j]
			s.gate[f] = l.act(d, 0, s.pre[f])
		}
		s.gate[g] = l.act(d, 1, s.pre[g])
		c[j] = s.gate[f]*c[j] + s.gate[i]*s.gate[g]
		s.pre[o] += p[o] * c[j]
		s.gate[o] = l.act(d, 0, s.pre[o])
		s.next[j], s.squashed[j] = c[j], l.funcs[d*3+2].f(c[j])
		h[j] = s.gate[o] * s.squashed[j]
	}
}
