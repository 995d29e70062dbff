package ops

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("ai.onnx.ml", 1, SVMRegressor{}) }

// svmKernel is what SVMClassifier and SVMRegressor have in common: k(x, v) for each support vector v.
type svmKernel struct {
	Coefficients []float32 `attr:"coefficients"`
	Params       []float32 `attr:"kernel_params"` // gamma, coef0, degree
	Kernel       string    `attr:"kernel_type" default:"LINEAR"`
	Post         string    `attr:"post_transform" default:"NONE"`
	Rho          []float32 `attr:"rho"`
	Vectors      []float32 `attr:"support_vectors"`
}

var svmKernels = map[string]func(k []float64, x, v []float32) float64{
	"LINEAR": func(_ []float64, x, v []float32) float64 { return dot(x, v) },
	"POLY":   func(k []float64, x, v []float32) float64 { return math.Pow(k[0]*dot(x, v)+k[1], k[2]) },
	"RBF": func(k []float64, x, v []float32) float64 {
		var sum float32
		for i := range x {
			d := x[i] - v[i]
			sum += float32(d * d)
		}
		return math.Exp(float64(-float32(k[0]) * sum))
	},
	"SIGMOID": func(k []float64, x, v []float32) float64 { return math.Tanh(k[0]*dot(x, v) + k[1]) },
}

// responses gives k(x, v) in float32 of every row and vector, [rows, vectors].
func (o svmKernel) responses(rows [][]float32, width, vectors int) ([][]float32, error) {
	kernel, err := named("kernel_type", svmKernels, o.Kernel)
	if err != nil {
		return nil, err
	}
	if len(o.Params) != 0 && len(o.Params) < 3 {
		return nil, fmt.Errorf("attribute kernel_params has %d elements, want 3", len(o.Params))
	}
	if len(o.Vectors) != vectors*width {
		return nil, fmt.Errorf("attribute support_vectors has %d elements, want %d vectors of %d", len(o.Vectors), vectors, width)
	}
	params := []float64{0, 0, 0}
	for i := range min(3, len(o.Params)) {
		params[i] = float64(o.Params[i])
	}
	out := make([][]float32, len(rows))
	for i, row := range rows {
		out[i] = make([]float32, vectors)
		for j := range vectors {
			out[i][j] = float32(kernel(params, row, o.Vectors[j*width:(j+1)*width]))
		}
	}
	return out, nil
}

// SVMRegressor is a support vector machine on [N, F] with one target: [N, 1]. Without support vectors it is linear.
type SVMRegressor struct {
	svmKernel
	Supports int  `attr:"n_supports"`
	OneClass bool `attr:"one_class"` // answer 1 or -1
}

// Infer gives [N, 1].
func (SVMRegressor) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	n, err := rowCount(in)
	return []graph.Type{graph.Of(tensor.Float32, n, graph.Fixed(1))}, err
}

// Run does without the post transform, as ONNX Runtime.
func (o SVMRegressor) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	rows, width, err := matrix[float32](in[0])
	if err != nil {
		return err
	}
	if len(o.Rho) == 0 {
		return fmt.Errorf("attribute rho is missing")
	}
	if o.Supports > 0 {
		if rows, err = o.responses(rows, width, o.Supports); err != nil {
			return err
		}
		width = o.Supports
	}
	if len(o.Coefficients) != width {
		return fmt.Errorf("attribute coefficients has %d elements, want %d", len(o.Coefficients), width)
	}
	r := make([]float32, len(rows))
	for i, row := range rows {
		r[i] = float32(dot(row, o.Coefficients) + float64(o.Rho[0]))
		if o.OneClass {
			r[i] = oneOrMinus(r[i] > 0)
		}
	}
	return setReals(x.Make(out[0], tensor.Float32, len(rows), 1), r)
}

// oneOrMinus is 1 or -1.
func oneOrMinus(positive bool) float32 {
	if positive {
		return 1
	}
	return -1
}
