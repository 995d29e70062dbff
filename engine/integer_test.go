package engine_test

import (
	"context"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/kernels"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/optimize"
	"github.com/tfsopt/tfsopt/tensor"
)

// quantized is a QDQ network; TYPE is the activations' type, Z their zero point, W and V bytes of random weights.
const quantized = `graph "net" {
  opset "" 17
  input x: float32[n,6,9,8]
  const s: float32[] = {0.0078125}
  const z: TYPE[] = {Z}
  const s2: float32[] = {0.05}
  const z2: TYPE[] = {3}
  const w: int8[20,6,3,3] = random 1
  const ws: float32[20] = random 2
  const wz: int8[20] = random 0
  const d: int8[20,1,3,3] = random 3
  const ds: float32[] = {0.01}
  const dz: int8[] = {0}
  const f: int8[20,9] = random 4
  const lo: float32[] = {0.2}
  const hi: float32[] = {2}
  xq: TYPE[n,6,9,8] = QuantizeLinear(x, s, z)
  xd: float32[n,6,9,8] = DequantizeLinear(xq, s, z)
  wd: float32[20,6,3,3] = DequantizeLinear(w, ws, wz) {axis=0}
  c1: float32[n,20,9,8] = Conv(xd, wd) {pads=[1,1,1,1]}
  r1: float32[n,20,9,8] = Relu(c1)
  q1: TYPE[n,20,9,8] = QuantizeLinear(r1, s2, z2)
  d1: float32[n,20,9,8] = DequantizeLinear(q1, s2, z2)
  dw: float32[20,1,3,3] = DequantizeLinear(d, ds, dz)
  c2: float32[n,20,9,8] = Conv(d1, dw) {group=20 pads=[1,1,1,1]}
  k2: float32[n,20,9,8] = Clip(c2, lo, hi)
  q2: TYPE[n,20,9,8] = QuantizeLinear(k2, s2, z2)
  d2: float32[n,20,9,8] = DequantizeLinear(q2, s2, z2)
  a: float32[n,20,9,8] = Add(d1, d2)
  qa: TYPE[n,20,9,8] = QuantizeLinear(a, s2, z)
  da: float32[n,20,9,8] = DequantizeLinear(qa, s2, z)
  m: float32[n,20,4,4] = MaxPool(da) {kernel_shape=[3,3] strides=[2,2] pads=[0,0,0,1]}
  qm: TYPE[n,20,4,4] = QuantizeLinear(m, s2, z)
  dm: float32[n,20,4,4] = DequantizeLinear(qm, s2, z)
  g: float32[n,20,1,1] = GlobalAveragePool(dm)
  qg: TYPE[n,20,1,1] = QuantizeLinear(g, s2, z)
  dg: float32[n,20,1,1] = DequantizeLinear(qg, s2, z)
  v: float32[n,20] = Flatten(dg)
  qv: TYPE[n,20] = QuantizeLinear(v, s2, z)
  dv: float32[n,20] = DequantizeLinear(qv, s2, z)
  fd: float32[20,9] = DequantizeLinear(f, ds, dz)
  y: float32[n,9] = Gemm(dv, fd)
  mm: float32[n,9] = MatMul(dv, fd)
  qy: TYPE[n,9] = QuantizeLinear(mm, s2, z2)
  output y
  output qy
  output qa
}`

// parseQuantized fills the random constants: integers up to most, scales around 0.01, seed 0 zeros.
func parseQuantized(t *testing.T, kind, zero string, most float32) *graph.Graph {
	text := strings.ReplaceAll(strings.ReplaceAll(quantized, "TYPE", kind), "Z}", zero+"}")
	g := parse(t, text)
	for _, v := range g.Values() {
		if !v.IsConst() || v.Const.DType != tensor.Float32 {
			continue
		}
		data := tensor.View[float32](v.Const)
		switch {
		case v.Name == "ws":
			for i := range data {
				data[i] = 0.01 + data[i]/100
			}
		case v.Name == "w" || v.Name == "d" || v.Name == "f" || v.Name == "wz":
			ints := tensor.New(tensor.Int8, v.Const.Shape...)
			for i := range data {
				tensor.View[int8](ints)[i] = int8(data[i] * 2 * most)
			}
			if v.Name == "wz" {
				clear(ints.Data)
			}
			v.Fact = graph.FactOf(ints)
		}
	}
	if err := g.Infer(); err != nil {
		t.Fatal(err)
	}
	return g
}

// TestIntegers: programs compute QDQ graphs with ONNX Runtime's integer operators, to the bit.
func TestIntegers(t *testing.T) {
	for kind, zero := range map[string]string{"uint8": "128", "int8": "-7"} {
		testIntegers(t, kind, parseQuantized(t, kind, zero, 127))
		testIntegers(t, kind+" with weights whose pairs fit", parseQuantized(t, kind, zero, 64))
	}
}

