package engine_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/formats/onnx"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/kernels"
	"github.com/tfsopt/tfsopt/tensor"
)

// sparseNetwork has every product that sparse weights can be in: pointwise with bias, clamp and residual, with a
// window or for a single pixel, and plain rows.
const sparseNetwork = `graph "net" {
  opset "" 17
  input x: float32[n,32,9,10]
  const w1: float32[100,32,1,1] = random 1
  const b1: float32[100] = random 2
  const w2: float32[32,100,1,1] = random 3
  const w3: float32[36,32,3,3] = random 4
  const w4: float32[48,36,1,1] = random 5
  const w5: float32[48,70] = random 6
  const w6: float32[35,70] = random 7
  const b6: float32[35] = random 8
  const w7: float32[40,48,1,1] = random 9
  const low: float32[] = {-0.25}
  const high: float32[] = {0.5}
  c1: float32[n,100,9,10] = Conv(x, w1, b1)
  k1: float32[n,100,9,10] = Clip(c1, low, high)
  c2: float32[n,32,9,10] = Conv(k1, w2, _)
  s2: float32[n,32,9,10] = Add(c2, x)
  r2: float32[n,32,9,10] = Relu(s2)
  c3: float32[n,36,5,5] = Conv(r2, w3, _) {strides=[2,2] pads=[1,1,1,1]}
  c4: float32[n,48,5,5] = Conv(c3, w4, _)
  t: float32[n,5,5,48] = Transpose(c4) {perm=[0,2,3,1]}
  m: float32[n,5,5,70] = MatMul(t, w5)
  g: float32[n,5,5,70] = Relu(m)
  w6t: float32[70,35] = Transpose(w6) {perm=[1,0]}
  y: float32[n,5,5,35] = MatMul(g, w6t)
  z: float32[n,5,5,35] = Add(y, b6)
  p: float32[n,48,1,1] = GlobalAveragePool(c4)
  q: float32[n,40,1,1] = Conv(p, w7, _)
  output z
  output k1
  output q
}`

// prune zeroes the share of weights of every product's constant weights that are smallest in magnitude, in groups of
// so many adjacent outputs.
func prune(g *graph.Graph, share float64, group int) {
	for _, n := range g.Nodes {
		name := n.OpName()
		if name != "Conv" && name != "MatMul" && name != "Gemm" || n.In[1].Const == nil {
			continue
		}
		t := n.In[1].Const.Clone()
		v := tensor.View[float32](t)
		outputs, inner, step := t.Shape[0], len(v)/t.Shape[0], len(v)/t.Shape[0]
		if name == "MatMul" {
			outputs, inner, step = t.Shape[1], t.Shape[0], 1
		}
		other := 1
		if step == 1 {
			other = outputs
		}
		if name == "Conv" && t.Shape[1] == 1 || outputs%group != 0 {
			continue
		}
		type place struct {
			size float32
			at   int
		}
		var all []place
		for o := 0; o < outputs; o += group {
			for i := range inner {
				p := place{at: o*step + i*other}
				for h := range group {
					w := v[p.at+h*step]
					p.size += w * w
				}
				all = append(all, p)
			}
		}
		slices.SortStableFunc(all, func(a, b place) int {
			if a.size < b.size {
				return -1
			}
			return 1
		})
		for _, p := range all[:int(share*float64(len(all)))] {
			for h := range group {
				v[p.at+h*step] = 0
			}
		}
		n.In[1] = graph.NewConst(n.In[1].Name, t)
	}
}

// TestSparse: a network with zeros in its weights gives what its operators say, the same bits for every kernel set,
// number of threads and batch, in less memory than the dense network takes on the same set (sets differ in the
// width of their panels).
func TestSparse(t *testing.T) {
	dense := make(map[string]int)
	for _, set := range kernels.Available() {
		dense[set.Name] = compile(t, parse(t, sparseNetwork), engine.Options{Threads: 1, CPU: set.Name}).Memory().Packed
	}
	for _, group := range []int{1, 4} {
		g := parse(t, sparseNetwork)
		prune(g, 0.85, group)
		x := noise(9, 3, 32, 9, 10)
		var want []*tensor.Tensor
		for _, set := range kernels.Available() {
			for _, threads := range []int{1, 2, 5} {
				p := compile(t, g, engine.Options{Threads: threads, CPU: set.Name})
				got := run(t, p, x)
				if want == nil {
					want = got
					near(t, got, reference(t, g, x), 1e-5)
				}
				for i := range got {
					if !got[i].Equal(want[i]) {
						t.Errorf("groups of %d, %s with %d threads: output %d differs", group, set.Name, threads, i)
					}
				}
				one := run(t, p, &tensor.Tensor{DType: x.DType, Shape: []int{1, 32, 9, 10}, Data: x.Data[:32*90*4]})[0]
				if string(one.Data) != string(want[0].Data[:len(one.Data)]) {
					t.Errorf("groups of %d, %s with %d threads: one sample alone differs", group, set.Name, threads)
				}
				if have, was := p.Memory().Packed, dense[set.Name]; have > was*4/10 {
					t.Errorf("groups of %d, %s: %d bytes packed, dense %d", group, set.Name, have, was)
				}
			}
		}
	}
}

