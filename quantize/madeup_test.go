package quantize_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/optimize"
	"github.com/tfsopt/tfsopt/prune"
	"github.com/tfsopt/tfsopt/quantize"
	"github.com/tfsopt/tfsopt/tensor"
)

// Operators that no package knows. What they can do, they say themselves.
type (
	affineMap struct{} // x·wᵀ + b, w [outputs, inputs]: a product
	mirror    struct{} // each row from its end: moves data
	nothing   struct{} // its input
	dice      struct{} // something else each time
	peak      struct{} // the data and, if somebody reads it, a copy
	hump      struct{} // max(0, 1 - |x|), element by element
)

func init() {
	graph.Register("madeup", 1, affineMap{}, mirror{}, nothing{}, dice{}, peak{}, hump{})
}

func (affineMap) as() ops.Gemm { return ops.Gemm{Alpha: 1, Beta: 1, TransB: true} }

func (o affineMap) Infer(in []graph.Fact, outs int) ([]graph.Type, error) {
	return o.as().Infer(in, outs)
}

func (o affineMap) Run(x *graph.Exec, in, out []*tensor.Tensor) error { return o.as().Run(x, in, out) }
func (o affineMap) Quant() graph.Quant                                { return o.as().Quant() }
func (o affineMap) Products(w []int) ops.Products                     { return o.as().Products(w) }
func (o affineMap) Weights(in []graph.Fact) []graph.Weight            { return o.as().Weights(in) }
func (o affineMap) Cost(in, out []graph.Type) graph.Cost              { return o.as().Cost(in, out) }

func (o affineMap) Links(in, out []graph.Fact) []graph.Link { return o.as().Links(in, out) }

func (o affineMap) Twin(n *graph.Node, in []graph.Linear, out graph.Linear) (graph.Op, []*graph.Value) {
	return o.as().Twin(n, in, out)
}

func same(in []graph.Fact, outs int) ([]graph.Type, error) {
	return slices.Repeat([]graph.Type{in[0].Type}, outs), nil
}

func (mirror) Infer(in []graph.Fact, outs int) ([]graph.Type, error) { return same(in, outs) }
func (mirror) Quant() graph.Quant                                    { return graph.Quant{Moves: true} }

func (mirror) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	y := x.Make(out[0], in[0].DType, in[0].Shape...)
	size, row := in[0].DType.Bits()/8, in[0].Shape[len(in[0].Shape)-1]
	for i := range in[0].Len() {
		j := i - i%row + row - 1 - i%row
		copy(y.Data[i*size:(i+1)*size], in[0].Data[j*size:])
	}
	return nil
}

func (nothing) Infer(in []graph.Fact, outs int) ([]graph.Type, error) { return same(in, outs) }
func (nothing) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return ops.Identity{}.Run(x, in, out)
}
func (nothing) Forwards(_, _ []graph.Fact) (int, bool)             { return 0, true }
func (dice) Infer(in []graph.Fact, outs int) ([]graph.Type, error) { return same(in, outs) }
func (dice) Run(x *graph.Exec, in, out []*tensor.Tensor) error     { return ops.Identity{}.Run(x, in, out) }

func (dice) Traits() graph.Traits                                  { return graph.Traits{Random: true} }
func (peak) Infer(in []graph.Fact, outs int) ([]graph.Type, error) { return same(in, outs) }
func (peak) Traits() graph.Traits                                  { return graph.Traits{Optional: 1} }
func (hump) Infer(in []graph.Fact, outs int) ([]graph.Type, error) { return same(in, outs) }
func (hump) Links(in, out []graph.Fact) []graph.Link               { return ops.Elu{Alpha: 1}.Links(in, out) }

func (hump) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	return ops.Elu{Alpha: 1}.Permute(in, outs, order)
}

func (peak) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	for i := range out {
		if i == 0 || out[i] != nil {
			copy(x.Make(out[i], in[0].DType, in[0].Shape...).Data, in[0].Data)
		}
	}
	return nil
}

func (hump) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	y := tensor.Floats(x.Make(out[0], in[0].DType, in[0].Shape...))
	for i, v := range tensor.Floats(in[0]) {
		y[i] = float32(math.Max(0, 1-math.Abs(float64(v))))
	}
	return nil
}

