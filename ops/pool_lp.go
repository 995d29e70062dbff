package ops

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 2, LpPool{}) }

// LpPool is (Σ|x|^P)^(1/P) over each window of x [N,C,spatial…].
type LpPool struct {
	AutoPad     string `attr:"auto_pad" default:"NOTSET"`
	CeilMode    bool   `attr:"ceil_mode"`
	Dilations   []int  `attr:"dilations"`
	KernelShape []int  `attr:"kernel_shape" required:"true"`
	P           int    `attr:"p" default:"2"`
	Pads        []int  `attr:"pads"`
	Strides     []int  `attr:"strides"`
}

func (p LpPool) spatial() spatial {
	return spatial{p.AutoPad, p.KernelShape, p.Strides, p.Dilations, p.Pads, p.CeilMode}
}

// Window resolves the geometry for the full shape of the input.
func (p LpPool) Window(x []int) (Window, error) { return p.spatial().pool(x) }

// Infer gives [N,C,spatial…].
func (p LpPool) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if p.P < 1 {
		return nil, fmt.Errorf("p %d is not positive", p.P)
	}
	t, err := p.spatial().inferPool(in)
	return []graph.Type{t}, err
}

// Run sums in float64 and rounds once.
func (p LpPool) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	w, err := p.Window(in[0].Shape)
	if err != nil {
		return err
	}
	if !in[0].IsFloat() || p.P < 1 {
		return fmt.Errorf("no norm of order %d of %s", p.P, in[0].DType)
	}
	v := append([]float64(nil), tensor.Float64s(in[0])...)
	for i, e := range v {
		v[i] = math.Pow(math.Abs(e), float64(p.P))
	}
	shape := append(append([]int{}, in[0].Shape[:2]...), w.Out...)
	r := make([]float64, tensor.Size(shape))
	inSize, outSize := tensor.Size(w.In), tensor.Size(w.Out)
	w.taps(func(o int, taps []cell, _ int) {
		for nc := range len(r) / max(outSize, 1) {
			sum := 0.0
			for _, t := range taps {
				sum += v[nc*inSize+t.in]
			}
			r[nc*outSize+o] = math.Pow(sum, 1/float64(p.P))
		}
	})
	return tensor.SetFloat64s(x.Make(out[0], in[0].DType, shape...), r)
}

// Cost counts one operation for each element of a window.
func (p LpPool) Cost(_, out []graph.Type) graph.Cost { return poolCost(p.KernelShape, out[0]) }

// Links keeps channels apart.
func (LpPool) Links(in, out []graph.Fact) []graph.Link { return channelwise(in, out) }
