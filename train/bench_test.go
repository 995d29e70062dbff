package train_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
	"github.com/tfsopt/tfsopt/train"
)

// net builds a classifier whose weights are graph inputs.
type net struct {
	*graph.Builder
	x      *graph.Value
	params []*graph.Value
	data   []*tensor.Tensor // of the parameters
	seed   uint64
}

// param adds a trainable input of He's scale for the fan-in (He et al., arXiv 1502.01852).
func (n *net) param(fan int, shape ...int) *graph.Value {
	v := graph.NewInput(n.Fresh("p"), graph.Of(tensor.Float32, graph.Dims(shape...)...))
	n.G.Inputs = append(n.G.Inputs, v)
	t := tensor.New(tensor.Float32, shape...)
	scale := float32(math.Sqrt(6 / float64(fan)))
	for i := range tensor.View[float32](t) {
		n.seed = n.seed*6364136223846793005 + 1442695040888963407
		tensor.View[float32](t)[i] = scale * (float32(n.seed>>40)/(1<<23) - 1)
	}
	n.params, n.data = append(n.params, v), append(n.data, t)
	return v
}

// conv adds a convolution with bias; group 0 is depthwise.
func (n *net) conv(v *graph.Value, out, kernel, stride, pad, group int) *graph.Value {
	in := channels(v)
	if group == 0 {
		group = in
	}
	w := n.param(in/group*kernel*kernel, out, in/group, kernel, kernel)
	op := ops.Conv{AutoPad: "NOTSET", Group: group, Strides: []int{stride, stride}, Pads: []int{pad, pad, pad, pad}}
	return n.Add("conv", op, v, w, n.param(1<<20, out))
}

// channels is the size of dimension 1.
func channels(v *graph.Value) int {
	n, _ := v.Shape[1].Value()
	return n
}

func (n *net) relu(v *graph.Value) *graph.Value { return n.Add("relu", ops.Relu{}, v) }

func (n *net) pool(v *graph.Value) *graph.Value {
	return n.Add("pool", ops.MaxPool{AutoPad: "NOTSET", KernelShape: []int{2, 2}, Strides: []int{2, 2}}, v)
}

func (n *net) dense(v *graph.Value, out int) *graph.Value {
	v = n.Add("flat", ops.Flatten{Axis: 1}, v)
	in := channels(v)
	return n.Add("dense", ops.Gemm{Alpha: 1, Beta: 1, TransB: true}, v, n.param(in, out, in), n.param(1<<20, out))
}

func (n *net) average(v *graph.Value) *graph.Value {
	return n.Add("average", ops.GlobalAveragePool{}, v)
}

// yardstick is a network with the time of a PyTorch step on the machine this was tuned on, in milliseconds with one and
// two threads.
type yardstick struct {
	name    string
	x       []int
	classes int
	torch   [2]float64
	build   func(n *net) *graph.Value
}

var yardsticks = []yardstick{
	{"cnn", []int{64, 1, 28, 28}, 10, [2]float64{71.6, 44.7}, func(n *net) *graph.Value {
		v := n.pool(n.relu(n.conv(n.relu(n.conv(n.x, 32, 3, 1, 0, 1)), 64, 3, 1, 0, 1)))
		return n.dense(n.relu(n.dense(v, 128)), 10)
	}},
	{"resnet8", []int{64, 3, 32, 32}, 10, [2]float64{71.6, 39.3}, func(n *net) *graph.Value {
		v := n.relu(n.conv(n.x, 16, 3, 1, 1, 1))
		for i, c := range []int{16, 32, 64} {
			stride, skip := 1, v
			if i > 0 {
				stride, skip = 2, n.conv(v, c, 1, 2, 0, 1)
			}
			y := n.conv(n.relu(n.conv(v, c, 3, stride, 1, 1)), c, 3, 1, 1, 1)
			v = n.relu(n.Add("sum", ops.Add{}, y, skip))
		}
		return n.dense(n.average(v), 10)
	}},
	{"lenet5", []int{128, 1, 28, 28}, 10, [2]float64{11.4, 6.7}, func(n *net) *graph.Value {
		v := n.pool(n.relu(n.conv(n.x, 6, 5, 1, 2, 1)))
		v = n.pool(n.relu(n.conv(v, 16, 5, 1, 0, 1)))
		return n.dense(n.relu(n.dense(n.relu(n.dense(v, 120)), 84)), 10)
	}},
	{"mobilenet", []int{32, 3, 96, 96}, 10, [2]float64{49.8, 36.3}, func(n *net) *graph.Value {
		v := n.relu(n.conv(n.x, 8, 3, 2, 1, 1))
		for _, l := range [][2]int{{16, 1}, {32, 2}, {32, 1}, {64, 2}, {64, 1}, {128, 2}, {128, 1}, {128, 1}, {128, 1}, {128, 1}, {128, 1}, {256, 2}, {256, 1}} {
			v = n.relu(n.conv(v, channels(v), 3, l[1], 1, 0))
			v = n.relu(n.conv(v, l[0], 1, 1, 0, 1))
		}
		return n.dense(n.average(v), 10)
	}},
}

