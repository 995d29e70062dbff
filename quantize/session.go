package quantize

import (
	"context"
	"errors"
	"fmt"

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
}

// observer is shown watched values of each run, in the order of the program's steps. sample counts runs.
type observer func(sample int, v *graph.Value, t *tensor.Tensor) error

// pass runs g over at most limit samples (0: all).
func (s *session) pass(stage string, g *graph.Graph, watch []*graph.Value, limit int, see observer) error {
	inputs := map[*graph.Value]int{}
	for i, v := range g.Inputs {
		inputs[v] = i
	}
	var inner []*graph.Value
	var outer []*graph.Value
	for _, v := range watch {
		if _, ok := inputs[v]; ok {
			outer = append(outer, v)
		} else {
			inner = append(inner, v)
		}
	}
	p, err := engine.Compile(s.ctx, g, engine.Options{Threads: s.o.Threads, CPU: s.o.CPU, Watch: inner})
	if err != nil {
		return err
	}
	defer p.Close()
	batch := 1
	if len(g.Inputs) > 0 && g.Inputs[0].Rank() > 0 {
		if n, ok := g.Inputs[0].Shape[0].Value(); ok {
			batch = max(n, 1)
		}
	}
	total := s.set.Len() / batch
	if limit > 0 {
		total = min(total, limit)
	}
	if total == 0 {
		return fmt.Errorf("%d samples do not fill the model's batch of %d", s.set.Len(), batch)
	}
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	done := 0
	for b, err := range s.set.Stream(ctx, batch, s.o.Threads) {
		if err != nil {
			return err
		}
		if done == total {
			break
		}
		if err := s.run(p, b, outer, inputs, done, see); err != nil {
			return err
		}
		done++
		s.o.progress(stage, done, total)
	}
	return s.ctx.Err()
}

func (s *session) run(p *engine.Program, b data.Batch, outer []*graph.Value, inputs map[*graph.Value]int, done int, see observer) error {
	var seen error
	name := func(err error) error { return fmt.Errorf("sample %s: %w", b.Names[0], err) }
	show := func(v *graph.Value, t *tensor.Tensor) {
		if seen != nil {
			return
		}
		if err := see(done, v, t); err != nil {
			if v.Def != nil {
				err = graph.NodeError(v.Def, err)
			} else {
				err = fmt.Errorf("input %q: %w", v.Name, err)
			}
			seen = name(err)
		}
	}
	for _, v := range outer {
		show(v, b.In[inputs[v]])
	}
	if seen != nil {
		return seen
	}
	if err := p.Run(s.ctx, &engine.Call{In: b.In, See: show}); err != nil {
		return errors.Join(seen, name(err))
	}
	return seen
}
