package graph

import (
	"context"
	"time"
)

// Pass is a rewrite. Apply changes g itself, whose types are inferred, not the bodies inside it, and says how many changes
// it made.
type Pass interface {
	Name() string
	Apply(ctx context.Context, g *Graph) (changes int, err error)
}

// Pipeline is a list of passes that run in order.
type Pipeline []Pass

// PassResult says what one pass did.
type PassResult struct {
	Pass    string
	Changes int
	Time    time.Duration
}

// Run applies each pass to the bodies and to g, then sorts, infers and checks. after, if not nil, is called after
// each pass. A failure is a PassError.
func (p Pipeline) Run(ctx context.Context, g *Graph, after func(PassResult, *Graph)) ([]PassResult, error) {
	var results []PassResult
	if err := g.Infer(); err != nil {
		return nil, err
	}
	g.index = g.Index()
	defer func() { g.index = Index{} }()
	for _, pass := range p {
		if err := ctx.Err(); err != nil {
			return results, err
		}
		start := time.Now()
		changes, err := applyDeep(ctx, pass, g)
		if err == nil && changes > 0 {
			if err = g.Infer(); err == nil {
				err = g.Check()
			}
		}
		if err != nil {
			return results, &PassError{pass.Name(), err}
		}
		results = append(results, PassResult{pass.Name(), changes, time.Since(start)})
		if after != nil {
			after(results[len(results)-1], g)
		}
	}
	return results, nil
}

// applyDeep applies a pass to g and its bodies. A body that does not fit the values that reach it, as in a branch for other
// shapes, stays as it is.
func applyDeep(ctx context.Context, pass Pass, g *Graph) (int, error) {
	total := 0
	for _, n := range g.Nodes {
		for _, b := range Bodies(n.Op) {
			if b.Infer() != nil {
				continue
			}
			c, err := applyDeep(ctx, pass, b)
			if err != nil {
				return total, err
			}
			total += c
		}
	}
	c, err := pass.Apply(ctx, g)
	return total + c, err
}