func testIntegers(t *testing.T, kind string, g *graph.Graph) {
	ints := g.Clone()
	results, err := (graph.Pipeline{optimize.QLinear{}}).Run(context.Background(), ints, nil)
	if err != nil {
		t.Fatal(err)
	}
	left := 0
	ints.Walk(func(n *graph.Node) {
		if name := n.OpName(); name == "Conv" || name == "Add" || name == "Gemm" || name == "MatMul" || name == "DequantizeLinear" {
			left++
		}
	})
	if left > 0 {
		t.Fatalf("%s: %d float operators left after %v:\n%s", kind, left, results, ints)
	}
	x := noise(5, 2, 6, 9, 8)
	want := reference(t, ints, x)
	for _, set := range kernels.Available() {
		p := compile(t, g, engine.Options{Threads: 2, CPU: set.Name})
		for i, got := range run(t, p, x) {
			if !got.Equal(want[i]) {
				t.Errorf("%s with %s: output %d differs", kind, set.Name, i)
			}
		}
	}
}

// TestFixedPoint: the same networks in TensorFlow Lite's arithmetic, which is another in some results.
func TestFixedPoint(t *testing.T) {
	for kind, zero := range map[string]string{"uint8": "128", "int8": "-7"} {
		float, fixed := parseQuantized(t, kind, zero, 127), parseQuantized(t, kind, zero, 127)
		for _, n := range fixed.Nodes {
			n.Op = ops.WithRequant(n.Op, ops.RequantFixed)
		}
		testIntegers(t, kind+" in fixed point", fixed)
		x, differs := noise(5, 2, 6, 9, 8), false
		want := run(t, compile(t, float, engine.Options{}), x)
		for i, got := range run(t, compile(t, fixed, engine.Options{}), x) {
			differs = differs || !got.Equal(want[i])
		}
		if !differs {
			t.Errorf("%s: every result is that of float32", kind)
		}
	}
}

// dynamic is a network as dynamic quantization writes it.
const dynamic = `graph "net" {
  opset "" 17
  input x: float32[n,6,9,8]
  const w: int8[20,3,3,3] = random 1
  const f: int8[20,9] = random 4
  const s: float32[] = {0.01}
  q: uint8[n,6,9,8], qs: float32[], qz: uint8[] = DynamicQuantizeLinear(x)
  c: int32[n,20,9,8] = ConvInteger(q, w, qz) {group=2 pads=[1,1,1,1]}
  r: float32[n,20,9,8] = Cast(c) {to=1}
  k: float32[] = Mul(qs, s)
  y: float32[n,20,9,8] = Mul(r, k)
  g: float32[n,20,1,1] = GlobalAveragePool(y)
  v: float32[n,20] = Flatten(g)
  p: uint8[n,20], ps: float32[], pz: uint8[] = DynamicQuantizeLinear(v)
  m: int32[n,9] = MatMulInteger(p, f, pz)
  output c
  output m
}`

// TestDynamicIntegers: integer products with zero points that the run computes are exact.
func TestDynamicIntegers(t *testing.T) {
	for _, most := range []float32{127, 64} {
		testDynamicIntegers(t, most)
	}
}

func testDynamicIntegers(t *testing.T, most float32) {
	g := parse(t, dynamic)
	for _, name := range []string{"w", "f"} {
		v := g.Value(name)
		ints := tensor.New(tensor.Int8, v.Const.Shape...)
		for i, x := range tensor.View[float32](v.Const) {
			tensor.View[int8](ints)[i] = int8(x * 2 * most)
		}
		v.Fact = graph.FactOf(ints)
	}
	if err := g.Infer(); err != nil {
		t.Fatal(err)
	}
	x := noise(5, 2, 6, 9, 8)
	want := reference(t, g, x)
	for _, set := range kernels.Available() {
		p := compile(t, g, engine.Options{Threads: 2, CPU: set.Name})
		got := run(t, p, x)
		if !got[0].Equal(want[0]) {
			t.Errorf("%s: the convolution differs", set.Name)
		}
		near(t, got[1:], want[1:], 0.02) // the pooled values may round to the next integer
	}
}

// TestDynamicRows: rows that are quantized by themselves, and their product with constant weights, are exact.
func TestDynamicRows(t *testing.T) {
	g := parse(t, `graph "rows" {
  opset "" 17
  input x: float32[n,3,40]
  const f: int8[40,9] = random 4
  q: uint8[n,3,40], s: float32[n,3,1], z: uint8[n,3,1] = tfsopt.DynamicQuantizeRows(x)
  m: int32[n,3,9] = MatMulInteger(q, f, z)
  output q
  output s
  output m
}`)
	v := g.Value("f")
	ints := tensor.New(tensor.Int8, v.Const.Shape...)
	for i, x := range tensor.View[float32](v.Const) {
		tensor.View[int8](ints)[i] = int8(x * 254)
	}
	v.Fact = graph.FactOf(ints)
	if err := g.Infer(); err != nil {
		t.Fatal(err)
	}
	x := noise(5, 2, 3, 40)
	copy(tensor.View[float32](x)[40:80], make([]float32, 40)) // a row of zeros
	want := reference(t, g, x)
	for _, set := range kernels.Available() {
		for i, got := range run(t, compile(t, g, engine.Options{Threads: 2, CPU: set.Name}), x) {
			if !got.Equal(want[i]) {
				t.Errorf("%s: output %d differs", set.Name, i)
			}
		}
	}
}