// TestSparseChoice: few zeros stay, many go, for rows one or many.
func TestSparseChoice(t *testing.T) {
	const text = `graph "net" {
  opset "" 17
  input x: float32[%s,64]
  const w: float32[64,64] = random 1
  const b: float32[64] = random 2
  m: float32[%s,64] = MatMul(x, w)
  s: float32[%s,64] = Add(m, b)
  y: float32[%s,64] = Relu(s)
  output y
}`
	for _, c := range []struct {
		rows   string
		share  float64
		sparse bool
	}{{"n", 0.9, true}, {"n", 0.5, false}, {"1", 0.9, true}, {"4", 0.7, false}, {"64", 0.2, false}, {"64", 0.9, true}} {
		g := parse(t, strings.ReplaceAll(text, "%s", c.rows))
		prune(g, c.share, 1)
		var want []*tensor.Tensor
		for _, set := range kernels.Available() {
			p := compile(t, g, engine.Options{Threads: 2, CPU: set.Name})
			if have := p.Memory().Packed; (have < 64*64*4) != c.sparse {
				t.Errorf("%s rows, %g zeros: %d bytes packed, sparse %v", c.rows, c.share, have, c.sparse)
			}
			rows, err := strconv.Atoi(c.rows)
			if err != nil {
				rows = 7
			}
			x := noise(5, rows, 64)
			got := run(t, p, x)
			if want == nil {
				want = got
				near(t, got, reference(t, g, x), 1e-5)
			}
			if !got[0].Equal(want[0]) {
				t.Errorf("%s rows, %g zeros: %s differs", c.rows, c.share, set.Name)
			}
		}
	}
}

// BenchmarkSparseModel runs MobileNetV2 from the folder TFSOPT_BENCH with one thread as it is and with the smallest
// weights of its products zeroed, in turn, because clocks drift.
func BenchmarkSparseModel(b *testing.B) {
	path := filepath.Join(os.Getenv("TFSOPT_BENCH"), "mobilenetv2_fp32.onnx")
	if _, err := os.Stat(path); err != nil {
		b.Skip("TFSOPT_BENCH names no folder with mobilenetv2_fp32.onnx")
	}
	f, err := onnx.Load(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	dense := compile(b, f.Graph, engine.Options{Threads: 1})
	in := randomInputs(b, f.Graph)
	for _, group := range []int{1, 4} {
		for _, share := range []float64{0.8, 0.9} {
			b.Run(fmt.Sprintf("groups%d/zeros%.0f", group, 100*share), func(b *testing.B) {
				g := f.Graph.Clone()
				prune(g, share, group)
				benchPrograms(b, [2]*engine.Program{dense, compile(b, g, engine.Options{Threads: 1})}, in)
			})
		}
	}
}

func benchPrograms(b *testing.B, p [2]*engine.Program, in []*tensor.Tensor) {
	var times [2][]float64
	for b.Loop() {
		for i := range p {
			t := time.Now()
			if err := p[i].Run(context.Background(), &engine.Call{In: in}); err != nil {
				b.Fatal(err)
			}
			times[i] = append(times[i], time.Since(t).Seconds()*1000)
		}
	}
	for i := range times {
		slices.Sort(times[i])
	}
	d, s := times[0][len(times[0])/10], times[1][len(times[1])/10]
	b.ReportMetric(d, "dense-ms")
	b.ReportMetric(s, "sparse-ms")
	b.ReportMetric(d/s, "times")
	b.ReportMetric(float64(p[0].Memory().Packed)/1e6, "dense-MB")
	b.ReportMetric(float64(p[1].Memory().Packed)/1e6, "sparse-MB")
	b.ReportMetric(0, "ns/op")
}
