package engine_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// convStep is a convolution whose weights are computed.
type convStep struct {
	name string
	x, w []int
	op   ops.Conv
	relu bool
	res  bool
}

var convSteps = []convStep{
	{name: "3x3", x: []int{3, 5, 9, 7}, w: []int{20, 5, 3, 3}, op: ops.Conv{Pads: []int{1, 1, 1, 1}}, relu: true},
	{name: "wide", x: []int{2, 32, 6, 15}, w: []int{70, 32, 3, 3}, relu: true},
	{name: "residual", x: []int{2, 4, 6, 6}, w: []int{4, 4, 3, 3}, op: ops.Conv{Pads: []int{1, 1, 1, 1}}, relu: true, res: true},
	{name: "first layer", x: []int{9, 1, 12, 12}, w: []int{6, 1, 5, 5}, op: ops.Conv{Pads: []int{2, 2, 2, 2}}},
	{name: "stride 2", x: []int{2, 6, 11, 8}, w: []int{17, 6, 3, 3}, op: ops.Conv{Strides: []int{2, 2}, Pads: []int{1, 0, 1, 1}}},
	{name: "stride 3,2 of 2x4", x: []int{2, 3, 12, 10}, w: []int{4, 3, 2, 4}, op: ops.Conv{Strides: []int{3, 2}, Pads: []int{0, 3, 0, 0}}},
	{name: "same", x: []int{2, 3, 8, 9}, w: []int{8, 3, 3, 3}, op: ops.Conv{AutoPad: "SAME_UPPER", Strides: []int{2, 2}}},
	{name: "dilated", x: []int{2, 3, 9, 11}, w: []int{5, 3, 3, 2}, op: ops.Conv{Dilations: []int{2, 3}, Strides: []int{1, 2}, Pads: []int{2, 1, 2, 1}}},
	{name: "1x1", x: []int{3, 40, 5, 4}, w: []int{33, 40, 1, 1}, relu: true},
	{name: "1x1 stride 2", x: []int{2, 16, 7, 8}, w: []int{32, 16, 1, 1}, op: ops.Conv{Strides: []int{2, 2}}},
	{name: "grouped", x: []int{2, 8, 6, 7}, w: []int{12, 2, 3, 3}, op: ops.Conv{Group: 4, Pads: []int{1, 1, 0, 1}}},
	{name: "grouped 1x1", x: []int{2, 8, 6, 7}, w: []int{12, 2, 1, 1}, op: ops.Conv{Group: 4}},
	{name: "depthwise", x: []int{3, 19, 9, 10}, w: []int{19, 1, 3, 3}, op: ops.Conv{Group: 19, Pads: []int{1, 1, 1, 1}}, relu: true},
	{name: "depthwise stride 2", x: []int{2, 8, 9, 10}, w: []int{8, 1, 3, 3}, op: ops.Conv{Group: 8, Strides: []int{2, 2}, Pads: []int{0, 0, 1, 1}}, res: true, relu: true},
	{name: "depthwise 5x4", x: []int{2, 6, 9, 10}, w: []int{6, 1, 5, 4}, op: ops.Conv{Group: 6, Dilations: []int{1, 2}}},
	{name: "multiplier", x: []int{2, 3, 6, 6}, w: []int{6, 1, 3, 3}, op: ops.Conv{Group: 3}},
	{name: "one dimension", x: []int{3, 4, 21}, w: []int{9, 4, 5}, op: ops.Conv{Strides: []int{2}, Pads: []int{2, 1}}},
	{name: "few outputs", x: []int{2, 3, 7, 9}, w: []int{4, 3, 3, 5}, op: ops.Conv{Pads: []int{1, 2, 1, 2}}, relu: true, res: true},
	{name: "one output", x: []int{2, 2, 5, 19}, w: []int{1, 2, 3, 4}, op: ops.Conv{Strides: []int{1, 2}}},
	{name: "narrow", x: []int{2, 2, 5, 6}, w: []int{1, 2, 3, 4}},
	{name: "one pixel", x: []int{1, 8, 3, 3}, w: []int{200, 8, 3, 3}, relu: true},
	{name: "small and deep", x: []int{2, 256, 4, 3}, w: []int{130, 256, 3, 3}, op: ops.Conv{Pads: []int{1, 2, 1, 0}}, relu: true, res: false},
	{name: "deep", x: []int{2, 700, 3, 3}, w: []int{5, 700, 3, 3}, op: ops.Conv{Pads: []int{1, 1, 1, 1}}},
}

