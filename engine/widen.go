package engine

import (
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// widen turns a graph of 16-bit floats into one of float32 with casts at its inputs and outputs, as ONNX Runtime does
// on CPUs: what is in between is computed and kept at float32. Graphs with bodies, or in which a node asks for a 16-bit
// type by name, stay as they are.
func widen(g *graph.Graph) error {
	half := false
	for _, v := range g.Values() {
		half = half || narrow(v)
		if v.Elem != nil {
			return nil
		}
	}
	if !half || !canWiden(g) {
		return nil
	}
	b := graph.NewBuilder(g)
	inner := g.Nodes
	types := make([]tensor.DType, len(g.Outputs))
	for i, v := range g.Outputs {
		types[i] = v.DType
	}
	for _, v := range g.Values() {
		if !narrow(v) {
			continue
		}
		switch {
		case v.IsConst():
			t, err := tensor.FromFloats(tensor.Float32, tensor.Floats(v.Const), v.Const.Shape...)
			if err != nil {
				return err
			}
			v.Fact = graph.FactOf(t)
		case v.Def != nil:
			v.DType = tensor.Float32
		default:
			wide := b.Add(v.Name, ops.Cast{To: int(tensor.Float32), Saturate: true}, v)
			for _, n := range inner {
				replaceInput(n, v, wide)
			}
		}
	}
	for i, v := range g.Outputs {
		if v.DType != types[i] {
			g.Outputs[i] = b.Add(v.Name, ops.Cast{To: int(types[i]), Saturate: true}, v)
		}
	}
	return b.Err
}

func replaceInput(n *graph.Node, old, v *graph.Value) {
	for i, in := range n.In {
		if in == old {
			n.In[i] = v
		}
	}
}

func narrow(v *graph.Value) bool { return v.DType == tensor.Float16 || v.DType == tensor.BFloat16 }

// canWiden reports whether no operator has a body or names an element type.
func canWiden(g *graph.Graph) bool {
	for _, n := range g.Nodes {
		if len(graph.Bodies(n.Op)) > 0 {
			return false
		}
		for _, a := range graph.AttrsOf(n.Op) {
			switch a.Value.(type) {
			case *tensor.Tensor, graph.Type:
				return false
			}
			if a.Name == "to" || a.Name == "dtype" || a.Name == "output_dtype" || a.Name == "stash_type" || a.Name == "precision" {
				return false
			}
		}
	}
	return true
}
