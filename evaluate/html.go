package evaluate

import (
	"cmp"
	_ "embed" // for the page
	"fmt"
	"html/template"
	"io"
	"slices"
)

//go:embed report.html.tmpl
var pageText string

//go:embed style.css
var styleText string

var page = template.Must(template.New("report").Funcs(template.FuncMap{
	"count": count, "db": decibels, "short": short, "percent": percent, "fixed": fixed, "plus": plus, "style": style,
}).Parse(pageText))

// style is the look of every page.
func style() template.CSS { return template.CSS(styleText) } // #nosec G203: our own

// pageData is what the template reads.
type pageData struct {
	*Result
	Title, Basis     string
	Tiles            []Tile
	Drop, SQNR       template.HTML
	Ranges, Errors   template.HTML
	Worst            []LayerError
	ClassRows        []ClassChange
	MoreClasses      int
	ChangeRows       []changeRow
	MoreChanges      int
	Sentence         string
	Interval         string
	IdenticalLayers  int
	Lost, Gained     int
	OutputsWorthList bool
}

type changeRow struct {
	Label, Reference, Model string
	Count                   int
	Sample                  string
}

// writeHTML writes one page without scripts that needs no other file.
func writeHTML(w io.Writer, r *Result) error {
	d := pageData{Result: r, Title: "Evaluation", Basis: r.Basis(), Sentence: r.Headline(), Tiles: r.tiles()}
	if r.Verdict != "" {
		d.Title = string(r.Verdict)
	}
	d.OutputsWorthList = len(r.Outputs) > 1
	d.ClassRows, d.MoreClasses = firstRows(r.Classes)
	for _, c := range r.Classes {
		d.Lost, d.Gained = d.Lost+c.Lost, d.Gained+c.Gained
	}
	changes, more := firstRows(r.Changes)
	d.MoreChanges = more
	for _, c := range changes {
		d.ChangeRows = append(d.ChangeRows, changeRow{c.names[0], c.names[1], c.names[2], c.Count, c.Sample})
	}
	if err := d.plots(r); err != nil {
		return err
	}
	return page.Execute(w, &d)
}

func (d *pageData) plots(r *Result) (err error) {
	if r.DropCI != nil {
		if d.Drop, err = intervalPlot(r); err != nil {
			return err
		}
		d.Interval = fmt.Sprintf("%s to %s points", fixed(r.DropCI[0], 2), fixed(r.DropCI[1], 2))
	}
	if r.Histogram != nil && r.Histogram.Counts != nil {
		if d.Errors, err = histogramPlot(r.Histogram); err != nil {
			return err
		}
	}
	if len(r.Layers) == 0 {
		return nil
	}
	d.Worst = r.WorstLayers(10)
	for _, l := range r.Layers {
		if l.SQNR >= MaxSQNR {
			d.IdenticalLayers++
		}
	}
	if d.SQNR, err = sqnrPlot(r.Layers); err != nil {
		return err
	}
	d.Ranges, err = rangePlot(r.Layers)
	return err
}

// tiles are the figures that most readers want, in the order in which they want them.
func (r *Result) tiles() []Tile {
	var out []Tile
	add := func(ok bool, value, name, note string) {
		if ok {
			out = append(out, Tile{value, name, note})
		}
	}
	if r.Model.Top1 != nil {
		note := ""
		if r.Drop != nil {
			note = signed(-*r.Drop) + " points"
		}
		add(true, accuracy(*r.Model.Top1), "top-1 accuracy", note)
	}
	if r.Compression != nil {
		add(*r.Compression > 0, fixed(1 / *r.Compression, 2)+" ×", "smaller", size(r.Model.Bytes)+" instead of "+size(r.Reference.Bytes))
	}
	if l := r.Latency; l != nil && l.Ratio != nil {
		add(true, times(*l.Ratio), "as fast", fixed(l.ModelMS, 2)+" ms instead of "+fixed(*l.ReferenceMS, 2)+" ms")
	}
	if r.Agreement != nil {
		add(true, accuracy(*r.Agreement), "same answer", count(r.Samples)+" samples")
	}
	if r.SQNR != nil {
		add(true, decibels(*r.SQNR), "output SQNR", "cosine "+fixed(*r.Cosine, 5))
	}
	return out
}

// WorstLayers are up to n layers with the least SQNR, the worst first, identical ones left out.
func (r *Result) WorstLayers(n int) []LayerError {
	out := slices.DeleteFunc(slices.Clone(r.Layers), func(l LayerError) bool { return l.SQNR >= MaxSQNR })
	slices.SortStableFunc(out, func(a, b LayerError) int { return cmp.Compare(a.SQNR, b.SQNR) })
	return out[:min(n, len(out))]
}

// firstRows gives the first rows and how many follow.
func firstRows[T any](all []T) (shown []T, more int) {
	n := min(len(all), maxListed)
	return all[:n], len(all) - n
}

// ConfidencePercent is the confidence in percent.
func (r *Result) ConfidencePercent() float64 { return 100 * r.Confidence }

// SQNRGiven reports whether numeric errors were measured.
func (r *Result) SQNRGiven() bool { return r.SQNR != nil }

// Net is how many right answers the class gained, with its sign.
func (c ClassChange) Net() string {
	return plus(float64(c.Gained-c.Lost)) + count(c.Gained-c.Lost)
}

// Direction is "up", "down" or "".
func (c ClassChange) Direction() string {
	switch {
	case c.Gained > c.Lost:
		return "up"
	case c.Gained < c.Lost:
		return "down"
	}
	return ""
}
