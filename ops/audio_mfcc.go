package ops

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("tfsopt", 1, Mfcc{}) }

// Mfcc gives the mel-frequency cepstral coefficients [channels, windows, Coefficients] of squared magnitudes
// [channels, windows, frequencies] and the rate, one integer, as TensorFlow's operator does: the magnitudes under Bands triangles that
// are equally wide in mel = 1127·ln(1 + Hz/700) between Lower and Upper Hz, their logarithms (of at least 1e-12), and of these the first
// values of a DCT-II with the factor sqrt(2/Bands).
type Mfcc struct {
	Upper        float32 `attr:"upper_frequency_limit" default:"4000"`
	Lower        float32 `attr:"lower_frequency_limit" default:"20"`
	Bands        int     `attr:"filterbank_channel_count" default:"40"`
	Coefficients int     `attr:"dct_coefficient_count" default:"13"`
}

// maxBands bounds the table of cosines.
const maxBands = 1 << 12

// Infer checks the attributes and gives the shape.
func (o Mfcc) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 2); err != nil {
		return nil, err
	}
	if o.Coefficients < 1 || o.Coefficients > o.Bands || o.Bands > maxBands || !(o.Lower >= 0) || !(o.Upper > o.Lower) {
		return nil, fmt.Errorf("%d coefficients of %d bands from %g to %g Hz", o.Coefficients, o.Bands, o.Lower, o.Upper)
	}
	if in[0].DType != tensor.Float32 || !in[0].Unranked && len(in[0].Shape) != 3 {
		return nil, fmt.Errorf("input 0: want float32[channels,windows,frequencies], got %s", in[0].Type)
	}
	t := graph.Of(tensor.Float32, graph.Dim{}, graph.Dim{}, graph.Fixed(o.Coefficients))
	if !in[0].Unranked {
		copy(t.Shape[:2], in[0].Shape)
	}
	return []graph.Type{t}, nil
}

// Run computes in float64.
func (o Mfcc) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	shape, err := shapeOf(o, in)
	if err != nil {
		return err
	}
	rate, err := scalarInt("the rate", in[1])
	if err != nil {
		return err
	}
	width := in[0].Shape[2]
	bank, err := o.bank(width, float64(rate))
	if err != nil {
		return err
	}
	cosines, norm := make([]float64, o.Coefficients*o.Bands), math.Sqrt(2/float64(o.Bands))
	for i := range cosines {
		k, j := i/o.Bands, i%o.Bands
		cosines[i] = norm * math.Cos(float64(k)*(math.Pi/float64(o.Bands))*(float64(j)+0.5))
	}
	spectrum := tensor.Floats(in[0])
	y := tensor.View[float32](x.Make(out[0], tensor.Float32, shape...))
	bands := make([]float64, o.Bands)
	for row := range shape[0] * shape[1] {
		bank.fill(bands, spectrum[row*width:][:width])
		for k := range o.Coefficients {
			sum := 0.0
			for j, v := range bands {
				sum += float64(cosines[k*o.Bands+j] * v)
			}
			y[row*o.Coefficients+k] = float32(sum)
		}
	}
	return nil
}

// melBank is what each frequency gives to two neighbouring triangles: weight to that below it, the rest to the one above.
type melBank struct {
	first, last int // frequencies that count
	below       []int
	weight      []float64
}

// tfMel is the scale of mel that Mfcc is defined by; MelWeightMatrix has another factor.
func tfMel(hz float64) float64 { return 1127 * math.Log1p(hz/700) }

// bank makes the triangles; the lowest frequency never counts.
func (o Mfcc) bank(width int, rate float64) (melBank, error) {
	if width < 2 || rate <= 0 {
		return melBank{}, fmt.Errorf("%d frequencies of %g samples a second", width, rate)
	}
	low := tfMel(float64(o.Lower))
	step := (tfMel(float64(o.Upper)) - low) / float64(o.Bands+1)
	centre := func(i int) float64 { return low + float64(step*float64(i+1)) }
	hz := 0.5 * rate / float64(width-1)
	b := melBank{int(1.5 + float64(o.Lower)/hz), int(float64(o.Upper) / hz), make([]int, width), make([]float64, width)}
	if b.last >= width {
		return melBank{}, fmt.Errorf("frequencies to %g Hz need more than %g samples a second", o.Upper, rate)
	}
	band := 0
	for i := b.first; i <= b.last; i++ {
		at := tfMel(float64(i) * hz)
		for band < o.Bands && centre(band) < at {
			band++
		}
		b.below[i] = band - 1
		left := low
		if band > 0 {
			left = centre(band - 1)
		}
		b.weight[i] = (centre(band) - at) / (centre(band) - left)
	}
	return b, nil
}

// fill gives the logarithms of the triangles of squared magnitudes.
func (b melBank) fill(bands []float64, squares []float32) {
	const floor = 1e-12
	clear(bands)
	for i := b.first; i <= b.last; i++ {
		v := math.Sqrt(float64(squares[i]))
		part := float64(v * b.weight[i])
		if k := b.below[i]; k >= 0 {
			bands[k] += part
		}
		if k := b.below[i] + 1; k < len(bands) {
			bands[k] += v - part
		}
	}
	for i, v := range bands {
		bands[i] = math.Log(max(v, floor))
	}
}
