package ops

import (
	"errors"
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("ai.onnx.preview", 1, FlexAttention{}) }

// FlexAttention is attention with bodies that change the scores and the probabilities: with
// S = ScoreMod(scale·Q·Kᵀ), Y = ProbMod(softmax(S))·V. Q, K and V are [batch, heads, length, size]; the bodies see a tensor
// [batch, query heads, query length, key length] of SoftmaxPrecision's type (float32 unless it says otherwise or the
// inputs are float64). Inputs after V are captured by the bodies.
type FlexAttention struct {
	ProbMod          *graph.Graph `attr:"prob_mod"`
	Scale            *float32     `attr:"scale"`
	ScoreMod         *graph.Graph `attr:"score_mod"`
	SoftmaxPrecision int          `attr:"softmax_precision"`
}

// Infer gives the type of Y and types the bodies' inputs.
func (o FlexAttention) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 3, -1); err != nil {
		return nil, err
	}
	for i := range 3 {
		if err := rank(in, i, 4); err != nil {
			return nil, err
		}
	}
	return []graph.Type{graph.Of(in[0].DType, dimAt(in[0], 0), dimAt(in[0], 1), dimAt(in[0], 2), dimAt(in[2], 3))}, nil
}

// Cost counts Q·Kᵀ and the product with V.
func (o FlexAttention) Cost(in, out []graph.Type) graph.Cost { return Attention{}.Cost(in[:3], out) }

func (o FlexAttention) precision(d tensor.DType) (tensor.DType, error) {
	switch p := tensor.DType(o.SoftmaxPrecision); {
	case o.SoftmaxPrecision == 0 && d == tensor.Float64:
		return d, nil
	case o.SoftmaxPrecision == 0:
		return tensor.Float32, nil
	case p == tensor.Float32 || p == tensor.Float64 || p == tensor.Float16 || p == tensor.BFloat16:
		return p, nil
	}
	return tensor.Undefined, fmt.Errorf("softmax_precision %d is no floating-point type", o.SoftmaxPrecision)
}

func (o FlexAttention) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	d, err := o.precision(in[0].DType)
	if err != nil {
		return err
	}
	a, err := Attention{Scale: o.Scale, LeftWindowSize: -1, RightWindowSize: -1}.attend(allInputs(in[:3], 7))
	if err != nil {
		return err
	}
	if a.rank3 {
		return errors.New("want inputs of rank 4")
	}
	p := a.products()
	shape := []int{a.batch, a.qHeads, a.qLen, a.total}
	mod := func(body *graph.Graph) error {
		if body == nil {
			return nil
		}
		t := tensor.New(d, shape...)
		if err := tensor.SetFloat64s(t, p); err != nil {
			return err
		}
		r, err := x.Body(body, append([]*tensor.Tensor{t}, in[3:]...))
		if err != nil {
			return err
		}
		if len(r) != 1 || wantShape("the body's result", r[0], shape...) != nil {
			return errors.New("a body must give one tensor of its input's shape")
		}
		p = append([]float64(nil), tensor.Float64s(r[0])...)
		return nil
	}
	if err := mod(o.ScoreMod); err != nil {
		return err
	}
	for i := range a.batch * a.qHeads * a.qLen {
		flexSoftmax(p[i*a.total : (i+1)*a.total])
	}
	if err := mod(o.ProbMod); err != nil {
		return err
	}
	y := make([]float64, a.batch*a.qHeads*a.qLen*a.vSize)
	for i := range a.batch * a.qHeads * a.qLen {
		b, h := i/(a.qHeads*a.qLen), i/a.qLen%a.qHeads
		a.weigh(y[i*a.vSize:(i+1)*a.vSize], p[i*a.total:(i+1)*a.total], b, h)
	}
	return tensor.SetFloat64s(x.Make(out[0], in[0].DType, a.batch, a.qHeads, a.qLen, a.vSize), y)
}

// products is scale·Q·Kᵀ.
func (a *attending) products() []float64 {
	p := make([]float64, a.batch*a.qHeads*a.qLen*a.total)
	for i := range a.batch * a.qHeads * a.qLen {
		b, h := i/(a.qHeads*a.qLen), i/a.qLen%a.qHeads
		k := a.k[(b*a.kvHeads+h/(a.qHeads/a.kvHeads))*a.total*a.size:]
		for j := range a.total {
			var sum float64
			for e, q := range a.q[i*a.size : (i+1)*a.size] {
				sum += q * k[j*a.size+e]
			}
			p[i*a.total+j] = sum * a.scale
		}
	}
	return p
}

// flexSoftmax is softmax as FlexAttention's function body has it: a row of -Inf alone is NaN.
func flexSoftmax(p []float64) {
	most := math.Inf(-1)
	for _, v := range p {
		most = max(most, v)
	}
	softmaxRow(p)
	if math.IsInf(most, -1) {
		for i := range p {
			p[i] = math.NaN()
		}
	}
}
