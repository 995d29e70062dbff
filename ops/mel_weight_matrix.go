package ops

import (
	"errors"
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 17, MelWeightMatrix{}) }

// MelWeightMatrix makes the matrix [dft_length/2+1, num_mel_bins] of triangular filters that are evenly spaced on the mel
// scale, mel(f) = 2595·log10(1 + f/700), between two edges in hertz. Inputs are the scalars num_mel_bins, dft_length,
// sample_rate, lower_edge_hertz and upper_edge_hertz.
type MelWeightMatrix struct {
	OutputDatatype int `attr:"output_datatype" default:"1"`
}

// Infer gives the type of the matrix.
func (o MelWeightMatrix) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 5, 5); err != nil {
		return nil, err
	}
	d := tensor.DType(o.OutputDatatype)
	if o.OutputDatatype != int(d) || !d.IsInt() && !d.IsFloat() {
		return nil, fmt.Errorf("output_datatype %d is no number", o.OutputDatatype)
	}
	var rows, cols graph.Dim
	if n, ok := in[1].Elements(); ok && len(n) == 1 {
		if v, ok := n[0].Value(); ok {
			rows = graph.Fixed(v/2 + 1)
		}
	}
	if n, ok := in[0].Elements(); ok && len(n) == 1 {
		cols = n[0]
	}
	return []graph.Type{graph.Of(d, rows, cols)}, nil
}

func (o MelWeightMatrix) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	var n [3]int
	for i, name := range []string{"num_mel_bins", "dft_length", "sample_rate"} {
		v, err := scalarInt(name, in[i])
		if err != nil {
			return err
		}
		if v < 1 {
			return fmt.Errorf("%s is %d", name, v)
		}
		n[i] = v
	}
	bands, length, rate := n[0], n[1], n[2]
	if in[3].Len() != 1 || in[4].Len() != 1 {
		return errors.New("the edges must be scalars")
	}
	low, high := mel(tensor.Float64s(in[3])[0]), mel(tensor.Float64s(in[4])[0])
	shape := []int{length/2 + 1, bands}
	if err := checkSize(tensor.DType(o.OutputDatatype), shape); err != nil {
		return err
	}
	edges := make([]int, bands+2)
	for i := range edges {
		f := 700 * (math.Pow(10, (low+float64(i)*(high-low)/float64(len(edges)))/2595) - 1)
		bin := math.Floor(float64(length+1) * f / float64(rate))
		if !(bin >= 0 && bin < float64(shape[0])) {
			return fmt.Errorf("band edge at %v Hz is outside of the spectrum at %d samples a second", f, rate)
		}
		edges[i] = int(bin)
	}
	y := make([]float64, tensor.Size(shape))
	for i := range bands {
		triangle(y[i:], bands, edges[i:i+3])
	}
	return tensor.SetFloat64s(x.Make(out[0], tensor.DType(o.OutputDatatype), shape...), y)
}

func mel(hertz float64) float64 { return 2595 * math.Log10(1+hertz/700) }

// triangle writes a filter that rises from edges[0] to 1 at edges[1] and falls to edges[2]; its elements are step apart.
func triangle(y []float64, step int, edges []int) {
	left, centre, right := edges[0], edges[1], edges[2]
	for j := left; j < centre; j++ {
		y[j*step] = float64(j-left) / float64(centre-left)
	}
	y[centre*step] = 1
	for j := centre; j < right; j++ {
		y[j*step] = float64(right-j) / float64(right-centre)
	}
}
