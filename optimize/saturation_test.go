package optimize_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/optimize"
	"github.com/tfsopt/tfsopt/tensor"
)

// TestSafePair compares the rule with the saturating product for every pair of weights, at the corners and at random
// activations.
func TestSafePair(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for a := -128; a < 128; a++ {
		for b := -128; b < 128; b++ {
			w := []int8{int8(a), int8(b)}
			exact := func(x, y byte) bool {
				return ops.SaturatingDot([]byte{x, y}, w) == int32(a)*int32(x)+int32(b)*int32(y)
			}
			corners := exact(0, 255) && exact(255, 0) && exact(255, 255)
			if safe := optimize.SafePair(w[0], w[1]); safe != corners {
				t.Fatalf("weights %v: safe %v, exact at the corners %v", w, safe, corners)
			}
			if x, y := byte(rng.Uint32()), byte(rng.Uint32()); corners && !exact(x, y) {
				t.Fatalf("weights %v, activations %d, %d: not exact", w, x, y)
			}
		}
	}
}

// product is a graph around one integer product whose weight is 127 at two places and 0 elsewhere.
type product struct {
	op    graph.Op
	x, w  tensor.DType
	shape []int  // of the weight
	at    [2]int // in the weight
}

// inputs of the operators in the tests, by name; y stands for the result's parameters.
var sides = map[string]string{
	"Conv": "qdq", "MatMul": "qdq", "Gemm": "qdq", "QLinearConv": "x s z w s z s z", "QLinearMatMul": "x s z w s z s z",
	"QGemm": "x s z w s z . s z", "ConvInteger": "x w z z", "MatMulInteger": "x w z z", "DynamicQuantizeMatMul": "f w s z",
	"MatMulIntegerToFloat": "x w s s z z",
}

func (p product) graph(t *testing.T) *graph.Graph {
	t.Helper()
	g := &graph.Graph{Opsets: map[string]int{"": 21, "com.microsoft": 1}}
	rank := len(p.shape)
	if _, ok := p.op.(ops.QGemm); ok {
		rank = 2
	}
	dims := make([]graph.Dim, rank)
	w := tensor.New(p.w, p.shape...)
	for _, i := range p.at {
		w.Data[i] = 127
	}
	_, name := graph.NameOf(p.op)
	b := graph.NewBuilder(g)
	typed := func(d tensor.DType) *graph.Value {
		v := graph.NewInput("x", graph.Of(d, dims...))
		g.Inputs = []*graph.Value{v}
		return v
	}
	scale, weight := b.Const("s", tensor.Scalar(float32(1))), b.Const("w", w)
	var in []*graph.Value
	if sides[name] == "qdq" {
		in = []*graph.Value{b.Add("xd", ops.DequantizeLinear{Axis: 1}, typed(p.x), scale), b.Add("wd", ops.DequantizeLinear{}, weight, scale)}
	} else {
		for _, side := range strings.Fields(sides[name]) {
			in = append(in, map[string]func() *graph.Value{
				"x": func() *graph.Value { return typed(p.x) }, "f": func() *graph.Value { return typed(tensor.Float32) },
				"w": func() *graph.Value { return weight }, "s": func() *graph.Value { return scale },
				"z": func() *graph.Value { return b.Const("z", tensor.New(p.w)) }, ".": func() *graph.Value { return nil },
			}[side]())
		}
	}
	g.Outputs = []*graph.Value{b.Add("y", p.op, in...)}
	if b.Err != nil {
		t.Fatal(b.Err)
	}
	return g
}

