package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"
)

// column is a table's title and how its cells stand.
type column struct {
	title string
	align tw.Align
}

func text(title string) column   { return column{title, tw.AlignLeft} }
func number(title string) column { return column{title, tw.AlignRight} }

// table prints rows under titles, without frames, so that a line is a record for grep and awk too.
func (a *app) table(columns []column, rows [][]string) error {
	titles, aligns := make([]string, len(columns)), make([]tw.Align, len(columns))
	for i, c := range columns {
		titles[i], aligns[i] = c.title, c.align
	}
	var b strings.Builder
	t := tablewriter.NewTable(&b,
		tablewriter.WithRenderer(renderer.NewBlueprint(tw.Rendition{
			Borders:  tw.BorderNone,
			Settings: tw.Settings{Separators: tw.SeparatorsNone, Lines: tw.LinesNone},
		})),
		tablewriter.WithHeaderAutoFormat(tw.Off),
		tablewriter.WithHeaderAlignmentConfig(tw.CellAlignment{PerColumn: aligns}),
		tablewriter.WithRowAlignmentConfig(tw.CellAlignment{PerColumn: aligns}),
		tablewriter.WithHeaderAutoWrap(tw.WrapNone),
		tablewriter.WithRowAutoWrap(tw.WrapNone),
	)
	t.Header(titles)
	if err := t.Bulk(rows); err != nil {
		return err
	}
	if err := t.Render(); err != nil {
		return err
	}
	for line := range strings.Lines(b.String()) {
		if err := a.printf("%s\n", strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// bytesText prints a size with three digits: "4.96 MB".
func bytesText(n int64) string { return siText(float64(n), "B") }

// siText prints a quantity with a decimal prefix.
func siText(v float64, unit string) string {
	prefixes := []string{"", "k", "M", "G", "T", "P"}
	i := 0
	for math.Abs(v) >= 999.5 && i < len(prefixes)-1 {
		v /= 1000
		i++
	}
	if i == 0 {
		return fmt.Sprintf("%.0f %s", v, unit)
	}
	return fmt.Sprintf("%.3g %s%s", v, prefixes[i], unit)
}

// floatText prints a number, or a dash for one that is not finite or not known.
func floatText(v finite, format string) string {
	if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
		return "-"
	}
	return fmt.Sprintf(format, float64(v))
}
