package evaluate

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
)

func sampleDocument() *Document {
	return &Document{
		Title: "Training", Sentence: "Top-1 <b>rose</b>.", Path: "a|b.onnx",
		Tiles:    []Tile{{"91.20 %", "held-out accuracy", "of 2,000 samples"}, {"0.1", "loss", ""}},
		Warnings: []string{"watch out"},
		Sections: []Section{
			{Title: "Curve", Text: "By epoch.", Charts: []Chart{{
				X: "epoch", Y: "loss", Label: "loss by epoch",
				Lines: []Line{
					{Name: "training", Y: []float64{3, 2, math.NaN(), 1, 0.5}},
					{Name: "held out", Y: []float64{math.NaN(), 2.5}, Second: true},
				},
			}}},
			{Title: "Layers", Table: &Table{
				Columns: []Column{{Title: "layer", Text: true}, {Title: "zero %"}},
				Rows:    [][]string{{"conv_1", "80"}},
			}},
		},
	}
}

func TestDocumentHTML(t *testing.T) {
	var b strings.Builder
	if err := WriteDocument(&b, "x.HTML", sampleDocument()); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, want := range []string{
		"<h1>Training</h1>", "Top-1 &lt;b&gt;rose&lt;/b&gt;.", "91.20 %", "watch out", `aria-label="loss by epoch"`, "var(--model)", "var(--ref)",
		`<td class="text">conv_1</td><td>80</td>`, "--paper: #f6f7f9",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	// Two runs of the first line, around its gap, and one point of the second: two paths, of one line each.
	svg := page[strings.Index(page, "<svg") : strings.Index(page, "</svg>")+len("</svg>")]
	if n := strings.Count(svg, "stroke:var(--model)"); n < 2 {
		t.Errorf("%d strokes in the first colour", n)
	}
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("the chart is no XML: %v", err)
		}
	}
}

func TestDocumentMarkdown(t *testing.T) {
	var b strings.Builder
	if err := WriteDocument(&b, "md", sampleDocument()); err != nil {
		t.Fatal(err)
	}
	want := `## Training

Top-1 &lt;b>rose&lt;/b>.

a\|b.onnx

- 91.20 % held-out accuracy (of 2,000 samples)
- 0.1 loss

> **Note:** watch out

### Curve

By epoch.

### Layers

| layer | zero % |
|---|--:|
| conv\_1 | 80 |
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestDocumentOfNothing(t *testing.T) {
	d := &Document{Sections: []Section{{Charts: []Chart{{Lines: []Line{{Y: []float64{math.NaN()}}}}}}}}
	if err := WriteDocument(io.Discard, "html", d); err != nil {
		t.Error(err)
	}
	if err := WriteDocument(io.Discard, "pdf", d); err == nil {
		t.Error("a kind that is not known is written")
	}
}

func TestWholeTicks(t *testing.T) {
	for _, c := range []struct {
		n, count int
		last     string
	}{{1, 1, "1"}, {8, 8, "8"}, {20, 11, "20"}, {100, 11, "100"}, {1000, 11, "1000"}} {
		ticks := wholeTicks(c.n)
		if len(ticks) != c.count || ticks[len(ticks)-1].Label != c.last {
			t.Errorf("%d: %v", c.n, ticks)
		}
	}
}
