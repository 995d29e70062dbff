package ops

import (
	"fmt"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 1, Conv{}) }

// Conv is a convolution (cross-correlation): x [N,C,spatial…], w [M,C/Group,kernel…], optional bias [M] give
// [N,M,spatial…].
type Conv struct {
	AutoPad     string `attr:"auto_pad" default:"NOTSET"`
	Dilations   []int  `attr:"dilations"`
	Group       int    `attr:"group" default:"1"`
	KernelShape []int  `attr:"kernel_shape"`
	Pads        []int  `attr:"pads"`
	Strides     []int  `attr:"strides"`
}

func (c Conv) spatial(kernel []int) (spatial, error) {
	if len(c.KernelShape) != 0 && !sameInts(c.KernelShape, kernel) {
		return spatial{}, fmt.Errorf("kernel_shape %v differs from the weight's %v", c.KernelShape, kernel)
	}
	return spatial{autoPad: c.AutoPad, kernel: kernel, strides: c.Strides, dilations: c.Dilations, pads: c.Pads}, nil
}

func sameInts(a, b []int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// Window resolves the geometry for the full shapes of the input and the weight. It fails if they do not fit each
// other or the attributes.
func (c Conv) Window(x, w []int) (Window, error) {
	if len(x) < 2 || len(w) != len(x) {
		return Window{}, fmt.Errorf("input %v and weight %v: want equal ranks of at least 2", x, w)
	}
	if err := c.channels(graph.Dims(x...), graph.Dims(w...)); err != nil {
		return Window{}, err
	}
	s, err := c.spatial(w[2:])
	if err != nil {
		return Window{}, err
	}
	return s.window(x[2:])
}

// channels checks Group against what is known of the channels.
func (c Conv) channels(x, w []graph.Dim) error {
	if c.Group < 1 {
		return fmt.Errorf("group %d is not positive", c.Group)
	}
	in, inKnown := x[1].Value()
	per, perKnown := w[1].Value()
	if inKnown && perKnown && (per > maxExtent || c.Group > maxExtent || in != per*c.Group) {
		return fmt.Errorf("input has %d channels, %d groups of the weight have %d each", in, c.Group, per)
	}
	if m, ok := w[0].Value(); ok && m%c.Group != 0 {
		return fmt.Errorf("%d output channels do not divide into %d groups", m, c.Group)
	}
	return nil
}

// Infer gives [N,M,spatial…] of the input's type.
func (c Conv) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 3); err != nil {
		return nil, err
	}
	t, err := c.infer(in[0].Type, in[1].Type, in[0].DType)
	return []graph.Type{t}, err
}

// infer is the shape rule for an input and a weight, with d as the result's element type.
func (c Conv) infer(x, w graph.Type, d tensor.DType) (graph.Type, error) {
	if x.Unranked && w.Unranked {
		return graph.AnyRank(d), nil
	}
	if x.Unranked {
		x.Shape = make([]graph.Dim, len(w.Shape))
	} else if w.Unranked {
		w.Shape = make([]graph.Dim, len(x.Shape))
	}
	if len(x.Shape) < 2 || len(w.Shape) != len(x.Shape) {
		return graph.Type{}, fmt.Errorf("input of rank %d and weight of rank %d: want equal ranks of at least 2", len(x.Shape), len(w.Shape))
	}
	if err := c.channels(x.Shape, w.Shape); err != nil {
		return graph.Type{}, err
	}
	out := make([]graph.Dim, len(x.Shape))
	out[0], out[1] = x.Shape[0], w.Shape[0]
	kernel, ok := graph.FixedShape(w.Shape[2:])
	if !ok {
		if kernel = c.KernelShape; kernel == nil {
			return graph.Of(d, out...), nil
		}
	}
	s, err := c.spatial(kernel)
	if err != nil {
		return graph.Type{}, err
	}
	sp, err := s.dims(x.Shape[2:])
	copy(out[2:], sp)
	return graph.Of(d, out...), err
}

// Run accumulates in float64 and rounds once.
func (c Conv) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	win, err := c.Window(in[0].Shape, in[1].Shape)
	if err != nil {
		return err
	}
	if !in[0].IsFloat() {
		return fmt.Errorf("no convolution of %s", in[0].DType)
	}
	g := newConvShape(c.Group, win, in[0].Shape, in[1].Shape)
	sum := convolve(g, tensor.Float64s(in[0]), tensor.Float64s(in[1]))
	if b := optional(in, 2); b != nil {
		if b.Len() != g.m {
			return fmt.Errorf("bias has %d elements for %d output channels", b.Len(), g.m)
		}
		addBias(sum, tensor.Float64s(b), g)
	}
	return tensor.SetFloat64s(x.Make(out[0], in[0].DType, g.shape()...), sum)
}

// Products runs over (tap, input channel within the group).
func (c Conv) Products(w []int) Products { return convProducts(c.Group, w) }

// Quant says that input 1 is the weight with its output channels first and input 2 the bias.
func (Conv) Quant() graph.Quant { return graph.Quant{Weight: 1, Axis: 0, Out: 1, Bias: 2} }

// Weights says that each output channel has a scale.
func (Conv) Weights([]graph.Fact) []graph.Weight {
	return []graph.Weight{{Input: 1, Axes: []int{0}, Along: 1}}
}

