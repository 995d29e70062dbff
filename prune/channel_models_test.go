package prune

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/tfsopt/tfsopt/formats/onnx"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// channelModels are real ones, with sizes that keep the plain loops fast and the share of multiply-adds to cut.
var channelModels = []struct {
	file     string
	sparsity float64
	slow     bool
	dims     map[string]int
}{
	{file: "mnist/mnist.onnx", sparsity: 0.5},
	{file: "resnet8_cifar10/resnet8_cifar10_fp32.onnx", sparsity: 0.5},
	{file: "kws_dscnn/dscnn_kws_fp32.onnx", sparsity: 0.5},
	{file: "mobilenet_v1_025/mobilenet_v1_0.25_224_fp32.onnx", sparsity: 0.6, slow: true},
	{file: "mobilenet_v2_035_flowers/mobilenet_v2_0.35_128_tfs_channel_first.onnx", sparsity: 0.4},
	{
		file: "ppocr_cls/ch_ppocr_mobile_v2.0_cls_infer.onnx", sparsity: 0.4,
		dims: map[string]int{"p2o.DynamicDimension.1": 48, "p2o.DynamicDimension.2": 48},
	},
	{file: "magika/standard_v3_3/model.onnx", sparsity: 0.3, slow: true},
	{file: "squeezenet/squeezenet1.1_fp32.onnx", sparsity: 0.8, slow: true},
	{file: "efficientnet_lite0/efficientnet_lite0.onnx", sparsity: 0.8, slow: true},
}

func loadShared(t *testing.T, file string) *graph.Graph {
	t.Helper()
	shared := os.Getenv("TFSOPT_SHARED")
	if shared == "" {
		shared = "../../shared"
	}
	path := filepath.Join(shared, "models", file)
	if filepath.IsAbs(file) {
		path = file
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no model: %v", err)
	}
	f, err := onnx.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f.Graph
}

func TestChannelsOfModels(t *testing.T) {
	for _, m := range channelModels {
		t.Run(filepath.Base(m.file), func(t *testing.T) {
			if m.slow && testing.Short() {
				t.Skip("the plain loops take seconds")
			}
			r := checkChannels(t, loadShared(t, m.file), ChannelOptions{Sparsity: m.sparsity, Dims: m.dims})
			if limit := int64(math.Ceil((1 - m.sparsity) * float64(r.MACs[0]))); r.MACs[1] > limit {
				t.Errorf("%d multiply-adds are left of %d, want at most %d", r.MACs[1], r.MACs[0], limit)
			}
			for _, l := range r.Layers {
				t.Logf("%-60s %5d -> %5d  %s", l.Name, l.Channels[0], l.Channels[1], l.Reason)
			}
			for _, g := range r.Groups {
				t.Logf("group %-60s %5d -> %5d  %s", g.Name, g.Channels[0], g.Channels[1], g.Reason)
			}
		})
	}
}

// checkChannels cuts channels and compares the result with the whole graph in which all weights of the same channels are
// zero: a sum of the same terms without the zeros. It checks that what is reported is what is there.
func checkChannels(t *testing.T, g *graph.Graph, o ChannelOptions) *ChannelReport {
	t.Helper()
	before := g.String()
	p, err := planChannels(t.Context(), g, o)
	if err != nil {
		t.Fatal(err)
	}
	masked := p.masked(t)
	r, err := p.cut()
	if err != nil {
		t.Fatal(err)
	}
	if g.String() != before {
		t.Error("the original graph has changed")
	}
	if r.Bytes[1] >= r.Bytes[0] {
		t.Errorf("%d bytes are left of %d", r.Bytes[1], r.Bytes[0])
	}
	if w, err := newWork(p.g, o.Dims); err != nil || w.total != r.MACs[1] {
		t.Errorf("%d multiply-adds are reported, %d counted (%v)", r.MACs[1], w.total, err)
	}
	for i, n := range r.nodes {
		w, axis, ok := outputAxis(n)
		if !ok || w.Const.Shape[axis] != r.Layers[i].Channels[1] {
			t.Errorf("layer %q has %v, reported are %v", n.Name, w.Type, r.Layers[i].Channels)
		}
	}
	sameResults(t, masked, p.g, o.Dims)
	return r
}

// masked is the whole graph with the slices of the channels that go set to zero.
func (p *channelPlan) masked(t *testing.T) *graph.Graph {
	t.Helper()
	c, values := p.g.CloneMap()
	done := map[*graph.Value]bool{}
	for i, g := range p.groups {
		for _, s := range g.Slices {
			v := values[s.Value]
			if !v.Const.IsFloat() {
				continue
			}
			if !done[v] {
				v.Const, done[v] = v.Const.Clone(), true
			}
			data := tensor.Float64s(v.Const)
			outer, inner := tensor.Size(v.Const.Shape[:s.Axis]), tensor.Size(v.Const.Shape[s.Axis+1:])
			for ch, gone := range p.gone[i] {
				for _, at := range s.Positions[ch] {
					for o := range outer {
						if gone {
							clear(data[(o*v.Const.Shape[s.Axis]+at)*inner:][:inner])
						}
					}
				}
			}
			if err := tensor.SetFloat64s(v.Const, data); err != nil {
				t.Fatal(err)
			}
		}
	}
	return c
}

// sameResults runs both graphs on the same random inputs. Both round the same sums once in each node, so that they agree
// to the last bit but for operators that round on the way.
func sameResults(t *testing.T, want, got *graph.Graph, dims map[string]int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(5, 6))
	in := make([]*tensor.Tensor, len(want.Inputs))
	for i, v := range want.Inputs {
		shape := make([]int, len(v.Shape))
		for a, d := range v.Shape {
			n, ok := d.Bind(dims).Value()
			if shape[a] = n; !ok {
				shape[a] = 1
			}
		}
		in[i] = tensor.New(v.DType, shape...)
		x := make([]float64, in[i].Len())
		for j := range x {
			x[j] = rng.NormFloat64()
		}
		if err := tensor.SetFloat64s(in[i], x); err != nil {
			t.Fatal(err)
		}
	}
	a, err := graph.Eval(t.Context(), want, in)
	if err != nil {
		t.Fatal(err)
	}
	b, err := graph.Eval(t.Context(), got, in)
	if err != nil {
		t.Fatal(err)
	}
	for i := range a {
		x, y := tensor.Float64s(a[i]), tensor.Float64s(b[i])
		if len(x) != len(y) {
			t.Fatalf("output %d is %v, want %v", i, b[i].Shape, a[i].Shape)
		}
		worst, largest := 0., 0.
		for j := range x {
			worst, largest = max(worst, math.Abs(x[j]-y[j])), max(largest, math.Abs(x[j]))
		}
		if !(worst <= 1e-6*largest) || largest == 0 {
			t.Errorf("output %q differs by %g, its largest element is %g", got.Outputs[i].Name, worst, largest)
		}
	}
}
