package ops

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("tfsopt", 1, ConvWeightGrad{}) }

// ConvWeightGrad is the gradient of Conv by its weight: x [N,C,spatial…] and dy [N,M,out…] give [M,C/Group,kernel…],
//
//	dw[m,c,k] = Σ over n and o of dy[n,m,o] · x[n,c,o·stride - begin + k·dilation]
//
// where what lies outside of x is zero. The attributes are those of the Conv.
type ConvWeightGrad struct {
	AutoPad     string `attr:"auto_pad" default:"NOTSET"`
	Dilations   []int  `attr:"dilations"`
	Group       int    `attr:"group" default:"1"`
	KernelShape []int  `attr:"kernel_shape" required:"true"`
	Pads        []int  `attr:"pads"`
	Strides     []int  `attr:"strides"`
}

// Window resolves the geometry of the convolution for the full shapes of x and dy. It fails if they do not fit each
// other or the attributes.
func (c ConvWeightGrad) Window(x, dy []int) (Window, error) {
	if len(x) < 2 || len(x) != len(dy) {
		return Window{}, fmt.Errorf("input %v and gradient %v: want equal ranks of at least 2", x, dy)
	}
	if err := c.channels(graph.Dims(x...), graph.Dims(dy...)); err != nil {
		return Window{}, err
	}
	w, err := Conv(c).Window(x, append([]int{dy[1], x[1] / c.Group}, c.KernelShape...))
	if err != nil {
		return Window{}, err
	}
	if want := append([]int{x[0], dy[1]}, w.Out...); !sameInts(want, dy) {
		return Window{}, fmt.Errorf("gradient %v of a result %v", dy, want)
	}
	return w, nil
}

func (c ConvWeightGrad) channels(x, dy []graph.Dim) error {
	if c.Group < 1 || c.Group > maxExtent {
		return fmt.Errorf("group %d is out of range", c.Group)
	}
	for i, d := range []graph.Dim{x[1], dy[1]} {
		if n, ok := d.Value(); ok && n%c.Group != 0 {
			return fmt.Errorf("input %d: %d channels do not divide into %d groups", i, n, c.Group)
		}
	}
	return nil
}

// Infer gives [M,C/Group,kernel…].
func (c ConvWeightGrad) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 2); err != nil {
		return nil, err
	}
	s := [2][]graph.Dim{in[0].Shape, in[1].Shape}
	for i := range s {
		if in[i].Unranked {
			s[i] = make([]graph.Dim, len(c.KernelShape)+2)
		}
		if len(s[i]) != len(c.KernelShape)+2 {
			return nil, fmt.Errorf("input %d: rank %d, the kernel has %d dimensions", i, len(s[i]), len(c.KernelShape))
		}
	}
	if err := c.channels(s[0], s[1]); err != nil {
		return nil, err
	}
	out := append([]graph.Dim{s[1][1], s[0][1].Div(graph.Fixed(c.Group))}, graph.Dims(c.KernelShape...)...)
	return []graph.Type{graph.Of(in[0].DType, out...)}, nil
}

// Run accumulates in float64 and rounds once.
func (c ConvWeightGrad) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	win, err := c.Window(in[0].Shape, in[1].Shape)
	if err != nil {
		return err
	}
	if !in[0].IsFloat() || !in[1].IsFloat() {
		return fmt.Errorf("no convolution of %s and %s", in[0].DType, in[1].DType)
	}
	weight := append([]int{in[1].Shape[1], in[0].Shape[1] / c.Group}, c.KernelShape...)
	if err := checkSize(tensor.Float64, weight); err != nil {
		return err
	}
	g := newConvShape(c.Group, win, in[0].Shape, weight)
	xs, dys := tensor.Float64s(in[0]), tensor.Float64s(in[1])
	sum := make([]float64, tensor.Size(weight))
	g.taps(func(o int, taps []cell, _ int) {
		for nm := range g.n * g.m {
			n, m := nm/g.m, nm%g.m
			x := xs[(n*g.group+m/g.each)*g.c*g.inSize:]
			dy := dys[nm*g.outSize+o]
			for c := range g.c {
				xc, dw := x[c*g.inSize:], sum[(m*g.c+c)*g.kernelSize:]
				for _, t := range taps {
					dw[t.k] += xc[t.in] * dy
				}
			}
		}
	})
	return tensor.SetFloat64s(x.Make(out[0], in[0].DType, weight...), sum)
}

