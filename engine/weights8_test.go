package engine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/kernels"
	"github.com/tfsopt/tfsopt/tensor"
)

// integerProducts are operators with constant weights w, whose zero points are z; X is the type of x and y, W that of w and z,
// and Z the number of zero points: [] or the one given after the name.
var integerProducts = []struct{ name, channels, text string }{
	{"QLinearConv", "7", `
  input x: X[2,5,9,8]
  const w: W[7,5,3,3] = random 1
  y: X[2,7,9,8] = QLinearConv(x, s, xz, w, ws, z, ys, xz, b) {pads=[1,1,1,1]}`},
	{"QLinearConv 1x1", "40", `
  input x: X[2,6,5,5]
  const w: W[40,6,1,1] = random 1
  y: X[2,40,5,5] = QLinearConv(x, s, xz, w, ws, z, ys, xz)`},
	{"QLinearConv groups", "6", `
  input x: X[1,6,9,8]
  const w: W[6,3,3,3] = random 1
  y: X[1,6,5,4] = QLinearConv(x, s, xz, w, ws, z, ys, xz, b) {group=2 strides=[2,2] pads=[1,1,1,1]}`},
	{"QLinearConv 1x1 groups", "4", `
  input x: X[1,6,5,5]
  const w: W[4,3,1,1] = random 1
  y: X[1,4,5,5] = QLinearConv(x, s, xz, w, ws, z, ys, xz, b) {group=2}`},
	{"QLinearConv of no images", "6", `
  input x: X[0,6,9,8]
  const w: W[6,3,3,3] = random 1
  y: X[0,6,9,8] = QLinearConv(x, s, xz, w, ws, z, ys, xz, b) {group=2 pads=[1,1,1,1]}`},
	{"QLinearConv depthwise", "20", `
  input x: X[1,20,9,8]
  const w: W[20,1,3,3] = random 1
  y: X[1,20,9,8] = QLinearConv(x, s, xz, w, ws, z, ys, xz, b) {group=20 pads=[1,1,1,1]}`},
	{"QLinearConv multiplier", "8", `
  input x: X[1,4,9,8]
  const w: W[8,1,3,3] = random 1
  y: X[1,8,9,8] = QLinearConv(x, s, xz, w, ws, z, ys, xz, b) {group=4 pads=[1,1,1,1]}`},
	{"ConvInteger", "1", `
  input x: X[2,3,9,8]
  const w: W[7,3,3,3] = random 1
  y: int32[2,7,9,8] = ConvInteger(x, w, xz, z) {pads=[1,1,1,1]}`},
	{"QLinearMatMul", "33", `
  input x: X[3,70,21]
  const w: W[21,33] = random 1
  y: X[3,70,33] = QLinearMatMul(x, s, xz, w, ws, z, ys, xz)`},
	{"MatMulInteger", "9", `
  input x: X[3,21]
  const w: W[21,9] = random 1
  y: int32[3,9] = MatMulInteger(x, w, xz, z)`},
	{"QGemm", "9", `
  input x: X[3,21]
  const w: W[21,9] = random 1
  y: X[3,9] = com.microsoft.QGemm(x, s, xz, w, ws, z, b, ys, xz)`},
	{"QGemm transB", "9", `
  input x: X[3,21]
  const w: W[9,21] = random 1
  y: float32[3,9] = com.microsoft.QGemm(x, s, xz, w, ws, z, b) {transB=1}`},
}

// TestWeightZeroPoints: products whose weights have any zero points are exact, and take a fast step.
func TestWeightZeroPoints(t *testing.T) {
	for _, c := range integerProducts {
		for _, kind := range []tensor.DType{tensor.Uint8, tensor.Int8} {
			for _, per := range []string{"", c.channels} {
				for _, narrow := range []bool{false, true} {
					name := fmt.Sprintf("%s/%s[%s] narrow %v", c.name, kind, per, narrow)
					t.Run(name, func(t *testing.T) { testWeightZeroPoints(t, weightCase{c.text, kind, per, c.channels, narrow}) })
				}
			}
		}
	}
}

type weightCase struct {
	text     string
	kind     tensor.DType
	zeros    string // how many zero points, "" for one
	channels string
	narrow   bool // weights less their zero point are int8
}

func testWeightZeroPoints(t *testing.T, c weightCase) {
	for _, kind := range []tensor.DType{tensor.Uint8, tensor.Int8, tensor.Uint16, tensor.Int16} {
		bias := tensor.Int32
		if kind.Bits() == 16 {
			bias = tensor.Int64
			if !strings.Contains(c.text, "QLinear") {
				continue
			}
		}
		text := `graph "g" {
  opset "" 17
  opset "com.microsoft" 1
  const s: float32[] = {0.02}
  const ys: float32[] = {3}
  const ws: float32[] = {0.5}
  const xz: X[] = {101}
  const z: W[ZEROS] = random 2
  const b: BIAS[CHANNELS] = random 3` + c.text + "\n  output y\n}"
		names := strings.NewReplacer("X[", kind.String()+"[", "W[", c.kind.String()+"[", "ZEROS", c.zeros, "CHANNELS", c.channels, "BIAS", bias.String())
		r := rand.New(rand.NewPCG(4, uint64(len(c.text))))
		g := parse(t, names.Replace(text))
		setInts(r, g.Value("z"), c.kind)
		setInts(r, g.Value("w"), c.kind)
		if b := g.Value("b"); b != nil {
			setInts(r, b, bias)
		}
		if c.narrow {
			for _, name := range []string{"w", "z"} {
				d := g.Value(name).Const.Data
				for i := range d {
					d[i] = 64 + d[i]%128 // a multiple of 64 away from where either type ends
					if c.kind == tensor.Int8 {
						d[i] -= 128
					}
				}
			}
		}
		if err := g.Infer(); err != nil {
			t.Fatal(err)
		}
		x := tensor.New(kind, shapeOf(g.Inputs[0])...)
		for i := range x.Data {
			x.Data[i] = byte(r.Uint32())
		}
		want := reference(t, g, x)
		for _, set := range kernels.Available() {
			for threads := range 2 {
				p := compile(t, g, engine.Options{Threads: threads + 1, CPU: set.Name})
				if got := run(t, p, x); !got[0].Equal(want[0]) {
					t.Errorf("x %s, %s, %d threads: %x, want %x", kind, set.Name, threads+1, got[0].Data, want[0].Data)
				}
				steps, err := p.Steps([]*tensor.Tensor{x}, 1)
				if err != nil {
					t.Fatal(err)
				}
				for _, s := range steps {
					if s.Kernel {
						t.Errorf("x %s: %s has no fast step", kind, s.Op)
					}
				}
			}
		}
	}
}

