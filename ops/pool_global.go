package ops

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	graph.Register("", 1, GlobalAveragePool{}, GlobalMaxPool{})
	graph.Register("", 2, GlobalLpPool{})
}

// GlobalAveragePool is the mean over all spatial dimensions: [N,C,spatial…] gives [N,C,1…].
type GlobalAveragePool struct{ globalPool }

// GlobalMaxPool is the maximum over all spatial dimensions; NaN wins.
type GlobalMaxPool struct{ globalPool }

// GlobalLpPool is (Σ|x|^P)^(1/P) over all spatial dimensions.
type GlobalLpPool struct {
	globalPool
	P int `attr:"p" default:"2"`
}

type globalPool struct{}

// Infer gives [N,C,1…].
func (globalPool) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 1, 1); err != nil {
		return nil, err
	}
	t := in[0].Type
	if t.Unranked {
		return []graph.Type{graph.AnyRank(t.DType)}, nil
	}
	if len(t.Shape) < 2 {
		return nil, fmt.Errorf("input of rank %d: want 2 or more", len(t.Shape))
	}
	out := append([]graph.Dim{}, t.Shape...)
	for i := range out[2:] {
		out[2+i] = graph.Fixed(1)
	}
	return []graph.Type{graph.Of(t.DType, out...)}, nil
}

// Cost counts one operation for each input element.
func (globalPool) Cost(in, _ []graph.Type) graph.Cost {
	s, ok := in[0].Fixed()
	if !ok {
		return graph.Cost{}
	}
	return graph.Cost{Ops: int64(tensor.Size(s))}
}

// Links keeps channels apart.
func (globalPool) Links(in, out []graph.Fact) []graph.Link { return channelwise(in, out) }

// Run sums in float64 and rounds once.
func (GlobalAveragePool) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return runGlobal(x, in[0], out[0], func(v []float64) float64 {
		sum := 0.0
		for _, e := range v {
			sum += e
		}
		return sum / float64(len(v))
	})
}

func (GlobalMaxPool) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return runGlobal(x, in[0], out[0], func(v []float64) float64 {
		best := math.Inf(-1)
		for _, e := range v {
			best = math.Max(best, e)
		}
		return best
	})
}

func (p GlobalLpPool) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	if p.P < 1 {
		return fmt.Errorf("p %d is not positive", p.P)
	}
	return runGlobal(x, in[0], out[0], func(v []float64) float64 {
		sum := 0.0
		for _, e := range v {
			sum += math.Pow(math.Abs(e), float64(p.P))
		}
		return math.Pow(sum, 1/float64(p.P))
	})
}

// runGlobal applies f to the elements of each channel of each batch.
func runGlobal(x *graph.Exec, in, out *tensor.Tensor, f func([]float64) float64) error {
	if len(in.Shape) < 2 || !in.IsFloat() {
		return fmt.Errorf("no global pooling of %s%v", in.DType, in.Shape)
	}
	v := tensor.Float64s(in)
	blocks, size := tensor.Size(in.Shape[:2]), tensor.Size(in.Shape[2:])
	r := make([]float64, blocks)
	for i := range r {
		r[i] = f(v[i*size : (i+1)*size])
	}
	shape := append([]int{}, in.Shape[:2]...)
	for range in.Shape[2:] {
		shape = append(shape, 1)
	}
	return tensor.SetFloat64s(x.Make(out, in.DType, shape...), r)
}

// Quant says that input and output have parameters of their own.
func (GlobalAveragePool) Quant() graph.Quant { return graph.Quant{} }

// Twin is QLinearGlobalAveragePool.
func (o GlobalAveragePool) Twin(_ *graph.Node, in []graph.Linear, out graph.Linear) (graph.Op, []*graph.Value) {
	return activationTwin("QLinearGlobalAveragePool", o, in, out)
}

// Quant says that the output shares the input's parameters.
func (GlobalMaxPool) Quant() graph.Quant { return graph.Quant{Moves: true} }

// Traits says that ONNX gives it no integers.
func (GlobalMaxPool) Traits() graph.Traits { return graph.Traits{FloatOnly: true} }