// Cost counts one multiply-add for each output element and weight that it reads, padding included.
func (Conv) Cost(in, out []graph.Type) graph.Cost { return convCost(in[1], out[0]) }

// Twin is QLinearConv, if its bias is a constant.
func (c Conv) Twin(n *graph.Node, in []graph.Linear, out graph.Linear) (graph.Op, []*graph.Value) {
	x, w := in[0], in[1]
	if !productTypes(x, w, out) || out.Value == nil || !w.Value.IsConst() || w.Axis != 0 && w.Scale.Const.Len() != 1 {
		return nil, nil
	}
	args := slices.Concat(triple(x), triple(w), []*graph.Value{out.Scale, out.Zero})
	if len(n.In) > 2 && n.In[2] != nil {
		b := sumBias(n, in, out)
		if b == nil {
			return nil, nil
		}
		args = append(args, b)
	}
	return QLinearConv{Conv: c}, args
}

// Links ties input channels with axis 1 of the weight, output channels with its axis 0 and the bias. A depthwise
// convolution ties both; in a grouped one each channel goes together with those at its place in the other groups.
func (c Conv) Links(in, out []graph.Fact) []graph.Link {
	x, m, per, ok := convChannels(in, out, 0, 1)
	if !ok {
		return nil
	}
	g := c.Group
	switch {
	case g == 1:
		return append(tie(graph.Fixed(x), given(0, 1), given(1, 1)),
			tie(graph.Fixed(m), present(in, given(1, 0), made(0, 1), given(2, 0))...)...)
	case per == 1:
		k := m / g
		return tie(graph.Fixed(g), present(in, given(0, 1), spaced(given(1, 0), 1, k), spaced(made(0, 1), 1, k),
			spaced(given(2, 0), 1, k))...)
	}
	return append(tie(graph.Fixed(per), spaced(given(0, 1), g, 1), given(1, 1)),
		tie(graph.Fixed(m/g), present(in, spaced(given(1, 0), g, 1), spaced(made(0, 1), g, 1), spaced(given(2, 0), g, 1))...)...)
}

// Fit gives a depthwise convolution as many groups as channels are left.
func (c Conv) Fit(cut graph.Cut) (graph.Op, []*tensor.Tensor, error) {
	c.Group = depthwiseGroups(c.Group, cut, 1)
	return c, nil, nil
}

func convCost(w, out graph.Type) graph.Cost {
	ws, ok := w.Fixed()
	o, known := out.Fixed()
	if !ok || !known || len(ws) == 0 {
		return graph.Cost{}
	}
	return graph.Cost{MACs: int64(tensor.Size(o)) * int64(tensor.Size(ws[1:]))}
}

// optional gives input i, nil where it is omitted.
func optional(in []*tensor.Tensor, i int) *tensor.Tensor {
	if i >= len(in) {
		return nil
	}
	return in[i]
}

// convShape is what the loops of a convolution need: n batches, groups of c input and m/group output channels.
type convShape struct {
	Window
	n, c, m, group   int
	inSize, outSize  int // elements of one channel
	kernelSize, each int // elements of one kernel plane; output channels in a group
}

func newConvShape(group int, w Window, x, weight []int) convShape {
	return convShape{
		Window: w, n: x[0], c: weight[1], m: weight[0], group: group, each: weight[0] / group,
		inSize: tensor.Size(w.In), outSize: tensor.Size(w.Out), kernelSize: tensor.Size(w.Kernel),
	}
}

func (g convShape) shape() []int { return append([]int{g.n, g.m}, g.Out...) }

// convolve gives the sums [n,m,out…] of x [n,group*c,in…] and w [m,c,kernel…].
func convolve[T float64 | int64](g convShape, x, w []T) []T {
	out := make([]T, g.n*g.m*g.outSize)
	g.taps(func(o int, taps []cell, _ int) {
		for nm := range g.n * g.m {
			n, m := nm/g.m, nm%g.m
			xs := x[(n*g.group+m/g.each)*g.c*g.inSize:]
			ws := w[m*g.c*g.kernelSize:]
			var sum T
			for c := range g.c {
				xc, wc := xs[c*g.inSize:], ws[c*g.kernelSize:]
				for _, t := range taps {
					sum += xc[t.in] * wc[t.k]
				}
			}
			out[nm*g.outSize+o] = sum
		}
	})
	return out
}

func addBias[T float64 | int64](sum, bias []T, g convShape) {
	for i := range sum {
		sum[i] += bias[i/g.outSize%g.m]
	}
}

// depthwiseGroups is the new number of groups; axis is the weight's axis that has one position if it is depthwise.
func depthwiseGroups(group int, cut graph.Cut, axis int) int {
	if group > 1 && cut.In[1].Shape[axis].Is(1) {
		if n, ok := cut.Left(false, 0, 1); ok {
			return n
		}
	}
	return group
}

// convChannels gives the input's channels, the output's, and the sizes of a weight's axes a and b.
func convChannels(in, out []graph.Fact, a, b int) (x, m, per int, ok bool) {
	if in[0].Rank() < 2 || in[1].Rank() < 2 || out[0].Rank() < 2 {
		return 0, 0, 0, false
	}
	x, ok1 := in[0].Shape[1].Value()
	m, ok2 := out[0].Shape[1].Value()
	_, ok3 := in[1].Shape[a].Value()
	per, ok4 := in[1].Shape[b].Value()
	return x, m, per, ok1 && ok2 && ok3 && ok4
}
