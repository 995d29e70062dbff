package main

import (
	"context"
	"fmt"
	"io"
	"math"

	"github.com/olekukonko/tablewriter/tw"
	"github.com/spf13/pflag"

	"github.com/tfsopt/tfsopt/evaluate"
	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/train"
)

// trainReportKinds are the reports of verbs that train.
var trainReportKinds = []string{"html", "md", "json"}

// conclusion writes the reports of a verb that trains and prints its result.
func (a *app) conclusion(ctx context.Context, r *change, t *trainFlags, title string) error {
	files := []modelFile{r.Input}
	if r.Output != nil {
		files = append(files, *r.Output)
	}
	r.Origin = a.origin(files...)
	for _, path := range t.reports {
		err := formats.Atomic(ctx, path, func(w io.Writer) error {
			if reportKind(path) == "json" {
				return encodeJSON(w, r)
			}
			return evaluate.WriteDocument(w, reportKind(path), r.document(title, t.flags))
		})
		if err != nil {
			return at(path, err)
		}
	}
	if err := a.curveTable(r.Curve); err != nil {
		return err
	}
	if err := a.report(r); err != nil || a.json || a.quiet || r.Held == nil {
		return err
	}
	return a.printf("%s\n", r.Held)
}

// document is the report. Of the teacher it claims what was measured against a control, else nothing.
func (r *change) document(title string, flags *pflag.FlagSet) *evaluate.Document {
	d := &evaluate.Document{Title: title, Sentence: r.sentence(), Warnings: r.Warnings, Tiles: r.tiles(), Origin: r.Origin}
	d.Path = r.Input.Path
	if r.Output != nil {
		d.Path += " → " + r.Output.Path
	}
	if len(r.Curve) > 0 {
		d.Sections = append(d.Sections, curveSection(r.Curve))
	}
	if r.Worth != nil {
		d.Sections = append(d.Sections, r.Worth.section(r.Curve))
	}
	if columns, rows := layerTable(r.Layers); rows != nil {
		d.Sections = append(d.Sections, evaluate.Section{Title: "Layers", Table: documentTable(columns, rows)})
	}
	var options [][]string
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed || always[f.Name] {
			options = append(options, []string{"--" + f.Name, f.Value.String()})
		}
	})
	d.Sections = append(d.Sections, evaluate.Section{
		Title: "Options", Table: documentTable([]column{text("option"), text("value")}, options),
	})
	return d
}

// always are the options that a report tells even where they have their defaults.
var always = map[string]bool{"epochs": true, "lr": true, "batch": true, "optimizer": true, "schedule": true, "seed": true}

// sentence says what came of it.
func (r *change) sentence() string {
	switch {
	case r.Held != nil && r.Held.Drop != nil:
		return fmt.Sprintf("On %d held-out samples top-1 accuracy is %.2f %%; %s has %.2f %%. The drop is %.2f points, its %g %% interval %.2f to %.2f.",
			r.Held.Samples, *r.Held.Top1, r.Held.Reference, *r.Held.ReferenceTop1, *r.Held.Drop, 100*r.Held.Confidence,
			r.Held.DropCI[0], r.Held.DropCI[1])
	case r.Held != nil:
		return fmt.Sprintf("On %d held-out samples top-1 accuracy is %.2f %%.", r.Held.Samples, *r.Held.Top1)
	case len(r.Curve) > 0:
		return fmt.Sprintf("The loss went from %.4g in the first epoch to %.4g in the last. No held-out data was given, so nothing is said about accuracy.",
			r.Curve[0].Loss, r.Curve[len(r.Curve)-1].Loss)
	}
	return "No held-out data was given, so nothing is said about accuracy."
}

func (r *change) tiles() []evaluate.Tile {
	var out []evaluate.Tile
	if r.Held != nil {
		note := ""
		if r.Held.Drop != nil {
			note = fmt.Sprintf("%+.2f points", -*r.Held.Drop)
		}
		out = append(out, evaluate.Tile{Value: fmt.Sprintf("%.2f %%", *r.Held.Top1), Name: "held-out accuracy", Note: note})
	}
	if r.Output != nil {
		out = append(out, evaluate.Tile{
			Value: bytesText(r.Output.Bytes), Name: "on disk", Note: "instead of " + bytesText(r.Input.Bytes),
		})
	}
	if n := len(r.Curve); n > 0 {
		out = append(out, evaluate.Tile{Value: fmt.Sprintf("%.4f", r.Curve[n-1].Loss), Name: "training loss", Note: "in the last epoch"})
	}
	if w := r.Worth; w != nil {
		out = append(out, evaluate.Tile{
			Value: fmt.Sprintf("%+.2f points", w.Gain), Name: w.title(), Note: fmt.Sprintf("95 %% interval %+.2f to %+.2f", w.Lo, w.Hi),
		})
	}
	return out
}

// curveSection shows loss and accuracy by epoch.
func curveSection(curve []train.Epoch) evaluate.Section {
	loss := evaluate.Chart{X: "epoch", Y: "loss", Label: "loss by epoch", Lines: []evaluate.Line{
		{Name: "training loss", Y: pick(curve, func(e train.Epoch) float64 { return e.Loss })},
	}}
	accuracy := evaluate.Chart{X: "epoch", Y: "top-1 accuracy in %", Label: "accuracy by epoch"}
	for _, l := range []evaluate.Line{
		{Name: "training", Y: pick(curve, func(e train.Epoch) float64 { return float64(e.Accuracy) })},
		{Name: "held out", Y: pick(curve, heldOf), Second: true},
	} {
		if anyKnown(l.Y) {
			accuracy.Lines = append(accuracy.Lines, l)
		}
	}
	s := evaluate.Section{
		Title:  "Learning curve",
		Text:   "Training figures are means over an epoch, while the model changes and with what augmentation, mixing and dropout make harder; held-out ones are of the model at its end.",
		Charts: []evaluate.Chart{loss},
	}
	if accuracy.Lines != nil {
		s.Charts = append(s.Charts, accuracy)
	}
	columns, rows := curveRows(curve)
	s.Table = documentTable(columns, rows)
	return s
}

// section tells what the teacher was worth, with the curves of the first seed.
func (w *worth) section(curve []train.Epoch) evaluate.Section {
	return evaluate.Section{
		Title: "What the teacher was worth", Text: w.String() + ".",
		Charts: []evaluate.Chart{{X: "epoch", Y: "held-out accuracy in %", Label: "held-out accuracy with and without the teacher", Lines: []evaluate.Line{
			{Name: "with the teacher", Y: pick(curve, heldOf)},
			{Name: "without", Y: pick(w.Curve, heldOf), Second: true},
		}}},
	}
}

func heldOf(e train.Epoch) float64 { return float64(e.Held) }

func pick(curve []train.Epoch, of func(train.Epoch) float64) []float64 {
	y := make([]float64, len(curve))
	for i, e := range curve {
		y[i] = of(e)
	}
	return y
}

// anyKnown reports whether there is a number.
func anyKnown(y []float64) bool {
	for _, v := range y {
		if !math.IsNaN(v) {
			return true
		}
	}
	return false
}

func documentTable(columns []column, rows [][]string) *evaluate.Table {
	t := &evaluate.Table{Rows: rows}
	for _, c := range columns {
		t.Columns = append(t.Columns, evaluate.Column{Title: c.title, Text: c.align == tw.AlignLeft})
	}
	return t
}
