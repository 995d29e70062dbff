package ops

import (
	"errors"
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 14, RNN{}) }

// RNN is the one-layer Elman network of ONNX: Ht = f(Xt·Wᵀ + Ht-1·Rᵀ + Wb + Rb), f being Tanh unless said otherwise.
// Inputs are X, W [dirs, hidden, input], R [dirs, hidden, hidden], B [dirs, 2·hidden], sequence_lens [batch] and
// initial_h; outputs are Y and Y_h.
type RNN struct{ recurrent }

// Infer gives the types of Y and Y_h.
func (o RNN) Infer(in []graph.Fact, _ int) ([]graph.Type, error) { return o.infer(in, 6, 1, 1) }

// Cost counts the products with W and R.
func (o RNN) Cost(in, _ []graph.Type) graph.Cost { return o.cost(in, 1) }

func (o RNN) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	s, err := o.start(in, 1)
	if err != nil {
		return err
	}
	step := s.newStep()
	s.run(func(d int, xw, h, _ []float64) { s.forward(d, xw, step, h) })
	return s.finish(x, out)
}

// rnnStep is what a step of RNN leaves: the state before it, what the activation is given and what it makes.
type rnnStep struct{ h, pre, next []float64 }

func (s *recurrence) newStep() *rnnStep {
	v, n := make([]float64, 3*s.hidden), s.hidden
	return &rnnStep{v[:n], v[n : 2*n], v[2*n:]}
}

// forward makes a step from the state h, which it changes.
func (s *recurrence) forward(d int, xw []float64, step *rnnStep, h []float64) {
	copy(step.h, h)
	matVec(step.pre, s.r[d*s.hidden*s.hidden:], h, s.recurrentBias(d))
	for i := range h {
		step.pre[i] += xw[i]
		h[i] = s.act(d, 0, step.pre[i])
	}
	copy(step.next, h)
}

// recurrent is what LSTM, GRU and RNN share: their attributes and the walk along the sequence. With layout 0, X is
// [seq, batch, input], Y is [seq, dirs, batch, hidden] and states are [dirs, batch, hidden]; with layout 1 they are
// [batch, seq, input], [batch, seq, dirs, hidden] and [batch, dirs, hidden].
type recurrent struct {
	ActivationAlpha []float32 `attr:"activation_alpha"`
	ActivationBeta  []float32 `attr:"activation_beta"`
	Activations     []string  `attr:"activations"`
	Clip            *float32  `attr:"clip"`
	Direction       string    `attr:"direction" default:"forward"`
	HiddenSize      int       `attr:"hidden_size"`
	Layout          int       `attr:"layout" default:"0"`
}

// Weights says that W and R, [dirs, gates·hidden, input or hidden], have a scale for each row.
func (recurrent) Weights([]graph.Fact) []graph.Weight {
	return []graph.Weight{{Input: 1, Axes: []int{0, 1}, Along: 2}, {Input: 2, Axes: []int{0, 1}, Along: 2}}
}

var directions = map[string]int{"forward": 1, "reverse": 1, "bidirectional": 2}

func (o recurrent) check() error {
	if directions[o.Direction] == 0 {
		return fmt.Errorf("direction %q is none of forward, reverse, bidirectional", o.Direction)
	}
	if o.Layout != 0 && o.Layout != 1 {
		return fmt.Errorf("layout %d is neither 0 nor 1", o.Layout)
	}
	return nil
}

