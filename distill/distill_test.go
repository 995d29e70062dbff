package distill

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/graph"
	_ "github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
	"github.com/tfsopt/tfsopt/train"
)

// net is a convolutional net with c channels and k classes on 6x6 images.
func net(t testing.TB, c, k int, seed uint64) *graph.Graph {
	t.Helper()
	zeros := func(n int) string { return "{0" + strings.Repeat(", 0", n-1) + "}" }
	text := fmt.Sprintf(`graph "net" {
  opset "" 17
  input x: float32[batch,1,6,6]
  const w1: float32[%[1]d,1,3,3] = %[3]s
  const b1: float32[%[1]d] = %[4]s
  conv: float32[batch,%[1]d,6,6] = Conv(x, w1, b1) {pads=[1,1,1,1]} "conv"
  relu: float32[batch,%[1]d,6,6] = Relu(conv) "relu"
  pool: float32[batch,%[1]d,3,3] = MaxPool(relu) {kernel_shape=[2,2] strides=[2,2]} "pool"
  flat: float32[batch,%[5]d] = Flatten(pool) "flat"
  const w2: float32[%[5]d,%[2]d] = %[6]s
  logits: float32[batch,%[2]d] = MatMul(flat, w2) "dense"
  y: float32[batch,%[2]d] = Softmax(logits) "softmax"
  output y
}`, c, k, zeros(9*c), zeros(c), 9*c, zeros(9*c*k))
	g, err := graph.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Infer(); err != nil {
		t.Fatal(err)
	}
	if g, err = train.Init(g, seed, true); err != nil {
		t.Fatal(err)
	}
	return g
}

