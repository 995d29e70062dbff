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
	v := tensor.Doubles(in[1])
	if !in[1].IsFloat() {
		return fmt.Errorf("no gradient for %s", in[1].DType)
	}
	at, err := w.largest(v)
	if err != nil {
		return err
	}
	dx := make([]float64, len(v))
	for i, dy := range tensor.Doubles(in[0]) {
		dx[at[i]] += dy
	}
	return tensor.SetDoubles(x.Make(out[0], in[0].DType, in[1].Shape...), dx)
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
	dy, dx := tensor.Doubles(in[0]), make([]float64, tensor.Size(p.XShape))
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
	return tensor.SetDoubles(x.Make(out[0], in[0].DType, p.XShape...), dx)
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
