package engine

import (
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// head is an operator that computes a matrix product or a normalization by batch, with what follows it and can be done on the way out. Its inputs
// are the operator's, then, if res is set, the value that is added, then, if gated is set, the result of the Relu or
// Clip whose gradient this is.
type head struct {
	graph.Op
	res     bool
	clamped bool
	gated   bool
	gate    [2]float32 // as in kernels.Gate
	lo, hi  float32
}

func (h head) source() graph.Op { return h.Op }

// open reports whether more can be added.
func (h head) open() bool { return !h.clamped && !h.gated }

// fuse joins products with the Add, Relu and Clip after them.
func fuse(g *graph.Graph) error {
	uses := map[*graph.Value]int{}
	for _, n := range g.Nodes {
		for _, v := range n.In {
			uses[v]++
		}
	}
	for _, v := range g.Outputs {
		uses[v] += 2
	}
	gone := map[*graph.Node]bool{}
	position := map[*graph.Node]int{}
	for i, n := range g.Nodes {
		position[n] = i
		if absorb(n, uses, position) {
			gone[n] = true
		}
	}
	g.Remove(func(n *graph.Node) bool { return gone[n] })
	return g.Sort()
}

// absorb lets the product in front of n do n's work; n is then to be dropped.
func absorb(n *graph.Node, uses map[*graph.Value]int, position map[*graph.Node]int) bool {
	name := n.OpName()
	if inputs := lowerers[name].head; inputs > 0 && isFloat(n.In[0]) && takesEpilogue(n) {
		for len(n.In) < inputs {
			n.In = append(n.In, nil)
		}
		n.Op = head{Op: n.Op, lo: float32(math.Inf(-1)), hi: float32(math.Inf(1))}
		return false
	}
	switch name {
	case "Relu", "Clip":
		lo, hi, ok := clampOf(n)
		p := headOf(n.In[0], uses)
		if !ok || p == nil || !p.Op.(head).open() {
			return false
		}
		h := p.Op.(head)
		h.clamped, h.lo, h.hi = true, lo, hi
		take(p, n, h)
		return true
	case "Add":
		return absorbAdd(n, uses, position)
	case "tfsopt.ReluGrad", "tfsopt.ClipGrad":
		return absorbGate(n, uses)
	}
	return false
}

// takesEpilogue reports whether an operator of the table surely has a fast step that takes one.
func takesEpilogue(n *graph.Node) bool {
	if n.OpName() == "BatchNormalization" {
		return isBatchNorm(n)
	}
	return n.In[1].IsConst() || isProduct(n) || isSweep(n)
}

// absorbGate lets a convolution do the gradient of the Relu or Clip in front of the layer whose gradient it is.
func absorbGate(n *graph.Node, uses map[*graph.Value]int) bool {
	p := headOf(n.In[0], uses)
	bounds := [2]float32{0, float32(math.NaN())}
	if _, ok := n.Op.(ops.ClipGrad); ok {
		if bounds, ok = clipBounds(n.In[2:]); !ok {
			return false
		}
	}
	if p == nil || !p.Op.(head).open() || !sameType(n.In[1], p.Out[0]) || !isSweep(&graph.Node{Op: p.Op.(head).Op, In: p.In}) {
		return false
	}
	h := p.Op.(head)
	h.gated, h.gate = true, bounds
	p.In = append(p.In, n.In[1])
	take(p, n, h)
	return true
}

func absorbAdd(n *graph.Node, uses map[*graph.Value]int, position map[*graph.Node]int) bool {
	var best *graph.Node
	var other *graph.Value
	for i := range 2 {
		p := headOf(n.In[i], uses)
		if p == nil || !p.Op.(head).open() || p.Op.(head).res {
			continue
		}
		o := n.In[1-i]
		if p.In[2] == nil && matMul(p) && (isBias(o, n.Out[0]) || !p.In[1].IsConst() && isFloat(o) && isRow(o, n.Out[0]) && sameType(n.Out[0], p.Out[0])) {
			p.In[2] = o
			take(p, n, p.Op.(head))
			return true
		}
		if sameType(o, p.Out[0]) && !o.IsConst() && (best == nil || position[p] > position[best]) {
			best, other = p, o
		}
	}
	if best == nil {
		return false
	}
	h := best.Op.(head)
	h.res = true
	best.In = append(best.In, other)
	take(best, n, h)
	return true
}

// isProduct reports whether n multiplies two computed matrices, which lowerProduct takes.
func isProduct(n *graph.Node) bool {
	return n.OpName() != "Conv" && isFloat(n.In[1]) && n.In[0].Rank() >= 2 && n.In[1].Rank() >= 2
}

func matMul(n *graph.Node) bool {
	_, name := graph.NameOf(n.Op.(head).Op)
	return name == "MatMul"
}

// headOf is the product that makes v, if v has no other reader.
func headOf(v *graph.Value, uses map[*graph.Value]int) *graph.Node {
	if v == nil || v.Def == nil || uses[v] != 1 {
		return nil
	}
	if _, ok := v.Def.Op.(head); !ok {
		return nil
	}
	return v.Def
}

// take makes p produce n's output.
func take(p, n *graph.Node, h head) {
	p.Op = h
	p.Out[0] = n.Out[0]
	n.Out[0].Def = p
}

func isFloat(v *graph.Value) bool { return v != nil && v.DType == tensor.Float32 }

// sameType reports whether two values surely have the same type and shape.
func sameType(a, b *graph.Value) bool {
	if a.DType != b.DType || a.Unranked || b.Unranked || len(a.Shape) != len(b.Shape) {
		return false
	}
	for i, d := range a.Shape {
		if !d.Known() || d != b.Shape[i] {
			return false
		}
	}
	return true
}

// isBias reports whether v is a constant vector along the last dimension of out.
func isBias(v, out *graph.Value) bool {
	if !v.IsConst() || !isFloat(v) || out.Unranked || len(out.Shape) == 0 || len(v.Const.Shape) == 0 {
		return false
	}
	n := v.Const.Shape[len(v.Const.Shape)-1]
	return out.Shape[len(out.Shape)-1].Is(n) && v.Const.Len() == n && len(v.Const.Shape) <= len(out.Shape)
}

// clampOf gives the bounds of a Relu or of a Clip with constant bounds.
func clampOf(n *graph.Node) (lo, hi float32, ok bool) {
	if n.OpName() == "Relu" {
		return 0, float32(math.Inf(1)), isFloat(n.In[0])
	}
	b, ok := clipBounds(n.In[1:])
	return b[0], b[1], ok && isFloat(n.In[0]) && b[0] <= b[1]
}

// clipBounds gives the constant bounds of a Clip or of its gradient; what is omitted bounds nothing.
func clipBounds(in []*graph.Value) (b [2]float32, ok bool) {
	b = [2]float32{float32(math.Inf(-1)), float32(math.Inf(1))}
	for i, v := range in[:min(2, len(in))] {
		if v == nil {
			continue
		}
		if !v.IsConst() || v.Const.Len() != 1 || !isFloat(v) {
			return b, false
		}
		b[i] = tensor.Floats(v.Const)[0]
	}
	return b, true
}
