package optimize

import (
	"context"
	"math"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// Pad moves constant padding into the Conv, AveragePool or MaxPool after it. Zeros fit a Conv, and an AveragePool that
// counts them; -infinity fits a MaxPool, as does zero when nothing in front of it is negative.
type Pad struct{}

// Name is "pad".
func (Pad) Name() string { return "pad" }

// Apply counts the nodes that took padding over.
func (Pad) Apply(_ context.Context, g *graph.Graph) (int, error) {
	e := edit(g)
	for _, n := range g.Nodes {
		if len(n.In) == 0 {
			continue
		}
		pad := made(n.In[0], "Pad")
		if pad == nil {
			continue
		}
		before, ok := spatialPads(pad)
		if !ok {
			continue
		}
		if op, ok := takePads(n, pad, before); ok {
			old := n.Op
			n.Op = op
			if _, err := op.Infer(factsOf(append([]*graph.Value{pad.In[0]}, n.In[1:]...)), len(n.Out)); err != nil {
				n.Op = old // such as padding as large as a pool's window
				continue
			}
			e.setIn(n, append([]*graph.Value{pad.In[0]}, n.In[1:]...)...)
			e.changes++
		}
	}
	return e.finish()
}

func factsOf(values []*graph.Value) []graph.Fact {
	facts := make([]graph.Fact, len(values))
	for i, v := range values {
		if v != nil {
			facts[i] = v.Fact
		}
	}
	return facts
}

// spatialPads gives the padding as the attribute pads has it: all begins, then all ends. ok is false if it is not
// constant, negative, or not of the spatial axes alone.
func spatialPads(n *graph.Node) ([]int, bool) {
	r := n.In[0].Rank()
	list, ok := n.In[1].ConstInts()
	if !ok || r < 3 || n.Op.(ops.Pad).Mode != "constant" {
		return nil, false
	}
	axes := make([]int, r)
	for i := range axes {
		axes[i] = i
	}
	if v := input(n, 3); v != nil {
		if axes, ok = v.ConstInts(); !ok {
			return nil, false
		}
	}
	if len(list) != 2*len(axes) {
		return nil, false
	}
	pads := make([]int, 2*(r-2))
	for i, a := range axes {
		if a < 0 {
			a += r
		}
		begin, end := list[i], list[len(axes)+i]
		switch {
		case a < 0 || a >= r || begin < 0 || end < 0 || a < 2 && begin+end > 0:
			return nil, false
		case a >= 2:
			pads[a-2] += begin
			pads[r-2+a-2] += end
		}
	}
	return pads, true
}

// fill is the number that a Pad pads with.
func fill(n *graph.Node) (float64, bool) {
	v := input(n, 2)
	if v == nil {
		return 0, n.In[0].DType.IsFloat()
	}
	return scalar(v)
}

// takePads gives n's operator with more padding.
func takePads(n, pad *graph.Node, more []int) (graph.Op, bool) {
	value, ok := fill(pad)
	if !ok {
		return nil, false
	}
	switch op := n.Op.(type) {
	case ops.Conv:
		op.Pads, ok = addPads(op.Pads, more, op.AutoPad)
		op.AutoPad = "NOTSET"
		return op, ok && value == 0
	case ops.AveragePool:
		if !op.CountIncludePad && slices.ContainsFunc(op.Pads, func(p int) bool { return p != 0 }) {
			return nil, false
		}
		op.Pads, ok = addPads(op.Pads, more, op.AutoPad)
		op.AutoPad, op.CountIncludePad = "NOTSET", true
		return op, ok && value == 0 && !op.CeilMode
	case ops.MaxPool:
		op.Pads, ok = addPads(op.Pads, more, op.AutoPad)
		op.AutoPad = "NOTSET"
		return op, ok && !op.CeilMode && single(n) && pad.In[0].DType.IsFloat() &&
			(math.IsInf(value, -1) || value == 0 && neverNegative(pad.In[0]))
	}
	return nil, false
}

func addPads(pads, more []int, autoPad string) ([]int, bool) {
	if autoPad == "VALID" {
		pads = nil
	} else if autoPad != "NOTSET" && autoPad != "" {
		return nil, false
	}
	if len(pads) == 0 {
		return more, true
	}
	if len(pads) != len(more) || slices.ContainsFunc(pads, func(p int) bool { return p < 0 }) {
		return nil, false
	}
	sum := slices.Clone(more)
	for i, p := range pads {
		sum[i] += p
	}
	return sum, true
}

// neverNegative holds for the results of operators that cannot give a negative number.
func neverNegative(v *graph.Value) bool {
	if v.Def == nil || v.DType == tensor.Undefined {
		return false
	}
	if b, ok := interval(v.Def); ok {
		return b[0] >= 0
	}
	name := v.Def.OpName()
	return name == "Sigmoid" || name == "Softmax" || name == "Abs"
}
