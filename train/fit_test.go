package train

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/graph"
	_ "github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// network is a small convolutional net with all that training treats apart: normalization, dropout, biases.
const network = `graph "small" {
  opset "" 17
  input x: float32[batch,1,6,6]
  const w1: float32[4,1,3,3] = {W}
  const b1: float32[4] = {0, 0, 0, 0}
  const scale: float32[4] = {1, 1, 1, 1}
  const shift: float32[4] = {0, 0, 0, 0}
  const mean: float32[4] = {0, 0, 0, 0}
  const variance: float32[4] = {1, 1, 1, 1}
  c: float32[batch,4,6,6] = Conv(x, w1, b1) {pads=[1,1,1,1]} "conv"
  n: float32[batch,4,6,6] = BatchNormalization(c, scale, shift, mean, variance) "norm"
  r: float32[batch,4,6,6] = Relu(n) "relu"
  m: float32[batch,4,3,3] = MaxPool(r) {kernel_shape=[2,2] strides=[2,2]} "pool"
  f: float32[batch,36] = Flatten(m) "flatten"
  const ratio: float32[] = {0.25}
  d: float32[batch,36] = Dropout(f, ratio) "drop"
  const w2: float32[36,3] = {W}
  const b2: float32[3] = {0, 0, 0}
  z: float32[batch,3] = Gemm(d, w2, b2) "dense"
  y: float32[batch,3] = Softmax(z) "softmax"
  output y
}`

func small(t testing.TB) *graph.Graph {
	t.Helper()
	text := network
	for _, n := range []int{36, 108} {
		text = strings.Replace(text, "{W}", "{0"+strings.Repeat(", 0", n-1)+"}", 1)
	}
	g, err := graph.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Infer(); err != nil {
		t.Fatal(err)
	}
	if g, err = Init(g, 7, true); err != nil {
		t.Fatal(err)
	}
	return g
}