// setInts replaces a constant by integers of the whole range, both ends among them, or of a bias.
func setInts(r *rand.Rand, v *graph.Value, d tensor.DType) {
	ints := tensor.New(d, v.Const.Shape...)
	switch d {
	case tensor.Int32:
		for i := range tensor.View[int32](ints) {
			tensor.View[int32](ints)[i] = int32(r.IntN(2000) - 1000)
		}
	case tensor.Int64:
		for i := range tensor.View[int64](ints) {
			tensor.View[int64](ints)[i] = r.Int64N(1<<34) - 1<<33
		}
	default:
		for i := range ints.Data {
			ints.Data[i] = []byte{0, 127, 128, 255, byte(r.Uint32()), byte(r.Uint32())}[r.IntN(6)]
		}
	}
	v.Fact = graph.FactOf(ints)
}

func shapeOf(v *graph.Value) []int {
	shape, _ := v.Fixed()
	return shape
}

// TestPairsFit: every operator finds whether the pairs of its weights fit, a pair in the first group as well as one in the
// last, and gives the reference's bits for the largest activations.
func TestPairsFit(t *testing.T) {
	for _, c := range integerProducts {
		if strings.Contains(c.name, "depthwise") {
			continue // no products
		}
		for _, at := range []string{"nowhere", "first", "last"} {
			t.Run(c.name+"/"+at, func(t *testing.T) { testPairsFit(t, c.text, c.channels, at) })
		}
	}
}

func testPairsFit(t *testing.T, text, channels, at string) {
	text = `graph "g" {
  opset "" 17
  opset "com.microsoft" 1
  const s: float32[] = {0.02}
  const ys: float32[] = {40}
  const ws: float32[] = {0.5}
  const xz: uint8[] = {101}
  const z: int8[] = {0}
  const b: int32[CHANNELS] = random 3` + text + "\n  output y\n}"
	g := parse(t, strings.NewReplacer("X[", "uint8[", "W[", "int8[", "CHANNELS", channels).Replace(text))
	r := rand.New(rand.NewPCG(1, 1))
	if b := g.Value("b"); b != nil {
		setInts(r, b, tensor.Int32)
	}
	w := tensor.New(tensor.Int8, shapeOf(g.Value("w"))...)
	data := tensor.View[int8](w)
	for i := range data {
		data[i] = 64
	}
	half := len(data) / 2
	for i := range data {
		if at == "first" && i < half || at == "last" && i >= half {
			data[i] = 65
		}
	}
	g.Value("w").Fact = graph.FactOf(w)
	if err := g.Infer(); err != nil {
		t.Fatal(err)
	}
	x := tensor.New(tensor.Uint8, shapeOf(g.Inputs[0])...)
	for i := range x.Data {
		x.Data[i] = 255
	}
	want := reference(t, g, x)
	for _, set := range kernels.Available() {
		p := compile(t, g, engine.Options{Threads: 1, CPU: set.Name})
		if got := p.PairsFit(); len(got) != 1 || got[0] != (at == "nowhere") {
			t.Errorf("%s: fit %v", set.Name, got)
		}
		if got := run(t, p, x); !got[0].Equal(want[0]) {
			t.Errorf("%s: %x, want %x", set.Name, got[0].Data, want[0].Data)
		}
	}
}

// BenchmarkWeightZeroPoints times a 3x3 layer whose weights are int8, or need a correction by the sums of windows.
func BenchmarkWeightZeroPoints(b *testing.B) {
	for _, zero := range []string{"128", "100"} {
		b.Run(zero, func(b *testing.B) {
			g := parse(b, `graph "g" {
  opset "" 17
  const s: float32[] = {0.02}
  const ws: float32[] = {0.0005}
  const xz: uint8[] = {101}
  const z: uint8[] = {`+zero+`}
  input x: uint8[1,64,56,56]
  const w: uint8[64,64,3,3] = random 1
  y: uint8[1,64,56,56] = QLinearConv(x, s, xz, w, ws, z, s, xz) {pads=[1,1,1,1]}
  output y
}`)
			setInts(rand.New(rand.NewPCG(1, 1)), g.Value("w"), tensor.Uint8)
			p := compile(b, g, engine.Options{Threads: 1})
			call := &engine.Call{In: []*tensor.Tensor{tensor.New(tensor.Uint8, 1, 64, 56, 56)}}
			for b.Loop() {
				if err := p.Run(context.Background(), call); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
