package ops

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("com.microsoft", 1, FusedConv{}, FusedMatMul{}) }

// FusedConv is Conv, plus the optional input 3 of the result's shape, under an Activation: Relu, Tanh, Sigmoid,
// LeakyRelu (alpha), Clip (min, max) or HardSigmoid (alpha, beta), whose numbers are ActivationParams.
type FusedConv struct {
	Activation       string    `attr:"activation"`
	ActivationParams []float32 `attr:"activation_params"`
	AutoPad          string    `attr:"auto_pad" default:"NOTSET"`
	Dilations        []int     `attr:"dilations"`
	Group            int       `attr:"group" default:"1"`
	KernelShape      []int     `attr:"kernel_shape"`
	Pads             []int     `attr:"pads"`
	Strides          []int     `attr:"strides"`
}

// FusedMatMul is Alpha·A'·B': TransBatchA brings A's first dimension after its batch dimensions, then TransA swaps
// the last two; likewise for B.
type FusedMatMul struct {
	Alpha       float32 `attr:"alpha" default:"1"`
	TransA      bool    `attr:"transA"`
	TransB      bool    `attr:"transB"`
	TransBatchA bool    `attr:"transBatchA"`
	TransBatchB bool    `attr:"transBatchB"`
}

// activations gives the functions of FusedConv and how many parameters each takes.
var activations = map[string]struct {
	params int
	f      func(v float64, p []float32) float64
}{
	"":        {0, func(v float64, _ []float32) float64 { return v }},
	"Relu":    {0, func(v float64, _ []float32) float64 { return max(v, 0) }},
	"Tanh":    {0, func(v float64, _ []float32) float64 { return math.Tanh(v) }},
	"Sigmoid": {0, func(v float64, _ []float32) float64 { return 1 / (1 + math.Exp(-v)) }},
	"LeakyRelu": {1, func(v float64, p []float32) float64 {
		if v < 0 {
			return v * float64(p[0])
		}
		return v
	}},
	"Clip": {2, func(v float64, p []float32) float64 { return min(max(v, float64(p[0])), float64(p[1])) }},
	"HardSigmoid": {2, func(v float64, p []float32) float64 {
		return max(0, min(1, float64(p[0])*v+float64(p[1])))
	}},
}

func (c FusedConv) conv() Conv {
	return Conv{
		AutoPad: c.AutoPad, Dilations: c.Dilations, Group: c.Group, KernelShape: c.KernelShape, Pads: c.Pads, Strides: c.Strides,
	}
}

func (c FusedConv) check() error {
	a, ok := activations[c.Activation]
	if !ok {
		return fmt.Errorf("activation %q is unknown", c.Activation)
	}
	if len(c.ActivationParams) < a.params {
		return fmt.Errorf("%s takes %d parameters, got %v", c.Activation, a.params, c.ActivationParams)
	}
	return nil
}

// Infer gives Conv's type.
func (c FusedConv) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 4); err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	t, err := c.conv().infer(in[0].Type, in[1].Type, in[0].DType)
	return []graph.Type{t}, err
}

// Run rounds the sum, then the result.
func (c FusedConv) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	if err := c.check(); err != nil {
		return err
	}
	if err := c.conv().Run(x, in[:min(len(in), 3)], out); err != nil {
		return err
	}
	v := append([]float64(nil), tensor.Float64s(out[0])...)
	if z := optional(in, 3); z != nil {
		if !sameInts(z.Shape, out[0].Shape) {
			return fmt.Errorf("input 3 of shape %v differs from the result's %v", z.Shape, out[0].Shape)
		}
		for i, e := range tensor.Float64s(z) {
			v[i] += e
		}
	}
	f := activations[c.Activation].f
	for i, e := range v {
		v[i] = f(e, c.ActivationParams)
	}
	return tensor.SetFloat64s(out[0], v)
}

// order is the permutation that brings a side of rank r to [batch…,rows,cols].
func order(r int, trans, transBatch bool) []int {
	p := make([]int, r)
	for i := range p {
		p[i] = i
	}
	if r < 2 {
		return p
	}
	if transBatch {
		copy(p, p[1:r-1])
		p[r-2] = 0
	}
	if trans {
		p[r-2], p[r-1] = p[r-1], p[r-2]
	}
	return p
}

func rearranged[T any](v []T, order []int) []T {
	out := make([]T, len(v))
	for i, o := range order {
		out[i] = v[o]
	}
	return out
}

// Infer gives MatMul's shape of the rearranged sides.
func (m FusedMatMul) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 2); err != nil {
		return nil, err
	}
	a, b := in[0].Type, in[1].Type
	if !a.Unranked && !b.Unranked {
		a.Shape = rearranged(a.Shape, order(len(a.Shape), m.TransA, m.TransBatchA))
		b.Shape = rearranged(b.Shape, order(len(b.Shape), m.TransB, m.TransBatchB))
	}
	t, err := inferMatMul(a, b, in[0].DType)
	return []graph.Type{t}, err
}

// Run accumulates in float64 and rounds once.
func (m FusedMatMul) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	side := func(t *tensor.Tensor, trans, transBatch bool) ([]float64, []int) {
		p := order(len(t.Shape), trans, transBatch)
		shape := rearranged(t.Shape, p)
		v, r := tensor.Float64s(t), make([]float64, t.Len())
		walk(shape, rearranged(strides(t.Shape, t.Shape), p), make([]int, len(shape)), func(i, j, _ int) { r[i] = v[j] })
		return r, shape
	}
	for i, t := range in[:2] {
		if !t.IsFloat() {
			return fmt.Errorf("input %d: want floats, got %s", i, t.DType)
		}
	}
	a, as := side(in[0], m.TransA, m.TransBatchA)
	b, bs := side(in[1], m.TransB, m.TransBatchB)
	s, err := newMatShape(as, bs)
	if err != nil {
		return err
	}
	r := multiply(s, a, b)
	for i := range r {
		r[i] *= float64(m.Alpha)
	}
	return tensor.SetFloat64s(x.Make(out[0], in[0].DType, s.out...), r)
}

// Cost counts the multiply-adds.
func (FusedConv) Cost(in, out []graph.Type) graph.Cost { return convCost(in[1], out[0]) }

// Cost counts the multiply-adds.
func (m FusedMatMul) Cost(in, out []graph.Type) graph.Cost {
	a := in[0]
	a.Shape = rearranged(a.Shape, order(len(a.Shape), m.TransA, m.TransBatchA))
	return matCost(a, out[0])
}
