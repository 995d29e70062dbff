package engine_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/kernels"
	_ "github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// network is a small CNN with padding, strides, groups, a residual and a concatenation; %s is the batch.
const network = `graph "net" {
  opset "" 17
  input x: float32[%s,5,13,11]
  const w1: float32[24,5,3,3] = random 1
  const b1: float32[24] = random 2
  const w2: float32[24,1,3,3] = random 3
  const w3: float32[24,24,1,1] = random 4
  const w4: float32[10,12,2,3] = random 5
  const six: float32[] = {6}
  const zero: float32[] = {0}
  const fc: float32[10,7] = random 6
  c1: float32[%s,24,7,6] = Conv(x, w1, b1) {strides=[2,2] pads=[1,1,1,1]}
  r1: float32[%s,24,7,6] = Relu(c1)
  c2: float32[%s,24,7,6] = Conv(r1, w2, _) {group=24 pads=[1,1,1,1]}
  k2: float32[%s,24,7,6] = Clip(c2, zero, six)
  c3: float32[%s,24,7,6] = Conv(k2, w3, b1)
  s: float32[%s,24,7,6] = Add(r1, c3)
  t: float32[%s,24,7,6] = Relu(s)
  m: float32[%s,24,7,6] = MaxPool(t) {kernel_shape=[3,3] pads=[1,1,1,1] strides=[1,1]}
  a: float32[%s,24,7,6] = AveragePool(t) {kernel_shape=[3,3] pads=[1,1,1,1] strides=[1,1]}
  p: float32[%s,24,7,6] = Mul(m, a)
  c4: float32[%s,10,6,4] = Conv(p, w4) {group=2}
  g: float32[%s,10,1,1] = GlobalAveragePool(c4)
  f: float32[%s,10] = Flatten(g)
  y: float32[%s,7] = MatMul(f, fc)
  z: float32[%s,7] = Softmax(y)
  output z
  output k2
}`

