package quantize_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/formats/onnx"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/optimize"
	"github.com/tfsopt/tfsopt/quantize"
	"github.com/tfsopt/tfsopt/tensor"
)

// constants adds up the bytes of a graph's constants, those of bodies among them, and of the real ones with at least 256 elements.
func constants(g *graph.Graph) (all, real int) {
	seen := map[*graph.Value]bool{}
	var add func(g *graph.Graph)
	add = func(g *graph.Graph) {
		for _, n := range g.Nodes {
			for _, v := range n.In {
				if !v.IsConst() || seen[v] {
					continue
				}
				seen[v] = true
				all += v.Const.Bytes()
				if v.DType.IsFloat() && v.Const.Len() >= 256 && len(v.Const.Shape) > 1 {
					real += v.Const.Bytes()
				}
			}
			for _, b := range graph.Bodies(n.Op) {
				add(b)
			}
		}
	}
	add(g)
	return all, real
}

const conditional = `graph "conditional" {
  opset "" 17
  input x: float32[1,32]
  const zero: float32[] = {0}
  const taken: float32[32,32] = {random}
  s: float32[] = ReduceSum(x) {keepdims=0}
  c: bool[] = Greater(s, zero)
  y: float32[1,32] = If(c, taken, x) {then_branch=graph "then" {
    captures 2
    input w: float32[32,32]
    input v: float32[1,32]
    t: float32[32,32] = Transpose(w) {perm=[1,0]}
    a: float32[1,32] = MatMul(v, t) "first"
    output a
  } else_branch=graph "else" {
    captures 2
    input w: float32[32,32]
    input v: float32[1,32]
    const own: float32[32,32] = {random}
    b: float32[1,32] = MatMul(v, own) "second"
    output b
  }}
  output y
}`

// TestEveryWeight checks that weights become integers wherever they stand, in every mode, and what the answers lose.
func TestEveryWeight(t *testing.T) {
	recurrent := func(op string, gates, dirs string) string {
		return `graph "net" {
  opset "" 17
  input x: float32[1,1,16]
  const w: float32[` + dirs + `,` + gates + `,16] = {random}
  const r: float32[` + dirs + `,` + gates + `,16] = {random}
  y: float32[1,` + dirs + `,1,16] = ` + op + `(x, w, r) {hidden_size=16` + map[string]string{"1": "", "2": ` direction="bidirectional"`}[dirs] + `} "cell"
  output y
}`
	}
	for _, c := range []struct {
		name, text string
		db         float64
	}{
		{"LSTM", recurrent("LSTM", "64", "1"), 30},
		{"bidirectional LSTM", recurrent("LSTM", "64", "2"), 30},
		{"GRU", recurrent("GRU", "48", "1"), 30},
		{"bidirectional RNN", recurrent("RNN", "16", "2"), 30},
		{"bodies", conditional, 34},
		{"float16", strings.ReplaceAll(strings.ReplaceAll(product, "float32", "float16"), "[40,3]", "[40,30]"), 34},
		{"float64", strings.ReplaceAll(strings.ReplaceAll(product, "float32", "float64"), "[40,3]", "[40,30]"), 34},
		{"factors", `graph "factors" {
  opset "" 17
  input x: float32[1,48]
  const w: float32[10,48] = {random}
  const c: float32[10] = {random}
  y: float32[1,10] = Gemm(x, w, c) {alpha=0.5 beta=2 transB=1} "fc"
  output y
}`, 16},
		{"first side", `graph "side" {
  opset "" 17
  input x: float32[1,32,4]
  const w: float32[16,32] = {random}
  y: float32[1,16,4] = MatMul(w, x) "fc"
  output y
}`, 34},
		{"signal", `graph "signal" {
  opset "" 17
  input x: float32[1,8,30]
  const w: float32[16,8,5] = {random}
  const b: float32[16] = {random}
  y: float32[1,16,26] = Conv(x, w, b) {kernel_shape=[5]} "conv"
  output y
}`, 28},
		{"volume", `graph "volume" {
  opset "" 17
  input x: float32[1,4,5,5,5]
  const w: float32[4,4,3,3,3] = {random}
  y: float32[1,4,3,3,3] = Conv(x, w) {kernel_shape=[3,3,3]} "conv"
  output y
}`, 33}, // static: its largest pairs are made safe
	} {
		for _, mode := range []string{"static", "dynamic", "weight-only"} {
			t.Run(c.name+" "+mode, func(t *testing.T) {
				g := parse(t, c.text)
				before, _ := constants(g)
				r, err := quantize.Quantize(context.Background(), g, data.Random(inputs(g), 4, 5), quantize.Options{Mode: mode})
				if err != nil {
					t.Fatal(err)
				}
				after, real := constants(r.Graph)
				if share := float64(after) / float64(before); real != 0 || share > 0.6 {
					t.Errorf("%.2f of the constants, %d bytes of weights are float\n%s", share, real, structure(r.Graph))
				}
				checkAnswers(t, g, r.Graph, c.db)
			})
		}
	}
}

const up = `graph "up" {
  opset "" 17
  input x: float32[1,8,5,5]
  const w: float32[8,SHAPE,3,3] = {random}
  y: float32[1,OUT,7,7] = ConvTranspose(x, w) {group=GROUP kernel_shape=[3,3]} "up"
  output y
}`

