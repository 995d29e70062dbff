package evaluate

import (
	"context"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat"

	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/tensor"
)

const (
	defaultLatencyTime = 2 * time.Second
	minRounds          = 3
	latencyRounds      = 10_000
	progressEvery      = 20 * time.Millisecond
)

// racing says how long contestants run: each for Limit, at least three rounds, at most Rounds of them unless that is 0.
type racing struct {
	Limit    time.Duration
	Rounds   int
	Progress func(done, total time.Duration)
}

// contestant is a compiled model with the inputs that it is timed on, one list for each turn.
type contestant struct {
	program *engine.Program
	inputs  [][]*tensor.Tensor
	carry   *engine.Carry
	call    engine.Call
	took    []float64 // milliseconds
}

// once answers the inputs of one turn.
func (c *contestant) once(ctx context.Context, turn int) (time.Duration, error) {
	c.call.In = c.carry.Before(c.inputs[turn%len(c.inputs)])
	begin := time.Now()
	err := c.program.Run(ctx, &c.call)
	took := time.Since(begin)
	if err == nil {
		c.carry.After(c.call.Out)
	}
	return took, err
}

// race times the contestants in turn, changing who begins. The first round of each input is not counted: it makes plans and
// fills caches.
func race(ctx context.Context, all []*contestant, r racing) error {
	for _, c := range all {
		if _, err := c.once(ctx, 0); err != nil {
			return err
		}
	}
	var spent, shown time.Duration
	limit := r.Limit * time.Duration(len(all))
	for round := 0; round < minRounds || spent < limit && (r.Rounds == 0 || round < r.Rounds); round++ {
		for i := range all {
			c := all[(i+round)%len(all)]
			d, err := c.once(ctx, round)
			if err != nil {
				return err
			}
			c.took = append(c.took, float64(d.Nanoseconds())/1e6)
			spent += d
		}
		if r.Progress != nil && (spent >= limit || spent-shown >= progressEvery) {
			r.Progress(min(spent, limit), limit)
			shown = spent
		}
	}
	return nil
}

// percentile is the smallest time that a share p of the runs did not exceed.
func percentile(ms []float64, p float64) float64 {
	s := slices.Sorted(slices.Values(ms))
	return stat.Quantile(p, stat.Empirical, s, nil)
}

// median of times, the mean of the middle two if their number is even.
func median(ms []float64) float64 {
	s := slices.Sorted(slices.Values(ms))
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2
}

// pairedRatio is the median of b/a over the rounds.
func pairedRatio(a, b []float64) float64 {
	r := make([]float64, min(len(a), len(b)))
	for i := range r {
		r[i] = b[i] / max(a[i], 1e-6)
	}
	return median(r)
}

// latencySamples is how many samples are decoded for timing.
const latencySamples = 8

// latency times both models on the same samples, the smallest batch that they take.
func (e *evaluation) latency(ctx context.Context) error {
	limit := e.o.LatencyTime
	if limit == 0 {
		limit = defaultLatencyTime
	}
	m, err := newSide(ctx, "model", e.model.Model, e.o)
	if err != nil {
		return err
	}
	defer m.program.Close()
	all := []*contestant{{program: m.program}}
	batch := max(m.fixed, 1)
	if e.ref != nil {
		r, err := newSide(ctx, "reference", e.ref.Model, e.o)
		if err != nil {
			return err
		}
		defer r.program.Close()
		all = append(all, &contestant{program: r.program})
		if max(r.fixed, 1) != batch {
			e.warn("the model takes batches of %d and the reference of %d: latency was not compared", batch, max(r.fixed, 1))
			return nil
		}
	}
	for i := range min(latencySamples, e.res.Samples) {
		if err := e.timed(all, i, batch); err != nil {
			return err
		}
	}
	if err := race(ctx, all, racing{Limit: limit / time.Duration(len(all)), Rounds: latencyRounds}); err != nil {
		return err
	}
	l := &Latency{
		Batch: batch, Runs: len(all[0].took), Threads: threads(e.o.Threads), CPU: m.program.CPU(), ModelMS: median(all[0].took),
	}
	if len(all) > 1 {
		ref, ratio := median(all[1].took), pairedRatio(all[0].took, all[1].took)
		l.ReferenceMS, l.Ratio = &ref, &ratio
	}
	e.res.Latency = l
	return nil
}

// timed gives both contestants sample i.
func (e *evaluation) timed(all []*contestant, i, batch int) error {
	s, err := e.o.Set.Sample(i)
	if err != nil {
		return err
	}
	all[0].inputs = append(all[0].inputs, e.model.piece(s.In, 0, 1, batch))
	if len(all) == 1 {
		return nil
	}
	if e.o.ReferenceSet != nil {
		if s, err = e.o.ReferenceSet.Sample(i); err != nil {
			return err
		}
	}
	all[1].inputs = append(all[1].inputs, e.ref.piece(s.In, 0, 1, batch))
	return nil
}