// TestSaturationOrder places two large weights and asks whether they are neighbours. What is right was seen in ONNX
// Runtime 1.31.1 under AVX2.
func TestSaturationOrder(t *testing.T) {
	const u, s = tensor.Uint8, tensor.Int8
	conv, pair := ops.Conv{Group: 1}, ops.Conv{Group: 2}
	for name, c := range map[string]struct {
		product
		pairs, unsafe int
	}{
		"conv, channels of a tap":         {product{conv, u, s, []int{1, 2, 3, 3}, [2]int{0, 9}}, 9, 1},
		"conv, taps of a channel":         {product{conv, u, s, []int{1, 2, 3, 3}, [2]int{0, 1}}, 9, 0},
		"conv, across taps":               {product{conv, u, s, []int{1, 3, 2, 2}, [2]int{8, 1}}, 6, 1},
		"conv, a pair and its neighbour":  {product{conv, u, s, []int{1, 3, 2, 2}, [2]int{4, 8}}, 6, 0},
		"conv of one channel":             {product{conv, u, s, []int{2, 1, 3, 3}, [2]int{9, 10}}, 8, 1},
		"conv in groups":                  {product{pair, u, s, []int{4, 3, 2, 2}, [2]int{44, 37}}, 24, 1},
		"conv 1-D":                        {product{conv, u, s, []int{1, 3, 5}, [2]int{10, 1}}, 7, 1},
		"conv 3-D":                        {product{conv, u, s, []int{1, 2, 2, 2, 2}, [2]int{7, 15}}, 8, 1},
		"depthwise":                       {product{pair, u, s, []int{2, 1, 3, 3}, [2]int{0, 1}}, 0, 0},
		"depthwise with a multiplier":     {product{pair, u, s, []int{4, 1, 3, 3}, [2]int{0, 1}}, 16, 1},
		"conv of int8":                    {product{conv, s, s, []int{1, 2, 3, 3}, [2]int{0, 9}}, 0, 0},
		"conv with uint8 weights":         {product{conv, u, u, []int{1, 2, 3, 3}, [2]int{0, 9}}, 0, 0},
		"QLinearConv":                     {product{ops.QLinearConv{Conv: conv}, u, s, []int{1, 2, 3, 3}, [2]int{0, 9}}, 9, 1},
		"ConvInteger":                     {product{ops.ConvInteger(conv), u, s, []int{1, 2, 3, 3}, [2]int{0, 9}}, 0, 0},
		"MatMul":                          {product{ops.MatMul{}, u, s, []int{5, 3}, [2]int{7, 10}}, 6, 1},
		"MatMul, same row":                {product{ops.MatMul{}, u, s, []int{5, 3}, [2]int{6, 7}}, 6, 0},
		"MatMul, rows of two pairs":       {product{ops.MatMul{}, u, s, []int{5, 3}, [2]int{4, 7}}, 6, 0},
		"MatMul in batches":               {product{ops.MatMul{}, u, s, []int{2, 4, 3}, [2]int{13, 16}}, 12, 1},
		"MatMul by a vector":              {product{ops.MatMul{}, u, s, []int{4}, [2]int{2, 3}}, 2, 1},
		"MatMul of int8":                  {product{ops.MatMul{}, s, s, []int{5, 3}, [2]int{7, 10}}, 0, 0},
		"Gemm":                            {product{ops.Gemm{Alpha: 1, Beta: 1}, u, s, []int{4, 3}, [2]int{0, 3}}, 6, 1},
		"Gemm, transposed":                {product{ops.Gemm{Alpha: 1, Beta: 1, TransB: true}, u, s, []int{3, 4}, [2]int{4, 5}}, 6, 1},
		"QGemm, transposed":               {product{ops.QGemm{Alpha: 1, TransB: true}, u, s, []int{3, 4}, [2]int{4, 5}}, 6, 1},
		"QGemm":                           {product{ops.QGemm{Alpha: 1}, u, s, []int{4, 3}, [2]int{4, 5}}, 6, 0},
		"QLinearMatMul":                   {product{ops.QLinearMatMul{}, u, s, []int{4, 3}, [2]int{0, 3}}, 6, 1},
		"QLinearMatMul, uint8":            {product{ops.QLinearMatMul{}, u, u, []int{4, 3}, [2]int{0, 3}}, 0, 0},
		"MatMulInteger":                   {product{ops.MatMulInteger{}, u, s, []int{4, 3}, [2]int{0, 3}}, 6, 1},
		"MatMulIntegerToFloat":            {product{ops.MatMulIntegerToFloat{}, u, s, []int{4, 3}, [2]int{0, 3}}, 6, 1},
		"DynamicQuantizeMatMul":           {product{ops.DynamicQuantizeMatMul{}, u, s, []int{4, 3}, [2]int{0, 3}}, 6, 1},
		"DynamicQuantizeMatMul, unsigned": {product{ops.DynamicQuantizeMatMul{}, u, u, []int{4, 3}, [2]int{0, 3}}, 0, 0},
	} {
		r := optimize.CheckSaturation(c.graph(t))
		if r.Pairs != c.pairs || r.Unsafe != c.unsafe {
			t.Errorf("%s: %d of %d pairs are unsafe, want %d of %d", name, r.Unsafe, r.Pairs, c.unsafe, c.pairs)
		}
		if c.unsafe > 0 && (len(r.Layers) != 1 || r.Layers[0].Worst.Sum != 2*127*255) {
			t.Errorf("%s: layers %+v", name, r.Layers)
		}
	}
}

