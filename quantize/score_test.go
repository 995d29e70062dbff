package quantize_test

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/formats/onnx"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/quantize"
	"github.com/tfsopt/tfsopt/tensor"
)

// scored is a model with the data that calibrate and judge it, and the bounds that it must keep.
type scored struct {
	name, model, calibrate, judge, preprocess string
	samples, offset                           int
	drop, agree                               float64 // percentage points and percent
	slow                                      bool
}

// The bounds are those that today's best tools reach with slower or hand-tuned settings; a drop may exceed its bound by
// one standard error of the difference.
var models = []scored{
	{
		name: "kws", model: "kws_dscnn/dscnn_kws_fp32.onnx", calibrate: "kws/x_int8.npy,kws/labels.npy#::5", judge: "kws/x_int8.npy,kws/labels.npy#!::5",
		preprocess: "none:mean=83,std=1.7102703", drop: 0.3, agree: 98.5,
	},
	{
		name: "resnet8", model: "resnet8_cifar10/resnet8_cifar10_fp32.onnx", calibrate: "cifar10-train.tar.gz", judge: "cifar10-test",
		preprocess: "none", samples: 256, drop: 0.2, agree: 97,
	},
	{
		name: "squeezenet", model: "squeezenet/squeezenet1.1_fp32.onnx", calibrate: "imagenet-500#::5", judge: "imagenet-500#!::5",
		preprocess: "caffe:crop=224", drop: 0.5, agree: 94.5, slow: true,
	},
	{
		name: "efficientnet", model: "efficientnet_lite0/efficientnet_lite0.onnx", calibrate: "imagenet-500#::5", judge: "imagenet-500#!::5",
		preprocess: "none:crop=224,mean=127,std=128", drop: 0.5, agree: 97.5, slow: true,
	},
	{
		name: "mobilenet", model: "mobilenet_v1_025/mobilenet_v1_0.25_224_fp32.onnx", calibrate: "imagenet-500#::5", judge: "imagenet-500#!::5",
		preprocess: "tf:crop=224", offset: 1, drop: 0.5, agree: 89.5, slow: true,
	},
}

func shared(tb testing.TB) string {
	dir := os.Getenv("TFSOPT_SHARED")
	if dir == "" {
		dir = "../../shared"
	}
	if _, err := os.Stat(filepath.Join(dir, "models")); err != nil {
		tb.Skipf("no models: %v", err)
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		tb.Fatal(err)
	}
	return abs
}

func (m scored) load(tb testing.TB) *graph.Graph {
	tb.Helper()
	f, err := onnx.Load(filepath.Join(shared(tb), "models", m.model))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { closeFile(tb, f) })
	return f.Graph
}

func closeFile(tb testing.TB, f *formats.File) {
	if err := f.Close(); err != nil {
		tb.Error(err)
	}
}

func (m scored) open(tb testing.TB, g *graph.Graph, path string, samples int) *data.Set {
	tb.Helper()
	var inputs []data.Input
	for _, v := range g.Inputs {
		in := data.Input{Name: v.Name, DType: v.DType}
		for _, d := range v.Shape {
			n, ok := d.Value()
			if !ok {
				n = -1
			}
			in.Shape = append(in.Shape, n)
		}
		inputs = append(inputs, in)
	}
	root := filepath.Join(shared(tb), "data")
	parts := strings.Split(path, ",")
	for i := range parts {
		parts[i] = filepath.Join(root, parts[i])
	}
	full := strings.Join(parts, ",")
	set, err := data.Open(data.Options{Path: full, Preprocess: m.preprocess, Samples: samples, LabelOffset: m.offset, Inputs: inputs})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := set.Close(); err != nil {
			tb.Error(err)
		}
	})
	return set
}

// answers runs g on a set: the best class of each sample.
func answers(tb testing.TB, g *graph.Graph, set *data.Set) (top, labels []int) {
	tb.Helper()
	p, err := engine.Compile(context.Background(), g, engine.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	defer p.Close()
	for b, err := range set.Stream(context.Background(), 1, 0) {
		if err != nil {
			tb.Fatal(err)
		}
		call := &engine.Call{In: b.In}
		if err := p.Run(context.Background(), call); err != nil {
			tb.Fatal(err)
		}
		best := 0
		v := tensor.Floats(call.Out[0])
		for i, x := range v {
			if x > v[best] {
				best = i
			}
		}
		top, labels = append(top, best), append(labels, b.Labels[0])
	}
	return top, labels
}

// TestScores measures what the defaults cost on real models. TFSOPT_SCORES=1 takes the slow ones too, TFSOPT_KEEP names a
// folder for the quantized files.
func TestScores(t *testing.T) {
	if testing.Short() {
		t.Skip("long: real models")
	}
	for _, m := range models {
		t.Run(m.name, func(t *testing.T) {
			if m.slow && os.Getenv("TFSOPT_SCORES") == "" {
				t.Skip("slow: set TFSOPT_SCORES=1")
			}
			m.test(t)
		})
	}
}

func (m scored) test(t *testing.T) {
	g := m.load(t)
	var o quantize.Options
	if text := os.Getenv("TFSOPT_OPTIONS"); text != "" {
		if err := json.Unmarshal([]byte(text), &o); err != nil {
			t.Fatal(err)
		}
	}
	last, begun := "", time.Now()
	o.Progress = func(stage string, done, total int) {
		if stage != last || done == total {
			t.Logf("%6.1f s: %s %d of %d", time.Since(begun).Seconds(), stage, done, total)
		}
		last = stage
	}
	r, err := quantize.Quantize(context.Background(), g, m.open(t, g, m.calibrate, m.samples), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range r.Layers {
		t.Logf("%-40s %-6s %6.1f dB", l.Name, l.Op, l.SQNR)
	}
	if dir := os.Getenv("TFSOPT_KEEP"); dir != "" {
		if _, err := onnx.Save(context.Background(), r.Graph, filepath.Join(dir, m.name+".onnx")); err != nil {
			t.Fatal(err)
		}
	}
	set := m.open(t, g, m.judge, 0)
	want, labels := answers(t, g, set)
	got, _ := answers(t, r.Graph, set)
	var float, ints, same, changed float64
	for i, label := range labels {
		a, b := hit(want[i] == label), hit(got[i] == label)
		float += a
		ints += b
		same += hit(want[i] == got[i])
		changed += (a - b) * (a - b)
	}
	n := float64(len(labels))
	drop, agree := 100*(float-ints)/n, 100*same/n
	deviation := 100 * math.Sqrt(changed) / n
	t.Logf("%s: top-1 %.2f -> %.2f, drop %.2f ± %.2f, agreement %.2f %%, %.0f samples", m.name, 100*float/n, 100*ints/n, drop, deviation, agree, n)
	if drop > m.drop+deviation || agree < m.agree {
		t.Errorf("want a drop of at most %.2f and an agreement of at least %.2f %%", m.drop, m.agree)
	}
}

func hit(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
