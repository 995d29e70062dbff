package engine

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// sandwiches gives for each operator that integers may pass how to compute y from the float32[1,2,4,4] values f and h.
// w is a float32[2,2,1,1], v a float32[4,4]; f and h have the scale and zero point of the result, e another.
var sandwiches = map[string][]string{
	"Add":               {"Add(f, h)", "Add(f, e)"},
	"Mul":               {"Mul(f, h)", "Mul(f, e)"},
	"AveragePool":       {"AveragePool(f) {kernel_shape=[2,2]}"},
	"GlobalAveragePool": {"GlobalAveragePool(f)"},
	"Sigmoid":           {"Sigmoid(f)"},
	"LeakyRelu":         {"LeakyRelu(f) {alpha=0.5}"},
	"Concat":            {"Concat(f, h) {axis=1}", "Concat(f, e) {axis=1}"},
	"Conv":              {"Conv(f, w)"},
	"MatMul":            {"MatMul(f, v)", "MatMul(f, h)"},
	"Gemm":              {"Gemm(m, v)", "Gemm(m, v) {transB=1}"},

	"CenterCropPad":   {"CenterCropPad(f, c5) {axes=[3]}"},
	"Compress":        {"Compress(f, b4) {axis=3}"},
	"DepthToSpace":    {"DepthToSpace(g) {blocksize=2}"},
	"Dropout":         {"Dropout(f)"},
	"Expand":          {"Expand(f, s24244)"},
	"Flatten":         {"Flatten(f)"},
	"Gather":          {"Gather(f, c1) {axis=2}"},
	"GatherElements":  {"GatherElements(f, i1) {axis=3}"},
	"GatherND":        {"GatherND(f, i2)"},
	"GlobalMaxPool":   {"GlobalMaxPool(f)"},
	"Identity":        {"Identity(f)"},
	"MaxPool":         {"MaxPool(f) {kernel_shape=[2,2] pads=[1,1,1,1]}"},
	"MaxUnpool":       {"MaxUnpool(f, iu) {kernel_shape=[2,2] strides=[2,2]}"},
	"Pad":             {"Pad(f, p)", `Pad(f, p) {mode="edge"}`},
	"Reshape":         {"Reshape(f, r)"},
	"Resize":          {`Resize(f, _, sc) {mode="nearest"}`, `Resize(f, roi, sc) {mode="nearest" coordinate_transformation_mode="tf_crop_and_resize"}`},
	"ReverseSequence": {"ReverseSequence(f, l) {batch_axis=0 time_axis=1}"},
	"ScatterElements": {"ScatterElements(f, i1, u1) {axis=3}"},
	"ScatterND":       {"ScatterND(f, i2, u2)"},
	"Slice":           {"Slice(f, c1, c3, c2)"},
	"SpaceToDepth":    {"SpaceToDepth(f) {blocksize=2}"},
	"Split":           {},
	"Squeeze":         {"Squeeze(f)"},
	"TensorScatter":   {},
	"Tile":            {"Tile(f, s1112)"},
	"Transpose":       {"Transpose(f) {perm=[0,3,2,1]}"},
	"Trilu":           {"Trilu(f)"},
	"Unsqueeze":       {"Unsqueeze(f, c1)"},
}

