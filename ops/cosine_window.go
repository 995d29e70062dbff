package ops

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 17, HannWindow{}, HammingWindow{}, BlackmanWindow{}) }

// cosineWindow is what the window operators share: input 0 is the scalar length.
type cosineWindow struct {
	DType    int
	Periodic bool
}

func (o cosineWindow) infer(in []graph.Fact) ([]graph.Type, error) {
	if err := want(in, 1, 1); err != nil {
		return nil, err
	}
	n := graph.Dim{}
	if elems, ok := in[0].Elements(); ok && len(elems) == 1 {
		n = elems[0]
	}
	return retyped(graph.Of(0, n), o.DType)
}

// maxWindow bounds the length, which is data, before memory is taken for it.
const maxWindow = 1 << 28

// run makes the sum of k[i]·cos(2π·i·n/N), where N is one less than the length unless periodic.
func (o cosineWindow) run(x *graph.Exec, in, out []*tensor.Tensor, k ...float64) error {
	if in[0].Len() != 1 || !in[0].IsInt() {
		return fmt.Errorf("size is %s, want an integer", graph.TypeOf(in[0]))
	}
	n := tensor.Ints(in[0])[0]
	if n < 0 || n > maxWindow {
		return fmt.Errorf("size is %d", n)
	}
	d := tensor.DType(o.DType)
	if !d.IsFloat() && !d.IsInt() {
		return noArithmetic(d)
	}
	period := float64(n)
	if !o.Periodic {
		period--
	}
	r := make([]float64, n)
	for i := range r {
		for j, c := range k {
			r[i] += float64(c * math.Cos(2*math.Pi*float64(j)*float64(i)/period))
		}
	}
	return tensor.SetFloat64s(x.Make(out[0], d, int(n)), r)
}

// HannWindow is sin²(πn/N).
type HannWindow struct {
	DType    int  `attr:"output_datatype" default:"1"`
	Periodic bool `attr:"periodic" default:"1"`
}

// Infer gives a vector of the length in input 0.
func (o HannWindow) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	return cosineWindow(o).infer(in)
}

func (o HannWindow) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return cosineWindow(o).run(x, in, out, 0.5, -0.5)
}

// HammingWindow is 25/46 - 21/46·cos(2πn/N).
type HammingWindow struct {
	DType    int  `attr:"output_datatype" default:"1"`
	Periodic bool `attr:"periodic" default:"1"`
}

// Infer gives a vector of the length in input 0.
func (o HammingWindow) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	return cosineWindow(o).infer(in)
}

func (o HammingWindow) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return cosineWindow(o).run(x, in, out, 25./46, -21./46)
}

// BlackmanWindow is 0.42 - 0.5·cos(2πn/N) + 0.08·cos(4πn/N).
type BlackmanWindow struct {
	DType    int  `attr:"output_datatype" default:"1"`
	Periodic bool `attr:"periodic" default:"1"`
}

// Infer gives a vector of the length in input 0.
func (o BlackmanWindow) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	return cosineWindow(o).infer(in)
}

func (o BlackmanWindow) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return cosineWindow(o).run(x, in, out, 0.42, -0.5, 0.08)
}
