package ops

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("tfsopt", 1, MaxPoolGrad{}, AveragePoolGrad{}) }

// MaxPoolGrad is the gradient of MaxPool, whose attributes it has: dy and x [N,C,spatial…] give dx of x's shape. Each
// element of dy goes to the element of its window that MaxPool picks, which is the first of equal ones.
type MaxPoolGrad MaxPool

// AveragePoolGrad is the gradient of AveragePool, whose attributes it has: dy gives dx of shape XShape. Each element of
// dy is spread evenly over its window; what falls on padding is lost.
type AveragePoolGrad struct {
	AutoPad         string `attr:"auto_pad" default:"NOTSET"`
	CeilMode        bool   `attr:"ceil_mode"`
	CountIncludePad bool   `attr:"count_include_pad"`
	Dilations       []int  `attr:"dilations"`
	KernelShape     []int  `attr:"kernel_shape" required:"true"`
	Pads            []int  `attr:"pads"`
	Strides         []int  `attr:"strides"`
	XShape          []int  `attr:"x_shape" required:"true"`
}

func (p AveragePoolGrad) spatial() spatial {
	return spatial{p.AutoPad, p.KernelShape, p.Strides, p.Dilations, p.Pads, p.CeilMode}
}

// Window resolves the geometry of the pooling for the full shape of x.
func (p MaxPoolGrad) Window(x []int) (Window, error) { return MaxPool(p).Window(x) }

// Window resolves the geometry of the pooling.
func (p AveragePoolGrad) Window() (Window, error) { return p.spatial().pool(p.XShape) }

// Infer gives x's type.
func (p MaxPoolGrad) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 2); err != nil {
		return nil, err
	}
	if _, err := MaxPool(p).Infer(in[1:], 1); err != nil {
		return nil, err
	}
	return []graph.Type{in[1].Type}, nil
}

// Infer gives XShape.
func (p AveragePoolGrad) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 1, 1); err != nil {
		return nil, err
	}
	if _, err := p.Window(); err != nil {
		return nil, err
	}
	return []graph.Type{graph.Of(in[0].DType, graph.Dims(p.XShape...)...)}, nil
}

// Run adds in float64 and rounds once.
func (p MaxPoolGrad) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	w, err := p.Window(in[1].Shape)
	if err != nil {
		return err
	}
	if err := w.fits(in[0], in[1].Shape); err != nil {
		return err
	}
	v := tensor.Float64s(in[1])
	if !in[1].IsFloat() {
		return fmt.Errorf("no gradient for %s", in[1].DType)
	}
	at, err := w.largest(v)
	if err != nil {
		return err
	}
	dx := make([]float64, len(v))
	for i, dy := range tensor.Float64s(in[0]) {
		dx[at[i]] += dy
	}
	return tensor.SetFloat64s(x.Make(out[0], in[0].DType, in[1].Shape...), dx)
}

// Run adds in float64 and rounds once.
func (p AveragePoolGrad) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	w, err := p.Window()
	if err != nil {
		return err
	}
	if err := w.fits(in[0], p.XShape); err != nil {
		return err
	}
	if err := checkSize(tensor.Float64, p.XShape); err != nil {
		return err
	}
	dy, dx := tensor.Float64s(in[0]), make([]float64, tensor.Size(p.XShape))
	inSize, outSize := tensor.Size(w.In), tensor.Size(w.Out)
	w.taps(func(o int, taps []cell, padded int) {
		n := len(taps)
		if p.CountIncludePad {
			n = padded
		}
		for nc := range len(dy) / max(outSize, 1) {
			part := dy[nc*outSize+o] / float64(max(n, 1))
			for _, t := range taps {
				dx[nc*inSize+t.in] += part
			}
		}
	})
	return tensor.SetFloat64s(x.Make(out[0], in[0].DType, p.XShape...), dx)
}

// fits checks that dy is a float tensor of the shape that w makes of x.
func (w Window) fits(dy *tensor.Tensor, x []int) error {
	if want := append(append([]int{}, x[:2]...), w.Out...); !sameInts(dy.Shape, want) || !dy.IsFloat() {
		return fmt.Errorf("gradient %s%v: want floats of shape %v", dy.DType, dy.Shape, want)
	}
	return nil
}

// Cost counts one comparison for each element of a window.
func (p MaxPoolGrad) Cost(in, _ []graph.Type) graph.Cost { return poolCost(p.KernelShape, in[0]) }

