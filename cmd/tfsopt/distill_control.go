package main

import (
	"context"
	"fmt"

	"github.com/tfsopt/tfsopt/distill"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/train"
)

// worth is what a teacher was worth: the mean difference of accuracy on held-out images between students with and
// without it, with a 95 % interval.
type worth struct {
	Seeds      int       `json:"seeds"`
	Images     int       `json:"images"`
	Distilled  []float64 `json:"distilled"` // accuracy of each seed, percent
	Control    []float64 `json:"control"`
	Gain       float64   `json:"gain"` // percentage points
	Lo         float64   `json:"lo"`
	Hi         float64   `json:"hi"`
	Confidence float64   `json:"confidence"`
}

// String says it in a sentence.
func (w *worth) String() string {
	verdict := "the interval holds zero: no gain is shown"
	switch {
	case w.Lo > 0:
		verdict = "the teacher helped"
	case w.Hi < 0:
		verdict = "the teacher did harm"
	}
	return fmt.Sprintf("with teacher %.2f %%, without %.2f %% (%d seeds, %d held-out images): %+.2f points, 95 %% interval %+.2f to %+.2f: %s",
		distill.Mean(w.Distilled), distill.Mean(w.Control), w.Seeds, w.Images, w.Gain, w.Lo, w.Hi, verdict)
}

// withControl trains with and without the teacher for each seed, and keeps the first seed's student.
func (d *distilling) withControl(ctx context.Context, g *graph.Graph) (*graph.Graph, error) {
	w := &worth{Seeds: d.seeds, Images: d.pair[1].Len(), Confidence: 0.95}
	var first *graph.Graph
	var gains []distill.Paired
	checkpoint, seed := d.Checkpoint, d.Seed
	for i := range d.seeds {
		start := g
		d.Seed = seed + uint64(i)
		if d.init != "" && i > 0 {
			var err error
			if start, err = train.Init(g, d.Seed, true); err != nil {
				return nil, err
			}
		}
		arm := func(name string, fit func(context.Context, *graph.Graph) (*graph.Graph, error)) (*graph.Graph, []bool, error) {
			if checkpoint != "" {
				d.Checkpoint = fmt.Sprintf("%s.%s%d", checkpoint, name, i)
			}
			s, err := fit(ctx, start)
			if err != nil {
				return nil, nil, err
			}
			right, err := train.Right(ctx, s, d.pair[1], d.Options)
			return s, right, err
		}
		student, with, err := arm("distilled", d.fitOne)
		if err != nil {
			return nil, err
		}
		curve := d.curve
		_, without, err := arm("control", d.alone)
		if err != nil {
			return nil, err
		}
		if first == nil {
			first = student
		} else {
			curve = d.curve
		}
		d.curve = curve
		gains = append(gains, distill.Paired{With: with, Without: without})
		w.Distilled, w.Control = append(w.Distilled, share(with)), append(w.Control, share(without))
	}
	w.Gain, w.Lo, w.Hi = distill.Gain(gains)
	d.worth = w
	return first, nil
}

// alone trains the student with the labels only.
func (d *distilling) alone(ctx context.Context, g *graph.Graph) (*graph.Graph, error) {
	r, err := d.fit(ctx, d.app, g, d.pair)
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	return r.Graph, nil
}

// share is the share of true values in percent.
func share(v []bool) float64 {
	n := 0
	for _, ok := range v {
		if ok {
			n++
		}
	}
	return 100 * float64(n) / float64(max(len(v), 1))
}