// stripes are images of three classes: horizontal, vertical, diagonal.
func stripes(t testing.TB, n int, classes int64) *data.Set {
	t.Helper()
	r := rand.New(rand.NewPCG(5, 6))
	x, y := make([]float32, n*36), make([]int64, n)
	for i := range n {
		y[i] = int64(i) % classes
		phase := r.IntN(3)
		for p := range 36 {
			row, col := p/6, p%6
			x[i*36+p] = 0.5 * r.Float32()
			if []int{row, col, row + col}[y[i]%3]%3 == phase {
				x[i*36+p]++
			}
		}
	}
	dir := t.TempDir()
	for name, v := range map[string]*tensor.Tensor{"x.npy": tensor.From(x, n, 1, 6, 6), "y.npy": tensor.From(y, n)} {
		if err := data.SaveTensor(filepath.Join(dir, name), v); err != nil {
			t.Fatal(err)
		}
	}
	s, err := data.Open(data.Options{
		Path:   filepath.Join(dir, "x.npy") + "," + filepath.Join(dir, "y.npy"),
		Inputs: []data.Input{{Name: "x", DType: tensor.Float32, Shape: []int{-1, 1, 6, 6}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// weights prints a graph with all that it holds.
func weights(t testing.TB, g *graph.Graph) string {
	t.Helper()
	var b strings.Builder
	if err := graph.Print(&b, g, graph.PrintOptions{Data: true}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func options() Options {
	return Options{
		Epochs: 4, Batch: 16, Rate: 0.05, Decay: 1e-4, Warmup: 0.5, Clip: 5, Smoothing: 0.05, Mixup: 0.2,
		Augment: Augment{Shift: 1}, Seed: 3,
	}
}

func TestFitLearns(t *testing.T) {
	set := stripes(t, 200, 3)
	for _, optimizer := range []string{"sgd", "adamw"} {
		g := small(t)
		before := weights(t, g)
		r, err := Fit(context.Background(), g, set, Options{Epochs: 8, Batch: 16, Rate: 0.02, Optimizer: optimizer, Held: stripes(t, 90, 3)})
		if err != nil {
			t.Fatal(err)
		}
		last := r.Curve[len(r.Curve)-1]
		if len(r.Curve) != 8 || last.Loss > r.Curve[0].Loss/2 || last.Held < 90 {
			t.Errorf("%s: the curve is %+v", optimizer, r.Curve)
		}
		if weights(t, g) != before {
			t.Errorf("%s: training changed the graph that it was given", optimizer)
		}
		for _, p := range r.Model.Stats {
			if slices.Max(p.Values()) == slices.Min(p.Values()) {
				t.Errorf("%s: statistic %s did not move: %v", optimizer, p.Name, p.Values())
			}
		}
	}
}

func TestFitThreads(t *testing.T) {
	set := stripes(t, 100, 3)
	var first string
	for _, threads := range []int{1, 2, 3} {
		o := options()
		o.Threads = threads
		r, err := Fit(context.Background(), small(t), set, o)
		if err != nil {
			t.Fatal(err)
		}
		if text := weights(t, r.Graph); first == "" {
			first = text
		} else if text != first {
			t.Errorf("%d threads end in other weights than 1", threads)
		}
	}
}

// A run that is cancelled at any step and resumed ends as one that was not.
func TestFitResumes(t *testing.T) {
	set := stripes(t, 100, 3)
	dir := t.TempDir()
	run := func(ctx context.Context, name string, after func(*State) error) (*Result, error) {
		o := options()
		o.Checkpoint, o.Log = filepath.Join(dir, name+".ckpt"), filepath.Join(dir, name+".jsonl")
		o.Resume, o.After = true, after
		return Fit(ctx, small(t), set, o)
	}
	whole, err := run(context.Background(), "whole", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := weights(t, whole.Graph)
	for _, stop := range []int{1, 6, 9, 23} {
		ctx, cancel := context.WithCancel(context.Background())
		name := "cut" + string(rune('a'+stop))
		_, err := run(ctx, name, func(s *State) error {
			if s.Step == stop {
				cancel()
			}
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("stopped at step %d: %v", stop, err)
		}
		r, err := run(context.Background(), name, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !r.Resumed || weights(t, r.Graph) != want || len(r.Curve) != len(whole.Curve) {
			t.Errorf("stopped at step %d: resumed %t, %d epochs, or other weights", stop, r.Resumed, len(r.Curve))
		}
		for i, e := range r.Curve {
			if e.Loss != whole.Curve[i].Loss || e.Accuracy != whole.Curve[i].Accuracy {
				t.Errorf("stopped at step %d: epoch %d has loss %g, want %g", stop, i+1, e.Loss, whole.Curve[i].Loss)
			}
		}
		log, err := os.ReadFile(filepath.Join(dir, name+".jsonl"))
		if err != nil || strings.Count(string(log), "\n") != 4 {
			t.Errorf("stopped at step %d: the log is %q, %v", stop, log, err)
		}
	}
}

// A process that is killed leaves the last checkpoint; what it did afterwards is done again.
func TestFitAfterKill(t *testing.T) {
	set := stripes(t, 100, 3)
	o := options()
	o.Checkpoint, o.Every = filepath.Join(t.TempDir(), "c"), time.Nanosecond
	killed := errors.New("killed")
	var old []byte
	o.After = func(s *State) (err error) {
		switch s.Step {
		case 10:
			old, err = os.ReadFile(o.Checkpoint)
		case 14:
			err = killed
		}
		return err
	}
	if _, err := Fit(context.Background(), small(t), set, o); !errors.Is(err, killed) {
		t.Fatal(err)
	}
	o.After = nil
	o.Restart = true
	whole, err := Fit(context.Background(), small(t), set, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(o.Checkpoint, old, 0o666); err != nil {
		t.Fatal(err)
	}
	o.Resume, o.Restart = true, false
	r, err := Fit(context.Background(), small(t), set, o)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Resumed || weights(t, r.Graph) != weights(t, whole.Graph) {
		t.Error("the resumed run ends in other weights")
	}
}

func TestMaskHolds(t *testing.T) {
	o := options()
	o.Prepare = func(m *Model) error {
		p := m.Param("w2")
		p.Mask = make([]bool, p.Data.Len())
		for i := range p.Mask {
			p.Mask[i] = i%3 == 0
		}
		return nil
	}
	r, err := Fit(context.Background(), small(t), stripes(t, 60, 3), o)
	if err != nil {
		t.Fatal(err)
	}
	for i, x := range tensor.Floats(r.Graph.Value("w2").Const) {
		if (x == 0) != (i%3 != 0) {
			t.Fatalf("element %d is %g", i, x)
		}
	}
}

func TestFitFails(t *testing.T) {
	set := stripes(t, 60, 3)
	cases := []struct {
		name string
		run  func() (*graph.Graph, *data.Set, Options)
		want string
	}{
		{"labels beyond the classes", func() (*graph.Graph, *data.Set, Options) {
			return small(t), stripes(t, 60, 5), Options{}
		}, "label 3, but the model tells 3 classes apart"},
		{"no labels", func() (*graph.Graph, *data.Set, Options) {
			return small(t), data.Random([]data.Input{{Name: "x", DType: tensor.Float32, Shape: []int{-1, 1, 6, 6}}}, 20, 1), Options{}
		}, "the data has no labels"},
		{"divergence", func() (*graph.Graph, *data.Set, Options) {
			return small(t), set, Options{Rate: 1e6, Decay: 1, Schedule: "constant"}
		}, "training diverged at step"},
		{"unknown optimizer", func() (*graph.Graph, *data.Set, Options) {
			return small(t), set, Options{Optimizer: "lion"}
		}, `optimizer "lion": want sgd or adamw`},
		{"no gradient", func() (*graph.Graph, *data.Set, Options) {
			g := small(t)
			b := graph.NewBuilder(g)
			z := g.Value("z")
			for _, name := range []string{"NonZero", "Hardmax"} {
				op, err := graph.NewOp("", name, nil)
				if err != nil {
					t.Fatal(err)
				}
				if name == "Hardmax" {
					z = b.Add("hard", op, z)
				}
			}
			g.Outputs = []*graph.Value{z}
			return g, set, Options{}
		}, `no gradient for node "hard" (Hardmax)`},
		{"nothing to train", func() (*graph.Graph, *data.Set, Options) {
			g := small(t)
			g.Nodes = g.Nodes[2:3]
			g.Inputs = []*graph.Value{g.Nodes[0].In[0]}
			g.Inputs[0].Def = nil
			g.Outputs = g.Nodes[0].Out
			return g, set, Options{}
		}, "no float weights to train"},
	}
	for _, c := range cases {
		g, s, o := c.run()
		if _, err := Fit(context.Background(), g, s, o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// When training diverges the checkpoint is the last good one.
func TestDivergenceKeepsCheckpoint(t *testing.T) {
	set := stripes(t, 60, 3)
	o := Options{Epochs: 2, Batch: 20, Rate: 1e-3, Checkpoint: filepath.Join(t.TempDir(), "c")}
	o.After = func(s *State) error {
		if s.Step == 4 {
			constant(s.Params[4].Values(), 3e38) // the last weight: its sums overflow
		}
		return nil
	}
	_, err := Fit(context.Background(), small(t), set, o)
	var diverged *DivergedError
	if !errors.As(err, &diverged) || diverged.Step != 5 || diverged.Epoch != 1 || diverged.Where == "" {
		t.Fatalf("%v", err)
	}
	b, err := os.ReadFile(o.Checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	head, _, err := readCheckpoint(b)
	if err != nil || head.At.Epoch != 1 || head.At.Step != 0 {
		t.Errorf("the checkpoint stands at %+v, %v", head.At, err)
	}
}

func TestCheckpointErrors(t *testing.T) {
	set := stripes(t, 60, 3)
	path := filepath.Join(t.TempDir(), "c")
	o := Options{Epochs: 1, Batch: 20, Checkpoint: path}
	if _, err := Fit(context.Background(), small(t), set, o); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damaged := slices.Clone(good)
	damaged[len(damaged)/2] ^= 1
	cases := []struct {
		name string
		data []byte
		rate float64
		want string
	}{
		{"damaged", damaged, 0, "checksum"},
		{"cut", good[:100], 0, "checksum"},
		{"foreign", []byte("PK"), 0, "is no checkpoint"},
		{"empty", nil, 0, "is no checkpoint"},
		{"another version", append([]byte(checkpointKind+"1"), good[len(checkpointMagic)-1:]...), 0, "another version"},
		{"other options", good, 0.5, "a run with other options"},
	}
	for _, c := range cases {
		if err := os.WriteFile(path, c.data, 0o666); err != nil {
			t.Fatal(err)
		}
		o := o
		o.Resume, o.Rate = true, c.rate
		if _, err := Fit(context.Background(), small(t), set, o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// TestCheckpointNeedsSameData changes one sample in the middle, or one label: neither run may go on from the other's checkpoint.
func TestCheckpointNeedsSameData(t *testing.T) {
	o := Options{Epochs: 1, Batch: 20, Checkpoint: filepath.Join(t.TempDir(), "c")}
	set := stripes(t, 60, 3)
	f := &fit{o: o}
	sum := func(change func(i int, s *data.Sample)) string {
		got, err := f.hashSet(t.Context(), set, func(i int) ([]*tensor.Tensor, error) {
			s, err := set.Sample(i)
			if err != nil {
				return nil, err
			}
			for k := range s.In {
				s.In[k] = s.In[k].Clone()
			}
			change(i, &s)
			return s.In, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	same := sum(func(int, *data.Sample) {})
	if again := sum(func(int, *data.Sample) {}); again != same {
		t.Error("the same samples give two sums")
	}
	for i := range set.Len() {
		other := sum(func(k int, s *data.Sample) {
			if k == i {
				tensor.View[float32](s.In[0])[7] += 0.125
			}
		})
		if other == same {
			t.Errorf("sample %d differs, the sum does not", i)
		}
	}
}

// A disk that is full, here a directory that vanished, does not touch the checkpoint that is there.
func TestReplaceFileKeepsOld(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c")
	if err := os.WriteFile(path, []byte("old"), 0o666); err != nil {
		t.Fatal(err)
	}
	full := errors.New("no space left on device")
	err := replaceFile(path, func(w io.Writer) error {
		if _, err := w.Write([]byte("half")); err != nil {
			return err
		}
		return full
	})
	b, _ := os.ReadFile(path)
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*"))
	if !errors.Is(err, full) || string(b) != "old" || len(left) != 0 {
		t.Errorf("%v; the file holds %q; left over: %v", err, b, left)
	}
}
