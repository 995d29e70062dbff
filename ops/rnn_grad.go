package ops

import (
	"errors"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("tfsopt", 1, RNNGrad{}, GRUGrad{}, LSTMGrad{}) }

// RNNGrad is the gradient of RNN, whose attributes it has, by backpropagation through time (Werbos, "Backpropagation
// through time: what it does and how to do it", Proceedings of the IEEE 78, 1990). Inputs are RNN's six and the
// gradients of Y and Y_h, of which one may be omitted; outputs are the gradients of X, W, R, B and initial_h.
type RNNGrad RNN

// Grad gives the gradients of X, W, R, B and initial_h.
func (o RNN) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return unroll(b, n, dOut, RNNGrad(o))
}

// Infer gives the types of X, W, R, B and initial_h.
func (o RNNGrad) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	return o.inferGrad(in, 6, 1, 1)
}

// Cost counts the products of the steps and, twice as many, those of their gradients.
func (o RNNGrad) Cost(in, _ []graph.Type) graph.Cost { return o.costGrad(in, 1) }

// Run computes in float64 and rounds once.
func (o RNNGrad) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	in = allInputs(in, 8)
	s, err := o.start(in[:6], 1)
	if err != nil {
		return err
	}
	u, err := s.unroll(in[6:])
	if err != nil {
		return err
	}
	steps := make([]*rnnStep, s.seq)
	for i := range steps {
		steps[i] = s.newStep()
	}
	u.run(unit{
		forward: func(t, d int, xw, h, _ []float64) { s.forward(d, xw, steps[t], h) },
		back: func(t, d int, dh, _, dxw []float64) {
			step := steps[t]
			for i := range dh {
				dxw[i] = dh[i] * s.slope(d, 0, step.pre[i], step.next[i])
			}
			clear(dh)
			u.product(d, 0, dxw, step.h, dh)
		},
	})
	return u.finish(x, out, nil)
}

// inferGrad gives the types of X, W, R, B and the states; the gradients of Y and the states follow on `most` inputs.
func (o recurrent) inferGrad(in []graph.Fact, most, gates, states int) ([]graph.Type, error) {
	if err := want(in, 3, most+1+states); err != nil {
		return nil, err
	}
	types, err := o.infer(in[:min(most, len(in))], most, gates, states)
	if err != nil {
		return nil, err
	}
	rows := types[1].Shape[2].Mul(graph.Fixed(2 * gates))
	bias := graph.Of(in[0].DType, graph.Fixed(directions[o.Direction]), rows)
	return append([]graph.Type{in[0].Type, in[1].Type, in[2].Type, bias}, types[1:]...), nil
}

func (o recurrent) costGrad(in []graph.Type, gates int64) graph.Cost {
	return graph.Cost{MACs: 3 * o.cost(in, gates).MACs}
}

// unroll adds op, which takes n's inputs and the gradients of its outputs and gives those of the inputs but
// sequence_lens.
func unroll(b *graph.Builder, n *graph.Node, dOut []*graph.Value, op graph.Op) []*graph.Value {
	given := func(v *graph.Value) bool { return v != nil }
	if !slices.ContainsFunc(dOut, given) {
		return none(n)
	}
	most, grads := 6, 5
	if _, ok := op.(LSTMGrad); ok {
		most, grads = 8, 7
	}
	in := make([]*graph.Value, most)
	copy(in, n.In)
	parts := b.AddN(gradient(b, n).name, grads, op, append(in, dOut...)...)
	d := none(n)
	for i := range d {
		switch {
		case n.In[i] == nil || i == 4:
		case i < 4:
			d[i] = parts[i]
		default:
			d[i] = parts[i-1]
		}
	}
	return d
}

// unrolled is a recurrence with the gradients of its values, in float64. dh and dc begin as those of Y_h and Y_c and
// become those of initial_h and initial_c.
type unrolled struct {
	*recurrence
	dy, dx, dw, dr, db, dh, dc []float64
}

