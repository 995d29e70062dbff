package ops

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 19, DeformConv{}) }

// DeformConv is a convolution whose taps are moved (arXiv 1703.06211) and weighed (arXiv 1811.11168). Inputs: x
// [N,C,spatial…], w [M,C/Group,kernel…], offsets [N,OffsetGroup·|kernel|·dims,out…], optional bias [M] and mask
// [N,OffsetGroup·|kernel|,out…]. Between elements x is interpolated linearly; outside it is zero.
type DeformConv struct {
	Dilations   []int `attr:"dilations"`
	Group       int   `attr:"group" default:"1"`
	KernelShape []int `attr:"kernel_shape"`
	OffsetGroup int   `attr:"offset_group" default:"1"`
	Pads        []int `attr:"pads"`
	Strides     []int `attr:"strides"`
}

func (c DeformConv) conv() Conv {
	return Conv{AutoPad: "NOTSET", Dilations: c.Dilations, Group: c.Group, KernelShape: c.KernelShape, Pads: c.Pads, Strides: c.Strides}
}

// Infer gives [N,M,spatial…].
func (c DeformConv) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 3, 5); err != nil {
		return nil, err
	}
	t, err := c.conv().infer(in[0].Type, in[1].Type, in[0].DType)
	return []graph.Type{t}, err
}

// Run accumulates in float64 and rounds once.
func (c DeformConv) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	win, err := c.conv().Window(in[0].Shape, in[1].Shape)
	if err != nil {
		return err
	}
	g := newConvShape(c.Group, win, in[0].Shape, in[1].Shape)
	channels := in[0].Shape[1]
	if c.OffsetGroup < 1 || channels%c.OffsetGroup != 0 {
		return fmt.Errorf("%d channels do not divide into %d offset groups", channels, c.OffsetGroup)
	}
	d := deform{convShape: g, dims: len(win.In), groups: c.OffsetGroup, offset: tensor.Float64s(in[2])}
	if n := g.n * c.OffsetGroup * g.kernelSize * g.outSize; len(d.offset) != n*d.dims {
		return fmt.Errorf("%d offsets, want %d", len(d.offset), n*d.dims)
	} else if m := optional(in, 4); m != nil {
		if d.mask = tensor.Float64s(m); len(d.mask) != n {
			return fmt.Errorf("mask of %d elements, want %d", len(d.mask), n)
		}
	}
	xs, ws := tensor.Float64s(in[0]), tensor.Float64s(in[1])
	sum := make([]float64, g.n*g.m*g.outSize)
	for n := range g.n {
		for o := range g.outSize {
			column := d.column(xs[n*channels*g.inSize:], channels, n, o)
			for m := range g.m {
				first := m / g.each * g.c * g.kernelSize
				for i, w := range ws[m*g.c*g.kernelSize : (m+1)*g.c*g.kernelSize] {
					sum[(n*g.m+m)*g.outSize+o] += w * column[first+i]
				}
			}
		}
	}
	if b := optional(in, 3); b != nil {
		if b.Len() != g.m {
			return fmt.Errorf("bias has %d elements for %d output channels", b.Len(), g.m)
		}
		addBias(sum, tensor.Float64s(b), g)
	}
	return tensor.SetFloat64s(x.Make(out[0], in[0].DType, g.shape()...), sum)
}

type deform struct {
	convShape
	dims, groups int
	offset, mask []float64
}

// column gathers the [channels,kernel…] samples that output position o of batch n reads.
func (d deform) column(x []float64, channels, n, o int) []float64 {
	out := make([]float64, channels*d.kernelSize)
	at := make([]float64, d.dims)
	for c := range channels {
		group := n*d.groups + c/(channels/d.groups)
		for k := range d.kernelSize {
			tap := group*d.kernelSize + k
			oi, ki := o, k
			for i := d.dims - 1; i >= 0; i-- {
				pos := oi%d.Out[i]*d.Strides[i] - d.Begin[i] + ki%d.Kernel[i]*d.Dilations[i]
				at[i] = float64(pos) + d.offset[(tap*d.dims+i)*d.outSize+o]
				oi, ki = oi/d.Out[i], ki/d.Kernel[i]
			}
			v := sampleAt(x[c*d.inSize:(c+1)*d.inSize], d.In, at)
			if d.mask != nil {
				v *= d.mask[tap*d.outSize+o]
			}
			out[c*d.kernelSize+k] = v
		}
	}
	return out
}

// sampleAt reads v of the given shape at a position between elements; v is zero outside of its shape.
func sampleAt(v []float64, shape []int, at []float64) float64 {
	sum := 0.0
	for corner := range 1 << len(shape) {
		weight, offset := 1.0, 0
		for i, p := range at {
			low := math.Floor(p)
			part := p - low
			if corner>>i&1 == 1 {
				low++
			} else {
				part = 1 - part
			}
			if !(low >= 0 && low < float64(shape[i])) {
				weight = 0
				break
			}
			weight *= part
			offset = offset*shape[i] + int(low)
		}
		if weight != 0 {
			sum += weight * v[offset]
		}
	}
	return sum
}

// Cost counts the multiply-adds of the product, not those of the interpolation.
func (DeformConv) Cost(in, out []graph.Type) graph.Cost { return convCost(in[1], out[0]) }
