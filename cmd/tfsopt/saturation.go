package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/tfsopt/tfsopt/doctor"
	"github.com/tfsopt/tfsopt/graph"
)

// saturation counts what can saturate in a graph, with data on its samples, and warns.
func (a *app) saturation(ctx context.Context, path string, g *graph.Graph, s doctor.Samples) (*doctor.Saturation, error) {
	s.Threads = a.threads
	r, err := doctor.CheckSaturation(ctx, g, s)
	if err != nil {
		return nil, at(path, err)
	}
	if r.Unsafe > 0 {
		a.warn(r.Warning(path))
	}
	return r, nil
}

// printSaturation prints the layers with unsafe pairs; nothing for a graph without integer products.
func (a *app) printSaturation(r *doctor.Saturation) error {
	if r == nil || r.Pairs == 0 {
		return nil
	}
	line := fmt.Sprintf("\n%d of %d pairs of 8-bit products can saturate without VNNI", r.Unsafe, r.Pairs)
	if r.Samples > 0 {
		line += fmt.Sprintf("; on %d samples %d sums do", r.Samples, r.Sums())
	}
	if err := a.printf("%s\n", line); err != nil || r.Unsafe == 0 {
		return err
	}
	var rows [][]string
	for _, l := range r.Layers {
		if l.Unsafe == 0 {
			continue
		}
		row := []string{l.Name, l.Op, strconv.Itoa(l.Pairs), strconv.Itoa(l.Unsafe), strconv.Itoa(l.Worst.Sum), "-", "-"}
		if l.Largest != nil {
			row[5], row[6] = strconv.Itoa(*l.Largest), strconv.Itoa(*l.Clamped)
		}
		rows = append(rows, row)
	}
	return a.table([]column{
		text("layer"), text("operator"), number("pairs"), number("unsafe"), number("possible sum"), number("largest seen"), number("clamped"),
	}, rows)
}

// inspectSaturation opens the data if inspect was given any.
func (a *app) inspectSaturation(ctx context.Context, path string, g *graph.Graph, o inspectOptions) (*doctor.Saturation, error) {
	var s doctor.Samples
	if o.data.path != "" {
		var err error
		if s.Set, err = o.data.open(dataInputs(g)); err != nil {
			return nil, err
		}
		defer s.Set.Close()
		if s.Carry, err = o.data.carry(); err != nil {
			return nil, err
		}
	}
	return a.saturation(ctx, path, g, s)
}
