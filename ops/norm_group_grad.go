package ops

import "github.com/tfsopt/tfsopt/graph"

// Grad gives the gradients of x, scale and bias: each channel of each batch is a channel of one batch normalization.
func (i InstanceNormalization) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil {
		return none(n)
	}
	f, x := gradient(b, n), n.In[0]
	shape := f.shape(x)
	if b.Err != nil {
		return none(n)
	}
	batch, channels := shape[0], shape[1]
	rows := append([]int{1, batch * channels}, shape[2:]...)
	scale := f.reshape(f.node(Expand{}, n.In[1], f.ints(batch, channels)), []int{batch * channels})
	parts := b.AddN(f.name, 3, BatchNormalizationGrad(i), f.reshape(dOut[0], rows), f.reshape(x, rows), scale)
	d := none(n)
	d[0] = f.like(parts[0], x)
	for i, part := range parts[1:] {
		d[1+i] = f.sum(f.reshape(part, []int{batch, channels}), false, 0)
	}
	return d
}

// Grad gives the gradients of x, scale and bias: each group of each batch is a channel of one batch normalization.
func (g GroupNormalization) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil {
		return none(n)
	}
	f, x, dy := gradient(b, n), n.In[0], dOut[0]
	shape := f.shape(x)
	if b.Err != nil {
		return none(n)
	}
	if g.NumGroups < 1 || shape[1]%g.NumGroups != 0 {
		return fail(b, n, "%d channels do not divide into %d groups", shape[1], g.NumGroups)
	}
	groups := shape[0] * g.NumGroups
	rows := append([]int{1, groups, shape[1] / g.NumGroups}, shape[2:]...)
	each := []int{shape[1]}
	for range shape[2:] {
		each = append(each, 1)
	}
	one, xs := f.ones(x, []int{groups}), f.reshape(x, rows)
	zero := f.sub(one, one)
	standard := f.like(f.node(BatchNormalization{Epsilon: g.Epsilon, TrainingMode: true}, xs, one, zero, zero, one), x)
	inner := f.reshape(f.mul(dy, f.reshape(n.In[1], each)), rows)
	d := none(n)
	d[0] = f.like(b.AddN(f.name, 3, BatchNormalizationGrad{g.Epsilon}, inner, xs, one)[0], x)
	d[1], d[2] = f.sumChannels(f.mul(dy, standard)), f.sumChannels(dy)
	return d
}

// Grad follows from y = x·D^-Beta with D = Bias + Alpha/Size·Σx²:
// dx = dy·D^-Beta - 2·Alpha·Beta/Size·x·Σ dy·y/D, the last sum over the elements whose D holds x.
func (l LRN) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil {
		return none(n)
	}
	f, x, dy := gradient(b, n), n.In[0], dOut[0]
	shape := f.shape(x)
	if b.Err != nil {
		return none(n)
	}
	before, behind := (l.Size-1)/2, l.Size/2
	rows := []int{shape[0], 1, shape[1], 1} // [N,1,C,spatial]: the channels as a dimension of a convolution
	for _, s := range shape[2:] {
		rows[3] *= s
	}
	window := f.ones(x, []int{1, 1, l.Size, 1})
	around := func(v *graph.Value, pads []int) *graph.Value {
		c := Conv{AutoPad: "NOTSET", Group: 1, KernelShape: []int{l.Size, 1}, Pads: pads}
		return f.like(f.node(c, f.reshape(v, rows), window), x)
	}
	sum := around(f.square(x), []int{before, 0, behind, 0})
	base := f.shift(f.scale(sum, float64(l.Alpha)/float64(l.Size)), float64(l.Bias))
	each := f.mul(dy, f.node(Pow{}, base, f.num(x, -float64(l.Beta)))) // dy·D^-Beta
	through := around(f.div(f.mul(each, x), base), []int{behind, 0, before, 0})
	factor := 2 * float64(l.Alpha) * float64(l.Beta) / float64(l.Size)
	return to(n, f.sub(each, f.scale(f.mul(x, through), factor)))
}
