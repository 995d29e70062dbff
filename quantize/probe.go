package quantize

import (
	"fmt"

	"github.com/tfsopt/tfsopt/tensor"
)

// probeElements is how many elements of a value the probe keeps of a sample.
const probeElements = 4096

// probe compares the same values of two graphs on spread elements.
type probe struct {
	kept          map[[2]int][]float32 // by sample and place
	signal, noise []float64
}

func (p *probe) keep(i, sample int, t *tensor.Tensor) { p.kept[[2]int{sample, i}] = thin(t) }

func (p *probe) compare(i, sample int, t *tensor.Tensor) error {
	a, b := p.kept[[2]int{sample, i}], thin(t)
	if len(a) != len(b) {
		return fmt.Errorf("%d elements, the float graph has %d", len(b), len(a))
	}
	for j, x := range a {
		d := float64(x) - float64(b[j])
		p.signal[i] += float64(x) * float64(x)
		p.noise[i] += d * d
	}
	return nil
}

// thin copies about evenly spaced elements.
func thin(t *tensor.Tensor) []float32 {
	v := tensor.Floats(t)
	n := min(len(v), probeElements)
	out := make([]float32, n)
	for i := range out {
		out[i] = v[i*len(v)/n]
	}
	return out
}
