package engine_test

import (
	"math"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/kernels"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
	"github.com/tfsopt/tfsopt/train"
)

// trained builds a network whose parameters are inputs.
type trained struct {
	*graph.Builder
	x      *graph.Value
	params []*graph.Value
	extra  []*graph.Value // further outputs of the step
}

func (n *trained) input(name string, shape ...int) *graph.Value {
	v := graph.NewInput(n.Fresh(name), graph.Of(tensor.Float32, graph.Dims(shape...)...))
	n.G.Inputs = append(n.G.Inputs, v)
	return v
}

func (n *trained) param(shape ...int) *graph.Value {
	v := n.input("p", shape...)
	n.params = append(n.params, v)
	return v
}

func size(v *graph.Value, axis int) int {
	n, _ := v.Shape[axis].Value()
	return n
}

func (n *trained) conv(v *graph.Value, out, kernel, pad int) *graph.Value {
	w := n.param(out, size(v, 1), kernel, kernel)
	return n.Add("conv", ops.Conv{AutoPad: "NOTSET", Group: 1, Pads: []int{pad, pad, pad, pad}}, v, w, n.param(out))
}

func (n *trained) relu(v *graph.Value) *graph.Value { return n.Add("relu", ops.Relu{}, v) }

func (n *trained) pool(v *graph.Value) *graph.Value {
	return n.Add("pool", ops.MaxPool{AutoPad: "NOTSET", KernelShape: []int{2, 2}, Strides: []int{2, 2}}, v)
}

func (n *trained) dense(v *graph.Value, out int) *graph.Value {
	v = n.Add("flat", ops.Flatten{Axis: 1}, v)
	return n.Add("dense", ops.Gemm{Alpha: 1, Beta: 1, TransB: true}, v, n.param(out, size(v, 1)), n.param(out))
}

// norm is a normalization in training; its statistics are outputs.
func (n *trained) norm(v *graph.Value) *graph.Value {
	c := size(v, 1)
	out := n.AddN("norm", 3, ops.BatchNormalization{Epsilon: 1e-3, Momentum: 0.9, TrainingMode: true}, v, n.param(c), n.param(c), n.input("mean", c), n.input("variance", c))
	n.extra = append(n.extra, out[1:]...)
	return out[0]
}

func (n *trained) ints(v ...int64) *graph.Value { return n.Const("shape", tensor.From(v, len(v))) }

// linear multiplies the last dimension and adds a bias.
func (n *trained) linear(v *graph.Value, out int) *graph.Value {
	v = n.Add("linear", ops.MatMul{}, v, n.param(size(v, v.Rank()-1), out))
	return n.Add("bias", ops.Add{}, v, n.param(out))
}

func (n *trained) layerNorm(v *graph.Value) *graph.Value {
	c := size(v, v.Rank()-1)
	return n.Add("layernorm", ops.LayerNormalization{Axis: -1, Epsilon: 1e-5, StashType: 1}, v, n.param(c), n.param(c))
}

// heads splits [N,T,C] into [N,heads,T,C/heads].
func (n *trained) heads(v *graph.Value, heads int, perm []int) *graph.Value {
	v = n.Add("split", ops.Reshape{}, v, n.ints(int64(size(v, 0)), int64(size(v, 1)), int64(heads), int64(size(v, 2)/heads)))
	return n.Add("heads", ops.Transpose{Perm: perm}, v)
}

// encoder is one block of a Transformer (Vaswani et al., arXiv 1706.03762), normalized first.
func (n *trained) encoder(v *graph.Value, heads int) *graph.Value {
	c := size(v, 2)
	y := n.layerNorm(v)
	q, k := n.heads(n.linear(y, c), heads, []int{0, 2, 1, 3}), n.heads(n.linear(y, c), heads, []int{0, 2, 3, 1})
	s := n.Add("scaled", ops.Mul{}, n.Add("scores", ops.MatMul{}, q, k), n.Const("scale", tensor.Scalar(float32(math.Sqrt(float64(heads)/float64(c))))))
	a := n.Add("attended", ops.MatMul{}, n.Add("weights", ops.Softmax{Axis: -1}, s), n.heads(n.linear(y, c), heads, []int{0, 2, 1, 3}))
	a = n.Add("joined", ops.Transpose{Perm: []int{0, 2, 1, 3}}, a)
	a = n.linear(n.Add("merged", ops.Reshape{}, a, n.ints(int64(size(v, 0)), int64(size(v, 1)), int64(c))), c)
	v = n.Add("residual", ops.Add{}, v, a)
	y = n.Add("gelu", ops.Gelu{Approximate: "none"}, n.linear(n.layerNorm(v), 4*c))
	return n.Add("residual", ops.Add{}, v, n.linear(y, c))
}

