package ops

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("ai.onnx.preview.training", 1, Adagrad{}, Adam{}, Momentum{}) }

// optimizer runs one step for each parameter. The inputs are the learning rate R and the count of steps T, then all
// parameters, all their gradients and all of each kind of state; the outputs are all parameters and states.
type optimizer struct {
	states int
	// step changes one element: v is the parameter, then its states; g is the gradient.
	step func(g float64, v []float64)
}

// optimizerTypes infers the outputs for inputs R, T and n parameters, gradients and states.
func optimizerTypes(in []graph.Fact, states int) ([]graph.Type, error) {
	if err := want(in, 2, -1); err != nil {
		return nil, err
	}
	n := (len(in) - 2) / (states + 2)
	if n*(states+2) != len(in)-2 || n == 0 {
		return nil, fmt.Errorf("%d inputs are not R, T and %d for each parameter", len(in), states+2)
	}
	var out []graph.Type
	for i := range n * (states + 1) {
		j := 2 + i
		if i >= n {
			j += n // the gradients have no counterpart
		}
		out = append(out, in[j].Type)
	}
	return out, nil
}

func (o optimizer) run(x *graph.Exec, in, out []*tensor.Tensor) error {
	n := (len(in) - 2) / (o.states + 2)
	if len(in) < 2 || n*(o.states+2) != len(in)-2 {
		return fmt.Errorf("%d inputs are not R, T and %d for each parameter", len(in), o.states+2)
	}
	for p := range n {
		param, grad := in[2+p], tensor.Float64s(in[2+n+p])
		columns := [][]float64{append([]float64{}, tensor.Float64s(param)...)}
		for s := range o.states {
			columns = append(columns, append([]float64{}, tensor.Float64s(in[2+(2+s)*n+p])...))
		}
		v := make([]float64, len(columns))
		for i := range columns[0] {
			for c := range columns {
				v[c] = columns[c][i]
			}
			o.step(grad[i], v)
			for c := range columns {
				columns[c][i] = v[c]
			}
		}
		for c := range columns {
			if at := c*n + p; at < len(out) {
				if err := tensor.SetFloat64s(x.Make(out[at], param.DType, param.Shape...), columns[c]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// rate gives the learning rate and the step count.
func rate(in []*tensor.Tensor) (r, t float64, err error) {
	if len(in) < 2 || in[0].Len() != 1 || in[1].Len() != 1 {
		return 0, 0, fmt.Errorf("learning rate and step count are not scalars")
	}
	return tensor.Float64s(in[0])[0], tensor.Float64s(in[1])[0], nil
}

// Adagrad divides the rate by the root of the sum of squared gradients (Duchi et al., JMLR 12, 2011).
type Adagrad struct {
	Decay   float32 `attr:"decay_factor"`
	Epsilon float32 `attr:"epsilon" default:"1e-6"`
	Norm    float32 `attr:"norm_coefficient"` // of the L2 penalty
}

// Infer gives the types of parameters and states.
func (Adagrad) Infer(in []graph.Fact, _ int) ([]graph.Type, error) { return optimizerTypes(in, 1) }

// Run makes one step.
func (o Adagrad) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	r, t, err := rate(in)
	if err != nil {
		return err
	}
	r /= 1 + t*float64(o.Decay)
	return optimizer{1, func(g float64, v []float64) {
		g += float64(o.Norm) * v[0]
		v[1] += g * g
		v[0] -= r * g / (math.Sqrt(v[1]) + float64(o.Epsilon))
	}}.run(x, in, out)
}

// Adam follows running means of gradients and of their squares (Kingma and Ba, arXiv 1412.6980).
type Adam struct {
	Alpha    float32 `attr:"alpha" default:"0.9"`
	Beta     float32 `attr:"beta" default:"0.999"`
	Epsilon  float32 `attr:"epsilon" default:"1e-6"`
	Norm     float32 `attr:"norm_coefficient"`      // of the L2 penalty
	NormPost float32 `attr:"norm_coefficient_post"` // of the decay after the step
}

// Infer gives the types of parameters and states.
func (Adam) Infer(in []graph.Fact, _ int) ([]graph.Type, error) { return optimizerTypes(in, 2) }

// Run makes one step.
func (o Adam) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	r, t, err := rate(in)
	if err != nil {
		return err
	}
	alpha, beta := float64(o.Alpha), float64(o.Beta)
	if t > 0 {
		r *= math.Sqrt(1-math.Pow(beta, t)) / (1 - math.Pow(alpha, t))
	}
	return optimizer{2, func(g float64, v []float64) {
		g += float64(o.Norm) * v[0]
		v[1] = alpha*v[1] + (1-alpha)*g
		v[2] = beta*v[2] + (1-beta)*g*g
		v[0] = (1 - float64(o.NormPost)) * (v[0] - r*v[1]/(math.Sqrt(v[2])+float64(o.Epsilon)))
	}}.run(x, in, out)
}

// Momentum follows a running sum of gradients, with mode "nesterov" one step ahead (Sutskever et al., ICML 2013).
type Momentum struct {
	Alpha float32 `attr:"alpha" required:"true"`
	Beta  float32 `attr:"beta" required:"true"`
	Mode  string  `attr:"mode" required:"true"` // standard or nesterov
	Norm  float32 `attr:"norm_coefficient" required:"true"`
}

// Infer gives the types of parameters and states.
func (Momentum) Infer(in []graph.Fact, _ int) ([]graph.Type, error) { return optimizerTypes(in, 1) }

// Run makes one step.
func (o Momentum) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	r, t, err := rate(in)
	if err != nil {
		return err
	}
	if o.Mode != "standard" && o.Mode != "nesterov" {
		return fmt.Errorf("mode %q is neither standard nor nesterov", o.Mode)
	}
	alpha, beta := float64(o.Alpha), float64(o.Beta)
	if t <= 0 {
		beta = 1
	}
	return optimizer{1, func(g float64, v []float64) {
		g += float64(o.Norm) * v[0]
		v[1] = alpha*v[1] + beta*g
		if o.Mode == "nesterov" {
			v[0] -= r * (g + alpha*v[1])
		} else {
			v[0] -= r * v[1]
		}
	}}.run(x, in, out)
}