// stripes are noisy images of three classes: horizontal, vertical, diagonal. Without labels if labelled is false.
func stripes(t testing.TB, n int, labelled bool) *data.Set {
	t.Helper()
	r := rand.New(rand.NewPCG(5, uint64(n)))
	x, y := make([]float32, n*36), make([]int64, n)
	for i := range n {
		y[i] = int64(i) % 3
		phase := r.IntN(3)
		for p := range 36 {
			row, col := p/6, p%6
			x[i*36+p] = r.Float32()
			if []int{row, col, row + col}[y[i]]%3 == phase {
				x[i*36+p] += 0.7
			}
		}
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "x.npy")
	save := func(path string, v *tensor.Tensor) {
		if err := data.SaveTensor(path, v); err != nil {
			t.Fatal(err)
		}
	}
	save(path, tensor.From(x, n, 1, 6, 6))
	if labelled {
		save(filepath.Join(dir, "y.npy"), tensor.From(y, n))
		path += "," + filepath.Join(dir, "y.npy")
	}
	s, err := data.Open(data.Options{Path: path, Inputs: []data.Input{{Name: "x", DType: tensor.Float32, Shape: []int{-1, 1, 6, 6}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func budget(epochs int) train.Options {
	return train.Options{Epochs: epochs, Batch: 20, Rate: 0.05, Seed: 2}
}

func taught(t testing.TB) *graph.Graph {
	t.Helper()
	r, err := train.Fit(context.Background(), net(t, 8, 3, 1), stripes(t, 300, true), budget(12))
	if err != nil {
		t.Fatal(err)
	}
	if last := r.Curve[len(r.Curve)-1]; last.Accuracy < 95 {
		t.Fatalf("the teacher is at %.1f %%", last.Accuracy)
	}
	return r.Graph
}

// A student without any labels comes near its teacher, by every loss.
func TestFit(t *testing.T) {
	if testing.Short() {
		t.Skip("it trains seven nets: too slow under the race detector")
	}
	teacher, held := taught(t), stripes(t, 150, true)
	cases := []struct {
		name     string
		labelled bool
		o        Options
	}{
		{"soft labels", true, Options{}},
		{"without labels", false, Options{}},
		{"decoupled", true, Options{Decoupled: true}},
		{"hint", true, Options{Hints: []Hint{{Teacher: "relu", Student: "relu", Weight: 0.1}}}},
		{"hint of vectors", false, Options{Hints: []Hint{{Teacher: "flat", Student: "flat", Weight: 0.1}}}},
		{"attention", true, Options{Attention: []Hint{{Teacher: "relu", Student: "relu"}}}},
	}
	for _, c := range cases {
		c.o.Options = budget(12)
		c.o.Rate = 0.01
		r, err := Fit(context.Background(), Pair{teacher, net(t, 4, 3, 9)}, stripes(t, 300, c.labelled), c.o)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		right, err := train.Right(context.Background(), r.Graph, held, train.Options{})
		if err != nil {
			t.Fatal(err)
		}
		n := 0.0
		for _, ok := range right {
			n += number(ok)
		}
		if share := n / float64(len(right)); share < 0.9 {
			t.Errorf("%s: the student is right on %.1f %%", c.name, 100*share)
		}
		if r.Computed != 12*300 || r.Kept != 0 {
			t.Errorf("%s: the teacher answered %d samples anew, %d from nowhere", c.name, r.Computed, r.Kept)
		}
		if r.Graph.Value("adapter_relu") != nil || len(r.Graph.Inputs) != 1 {
			t.Errorf("%s: the adapter is part of the student", c.name)
		}
	}
}

// The teacher answers each sample once; a second run asks the file alone and ends in the same bytes.
func TestStoreKeeps(t *testing.T) {
	teacher, set := net(t, 8, 3, 1), stripes(t, 100, true)
	o := Options{Options: budget(3), Cache: filepath.Join(t.TempDir(), "answers")}
	run := func() (*Result, string) {
		r, err := Fit(context.Background(), Pair{teacher, net(t, 4, 3, 9)}, set, o)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if err := graph.Print(&b, r.Graph, graph.PrintOptions{Data: true}); err != nil {
			t.Fatal(err)
		}
		return r, b.String()
	}
	first, want := run()
	if first.Computed != 100 || first.Kept != 200 {
		t.Errorf("first run: %d computed, %d kept", first.Computed, first.Kept)
	}
	b, err := os.ReadFile(o.Cache)
	if err != nil {
		t.Fatal(err)
	}
	cut := len(b) - 10
	for name, content := range map[string][]byte{"whole": b, "cut": b[:cut], "bit": flip(b, len(b)-10)} {
		if err := os.WriteFile(o.Cache, content, 0o666); err != nil {
			t.Fatal(err)
		}
		again, got := run()
		computed := 0
		if name != "whole" {
			computed = 1
		}
		if again.Computed != computed || got != want {
			t.Errorf("%s file: %d computed, other bytes: %t", name, again.Computed, got != want)
		}
	}
	if err := os.WriteFile(o.Cache, []byte("my thesis"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Fit(context.Background(), Pair{teacher, net(t, 4, 3, 9)}, set, o); err == nil || !strings.Contains(err.Error(), "left alone") {
		t.Errorf("another file was taken: %v", err)
	}
	if b, _ := os.ReadFile(o.Cache); string(b) != "my thesis" {
		t.Errorf("another file was overwritten: %q", b)
	}
}

func flip(b []byte, at int) []byte {
	c := append([]byte{}, b...)
	c[at] ^= 1
	return c
}

func TestFitFails(t *testing.T) {
	labelled, bare := stripes(t, 60, true), stripes(t, 60, false)
	other := net(t, 4, 3, 1)
	other.Inputs[0].Shape = graph.Dims(1, 1, 8, 8)
	cases := []struct {
		name string
		p    Pair
		set  *data.Set
		o    Options
		want string
	}{
		{"other classes", Pair{net(t, 8, 5, 1), net(t, 4, 3, 1)}, labelled, Options{}, "the teacher's output is float32[20,5], the student's is float32[20,3]"},
		{"other input", Pair{other, net(t, 4, 3, 1)}, labelled, Options{}, `the teacher's input "x" is float32[1,1,8,8], the student's "x"`},
		{"decoupled without labels", Pair{net(t, 8, 3, 1), net(t, 4, 3, 1)}, bare, Options{Decoupled: true}, "has no labels"},
		{"no such hint", Pair{net(t, 8, 3, 1), net(t, 4, 3, 1)}, bare, Options{Hints: []Hint{{Teacher: "relu", Student: "nose"}}}, `no value "nose"`},
		{"no such hint of the teacher", Pair{net(t, 8, 3, 1), net(t, 4, 3, 1)}, bare, Options{Hints: []Hint{{Teacher: "nose", Student: "relu"}}}, `no value "nose"`},
		{"hints of other sizes", Pair{net(t, 8, 3, 1), net(t, 4, 3, 1)}, bare, Options{Hints: []Hint{{Teacher: "relu", Student: "pool"}}}, "want the same but for dimension 1"},
		{"alpha", Pair{net(t, 8, 3, 1), net(t, 4, 3, 1)}, labelled, Options{Alpha: new(2.0)}, "alpha 2"},
	}
	for _, c := range cases {
		c.o.Options = budget(1)
		if _, err := Fit(context.Background(), c.p, c.set, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestGain(t *testing.T) {
	// Images 0 to 99; with the teacher 30 more are right in both seeds, 10 fewer.
	var a Paired
	for i := range 100 {
		a.With = append(a.With, i < 30 || i >= 60)
		a.Without = append(a.Without, i >= 30 && i < 40 || i >= 60)
	}
	gain, lo, hi := Gain([]Paired{a, a})
	// d has 30 ones and 10 minus ones: mean 0.2, variance (40 - 100·0.04)/99.
	half := 1.959964 * math.Sqrt(36.0/99/100) * 100
	if math.Abs(gain-20) > 1e-9 || math.Abs(hi-20-half) > 1e-4 || math.Abs(lo-20+half) > 1e-4 {
		t.Errorf("gain %g [%g, %g], want 20 ± %g", gain, lo, hi, half)
	}
}

// TestGainCoverage draws seeds whose gains vary though the method gains nothing: the interval of many images alone would
// find a gain in most trials, the one that counts the seeds in about one of twenty.
func TestGainCoverage(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	const trials, images = 2000, 400
	found := map[int]int{}
	for range trials {
		var seeds []Paired
		for range 5 {
			p := Paired{With: make([]bool, images), Without: make([]bool, images)}
			with, without := 0.8+0.03*r.NormFloat64(), 0.8+0.03*r.NormFloat64()
			for i := range images {
				u := r.Float64() // an image's own difficulty
				p.With[i], p.Without[i] = u < with, u < without
			}
			seeds = append(seeds, p)
		}
		for _, n := range []int{1, 3, 5} {
			if _, lo, hi := Gain(seeds[:n]); lo > 0 || hi < 0 {
				found[n]++
			}
		}
	}
	share := func(n int) float64 { return float64(found[n]) / trials }
	t.Logf("a gain is found with 1 seed in %.3f of the trials, with 3 in %.3f, with 5 in %.3f", share(1), share(3), share(5))
	if share(1) < 0.3 {
		t.Errorf("one seed finds a gain in %.3f of the trials: the seeds do not vary enough for this test", share(1))
	}
	if share(3) > 0.07 || share(5) > 0.07 || share(5) < 0.01 {
		t.Errorf("3 seeds find a gain that is not there in %.3f, 5 in %.3f of the trials; 0.05 is allowed", share(3), share(5))
	}
}

func TestShallow(t *testing.T) {
	text := `graph "blocks" {
  opset "" 17
  input x: float32[batch,4]
  a: float32[batch,4] = Relu(x) "a"
  f1: float32[batch,4] = Tanh(a) "f1"
  s1: float32[batch,4] = Add(a, f1) "s1"
  f2: float32[batch,4] = Tanh(s1) "f2"
  s2: float32[batch,4] = Add(f2, s1) "s2"
  f3: float32[batch,4] = Tanh(s2) "f3"
  s3: float32[batch,4] = Add(s2, f3) "s3"
  y: float32[batch,4] = Relu(s3) "y"
  output y
}`
	g, err := graph.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for keep, want := range map[float64]int{1: 3, 0.9: 2, 0.67: 2, 0.34: 1, 0.01: 0} {
		s, err := Shallow(g, keep)
		if err != nil {
			t.Fatal(err)
		}
		adds := 0
		for _, n := range s.Nodes {
			if n.OpName() == "Add" {
				adds++
			}
		}
		if adds != want || len(s.Nodes) != 2+2*want {
			t.Errorf("share %g: %d blocks and %d nodes are left, want %d blocks", keep, adds, len(s.Nodes), want)
		}
	}
	if _, err := Shallow(net(t, 4, 3, 1), 0.5); err == nil {
		t.Error("a net without residual blocks has become shallower")
	}
}