var trainings = []struct {
	name    string
	x       []int // with a small batch
	batch   int   // for timing
	kernels []string
	build   func(n *trained) *graph.Value
}{
	{"lenet", []int{3, 1, 28, 28}, 128, nil, func(n *trained) *graph.Value {
		v := n.pool(n.relu(n.conv(n.x, 6, 5, 2)))
		v = n.pool(n.relu(n.conv(v, 16, 5, 0)))
		return n.dense(n.relu(n.dense(n.relu(n.dense(v, 120)), 84)), 10)
	}},
	{"mlp", []int{5, 784}, 128, nil, func(n *trained) *graph.Value {
		return n.dense(n.relu(n.dense(n.relu(n.dense(n.x, 512)), 512)), 10)
	}},
	{"batchnorm", []int{3, 3, 12, 12}, 64, nil, func(n *trained) *graph.Value {
		v := n.relu(n.norm(n.conv(n.x, 16, 3, 1)))
		w := n.relu(n.norm(n.conv(v, 16, 3, 1)))
		v = n.Add("residual", ops.Add{}, v, n.norm(n.conv(w, 16, 3, 1)))
		v = n.Add("pool", ops.AveragePool{AutoPad: "NOTSET", KernelShape: []int{2, 2}, Strides: []int{2, 2}}, v)
		v = n.Add("clip", ops.Clip{}, n.norm(n.conv(v, 32, 3, 0)), n.Const("lo", tensor.Scalar(float32(0))), n.Const("hi", tensor.Scalar(float32(6))))
		return n.dense(n.Add("average", ops.GlobalAveragePool{}, v), 10)
	}},
	{"transformer", []int{2, 9, 16}, 32, nil, func(n *trained) *graph.Value {
		v := n.layerNorm(n.encoder(n.linear(n.x, 32), 4))
		v = n.Add("mean", ops.ReduceMean{Keepdims: false}, v, n.ints(1))
		return n.dense(v, 10)
	}},
}

// trainingStep is the graph of loss, scores, statistics and gradients for a batch.
func trainingStep(t *testing.T, x []int, build func(n *trained) *graph.Value) *graph.Graph {
	t.Helper()
	n := &trained{Builder: graph.NewBuilder(&graph.Graph{Name: "step"})}
	n.x = n.input("x", x...)
	logits := build(n)
	target := n.input("target", x[0], size(logits, 1))
	each := n.Add("likelihood", ops.Mul{}, target, n.Add("log", ops.LogSoftmax{Axis: -1}, logits))
	loss := n.Add("loss", ops.Mul{}, n.Add("total", ops.ReduceSum{}, each), n.Const("mean", tensor.Scalar(-1/float32(x[0]))))
	grads, err := train.Gradients(n.Builder, loss, n.params)
	if err != nil {
		t.Fatal(err)
	}
	n.G.Outputs = append(append([]*graph.Value{loss, logits}, n.extra...), grads...)
	return n.G
}

// trainingInputs are small random numbers; variances are positive.
func trainingInputs(g *graph.Graph) []*tensor.Tensor {
	var in []*tensor.Tensor
	for i, v := range g.Inputs {
		shape, _ := v.Fixed()
		t := noise(uint64(i+7), shape...)
		for j, e := range tensor.View[float32](t) {
			tensor.View[float32](t)[j] = e / 2
			if len(shape) == 1 {
				tensor.View[float32](t)[j] = e + 0.75
			}
		}
		in = append(in, t)
	}
	return in
}

// TestTrainingSteps wants loss and gradients near the reference, the same bits everywhere, and no operator on its own
// kernel but the listed ones. TFSOPT_PROFILE=name prints how long the steps of that network take with a real batch.
func TestTrainingSteps(t *testing.T) {
	for _, c := range trainings {
		t.Run(c.name, func(t *testing.T) {
			g := trainingStep(t, c.x, c.build)
			in := trainingInputs(g)
			agreeOn(t, g, in, 2e-4)
			steps, err := compile(t, g, engine.Options{Threads: 1}).Steps(in, 1)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range steps {
				if s.Kernel && !slices.Contains(c.kernels, s.Op) {
					t.Errorf("%q (%s) %v runs its own kernel", s.Name, s.Op, s.Shape)
				}
			}
			if os.Getenv("TFSOPT_PROFILE") == c.name {
				profile(t, trainingStep(t, append([]int{c.batch}, c.x[1:]...), c.build))
			}
		})
	}
}

func profile(t *testing.T, g *graph.Graph) {
	for _, threads := range []int{1, 2} {
		steps, err := compile(t, g, engine.Options{Threads: threads, CPU: kernels.Available()[len(kernels.Available())-1].Name}).Steps(trainingInputs(g), 20)
		if err != nil {
			t.Fatal(err)
		}
		var total time.Duration
		var by []engine.StepTime // totals by operator
		for _, s := range steps {
			total += s.Took
			i := slices.IndexFunc(by, func(o engine.StepTime) bool { return o.Op == s.Op })
			if i < 0 {
				i, by = len(by), append(by, engine.StepTime{Op: s.Op})
			}
			by[i].Took += s.Took
		}
		t.Logf("%d threads: %v", threads, total)
		for _, list := range [][]engine.StepTime{by, steps} {
			slices.SortStableFunc(list, func(a, b engine.StepTime) int { return int(b.Took - a.Took) })
			for _, s := range list[:min(30, len(list))] {
				t.Logf("%10v %-28s %-24s %v", s.Took, s.Op, s.Name, s.Shape)
			}
		}
	}
}
