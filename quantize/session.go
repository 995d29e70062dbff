package quantize

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// session runs graphs over the calibration samples, one run at a time in their order, so that what is added up along
// the way does not depend on anything else.
type session struct {
	ctx context.Context
	set *data.Set
	o   Options

	notes []string // warnings of the result

	// states are the inputs that the float graph hands from sample to sample (Options.Carry), by sample and input: what all
	// passes are given, so that they differ in nothing but the layers that they look at.
	states []map[int]*tensor.Tensor
}

// carry runs the float graph over the samples and keeps the states that it hands on.
func (s *session) carry(g *graph.Graph) error {
	c, err := engine.NewCarry(g, s.o.Carry)
	if c == nil || err != nil || s.set == nil {
		return err
	}
	p, err := engine.Compile(s.ctx, g, engine.Options{Threads: s.o.Threads, CPU: s.o.CPU})
	if err != nil {
		return err
	}
	defer p.Close()
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	for b, err := range s.set.Stream(ctx, s.batch(g), s.o.Threads) {
		if err != nil {
			return err
		}
		in := c.Before(b.In)
		state := map[int]*tensor.Tensor{}
		for i, t := range in {
			if t != b.In[i] {
				state[i] = t
			}
		}
		call := engine.Call{In: in}
		if err := p.Run(ctx, &call); err != nil {
			return fmt.Errorf("%s: %w", b.Names[0], err)
		}
		c.After(call.Out)
		s.states = append(s.states, state)
	}
	return s.ctx.Err()
}

// batch is how many samples one run of g takes.
func (s *session) batch(g *graph.Graph) int {
	if len(g.Inputs) > 0 && g.Inputs[0].Rank() > 0 && !s.set.Whole() {
		if n, ok := g.Inputs[0].Shape[0].Value(); ok {
			return max(n, 1)
		}
	}
	return 1
}

// observer is shown watched values of each run, in the order of the program's steps. sample counts runs.
type observer func(sample int, v *graph.Value, t *tensor.Tensor) error

// walk is one run over the samples.
type walk struct {
	stage string
	g     *graph.Graph
	batch int            // samples a run
	watch []*graph.Value // shown to see
	limit int            // runs; 0: as many as there are
	see   observer

	// A graph that begins at inner values takes those that more has for a run after the inputs of the whole graph, or, if it
	// is bare, alone. after is told of each run.
	bare  bool
	more  func(sample int) []*tensor.Tensor
	after func(sample, total int)
}

// pass runs g over at most limit samples (0: all).
func (s *session) pass(stage string, g *graph.Graph, watch []*graph.Value, limit int, see observer) error {
	return s.walk(walk{stage: stage, g: g, batch: s.batch(g), watch: watch, limit: limit, see: see})
}

func (s *session) walk(w walk) error {
	inputs := map[*graph.Value]int{}
	for i, v := range w.g.Inputs {
		inputs[v] = i
	}
	var inner []*graph.Value
	var outer []*graph.Value
	for _, v := range w.watch {
		if _, ok := inputs[v]; ok {
			outer = append(outer, v)
		} else {
			inner = append(inner, v)
		}
	}
	p, err := engine.Compile(s.ctx, w.g, engine.Options{Threads: s.o.Threads, CPU: s.o.CPU, Watch: inner})
	if err != nil {
		return err
	}
	defer p.Close()
	total := s.set.Len() / w.batch
	if w.limit > 0 {
		total = min(total, w.limit)
	}
	if total == 0 {
		return fmt.Errorf("%d samples do not fill the model's batch of %d", s.set.Len(), w.batch)
	}
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	order := map[*graph.Node]int{}
	for i, n := range w.g.Nodes {
		order[n] = i
	}
	r := runner{p: p, more: w.more, outer: outer, inputs: inputs, order: order, see: w.see}
	stream := s.names(w.batch)
	if !w.bare {
		r.states = s.states
		stream = s.set.Stream(ctx, w.batch, s.o.Threads)
	}
	done := 0
	for b, err := range stream {
		if err != nil {
			return err
		}
		if done == total {
			break
		}
		if err := r.run(s.ctx, b, done); err != nil {
			return err
		}
		if w.after != nil {
			w.after(done, total)
		}
		done++
		s.o.progress(w.stage, done, total)
	}
	return s.ctx.Err()
}

// names are batches of the set that nothing was read for.
func (s *session) names(batch int) iter.Seq2[data.Batch, error] {
	return func(yield func(data.Batch, error) bool) {
		for i := 0; i < s.set.Len(); i += batch {
			if !yield(data.Batch{First: i, Names: []string{s.set.Name(i)}}, s.ctx.Err()) {
				return
			}
		}
	}
}

// runner shows the watched values of single runs.
type runner struct {
	p      *engine.Program
	states []map[int]*tensor.Tensor
	more   func(sample int) []*tensor.Tensor // inputs after those of the sample; nil: none
	outer  []*graph.Value                    // watched inputs of the graph
	inputs map[*graph.Value]int
	order  map[*graph.Node]int
	see    observer
}

// run answers for one sample. Of several complaints of the observer it gives that about the earliest node.
func (r *runner) run(ctx context.Context, b data.Batch, sample int) error {
	name := func(err error) error { return fmt.Errorf("%s: %w", b.Names[0], err) }
	in := b.In
	if r.states != nil {
		in = slices.Clone(in)
		for i, t := range r.states[sample] {
			in[i] = t
		}
	}
	if r.more != nil {
		in = slices.Concat(in, r.more(sample))
	}
	for _, v := range r.outer {
		if err := r.see(sample, v, in[r.inputs[v]]); err != nil {
			return name(fmt.Errorf("input %q: %w", v.Name, err))
		}
	}
	var complaint error
	first := len(r.order)
	show := func(v *graph.Value, t *tensor.Tensor) {
		if err := r.see(sample, v, t); err != nil && r.order[v.Def] < first {
			first, complaint = r.order[v.Def], name(graph.NodeError(v.Def, err))
		}
	}
	if err := r.p.Run(ctx, &engine.Call{In: in, Observe: show}); err != nil {
		return name(err)
	}
	return complaint
}