// BenchmarkStep times forward, cross entropy, gradients and SGD with momentum. TFSOPT_THREADS limits the threads.
func BenchmarkStep(b *testing.B) {
	threads := []int{1, 2}
	if n, err := strconv.Atoi(os.Getenv("TFSOPT_THREADS")); err == nil {
		threads = []int{n}
	}
	for _, y := range yardsticks {
		for _, n := range threads {
			b.Run(fmt.Sprintf("%s/%d", y.name, n), func(b *testing.B) { y.bench(b, n) })
		}
	}
}

func (y yardstick) step(tb testing.TB) (*net, *graph.Graph) {
	g := &graph.Graph{Name: y.name, Opsets: map[string]int{"": 21, "tfsopt": 1}}
	n := &net{Builder: graph.NewBuilder(g), seed: 1}
	n.x = graph.NewInput("x", graph.Of(tensor.Float32, graph.Dims(y.x...)...))
	target := graph.NewInput("target", graph.Of(tensor.Float32, graph.Dims(y.x[0], y.classes)...))
	g.Inputs = []*graph.Value{n.x, target}
	logits := y.build(n)
	if n.Err != nil {
		tb.Fatal(n.Err)
	}
	loss := train.CrossEntropy(&train.Task{Builder: n.Builder, Batch: y.x[0], Logits: logits, Target: target})
	grads, err := train.Gradients(n.Builder, loss, n.params)
	if err != nil {
		tb.Fatal(err)
	}
	g.Outputs = append([]*graph.Value{loss}, grads...)
	return n, g
}

// inputs are a batch of noise, labels in turn, and the parameters.
func (y yardstick) inputs(n *net) []*tensor.Tensor {
	x, target := tensor.New(tensor.Float32, y.x...), tensor.New(tensor.Float32, y.x[0], y.classes)
	for i := range tensor.View[float32](x) {
		n.seed = n.seed*6364136223846793005 + 1442695040888963407
		tensor.View[float32](x)[i] = float32(n.seed>>40) / (1 << 24)
	}
	for i := range y.x[0] {
		tensor.View[float32](target)[i*y.classes+i%y.classes] = 1
	}
	return append([]*tensor.Tensor{x, target}, n.data...)
}

func (y yardstick) bench(b *testing.B, threads int) {
	n, g := y.step(b)
	p, err := engine.Compile(context.Background(), g, engine.Options{Threads: threads})
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	call := &engine.Call{In: y.inputs(n)}
	momentum := make([][]float32, len(n.data))
	for i, d := range n.data {
		momentum[i] = make([]float32, d.Len())
	}
	var times, cpu []float64
	for b.Loop() {
		start, used := time.Now(), cpuTime()
		if err := p.Run(context.Background(), call); err != nil {
			b.Fatal(err)
		}
		for i, d := range n.data {
			v, dw := tensor.View[float32](d), tensor.View[float32](call.Out[i+1])
			for k, m := range momentum[i] {
				m = float32(0.9*m) + dw[k]
				momentum[i][k] = m
				v[k] -= float32(0.001 * m)
			}
		}
		times, cpu = append(times, time.Since(start).Seconds()*1e3), append(cpu, (cpuTime()-used).Seconds()*1e3)
	}
	if loss := tensor.View[float32](call.Out[0])[0]; !(loss < 1e3) {
		b.Fatalf("the loss is %g", loss)
	}
	b.ReportMetric(slices.Min(times), "ms-min")
	b.ReportMetric(slices.Min(cpu), "cpu-ms-min")
	if threads <= len(y.torch) {
		b.ReportMetric(y.torch[threads-1]/slices.Min(times), "x-torch")
	}
	b.ReportMetric(0, "ns/op")
}
