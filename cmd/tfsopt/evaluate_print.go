package main

import (
	"fmt"

	"github.com/tfsopt/tfsopt/doctor"
	"github.com/tfsopt/tfsopt/evaluate"
)

// printEvaluation prints a result as one table, that of the reports, then the verdict.
func (a *app) printEvaluation(r *evaluate.Result) error {
	if err := a.printf("%s\n\n", wrap(r.Model.Path+": "+r.Basis(), helpWidth)); err != nil {
		return err
	}
	columns := []column{text(""), number("model")}
	if r.Reference != nil {
		columns = append(columns, number("reference"), number("change"))
	}
	var rows [][]string
	for _, row := range r.Rows() {
		rows = append(rows, []string{row.Name, row.Model, row.Reference, row.Change}[:len(columns)])
	}
	if err := a.table(columns, rows); err != nil {
		return err
	}
	if err := a.printLayerErrors(r.WorstLayers(len(r.Layers))); err != nil {
		return err
	}
	if found, ok := r.Saturation.(*doctor.Saturation); ok {
		if err := a.printSaturation(found); err != nil {
			return err
		}
	}
	if r.Verdict == "" {
		return nil
	}
	return a.printf("\n%s\n", wrap(string(r.Verdict)+": "+r.Headline(), helpWidth))
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