// parse reads a text form in which constants may be random: "= random SEED".
func parse(t testing.TB, text string) *graph.Graph {
	t.Helper()
	seeds := map[string]uint64{}
	var lines []string
	for _, line := range strings.Split(text, "\n") {
		if head, seed, ok := strings.Cut(line, " = random "); ok {
			name, typ, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(head), "const "), ":")
			var n uint64
			if _, err := fmt.Sscan(seed, &n); err != nil {
				t.Fatal(err)
			}
			seeds[name] = n
			line = "  input " + name + ":" + typ
		}
		lines = append(lines, line)
	}
	g, err := graph.Parse(strings.NewReader(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	var inputs []*graph.Value
	for _, v := range g.Inputs {
		if seed, ok := seeds[v.Name]; ok {
			shape, _ := v.Fixed()
			v.Fact = graph.FactOf(noise(seed, shape...))
			continue
		}
		inputs = append(inputs, v)
	}
	g.Inputs = inputs
	if err := g.Infer(); err != nil {
		t.Fatal(err)
	}
	return g
}

// noise makes repeatable numbers in [-0.5,0.5).
func noise(seed uint64, shape ...int) *tensor.Tensor {
	t := tensor.New(tensor.Float32, shape...)
	for i := range tensor.View[float32](t) {
		seed = seed*6364136223846793005 + 1442695040888963407
		tensor.View[float32](t)[i] = float32(seed>>40)/(1<<24) - 0.5
	}
	return t
}

func compile(t testing.TB, g *graph.Graph, o engine.Options) *engine.Program {
	t.Helper()
	p, err := engine.Compile(context.Background(), g, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func run(t testing.TB, p *engine.Program, in ...*tensor.Tensor) []*tensor.Tensor {
	t.Helper()
	c := &engine.Call{In: in}
	if err := p.Run(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	return c.Out
}

func reference(t testing.TB, g *graph.Graph, in ...*tensor.Tensor) []*tensor.Tensor {
	t.Helper()
	out, err := graph.Eval(context.Background(), g, in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func near(t testing.TB, got, want []*tensor.Tensor, tol float64) {
	t.Helper()
	for i := range want {
		g, w := tensor.Float64s(got[i]), tensor.Float64s(want[i])
		if fmt.Sprint(got[i].Shape) != fmt.Sprint(want[i].Shape) || got[i].DType != want[i].DType {
			t.Fatalf("output %d: %s%v, want %s%v", i, got[i].DType, got[i].Shape, want[i].DType, want[i].Shape)
		}
		for j := range w {
			if d := math.Abs(g[j] - w[j]); !(d <= tol*(1+math.Abs(w[j]))) {
				t.Fatalf("output %d element %d: %v, want %v", i, j, g[j], w[j])
			}
		}
	}
}

func cnn(t testing.TB, batch string) *graph.Graph {
	return parse(t, strings.ReplaceAll(network, "%s", batch))
}

func TestProgramIsTheReference(t *testing.T) {
	g := cnn(t, "n")
	for _, set := range kernels.Available() {
		p := compile(t, g, engine.Options{Threads: 2, CPU: set.Name})
		for _, batch := range []int{1, 3} {
			x := noise(9, batch, 5, 13, 11)
			near(t, run(t, p, x), reference(t, g, x), 1e-5)
		}
	}
}

// TestSameBits: the kernel set, the number of threads and the batch change no bit.
func TestSameBits(t *testing.T) {
	g := cnn(t, "n")
	x := noise(9, 3, 5, 13, 11)
	want := run(t, compile(t, g, engine.Options{Threads: 1, CPU: "generic"}), x)
	for _, set := range kernels.Available() {
		for _, threads := range []int{1, 2, 5} {
			p := compile(t, g, engine.Options{Threads: threads, CPU: set.Name})
			for i, got := range run(t, p, x) {
				if !got.Equal(want[i]) {
					t.Errorf("%s with %d threads: output %d differs", set.Name, threads, i)
				}
			}
			for n := range 3 {
				one := &tensor.Tensor{DType: x.DType, Shape: []int{1, 5, 13, 11}, Data: x.Data[n*715*4:][:715*4]}
				z := run(t, p, one)[0]
				if string(z.Data) != string(want[0].Data[n*28:][:28]) {
					t.Errorf("%s with %d threads: sample %d alone differs", set.Name, threads, n)
				}
			}
		}
	}
}

func TestConcurrentRuns(t *testing.T) {
	g := cnn(t, "n")
	p := compile(t, g, engine.Options{Threads: 2, Plans: 1})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			x := noise(uint64(i), 1+i%3, 5, 13, 11)
			want, err := graph.Eval(context.Background(), g.Clone(), []*tensor.Tensor{x})
			if err != nil {
				t.Error(err)
				return
			}
			for range 5 {
				c := &engine.Call{In: []*tensor.Tensor{x}}
				if err := p.Run(context.Background(), c); err != nil {
					t.Error(err)
					return
				}
				near(t, c.Out, want, 1e-5)
			}
		})
	}
	wg.Wait()
}

func TestWatch(t *testing.T) {
	g := cnn(t, "2")
	watch := []*graph.Value{g.Value("c1"), g.Value("s"), g.Value("x"), g.Value("k2"), g.Value("f")}
	p := compile(t, g, engine.Options{Threads: 1, Watch: watch})
	x := noise(9, 2, 5, 13, 11)
	want := map[*graph.Value]*tensor.Tensor{g.Value("x"): x}
	if _, err := graph.EvalObserve(context.Background(), g, []*tensor.Tensor{x}, func(v *graph.Value, t *tensor.Tensor) {
		want[v] = t.Clone()
	}); err != nil {
		t.Fatal(err)
	}
	seen := 0
	c := &engine.Call{In: []*tensor.Tensor{x}, Observe: func(v *graph.Value, got *tensor.Tensor) {
		seen++
		near(t, []*tensor.Tensor{got}, []*tensor.Tensor{want[v]}, 1e-5)
	}}
	if err := p.Run(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	if seen != len(watch) || len(c.Out) != 2 {
		t.Errorf("saw %d of %d values, got %d outputs", seen, len(watch), len(c.Out))
	}
}

func TestOutputsAreReused(t *testing.T) {
	g := cnn(t, "1")
	p := compile(t, g, engine.Options{Threads: 1})
	x := noise(9, 1, 5, 13, 11)
	c := &engine.Call{In: []*tensor.Tensor{x}}
	if err := p.Run(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	first, data := c.Out[0].Clone(), &c.Out[0].Data[0]
	if err := p.Run(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	if !c.Out[0].Equal(first) || &c.Out[0].Data[0] != data {
		t.Error("the second run did not write the same answer into the caller's tensor")
	}
}

func TestInputErrors(t *testing.T) {
	p := compile(t, cnn(t, "n"), engine.Options{Threads: 1})
	for _, c := range []struct {
		in   []*tensor.Tensor
		want string
	}{
		{nil, "has 1 inputs, got 0"},
		{[]*tensor.Tensor{nil}, `input "x" is missing`},
		{[]*tensor.Tensor{tensor.New(tensor.Int32, 1, 5, 13, 11)}, "want float32, got int32"},
		{[]*tensor.Tensor{tensor.New(tensor.Float32, 1, 4, 13, 11)}, "want shape float32[n,5,13,11], got [1 4 13 11]"},
		{[]*tensor.Tensor{{DType: tensor.Float32, Shape: []int{1, 5, 13, 11}}}, "0 bytes for shape"},
	} {
		err := p.Run(context.Background(), &engine.Call{In: c.in})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.Run(ctx, &engine.Call{In: []*tensor.Tensor{noise(1, 1, 5, 13, 11)}}); err != context.Canceled {
		t.Errorf("a cancelled call gave %v", err)
	}
}

func TestHugeShapesAreErrors(t *testing.T) {
	g := parse(t, `graph "huge" {
  opset "" 17
  input x: float32[1,1,2,2]
  const w: float32[1,1,1,1] = random 1
  y: float32[?,?,?,?] = Conv(x, w) {pads=[2000000,2000000,2000000,2000000]}
  output y
}`)
	p, err := engine.Compile(context.Background(), g, engine.Options{Threads: 1})
	if err == nil {
		defer p.Close()
		err = p.Run(context.Background(), &engine.Call{In: []*tensor.Tensor{noise(1, 1, 1, 2, 2)}})
	}
	if err == nil || !strings.Contains(err.Error(), "too large") || !strings.Contains(err.Error(), "(Conv)") {
		t.Errorf("got %v", err)
	}
}

// TestHalfPrecision: a graph of 16-bit floats keeps its outward types and is computed in float32.
func TestHalfPrecision(t *testing.T) {
	g := parse(t, `graph "half" {
  opset "" 17
  input x: float32[n,3,6,6]
  const w: float32[4,3,3,3] = random 1
  c: float32[n,4,4,4] = Conv(x, w)
  y: float32[n,4,4,4] = Relu(c)
  output y
}`)
	half := g.Clone()
	for _, v := range half.Values() {
		v.DType = tensor.Float16
		if v.IsConst() {
			h, err := tensor.FromFloats(tensor.Float16, tensor.Floats(v.Const), v.Const.Shape...)
			if err != nil {
				t.Fatal(err)
			}
			v.Fact = graph.FactOf(h)
		}
	}
	x := noise(3, 2, 3, 6, 6)
	xh, err := tensor.FromFloats(tensor.Float16, tensor.Floats(x), x.Shape...)
	if err != nil {
		t.Fatal(err)
	}
	got := run(t, compile(t, half, engine.Options{Threads: 1}), xh)
	near(t, got, reference(t, half, xh), 2e-3)
	if got[0].DType != tensor.Float16 {
		t.Errorf("got %s", got[0].DType)
	}
}
