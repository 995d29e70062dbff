package ops

import (
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// Grad adds each slice of dy to the one that it was taken from.
func (o Gather) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	dy := dOut[0]
	if dy == nil || !flowsTo(n, 0) {
		return none(n)
	}
	f := gradient(b, n)
	data, index := f.shape(n.In[0]), f.shape(n.In[1])
	a, err := o.axis(len(data))
	if err != nil || b.Err != nil {
		return fail(b, n, "%v", err)
	}
	if at, ok := n.In[1].ConstInts(); ok && len(at) == 1 {
		k, err := indexInto(int64(at[0]), data[a])
		if err != nil {
			return fail(b, n, "%v", err)
		}
		one := append([]int{}, data...)
		one[a] = 1
		pads := make([][2]int, len(data))
		pads[a] = [2]int{k, data[a] - k - 1}
		return to(n, f.pad(f.reshape(dy, one), pads))
	}
	// ScatterND takes the indexed dimension first.
	var first, moved []int
	for i := range index {
		first = append(first, a+i)
	}
	for i := range f.shape(dy) {
		if i < a || i >= a+len(index) {
			first = append(first, i)
		}
	}
	moved = append(append([]int{a}, upTo(a)...), after(a, len(data))...)
	target := f.b.Const(f.name+"_zeros", tensor.New(n.In[0].DType, permuted(data, moved)...))
	tuples := f.reshape(n.In[1], append(slices.Clone(index), 1))
	sum := f.node(ScatterND{Reduction: "add"}, target, tuples, f.transpose(dy, first))
	return to(n, f.transpose(sum, inverse(moved)))
}

// upTo lists 0, 1, … n-1.
func upTo(n int) []int { return after(-1, n) }

// after lists a+1, a+2, … n-1.
func after(a, n int) []int {
	var out []int
	for i := a + 1; i < n; i++ {
		out = append(out, i)
	}
	return out
}

// Grad adds each element of dy to the one that it was taken from.
func (o GatherElements) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil || !flowsTo(n, 0) {
		return none(n)
	}
	f := gradient(b, n)
	return to(n, f.node(ScatterElements{Axis: o.Axis, Reduction: "add"}, f.zeros(n.In[0]), n.In[1], dOut[0]))
}

// Grad adds each slice of dy to the one that it was taken from.
func (o GatherND) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil || !flowsTo(n, 0) {
		return none(n)
	}
	f := gradient(b, n)
	index := n.In[1]
	if o.BatchDims > 0 {
		shape := f.shape(index)
		if b.Err != nil {
			return none(n)
		}
		index = f.join(len(shape)-1, f.cast(coordinates(b, shape[:len(shape)-1], o.BatchDims), index), index)
	}
	return to(n, f.node(ScatterND{Reduction: "add"}, f.zeros(n.In[0]), index, dOut[0]))
}

// coordinates is a constant of int64 [shape…, count]: at each place its first `count` coordinates.
func coordinates(b *graph.Builder, shape []int, count int) *graph.Value {
	t := tensor.New(tensor.Int64, append(slices.Clone(shape), count)...)
	v, step := tensor.View[int64](t), dense(shape).step
	for i := range tensor.Size(shape) {
		for d := range count {
			v[i*count+d] = int64(i / step[d] % shape[d])
		}
	}
	return b.Const("coordinates", t)
}

// scatterGrad is what the gradients of ScatterElements and ScatterND share: put scatters over data, take gathers.
type scatterGrad struct {
	reduction string
	put       graph.Op
	take      graph.Op
}

func (s scatterGrad) grad(b *graph.Builder, n *graph.Node, dy *graph.Value) []*graph.Value {
	if dy == nil || !flowsTo(n, 0) {
		return none(n)
	}
	f := gradient(b, n)
	d := none(n)
	d[2] = f.node(s.take, dy, n.In[1])
	switch s.reduction {
	case "add":
		d[0] = dy
	case "none", "":
		d[0] = f.node(s.put, dy, n.In[1], f.zeros(n.In[2]))
	default:
		return fail(b, n, "with reduction %s", s.reduction)
	}
	return d
}

// Grad is, for the data, dy without what was overwritten and, for the updates, dy where they were written. Reductions
// other than add have none.
func (o ScatterElements) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return scatterGrad{o.Reduction, o, GatherElements{Axis: o.Axis}}.grad(b, n, dOut[0])
}

// Grad is, for the data, dy without what was overwritten and, for the updates, dy where they were written. Reductions
// other than add have none.
func (o ScatterND) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	return scatterGrad{o.Reduction, o, GatherND{}}.grad(b, n, dOut[0])
}

// Grad puts dy back to where the elements were taken from.
func (o TopK) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil || !flowsTo(n, 0) {
		return none(n)
	}
	f := gradient(b, n)
	return to(n, f.node(ScatterElements{Axis: o.Axis, Reduction: "add"}, f.zeros(n.In[0]), output(b, n, 1), dOut[0]))
}

// output is output i of n, which is added where the graph left it out.
func output(b *graph.Builder, n *graph.Node, i int) *graph.Value {
	for len(n.Out) <= i {
		n.Out = append(n.Out, nil)
	}
	if n.Out[i] == nil {
		n.Out[i] = &graph.Value{Name: b.Fresh(n.Name + "_out"), Def: n, Fact: graph.Fact{Type: graph.AnyRank(tensor.Undefined)}}
		if err := graph.InferNode(n); err != nil && b.Err == nil {
			b.Err = err
		}
	}
	return n.Out[i]
}

// Grad is the running sum of dy from the other end.
func (o CumSum) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	if dOut[0] == nil || !flowsTo(n, 0) {
		return none(n)
	}
	return to(n, gradient(b, n).node(CumSum{Exclusive: o.Exclusive, Reverse: !o.Reverse}, dOut[0], n.In[1]))
}

// Grad is dy where the mask, output 1, is set, divided by 1 - ratio; dy if the model is not being trained.
func (o Dropout) Grad(b *graph.Builder, n *graph.Node, dOut []*graph.Value) []*graph.Value {
	dy := dOut[0]
	if dy == nil {
		return none(n)
	}
	if len(n.In) < 3 || n.In[2] == nil {
		return to(n, dy)
	}
	for _, v := range n.In[1:] {
		if v != nil && (!v.IsConst() || v.Const.Len() != 1) {
			return fail(b, n, "ratio or training mode are not constant")
		}
	}
	ratio := 0.5
	if n.In[1] != nil {
		ratio = tensor.Float64s(n.In[1].Const)[0]
	}
	if tensor.Ints(n.In[2].Const)[0] == 0 || ratio == 0 {
		return to(n, dy)
	}
	f := gradient(b, n)
	return to(n, f.choose(output(b, n, 1), f.scale(dy, 1/(1-ratio)), f.num(dy, 0)))
}