// infer gives the types of Y and of the given number of states.
func (o recurrent) infer(in []graph.Fact, most, gates, states int) ([]graph.Type, error) {
	if err := errors.Join(want(in, 3, most), o.check()); err != nil {
		return nil, err
	}
	for i := range 3 {
		if err := rank(in, i, 3); err != nil {
			return nil, err
		}
	}
	var seq, batch, hidden graph.Dim
	dirs := graph.Fixed(directions[o.Direction])
	if !in[2].Unranked {
		hidden = in[2].Shape[2]
	}
	if o.HiddenSize > 0 {
		if n, ok := hidden.Value(); ok && n != o.HiddenSize {
			return nil, fmt.Errorf("input 2: %d columns, but hidden_size is %d", n, o.HiddenSize)
		}
		hidden = graph.Fixed(o.HiddenSize)
	}
	for i := 1; i <= 2 && !in[i].Unranked; i++ {
		if d := in[i].Shape[0]; !agree(d, dirs) {
			return nil, fmt.Errorf("input %d: %s directions, want %s", i, d, dirs)
		}
		if d := in[i].Shape[1]; !agree(d, hidden.Mul(graph.Fixed(gates))) {
			return nil, fmt.Errorf("input %d: %s rows, want %d gates of %s", i, d, gates, hidden)
		}
	}
	if !in[0].Unranked {
		seq, batch = in[0].Shape[o.Layout], in[0].Shape[1-o.Layout]
	}
	y, state := []graph.Dim{seq, dirs, batch, hidden}, []graph.Dim{dirs, batch, hidden}
	if o.Layout == 1 {
		y, state = []graph.Dim{batch, seq, dirs, hidden}, []graph.Dim{batch, dirs, hidden}
	}
	types := []graph.Type{graph.Of(in[0].DType, y...)}
	for range states {
		types = append(types, graph.Of(in[0].DType, state...))
	}
	return types, nil
}

// agree reports whether two dimensions can be the same size.
func agree(a, b graph.Dim) bool {
	m, known := a.Value()
	n, both := b.Value()
	return !known || !both || m == n
}

func (o recurrent) cost(in []graph.Type, gates int64) graph.Cost {
	x, r := in[0].Shape, in[2].Shape
	if len(x) != 3 || len(r) != 3 {
		return graph.Cost{}
	}
	n := gates
	for _, d := range []graph.Dim{x[0], x[1], r[0], r[2]} {
		v, _ := d.Value()
		n *= int64(v)
	}
	input, _ := x[2].Value()
	hidden, _ := r[2].Value()
	return graph.Cost{MACs: n * int64(input+hidden)}
}

// recurrence is one call of a recurrent operator, in float64.
type recurrence struct {
	recurrent
	seq, batch, input, hidden, dirs, gates int
	dtype                                  tensor.DType
	x, w, r, bias                          []float64
	lens                                   []int64
	y, h, c                                []float64 // c: LSTM's cell state
	funcs                                  []activation
}

// activation is one function with its derivative at v, where the function is y.
type activation struct {
	f     func(v float64) float64
	slope func(v, y float64) float64
}

// start checks the shapes of X, W, R, B, sequence_lens and initial_h and widens them.
func (o recurrent) start(in []*tensor.Tensor, gates int) (*recurrence, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	in = allInputs(in, 8)
	x, w, r := in[0], in[1], in[2]
	if len(x.Shape) != 3 || len(w.Shape) != 3 || len(r.Shape) != 3 {
		return nil, fmt.Errorf("X, W and R are of ranks %d, %d, %d, want 3", len(x.Shape), len(w.Shape), len(r.Shape))
	}
	s := &recurrence{recurrent: o, dtype: x.DType, gates: gates, dirs: directions[o.Direction]}
	s.seq, s.batch, s.input, s.hidden = x.Shape[o.Layout], x.Shape[1-o.Layout], x.Shape[2], r.Shape[2]
	state := []int{s.dirs, s.batch, s.hidden}
	if o.Layout == 1 {
		state = []int{s.batch, s.dirs, s.hidden}
	}
	err := errors.Join(
		wantShape("W", w, s.dirs, gates*s.hidden, s.input),
		wantShape("R", r, s.dirs, gates*s.hidden, s.hidden),
		wantShape("B", in[3], s.dirs, 2*gates*s.hidden),
		wantShape("sequence_lens", in[4], s.batch),
		wantShape("initial_h", in[5], state...),
		checkSize(tensor.Float64, []int{s.seq, s.dirs, s.batch, gates * s.hidden}))
	if err != nil {
		return nil, err
	}
	s.x, s.w, s.r = tensor.Float64s(x), tensor.Float64s(w), tensor.Float64s(r)
	s.bias = make([]float64, s.dirs*2*gates*s.hidden)
	if in[3] != nil {
		s.bias = tensor.Float64s(in[3])
	}
	if in[4] != nil {
		s.lens = tensor.Ints(in[4])
	}
	s.y = make([]float64, s.seq*s.dirs*s.batch*s.hidden)
	s.h, s.c = s.state(in[5]), s.state(nil)
	return s, s.activations()
}

