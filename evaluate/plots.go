package evaluate

import (
	"bytes"
	"fmt"
	"html/template"
	"image/color"
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// The colours of the plots stand for the page's own, which differ between light and dark: embed puts CSS variables in
// their place.
var (
	ink       = color.NRGBA{10, 11, 12, 255}
	grid      = color.NRGBA{10, 11, 13, 255}
	modelInk  = color.NRGBA{10, 11, 14, 255}
	refInk    = color.NRGBA{10, 11, 15, 255}
	variables = strings.NewReplacer("#0A0B0C", "var(--muted)", "#0A0B0D", "var(--line)", "#0A0B0E", "var(--model)", "#0A0B0F", "var(--ref)")
)

const (
	plotWidth  = 960 * vg.Inch / 96
	plotHeight = 300 * vg.Inch / 96
	// maxNamed is how many layers a plot can name below its axis.
	maxNamed = 32
)

// newPlot is an empty plot in the page's style.
func newPlot(x, y string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = color.Transparent
	p.X.Label.Text, p.Y.Label.Text = x, y
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Color, a.Tick.Color, a.Label.TextStyle.Color, a.Tick.Label.Color = grid, grid, ink, ink
		a.Label.TextStyle.Font.Size, a.Tick.Label.Font.Size = vg.Points(9.5), vg.Points(8.5)
		a.Label.TextStyle.Font.Variant, a.Tick.Label.Font.Variant = "Sans", "Sans"
		a.LineStyle.Width, a.Tick.LineStyle.Width = vg.Points(0.75), vg.Points(0.75)
		a.Label.Padding = vg.Points(6)
	}
	g := plotter.NewGrid()
	g.Vertical.Width = 0
	g.Horizontal.Color, g.Horizontal.Width = grid, vg.Points(0.5)
	p.Add(g)
	return p
}

// embed draws the plot as an SVG element for an HTML page.
func embed(p *plot.Plot, height vg.Length, label string) (template.HTML, error) {
	c := vgsvg.New(plotWidth, height)
	p.Draw(draw.New(c))
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return "", fmt.Errorf("plot %q: %w", label, err)
	}
	s := b.String()
	at := strings.Index(s, "<svg")
	if at < 0 {
		return "", fmt.Errorf("plot %q: no svg element", label)
	}
	s = variables.Replace(s[at:])
	s = strings.Replace(s, "<svg", `<svg class="plot" role="img" aria-label="`+template.HTMLEscapeString(label)+`"`, 1)
	return template.HTML(s), nil // #nosec G203: gonum escapes the text that it draws
}

// roundTicks marks about six round numbers between lo and hi: steps of 1, 2 or 5 times a power of ten.
func roundTicks(lo, hi float64) []plot.Tick {
	step := math.Pow(10, math.Floor(math.Log10((hi-lo)/6)))
	for _, k := range []float64{5, 2} {
		if (hi-lo)/(k*step) >= 4 {
			step *= k
			break
		}
	}
	var ticks []plot.Tick
	for i := math.Ceil(lo / step); i*step <= hi; i++ {
		ticks = append(ticks, plot.Tick{Value: i * step, Label: strconv.FormatFloat(i*step, 'g', 6, 64)})
	}
	return ticks
}

// layerAxis names the layers below the plot, or numbers them if they are many. It returns the height to draw with.
func layerAxis(p *plot.Plot, layers []LayerError) vg.Length {
	p.X.Min, p.X.Max = -0.6, float64(len(layers))-0.4
	if len(layers) > maxNamed {
		p.X.Label.Text = "layer, in the order of computation"
		ticks := roundTicks(1, float64(len(layers)))
		for i := range ticks {
			ticks[i].Value-- // layers count from 1
		}
		p.X.Tick.Marker = plot.ConstantTicks(ticks)
		return plotHeight
	}
	ticks := make([]plot.Tick, len(layers))
	for i, l := range layers {
		ticks[i] = plot.Tick{Value: float64(i), Label: clip(l.Name)}
	}
	p.X.Tick.Marker = plot.ConstantTicks(ticks)
	p.X.Tick.Label.Rotation = math.Pi / 4
	p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = draw.XRight, draw.YCenter
	return plotHeight + vg.Points(30)
}

// clip shortens a name to its end, where names of layers differ.
func clip(name string) string {
	r := []rune(name)
	if len(r) <= 22 {
		return name
	}
	return "…" + string(r[len(r)-21:])
}

