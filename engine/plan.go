package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// plan is the program for one set of input shapes: steps over numbered tensors, most of which lie in one arena.
type plan struct {
	p       *Program
	steps   []step
	vals    []slot
	inputs  []int
	outputs []int
	arena   int
	// watched values that no step makes: inputs, and what came out constant
	seeFirst []int

	bytes int // see measure

	// The program's cache guards these.
	cached bool
	free   []*frame
}

type step struct {
	node    *graph.Node
	in, out []int // -1: omitted
	see     []int // slots to show after the step
}

// slot is where a value lives: a constant, arena bytes, or (size < 0) memory made during the run.
type slot struct {
	value *graph.Value
	fact  graph.Fact
	root  int // for views: the slot whose memory this one shares; else itself
	off   int
	size  int // arena bytes; -1: on the heap
	view  bool
	shape []int
}

// exec is what a fast step may use.
type exec struct {
	*graph.Exec
	p       *Program
	scratch *scratch          // of the calling goroutine, for tasks
	shared  *scratch          // for what all tasks of a step read
	left    func(op graph.Op) // told what runs its own kernel; may be nil
}

// kernel runs an operator's own kernel: what a fast step leaves to it.
func (x *exec) kernel(op graph.Op, in, out []*tensor.Tensor) error {
	if x.left != nil {
		x.left(op)
	}
	return graph.RunKernel(x.Exec, op, in, out)
}

// fastOp is an operator of the engine's own. Outputs have their shape and memory already when these were known at
// planning; a step gets them through Make in any case.
type fastOp interface {
	graph.Op
	exec(x *exec, in, out []*tensor.Tensor) error
}

// viewOp marks operators whose output 0 is input 0 with another shape.
type viewOp interface {
	graph.Op
	view()
}

// tensor makes the tensor that stands for a slot in a frame.
func (pl *plan) tensor(f *frame, s slot) *tensor.Tensor {
	if s.fact.Const != nil {
		return s.fact.Const
	}
	if s.size < 0 {
		return &tensor.Tensor{DType: s.fact.DType, Shape: s.shape}
	}
	return &tensor.Tensor{DType: s.fact.DType, Shape: s.shape, Data: f.arena[s.off : s.off+s.size : s.off+s.size]}
}

// run answers a call with these inputs, states after the model's own; next takes what the states become.
func (pl *plan) run(ctx context.Context, f *frame, c *Call, in, next []*tensor.Tensor) error {
	x := &exec{Exec: &graph.Exec{Ctx: ctx, Threads: pl.p.pool.threads}, p: pl.p, scratch: &f.scratch, shared: &f.shared}
	if x.Draws = c.draws; x.Draws == nil {
		x.Draws = graph.NewDraws(c.Seed)
	}
	x.Body = func(b *graph.Graph, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
		sub := &Call{In: in, draws: x.Draws}
		err := pl.p.bodies[b].Run(ctx, sub)
		return sub.Out, err
	}
	for i, s := range pl.inputs {
		f.t[s] = aligned(in[i])
	}
	pl.show(f, c, pl.seeFirst)
	for i := range pl.steps {
		st := &pl.steps[i]
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := pl.step(x, f, st); err != nil {
			return graph.NodeError(original(st.node), err)
		}
		pl.show(f, c, st.see)
	}
	if err := pl.advance(f, next); err != nil {
		return err
	}
	return pl.deliver(f, c)
}

func (pl *plan) show(f *frame, c *Call, slots []int) {
	if c.Observe == nil {
		return
	}
	for _, s := range slots {
		for _, v := range pl.p.watch[pl.vals[s].value] {
			c.Observe(v, f.t[s])
		}
	}
}

// aligned gives t, or a copy of it when its data lies at an odd address.
func aligned(t *tensor.Tensor) *tensor.Tensor {
	if isAligned(t.Data) {
		return t
	}
	return t.Clone()
}

func (pl *plan) step(x *exec, f *frame, st *step) error {
	var buf [12]*tensor.Tensor
	args := buf[:0]
	for _, s := range st.in {
		if s < 0 {
			args = append(args, nil)
		} else {
			args = append(args, f.t[s])
		}
	}
	n := len(args)
	for _, s := range st.out {
		if s < 0 {
			args = append(args, nil)
		} else {
			args = append(args, f.t[s])
		}
	}
	if op, ok := st.node.Op.(fastOp); ok {
		return runFast(op, x, args[:n], args[n:])
	}
	x.Node = st.node
	return x.kernel(st.node.Op, args[:n], args[n:])
}

func runFast(op fastOp, x *exec, in, out []*tensor.Tensor) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("inputs do not fit the operator: %v", p)
		}
	}()
	return op.exec(x, in, out)
}

// deliver copies the outputs out of the arena, into the caller's tensors where these are given.
func (pl *plan) deliver(f *frame, c *Call) error {
	if c.Out == nil {
		c.Out = make([]*tensor.Tensor, pl.p.nout)
	}
	for i := range pl.p.nout {
		s := pl.outputs[i]
		t := f.t[s]
		if v := pl.vals[s]; c.Out[i] == nil && v.size < 0 && v.fact.Const == nil && !v.view && !slices.Contains(pl.inputs, s) {
			c.Out[i] = t // made during the run, owned by nobody else
			continue
		}
		if c.Out[i] == nil {
			c.Out[i] = t.Clone()
			continue
		}
		overwrite(c.Out[i], t)
	}
	return nil
}
