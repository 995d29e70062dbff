package ops

import (
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// Grad is, by the log-probabilities, -weight[c]·dloss at each target c, divided by the sum of the weights for reduction
// mean. The class weights are held to be constant.
func (o NegativeLogLikelihoodLoss) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil {
		return none(n)
	}
	return to(n, o.scores(b, n, dOut[0]))
}

// Grad is that of LogSoftmax for the gradient of the negative log-likelihood and of output 1, the log-probabilities.
// The class weights are held to be constant.
func (o SoftmaxCrossEntropyLoss) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	f := gradient(b, n)
	var d *graph.Value
	if dOut[0] != nil {
		d = o.scores(b, n, dOut[0])
	}
	if len(dOut) > 1 && dOut[1] != nil {
		if d == nil {
			d = dOut[1]
		} else {
			d = f.add(d, dOut[1])
		}
	}
	if d == nil || b.Err != nil {
		return none(n)
	}
	return to(n, f.node(LogSoftmaxGrad{Axis: 1}, d, output(b, n, 1)))
}

// scores is the gradient by the log-probabilities [N, classes, …].
func (o classLoss) scores(b *graph.Builder, n *graph.Node, dy *graph.Value) *graph.Value {
	f := gradient(b, n)
	shape := f.shape(n.In[0])
	if b.Err != nil {
		return nil
	}
	x, target := n.In[0], n.In[1]
	values := tensor.New(x.DType, 2)
	if err := tensor.SetFloat64s(values, []float64{0, -1}); err != nil {
		fail(b, n, "%v", err)
	}
	hot := f.node(OneHot{Axis: 1}, target, f.ints(shape[1]), b.Const(f.name+"_values", values)) // -1 at the target
	if len(n.In) > 2 && n.In[2] != nil {
		perClass := slices.Repeat([]int{1}, len(shape))
		perClass[1] = shape[1]
		hot = f.mul(hot, f.reshape(n.In[2], perClass))
	}
	beside := inserted(removed(shape, 1), 1, 1)
	if o.IgnoreIndex != nil {
		index := tensor.New(target.DType)
		if err := tensor.SetInts(index, []int64{int64(*o.IgnoreIndex)}); err != nil {
			fail(b, n, "%v", err)
		}
		ignored := f.node(Equal{}, target, b.Const(f.name+"_ignored", index))
		hot = f.choose(f.reshape(ignored, beside), f.num(x, 0), hot)
	}
	switch o.Reduction {
	case "none":
		dy = f.reshape(dy, beside)
	case "mean":
		dy = f.div(f.neg(dy), f.node(ReduceSum{}, hot))
	}
	return f.mul(hot, dy)
}