// Links ties the features of the input with the last axis of the weight; the hidden state stays.
func (recurrent) Links(in, _ []graph.Fact) []graph.Link {
	if in[0].Rank() != 3 || in[1].Rank() != 3 {
		return nil
	}
	return tie(in[0].Shape[2], given(0, 2), given(1, 2))
}

// allInputs copies the inputs and fills them up to n with omitted ones.
func allInputs(in []*tensor.Tensor, n int) []*tensor.Tensor {
	out := make([]*tensor.Tensor, max(n, len(in)))
	copy(out, in)
	return out
}

// state copies an initial state; without one it is zero.
func (s *recurrence) state(t *tensor.Tensor) []float64 {
	v := make([]float64, s.dirs*s.batch*s.hidden)
	if t != nil {
		copy(v, tensor.Float64s(t))
	}
	return v
}

// wantShape checks the shape of an input that may be absent.
func wantShape(name string, t *tensor.Tensor, shape ...int) error {
	if t == nil {
		return nil
	}
	ok := len(t.Shape) == len(shape)
	for i := 0; ok && i < len(shape); i++ {
		ok = t.Shape[i] == shape[i]
	}
	if !ok {
		return fmt.Errorf("%s has shape %v, want %v", name, t.Shape, shape)
	}
	return nil
}

// recurrentBias is Rb of direction d, for all gates.
func (s *recurrence) recurrentBias(d int) []float64 {
	n := s.gates * s.hidden
	return s.bias[(2*d+1)*n : (2*d+2)*n]
}

// act applies activation i of direction d after the clip.
func (s *recurrence) act(d, i int, v float64) float64 {
	if s.Clip != nil {
		limit := float64(*s.Clip)
		v = min(max(v, -limit), limit)
	}
	return s.funcs[d*len(s.funcs)/s.dirs+i].f(v)
}

// slope is the derivative of act at v, where it is y.
func (s *recurrence) slope(d, i int, v, y float64) float64 {
	if s.Clip != nil && math.Abs(v) > float64(*s.Clip) {
		return 0
	}
	return s.funcs[d*len(s.funcs)/s.dirs+i].slope(v, y)
}

// sequence is what one direction makes of one sequence of the batch, in the order in which it reads.
type sequence struct {
	d     int   // the direction
	state int   // the row of the states
	x, y  []int // by step: the rows of X and of Y
}

// sequences visits each direction of each sequence. A sequence's slices are valid during the visit only.
func (s *recurrence) sequences(visit func(q sequence)) {
	x, y := make([]int, s.seq), make([]int, s.seq)
	for d := range s.dirs {
		reverse := s.Direction == "reverse" || d == 1
		for b := range s.batch {
			q := sequence{d: d, state: d*s.batch + b}
			if s.Layout == 1 {
				q.state = b*s.dirs + d
			}
			length := s.seq
			if s.lens != nil {
				length = int(min(max(s.lens[b], 0), int64(s.seq)))
			}
			for i := range length {
				t := i
				if reverse {
					t = length - 1 - i
				}
				x[i], y[i] = t*s.batch+b, (t*s.dirs+d)*s.batch+b
				if s.Layout == 1 {
					x[i], y[i] = b*s.seq+t, (b*s.seq+t)*s.dirs+d
				}
			}
			q.x, q.y = x[:length], y[:length]
			visit(q)
		}
	}
}

