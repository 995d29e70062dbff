package ops

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 1, ConvTranspose{}) }

// ConvTranspose is the adjoint of Conv in its input: x [N,C,spatial…], w [C,M/Group,kernel…], optional bias [M] give
// [N,M,spatial…] with Strides·(in-1) + OutputPadding + extent - pads elements in each dimension, or OutputShape, from
// which the padding then follows.
type ConvTranspose struct {
	AutoPad       string `attr:"auto_pad" default:"NOTSET"`
	Dilations     []int  `attr:"dilations"`
	Group         int    `attr:"group" default:"1"`
	KernelShape   []int  `attr:"kernel_shape"`
	OutputPadding []int  `attr:"output_padding"`
	OutputShape   []int  `attr:"output_shape"`
	Pads          []int  `attr:"pads"`
	Strides       []int  `attr:"strides"`
}

// transposed is a resolved ConvTranspose.
type transposed struct {
	spatial
	extra, out []int // output_padding; output_shape or nil
}

func (c ConvTranspose) resolve(kernel []int, n int) (transposed, error) {
	if len(c.KernelShape) != 0 && kernel != nil && !sameInts(c.KernelShape, kernel) {
		return transposed{}, fmt.Errorf("kernel_shape %v differs from the weight's %v", c.KernelShape, kernel)
	}
	if kernel == nil {
		kernel = c.KernelShape
	}
	s, err := spatial{autoPad: c.AutoPad, kernel: kernel, strides: c.Strides, dilations: c.Dilations, pads: c.Pads}.resolve(n)
	if err != nil {
		return transposed{}, err
	}
	t := transposed{spatial: s}
	if t.extra, err = perAxis("output_padding", c.OutputPadding, n, 0); err != nil {
		return transposed{}, err
	}
	if shape := c.OutputShape; len(shape) != 0 {
		if len(shape) == n+2 {
			shape = shape[2:]
		}
		if t.out, err = perAxis("output_shape", shape, n, 1); err != nil {
			return transposed{}, err
		}
	}
	return t, nil
}

// axis gives padding and output size of dimension i for an input of size in.
func (t transposed) axis(i, in int) (begin, end, out int, err error) {
	if in > maxExtent {
		return 0, 0, 0, fmt.Errorf("spatial dimension %d of size %d is too large", i, in)
	}
	begin, end = t.pads[i], t.pads[len(t.kernel)+i]
	full := (in-1)*t.strides[i] + t.extra[i] + t.extent(i)
	same := t.autoPad == "SAME_UPPER" || t.autoPad == "SAME_LOWER"
	if t.out != nil || same {
		out = in * t.strides[i]
		if t.out != nil {
			out = t.out[i]
		}
		total := max(full-out, 0)
		begin = total - total/2
		if t.autoPad == "SAME_UPPER" {
			begin = total / 2
		}
		end = total - begin
	}
	if t.out == nil {
		out = full - begin - end
	}
	if out < 0 {
		return 0, 0, 0, fmt.Errorf("spatial dimension %d would have size %d", i, out)
	}
	return begin, end, out, nil
}

// Window resolves the geometry for the full shapes of the input and the weight: In and Out are the spatial sizes of
// input and result; input position i adds to output positions i·Stride - Begin + k·Dilation.
func (c ConvTranspose) Window(x, w []int) (Window, error) {
	if len(x) < 2 || len(w) != len(x) {
		return Window{}, fmt.Errorf("input %v and weight %v: want equal ranks of at least 2", x, w)
	}
	if err := c.channels(graph.Dims(x...), graph.Dims(w...)); err != nil {
		return Window{}, err
	}
	n := len(x) - 2
	t, err := c.resolve(w[2:], n)
	if err != nil {
		return Window{}, err
	}
	win := Window{
		Kernel: t.kernel, Strides: t.strides, Dilations: t.dilations, In: append([]int{}, x[2:]...),
		Begin: make([]int, n), End: make([]int, n), Out: make([]int, n),
	}
	for i, size := range win.In {
		if win.Begin[i], win.End[i], win.Out[i], err = t.axis(i, size); err != nil {
			return Window{}, err
		}
	}
	return win, nil
}

func (c ConvTranspose) channels(x, w []graph.Dim) error {
	if c.Group < 1 || c.Group > maxExtent {
		return fmt.Errorf("group %d is out of range", c.Group)
	}
	in, ok := x[1].Value()
	if ok && in%c.Group != 0 {
		return fmt.Errorf("%d channels do not divide into %d groups", in, c.Group)
	}
	if wc, known := w[0].Value(); ok && known && in != wc {
		return fmt.Errorf("input has %d channels, the weight %d", in, wc)
	}
	return nil
}

// Infer gives [N,M,spatial…]; a symbol survives in n·Stride.
func (c ConvTranspose) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 3); err != nil {
		return nil, err
	}
	x, w := in[0].Shape, in[1].Shape
	switch {
	case in[0].Unranked && in[1].Unranked:
		return []graph.Type{graph.AnyRank(in[0].DType)}, nil
	case in[0].Unranked:
		x = make([]graph.Dim, len(w))
	case in[1].Unranked:
		w = make([]graph.Dim, len(x))
	}
	if len(x) < 2 || len(x) != len(w) {
		return nil, fmt.Errorf("input of rank %d and weight of rank %d: want equal ranks of at least 2", len(x), len(w))
	}
	if err := c.channels(x, w); err != nil {
		return nil, err
	}
	out := make([]graph.Dim, len(x))
	out[0], out[1] = x[0], w[1].Mul(graph.Fixed(c.Group))
	kernel, ok := graph.FixedShape(w[2:])
	if !ok {
		kernel = nil
	}
	if !ok && len(c.KernelShape) == 0 {
		return []graph.Type{graph.Of(in[0].DType, out...)}, nil
	}
	t, err := c.resolve(kernel, len(x)-2)
	if err != nil {
		return nil, err
	}
	for i, d := range x[2:] {
		if out[2+i], err = t.dim(i, d); err != nil {
			return nil, err
		}
	}
	return []graph.Type{graph.Of(in[0].DType, out...)}, nil
}

