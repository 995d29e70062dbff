package evaluate

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func ptr[T any](x T) *T { return &x }

// example has every part of a result; its names try to break the formats.
func example() *Result {
	r := &Result{
		Samples: 400, Data: "images|<i>", Output: "prob_1", Confidence: 0.95,
		Model:     Scores{Path: "small_q8.onnx", Bytes: 1299000, Top1: ptr(57.75), Top5: ptr(81.5), Loss: ptr(1.8123)},
		Reference: &Scores{Path: "model.onnx", Bytes: 4956000, Top1: ptr(58.5), Top5: ptr(81.25), Loss: ptr(1.7912)},
		Agreement: ptr(94.25), Cosine: ptr(0.99321), SQNR: ptr(21.5), MaxAbsError: ptr(0.21), MeanAbsError: ptr(0.0012),
		Compression: ptr(0.2621),
		Outputs:     []OutputError{{Name: "prob_1", DType: "float32", Shape: []int{1000}, SQNR: 21.5, Cosine: 0.99321, MaxAbsError: 0.21, MeanAbsError: 0.0012, Max: 1}},
		Layers: []LayerError{
			{Name: "conv<1>", Node: "c1", Op: "Conv", SQNR: 31, Cosine: 0.9996, MaxError: 0.5, Min: -30, Max: 60, ModelMin: -29, ModelMax: 55},
			{Name: "pool", Node: "p", Op: "MaxPool", SQNR: MaxSQNR, Cosine: 1, Max: 60, ModelMax: 60},
			{Name: "conv2", Node: "c2", Op: "Conv", SQNR: 18.25, Cosine: 0.99, MaxError: 0.75, Min: -3, Max: 6, ModelMin: -3, ModelMax: 6},
		},
		LayerCount: 32,
		Latency:    &Latency{Batch: 1, Runs: 120, Threads: 2, CPU: "avx2", ModelMS: 4.2, ReferenceMS: ptr(9.1), Ratio: ptr(2.15)},
		Classes:    []ClassChange{{Class: 3, Name: "<cat>", Samples: 40, ReferenceRight: 30, ModelRight: 27, Lost: 4, Gained: 1}},
		Changes:    []AnswerChange{{Label: 3, Reference: 3, Model: 5, Count: 4, Sample: "cat/7.jpg", names: [3]string{"<cat>", "<cat>", "dog"}}},
		Histogram:  &Histogram{Width: 0.01, Counts: make([]int, 2*histogramHalf), Exact: 12},
		Warnings:   []string{"a | b <script>"},
	}
	for i, n := range []int{1, 0, 40, 5000, 7000, 30, 2} {
		r.Histogram.Counts[histogramHalf-3+i] = n
	}
	r.judge(Pairs{9, 6, 400}, Options{MaxDrop: ptr(2.0)})
	return r
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s (-want +got):\n%s", name, d)
	}
}