// TestTransposedGroups checks that each output channel of each group of a ConvTranspose has a scale, however small the
// channel is, and that the report names the worst one.
func TestTransposedGroups(t *testing.T) {
	for _, c := range []struct{ shape, out, group string }{{"4", "4", "1"}, {"3", "6", "2"}, {"1", "8", "8"}, {"2", "16", "8"}} {
		g := parse(t, strings.NewReplacer("SHAPE", c.shape, "OUT", c.out, "GROUP", c.group).Replace(up))
		w := tensor.Floats(g.Value("w").Const)
		for i := range w {
			if i/9%2 == 1 {
				w[i] /= 1000
			}
			if i/9 >= len(w)/18 {
				w[i] *= 50
			}
		}
		r, err := quantize.Quantize(context.Background(), g, nil, quantize.Options{Mode: "weight-only"})
		if err != nil {
			t.Fatal(err)
		}
		if l := r.Layers[0]; l.WorstSQNR < 30 || l.WorstSQNR > l.SQNR+20 {
			t.Errorf("%+v: %+v", c, l)
		}
		set := data.Random(inputs(g), 1, 2)
		s, err := set.Sample(0)
		if err != nil {
			t.Fatal(err)
		}
		want, err := graph.Eval(context.Background(), g, s.In)
		if err != nil {
			t.Fatal(err)
		}
		got, err := graph.Eval(context.Background(), r.Graph, s.In)
		if err != nil {
			t.Fatal(err)
		}
		a, b := tensor.Floats(want[0]), tensor.Floats(got[0])
		for ch := range len(a) / 49 {
			if d := sqnr(a[ch*49:ch*49+49], b[ch*49:ch*49+49]); d < 30 {
				t.Errorf("%+v: channel %d: %.1f dB", c, ch, d)
			}
		}
	}
}

// loadCase reads a model of ../shared/cases.
func loadCase(t *testing.T, name string) (*graph.Graph, *data.Set) {
	t.Helper()
	dir := filepath.Join(shared(t), "cases", filepath.Dir(name))
	f, err := onnx.Load(filepath.Join(dir, filepath.Base(name)))
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { closeFile(t, f) })
	in := []data.Input{}
	for _, v := range f.Graph.Inputs {
		i := data.Input{Name: v.Name, DType: v.DType}
		for _, d := range v.Shape {
			n, ok := d.Value()
			if !ok {
				n = -1
			}
			i.Shape = append(i.Shape, n)
		}
		in = append(in, i)
	}
	set, err := data.Open(data.Options{Path: filepath.Join(dir, "calib.npz"), Inputs: in})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Close() })
	return f.Graph, set
}

// TestOneTable checks that a table which products read too, as it is or transposed, is stored once in every mode, and that
// optimizing does not store its transpose.
func TestOneTable(t *testing.T) {
	for _, name := range []string{"tied_embedding/gemm.onnx", "tied_embedding/transpose.onnx", "shared_filter/model.onnx"} {
		for _, mode := range []string{"static", "dynamic", "weight-only"} {
			g, set := loadCase(t, name)
			before, _ := constants(g)
			r, err := quantize.Quantize(context.Background(), g, set, quantize.Options{Mode: mode})
			if err != nil {
				t.Fatal(err)
			}
			after, real := constants(r.Graph)
			limit := 0.35
			if strings.HasPrefix(name, "shared") {
				limit = 0.55 // the biases are several
			}
			if share := float64(after) / float64(before); share > limit || real != 0 {
				t.Errorf("%s, %s: %.2f of the constants, %d bytes of weights are float", name, mode, share, real)
			}
			for _, o := range r.Outputs {
				if o.SQNR < 30 {
					t.Errorf("%s, %s: output %+v", name, mode, o)
				}
			}
			if len(r.Outputs) == 0 {
				t.Errorf("%s, %s: no output was measured", name, mode)
			}
		}
		g, _ := loadCase(t, name)
		before, _ := constants(g)
		if _, err := optimize.Default().Run(context.Background(), g, nil); err != nil {
			t.Fatal(err)
		}
		if after, _ := constants(g); after > before+1024 {
			t.Errorf("%s: optimizing adds %d bytes to %d", name, after-before, before)
		}
	}
}

// TestEmptied checks that channels without weights keep their bias.
func TestEmptied(t *testing.T) {
	for _, o := range []quantize.Options{{}, {NoBiasCorrection: true}, {Activations: "int8", NoBiasCorrection: true}} {
		g, set := loadCase(t, "emptied_channels/model.onnx")
		r, err := quantize.Quantize(context.Background(), g, set, o)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Outputs) != 1 || r.Outputs[0].SQNR < 18 {
			t.Errorf("%+v: %+v", o, r.Outputs)
		}
	}
	g, set := loadCase(t, "emptied_channels/model.onnx")
	_, q, err := quantize.Simulate(context.Background(), g, set, quantize.Options{}) // what training starts from
	if err != nil {
		t.Fatal(err)
	}
	s, err := set.Sample(0)
	if err != nil {
		t.Fatal(err)
	}
	if d := sqnr(run(t, g, s.In, engine.Options{}), run(t, q, s.In, engine.Options{})); d < 18 {
		t.Errorf("before training: %.1f dB", d)
	}
}

// TestSharedPairs checks that a weight that several products read obeys the rule of pairs in every mode.
func TestSharedPairs(t *testing.T) {
	g := parse(t, tied)
	for _, mode := range []string{"static", "dynamic"} {
		r, err := quantize.Quantize(context.Background(), g, data.Random(inputs(g), 8, 5), quantize.Options{Mode: mode})
		if err != nil {
			t.Fatal(err)
		}
		c := optimize.CheckSaturation(r.Graph)
		if c.Pairs == 0 || c.Unsafe != 0 {
			t.Errorf("%s: %d of %d pairs can saturate", mode, c.Unsafe, c.Pairs)
		}
		if after, _ := constants(r.Graph); after > 32*32*2 {
			t.Errorf("%s: %d bytes of constants", mode, after)
		}
	}
}
