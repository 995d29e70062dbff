package prune

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// sampleBudget bounds the prepared samples that are kept in memory between passes, in bytes.
const sampleBudget = 1 << 30

// session runs graphs over the samples, one run at a time in their order, so that sums along the way repeat.
type session struct {
	ctx   context.Context
	o     Options
	kept  []data.Batch
	whole bool // kept has all of them
}

// batch is how many samples of a set a run of g takes.
func batch(g *graph.Graph, set *data.Set) int {
	if len(g.Inputs) > 0 && g.Inputs[0].Rank() > 0 && !set.Whole() {
		if n, ok := g.Inputs[0].Shape[0].Value(); ok {
			return max(n, 1)
		}
	}
	return 1
}

// each shows the batches of samples that g takes, in order, limit at most (0: all).
func (s *session) each(g *graph.Graph, limit int, see func(i int, b data.Batch) error) error {
	size := batch(g, s.o.Data)
	total := s.o.Data.Len() / size
	if limit > 0 {
		total = min(total, limit)
	}
	if total == 0 {
		return fmt.Errorf("%d samples do not fill the model's batch of %d", s.o.Data.Len(), size)
	}
	if s.whole || len(s.kept) >= total {
		for i, b := range s.kept[:min(total, len(s.kept))] {
			if err := see(i, b); err != nil {
				return err
			}
		}
		return nil
	}
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	used, i := 0, 0
	var kept []data.Batch
	for b, err := range s.o.Data.Stream(ctx, size, s.o.Threads) {
		if err != nil {
			return err
		}
		if i == total {
			break
		}
		for _, t := range b.In {
			used += t.Bytes()
		}
		if used <= sampleBudget {
			kept = append(kept, b)
		}
		if err := see(i, b); err != nil {
			return err
		}
		i++
	}
	if len(kept) == i && limit == 0 && s.ctx.Err() == nil {
		s.kept, s.whole = kept, true
	}
	return s.ctx.Err()
}

// prefix is a program that computes some values of a graph, with nothing after them.
type prefix struct {
	p    *engine.Program
	from []int // for each value: an output of the program, or -1 - the input that it is
}

// prefix compiles what leads to the values, which are g's.
func (s *session) prefix(g *graph.Graph, want []*graph.Value) (*prefix, error) {
	c, of := g.CloneMap()
	out := &prefix{}
	need := map[*graph.Node]bool{}
	c.Outputs, c.Signatures, c.States = nil, nil, nil
	for _, v := range want {
		at := -1
		for i, in := range g.Inputs {
			if in == v {
				at = i
			}
		}
		if at >= 0 {
			out.from = append(out.from, -1-at)
			continue
		}
		out.from = append(out.from, len(c.Outputs))
		c.Outputs = append(c.Outputs, of[v])
		need[of[v].Def] = true
	}
	if len(c.Outputs) == 0 {
		return out, nil
	}
	for i := len(c.Nodes) - 1; i >= 0; i-- {
		if !need[c.Nodes[i]] {
			continue
		}
		for _, v := range c.Nodes[i].In {
			if v != nil && v.Def != nil {
				need[v.Def] = true
			}
		}
	}
	c.Remove(func(n *graph.Node) bool { return !need[n] })
	var err error
	out.p, err = engine.Compile(s.ctx, c, engine.Options{Threads: s.o.Threads, CPU: s.o.CPU})
	return out, err
}

func (p *prefix) close() {
	if p.p != nil {
		p.p.Close()
	}
}

// run gives the values for one batch.
func (p *prefix) run(ctx context.Context, b data.Batch) ([]*tensor.Tensor, error) {
	call := &engine.Call{In: b.In}
	if p.p != nil {
		if err := p.p.Run(ctx, call); err != nil {
			return nil, fmt.Errorf("%s: %w", b.Names[0], err)
		}
	}
	out := make([]*tensor.Tensor, len(p.from))
	for i, at := range p.from {
		if at < 0 {
			out[i] = b.In[-1-at]
		} else {
			out[i] = call.Out[at]
		}
	}
	return out, nil
}

// measureSamples bounds the runs that layers are measured on.
const measureSamples = 8

// measure compares the outputs of each layer in both graphs.
func (s *session) measure(f *graph.Graph, r *Result) error {
	nodes := map[string]*graph.Node{}
	list, _ := matrices(r.Graph)
	for _, m := range list {
		nodes[m.value.Name] = m.node
	}
	var plain, pruned []*graph.Value
	all, _ := matrices(f)
	for _, m := range all {
		i := slices.IndexFunc(m.node.Out, func(v *graph.Value) bool { return v != nil })
		plain, pruned = append(plain, m.node.Out[i]), append(pruned, nodes[m.value.Name].Out[i])
	}
	a, err := s.prefix(f, plain)
	if err != nil {
		return err
	}
	defer a.close()
	b, err := s.prefix(r.Graph, pruned)
	if err != nil {
		return err
	}
	defer b.close()
	signal, noise := make([]float64, len(plain)), make([]float64, len(plain))
	err = s.each(f, measureSamples, func(i int, batch data.Batch) error {
		want, err := a.run(s.ctx, batch)
		if err != nil {
			return err
		}
		got, err := b.run(s.ctx, batch)
		if err != nil {
			return err
		}
		for j, t := range want {
			x, y := tensor.Floats(t), tensor.Floats(got[j])
			for at, v := range x {
				d := float64(v) - float64(y[at])
				signal[j] += float64(float64(v) * float64(v))
				noise[j] += float64(d * d)
			}
		}
		s.o.progress("measure", i+1, min(measureSamples, s.o.Data.Len()))
		return nil
	})
	for j := range r.Layers {
		if signal[j] > 0 && noise[j] > 0 {
			r.Layers[j].OutputDB = 10 * math.Log10(signal[j]/noise[j])
		}
	}
	return err
}
