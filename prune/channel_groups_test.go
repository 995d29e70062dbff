package prune

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// drawn builds graphs with random weights.
type drawn struct {
	*graph.Builder
	*rand.Rand
}

func newDrawn(seed uint64, shape ...graph.Dim) (drawn, *graph.Value) {
	x := graph.NewInput("x", graph.Of(tensor.Float32, shape...))
	g := &graph.Graph{Name: "net", Inputs: []*graph.Value{x}, Opsets: map[string]int{"": 18}}
	return drawn{graph.NewBuilder(g), rand.New(rand.NewPCG(seed, 1))}, x
}

func (n drawn) weight(name string, shape ...int) *graph.Value {
	v := make([]float32, tensor.Size(shape))
	for i := range v {
		v[i] = float32(n.NormFloat64())
	}
	return n.Const(name, tensor.From(v, shape...))
}

func (n drawn) ints(v ...int64) *graph.Value { return n.Const("ints", tensor.From(v, len(v))) }

// conv is a convolution with a kernel of 3 and a bias, named c and numbered.
func (n drawn) conv(x *graph.Value, out int, group int) *graph.Value {
	in, _ := x.Shape[1].Value()
	return n.Add("c", ops.Conv{Group: group, KernelShape: []int{3, 3}, Pads: []int{1, 1, 1, 1}}, x,
		n.weight("cw", out, in/group, 3, 3), n.weight("cb", out))
}

func (n drawn) dense(x *graph.Value, out int) *graph.Value {
	in, _ := x.Shape[len(x.Shape)-1].Value()
	y := n.Add("m", ops.MatMul{}, x, n.weight("mw", in, out))
	return n.Add("a", ops.Add{}, y, n.weight("mb", out))
}

func (n drawn) reshape(x *graph.Value, shape ...int64) *graph.Value {
	return n.Add("r", ops.Reshape{}, x, n.ints(shape...))
}

func (n drawn) transpose(x *graph.Value, perm ...int) *graph.Value {
	return n.Add("t", ops.Transpose{Perm: perm}, x)
}

func (n drawn) relu(x *graph.Value) *graph.Value { return n.Add("relu", ops.Relu{}, x) }

// heads is attention of 3 heads of size 4 over x [N,5,12].
func (n drawn) heads(q, k, v *graph.Value) *graph.Value {
	split := func(x *graph.Value, perm ...int) *graph.Value { return n.transpose(n.reshape(x, 0, 0, 3, 4), perm...) }
	p := n.Add("p", ops.Softmax{Axis: -1}, n.Add("qk", ops.MatMul{}, split(q, 0, 2, 1, 3), split(k, 0, 2, 3, 1)))
	o := n.Add("pv", ops.MatMul{}, p, split(v, 0, 2, 1, 3))
	return n.reshape(n.transpose(o, 0, 2, 1, 3), 0, 0, 12)
}

var (
	picture  = []graph.Dim{graph.Named("N"), graph.Fixed(3), graph.Fixed(4), graph.Fixed(4)}
	sequence = []graph.Dim{graph.Named("N"), graph.Fixed(5), graph.Fixed(8)}
)

