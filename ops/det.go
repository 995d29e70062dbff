package ops

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 11, Det{}) }

// Det gives the determinant of each square matrix in the last two dimensions.
type Det struct{}

// Infer drops two dimensions.
func (Det) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 1, 1); err != nil {
		return nil, err
	}
	r := in[0].Rank()
	if r < 0 {
		return []graph.Type{graph.AnyRank(in[0].DType)}, nil
	}
	if r < 2 || !agree(in[0].Shape[r-1], in[0].Shape[r-2]) {
		return nil, fmt.Errorf("want square matrices, got %s", in[0].Type)
	}
	return []graph.Type{graph.Of(in[0].DType, in[0].Shape[:r-2]...)}, nil
}

// Run eliminates with partial pivots in float64.
func (o Det) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	shape, err := shapeOf(o, in)
	if err != nil {
		return err
	}
	if !in[0].IsFloat() {
		return fmt.Errorf("no determinant of %s", in[0].DType)
	}
	n := in[0].Shape[len(shape)]
	v := append([]float64{}, tensor.Float64s(in[0])...)
	d := make([]float64, tensor.Size(shape))
	for i := range d {
		d[i] = determinant(v[i*n*n:(i+1)*n*n], n)
	}
	return tensor.SetFloat64s(x.Make(out[0], in[0].DType, shape...), d)
}

// determinant overwrites a.
func determinant(a []float64, n int) float64 {
	det := 1.0
	for c := range n {
		p := c
		for r := c + 1; r < n; r++ {
			if math.Abs(a[r*n+c]) > math.Abs(a[p*n+c]) {
				p = r
			}
		}
		if a[p*n+c] == 0 {
			return 0
		}
		if p != c {
			det = -det
			for k := range n {
				a[c*n+k], a[p*n+k] = a[p*n+k], a[c*n+k]
			}
		}
		det *= a[c*n+c]
		for r := c + 1; r < n; r++ {
			f := a[r*n+c] / a[c*n+c]
			for k := c; k < n; k++ {
				a[r*n+k] -= f * a[c*n+k]
			}
		}
	}
	return det
}