// madeUp builds a graph over x [4, 8].
func madeUp(t *testing.T, shape []int, build func(b *graph.Builder, x *graph.Value) *graph.Value) *graph.Graph {
	t.Helper()
	x := graph.NewInput("x", graph.Of(tensor.Float32, graph.Dims(shape...)...))
	g := &graph.Graph{Name: "net", Inputs: []*graph.Value{x}, Opsets: map[string]int{"": 17, "madeup": 1}}
	b := graph.NewBuilder(g)
	g.Outputs = []*graph.Value{build(b, x)}
	if b.Err != nil {
		t.Fatal(b.Err)
	}
	return g
}

// drawn is a constant of normal numbers.
func drawn(b *graph.Builder, name string, shape ...int) *graph.Value {
	rng := rand.New(rand.NewPCG(uint64(tensor.Size(shape)), 3))
	v := make([]float32, tensor.Size(shape))
	for i := range v {
		v[i] = float32(rng.NormFloat64())
	}
	return b.Const(name, tensor.From(v, shape...))
}

// TestMadeUpPasses runs the passes over operators that they have never heard of.
func TestMadeUpPasses(t *testing.T) {
	for _, c := range []struct {
		name  string
		shape []int
		build func(b *graph.Builder, x *graph.Value) *graph.Value
		want  map[string]int // operators that are left
	}{
		{"a product takes in what scales and shifts it", []int{4, 8}, func(b *graph.Builder, x *graph.Value) *graph.Value {
			y := b.Add("fc", affineMap{}, x, drawn(b, "w", 6, 8), drawn(b, "b", 6))
			return b.Add("shift", ops.Add{}, b.Add("scale", ops.Mul{}, y, drawn(b, "s", 6)), drawn(b, "z", 1, 6))
		}, map[string]int{"madeup.affineMap": 1}},
		{"what forwards its input goes", []int{4, 8}, func(b *graph.Builder, x *graph.Value) *graph.Value {
			return b.Add("hump", hump{}, b.Add("nothing", nothing{}, x))
		}, map[string]int{"madeup.hump": 1}},
		{"constants fold, random ones do not", []int{4, 8}, func(b *graph.Builder, x *graph.Value) *graph.Value {
			c := drawn(b, "c", 4, 8)
			y := b.Add("folds", ops.Add{}, x, b.Add("mirror", mirror{}, c))
			y = b.Add("one", ops.Mul{}, y, b.Add("dice1", dice{}, c))
			return b.Add("two", ops.Mul{}, y, b.Add("dice2", dice{}, c))
		}, map[string]int{"Add": 1, "Mul": 2, "madeup.dice": 2}},
		{"twins become one", []int{4, 8}, func(b *graph.Builder, x *graph.Value) *graph.Value {
			return b.Add("sum", ops.Add{}, b.Add("a", mirror{}, x), b.Add("b", mirror{}, x))
		}, map[string]int{"Add": 1, "madeup.mirror": 1}},
		{"transposes around what has any order cancel", []int{2, 3, 4, 5}, func(b *graph.Builder, x *graph.Value) *graph.Value {
			y := b.Add("hump", hump{}, b.Add("to", ops.Transpose{Perm: []int{0, 2, 3, 1}}, x))
			return b.Add("back", ops.Transpose{Perm: []int{0, 3, 1, 2}}, y)
		}, map[string]int{"madeup.hump": 1}},
		{"outputs that nobody reads go", []int{4, 8}, func(b *graph.Builder, x *graph.Value) *graph.Value {
			return b.AddN("peak", 2, peak{}, x)[0]
		}, map[string]int{"madeup.peak": 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := madeUp(t, c.shape, c.build)
			f := g.Clone()
			if _, err := optimize.Default().Run(t.Context(), f, nil); err != nil {
				t.Fatal(err)
			}
			got := count(f)
			for name, n := range c.want {
				if got[name] != n || len(got) != len(c.want) {
					t.Fatalf("%v is left, want %v", got, c.want)
				}
			}
			for _, n := range f.Nodes {
				if graph.TraitsOf(n.Op).Optional == 1 && len(n.Out) > 1 && n.Out[1] != nil {
					t.Error("the output that nobody reads is left")
				}
			}
			in := []*tensor.Tensor{random(c.shape...)}
			want, err := graph.Eval(t.Context(), g, in)
			if err != nil {
				t.Fatal(err)
			}
			if db := sqnr(tensor.Floats(want[0]), run(t, f, in, engine.Options{})); db < 100 {
				t.Errorf("the engine is %.0f dB from the reference", db)
			}
		})
	}
}

