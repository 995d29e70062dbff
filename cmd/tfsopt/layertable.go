package main

import "fmt"

// layerTable lists layers with the figures that the verb which made them has.
func layerTable(layers []layer) ([]column, [][]string) {
	for _, f := range layerForms {
		if len(layers) > 0 && f.fits(&layers[0]) {
			rows := make([][]string, len(layers))
			for i := range layers {
				rows[i] = append([]string{layers[i].Name, layers[i].Op}, f.row(&layers[i])...)
			}
			return append([]column{text("layer"), text("operator")}, f.columns...), rows
		}
	}
	return nil, nil
}

// layerForm is how the layers of one verb are shown.
type layerForm struct {
	fits    func(l *layer) bool
	columns []column // after name and operator
	row     func(l *layer) []string
}

var layerForms = []layerForm{
	{
		fits: func(l *layer) bool { return l.layerStep != nil },
		columns: []column{
			text("precision"), number("SQNR dB"), number("max error"), number("mean error"), number("half step"), number("clip %"),
		},
		row: func(l *layer) []string {
			return []string{
				l.Precision, floatText(l.SQNR, "%.1f"), floatText(l.MaxError, "%.3g"),
				floatText(l.MeanError, "%.3g"), floatText(l.HalfStep, "%.3g"), floatText(l.Clipped, "%.2f"),
			}
		},
	},
	{
		fits: func(l *layer) bool { return l.layerCut != nil && l.Channels != nil },
		columns: []column{
			number("channels kept"), number("work lost %"), number("bytes"), number("now"), text("kept because"),
		},
		row: func(l *layer) []string {
			return []string{
				fmt.Sprintf("%d of %d", l.Channels[1], l.Channels[0]), floatText(l.Sparsity, "%.1f"),
				bytesText(l.Bytes[0]), bytesText(l.Bytes[1]), l.Kept,
			}
		},
	},
	{
		fits: func(l *layer) bool { return l.layerCut != nil },
		columns: []column{
			number("weights"), number("zero %"), number("norm lost %"), number("SQNR dB"), text("kept because"),
		},
		row: func(l *layer) []string {
			return []string{
				fmt.Sprint(l.Elements), floatText(l.Sparsity, "%.2f"), floatText(l.NormLost, "%.2f"), floatText(l.SQNR, "%.1f"), l.Kept,
			}
		},
	},
}

// printLayers prints what became of each layer, after an empty line.
func (a *app) printLayers(layers []layer) error {
	columns, rows := layerTable(layers)
	if len(rows) == 0 {
		return nil
	}
	if err := a.printf("\n"); err != nil {
		return err
	}
	return a.table(columns, rows)
}
