package engine

import (
	"context"
	"time"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// StepTime is one step of a program: the operator that stands for it, how long it took, and whether that operator's own
// kernel did the work.
type StepTime struct {
	Op, Name string
	Shape    []int // of the first output
	Took     time.Duration
	Kernel   bool
}

// Steps runs a program step by step and gives the shortest time of each.
func (p *Program) Steps(in []*tensor.Tensor, runs int) ([]StepTime, error) {
	pl, err := newPlan(p, in)
	if err != nil {
		return nil, err
	}
	f, list := p.cache.take(pl), make([]StepTime, len(pl.steps))
	x := &exec{Exec: &graph.Exec{Ctx: context.Background(), Threads: p.pool.threads}, p: p, scratch: &f.scratch, shared: &f.shared}
	for i, s := range pl.inputs {
		f.t[s] = aligned(in[i])
	}
	for range runs {
		for i := range pl.steps {
			st, out := &pl.steps[i], &list[i]
			x.left = func(graph.Op) { out.Kernel = true }
			from := time.Now()
			if err := pl.step(x, f, st); err != nil {
				return nil, graph.NodeError(original(st.node), err)
			}
			took := time.Since(from)
			if out.Op == "" || took < out.Took {
				out.Took = took
			}
			out.Op, out.Name = original(st.node).OpName(), st.node.Name
			for _, s := range st.out {
				if s >= 0 && out.Shape == nil {
					out.Shape = f.t[s].Shape
				}
			}
		}
	}
	return list, nil
}

// PairsFit says of each integer product with packed weights whether their pairs fit int16.
func (p *Program) PairsFit() []bool {
	var fit []bool
	p.g.Walk(func(n *graph.Node) {
		switch op := n.Op.(type) {
		case qconv:
			if !op.depth {
				fit = append(fit, op.fit)
			}
		case integerConv:
			fit = append(fit, op.fit)
		case qconv16:
			fit = append(fit, op.fit)
		case qgemm:
			fit = append(fit, op.fit)
		case qgemm16:
			fit = append(fit, op.fit)
		case integerMatMul:
			fit = append(fit, op.fit)
		}
	})
	return fit
}

// StoreBytes is how many bytes of weights the process holds for all programs.
func StoreBytes() int {
	packings.mu.Lock()
	defer packings.mu.Unlock()
	n := 0
	for _, b := range packings.blobs {
		n += b.bytes
	}
	return n
}
