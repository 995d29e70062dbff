package train

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/tensor"
)

// optimizer changes parameters by their gradients; slots are what it remembers of each of them.
type optimizer struct {
	slots int
	// update changes one tensor: w are its elements, g the gradient (which may be overwritten), s the slots.
	update func(w, g []float32, s [][]float32, u rates)
}

// rates are the numbers of one update.
type rates struct {
	rate, decay, momentum float32
	nesterov              bool
	step                  int // from 1
}

// optimizers by name.
var optimizers = map[string]optimizer{
	"sgd":   {1, sgd},
	"adamw": {2, adamW},
}

// sgd is stochastic gradient descent with momentum, v = m·v + g + decay·w and w -= rate·v, or Nesterov's form
// w -= rate·(g + decay·w + m·v) (Sutskever et al., ICML 2013, as frameworks write it).
func sgd(w, g []float32, s [][]float32, u rates) {
	v := s[0][:len(w)]
	g = g[:len(w)]
	for i, x := range w {
		d := g[i] + float32(u.decay*x)
		v[i] = float32(u.momentum*v[i]) + d
		if u.nesterov {
			d += float32(u.momentum * v[i])
		} else {
			d = v[i]
		}
		w[i] = x - float32(u.rate*d)
	}
}

// adamW follows the means of the gradient and of its square, 0.9 and 0.999, and decays weights apart from them
// (Loshchilov and Hutter, arXiv 1711.05101).
func adamW(w, g []float32, s [][]float32, u rates) {
	const b1, b2, eps = 0.9, 0.999, 1e-8
	c1 := float32(1 / (1 - math.Pow(b1, float64(u.step))))
	c2 := float32(1 / (1 - math.Pow(b2, float64(u.step))))
	m, v := s[0][:len(w)], s[1][:len(w)]
	for i, x := range w {
		m[i] = float32(b1*m[i]) + float32((1-b1)*g[i])
		v[i] = float32(b2*v[i]) + float32((1-b2)*float32(g[i]*g[i]))
		d := float32(m[i]*c1) / (float32(math.Sqrt(float64(v[i]*c2))) + eps)
		w[i] = x - float32(u.rate*(d+float32(u.decay*x)))
	}
}

// clip scales all gradients down together if their joint norm exceeds bound (Pascanu et al., arXiv 1211.5063), and
// returns the norm before. Sums run in order, in float64.
func clip(grads []*tensor.Tensor, bound float64) float64 {
	sum := 0.0
	for _, g := range grads {
		for _, x := range tensor.View[float32](g) {
			sum += float64(float64(x) * float64(x))
		}
	}
	norm := math.Sqrt(sum)
	if bound > 0 && norm > bound {
		f := float32(bound / norm)
		for _, g := range grads {
			v := tensor.View[float32](g)
			for i := range v {
				v[i] *= f
			}
		}
	}
	return norm
}

// schedules give the factor of the learning rate at a share (0 to 1) of the steps after warming up.
var schedules = map[string]func(done float64) float64{
	"constant": func(float64) float64 { return 1 },
	"cosine":   func(done float64) float64 { return (1 + math.Cos(math.Pi*done)) / 2 },
	"step": func(done float64) float64 { // a tenth after each third
		switch {
		case done < 1.0/3:
			return 1
		case done < 2.0/3:
			return 0.1
		}
		return 0.01
	},
}

// rateAt is the learning rate of a step: it rises over the first warm steps, then follows the schedule.
func (o *Options) rateAt(step, steps int) float64 {
	warm := int(math.Round(o.Warmup * float64(steps) / float64(max(o.Epochs, 1))))
	if step < warm {
		return o.Rate * float64(step+1) / float64(warm)
	}
	return o.Rate * schedules[o.Schedule](float64(step-warm)/float64(max(steps-warm, 1)))
}

// known fails unless name is a key.
func known[V any](what, name string, of map[string]V, list string) error {
	if _, ok := of[name]; !ok {
		return fmt.Errorf("%s %q: want %s", what, name, list)
	}
	return nil
}
