package main

import (
	"fmt"

	"github.com/tfsopt/tfsopt/doctor"
	"github.com/tfsopt/tfsopt/evaluate"
)

// printEvaluation prints a result as one table, then the verdict.
func (a *app) printEvaluation(r *evaluate.Result) error {
	columns := []column{text(""), number("model")}
	if r.Reference != nil {
		columns = append(columns, number("reference"))
	}
	if err := a.printf("%d samples\n", r.Samples); err != nil {
		return err
	}
	if err := a.table(columns, scoreRows(r)); err != nil {
		return err
	}
	if r.Reference != nil {
		if err := a.printf("\n"); err != nil {
			return err
		}
		if err := a.table([]column{text("against the reference"), number("")}, differenceRows(r)); err != nil {
			return err
		}
	}
	if err := a.printLayerErrors(r.Layers); err != nil {
		return err
	}
	if found, ok := r.Saturation.(*doctor.Saturation); ok {
		if err := a.printSaturation(found); err != nil {
			return err
		}
	}
	return a.printVerdict(r)
}

func scoreRows(r *evaluate.Result) [][]string {
	row := func(title string, of func(s evaluate.Scores) string) []string {
		out := []string{title, of(r.Model)}
		if r.Reference != nil {
			out = append(out, of(*r.Reference))
		}
		return out
	}
	rows := [][]string{
		row("file", func(s evaluate.Scores) string { return s.Path }),
		row("size", func(s evaluate.Scores) string { return bytesText(s.Bytes) }),
	}
	if r.Model.Top1 != nil {
		rows = append(rows,
			row("top-1 %", func(s evaluate.Scores) string { return known(s.Top1, "%.2f") }),
			row("top-5 %", func(s evaluate.Scores) string { return known(s.Top5, "%.2f") }),
			row("loss", func(s evaluate.Scores) string { return known(s.Loss, "%.4f") }))
	}
	if r.Model.AUC != nil {
		rows = append(rows,
			row("recall of class 1 %", func(s evaluate.Scores) string { return known(s.Recall, "%.2f") }),
			row("precision of class 1 %", func(s evaluate.Scores) string { return known(s.Precision, "%.2f") }),
			row("area under the ROC curve", func(s evaluate.Scores) string { return known(s.AUC, "%.4f") }))
	}
	if l := r.Latency; l != nil {
		latency := []string{fmt.Sprintf("latency ms (batch %d, %d threads, %s)", l.Batch, l.Threads, l.CPU), fmt.Sprintf("%.3f", l.ModelMS)}
		if r.Reference != nil {
			latency = append(latency, known(l.ReferenceMS, "%.3f"))
		}
		rows = append(rows, latency)
	}
	return rows
}

func differenceRows(r *evaluate.Result) [][]string {
	var rows [][]string
	add := func(title string, v *float64, format string) {
		if v != nil {
			rows = append(rows, []string{title, fmt.Sprintf(format, *v)})
		}
	}
	if r.Reference.Bytes > 0 {
		rows = append(rows, []string{"size, share of the reference", fmt.Sprintf("%.3f", float64(r.Model.Bytes)/float64(r.Reference.Bytes))})
	}
	if r.Latency != nil {
		add("times faster", r.Latency.Ratio, "%.2f")
	}
	if r.Drop != nil {
		text := fmt.Sprintf("%.2f", *r.Drop)
		if r.DropCI != nil {
			text += fmt.Sprintf(" (%.2f to %.2f)", r.DropCI[0], r.DropCI[1])
		}
		rows = append(rows, []string{fmt.Sprintf("drop in points (%g %% interval)", 100*r.Confidence), text})
	}
	add("same top-1 %", r.Agreement, "%.2f")
	add("cosine", r.Cosine, "%.6f")
	add("SQNR dB", r.SQNR, "%.2f")
	add("max error", r.MaxAbsError, "%.4g")
	add("mean error", r.MeanAbsError, "%.4g")
	return rows
}

func known(v *float64, format string) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf(format, *v)
}

func (a *app) printLayerErrors(layers []evaluate.LayerError) error {
	if len(layers) == 0 {
		return nil
	}
	if err := a.printf("\n"); err != nil {
		return err
	}
	var rows [][]string
	for _, l := range layers {
		rows = append(rows, []string{
			l.Name, l.Op, fmt.Sprintf("%.1f", l.SQNR), fmt.Sprintf("%.5f", l.Cosine), fmt.Sprintf("%.4g", l.MaxError),
			fmt.Sprintf("%.4g to %.4g", l.Min, l.Max),
		})
	}
	return a.table([]column{text("value"), text("operator"), number("SQNR dB"), number("cosine"), number("max error"), number("range")}, rows)
}

func (a *app) printVerdict(r *evaluate.Result) error {
	switch {
	case r.Verdict == "":
		return nil
	case r.Verdict != evaluate.Inconclusive:
		return a.printf("\n%s: at most %g points may be lost\n", r.Verdict, *r.MaxDrop)
	case r.SamplesNeeded != nil:
		return a.printf("\n%s: about %d samples would decide whether at most %g points are lost\n", r.Verdict, *r.SamplesNeeded, *r.MaxDrop)
	}
	return a.printf("\n%s: no number of samples would decide whether at most %g points are lost\n", r.Verdict, *r.MaxDrop)
}