// groupCases: a model, and what is expected of its groups: the number of channels by the name of the first node, and a
// part of the reason where they must stay.
var groupCases = []struct {
	name   string
	input  []graph.Dim
	build  func(n drawn, x *graph.Value) *graph.Value
	free   map[string]int
	reason map[string]string
}{
	{"chain", picture, func(n drawn, x *graph.Value) *graph.Value {
		return n.conv(n.relu(n.conv(x, 6, 1)), 4, 1)
	}, map[string]int{"c": 6}, map[string]string{"c_1": `output "c_out_1" of the model has them`}},
	{"residual", picture, func(n drawn, x *graph.Value) *graph.Value {
		a := n.relu(n.conv(x, 6, 1))
		b := n.conv(n.relu(n.conv(a, 5, 1)), 6, 1)
		return n.conv(n.relu(n.Add("sum", ops.Add{}, a, b)), 2, 1)
	}, map[string]int{"c": 6, "c_1": 5}, map[string]string{"c_3": "output"}},
	{"residual of the input", picture, func(n drawn, x *graph.Value) *graph.Value {
		return n.conv(n.Add("sum", ops.Add{}, n.conv(n.conv(x, 4, 1), 3, 1), x), 2, 1)
	}, map[string]int{"c": 4}, map[string]string{"c_1": `input "x" of the model`}},
	{"concat", picture, func(n drawn, x *graph.Value) *graph.Value {
		return n.conv(n.Add("cat", ops.Concat{Axis: 1}, n.conv(x, 4, 1), x, n.relu(n.conv(x, 5, 1))), 2, 1)
	}, map[string]int{"c": 4, "c_1": 5}, nil},
	{"depthwise", picture, func(n drawn, x *graph.Value) *graph.Value {
		return n.conv(n.conv(n.conv(x, 6, 1), 12, 6), 2, 1)
	}, map[string]int{"c": 6}, nil},
	{"grouped", picture, func(n drawn, x *graph.Value) *graph.Value {
		return n.conv(n.conv(n.conv(x, 6, 1), 8, 2), 2, 1)
	}, map[string]int{"c": 3, "c_1": 4}, nil},
	{"shuffle", picture, func(n drawn, x *graph.Value) *graph.Value {
		y := n.reshape(n.conv(x, 6, 1), 0, 2, 3, 4, 4)
		return n.conv(n.reshape(n.transpose(y, 0, 2, 1, 3, 4), 0, 6, 4, 4), 2, 1)
	}, map[string]int{"c": 2}, nil},
	{"norms", picture, func(n drawn, x *graph.Value) *graph.Value {
		y := n.Add("bn", ops.BatchNormalization{Epsilon: 1e-3}, n.conv(x, 6, 1), n.weight("s", 6), n.weight("b", 6),
			n.weight("mean", 6), n.Const("var", tensor.From([]float32{1, 2, 3, 4, 5, 6}, 6)))
		y = n.Add("in", ops.InstanceNormalization{Epsilon: 1e-3}, n.relu(y), n.weight("is", 6), n.weight("ib", 6))
		return n.conv(n.Add("prelu", ops.PRelu{}, y, n.weight("slope", 6, 1, 1)), 2, 1)
	}, map[string]int{"c": 6}, nil},
	{"group norm", picture, func(n drawn, x *graph.Value) *graph.Value {
		return n.conv(n.Add("gn", ops.GroupNormalization{Epsilon: 1e-3, NumGroups: 2, StashType: 1}, n.conv(n.conv(x, 4, 1), 6, 1),
			n.weight("s", 6), n.weight("b", 6)), 2, 1)
	}, map[string]int{"c": 4}, map[string]string{"c_1": "mean and variance over groups"}},
	{"squeeze and excite", picture, func(n drawn, x *graph.Value) *graph.Value {
		y := n.conv(x, 6, 1)
		s := n.conv(n.relu(n.conv(n.Add("gap", ops.GlobalAveragePool{}, y), 3, 1)), 6, 1)
		return n.conv(n.Add("mul", ops.Mul{}, y, n.Add("sig", ops.Sigmoid{}, s)), 2, 1)
	}, map[string]int{"c": 6, "c_1": 3}, nil},
	{"pools, pads and sizes", picture, func(n drawn, x *graph.Value) *graph.Value {
		y := n.Add("pool", ops.MaxPool{KernelShape: []int{2, 2}, Strides: []int{2, 2}}, n.conv(x, 6, 1))
		y = n.Add("pad", ops.Pad{Mode: "constant"}, y, n.ints(0, 0, 1, 1, 0, 0, 1, 1))
		y = n.Add("up", ops.Resize{Mode: "nearest", CoordinateTransformationMode: "asymmetric", NearestMode: "floor", KeepAspectRatioPolicy: "stretch", Axes: []int{1, 2, 3}},
			y, nil, nil, n.ints(6, 8, 8))
		return n.conv(n.Add("clip", ops.Clip{}, y, nil, n.Const("most", tensor.Scalar[float32](1))), 2, 1)
	}, map[string]int{"c": 6}, nil},
	{"flatten", picture, func(n drawn, x *graph.Value) *graph.Value {
		return n.dense(n.Add("flat", ops.Flatten{Axis: 1}, n.conv(x, 6, 1)), 3)
	}, map[string]int{"c": 6}, map[string]string{"m": "output"}},
	{"flatten channels last", picture, func(n drawn, x *graph.Value) *graph.Value {
		return n.dense(n.relu(n.dense(n.reshape(n.transpose(n.conv(x, 6, 1), 0, 2, 3, 1), -1, 96), 7)), 3)
	}, map[string]int{"c": 6, "m": 7}, nil},
	{"split", picture, func(n drawn, x *graph.Value) *graph.Value {
		p := n.AddN("split", 2, ops.Split{Axis: 1}, n.conv(x, 8, 1))
		return n.Add("sum", ops.Add{}, n.conv(p[0], 2, 1), n.conv(p[1], 2, 1))
	}, map[string]int{"c": 4, "c#2": 4}, nil},
	{"gated halves", picture, func(n drawn, x *graph.Value) *graph.Value {
		y := n.conv(x, 8, 1)
		part := func(from, to int64) *graph.Value {
			return n.Add("slice", ops.Slice{}, y, n.ints(from), n.ints(to), n.ints(1))
		}
		return n.conv(n.Add("mul", ops.Mul{}, part(0, 4), n.Add("sig", ops.Sigmoid{}, part(-4, 99))), 2, 1)
	}, map[string]int{"c": 4}, nil},
	{"transposed convolution", picture, func(n drawn, x *graph.Value) *graph.Value {
		y := n.Add("up", ops.ConvTranspose{Group: 1, Strides: []int{2, 2}}, n.conv(x, 6, 1), n.weight("uw", 6, 5, 2, 2), n.weight("ub", 5))
		return n.conv(n.Add("s2d", ops.SpaceToDepth{BlockSize: 2, Mode: "DCR"}, y), 2, 1)
	}, map[string]int{"c": 6, "up": 5}, nil},
	{"softmax over channels", picture, func(n drawn, x *graph.Value) *graph.Value {
		return n.conv(n.Add("soft", ops.Softmax{Axis: 1}, n.conv(n.conv(x, 4, 1), 6, 1)), 2, 1)
	}, map[string]int{"c": 4}, map[string]string{"c_1": `node "soft" (Softmax): it is a softmax over them`}},
	{"sum over channels", picture, func(n drawn, x *graph.Value) *graph.Value {
		return n.Add("sum", ops.ReduceSum{Keepdims: true}, n.conv(n.conv(x, 4, 1), 6, 1), n.ints(1))
	}, map[string]int{"c": 4}, map[string]string{"c_1": `node "sum" (ReduceSum): it reduces them`}},
	{"unknown operator", picture, func(n drawn, x *graph.Value) *graph.Value {
		return n.conv(n.Add("cum", ops.CumSum{}, n.conv(n.conv(x, 4, 1), 6, 1), n.Const("axis", tensor.Scalar[int64](2))), 2, 1)
	}, map[string]int{"c": 4}, map[string]string{"c_1": `node "cum" (CumSum) does not say`}},
	{"one weight for two", picture, func(n drawn, x *graph.Value) *graph.Value {
		w := n.weight("w", 5, 5, 3, 3)
		op := ops.Conv{Group: 1, Pads: []int{1, 1, 1, 1}}
		return n.conv(n.Add("d", op, n.Add("d", op, n.conv(x, 5, 1), w), w), 2, 1)
	}, map[string]int{"c": 5}, nil},
	{"one bias for two", picture, func(n drawn, x *graph.Value) *graph.Value {
		y := n.conv(n.conv(x, 5, 1), 5, 1)
		y.Def.In[2] = y.Def.In[0].Def.In[2]
		return n.conv(y, 2, 1)
	}, map[string]int{"c": 5, "c_1": 5}, nil},
	{"attention", sequence, func(n drawn, x *graph.Value) *graph.Value {
		return n.dense(n.heads(n.dense(x, 12), n.dense(x, 12), n.dense(x, 12)), 8)
	}, map[string]int{"m": 3}, map[string]string{"m_3": "output"}},
	{"attention of one product", sequence, func(n drawn, x *graph.Value) *graph.Value {
		y := n.transpose(n.reshape(n.dense(x, 36), 0, 0, 3, 3, 4), 2, 0, 3, 1, 4)
		part := func(i int64) *graph.Value {
			return n.Add("g", ops.Gather{Axis: 0}, y, n.Const("i", tensor.Scalar(i)))
		}
		p := n.Add("p", ops.Softmax{Axis: -1}, n.Add("qk", ops.Einsum{Equation: "bhid,bhjd->bhij"}, part(0), part(1)))
		o := n.Add("pv", ops.MatMul{}, p, part(2))
		return n.dense(n.reshape(n.transpose(o, 0, 2, 1, 3), 0, 0, 12), 8)
	}, map[string]int{"m": 3}, nil},
	{"transformer", sequence, func(n drawn, x *graph.Value) *graph.Value {
		norm := func(x *graph.Value) *graph.Value {
			return n.Add("ln", ops.LayerNormalization{Axis: -1, Epsilon: 1e-5, StashType: 1}, x, n.weight("s", 8), n.weight("b", 8))
		}
		y := norm(n.dense(x, 8))
		y = norm(n.Add("s", ops.Add{}, y, n.dense(n.heads(n.dense(y, 12), n.dense(y, 12), n.dense(y, 12)), 8)))
		return norm(n.Add("s", ops.Add{}, y, n.dense(n.Add("gelu", ops.Gelu{Approximate: "none"}, n.dense(y, 16)), 8)))
	}, map[string]int{"m_1": 3, "m_5": 16}, map[string]string{"m": "of the model"}},
	{"recurrent", sequence, func(n drawn, x *graph.Value) *graph.Value {
		y := n.transpose(n.dense(x, 6), 1, 0, 2)
		return n.AddN("lstm", 1, lstm, y, n.weight("w", 1, 8, 6), n.weight("r", 1, 8, 2))[0]
	}, map[string]int{"m": 6}, nil},
	{"frames", sequence, func(n drawn, x *graph.Value) *graph.Value {
		y := n.dense(n.relu(n.dense(x, 6)), 8)           // [N,5,8]
		y = n.reshape(n.transpose(y, 0, 2, 1), 0, 4, 10) // pairs of channels, one after the other; the pairs leave the model
		return n.dense(y, 3)
	}, map[string]int{"m": 6, "m_1": 2}, nil},
	{"one-hot", []graph.Dim{graph.Named("N"), graph.Fixed(1)}, func(n drawn, x *graph.Value) *graph.Value {
		hot := n.Add("eq", ops.Equal{}, x, n.Const("range", tensor.From([]float32{0, 1, 2}, 3)))
		return n.dense(n.relu(n.dense(n.Add("cast", ops.Cast{To: int(tensor.Float32)}, hot), 6)), 2)
	}, map[string]int{"m": 6}, map[string]string{"range": "no weight makes them"}},
	{"embedding", []graph.Dim{graph.Named("N"), graph.Fixed(8)}, func(n drawn, x *graph.Value) *graph.Value {
		at := n.Add("arg", ops.Cast{To: int(tensor.Int64)}, n.Add("clip", ops.Clip{}, x, n.Const("lo", tensor.Scalar[float32](0)), n.Const("hi", tensor.Scalar[float32](3))))
		return n.dense(n.Add("emb", ops.Gather{Axis: 0}, n.weight("table", 4, 6), at), 3)
	}, map[string]int{"table": 6}, nil},
}

