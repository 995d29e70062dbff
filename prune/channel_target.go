package prune

import (
	"context"
	"errors"
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
)

// searchChannels finds the least share of multiply-adds to cut at which the graph costs no more than o.Target.
func searchChannels(ctx context.Context, g *graph.Graph, o ChannelOptions) (*graph.Graph, *ChannelReport, error) {
	if _, err := o.defaults(); err != nil {
		return nil, nil, err
	}
	g, err := o.prepare(ctx, g)
	if err != nil {
		return nil, nil, err
	}
	target, tolerance := o.Target, o.Target.Tolerance
	if tolerance == 0 {
		tolerance = 0.0005
	}
	o.Target, o.AsIs, o.Sparsity = nil, true, 1-1e-9
	most, err := planChannels(ctx, g, o)
	var short *shortError
	if err != nil && !errors.As(err, &short) {
		return nil, nil, err
	}
	hi := 1 - float64(most.macs)/float64(max(most.work.total, 1))
	if hi <= 0 {
		return nil, nil, fmt.Errorf("target of %g %s: no channel that may go saves a multiply-add", target.Limit, target.Name)
	}
	lo := min(tolerance, hi)
	var last float64
	var out *graph.Graph
	var report *ChannelReport
	_, err = Bisect(lo, hi, tolerance, func(share float64) (bool, error) {
		o.Sparsity = share
		cut, r, err := Channels(ctx, g, o)
		if err != nil {
			return false, err
		}
		if last, err = target.Cost(ctx, cut); err != nil || last > target.Limit {
			return false, err
		}
		out, report = cut, r // the last that is enough is the one with the least share
		return true, nil
	})
	if errors.Is(err, ErrNotEnough) {
		return nil, nil, fmt.Errorf("target of %g %s: with %.4g %% of the multiply-adds cut, the most that can go, it is still %g", target.Limit, target.Name, 100*hi, last)
	}
	return out, report, err
}
