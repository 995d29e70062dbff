package engine_test

import "testing"

// TestElementwise runs what gradients are made of, in both layouts.
func TestElementwise(t *testing.T) {
	for _, c := range []string{
		`input dy: f32[3,17]
		input y: f32[3,17]
		const lo: f32[] = {-0.25}
		const hi: f32[] = {0.25}
		a: f32[3,17] = tfsopt.ReluGrad(dy, y)
		b: f32[3,17] = tfsopt.ClipGrad(dy, y, lo, hi)
		c: f32[3,17] = tfsopt.ClipGrad(dy, y, _, hi)
		output a
		output b
		output c`,
		`input x: f32[2,5,6,6]
		input dy: f32[2,5,3,3]
		y: f32[2,5,3,3] = MaxPool(x) {kernel_shape=[2,2] strides=[2,2]}
		a: f32[2,5,3,3] = tfsopt.ReluGrad(dy, y)
		output a`,
		`input x: f32[2,5,4,3]
		input low: f32[5,1,1]
		input w: f32[3]
		const k: f32[5,1,1] = {1,2,3,4,5}
		const zero: f32[] = {0}
		p: f32[2,5,4,3] = MaxPool(x) {kernel_shape=[1,1]}
		a: f32[2,5,4,3] = Add(p, low)
		b: f32[2,5,4,3] = Mul(w, a)
		c: f32[2,5,4,3] = Max(b, zero)
		d: f32[2,5,4,3] = Min(c, k)
		m: bool[2,5,4,3] = Less(p, zero)
		n: bool[2,5,4,3] = GreaterOrEqual(low, p)
		e: f32[2,5,4,3] = Where(m, d, zero)
		f: f32[2,5,4,3] = Where(n, low, e)
		s: f32[2,5,4,3] = Sum(f, p, k)
		output s
		output d`,
		`input x: f32[4,33]
		const two: f32[] = {2}
		const half: f32[] = {0.5}
		const cube: f32[1] = {3}
		const slope: f32[1] = {0.25}
		sq: f32[4,33] = Pow(x, two)
		rt: f32[4,33] = Pow(sq, half)
		cb: f32[4,33] = Pow(x, cube)
		sg: f32[4,33] = Sign(x)
		ss: f32[4,33] = Softsign(x)
		lr: f32[4,33] = LeakyRelu(x) {alpha=0.125}
		pr: f32[4,33] = PRelu(x, slope)
		tr: f32[4,33] = ThresholdedRelu(x) {alpha=0.25}
		hs: f32[4,33] = HardSigmoid(x) {alpha=1.5}
		el: f32[4,33] = Elu(x) {alpha=0.5}
		se: f32[4,33] = Selu(x)
		ce: f32[4,33] = Celu(x) {alpha=0.5}
		sp: f32[4,33] = Softplus(x)
		mi: f32[4,33] = Mish(x)
		ng: f32[4,33] = Neg(x)
		rc: f32[4,33] = Reciprocal(sp)
		a: f32[4,33] = Sum(sq, rt, cb, sg, ss, lr, pr, tr)
		b: f32[4,33] = Sum(hs, el, se, ce, sp, mi, ng, rc)
		output a
		output b
		output mi`,
		`input x: f32[2,5,1,1]
		input r: f32[3,1]
		input v: f32[]
		const full: int64[4] = {2,5,4,3}
		const wide: int64[3] = {2,3,4}
		const big: int64[2] = {300,200}
		a: f32[2,5,4,3] = Expand(x, full)
		b: f32[2,3,4] = Expand(r, wide)
		c: f32[300,200] = Expand(v, big)
		output a
		output b
		output c`,
	} {
		agree(t, c, 1e-5)
	}
}
