// Package train fits the parameters of a graph to data: gradients as graph, losses, optimizers, schedules, augmentation,
// the loop with its checkpoints.
package train

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// NoGradientError lists every node that stands between the parameters and the loss and has no gradient.
type NoGradientError struct{ Nodes []*graph.Node }

func (e *NoGradientError) Error() string {
	var list []string
	for _, n := range e.Nodes {
		list = append(list, fmt.Sprintf("node %q (%s)", n.Name, n.OpName()))
	}
	return "no gradient for " + strings.Join(list, ", ")
}

// Gradients adds to b's graph the gradient of the scalar loss by each value of wrt (reverse accumulation: Baydin et al.,
// "Automatic differentiation in machine learning", JMLR 18, 2018) and returns them in that order: of the value's own
// shape, nil where the loss does not depend on it. The graph must be sorted and all shapes on the way fixed. Operators
// without gradient come together as one NoGradientError.
func Gradients(b *graph.Builder, loss *graph.Value, wrt []*graph.Value) ([]*graph.Value, error) {
	if shape, ok := loss.Fixed(); !ok || tensor.Size(shape) != 1 || !loss.DType.IsFloat() {
		return nil, fmt.Errorf("the loss %q is %s, want one float", loss.Name, loss.Type)
	}
	path, err := between(b.G, loss, wrt)
	if err != nil {
		return nil, err
	}
	shape, _ := loss.Fixed()
	one := tensor.New(loss.DType, shape...)
	if err := tensor.SetFloat64s(one, []float64{1}); err != nil {
		return nil, err
	}
	flow := flows{b: b, by: map[*graph.Value]*graph.Value{loss: b.Const("grad_of_loss", one)}}
	for _, n := range slices.Backward(path) {
		if err := flow.through(n); err != nil {
			return nil, graph.NodeError(n, err)
		}
	}
	out := make([]*graph.Value, len(wrt))
	for i, v := range wrt {
		out[i] = flow.by[v]
	}
	return out, b.Err
}

// between lists the nodes that depend on wrt and that the loss depends on, in the graph's order.
func between(g *graph.Graph, loss *graph.Value, wrt []*graph.Value) ([]*graph.Node, error) {
	depends := map[*graph.Value]bool{}
	for _, v := range wrt {
		depends[v] = true
	}
	var reached []*graph.Node
	for _, n := range g.Nodes {
		if slices.ContainsFunc(n.In, func(v *graph.Value) bool { return v != nil && depends[v] }) {
			reached = append(reached, n)
			for _, v := range n.Out {
				if v != nil && (v.DType.IsFloat() || v.DType == tensor.Undefined) {
					depends[v] = true
				}
			}
		}
	}
	needed := map[*graph.Value]bool{loss: true}
	var path, missing []*graph.Node
	for _, n := range slices.Backward(reached) {
		if !slices.ContainsFunc(n.Out, func(v *graph.Value) bool { return v != nil && needed[v] && depends[v] }) {
			continue
		}
		for _, v := range n.In {
			if v != nil && depends[v] {
				needed[v] = true
			}
		}
		path = append(path, n)
		if _, ok := n.Op.(graph.Differentiable); !ok {
			missing = append(missing, n)
		}
	}
	slices.Reverse(path)
	slices.Reverse(missing)
	if len(missing) > 0 {
		return nil, &NoGradientError{missing}
	}
	return path, nil
}

// flows holds the gradient that has reached each value so far.
type flows struct {
	b  *graph.Builder
	by map[*graph.Value]*graph.Value
}

// through carries the gradients of a node's outputs to its inputs.
func (f *flows) through(n *graph.Node) error {
	dOut := make([]*graph.Value, len(n.Out))
	any := false
	for i, v := range n.Out {
		if v != nil {
			dOut[i] = f.by[v]
			any = any || dOut[i] != nil
		}
	}
	if !any {
		return nil
	}
	dIn := n.Op.(graph.Differentiable).Grad(f.b, n, dOut)
	if f.b.Err != nil {
		return f.b.Err
	}
	if len(dIn) != len(n.In) {
		return fmt.Errorf("its gradient has %d values for %d inputs", len(dIn), len(n.In))
	}
	for i, d := range dIn {
		v := n.In[i]
		if d == nil || v == nil {
			continue
		}
		if !slices.Equal(d.Shape, v.Shape) {
			return fmt.Errorf("the gradient of input %d is %s, want %s", i, d.Type, v.Type)
		}
		if sum := f.by[v]; sum != nil {
			d = f.b.Add("grad_sum_"+v.Name, ops.Add{}, sum, d)
		}
		f.by[v] = d
	}
	return f.b.Err
}

// errNoParameters tells that a graph has nothing to learn.
var errNoParameters = errors.New("the model has no float weights to train")
