package evaluate

import (
	"bufio"
	_ "embed" // for the page
	"fmt"
	"html/template"
	"io"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Document is a report about something other than an evaluation: a sentence, figures, tables and charts.
type Document struct {
	Title, Sentence, Path string
	Tiles                 []Tile
	Warnings              []string
	Sections              []Section
	Origin                *Origin
}

// Tile is one of the large numbers at the top.
type Tile struct{ Value, Name, Note string }

// Section is a part of a document; charts are drawn in HTML only.
type Section struct {
	Title, Text string
	Charts      []Chart
	Table       *Table
}

// Table holds text; numbers stand right.
type Table struct {
	Columns []Column
	Rows    [][]string
}

// Column is the head of a column, of numbers unless Text is set.
type Column struct {
	Title string
	Text  bool
}

// Chart is a plot of lines over whole numbers such as epochs.
type Chart struct {
	X, Y, Label string // of the axes, and what the chart shows
	Lines       []Line
}

// Line is the points (i, Y[i]) for i from 1; NaN leaves a gap. Second draws it in the other colour.
type Line struct {
	Name   string
	Y      []float64
	Second bool
}

//go:embed document.html.tmpl
var documentText string

var documentPage = template.Must(template.New("document").Funcs(template.FuncMap{"style": style}).Parse(documentText))

// WriteDocument writes d as "html" (one file that needs nothing else) or "md". The kind may be a file name instead.
func WriteDocument(w io.Writer, kind string, d *Document) error {
	if ext := filepath.Ext(kind); ext != "" {
		kind = ext[1:]
	}
	switch strings.ToLower(kind) {
	case "html", "htm":
		return documentPage.Execute(w, d)
	case "md":
		return d.writeMarkdown(w)
	}
	return fmt.Errorf("report %q: want .md or .html", kind)
}

func (d *Document) writeMarkdown(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "## %s\n\n%s\n\n%s\n", cell(d.Title), cell(d.Sentence), cell(d.Path))
	writeOrigin(b, d.Origin)
	for _, t := range d.Tiles {
		fmt.Fprintf(b, "\n- %s %s%s", cell(t.Value), cell(t.Name), bracketed(cell(t.Note)))
	}
	fmt.Fprintln(b)
	for _, s := range d.Warnings {
		fmt.Fprintf(b, "\n> **Note:** %s\n", cell(s))
	}
	for _, s := range d.Sections {
		s.writeMarkdown(b)
	}
	return b.Flush()
}

func (s *Section) writeMarkdown(w io.Writer) {
	fmt.Fprintf(w, "\n### %s\n", cell(s.Title))
	if s.Text != "" {
		fmt.Fprintf(w, "\n%s\n", cell(s.Text))
	}
	if s.Table != nil {
		s.Table.writeMarkdown(w)
	}
}

func bracketed(s string) string {
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}

func (t *Table) writeMarkdown(w io.Writer) {
	head, rule := "\n|", "|"
	for _, c := range t.Columns {
		head += " " + cell(c.Title) + " |"
		if c.Text {
			rule += "---|"
		} else {
			rule += "--:|"
		}
	}
	fmt.Fprintf(w, "%s\n%s\n", head, rule)
	for _, r := range t.Rows {
		line := "|"
		for _, v := range r {
			line += " " + cell(v) + " |"
		}
		fmt.Fprintln(w, line)
	}
}

// tableCell is a value with what its column says.
type tableCell struct {
	Value string
	Text  bool
}

// Cells pairs each value with its column, for the page.
func (t *Table) Cells() [][]tableCell {
	var out [][]tableCell
	for _, r := range t.Rows {
		row := make([]tableCell, len(r))
		for i, v := range r {
			row[i] = tableCell{v, t.Columns[i].Text}
		}
		out = append(out, row)
	}
	return out
}

// SVG draws the chart.
func (c Chart) SVG() (template.HTML, error) {
	p := newPlot(c.X, c.Y)
	lo, hi, n := math.Inf(1), math.Inf(-1), 1
	for _, l := range c.Lines {
		n = max(n, len(l.Y))
		for _, run := range l.runs() {
			for _, at := range run {
				lo, hi = min(lo, at.Y), max(hi, at.Y)
			}
			if err := l.draw(p, run); err != nil {
				return "", err
			}
		}
	}
	if lo > hi {
		lo, hi = 0, 1
	}
	room := max((hi-lo)*0.06, 1e-3)
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0.7, float64(n)+0.3, lo-room, hi+room
	p.Y.Tick.Marker = plot.ConstantTicks(roundTicks(p.Y.Min, p.Y.Max))
	p.X.Tick.Marker = plot.ConstantTicks(wholeTicks(n))
	return embed(p, plotHeight*0.8, c.Label)
}

// runs are the parts of a line between its gaps.
func (l Line) runs() []plotter.XYs {
	var out []plotter.XYs
	var run plotter.XYs
	for i, y := range l.Y {
		if math.IsNaN(y) || math.IsInf(y, 0) {
			if run != nil {
				out, run = append(out, run), nil
			}
			continue
		}
		run = append(run, plotter.XY{X: float64(i + 1), Y: y})
	}
	if run != nil {
		out = append(out, run)
	}
	return out
}

func (l Line) draw(p *plot.Plot, run plotter.XYs) error {
	line, points, err := plotter.NewLinePoints(run)
	if err != nil {
		return fmt.Errorf("line %q: %w", l.Name, err)
	}
	line.Color, line.Width = modelInk, vg.Points(1.5)
	if l.Second {
		line.Color = refInk
	}
	points.GlyphStyle = draw.GlyphStyle{Color: line.Color, Radius: vg.Points(1.75), Shape: draw.CircleGlyph{}}
	p.Add(line, points)
	return nil
}

// wholeTicks marks about ten of the numbers from 1 to n.
func wholeTicks(n int) []plot.Tick {
	step := 1
	for _, s := range []int{2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000} {
		if n/step > 12 {
			step = s
		}
	}
	ticks := []plot.Tick{{Value: 1, Label: "1"}}
	for i := step; i <= n; i += step {
		if i > 1 {
			ticks = append(ticks, plot.Tick{Value: float64(i), Label: strconv.Itoa(i)})
		}
	}
	return ticks
}