// inputs stores Xt·Wᵀ + Wb for all gates in xw; row is Xt's.
func (s *recurrence) inputs(xw []float64, d, row int) {
	n := len(xw)
	matVec(xw, s.w[d*n*s.input:], s.x[row*s.input:(row+1)*s.input], s.bias[2*d*n:(2*d+1)*n])
}

// run walks the sequences. step is given Xt·Wᵀ + Wb for all gates and changes the states in place. Behind the end of a
// sequence Y is zero.
func (s *recurrence) run(step func(d int, xw, h, c []float64)) {
	xw := make([]float64, s.gates*s.hidden)
	s.sequences(func(q sequence) {
		h, c := s.row(s.h, q.state), s.row(s.c, q.state)
		for i, row := range q.x {
			s.inputs(xw, q.d, row)
			step(q.d, xw, h, c)
			copy(s.row(s.y, q.y[i]), h)
		}
	})
}

// row is row i of v, whose rows are as long as the hidden state.
func (s *recurrence) row(v []float64, i int) []float64 { return v[i*s.hidden : (i+1)*s.hidden] }

// matVec computes y = m·v + bias for a row-major m with len(y) rows and len(v) columns. Four rows go side by side, each
// in the order of its columns.
func matVec(y, m, v, bias []float64) {
	n, i := len(v), 0
	for ; i+4 <= len(y); i += 4 {
		a, b, c, d := m[i*n:][:n], m[(i+1)*n:][:n], m[(i+2)*n:][:n], m[(i+3)*n:][:n]
		s, t, u, w := bias[i], bias[i+1], bias[i+2], bias[i+3]
		for j, e := range v {
			s += a[j] * e
			t += b[j] * e
			u += c[j] * e
			w += d[j] * e
		}
		y[i], y[i+1], y[i+2], y[i+3] = s, t, u, w
	}
	for ; i < len(y); i++ {
		sum := bias[i]
		for j, e := range v {
			sum += m[i*n+j] * e
		}
		y[i] = sum
	}
}

// shapes are those of Y and of a state.
func (s *recurrence) shapes() (y, state []int) {
	if s.Layout == 1 {
		return []int{s.batch, s.seq, s.dirs, s.hidden}, []int{s.batch, s.dirs, s.hidden}
	}
	return []int{s.seq, s.dirs, s.batch, s.hidden}, []int{s.dirs, s.batch, s.hidden}
}

// finish stores Y and the states, as far as they are wanted.
func (s *recurrence) finish(x *graph.Exec, out []*tensor.Tensor) error {
	y, state := s.shapes()
	for i, v := range [][]float64{s.y, s.h, s.c} {
		shape := state
		if i == 0 {
			shape = y
		}
		if i < len(out) && out[i] != nil {
			if err := tensor.SetFloat64s(x.Make(out[i], s.dtype, shape...), v); err != nil {
				return err
			}
		}
	}
	return nil
}

// cellDefaults are the activations of one direction by number of gates: RNN, GRU, LSTM.
var cellDefaults = map[int][]string{1: {"Tanh"}, 3: {"Sigmoid", "Tanh"}, 4: {"Sigmoid", "Tanh", "Tanh"}}

