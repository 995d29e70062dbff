package optimize

import (
	"context"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// Fold computes what depends on constants alone. A node whose result would add more than Growth bytes to the file stays,
// as do random operators, those with bodies, what leaves the graph and, unless Weights is set, DequantizeLinear, which
// is how quantized weights are written. Codebooks tells to unfold weights that are written by a codebook.
type Fold struct {
	Growth    int
	Weights   bool
	Codebooks bool
}

// Name is "fold".
func (Fold) Name() string { return "fold" }

// Apply goes through the nodes once, in order, so that chains fold from their start.
func (f Fold) Apply(ctx context.Context, g *graph.Graph) (int, error) {
	e := edit(g)
	for _, n := range g.Nodes {
		if err := ctx.Err(); err != nil {
			return e.changes, err
		}
		if f.wants(n) && (f.Codebooks || !coded(e, n)) && !slices.ContainsFunc(n.Out, func(v *graph.Value) bool { return e.index.Leaves[v] }) {
			f.fold(ctx, e, n)
		}
	}
	return e.finish()
}

func (f Fold) wants(n *graph.Node) bool {
	if !pure(n) || awaits(n) || !f.Weights && n.OpName() == "DequantizeLinear" {
		return false
	}
	if _, ok := n.Op.(graph.Kernel); !ok {
		return false
	}
	return !slices.ContainsFunc(n.In, func(v *graph.Value) bool { return v != nil && !v.IsConst() })
}

// codedSize is the number of elements from which indices into a codebook are worth keeping.
const codedSize = 128

// coded reports whether n begins what restores a weight from a codebook: small integers made wide to be indices, or the
// zeros between which the rest is scattered.
func coded(e *editor, n *graph.Node) bool {
	switch n.OpName() {
	case "Cast":
		return n.In[0].DType.IsInt() && n.In[0].DType.Bits() <= 8 && n.In[0].Const.Len() >= codedSize && n.Out[0].DType.IsInt() && n.Out[0].DType.Bits() >= 32
	case "ConstantOfShape":
		r := e.reader(n.Out[0])
		return r != nil && r.OpName() == "ScatterElements" && !r.In[2].IsConst()
	}
	return false
}

// fold runs one node; one whose inputs do not fit stays, so that the error comes where the model is run.
func (f Fold) fold(ctx context.Context, e *editor, n *graph.Node) {
	freed := 0
	in := make([]*tensor.Tensor, len(n.In))
	for i, v := range n.In {
		if v == nil {
			continue
		}
		in[i] = v.Const
		if e.reader(v) != nil {
			freed += v.Const.Bytes()
		}
	}
	limit := freed + f.Growth
	for _, v := range n.Out {
		if v == nil {
			continue
		}
		if v.DType == tensor.Sequence || v.DType == tensor.Optional {
			return // no file has constants of these
		}
		if shape, ok := v.Fixed(); ok {
			if size, err := tensor.CheckedSize(shape); err != nil || v.DType.Bytes(size) > limit {
				return
			}
		} else if graph.TraitsOf(n.Op).Grows {
			return // of unknown size: it may be anything
		}
	}
	out := make([]*tensor.Tensor, len(n.Out))
	for i, v := range n.Out {
		if v != nil {
			out[i] = &tensor.Tensor{}
		}
	}
	if err := graph.RunKernel(&graph.Exec{Ctx: ctx}, n.Op, in, out); err != nil {
		return
	}
	bytes := 0
	for _, t := range out {
		if t != nil {
			bytes += t.Bytes()
		}
	}
	if bytes > limit {
		return
	}
	for i, v := range slices.Clone(n.Out) {
		if v != nil {
			e.freeze(v, out[i])
		}
	}
}

// pure reports whether a node's outputs depend on its inputs and attributes alone and cannot be anything but computed.
// Operators with bodies and those that we do not know are not.
func pure(n *graph.Node) bool {
	_, opaque := n.Op.(graph.Opaque)
	return !opaque && !graph.TraitsOf(n.Op).Random && len(graph.Bodies(n.Op)) == 0
}