// dim is axis for a dimension that may be symbolic.
func (t transposed) dim(i int, d graph.Dim) (graph.Dim, error) {
	if n, ok := d.Value(); ok {
		_, _, out, err := t.axis(i, n)
		return graph.Fixed(out), err
	}
	if t.out != nil {
		return graph.Fixed(t.out[i]), nil
	}
	rest := t.extra[i] + t.extent(i) - t.strides[i] // out = n·stride + rest - pads
	same := t.autoPad[0] == 'S' && rest >= 0
	if same || t.autoPad[0] != 'S' && rest == t.pads[i]+t.pads[len(t.kernel)+i] {
		return d.Mul(graph.Fixed(t.strides[i])), nil
	}
	return graph.Dim{}, nil
}

// Run accumulates in float64 and rounds once.
func (c ConvTranspose) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	win, err := c.Window(in[0].Shape, in[1].Shape)
	if err != nil {
		return err
	}
	if !in[0].IsFloat() {
		return fmt.Errorf("no convolution of %s", in[0].DType)
	}
	n, channels, each := in[0].Shape[0], in[0].Shape[1], in[1].Shape[1]
	m := each * c.Group
	xs, ws := tensor.Float64s(in[0]), tensor.Float64s(in[1])
	inSize, outSize, kernel := tensor.Size(win.In), tensor.Size(win.Out), tensor.Size(win.Kernel)
	sum := make([]float64, n*m*outSize)
	adjoint := win
	adjoint.In, adjoint.Out = win.Out, win.In
	adjoint.taps(func(i int, taps []cell, _ int) {
		for nc := range n * channels {
			b, ch := nc/channels, nc%channels
			v := xs[nc*inSize+i]
			for o := range each {
				dst := sum[(b*m+ch/(channels/c.Group)*each+o)*outSize:]
				k := ws[(ch*each+o)*kernel:]
				for _, t := range taps {
					dst[t.in] += v * k[t.k]
				}
			}
		}
	})
	if b := optional(in, 2); b != nil {
		if b.Len() != m {
			return fmt.Errorf("bias has %d elements for %d output channels", b.Len(), m)
		}
		bias := tensor.Float64s(b)
		for i := range sum {
			sum[i] += bias[i/outSize%m]
		}
	}
	return tensor.SetFloat64s(x.Make(out[0], in[0].DType, append([]int{n, m}, win.Out...)...), sum)
}

// Quant says that input 1 is the weight and input 2 the bias. Axis 1 of the weight is the output channels of one group:
// output channel g·(M/Group)+i has weights [g·C/Group:(g+1)·C/Group, i], so that with more than one group a scale for
// each index of that axis is shared by Group output channels.
func (ConvTranspose) Quant() graph.Quant { return graph.Quant{Weight: 1, Axis: 1, Out: 1, Bias: 2} }

// Weights says that each output channel of each group has a scale: W is [C, M/group, kernel...], and C counts the groups'
// input channels one group after the other.
func (o ConvTranspose) Weights(in []graph.Fact) []graph.Weight {
	shape, ok := in[1].Fixed()
	g := max(o.Group, 1)
	switch {
	case !ok || len(shape) < 2 || shape[0]%g != 0:
		return nil
	case g == 1:
		return []graph.Weight{{Input: 1, Axes: []int{1}}}
	case shape[0] == g:
		return []graph.Weight{{Input: 1, Axes: []int{0, 1}}}
	}
	view := append([]int{g, shape[0] / g}, shape[1:]...)
	return []graph.Weight{{Input: 1, View: view, Axes: []int{0, 2}}}
}

// Cost counts one multiply-add for each input element and weight that it meets.
func (ConvTranspose) Cost(in, _ []graph.Type) graph.Cost { return convCost(in[1], in[0]) }

// Links ties input channels with axis 0 of the weight, output channels with its axis 1 and the bias; groups as in Conv.
func (c ConvTranspose) Links(in, out []graph.Fact) []graph.Link {
	x, m, per, ok := convChannels(in, out, 0, 1)
	if !ok {
		return nil
	}
	g := c.Group
	switch {
	case g == 1:
		return append(tie(graph.Fixed(x), given(0, 1), given(1, 0)),
			tie(graph.Fixed(m), present(in, given(1, 1), made(0, 1), given(2, 0))...)...)
	case x == g:
		return tie(graph.Fixed(g), present(in, given(0, 1), given(1, 0), spaced(made(0, 1), 1, per), spaced(given(2, 0), 1, per))...)
	}
	return append(tie(graph.Fixed(x/g), spaced(given(0, 1), g, 1), spaced(given(1, 0), g, 1)),
		tie(graph.Fixed(per), present(in, given(1, 1), spaced(made(0, 1), g, 1), spaced(given(2, 0), g, 1))...)...)
}

// Fit gives a depthwise convolution as many groups as channels are left.
func (c ConvTranspose) Fit(cut graph.Cut) (graph.Op, []*tensor.Tensor, error) {
	if x, ok := cut.In[0].Shape[1].Value(); ok && c.Group > 1 && x == c.Group {
		c.Group, _ = cut.Left(false, 0, 1)
	}
	return c, nil, nil
}
