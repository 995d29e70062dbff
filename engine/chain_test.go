package engine_test

import (
	"testing"

	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// TestChains runs elementwise steps one after another in the cache, over several blocks, and where not all of them can.
func TestChains(t *testing.T) {
	for _, c := range []string{
		`input x: f32[3,1000]
		input dy: f32[3,1000]
		input s: f32[]
		const half: f32[1] = {0.5}
		const one: f32[] = {1}
		q: f32[3,1000] = Mul(x, x)
		e: f32[3,1000] = Mul(q, half)
		p: f32[3,1000] = Exp(e)
		f: f32[3,1000] = Erf(x)
		g: f32[3,1000] = Sub(one, f)
		h: f32[3,1000] = Mul(x, p)
		i: f32[3,1000] = Add(g, h)
		j: f32[3,1000] = Mul(dy, i)
		k: f32[3,1000] = Div(s, j)
		l: f32[3,1000] = Clip(k, half, one)
		output l`,
		`input x: f32[40,600]
		input dy: f32[40,600]
		const zero: f32[] = {0}
		const alpha: f32[] = {0.25}
		const one: f32[] = {1}
		c: bool[40,600] = Less(x, zero)
		w: f32[40,600] = Where(c, alpha, x)
		v: f32[40,600] = Where(c, w, one)
		dx: f32[40,600] = Mul(dy, v)
		a: f32[40,600] = Abs(dx)
		d: bool[40,600] = Greater(a, zero)
		r: f32[40,600] = Elu(a)
		y: f32[40,600] = Sub(r, a)
		output d
		output y`,
		`input x: f32[2,5,9,9]
		input k: f32[5,1,1]
		p: f32[2,5,9,9] = MaxPool(x) {kernel_shape=[1,1]}
		s: f32[2,5,9,9] = Sigmoid(p)
		m: f32[2,5,9,9] = Mul(p, s)
		b: f32[2,5,9,9] = Mul(m, k)
		r: f32[2,5,9,9] = Relu(b)
		d: f32[2,5,9,9] = tfsopt.ReluGrad(x, r)
		n: f32[2,5,9,9] = Neg(d)
		output n`,
	} {
		agree(t, c, 1e-5)
	}
}

// TestChainsStopAtWatchedValues: what somebody looks at is made.
func TestChainsStopAtWatchedValues(t *testing.T) {
	g := parse(t, `graph "g" {
  opset "" 21
  input x: float32[n,70]
  a: float32[n,70] = Neg(x)
  b: float32[n,70] = Exp(a)
  c: float32[n,70] = Add(b, x)
  output c
}`)
	for _, watch := range [][]*graph.Value{nil, {g.Value("a")}, {g.Value("b")}} {
		p := compile(t, g, engine.Options{Threads: 1, Watch: watch})
		for _, batch := range []int{1, 40} {
			x, seen := noise(3, batch, 70), 0
			want := map[*graph.Value]*tensor.Tensor{}
			out, err := graph.EvalObserve(t.Context(), g, []*tensor.Tensor{x}, func(v *graph.Value, t *tensor.Tensor) { want[v] = t.Clone() })
			if err != nil {
				t.Fatal(err)
			}
			c := &engine.Call{In: []*tensor.Tensor{x}, Observe: func(v *graph.Value, got *tensor.Tensor) {
				seen++
				near(t, []*tensor.Tensor{got}, []*tensor.Tensor{want[v]}, 1e-6)
			}}
			if err := p.Run(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			near(t, c.Out, out, 1e-6)
			if seen != len(watch) {
				t.Errorf("saw %d of %d values", seen, len(watch))
			}
			steps, err := p.Steps([]*tensor.Tensor{x}, 1)
			if err != nil {
				t.Fatal(err)
			}
			if len(steps) != 1+len(watch) {
				t.Errorf("%d steps with %d values watched", len(steps), len(watch))
			}
		}
	}
}
