package train

import (
	"context"
	"runtime"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// scorer measures a model that is being trained on held-out samples.
type scorer struct {
	scorerOptions
	prog    *engine.Program
	cache   *cache
	own     int
	in      []*tensor.Tensor
	batch   int
	classes int
}

type scorerOptions struct {
	set             *data.Set
	output, threads int
}

// heldBatch is how many samples are scored together; the number changes no result.
const heldBatch = 100

func newScorer(ctx context.Context, m *Model, o scorerOptions) (*scorer, error) {
	s := &scorer{scorerOptions: o, cache: newCache(o.set, 0), batch: min(heldBatch, o.set.Len())}
	g, err := m.open(s.batch)
	if err != nil {
		return nil, err
	}
	b := graph.NewBuilder(g.Graph)
	v, err := Logits(b, g.Outputs[o.output])
	if err != nil {
		return nil, err
	}
	shape, _ := v.Fixed()
	s.classes, s.own = shape[1], g.own
	g.Outputs = []*graph.Value{v}
	for _, v := range g.Inputs[g.own:] {
		for p, w := range g.value {
			if w == v {
				s.in = append(s.in, p.Data)
			}
		}
	}
	s.prog, err = engine.Compile(ctx, g.Graph, engine.Options{Threads: o.threads, Plans: 1})
	return s, err
}

func (s *scorer) close() { s.prog.Close() }

// Right tells of each sample of a labelled set whether g's highest score is its label's. Of the options Output and Threads
// matter.
func Right(ctx context.Context, g *graph.Graph, set *data.Set, o Options) ([]bool, error) {
	m, err := NewModel(g)
	if err != nil {
		return nil, err
	}
	m.dims = o.Dims
	s, err := newScorer(ctx, m, scorerOptions{set: set, output: o.Output, threads: o.Threads})
	if err != nil {
		return nil, err
	}
	defer s.close()
	return s.right(ctx)
}

// accuracy is the share of samples, in percent, whose highest score is their label's.
func (s *scorer) accuracy(ctx context.Context) (float64, error) {
	list, err := s.right(ctx)
	count := 0
	for _, ok := range list {
		if ok {
			count++
		}
	}
	return 100 * float64(count) / float64(max(len(list), 1)), err
}

// right tells of each sample whether it is recognised.
func (s *scorer) right(ctx context.Context) ([]bool, error) {
	n := s.set.Len()
	out := make([]bool, 0, n)
	for from := 0; from < n; from += s.batch {
		samples, labels := make([][]*tensor.Tensor, s.batch), make([]int, s.batch)
		err := parallel(max(s.threads, runtime.GOMAXPROCS(0)), s.batch, func(i int) (err error) {
			at := min(from+i, n-1)
			labels[i] = s.set.Label(at) // the last batch is filled up with copies
			samples[i], err = s.cache.sample(at)
			return err
		})
		if err != nil {
			return nil, err
		}
		call := engine.Call{In: append(stack(samples), s.in...)}
		if err := s.prog.Run(ctx, &call); err != nil {
			return nil, err
		}
		scores := tensor.Floats(call.Out[0])
		for i := range min(s.batch, n-from) {
			out = append(out, right(scores[i*s.classes:(i+1)*s.classes], labels[i:i+1], s.classes) == 1)
		}
	}
	return out, nil
}