// bars draws vertical bars from lo to hi.
type bars struct {
	lo, hi []float64
	width  vg.Length
	color  color.Color
	offset vg.Length
}

// Plot implements plot.Plotter.
func (b bars) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for i := range b.lo {
		at, lo, hi := x(float64(i))+b.offset, y(b.lo[i]), y(b.hi[i])
		if hi-lo < vg.Points(1) {
			hi = lo + vg.Points(1)
		}
		c.FillPolygon(b.color, []vg.Point{
			{X: at - b.width/2, Y: lo}, {X: at + b.width/2, Y: lo}, {X: at + b.width/2, Y: hi}, {X: at - b.width/2, Y: hi},
		})
	}
}

// barWidth fills a share of the room that each of n bars has.
func barWidth(n int, share float64) vg.Length {
	return max(vg.Points(1), min(vg.Points(22), plotWidth*0.9/vg.Length(max(n, 1))*vg.Length(share)))
}

// sqnrPlot shows the error of each layer. Identical layers reach the top.
func sqnrPlot(layers []LayerError) (template.HTML, error) {
	p := newPlot("", "SQNR in dB (higher is better)")
	top, bottom := 10.0, 0.0
	for _, l := range layers {
		if l.SQNR < MaxSQNR {
			top, bottom = max(top, l.SQNR*1.08), min(bottom, l.SQNR*1.08)
		}
	}
	b := bars{width: barWidth(len(layers), 0.62), color: modelInk}
	for _, l := range layers {
		v := max(bottom, min(top, l.SQNR))
		b.lo, b.hi = append(b.lo, min(0, v)), append(b.hi, max(0, v))
	}
	p.Add(b)
	height := layerAxis(p, layers)
	p.Y.Min, p.Y.Max = bottom, top
	p.Y.Tick.Marker = plot.ConstantTicks(roundTicks(bottom, top))
	return embed(p, height, "signal to quantization noise ratio of each layer")
}

// squeeze is a signed logarithm: about linear below 1, so that ranges of very different size share an axis.
func squeeze(x float64) float64 { return math.Copysign(math.Log10(1+math.Abs(x)), x) }

// rangePlot shows the least and the largest value of each layer in both models, on a signed logarithmic axis.
func rangePlot(layers []LayerError) (template.HTML, error) {
	p := newPlot("", "least to largest value")
	w := barWidth(len(layers), 0.36)
	ref, model := bars{width: w, color: refInk, offset: -w / 2}, bars{width: w, color: modelInk, offset: w / 2}
	least, most := 0.0, 1.0
	for _, l := range layers {
		least, most = min(least, l.Min, l.ModelMin), max(most, l.Max, l.ModelMax)
		ref.lo, ref.hi = append(ref.lo, squeeze(l.Min)), append(ref.hi, squeeze(l.Max))
		model.lo, model.hi = append(model.lo, squeeze(l.ModelMin)), append(model.hi, squeeze(l.ModelMax))
	}
	p.Add(ref, model)
	height := layerAxis(p, layers)
	p.Y.Min, p.Y.Max = squeeze(least)*1.05, squeeze(most)*1.05
	p.Y.Tick.Marker = plot.ConstantTicks(squeezedTicks(least, most))
	return embed(p, height, "range of the values of each layer")
}

// squeezedTicks marks 0 and powers of ten, with 3 between them if there is room.
func squeezedTicks(least, most float64) []plot.Tick {
	steps := []float64{1}
	if most < 300 && least > -300 {
		steps = []float64{1, 3}
	}
	ticks := []plot.Tick{{Value: 0, Label: "0"}}
	for e := 1.0; e <= max(most, -least); e *= 10 {
		for _, s := range steps {
			for _, v := range []float64{e * s, -e * s} {
				if v >= least*1.05 && v <= most*1.05 {
					ticks = append(ticks, plot.Tick{Value: squeeze(v), Label: short(v)})
				}
			}
		}
	}
	return ticks
}