func random(shape ...int) *tensor.Tensor {
	rng := rand.New(rand.NewPCG(7, 8))
	v := make([]float32, tensor.Size(shape))
	for i := range v {
		v[i] = float32(rng.NormFloat64())
	}
	return tensor.From(v, shape...)
}

// layered is two products with a mover between them.
func layered(t *testing.T, product graph.Op) *graph.Graph {
	t.Helper()
	return madeUp(t, []int{1, 64}, func(b *graph.Builder, x *graph.Value) *graph.Value {
		y := b.Add("first", product, x, drawn(b, "w1", 48, 64), drawn(b, "b1", 48))
		y = b.Add("mirror", mirror{}, y)
		return b.Add("second", product, y, drawn(b, "w2", 10, 48), drawn(b, "b2", 10))
	})
}

// TestMadeUpQuantize quantizes operators that the quantizer has never heard of: the answers are those of a Gemm, which
// computes the same.
func TestMadeUpQuantize(t *testing.T) {
	in := []*tensor.Tensor{random(1, 64)}
	for _, o := range []quantize.Options{{}, {Mode: "weight-only"}, {Mode: "dynamic"}} {
		var answers [][]float32
		for _, op := range []graph.Op{affineMap{}, affineMap{}.as()} {
			g := layered(t, op)
			r, err := quantize.Quantize(t.Context(), g, data.Random(inputs(g), 64, 1), o)
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Layers) != 2 {
				t.Errorf("mode %q: %d layers are integers, want 2", o.Mode, len(r.Layers))
			}
			answers = append(answers, run(t, r.Graph, in, engine.Options{}))
			if _, err := (optimize.QLinear{}).Apply(t.Context(), r.Graph); err != nil {
				t.Fatal(err)
			}
			c := count(r.Graph)
			if o.Mode == "" && (c["com.microsoft.QGemm"] != 2 || c["DequantizeLinear"] > 1) {
				t.Errorf("the integer graph has %v", c)
			}
		}
		if exact := slices.Equal(answers[0], answers[1]); !exact && (o.Mode != "weight-only" || sqnr(answers[1], answers[0]) < 100) { // floats round elsewhere
			t.Errorf("mode %q: %v, a Gemm gives %v", o.Mode, answers[0], answers[1])
		}
	}
	c, err := quantize.Codebook(t.Context(), layered(t, affineMap{}), quantize.CodebookOptions{Bits: 4})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Layers) != 2 {
		t.Errorf("%d layers share values, want 2", len(c.Layers))
	}
}

// TestMadeUpPrune prunes operators that the pruner has never heard of.
func TestMadeUpPrune(t *testing.T) {
	r, err := prune.Weights(t.Context(), layered(t, affineMap{}), prune.Options{Sparsity: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Layers) != 2 {
		t.Errorf("weights of %d layers are pruned, want 2", len(r.Layers))
	}
	g := madeUp(t, []int{1, 64}, func(b *graph.Builder, x *graph.Value) *graph.Value {
		y := b.Add("hump", hump{}, b.Add("first", affineMap{}, x, drawn(b, "w1", 48, 64), drawn(b, "b1", 48)))
		return b.Add("second", affineMap{}, y, drawn(b, "w2", 10, 48), drawn(b, "b2", 10))
	})
	cut, _, err := prune.Channels(t.Context(), g, prune.ChannelOptions{Sparsity: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := cut.Nodes[0].Out[0].Shape[1].Value(); n != 24 {
		t.Errorf("%d channels are left of 48, want 24", n)
	}
	run(t, cut, []*tensor.Tensor{random(1, 64)}, engine.Options{})
}