// graph makes a graph of the convolution and its three gradients.
func (c convStep) graph(t *testing.T) *graph.Graph {
	t.Helper()
	if c.op.Group == 0 {
		c.op.Group = 1
	}
	if c.op.AutoPad == "" {
		c.op.AutoPad = "NOTSET"
	}
	g := &graph.Graph{Name: "conv", Opsets: map[string]int{"": 21, "tfsopt": 1}}
	b := graph.NewBuilder(g)
	input := func(name string, shape []int) *graph.Value {
		v := graph.NewInput(name, graph.Of(tensor.Float32, graph.Dims(shape...)...))
		g.Inputs = append(g.Inputs, v)
		return v
	}
	y := b.Add("conv", c.op, input("x", c.x), input("w", c.w), input("b", c.w[:1]))
	n := y.Def
	shape, ok := y.Fixed()
	if !ok {
		t.Fatal(b.Err)
	}
	d := c.op.Grad(b, n, []*graph.Value{input("dy", shape)})
	if c.res {
		y = b.Add("sum", ops.Add{}, y, input("res", shape))
		d[0] = b.Add("dsum", ops.Add{}, d[0], input("dres", c.x))
	}
	if c.relu {
		if c.w[0]%2 == 0 {
			d[0] = b.Add("gate", ops.ReluGrad{}, d[0], n.In[0])
		} else {
			bound := func(v float32) *graph.Value { return b.Const("bound", tensor.Scalar(v)) }
			d[0] = b.Add("gate", ops.ClipGrad{}, d[0], n.In[0], bound(-0.2), bound(0.3))
		}
		y = b.Add("relu", ops.Relu{}, y)
	}
	if b.Err != nil {
		t.Fatal(b.Err)
	}
	g.Outputs = append([]*graph.Value{y}, d...)
	return g
}

// TestConvSteps: forward with computed weights, by the input and by the weights.
func TestConvSteps(t *testing.T) {
	for _, c := range convSteps {
		t.Run(c.name, func(t *testing.T) { c.check(t) })
	}
}

func (c convStep) check(t *testing.T) {
	g := c.graph(t)
	var in []*tensor.Tensor
	for i, v := range g.Inputs {
		shape, _ := v.Fixed()
		in = append(in, noise(uint64(i+1), shape...))
	}
	agreeOn(t, g, in, 2e-5)
}

// TestRandomConvSteps draws geometries: kernels, strides, dilations, padding, groups and few or many channels.
func TestRandomConvSteps(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	cases := 60
	if testing.Short() {
		cases = 12
	}
	for range cases {
		c := convStep{relu: r.IntN(2) == 0, res: r.IntN(3) == 0}
		group := []int{1, 1, 1, 2, 3}[r.IntN(5)]
		cg, mg := 1+r.IntN(9), 1+r.IntN(20)
		if r.IntN(4) == 0 {
			group, cg, mg = 1+r.IntN(40), 1, 1
		}
		c.x, c.w = []int{1 + r.IntN(3), group * cg}, []int{group * mg, cg}
		c.op = ops.Conv{Group: group}
		pads := [2][]int{}
		for range 2 {
			k, d := 1+r.IntN(5), 1+r.IntN(2)
			before, after := r.IntN(k), r.IntN(k)
			c.w, c.x = append(c.w, k), append(c.x, max(1, (k-1)*d+1-before-after)+r.IntN(12))
			c.op.Strides, c.op.Dilations = append(c.op.Strides, 1+r.IntN(3)), append(c.op.Dilations, d)
			pads[0], pads[1] = append(pads[0], before), append(pads[1], after)
		}
		c.op.Pads = append(pads[0], pads[1]...)
		t.Run(fmt.Sprintf("%v %v %v", c.x, c.w, c.op), func(t *testing.T) { c.check(t) })
	}
}

// TestConvTransposeConstant: weights that are constant, as in a model that is only run, and any batch.
func TestConvTransposeConstant(t *testing.T) {
	for i, attrs := range []string{"strides=[2,2] pads=[1,1,1,1] output_padding=[1,0]", "group=2", "strides=[3,1] output_shape=[20,9]", `auto_pad="SAME_LOWER" strides=[2,3]`, "pads=[3,0,1,2] dilations=[2,1]"} {
		w, m := "[4,6,3,2]", 6
		if i == 1 {
			m = 12
		}
		g := parse(t, fmt.Sprintf(`graph "up" {
  opset "" 17
  input x: float32[n,4,7,9]
  const w: float32%s = random 1
  const b: float32[%d] = random 2
  y: float32[n,%d,?,?] = ConvTranspose(x, w, b) {%s}
  z: float32[n,%d,?,?] = Relu(y)
  output z
}`, w, m, m, attrs, m))
		agreeOn(t, g, []*tensor.Tensor{noise(9, 2, 4, 7, 9)}, 1e-5)
	}
}