// histogramPlot shows how often errors of each size occur; the count is logarithmic, so that rare large ones show.
func histogramPlot(h *Histogram) (template.HTML, error) {
	p := newPlot("model - reference", "elements (logarithmic)")
	half := len(h.Counts) / 2
	reach, most := 1, 1
	for i, n := range h.Counts {
		if n > 0 {
			reach, most = max(reach, half-i, i+1-half), max(most, n)
		}
	}
	b := bars{width: plotWidth * 0.9 / vg.Length(2*reach) * 0.9, color: modelInk}
	for i := half - reach; i < half+reach; i++ {
		b.lo, b.hi = append(b.lo, 0), append(b.hi, logCount(h.Counts[i]))
	}
	p.Add(shifted{b})
	end := float64(reach) * h.Width
	ticks := roundTicks(-end, end)
	for i := range ticks {
		ticks[i].Value = ticks[i].Value/h.Width + float64(reach)
	}
	p.X.Tick.Marker = plot.ConstantTicks(ticks)
	p.X.Min, p.X.Max = -0.03*float64(reach), 2.03*float64(reach)
	y := []plot.Tick{{Value: 0, Label: "0"}}
	for n := 1; n <= 10*most; n *= 10 {
		y = append(y, plot.Tick{Value: logCount(n), Label: count(n)})
	}
	p.Y.Tick.Marker = plot.ConstantTicks(y)
	p.Y.Min, p.Y.Max = 0, logCount(most)*1.06
	return embed(p, plotHeight, "histogram of the errors of the output's elements")
}

// logCount leaves room for one: 0 is no bar, 1 a small one.
func logCount(n int) float64 {
	if n <= 0 {
		return 0
	}
	return math.Log10(float64(n)) + 0.3
}

// shifted draws bar i over [i, i+1] instead of around i, and none where there is nothing.
type shifted struct{ bars }

// Plot implements plot.Plotter.
func (s shifted) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for i := range s.hi {
		if s.hi[i] <= 0 {
			continue
		}
		l, r := x(float64(i)), x(float64(i+1))
		gap := min(vg.Points(0.75), (r-l)/8)
		c.FillPolygon(s.color, []vg.Point{{X: l + gap, Y: y(0)}, {X: r - gap, Y: y(0)}, {X: r - gap, Y: y(s.hi[i])}, {X: l + gap, Y: y(s.hi[i])}})
	}
}

// intervalPlot shows the drop with its interval against the limit.
func intervalPlot(r *Result) (template.HTML, error) {
	p := newPlot("drop of top-1 accuracy in points (right is worse)", "")
	lo, hi := min(r.DropCI[0], 0), max(r.DropCI[1], 0)
	if r.MaxDrop != nil {
		lo, hi = min(lo, *r.MaxDrop), max(hi, *r.MaxDrop)
	}
	room := max(hi-lo, 0.1) * 0.1
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = lo-room, hi+room, 0, 1
	p.X.Tick.Marker = plot.ConstantTicks(roundTicks(p.X.Min, p.X.Max))
	p.HideY()
	p.Add(interval{r})
	return embed(p, plotHeight*0.4, "drop of the accuracy with its confidence interval")
}

// interval draws the confidence interval, the measured drop, zero and the limit.
type interval struct{ r *Result }

// Plot implements plot.Plotter.
func (v interval) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	line := func(at float64, s draw.LineStyle) { c.StrokeLine2(s, x(at), y(0), x(at), y(1)) }
	line(0, draw.LineStyle{Color: grid, Width: vg.Points(1)})
	mid := y(0.36)
	c.StrokeLine2(draw.LineStyle{Color: modelInk, Width: vg.Points(5)}, x(v.r.DropCI[0]), mid, x(v.r.DropCI[1]), mid)
	c.DrawGlyph(draw.GlyphStyle{Color: modelInk, Radius: vg.Points(7), Shape: draw.CircleGlyph{}}, vg.Point{X: x(*v.r.Drop), Y: mid})
	text := p.X.Label.TextStyle
	text.XAlign, text.YAlign = draw.XCenter, draw.YBottom
	c.FillText(text, vg.Point{X: x(*v.r.Drop), Y: mid + vg.Points(10)}, fixed(*v.r.Drop, 2))
	if v.r.MaxDrop == nil {
		return
	}
	line(*v.r.MaxDrop, draw.LineStyle{Color: refInk, Width: vg.Points(1.5), Dashes: []vg.Length{vg.Points(4), vg.Points(3)}})
	text.XAlign, text.YAlign = draw.XLeft, draw.YTop
	c.FillText(text, vg.Point{X: x(*v.r.MaxDrop) + vg.Points(5), Y: y(1)}, "limit "+trimmed(*v.r.MaxDrop))
}
