package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/tfsopt/tfsopt/doctor"
	"github.com/tfsopt/tfsopt/evaluate"
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

// saturationSection is what reports say of it, with a table of the layers that have unsafe pairs; nil for a graph without
// integer products.
func saturationSection(r *doctor.Saturation) *evaluate.Section {
	if r == nil || r.Pairs == 0 {
		return nil
	}
	s := &evaluate.Section{
		Title: "Saturation",
		Text:  fmt.Sprintf("%d of %d pairs of 8-bit products can saturate without VNNI", r.Unsafe, r.Pairs),
	}
	if r.Samples > 0 {
		s.Text += fmt.Sprintf(";\nsums that do on %s: %d", evaluate.Plural(r.Samples, "sample"), r.Sums())
	}
	if r.Unsafe == 0 {
		return s
	}
	s.Table = &evaluate.Table{Columns: []evaluate.Column{
		{Title: "layer", Text: true},
		{Title: "operator", Text: true},
		{Title: "pairs"},
		{Title: "unsafe"},
		{Title: "possible sum"},
		{Title: "largest seen"},
		{Title: "clamped"},
	}}
	for _, l := range r.Layers {
		if l.Unsafe == 0 {
			continue
		}
		row := []string{l.Name, l.Op, strconv.Itoa(l.Pairs), strconv.Itoa(l.Unsafe), strconv.Itoa(l.Worst.Sum), "-", "-"}
		if l.Largest != nil {
			row[5], row[6] = strconv.Itoa(*l.Largest), strconv.Itoa(*l.Clamped)
		}
		s.Table.Rows = append(s.Table.Rows, row)
	}
	return s
}

// printSaturation prints that section.
func (a *app) printSaturation(r *doctor.Saturation) error {
	s := saturationSection(r)
	if s == nil {
		return nil
	}
	if err := a.printf("\n%s\n", s.Text); err != nil || s.Table == nil {
		return err
	}
	var columns []column
	for _, c := range s.Table.Columns {
		if c.Text {
			columns = append(columns, text(c.Title))
		} else {
			columns = append(columns, number(c.Title))
		}
	}
	return a.table(columns, s.Table.Rows)
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