// activations resolves the named functions; alpha and beta are consumed in order by those that have one.
func (s *recurrence) activations() error {
	names := s.Activations
	per := cellDefaults[s.gates]
	if len(names) == 0 {
		for range s.dirs {
			names = append(names, per...)
		}
	}
	if s.gates == 1 && s.dirs == 1 && len(names) == 2 {
		names = names[:1] // the file may spell out RNN's default, which has two
	}
	if len(names) != s.dirs*len(per) {
		return fmt.Errorf("%d activations, want %d", len(names), s.dirs*len(per))
	}
	alphas, betas := s.ActivationAlpha, s.ActivationBeta
	for _, name := range names {
		a, ok := cellActivations[name]
		if !ok {
			return fmt.Errorf("unknown activation %q", name)
		}
		alpha, beta := a.alpha, a.beta
		if a.params > 0 && len(alphas) > 0 {
			alpha, alphas = float64(alphas[0]), alphas[1:]
		}
		if a.params > 1 && len(betas) > 0 {
			beta, betas = float64(betas[0]), betas[1:]
		}
		s.funcs = append(s.funcs, activation{
			func(v float64) float64 { return a.f(v, alpha, beta) },
			func(v, y float64) float64 { return a.slope(v, y, alpha, beta) },
		})
	}
	return nil
}

// cellActivations are the functions that ONNX names for recurrent operators, with the defaults of alpha and beta, and
// their derivatives at v, where the function is y.
var cellActivations = map[string]struct {
	params      int
	alpha, beta float64
	f           func(v, alpha, beta float64) float64
	slope       func(v, y, alpha, beta float64) float64
}{
	"Relu": {
		0, 0, 0, func(v, _, _ float64) float64 { return max(v, 0) },
		func(v, _, _, _ float64) float64 { return choose(v > 0, 1, 0) },
	},
	"Tanh": {
		0, 0, 0, func(v, _, _ float64) float64 { return math.Tanh(v) },
		func(_, y, _, _ float64) float64 { return 1 - y*y },
	},
	"Sigmoid": {
		0, 0, 0, func(v, _, _ float64) float64 { return 1 / (1 + math.Exp(-v)) },
		func(_, y, _, _ float64) float64 { return y * (1 - y) },
	},
	"Affine": {
		2, 1, 0, func(v, a, b float64) float64 { return a*v + b },
		func(_, _, a, _ float64) float64 { return a },
	},
	"LeakyRelu": {
		1, 0.01, 0, func(v, a, _ float64) float64 { return choose(v < 0, a*v, v) },
		func(v, _, a, _ float64) float64 { return choose(v < 0, a, 1) },
	},
	"ThresholdedRelu": {
		1, 1, 0, func(v, a, _ float64) float64 { return choose(v < a, 0, v) },
		func(v, _, a, _ float64) float64 { return choose(v < a, 0, 1) },
	},
	"ScaledTanh": {
		2, 1, 1, func(v, a, b float64) float64 { return a * math.Tanh(b*v) },
		func(v, _, a, b float64) float64 { return a * b * (1 - math.Tanh(b*v)*math.Tanh(b*v)) },
	},
	"HardSigmoid": {
		2, 0.2, 0.5, func(v, a, b float64) float64 { return min(max(a*v+b, 0), 1) },
		func(_, y, a, _ float64) float64 { return choose(y > 0 && y < 1, a, 0) },
	},
	"Elu": {
		1, 1, 0, func(v, a, _ float64) float64 { return choose(v < 0, a*math.Expm1(v), v) },
		func(v, _, a, _ float64) float64 { return choose(v < 0, a*math.Exp(v), 1) },
	},
	"Softsign": {
		0, 0, 0, func(v, _, _ float64) float64 { return v / (1 + math.Abs(v)) },
		func(v, _, _, _ float64) float64 { return 1 / ((1 + math.Abs(v)) * (1 + math.Abs(v))) },
	},
	"Softplus": {
		0, 0, 0, func(v, _, _ float64) float64 { return max(v, 0) + math.Log1p(math.Exp(-math.Abs(v))) },
		func(v, _, _, _ float64) float64 { return 1 / (1 + math.Exp(-v)) },
	},
}

// choose is yes if the condition holds, else no.
func choose(condition bool, yes, no float64) float64 {
	if condition {
		return yes
	}
	return no
}