func report(t *testing.T, kind string, r *Result) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteReport(&b, kind, r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestGoldenReports(t *testing.T) {
	for _, kind := range []string{"json", "md", "xml"} {
		golden(t, "report."+kind, report(t, kind, example()))
	}
	alone := &Result{Samples: 3, Confidence: 0.95, Model: Scores{Path: "m.onnx", Bytes: 100, Top1: ptr(100.0)}}
	golden(t, "alone.md", report(t, ".md", alone))
	golden(t, "alone.json", report(t, "x.json", alone))
}

func TestJUnitVerdicts(t *testing.T) {
	for _, tt := range []struct {
		pairs            Pairs
		failed, skipped  int
		exit             int
		element, missing string
	}{
		{Pairs{0, 0, 4000}, 0, 0, 0, "<testcase", "<failure"},
		{Pairs{60, 0, 400}, 1, 0, 3, `<failure message="The drop in top-1 accuracy exceeds 2 points`, "<skipped"},
		{Pairs{9, 6, 400}, 0, 1, 4, `<skipped message="INCONCLUSIVE`, "<failure"},
	} {
		r := example()
		r.judge(tt.pairs, Options{MaxDrop: ptr(2.0)})
		text := report(t, "xml", r)
		var got junitSuites
		if err := xml.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		if got.Failures != tt.failed || got.Skipped != tt.skipped || got.Suite.Failures != tt.failed || got.Tests != len(got.Suite.Cases) {
			t.Errorf("%v: %+v", tt.pairs, got)
		}
		if !bytes.Contains(text, []byte(tt.element)) || bytes.Contains(text, []byte(tt.missing)) || r.ExitCode() != tt.exit {
			t.Errorf("%v: exit %d\n%s", tt.pairs, r.ExitCode(), text)
		}
	}
}

// The page is well-formed, needs nothing from elsewhere and shows names as text.
func TestHTML(t *testing.T) {
	text := string(report(t, "html", example()))
	for _, bad := range []string{"<script", "http:", "https:", "src=", "@import", "url(", "<cat>", "<i>", "conv<1>", "<?xml", "ZgotmplZ", "%!"} {
		if strings.Contains(strings.ReplaceAll(strings.ReplaceAll(text, "http://www.w3.org/2000/svg", ""), "http://www.w3.org/1999/xlink", ""), bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
	if n := strings.Count(text, "<svg"); n != 4 {
		t.Errorf("%d plots, want interval, layers, ranges and errors", n)
	}
	if regexp.MustCompile(`#0[aA]0[bB]0`).MatchString(text) {
		t.Error("a plot's colour was not replaced")
	}
	for _, want := range []string{"INCONCLUSIVE", "var(--model)", "&lt;cat&gt;", "MaxPool", "2.1x", "94.25 %", "conv&lt;1&gt;"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	d := xml.NewDecoder(strings.NewReader(text[strings.Index(text, "<svg"):]))
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	if err := d.Skip(); err != nil {
		t.Errorf("svg: %v", err)
	}
	// a result with almost nothing in it
	report(t, "html", &Result{Samples: 1, Confidence: 0.95})
}

func TestReportKind(t *testing.T) {
	if err := WriteReport(io.Discard, "report.pdf", example()); err == nil || !strings.Contains(err.Error(), ".html") {
		t.Errorf("%v", err)
	}
}

func TestHistogramKeepsEverything(t *testing.T) {
	var h Histogram
	values := []float64{0.1, -0.1, 0, 5, -0.09, 1e-3, 123, -123.5, 0.1, 1e30}
	for _, v := range values {
		h.add(v)
	}
	n := h.Exact
	for _, c := range h.Counts {
		n += c
	}
	if n != len(values) || h.Exact != 1 || h.Counts[len(h.Counts)-1] > 1 {
		t.Errorf("%+v", h)
	}
	h = Histogram{}
	h.add(1)  // width 1/32: [-1.25, 1.25)
	h.add(-2) // twice as wide
	if h.Width != 0.0625 || h.Counts[histogramHalf+16] != 1 || h.Counts[histogramHalf-32] != 1 {
		t.Errorf("%+v", h)
	}
}

func TestLayers(t *testing.T) {
	x := [][]float32{{3, 0, -1}, {0, 2, 0}}
	ref := linear(t, graph.Named("n"), identity(3), "Relu", "Softmax")
	near9 := [][]float32{{1, 0, 0}, {0, 0.5, 0}, {0, 0, 1}}
	model := linear(t, graph.Named("n"), near9, "Relu", "Softmax")
	// quantize "scores" in the model: the layer must be seen after the pair
	b := graph.NewBuilder(model)
	scale, zero := graph.NewConst("scale", tensor.Scalar[float32](0.4)), graph.NewConst("zero", tensor.Scalar[uint8](100))
	q, err := graph.NewOp("", "QuantizeLinear", nil)
	if err != nil {
		t.Fatal(err)
	}
	dq, err := graph.NewOp("", "DequantizeLinear", nil)
	if err != nil {
		t.Fatal(err)
	}
	scores := model.Value("scores")
	d := b.Add("d", dq, b.Add("q", q, scores, scale, zero), scale, zero)
	for _, n := range model.Nodes {
		if n.Name == "Relu" {
			n.In[0] = d
		}
	}
	if err := model.Sort(); err != nil {
		t.Fatal(err)
	}
	if err := model.Infer(); err != nil {
		t.Fatal(err)
	}
	r := run(t, Options{Model: Model{Graph: model}, Reference: &Model{Graph: ref}, Set: set(t, x, nil), Layers: true})
	var names []string
	for _, l := range r.Layers {
		names = append(names, l.Name+" "+l.Op)
	}
	if d := cmp.Diff([]string{"scores MatMul", "relu Relu", "softmax Softmax"}, names); d != "" {
		t.Fatal(d)
	}
	// 3 becomes 2.8 or 3.2 (7.5 steps, rounded to even: 8), -1 is 2.5 steps: -0.8, 2 is 1 in the model: 2.5 steps: 0.8
	l := r.Layers[0]
	near(t, "largest error", &l.MaxError, 1.2)
	near(t, "model's maximum", &l.ModelMax, 3.2)
	near(t, "reference's minimum", &l.Min, -1)
	if r.LayerCount != 2 {
		t.Errorf("%d samples", r.LayerCount)
	}
}

func TestLatency(t *testing.T) {
	m := Model{Graph: linear(t, graph.Named("n"), identity(3))}
	r, err := Evaluate(context.Background(), Options{Model: m, Reference: &m, Set: set(t, [][]float32{{1, 0, 0}}, nil), LatencyTime: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if l := r.Latency; l == nil || l.Runs < minRounds || l.ModelMS <= 0 || *l.Ratio <= 0 || l.Batch != 1 || l.CPU == "" {
		t.Errorf("%+v", r.Latency)
	}
}

func TestBench(t *testing.T) {
	g := linear(t, graph.Named("n"), identity(3))
	closed := 0
	m := Model{Path: "m", Load: func() (*graph.Graph, io.Closer, error) { return g, closer{&closed}, nil }}
	var done, total time.Duration
	r, err := Bench(context.Background(), BenchOptions{
		Model: m, Against: &m, Batch: 4, Duration: time.Millisecond, Threads: 1,
		Progress: func(d, t time.Duration) { done, total = d, t },
	})
	if err != nil {
		t.Fatal(err)
	}
	if done != total || total != 2*time.Millisecond {
		t.Errorf("progress ended at %v of %v", done, total)
	}
	if closed != 2 || r.Runs < minRounds || r.Runs != r.Against.Runs || r.Batch != 4 || r.Threads != 1 || r.MinMS > r.MedianMS || r.MedianMS > r.P95MS || r.FirstMS <= 0 || r.RSS <= 0 {
		t.Errorf("closed %d: %+v", closed, r)
	}
	var keys map[string]any
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &keys); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"threads", "batch", "runs", "min_ms", "median_ms", "p95_ms", "throughput", "first_ms", "rss_bytes", "cpu", "against", "ratio"} {
		if keys[k] == nil {
			t.Errorf("no %s", k)
		}
	}
	_, err = Bench(context.Background(), BenchOptions{Model: Model{Graph: linear(t, graph.Fixed(2), identity(3))}, Batch: 3})
	if err == nil || !strings.Contains(err.Error(), "batches of 2, not of 3") {
		t.Errorf("%v", err)
	}
}

// TestBenchDuration times a model that answers in microseconds for all the time asked for.
func TestBenchDuration(t *testing.T) {
	const duration = 200 * time.Millisecond
	r, err := Bench(context.Background(), BenchOptions{Model: Model{Graph: linear(t, graph.Named("n"), identity(3))}, Duration: duration, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	if spent := float64(r.Runs*r.Batch) / r.Throughput; spent < 0.999*duration.Seconds() {
		t.Errorf("%d runs took %.3f s of %v", r.Runs, spent, duration)
	}
}

type closer struct{ n *int }

func (c closer) Close() error { *c.n++; return nil }

func TestMedians(t *testing.T) {
	if m := median([]float64{4, 1, 3, 2}); m != 2.5 {
		t.Errorf("median %g", m)
	}
	if p := percentile([]float64{5, 1, 2, 3, 4}, 0.95); p != 5 {
		t.Errorf("p95 %g", p)
	}
	if r := pairedRatio([]float64{1, 2, 10}, []float64{2, 6, 10}); r != 2 {
		t.Errorf("ratio %g", r)
	}
}

func TestNumbersForPeople(t *testing.T) {
	for got, want := range map[string]string{
		size(0): "", size(999): "999 B", size(1000): "1.00 kB", size(91432): "91.4 kB", size(999_600): "1.00 MB", size(5_400_000_000): "5.40 GB",
		count(1234567): "1,234,567", count(-123): "-123", fixed(-0.0001, 2): "0.00", points(1): "1 point", percent(58.6): "58.6 %",
		count(roundUp(1733)): "1,800", count(roundUp(99)): "99", decibels(MaxSQNR): "identical",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestWords(t *testing.T) {
	for got, want := range map[string]string{
		times(1.94): "1.9x", times(0.634): "0.63x", times(1): "1.0x", times(0.05): "0.05x", times(112.4): "112x",
		smaller(0.25): "4.0x smaller", smaller(1.5): "1.5x larger", smaller(1): "1.0x smaller",
		Plural(1, "sample"): "1 sample", Plural(2000, "sample"): "2,000 samples", Plural(0, "run"): "0 runs",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