// unit is the step of a recurrent operator: forward goes from the states h and c to the next, given Xt·Wᵀ + Wb; back
// turns the gradients of the states after the step into those before it and gives that of Xt·Wᵀ.
type unit struct {
	forward func(t, d int, xw, h, c []float64)
	back    func(t, d int, dh, dc, dxw []float64)
}

// unroll starts from the gradients of Y, Y_h and, if it is there, Y_c.
func (s *recurrence) unroll(grads []*tensor.Tensor) (*unrolled, error) {
	y, state := s.shapes()
	var errs []error
	shapes := [][]int{y, state, state}
	for i, g := range grads {
		errs = append(errs, wantShape("the gradient of "+[]string{"Y", "Y_h", "Y_c"}[i], g, shapes[i]...))
	}
	grads = allInputs(grads, 3)
	u := &unrolled{
		recurrence: s, dy: make([]float64, len(s.y)), dh: s.state(grads[1]), dc: s.state(grads[2]),
		dx: make([]float64, len(s.x)), dw: make([]float64, len(s.w)), dr: make([]float64, len(s.r)),
		db: make([]float64, len(s.bias)),
	}
	if grads[0] != nil {
		copy(u.dy, tensor.Float64s(grads[0]))
	}
	return u, errors.Join(errs...)
}

// run walks each sequence forth, then back.
func (u *unrolled) run(step unit) {
	xw := make([]float64, u.gates*u.hidden)
	u.sequences(func(q sequence) {
		h, c := u.row(u.h, q.state), u.row(u.c, q.state)
		for t, row := range q.x {
			u.inputs(xw, q.d, row)
			step.forward(t, q.d, xw, h, c)
		}
		dh, dc := u.row(u.dh, q.state), u.row(u.dc, q.state)
		for t, row := range slices.Backward(q.x) {
			for i, v := range u.row(u.dy, q.y[t]) {
				dh[i] += v
			}
			step.back(t, q.d, dh, dc, xw)
			w := q.d * len(xw) * u.input
			x := row * u.input
			adjoint(xw, u.w[w:], u.x[x:x+u.input], u.dw[w:], u.dx[x:])
			for i, v := range xw {
				u.db[2*q.d*len(xw)+i] += v
			}
		}
	})
}

// product adds what the gradient g of rows of v·Rᵀ + Rb, from the given row on, means for R, Rb and v.
func (u *unrolled) product(d, row int, g, v, dv []float64) {
	n := u.gates * u.hidden
	r := (d*n + row) * u.hidden
	adjoint(g, u.r[r:], v, u.dr[r:], dv)
	for i, e := range g {
		u.db[(2*d+1)*n+row+i] += e
	}
}

// adjoint adds to dm and dv what the gradient g of m·v means for m, which is row-major, and v.
func adjoint(g, m, v, dm, dv []float64) {
	dv = dv[:len(v)]
	for i, e := range g {
		row, into := m[i*len(v):][:len(v)], dm[i*len(v):][:len(v)]
		for j, x := range v {
			into[j] += e * x
			dv[j] += e * row[j]
		}
	}
}

// finish stores the gradients of X, W, R, B, initial_h and of LSTM's initial_c and P, as far as they are wanted.
func (u *unrolled) finish(x *graph.Exec, out []*tensor.Tensor, dp []float64) error {
	n := u.gates * u.hidden
	xShape := []int{u.seq, u.batch, u.input}
	if u.Layout == 1 {
		xShape = []int{u.batch, u.seq, u.input}
	}
	_, state := u.shapes()
	results := []struct {
		v     []float64
		shape []int
	}{
		{u.dx, xShape},
		{u.dw, []int{u.dirs, n, u.input}},
		{u.dr, []int{u.dirs, n, u.hidden}},
		{u.db, []int{u.dirs, 2 * n}},
		{u.dh, state},
		{u.dc, state},
		{dp, []int{u.dirs, 3 * u.hidden}},
	}
	for i, t := range out {
		if t == nil {
			continue
		}
		if err := tensor.SetFloat64s(x.Make(t, u.dtype, results[i].shape...), results[i].v); err != nil {
			return err
		}
	}
	return nil
}