// TestSaturationFollows finds weights that were transposed, rounded in the graph, or captured by a body, and knows that
// weights which are computed prove nothing.
func TestSaturationFollows(t *testing.T) {
	const head = `graph "g" {
  opset "" 21
  input x: uint8[3,4]
  const s: float32[] = {1}
  xd: float32[3,4] = DequantizeLinear(x, s)
`
	for name, c := range map[string]struct {
		text          string
		pairs, unsafe int
	}{
		"a transposed weight": {`
  const w: int8[2,4] = {127, 127, 1, 1, 0, 0, 0, 127}
  wd: float32[2,4] = DequantizeLinear(w, s)
  wt: float32[4,2] = Transpose(wd) {perm=[1, 0]}
  y: float32[3,2] = MatMul(xd, wt)
`, 4, 1},
		"a weight rounded in the graph": {`
  const w: float32[4,1] = {127, 127, 1, 1}
  const z: int8[] = {0}
  q: int8[4,1] = QuantizeLinear(w, s, z)
  wd: float32[4,1] = DequantizeLinear(q, s, z)
  y: float32[3,1] = MatMul(xd, wd)
`, 2, 1},
		"activations that moved": {`
  const w: int8[4,1] = {127, 127, 1, 1}
  const shape: int64[2] = {3, 4}
  xr: float32[3,4] = Reshape(xd, shape)
  wd: float32[4,1] = DequantizeLinear(w, s)
  y: float32[3,1] = MatMul(xr, wd)
`, 2, 1},
		"what a body captures": {`
  const w: int8[4,1] = {127, 127, 1, 1}
  const c: bool[] = {true}
  wd: float32[4,1] = DequantizeLinear(w, s)
  y: float32[3,1] = If(c, xd, wd) {then_branch=graph "then" {
    captures 2
    input a: float32[3,4]
    input b: float32[4,1]
    p: float32[3,1] = MatMul(a, b)
    output p
  } else_branch=graph "else" {
    captures 2
    input a: float32[3,4]
    input b: float32[4,1]
    p: float32[3,1] = MatMul(a, b)
    output p
  }}
`, 4, 2},
		"a weight that is computed": {`
  input w: int8[4,1]
  wd: float32[4,1] = DequantizeLinear(w, s)
  y: float32[3,1] = MatMul(xd, wd)
`, 2, 2},
		"float activations": {`
  const w: int8[4,1] = {127, 127, 1, 1}
  wd: float32[4,1] = DequantizeLinear(w, s)
  e: float32[3,4] = Exp(xd)
  y: float32[3,1] = MatMul(e, wd)
`, 0, 0},
	} {
		g, err := graph.Parse(strings.NewReader(head + c.text + "  output y\n}\n"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if r := optimize.CheckSaturation(g); r.Pairs != c.pairs || r.Unsafe != c.unsafe {
			t.Errorf("%s: %d of %d pairs are unsafe, want %d of %d", name, r.Unsafe, r.Pairs, c.unsafe, c.pairs)
		}
	}
}

// TestReach compares the sums that unsafe pairs reach with the saturating product over every position of a padded,
// strided, grouped convolution and of a matrix.
func TestReach(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	conv := ops.Conv{Group: 2, Pads: []int{1, 1, 1, 1}, Strides: []int{2, 1}, Dilations: []int{1, 2}}
	for name, c := range map[string]struct {
		product
		x []int
	}{
		"conv":              {product{op: conv, x: tensor.Uint8, w: tensor.Int8, shape: []int{4, 3, 3, 2}}, []int{2, 6, 7, 5}},
		"matrix":            {product{op: ops.MatMul{}, x: tensor.Uint8, w: tensor.Int8, shape: []int{10, 7}}, []int{3, 5, 10}},
		"transposed, QGemm": {product{op: ops.QGemm{Alpha: 1, TransA: true, TransB: true}, x: tensor.Uint8, w: tensor.Int8, shape: []int{7, 10}}, []int{10, 5}},
	} {
		g := c.graph(t)
		w := weightIn(g)
		for i := range w.Data {
			w.Data[i] = byte(rng.Uint32())
		}
		r := optimize.CheckSaturation(g)
		if len(r.Layers) != 1 || r.Unsafe == 0 || r.Unsafe == r.Pairs {
			t.Fatalf("%s: %+v", name, r)
		}
		x := tensor.New(tensor.Uint8, c.x...)
		for i := range x.Data {
			x.Data[i] = byte(rng.Uint32())
		}
		got, err := r.Layers[0].Reach(x)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if want := c.reach(t, x, w); got != want {
			t.Errorf("%s: reaches %+v, want %+v", name, got, want)
		}
	}
}

func weightIn(g *graph.Graph) (w *tensor.Tensor) {
	for _, p := range graph.Constants(g) {
		if p.Name == "w" {
			w = p.Tensor
		}
	}
	return w
}

// reach asks for each unsafe pair alone what the integer operators make of it.
func (p product) reach(t *testing.T, x, w *tensor.Tensor) optimize.Reached {
	t.Helper()
	var want optimize.Reached
	m := p.op.(ops.Multiplier).Products(w.Shape)
	for row := range m.Rows {
		for k := 0; k+1 < m.K; k += 2 {
			i, j := m.At(row, k), m.At(row, k+1)
			if optimize.SafePair(int8(w.Data[i]), int8(w.Data[j])) {
				continue
			}
			one := tensor.New(tensor.Int8, w.Shape...)
			one.Data[i], one.Data[j] = w.Data[i], w.Data[j]
			for _, s := range p.sums(t, x, one) {
				if s < -1<<15 || s >= 1<<15 {
					want.Clamped++
				}
				if max(s, -s) > max(want.Largest, -want.Largest) {
					want.Largest = s
				}
			}
		}
	}
	return want
}

// sums are the exact sums of products, of all rows.
func (p product) sums(t *testing.T, x, w *tensor.Tensor) []int {
	t.Helper()
	var op graph.Op = ops.MatMulInteger{}
	in := []*tensor.Tensor{x, w}
	switch o := p.op.(type) {
	case ops.Conv:
		op = ops.ConvInteger(o)
	case ops.QGemm:
		for i, n := range in {
			in[i] = tensor.New(n.DType, n.Shape[1], n.Shape[0])
			for j := range n.Data {
				in[i].Data[j%n.Shape[1]*n.Shape[0]+j/n.Shape[1]] = n.Data[j]
			}
		}
	}
	out := []*tensor.Tensor{{}}
	if err := graph.RunKernel(&graph.Exec{}, op, in, out); err != nil {
		t.Fatal(err)
	}
	var sums []int
	for _, s := range tensor.Ints(out[0]) {
		sums = append(sums, int(s))
	}
	return sums
}
