package doctor

import (
	"context"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// Difference is how far the first outputs of two graphs are apart on samples.
type Difference struct {
	Samples   int      `json:"samples"`
	SQNR      *float64 `json:"sqnr_db"`   // nil for identical outputs
	Agreement *float64 `json:"agreement"` // percent of the rows with the same largest element; nil without rows
}

// Compare runs both graphs, each exactly, on the same samples.
func Compare(ctx context.Context, g, mended *graph.Graph, s Samples) (*Difference, error) {
	var d Difference
	var outs [2][]float32
	width := 0
	for i, one := range []*graph.Graph{g, mended} {
		if len(one.Outputs) == 0 {
			return &d, nil
		}
		n, err := s.run(ctx, one, one.Outputs[:1], func(_ *graph.Value, t *tensor.Tensor) error {
			outs[i] = append(outs[i], tensor.Floats(t)...)
			if r := len(t.Shape); r > 0 {
				width = t.Shape[r-1]
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		d.Samples = n
	}
	signal, noise := 0.0, 0.0
	for i, x := range outs[0] {
		e := float64(x) - float64(outs[1][i])
		signal, noise = signal+float64(x)*float64(x), noise+e*e
	}
	if noise > 0 {
		db := 10 * math.Log10(signal/noise)
		d.SQNR = &db
	}
	if width > 1 {
		same := 0
		for i := 0; i < len(outs[0]); i += width {
			if largest(outs[0][i:i+width]) == largest(outs[1][i:i+width]) {
				same++
			}
		}
		share := 100 * float64(same) * float64(width) / float64(len(outs[0]))
		d.Agreement = &share
	}
	return &d, nil
}

func largest(v []float32) int {
	at := 0
	for i, x := range v {
		if x > v[at] {
			at = i
		}
	}
	return at
}
