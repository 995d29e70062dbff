package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// step computes loss and gradients of one batch.
type step struct {
	model   *Model
	prog    *engine.Program
	call    engine.Call
	classes int
	own     int // inputs of the model
	target  *tensor.Tensor
	side    []*tensor.Tensor
	fill    func(b *Batch, side []*tensor.Tensor) error
	drops   []drop
	seed    uint64
	layers  []*graph.Value // what to look at when the loss is no number
	graph   *graph.Graph
	threads int
}

// drop is the mask of one Dropout node: 0 with probability ratio, else 1/(1-ratio).
type drop struct {
	mask  *tensor.Tensor
	ratio float64
}

// stepOptions say what a step is.
type stepOptions struct {
	Objective
	batch, threads, output int
	frozen                 bool // BatchNormalization keeps its statistics
	seed                   uint64
}

// newStep builds forward, loss and gradients as one graph and compiles it.
func newStep(ctx context.Context, m *Model, o stepOptions) (*step, error) {
	g, err := m.open(o.batch)
	if err != nil {
		return nil, err
	}
	if o.output < 0 || o.output >= len(g.Outputs) {
		return nil, fmt.Errorf("the model has no output %d", o.output)
	}
	s := &step{model: m, own: g.own, fill: o.Fill, seed: o.seed, threads: o.threads}
	forward := len(g.Nodes)
	b := graph.NewBuilder(g.Graph)
	if err := s.trainingForm(g, b, o.frozen); err != nil {
		return nil, err
	}
	t := &Task{Builder: b, Batch: o.batch, model: m, opened: g}
	if t.Logits, err = Logits(b, g.Outputs[o.output]); err != nil && !o.Unlabelled {
		return nil, err
	}
	loss, err := s.objective(t, o.Objective)
	if err != nil {
		return nil, err
	}
	for _, n := range g.Nodes[:forward] {
		for _, v := range n.Out {
			if v != nil && v.DType.IsFloat() {
				s.layers = append(s.layers, v)
			}
		}
	}
	if err := s.finish(ctx, t, loss); err != nil {
		return nil, err
	}
	return s, nil
}

// objective adds the inputs of the loss and the loss.
func (s *step) objective(t *Task, o Objective) (*graph.Value, error) {
	if t.Logits != nil {
		shape, _ := t.Logits.Fixed()
		s.classes = shape[1]
	}
	s.target = tensor.New(tensor.Float32, t.Batch, max(s.classes, 1))
	t.Target = s.input(t, "target", s.target)
	for i, typ := range o.Side {
		shape, ok := graph.FixedShape(append([]graph.Dim{graph.Fixed(t.Batch)}, typ.Shape[1:]...))
		if !ok {
			return nil, fmt.Errorf("further input %d of the loss is %s: want fixed sizes", i, typ)
		}
		s.side = append(s.side, tensor.New(typ.DType, shape...))
		t.Side = append(t.Side, s.input(t, "side", s.side[i]))
	}
	loss := o.Loss
	if loss == nil {
		loss = CrossEntropy
	}
	v := loss(t)
	if t.Err != nil {
		return nil, fmt.Errorf("loss: %w", t.Err)
	}
	return v, nil
}

// input adds a graph input that s feeds with t.
func (s *step) input(t *Task, name string, x *tensor.Tensor) *graph.Value {
	v := graph.NewInput(t.Fresh(name), graph.TypeOf(x))
	t.G.Inputs = append(t.G.Inputs, v)
	return v
}

