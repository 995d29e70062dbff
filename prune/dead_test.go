package prune

import (
	"slices"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// The channels of deadConv that no input reaches: after a Relu one adds its bias, the other nothing.
const deadOn, deadOff = 1, 4

// deadConv is a convolution of 6 channels, without padding, of which two have no weights.
func (n drawn) deadConv(x *graph.Value, kernel int) *graph.Value {
	in, _ := x.Shape[1].Value()
	w, b := n.weight("dw", 6, in, kernel, kernel), n.weight("db", 6)
	n.kill(w, b, in*kernel*kernel)
	return n.Add("dead", ops.Conv{Group: 1, KernelShape: []int{kernel, kernel}}, x, w, b)
}

// kill takes the weights of two rows of k elements.
func (n drawn) kill(w, b *graph.Value, k int) {
	for _, c := range []int{deadOn, deadOff} {
		clear(tensor.View[float32](w.Const)[c*k:][:k])
	}
	tensor.View[float32](b.Const)[deadOn], tensor.View[float32](b.Const)[deadOff] = 0.7, -0.3
}

func (n drawn) point(x *graph.Value, out, group int, op ops.Conv) *graph.Value {
	in, _ := x.Shape[1].Value()
	k := 1
	if len(op.KernelShape) > 0 {
		k = op.KernelShape[0]
	}
	op.Group = group
	return n.Add("reader", op, x, n.weight("rw", out, in/group, k, k), n.weight("rb", out))
}

// TestDeadChannels cuts two dead channels of six, which must change nothing; the one that adds something stays where its
// reader adds another number at its borders.
func TestDeadChannels(t *testing.T) {
	three := ops.Conv{KernelShape: []int{3, 3}}
	for _, c := range []struct {
		name  string
		input []graph.Dim
		build func(n drawn, x *graph.Value) *graph.Value
		stays string // why; "": both channels go
	}{
		{"flat", picture, func(n drawn, x *graph.Value) *graph.Value {
			y := n.Add("pool", ops.MaxPool{KernelShape: []int{2, 2}}, n.relu(n.deadConv(x, 2)))
			return n.dense(n.Add("flat", ops.Flatten{Axis: 1}, y), 4)
		}, ""},
		{"unpadded", picture, func(n drawn, x *graph.Value) *graph.Value { return n.point(n.relu(n.deadConv(x, 2)), 5, 1, three) }, ""},
		{"groups", picture, func(n drawn, x *graph.Value) *graph.Value { return n.point(n.relu(n.deadConv(x, 2)), 8, 1, three) }, ""},
		{"padded", picture, func(n drawn, x *graph.Value) *graph.Value { return n.conv(n.relu(n.deadConv(x, 2)), 5, 1) }, "padding"},
		{"depthwise", picture, func(n drawn, x *graph.Value) *graph.Value {
			return n.point(n.relu(n.point(n.relu(n.deadConv(x, 1)), 6, 6, three)), 4, 1, ops.Conv{})
		}, ""},
		{"padded depthwise", picture, func(n drawn, x *graph.Value) *graph.Value {
			return n.point(n.relu(n.conv(n.relu(n.deadConv(x, 1)), 6, 6)), 4, 1, ops.Conv{})
		}, "padding"},
		{"residual", picture, func(n drawn, x *graph.Value) *graph.Value {
			y := n.Add("sum", ops.Add{}, n.relu(n.deadConv(x, 1)), n.relu(n.deadConv(x, 1)))
			return n.point(y, 4, 1, three)
		}, ""},
		{"two readers", picture, func(n drawn, x *graph.Value) *graph.Value {
			y := n.relu(n.deadConv(x, 1))
			return n.Add("both", ops.Add{}, n.point(y, 4, 1, three), n.point(y, 4, 1, three))
		}, ""},
		{"concat", picture, func(n drawn, x *graph.Value) *graph.Value {
			y := n.Add("cat", ops.Concat{Axis: 1}, n.relu(n.point(x, 4, 1, ops.Conv{})), n.relu(n.deadConv(x, 1)))
			return n.point(y, 4, 1, three)
		}, ""},
		{"transposed", picture, func(n drawn, x *graph.Value) *graph.Value {
			return n.Add("up", ops.ConvTranspose{Group: 1, Strides: []int{2, 2}}, n.relu(n.deadConv(x, 1)), n.weight("uw", 6, 4, 2, 2))
		}, "padding"},
		{"product", sequence, func(n drawn, x *graph.Value) *graph.Value {
			w, b := n.weight("dw", 6, 8), n.weight("db", 6)
			n.kill(w, b, 8)
			y := n.Add("dead", ops.MatMul{}, x, n.Const("dwt", transposed(w.Const)))
			return n.Add("m", ops.MatMul{}, n.relu(n.Add("a", ops.Add{}, y, b)), n.weight("mw", 6, 3))
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			n, x := newDrawn(3, slices.Clone(c.input)...)
			n.G.Outputs = []*graph.Value{c.build(n, x)}
			if n.Err != nil {
				t.Fatal(n.Err)
			}
			o := ChannelOptions{Width: 0.66, Include: []string{"dead"}}
			if c.stays != "" {
				o.Width = 0.8
			}
			p, err := planChannels(t.Context(), n.G, o)
			if err != nil {
				t.Fatal(err)
			}
			for i, g := range p.groups {
				if slices.Contains(g.Nodes, "dead") && p.state[i].can && (p.gone[i][deadOn] != (c.stays == "") || !p.gone[i][deadOff]) {
					t.Errorf("%q: channels that go: %v, that stay: %q", g.Name, p.gone[i], g.stays)
				}
			}
			r, err := p.cut()
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(strings.Join(r.Warnings, "\n"), c.stays) || c.stays == "" && len(r.Warnings) > 0 {
				t.Errorf("warnings: %q", r.Warnings)
			}
			sameResults(t, n.G, p.g, nil)
		})
	}
}

func transposed(t *tensor.Tensor) *tensor.Tensor {
	v, out := tensor.Floats(t), make([]float32, t.Len())
	for i, x := range v {
		out[i%t.Shape[1]*t.Shape[0]+i/t.Shape[1]] = x
	}
	return tensor.From(out, t.Shape[1], t.Shape[0])
}