// Cost counts one addition for each element of a window.
func (p AveragePoolGrad) Cost(in, _ []graph.Type) graph.Cost { return poolCost(p.KernelShape, in[0]) }

// Grad gives each element of the gradient to the one that the window picked.
func (p MaxPool) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil {
		return none(n)
	}
	return to(n, gradient(b, n).node(MaxPoolGrad(p), dOut[0], n.In[0]))
}

// Grad spreads each element of the gradient over its window.
func (p AveragePool) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil {
		return none(n)
	}
	f := gradient(b, n)
	return to(n, f.node(AveragePoolGrad{
		AutoPad: p.AutoPad, CeilMode: p.CeilMode, CountIncludePad: p.CountIncludePad, Dilations: p.Dilations,
		KernelShape: p.KernelShape, Pads: p.Pads, Strides: p.Strides, XShape: f.shape(n.In[0]),
	}, dOut[0]))
}

// Grad gives |x|^(P-1)·sign(x) times the sum, over the windows that hold x, of dy·y^(1-P).
func (p LpPool) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil {
		return none(n)
	}
	f, x := gradient(b, n), n.In[0]
	shape := f.shape(x)
	if b.Err != nil {
		return none(n)
	}
	w, err := p.Window(shape)
	if err != nil {
		return fail(b, n, "%w", err)
	}
	pads, extra := w.adjoint()
	ones := f.ones(x, append([]int{shape[1], 1}, w.Kernel...))
	spread := f.node(ConvTranspose{
		AutoPad: "NOTSET", Dilations: w.Dilations, Group: shape[1], KernelShape: w.Kernel, OutputPadding: extra, Pads: pads,
		Strides: w.Strides,
	}, f.byNorm(dOut[0], n.Out[0], p.P), ones)
	return to(n, f.mul(f.ofPower(x, p.P), spread))
}

// Grad spreads the gradient evenly over the spatial dimensions.
func (GlobalAveragePool) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil {
		return none(n)
	}
	f := gradient(b, n)
	shape := f.shape(n.In[0])
	if b.Err != nil {
		return none(n)
	}
	part := f.scale(dOut[0], 1/float64(max(tensor.Size(shape[2:]), 1)))
	return to(n, f.node(Expand{}, part, f.ints(shape...)))
}

// Grad gives the gradient to the first largest element.
func (GlobalMaxPool) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil {
		return none(n)
	}
	f := gradient(b, n)
	shape := f.shape(n.In[0])
	if b.Err != nil {
		return none(n)
	}
	if len(shape) == 2 {
		return to(n, dOut[0])
	}
	return to(n, f.node(MaxPoolGrad{AutoPad: "NOTSET", KernelShape: shape[2:]}, dOut[0], n.In[0]))
}

// Grad gives dy·y^(1-P)·|x|^(P-1)·sign(x).
func (p GlobalLpPool) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil {
		return none(n)
	}
	f := gradient(b, n)
	return to(n, f.mul(f.ofPower(n.In[0], p.P), f.byNorm(dOut[0], n.Out[0], p.P)))
}

// byNorm is dy·y^(1-p) for norms y of order p, and 0 where y is 0.
func (f formula) byNorm(dy, y *graph.Value, p int) *graph.Value {
	if p == 1 {
		return dy
	}
	power := y
	if p > 2 {
		power = f.node(Pow{}, y, f.num(y, float64(p-1)))
	}
	zero := f.num(y, 0)
	return f.node(Where{}, f.node(Equal{}, y, zero), zero, f.div(dy, power))
}

// ofPower is |x|^(p-1)·sign(x).
func (f formula) ofPower(x *graph.Value, p int) *graph.Value {
	switch {
	case p == 1:
		return f.node(Sign{}, x)
	case p == 2:
		return x
	case p%2 == 0:
		return f.node(Pow{}, x, f.num(x, float64(p-1)))
	}
	return f.mul(f.node(Sign{}, x), f.node(Pow{}, x, f.num(x, float64(p-1))))
}

// ones is a constant of ones of the element type of `like`.
func (f formula) ones(like *graph.Value, shape []int) *graph.Value {
	v := make([]float64, tensor.Size(shape))
	for i := range v {
		v[i] = 1
	}
	t := tensor.New(like.DType, shape...)
	if err := tensor.SetFloat64s(t, v); err != nil && f.b.Err == nil {
		f.b.Err = fmt.Errorf("%s: %w", f.name, err)
	}
	return f.b.Const(f.name+"_ones", t)
}