var lstm = func() ops.LSTM {
	o, err := graph.NewOp("", "LSTM", []graph.Attr{{Name: "hidden_size", Value: int64(2)}})
	if err != nil {
		panic(err)
	}
	return o.(ops.LSTM)
}()

func TestChannelGroups(t *testing.T) {
	for _, c := range groupCases {
		t.Run(c.name, func(t *testing.T) {
			n, x := newDrawn(11, slices.Clone(c.input)...)
			y := c.build(n, x)
			if n.Err != nil {
				t.Fatal(n.Err)
			}
			n.G.Outputs = []*graph.Value{y}
			g := n.G.Clone()
			unshare(g)
			groups, err := Groups(g)
			if err != nil {
				t.Fatal(err)
			}
			free := map[string]int{}
			for _, g := range groups {
				if g.Reason == "" {
					free[g.Name] = g.Channels
				} else if want := c.reason[g.Name]; !strings.Contains(g.Reason, want) {
					t.Errorf("%q must stay because %s, want %q", g.Name, g.Reason, want)
				}
			}
			for name, n := range c.free {
				if free[name] != n {
					t.Errorf("group %q has %d channels, want %d", name, free[name], n)
				}
			}
			if len(free) != len(c.free) {
				t.Errorf("free groups are %v, want %v", free, c.free)
			}
			for name := range c.reason {
				if !slices.ContainsFunc(groups, func(g *Group) bool { return g.Name == name && g.Reason != "" }) {
					t.Errorf("%q is not said to stay", name)
				}
			}
			for _, o := range []ChannelOptions{
				{TargetBytes: storedBytes(n.G) * 3 / 4, Multiple: 1, AsIs: true},
				{TargetBytes: storedBytes(n.G) * 3 / 4, Multiple: 1, Scope: "layer"},
				{TargetBytes: storedBytes(n.G) * 9 / 10, Multiple: 1, Criterion: "random", Seed: 3},
			} {
				checkChannels(t, n.G, o)
			}
		})
	}
}