// trainingForm turns Dropout into a product with a mask that is an input, and BatchNormalization, unless frozen, into
// its training form, whose new statistics become outputs.
func (s *step) trainingForm(g *opened, b *graph.Builder, frozen bool) error {
	for _, n := range slices.Clone(g.Nodes) {
		switch op := n.Op.(type) {
		case ops.Dropout:
			if err := s.dropout(g, b, n); err != nil {
				return graph.NodeError(n, err)
			}
		case ops.BatchNormalization:
			if frozen {
				op.TrainingMode = false
				n.Op, n.Out = op, n.Out[:1]
				continue
			}
			op.TrainingMode = true
			n.Op, n.Out = op, n.Out[:1]
			for _, stat := range []string{"_mean", "_variance"} {
				n.Out = append(n.Out, &graph.Value{Name: b.Fresh(n.Name + stat), Def: n})
			}
			if err := graph.InferNode(n); err != nil {
				return graph.NodeError(n, err)
			}
		}
	}
	return b.Err
}

func (s *step) dropout(g *opened, b *graph.Builder, n *graph.Node) error {
	ratio := 0.5
	if len(n.In) > 1 && n.In[1] != nil {
		if !n.In[1].IsConst() {
			return errors.New("its ratio is computed")
		}
		ratio = tensor.Float64s(n.In[1].Const)[0]
	}
	shape, ok := n.In[0].Fixed()
	if !ok || ratio < 0 || ratio >= 1 || len(n.Out) > 1 && n.Out[1] != nil && len(g.Uses()[n.Out[1]]) > 0 {
		return fmt.Errorf("cannot be trained with ratio %g and input %s", ratio, n.In[0].Type)
	}
	d := drop{tensor.New(tensor.Float32, shape...), ratio}
	s.drops = append(s.drops, d)
	mask := graph.NewInput(b.Fresh("dropout_mask"), graph.TypeOf(d.mask))
	g.Inputs = append(g.Inputs, mask)
	n.Op, n.In, n.Out = ops.Mul{}, []*graph.Value{n.In[0], mask}, n.Out[:1]
	return nil
}

// finish adds the gradients, sets the outputs (loss, logits, statistics, gradients) and compiles.
func (s *step) finish(ctx context.Context, t *Task, loss *graph.Value) error {
	g, m := t.opened, s.model
	wrt := make([]*graph.Value, len(m.Params))
	for i, p := range m.Params {
		wrt[i] = g.value[p]
	}
	if err := g.Sort(); err != nil {
		return err
	}
	grads, err := Gradients(t.Builder, loss, wrt)
	if err != nil {
		return err
	}
	scores := t.Logits
	if scores == nil {
		scores = loss
	}
	g.Outputs = []*graph.Value{t.Add("loss_output", ops.Identity{}, loss), t.Add("scores_output", ops.Identity{}, scores)}
	for _, p := range m.Stats {
		g.Outputs = append(g.Outputs, s.statistic(g, g.value[p]))
	}
	for i, d := range grads {
		if d == nil { // the loss does not depend on it
			d = t.Const("no_gradient", tensor.New(m.Params[i].Data.DType, m.Params[i].Data.Shape...))
		}
		g.Outputs = append(g.Outputs, t.Add("gradient", ops.Identity{}, d))
	}
	if t.Err != nil {
		return t.Err
	}
	s.graph = g.Graph
	if s.prog, err = engine.Compile(ctx, g.Graph, engine.Options{Threads: s.threads, Plans: 1}); err != nil {
		return err
	}
	s.feed(g)
	return nil
}

// statistic finds the value that a running statistic becomes.
func (s *step) statistic(g *opened, old *graph.Value) *graph.Value {
	for _, n := range g.Nodes {
		if _, ok := n.Op.(ops.BatchNormalization); ok && len(n.Out) > 2 && len(n.In) > 4 {
			if n.In[3] == old {
				return n.Out[1]
			}
			if n.In[4] == old {
				return n.Out[2]
			}
		}
	}
	return old
}