const sandwichText = `graph "sandwich" {
  opset "" 21
  input x: %[1]s[1,2,4,4]
  input z: %[1]s[1,2,4,4]
  const s: float32[] = {0.05}
  const t: float32[] = {0.07}
  const zi: %[1]s[] = {3}
  const zw: %[2]s[] = {2}
  const zo: %[3]s[] = {3}
  const wi: %[2]s[2,2,1,1] = {1,9,30,77}
  const vi: %[2]s[4,4] = {1,9,30,77,5,6,7,8,99,1,2,3,4,40,50,60}
  const c1: int64[1] = {1}
  const c2: int64[1] = {2}
  const c3: int64[1] = {3}
  const c5: int64[1] = {6}
  const b4: bool[4] = {true,false,true,true}
  const s24244: int64[5] = {2,1,2,4,4}
  const s1112: int64[4] = {1,1,1,2}
  const i1: int64[1,2,4,1] = {0,1,2,3,3,2,1,0}
  const i2: int64[1,2] = {0,1}
  const p: int64[8] = {0,0,1,1,0,0,1,1}
  const r: int64[2] = {-1,8}
  const l: int64[1] = {2}
  const sc: float32[4] = {1,1,2,2}
  const roi: float32[8] = {0,0,0,0,1,1,2,2}
  const r84: int64[2] = {8,4}
  const r4: int64[4] = {1,4,2,4}
  const iu: int64[1,2,4,4] = {0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,70,71,72,73,74,75,76,77,78,79,80,81,82,83,84,85}
  f: float32[1,2,4,4] = DequantizeLinear(x, s, zi)
  h: float32[1,2,4,4] = DequantizeLinear(z, s, zi)
  e: float32[1,2,4,4] = DequantizeLinear(z, t, zi)
  w: float32[2,2,1,1] = DequantizeLinear(wi, s, zw)
  v: float32[4,4] = DequantizeLinear(vi, s, zw)
  m0: %[1]s[8,4] = Reshape(x, r84)
  m: float32[8,4] = DequantizeLinear(m0, s, zi)
  g0: %[1]s[1,4,2,4] = Reshape(x, r4)
  g: float32[1,4,2,4] = DequantizeLinear(g0, s, zi)
  u1: float32[1,2,4,1] = ReduceMax(f, c3)
  u2: float32[1,4,4] = ReduceMax(f, c1) {keepdims=0}
  y = %[4]s
  q = QuantizeLinear(y, s, zo)
  output q
}
`

// TestSandwiches compares the engine with the reference on every operator that computes on integers or moves them, between
// integers of each combination of types. Integer operators may round once where the reference rounds twice.
func TestSandwiches(t *testing.T) {
	for _, name := range graph.Registered("") {
		op := graph.Zero("", name)
		_, twinned := op.(graph.Twinned)
		q, ok := op.(graph.Quantizable)
		if cases, listed := sandwiches[name]; !twinned && (!ok || !q.Quant().Moves) && !listed {
			continue
		} else if !listed {
			t.Errorf("no case for %s", name)
		} else {
			for _, expr := range cases {
				t.Run(expr, func(t *testing.T) { sandwich(t, expr, twinned) })
			}
		}
	}
}

func sandwich(t *testing.T, expr string, twinned bool) {
	types := []tensor.DType{tensor.Uint8, tensor.Int8}
	for _, x := range types {
		for _, w := range types {
			for _, y := range types {
				text := fmt.Sprintf(sandwichText, x, w, y, expr)
				g, err := graph.Parse(strings.NewReader(text))
				if err != nil {
					t.Fatal(err)
				}
				if err := g.Infer(); err != nil {
					t.Fatal(err)
				}
				in := []*tensor.Tensor{randomBytes(x, 1), randomBytes(x, 2)}
				want, err := graph.Eval(t.Context(), g, in)
				if err != nil {
					t.Fatal(err)
				}
				p, err := Compile(t.Context(), g, Options{Threads: 1})
				if err != nil {
					t.Fatal(err)
				}
				c := &Call{In: in}
				if err := p.Run(t.Context(), c); err != nil {
					t.Fatalf("%s, weight %s, to %s: %v", x, w, y, err)
				}
				p.Close()
				most := int64(0)
				if twinned {
					most = 1
				}
				a, b := tensor.Ints(c.Out[0]), tensor.Ints(want[0])
				for i := range b {
					if d := a[i] - b[i]; d > most || d < -most {
						t.Fatalf("%s, weight %s, to %s: element %d is %d, want %d", x, w, y, i, a[i], b[i])
					}
				}
			}
		}
	}
}

func randomBytes(d tensor.DType, seed uint64) *tensor.Tensor {
	x, rng := tensor.New(d, 1, 2, 4, 4), rand.New(rand.NewPCG(seed, 1))
	for i := range x.Data {
		x.Data[i] = byte(rng.IntN(256))
	}
	return x
}