// TestRandomChannels cuts channels of random networks.
func TestRandomChannels(t *testing.T) {
	const nets = 150
	cut := 0
	for seed := range uint64(nets) {
		g := randomNet(t, seed)
		for _, o := range []ChannelOptions{{Sparsity: 0.3, Criterion: "random", Seed: seed, Multiple: 1, AsIs: seed%2 == 0}, {Sparsity: 0.5, Multiple: 2}} {
			_, err := planChannels(context.Background(), g, o)
			if err == nil {
				checkChannels(t, g, o)
				cut++
			} else if text := err.Error(); !strings.Contains(text, "can be cut") {
				t.Errorf("net %d: %v", seed, err)
			}
			if t.Failed() {
				t.Fatalf("net %d, %+v:\n%s", seed, o, g)
			}
		}
	}
	if cut < nets {
		t.Errorf("only %d of %d cuts were possible", cut, 2*nets)
	}
}

func randomNet(t *testing.T, seed uint64) *graph.Graph {
	n, x := newDrawn(seed, slices.Clone(picture)...)
	values := []*graph.Value{n.conv(x, 4+2*n.IntN(3), 1)}
	for range 3 + n.IntN(8) {
		v := values[max(0, len(values)-1-n.IntN(3))]
		values = append(values, n.randomNode(v, values))
	}
	n.G.Outputs = []*graph.Value{n.dense(n.Add("flat", ops.Flatten{Axis: 1}, values[len(values)-1]), 3)}
	if n.Err != nil {
		t.Fatalf("net %d: %v", seed, n.Err)
	}
	// The branches that lead nowhere go with the passes; without those they must not disturb.
	return n.G
}