// feed binds every input but the model's own to the tensor that holds it.
func (s *step) feed(g *opened) {
	holds := map[string]*tensor.Tensor{}
	for p, v := range g.value {
		holds[v.Name] = p.Data
	}
	drops, sides := s.drops, append([]*tensor.Tensor{s.target}, s.side...)
	for i, v := range g.Inputs {
		t := holds[v.Name]
		switch {
		case i < s.own:
		case t != nil:
		case len(drops) > 0: // masks come first, then target and side inputs
			t, drops = drops[0].mask, drops[1:]
		default:
			t, sides = sides[0], sides[1:]
		}
		s.call.In = append(s.call.In, t)
	}
	for _, v := range g.Outputs {
		shape, _ := v.Fixed()
		s.call.Out = append(s.call.Out, tensor.New(v.DType, shape...))
	}
}

func (s *step) close() error { return s.prog.Close() }

// run computes the loss of a batch; gradients and new statistics lie in the call's outputs then. n is the number of the
// step, which dropout depends on.
func (s *step) run(ctx context.Context, b *Batch, n int) (loss float64, err error) {
	copy(s.call.In, b.In)
	if b.Target != nil {
		copy(s.target.Data, b.Target.Data)
	}
	for i, d := range s.drops {
		d.fill(rand.New(rand.NewPCG(s.seed^dropStream, uint64(n)<<16|uint64(i))))
	}
	if s.fill != nil {
		if err := s.fill(b, s.side); err != nil {
			return 0, err
		}
	}
	if err := s.prog.Run(ctx, &s.call); err != nil {
		return 0, err
	}
	return float64(tensor.View[float32](s.call.Out[0])[0]), nil
}

func (d drop) fill(r *rand.Rand) {
	keep := float32(1 / (1 - d.ratio))
	bound := uint64(d.ratio * (1 << 32))
	v := tensor.View[float32](d.mask)
	for i := 0; i < len(v); i += 2 {
		x := r.Uint64()
		for j := i; j < min(i+2, len(v)); j++ {
			v[j] = 0
			if x&(1<<32-1) >= bound {
				v[j] = keep
			}
			x >>= 32
		}
	}
}

// scores are the logits of the last batch, [batch, classes].
func (s *step) scores() []float32 { return tensor.View[float32](s.call.Out[1]) }

// grads are the gradients of the last batch, one a parameter.
func (s *step) grads() []*tensor.Tensor { return s.call.Out[2+len(s.model.Stats):] }

// takeStats moves the statistics of the last batch into the model.
func (s *step) takeStats() {
	for i, p := range s.model.Stats {
		copy(p.Data.Data, s.call.Out[2+i].Data)
	}
}

// firstBad runs the last batch again and names the first value of the model that holds NaN or infinity.
func (s *step) firstBad(ctx context.Context) string {
	prog, err := engine.Compile(ctx, s.graph, engine.Options{Threads: s.threads, Watch: s.layers, Plans: 1})
	if err != nil {
		return ""
	}
	defer prog.Close()
	bad := ""
	call := engine.Call{In: s.call.In, Observe: func(v *graph.Value, t *tensor.Tensor) {
		if bad == "" && !finite(t) {
			bad = v.Name
			if v.Def != nil {
				bad = fmt.Sprintf("%s, output of node %q (%s)", v.Name, v.Def.Name, v.Def.OpName())
			}
		}
	}}
	if prog.Run(ctx, &call) != nil {
		return ""
	}
	return bad
}

func finite(t *tensor.Tensor) bool {
	if t.DType != tensor.Float32 {
		return true
	}
	for _, x := range tensor.View[float32](t) {
		if x-x != 0 {
			return false
		}
	}
	return true
}

// DivergedError tells that the loss is no number any more.
type DivergedError struct {
	Step, Epoch int
	Loss        float64
	Where       string // the first value that is not finite, if any
}

func (e *DivergedError) Error() string {
	what := "loss"
	if !math.IsNaN(e.Loss) && !math.IsInf(e.Loss, 0) {
		what = "gradient"
	}
	place := ""
	if e.Where != "" {
		place = "; the first value that is not finite is " + e.Where
	}
	return fmt.Sprintf("training diverged at step %d (epoch %d): the %s is not finite%s (a lower learning rate or clipping may help)",
		e.Step, e.Epoch+1, what, place)
}