// Cost counts one multiply-add for each element of dy and weight that it meets, padding included.
func (ConvWeightGrad) Cost(in, out []graph.Type) graph.Cost { return convCost(out[0], in[1]) }

// Grad gives the gradients of input, weight and bias: a ConvTranspose, a ConvWeightGrad and a sum.
func (c Conv) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil {
		return none(n)
	}
	f, dy := gradient(b, n), dOut[0]
	x, w := f.shape(n.In[0]), f.shape(n.In[1])
	if b.Err != nil {
		return none(n)
	}
	win, err := c.Window(x, w)
	if err != nil {
		return fail(b, n, "%w", err)
	}
	pads, extra := win.adjoint()
	d := none(n)
	d[0] = f.node(ConvTranspose{
		AutoPad: "NOTSET", Dilations: win.Dilations, Group: c.Group, KernelShape: win.Kernel, OutputPadding: extra, Pads: pads,
		Strides: win.Strides,
	}, dy, n.In[1])
	d[1] = f.node(ConvWeightGrad{
		AutoPad: "NOTSET", Dilations: win.Dilations, Group: c.Group, KernelShape: win.Kernel,
		Pads: append(append([]int{}, win.Begin...), win.End...), Strides: win.Strides,
	}, n.In[0], dy)
	if len(n.In) > 2 && n.In[2] != nil {
		d[2] = f.sumChannels(dy)
	}
	return d
}

// sumChannels adds up v [N,C,spatial…] over all but the channels.
func (f formula) sumChannels(v *graph.Value) *graph.Value {
	axes := []int{0}
	for i := 2; i < len(f.shape(v)); i++ {
		axes = append(axes, i)
	}
	return f.sum(v, false, axes...)
}

// reach is one more than the last position along dimension i, counted from the first element of the input, at which a
// window has a tap.
func (w Window) reach(i int) int {
	return (w.Out[i]-1)*w.Strides[i] - w.Begin[i] + (w.Kernel[i]-1)*w.Dilations[i] + 1
}

// adjoint gives the pads and the output_padding with which a ConvTranspose of the windows' results has In elements.
func (w Window) adjoint() (pads, extra []int) {
	n := len(w.In)
	pads, extra = append(append([]int{}, w.Begin...), make([]int, n)...), make([]int, n)
	for i, size := range w.In {
		over := w.reach(i) - size
		pads[n+i], extra[i] = max(over, 0), max(-over, 0)
	}
	return pads, extra
}

// Grad gives the gradients of input, weight and bias: a Conv, a ConvWeightGrad whose parts are exchanged and a sum.
func (c ConvTranspose) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil {
		return none(n)
	}
	f, dy := gradient(b, n), dOut[0]
	x, w := f.shape(n.In[0]), f.shape(n.In[1])
	if b.Err != nil {
		return none(n)
	}
	win, err := c.Window(x, w)
	if err != nil {
		return fail(b, n, "%w", err)
	}
	d := none(n)
	if len(n.In) > 2 && n.In[2] != nil {
		d[2] = f.sumChannels(dy)
	}
	win.In, win.Out = win.Out, win.In
	pads := append(append([]int{}, win.Begin...), win.End...)
	var axes, ends []int
	for i, size := range win.In {
		over := win.reach(i) - size
		pads[len(win.In)+i] = max(over, 0)
		if -over < win.Strides[i] {
			continue // else the convolution has a window more than x
		}
		if win.reach(i) < 1 {
			return fail(b, n, "padding %v leaves nothing of spatial dimension %d", pads, i)
		}
		axes, ends = append(axes, i+2), append(ends, win.reach(i))
	}
	if len(axes) > 0 {
		dy = f.node(Slice{}, dy, f.ints(make([]int, len(axes))...), f.ints(ends...), f.ints(axes...))
	}
	conv := Conv{AutoPad: "NOTSET", Dilations: win.Dilations, Group: c.Group, KernelShape: win.Kernel, Pads: pads, Strides: win.Strides}
	d[0] = f.node(conv, dy, n.In[1])
	d[1] = f.node(ConvWeightGrad(conv), dy, n.In[0])
	return d
}