// randomNode keeps pictures of 4 by 4.
func (n drawn) randomNode(v *graph.Value, all []*graph.Value) *graph.Value {
	c, _ := v.Shape[1].Value()
	switch n.IntN(12) {
	case 0, 1:
		return n.conv(v, 2+2*n.IntN(4), 1)
	case 2:
		return n.conv(v, c*(1+n.IntN(2)), c)
	case 3:
		return n.conv(v, 4, 2)
	case 4, 5:
		if i := slices.IndexFunc(all, func(w *graph.Value) bool { return w != v && w.Shape[1] == v.Shape[1] }); i >= 0 {
			return n.Add("sum", ops.Add{}, v, all[i])
		}
		return n.Add("sum", ops.Add{}, v, n.conv(v, c, 1))
	case 6:
		return n.Add("cat", ops.Concat{Axis: 1}, v, all[n.IntN(len(all))])
	case 7:
		p := n.AddN("split", 2, ops.Split{Axis: 1}, v, n.ints(int64(c/2), int64(c-c/2)))
		return n.Add("cat", ops.Concat{Axis: 1}, p[1], n.relu(p[0]))
	case 8:
		order := make([]int64, c)
		for i, j := range n.Perm(c) {
			order[i] = int64(j)
		}
		return n.Add("gather", ops.Gather{Axis: 1}, v, n.ints(order...))
	case 9:
		flat := n.transpose(n.reshape(n.transpose(v, 0, 2, 3, 1), 0, 16, int64(c)), 0, 2, 1)
		return n.reshape(flat, 0, 0, 4, 4)
	case 10:
		return n.Add("mul", ops.Mul{}, v, n.weight("scale", 1, c, 1, 1))
	}
	return n.Add("hs", ops.HardSwish{}, v)
}
